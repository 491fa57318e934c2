//! Answers that rusoto takes for successes, panics at, waits for, or forgets the half of.

use std::time::Duration;

use futures::TryStreamExt;
use nars3_s3::{Operation, S3Error, S3ErrorKind};
use object_store::path::Path;
use object_store::{Error, ObjectStoreExt, PutPayload};

use super::{settings, store};
use crate::support::{Answer, Scripted, open, run};

const BEGUN: &str = "<InitiateMultipartUploadResult><UploadId>U</UploadId></InitiateMultipartUploadResult>";

/// Completes an upload whose completion is answered so.
fn complete(answer: Answer) -> object_store::Result<object_store::PutResult> {
    let server = Scripted::start(move |request| match request.method.as_str() {
        "POST" if request.target.contains("uploads") => Answer::new(200, BEGUN),
        "PUT" => Answer::new(200, "").with("etag", "\"p\""),
        _ => answer.clone(),
    });
    run(async {
        let mut upload = store(&server).await.put_multipart(&Path::from("key")).await.unwrap();
        upload.put_part(PutPayload::from_static(b"part")).await.unwrap();
        upload.complete().await
    })
}

#[test]
fn a_success_that_carries_an_error_is_an_error() {
    let error = S3Error::of(&complete(Answer::error(200, "InternalError")).unwrap_err());
    assert_eq!(error.kind, S3ErrorKind::Server);
    assert_eq!(
        (error.code.as_deref(), error.request_id.as_deref()),
        (Some("InternalError"), Some("REQUEST1"))
    );
    assert_eq!(error.operation, Some(Operation::CompleteMultipartUpload));

    let server = Scripted::start(|_| Answer::error(200, "InternalError"));
    let error =
        run(async { store(&server).await.copy(&Path::from("a"), &Path::from("b")).await.unwrap_err() });
    assert_eq!(S3Error::of(&error).code.as_deref(), Some("InternalError"));
}

#[test]
fn a_success_without_an_etag_is_none() {
    for nothing in ["", "<CompleteMultipartUploadResult></CompleteMultipartUploadResult>", "<html/>"] {
        let error = S3Error::of(&complete(Answer::new(200, nothing)).unwrap_err());
        assert_eq!(error.kind, S3ErrorKind::InvalidAnswer, "{nothing}: {error}");
    }
    let whole = "<CompleteMultipartUploadResult><ETag>\"e\"</ETag></CompleteMultipartUploadResult>";
    assert_eq!(complete(Answer::new(200, whole)).unwrap().e_tag.as_deref(), Some("\"e\""));

    let server = Scripted::start(|_| Answer::new(200, ""));
    let error = run(async { store(&server).await.put(&Path::from("key"), "x".into()).await.unwrap_err() });
    assert_eq!(S3Error::of(&error).kind, S3ErrorKind::InvalidAnswer);
}

#[test]
fn the_404_of_a_head_request_is_a_missing_key() {
    let server = Scripted::start(|_| Answer::new(404, "").with("x-amz-request-id", "R404"));
    let error = run(async { store(&server).await.head(&Path::from("key")).await.unwrap_err() });
    assert!(matches!(&error, Error::NotFound { path, .. } if path == "key"), "{error:?}");
    let described = S3Error::of(&error);
    assert_eq!(described.kind, S3ErrorKind::KeyMissing);
    assert_eq!((described.status, described.request_id.as_deref()), (Some(404), Some("R404")));
}

#[test]
fn status_code_words_and_request_id_of_a_refusal_are_kept() {
    for (status, code, kind) in [
        (403, "AccessDenied", S3ErrorKind::Forbidden { action: Some("s3:GetObject") }),
        (404, "NoSuchKey", S3ErrorKind::KeyMissing),
        (404, "NoSuchBucket", S3ErrorKind::BucketMissing),
        (403, "SignatureDoesNotMatch", S3ErrorKind::BadCredentials),
        (412, "PreconditionFailed", S3ErrorKind::Precondition),
        (503, "SlowDown", S3ErrorKind::Throttled),
        (500, "InternalError", S3ErrorKind::Server),
        (501, "NotImplemented", S3ErrorKind::NotImplemented),
    ] {
        let server = Scripted::start(move |_| Answer::error(status, code));
        let error = run(async { store(&server).await.get(&Path::from("key")).await.unwrap_err() });
        let error = S3Error::of(&error);
        assert_eq!(error.kind, kind);
        assert_eq!((error.status, error.code.as_deref()), (Some(status), Some(code)));
        assert_eq!(
            (error.message.as_deref(), error.request_id.as_deref()),
            (Some("words"), Some("REQUEST1"))
        );
        assert_eq!((error.operation, error.key.as_deref()), (Some(Operation::GetObject), Some("key")));
    }
    let server = Scripted::start(|_| Answer::new(304, ""));
    let error = run(async { store(&server).await.get(&Path::from("key")).await.unwrap_err() });
    assert!(matches!(error, Error::NotModified { .. }), "{error:?}");
}

