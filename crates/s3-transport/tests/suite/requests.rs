//! What is in the requests, and what happens when they fail on the way.

use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use nars3_s3::{CredentialSource, Environment, Operation, StaticKeys};
use nars3_store_url::ServerSideEncryption;
use object_store::path::Path;
use object_store::{Attribute, Attributes, ObjectStoreExt, PutOptions, PutPayload};

use crate::support::{Answer, Scripted, keys, open, run, settings};

fn stored() -> Answer {
    Answer::new(200, "").with("etag", "\"e\"")
}

#[test]
fn settings_of_objects_are_sent_with_every_write() {
    let server = Scripted::start(|request| {
        if request.method == "POST" {
            let xml = "<InitiateMultipartUploadResult><UploadId>U</UploadId></InitiateMultipartUploadResult>";
            return Answer::new(200, xml);
        }
        stored()
    });
    let mut settings = settings(&server.url());
    settings.storage_class = Some("STANDARD_IA".to_owned());
    settings.object_tags = vec![("team".to_owned(), "a b".to_owned())];
    settings.requester_pays = true;
    settings.sse = Some(ServerSideEncryption::Kms);
    settings.sse_kms_key_id = Some("key-1".to_owned());
    run(async {
        let store = open(&settings).await;
        let attributes = Attributes::from_iter([(Attribute::ContentType, "text/x-nix-narinfo")]);
        let options = PutOptions { attributes, ..PutOptions::default() };
        store.put_opts(&Path::from("key"), PutPayload::from_static(b"x"), options).await.unwrap();
        store.put_multipart(&Path::from("large")).await.unwrap();
    });
    let requests = server.requests();
    assert_eq!(requests[0].header("content-type"), Some("text/x-nix-narinfo"));
    for request in &requests {
        assert_eq!(request.header("x-amz-storage-class"), Some("STANDARD_IA"));
        assert_eq!(request.header("x-amz-tagging"), Some("team=a+b"));
        assert_eq!(request.header("x-amz-request-payer"), Some("requester"));
        assert_eq!(request.header("x-amz-server-side-encryption"), Some("aws:kms"));
        assert_eq!(request.header("x-amz-server-side-encryption-aws-kms-key-id"), Some("key-1"));
        assert!(request.header("accept-encoding").is_none(), "objects come as they are stored");
    }
}

#[test]
fn session_tokens_are_sent_and_bodies_are_hashed() {
    let server = Scripted::start(|_| stored());
    let keys = StaticKeys::new("ASIATEST", "secret", Some("the-token".to_owned()));
    let environment = Environment::of_process().with_credentials(CredentialSource::Static(keys));
    run(async {
        let store = nars3_s3::open(&settings(&server.url()), &environment).await.unwrap();
        store.put(&Path::from("key"), PutPayload::from_static(b"hello")).await.unwrap();
    });
    let request = &server.requests()[0];
    assert_eq!(request.header("x-amz-security-token"), Some("the-token"));
    let sha256_of_hello = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
    assert_eq!(request.header("x-amz-content-sha256"), Some(sha256_of_hello));
    assert_eq!(request.header("x-amz-checksum-sha256"), None, "another server than AWS need not know it");
    assert_eq!(request.body, b"hello");
}

#[test]
fn a_server_that_asks_for_patience_gets_it() {
    let attempts = AtomicUsize::new(0);
    let server = Scripted::start(move |_| match attempts.fetch_add(1, Ordering::Relaxed) {
        0 => Answer::error(503, "SlowDown"),
        1 => Answer::error(500, "InternalError"),
        _ => stored(),
    });
    let mut patient = settings(&server.url());
    patient.transfer.retry_attempts = 3;
    patient.transfer.retry_delay = std::time::Duration::from_millis(1);
    let environment = Environment::of_process().with_credentials(keys());
    run(async {
        let store = nars3_s3::open(&patient, &environment).await.unwrap();
        store.put(&Path::from("key"), PutPayload::from_static(b"hello")).await.unwrap();
    });
    let bodies: Vec<_> = server.requests().into_iter().map(|request| request.body).collect();
    assert_eq!(bodies, [b"hello", b"hello", b"hello"]);
    let counts = environment.stats().counts();
    assert_eq!(counts.requests, [(Operation::PutObject, 3)]);
    assert_eq!((counts.throttled, counts.refused, counts.bytes_sent, counts.retries), (1, 1, 15, 2));
}

#[test]
fn a_success_that_says_slow_down_is_tried_again() {
    let attempts = AtomicUsize::new(0);
    let server = Scripted::start(move |request| match request.method.as_str() {
        "POST" if request.target.contains("uploads") => Answer::new(
            200,
            "<InitiateMultipartUploadResult><UploadId>U</UploadId></InitiateMultipartUploadResult>",
        ),
        "PUT" => stored(),
        _ if attempts.fetch_add(1, Ordering::Relaxed) == 0 => Answer::error(200, "InternalError"),
        _ => Answer::new(
            200,
            "<CompleteMultipartUploadResult><ETag>\"whole\"</ETag></CompleteMultipartUploadResult>",
        ),
    });
    let mut patient = settings(&server.url());
    patient.transfer.retry_attempts = 2;
    patient.transfer.retry_delay = std::time::Duration::from_millis(1);
    let result = run(async {
        let store = open(&patient).await;
        let mut upload = store.put_multipart(&Path::from("key")).await.unwrap();
        upload.put_part(PutPayload::from_static(b"part")).await.unwrap();
        upload.complete().await.unwrap()
    });
    assert_eq!(result.e_tag.as_deref(), Some("\"whole\""));
}

/// A server that breaks off the first answer, and sends the rest under this ETag.
fn breaking(contents: &[u8], etag_of_rest: &'static str) -> Scripted {
    let whole = contents.to_vec();
    Scripted::start(move |request| {
        let time = "Sun, 22 Nov 2026 00:00:00 GMT";
        let range = request.header("range").and_then(|range| range.strip_prefix("bytes=")?.split_once('-'));
        let answer = match range.and_then(|(start, _)| start.parse::<usize>().ok()) {
            None => Answer::new(200, whole.clone()).cut_after(30_000).with("etag", "\"e\""),
            Some(start) => {
                let range = format!("bytes {start}-{}/{}", whole.len() - 1, whole.len());
                Answer::new(206, &whole[start..]).with("content-range", &range).with("etag", etag_of_rest)
            }
        };
        answer.with("last-modified", time)
    })
}

async fn read(server: &Scripted) -> object_store::Result<Bytes> {
    let mut patient = settings(&server.url());
    patient.transfer.retry_attempts = 3;
    patient.transfer.retry_delay = std::time::Duration::from_millis(1);
    open(&patient).await.get(&Path::from("key")).await?.bytes().await
}

#[test]
fn a_broken_body_is_resumed_where_it_broke() {
    let contents: Vec<u8> = (0..100_000_u32).map(|index| (index % 251) as u8).collect();
    let server = breaking(&contents, "\"e\"");
    assert!(run(read(&server)).unwrap() == contents);
    let requests = server.requests();
    assert_eq!(requests.len(), 2);
    assert_eq!(requests[1].header("range"), Some("bytes=30000-99999"));
    assert_eq!(requests[1].header("if-match"), Some("\"e\""));
}

#[test]
fn a_broken_body_is_not_completed_from_another_object() {
    let server = breaking(&[7; 100_000], "\"another\"");
    run(read(&server)).unwrap_err();
}
