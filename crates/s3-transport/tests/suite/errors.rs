//! Every way in which a request fails, told apart.

use std::net::TcpListener;
use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt;
use nars3_s3::{CredentialSource, Environment, Operation, S3Error, S3ErrorKind, StaticKeys};
use nars3_store_url::{StoreKind, StoreUrl};
use nars3_tests::require::{Need, skip};
use nars3_tests::server::{S3Server, ServerKind, Settings, find_minio};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutPayload};

use crate::support::{Answer, Scripted, open, run, settings, store};

/// What a GET of one key ends with when the server answers so.
fn get_error(answer: Answer) -> S3Error {
    let server = Scripted::start(move |_| answer.clone());
    run(async {
        let error = store(&server.url()).await.get(&Path::from("nar/a.nar")).await.unwrap_err();
        S3Error::of(&error)
    })
}

#[test]
fn a_refusal_has_all_its_facts() {
    let error = get_error(Answer::error(403, "AccessDenied"));
    assert_eq!(error.kind, S3ErrorKind::Forbidden { action: Some("s3:GetObject") });
    assert_eq!(error.operation, Some(Operation::GetObject));
    assert_eq!((error.bucket.as_deref(), error.key.as_deref()), (Some("bucket"), Some("nar/a.nar")));
    assert_eq!(error.attempts, Some(1));
    assert!(error.elapsed.is_some());
    assert_eq!(error.status, Some(403));
    assert_eq!(error.code.as_deref(), Some("AccessDenied"));
    assert_eq!(error.message.as_deref(), Some("words"));
    assert_eq!(error.request_id.as_deref(), Some("REQUEST1"));
    assert_eq!(
        error.to_string(),
        "access denied, bucket 'bucket', key 'nar/a.nar', operation GetObject, action s3:GetObject, status 403, code AccessDenied, \
         request id REQUEST1: words"
    );
}

#[test]
fn codes_are_told_apart() {
    for (status, code, expected) in [
        (404, "NoSuchKey", S3ErrorKind::KeyMissing),
        (404, "NoSuchBucket", S3ErrorKind::BucketMissing),
        (403, "InvalidAccessKeyId", S3ErrorKind::BadCredentials),
        (403, "SignatureDoesNotMatch", S3ErrorKind::BadCredentials),
        (400, "ExpiredToken", S3ErrorKind::ExpiredCredentials),
        (403, "RequestTimeTooSkewed", S3ErrorKind::ClockSkew),
        (503, "SlowDown", S3ErrorKind::Throttled),
        (500, "InternalError", S3ErrorKind::Server),
        (501, "NotImplemented", S3ErrorKind::NotImplemented),
        (400, "InvalidArgument", S3ErrorKind::InvalidRequest),
    ] {
        assert_eq!(get_error(Answer::error(status, code)).kind, expected, "{code}");
    }
}

#[test]
fn a_wrong_region_is_named() {
    let elsewhere = S3ErrorKind::WrongRegion { region: Some("eu-west-3".to_owned()) };
    let redirect = Answer::error(301, "PermanentRedirect").with("x-amz-bucket-region", "eu-west-3");
    assert_eq!(get_error(redirect).kind, elsewhere);

    // The answer to HEAD has no body, and to HEAD in the wrong region no code either.
    for status in [301, 400] {
        let server =
            Scripted::start(move |_| Answer::new(status, "").with("x-amz-bucket-region", "eu-west-3"));
        let error = run(async { store(&server.url()).await.head(&Path::from("key")).await.unwrap_err() });
        assert_eq!(S3Error::of(&error).kind, elsewhere, "status {status}");
        // It was looked for there, once.
        assert_eq!(server.requests().len(), 2);
    }
}

#[test]
fn redirects_are_not_followed() {
    let other = Scripted::start(|_| Answer::new(200, "stolen"));
    let location = format!("{}/bucket/key", other.url());
    let to = location.clone();
    let error = get_error(Answer::new(302, "").with("location", &to));
    assert_eq!(error.kind, S3ErrorKind::Redirected { location: Some(location) });
    assert!(other.requests().is_empty());
}

#[test]
fn a_proxy_page_is_quoted() {
    let error = get_error(Answer::new(403, "<html>\n  <h1>Blocked by policy</h1></html>"));
    assert_eq!(error.message.as_deref(), Some("<html> <h1>Blocked by policy</h1></html>"));
    assert_eq!(error.code, None);
}

#[test]
fn nobody_there_is_told_from_slow_and_from_broken() {
    let free = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
    let refused = run(async {
        let error = store(&format!("http://{free}")).await.get(&Path::from("key")).await.unwrap_err();
        S3Error::of(&error)
    });
    assert_eq!(refused.kind, S3ErrorKind::ConnectionRefused);
    assert_eq!(refused.host.as_deref(), Some(free.to_string().as_str()));
    assert!(refused.is_transient());

    let unknown = run(async {
        let error = store("http://no-such-host.invalid").await.get(&Path::from("key")).await.unwrap_err();
        S3Error::of(&error)
    });
    assert_eq!(unknown.kind, S3ErrorKind::UnknownHost);

    // Connections are taken by the kernel, but nobody answers.
    let silent = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let mut slow = settings(&format!("http://{}", silent.local_addr().unwrap()));
    slow.transfer.stalled_download_timeout = Some(Duration::from_millis(100));
    let timed_out = run(async { open(&slow).await.get(&Path::from("key")).await.unwrap_err() });
    assert_eq!(S3Error::of(&timed_out).kind, S3ErrorKind::TimedOut);
}