#[test]
fn headers_that_make_no_sense_are_passed_over() {
    let server = Scripted::start(|_| {
        Answer::new(200, "contents")
            .with("etag", "\"e\"")
            .with("x-amz-meta-name", "Käse")
            .with("x-amz-mp-parts-count", "many")
            .with("x-amz-tagging-count", "-1")
            .with("x-amz-missing-meta", "99999999999999999999")
            .with("x-amz-delete-marker", "perhaps")
            .with("x-amz-server-side-encryption-bucket-key-enabled", "1")
    });
    let (contents, head) = run(async {
        let store = store(&server).await;
        let contents = store.get(&Path::from("key")).await.unwrap().bytes().await.unwrap();
        (contents, store.head(&Path::from("key")).await.unwrap())
    });
    assert_eq!(contents, "contents");
    assert_eq!((head.size, head.e_tag.as_deref()), (8, Some("\"e\"")));
}

#[test]
fn a_length_that_is_none_is_an_error() {
    for length in ["many", "-5", "99999999999999999999"] {
        let server = Scripted::start(move |_| Answer::new(200, "contents").with("content-length", length));
        run(async {
            let store = store(&server).await;
            store.head(&Path::from("key")).await.unwrap_err();
            store.get(&Path::from("key")).await.unwrap_err();
        });
    }
    let server = Scripted::start(|_| Answer::new(200, "contents").with("last-modified", "yesterday"));
    let error = run(async { store(&server).await.get(&Path::from("key")).await.unwrap_err() });
    assert_eq!(S3Error::of(&error).kind, S3ErrorKind::InvalidAnswer);
}

#[test]
fn a_listing_that_is_none_neither_hangs_nor_panics_nor_is_empty() {
    for document in [
        "",
        "<html><body>log in here</body></html>",
        "<ListBucketResult><Contents><Key>a</Key>",
        "<ListBucketResult><Contents><Key>a</Key><Size>large</Size></Contents></ListBucketResult>",
        "<ListBucketResult><Contents><Key>a</Key></Contents></ListBucketResult>",
        "<ListBucketResult><IsTruncated>yes</IsTruncated></ListBucketResult>",
        "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>",
    ] {
        let server = Scripted::start(move |_| Answer::new(200, document));
        let error = run(async { store(&server).await.list(None).try_collect::<Vec<_>>().await.unwrap_err() });
        let error = S3Error::of(&error);
        assert_eq!(error.kind, S3ErrorKind::InvalidAnswer, "{document}: {error}");
    }
}

#[test]
fn a_listing_that_leads_in_a_circle_ends() {
    let server = Scripted::start(|_| {
        Answer::new(
            200,
            "<ListBucketResult><IsTruncated>true</IsTruncated>\
             <NextContinuationToken>T</NextContinuationToken></ListBucketResult>",
        )
    });
    let error = run(async { store(&server).await.list(None).try_collect::<Vec<_>>().await.unwrap_err() });
    assert_eq!(S3Error::of(&error).kind, S3ErrorKind::InvalidAnswer);
    assert_eq!(server.requests().len(), 2);
}

#[test]
fn what_was_not_deleted_is_told_key_by_key() {
    let server = Scripted::start(|_| {
        Answer::new(
            200,
            "<DeleteResult><Deleted><Key>a</Key></Deleted><Error><Key>b</Key><Code>AccessDenied</Code>\
             <Message>words</Message></Error></DeleteResult>",
        )
    });
    let results: Vec<_> = run(async {
        use futures::StreamExt;
        use object_store::ObjectStore;
        let keys = ["a", "b"].map(|key| Ok(Path::from(key)));
        store(&server).await.delete_stream(futures::stream::iter(keys).boxed()).collect().await
    });
    assert_eq!(results[0].as_ref().unwrap(), &Path::from("a"));
    let error = S3Error::of(results[1].as_ref().unwrap_err());
    assert_eq!(error.kind, S3ErrorKind::Forbidden { action: Some("s3:DeleteObject") });
    assert_eq!(error.key.as_deref(), Some("b"));
}

#[test]
fn a_server_that_does_not_answer_is_given_up() {
    let (release, wait) = std::sync::mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    let server = Scripted::start(move |_| {
        let _ = wait.lock().unwrap().recv();
        Answer::new(200, "")
    });
    let mut impatient = settings(&server);
    impatient.transfer.request_timeout = Some(Duration::from_millis(100));
    let error = run(async { open(&impatient).await.get(&Path::from("key")).await.unwrap_err() });
    let error = S3Error::of(&error);
    assert_eq!(error.kind, S3ErrorKind::TimedOut, "{error}");
    assert_eq!((error.operation, error.host), (Some(Operation::GetObject), Some(server.address.to_string())));
    drop(release);
}

#[test]
fn a_server_that_is_not_there_is_named() {
    let mut settings = settings(&Scripted::start(|_| Answer::new(200, "")));
    settings.endpoint = Some(nars3_store_url::Endpoint::parse("http://127.0.0.1:1").unwrap());
    let error = run(async { open(&settings).await.get(&Path::from("key")).await.unwrap_err() });
    let error = S3Error::of(&error);
    assert_eq!(error.kind, S3ErrorKind::ConnectionRefused);
    assert_eq!((error.host.as_deref(), error.key.as_deref()), (Some("127.0.0.1:1"), Some("key")));
}