#[test]
fn an_error_inside_a_success_is_an_error() {
    let server = Scripted::start(|request| match request.method.as_str() {
        "POST" if request.target.contains("uploads") => Answer::new(
            200,
            "<InitiateMultipartUploadResult><UploadId>U</UploadId></InitiateMultipartUploadResult>",
        ),
        "PUT" => Answer::new(200, "").with("etag", "\"e\""),
        _ => Answer::error(200, "AccessDenied"),
    });
    let error = run(async {
        let store = store(&server.url()).await;
        let mut upload = store.put_multipart(&Path::from("key")).await.unwrap();
        upload.put_part(PutPayload::from_static(b"part")).await.unwrap();
        upload.complete().await.unwrap_err()
    });
    let error = S3Error::of(&error);
    assert_eq!(error.kind, S3ErrorKind::Forbidden { action: Some("s3:PutObject") });
    assert_eq!(error.operation, Some(Operation::CompleteMultipartUpload));
}

#[test]
fn an_endless_listing_is_cut_off() {
    let server = Scripted::start(|_| Answer::new(200, vec![b'x'; 17 << 20]));
    let error =
        run(async { store(&server.url()).await.list(None).try_collect::<Vec<_>>().await.unwrap_err() });
    let error = S3Error::of(&error);
    assert_eq!(error.kind, S3ErrorKind::InvalidAnswer);
    assert_eq!(error.operation, Some(Operation::ListObjectsV2));
}

#[test]
fn a_created_object_is_not_created_again() {
    let server = S3Server::start_kind(&ServerKind::Embedded, &Settings::default()).unwrap();
    let bucket = server.fresh_bucket().unwrap();
    let keys = server.settings();
    let error = run(async {
        let store = real(&bucket.url(""), &keys.access_key, &keys.secret_key).await;
        let path = Path::from("key");
        let create = || store.put_opts(&path, Bytes::from("x").into(), PutMode::Create.into());
        create().await.unwrap();
        create().await.unwrap_err()
    });
    assert_eq!(S3Error::of(&error).kind, S3ErrorKind::AlreadyExists);
}

async fn real(url: &str, key: &str, secret: &str) -> std::sync::Arc<dyn ObjectStore> {
    let StoreKind::S3(settings) = StoreUrl::parse(url).unwrap().url.kind else {
        panic!("not an S3 URL: {url}")
    };
    let keys = CredentialSource::Static(StaticKeys::new(key, secret, None));
    nars3_s3::open(&settings, &Environment::of_process().with_credentials(keys)).await.unwrap()
}

/// The same on a server's real words: a wrong secret, an unknown key, a bucket and a key that do not exist.
fn on_a_real_server(server: &S3Server, buckets_are_known: bool) {
    let bucket = server.fresh_bucket().unwrap();
    let Settings { access_key, secret_key, .. } = server.settings().clone();
    let get = |url: String, key: &str, secret: &str| {
        let error =
            run(async { real(&url, key, secret).await.get(&Path::from("absent")).await.unwrap_err() });
        S3Error::of(&error)
    };
    let url = bucket.url("");
    assert_eq!(get(url.clone(), &access_key, "not the secret").kind, S3ErrorKind::BadCredentials);
    assert_eq!(get(url.clone(), "nobody", &secret_key).kind, S3ErrorKind::BadCredentials);
    assert_eq!(get(url.clone(), &access_key, &secret_key).kind, S3ErrorKind::KeyMissing);
    if buckets_are_known {
        let url = url.replacen(bucket.name(), "no-such-bucket", 1);
        assert_eq!(get(url, &access_key, &secret_key).kind, S3ErrorKind::BucketMissing);
    }
    let anonymous = run(async {
        let mut url = StoreUrl::parse(&url).unwrap().url;
        let StoreKind::S3(settings) = &mut url.kind else { panic!("not an S3 URL") };
        settings.anonymous = true;
        let store = nars3_s3::open(settings, &Environment::of_process()).await.unwrap();
        S3Error::of(&store.get(&Path::from("absent")).await.unwrap_err())
    });
    assert_eq!(anonymous.kind, S3ErrorKind::Forbidden { action: Some("s3:GetObject") });
}

#[test]
fn what_the_embedded_server_says() {
    let server = S3Server::start_kind(&ServerKind::Embedded, &Settings::default()).unwrap();
    on_a_real_server(&server, false);
}

#[test]
fn what_minio_says() {
    let Some(binary) = find_minio() else { return skip(Need::Minio, "no binary") };
    let server = S3Server::start_kind(&ServerKind::Minio(binary), &Settings::default()).unwrap();
    on_a_real_server(&server, true);

    let bucket = server.fresh_bucket().unwrap();
    let Settings { access_key, secret_key, region, .. } = server.settings().clone();
    let elsewhere = bucket.url("").replacen(&region, "ap-southeast-2", 1);
    run(async {
        let store = real(&elsewhere, &access_key, &secret_key).await;
        store.put(&Path::from("key"), PutPayload::from_static(b"x")).await.unwrap();
        // The answer to HEAD has nothing but a header.
        let another = real(&elsewhere, &access_key, &secret_key).await;
        assert_eq!(another.head(&Path::from("key")).await.unwrap().size, 1);
    });
}
