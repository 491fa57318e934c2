//! HEAD requests, whose refusals have no body and so no reasons.

use std::sync::atomic::{AtomicBool, Ordering};

use nars3_s3::{CredentialSource, Environment, Inspector, S3Error, S3ErrorKind};
use nars3_store_url::S3Client;
use object_store::path::Path;
use object_store::{ObjectStoreExt, Result};

use crate::support::{Answer, Request, Scripted, clients, keys, open, patient, run};

/// An environment whose `credential_process` says what is in the file `answer`.
fn changing(home: &std::path::Path) -> Environment {
    let (config, credentials) = (home.join("config"), home.join("credentials"));
    let process = format!("[default]\ncredential_process = cat {}\n", home.join("answer").display());
    std::fs::write(&config, process).unwrap();
    std::fs::write(&credentials, "").unwrap();
    Environment::of_process().with_credentials(CredentialSource::Files { config, credentials })
}

fn answer_with(home: &std::path::Path, key: &str) {
    let json = format!(r#"{{"Version":1,"AccessKeyId":"{key}","SecretAccessKey":"secret"}}"#);
    std::fs::write(home.join("answer"), json).unwrap();
}

/// A server that knows the new key only: S3 answers a HEAD with a token that has expired with 400 and nothing else.
fn expects_new(request: &Request) -> Option<Answer> {
    match (request.signed_by(), request.method.as_str()) {
        (Some("NEWKEY"), _) => None,
        (_, "HEAD") => Some(Answer::new(400, "")),
        _ => Some(Answer::error(400, "ExpiredToken")),
    }
}

fn head_with_old_key(client: S3Client, body: &'static str) -> (Result<u64>, Vec<String>) {
    let home = tempfile::tempdir().unwrap();
    answer_with(home.path(), "OLDKEY");
    let server = Scripted::start(move |request| match (expects_new(request), request.method.as_str()) {
        (Some(refusal), _) => refusal,
        (_, "GET") if body.is_empty() => Answer::error(416, "InvalidRange"),
        (_, "GET") => Answer::new(206, &body[..1])
            .with("content-range", &format!("bytes 0-0/{}", body.len()))
            .with("etag", "\"e\""),
        _ => Answer::new(200, body).with("etag", "\"e\""),
    });
    let size = run(async {
        let store = nars3_s3::open(&patient(&server, client), &changing(home.path())).await.unwrap();
        answer_with(home.path(), "NEWKEY");
        store.head(&Path::from("key")).await.map(|found| found.size)
    });
    let requests = server.requests();
    let asked = requests.iter().map(|it| format!("{} {}", it.method, it.signed_by().unwrap())).collect();
    (size, asked)
}

#[test]
fn a_head_whose_token_has_expired_is_made_with_a_new_one() {
    for client in clients() {
        let (size, asked) = head_with_old_key(client, "contents");
        assert_eq!(
            (size.unwrap(), asked),
            (8, ["HEAD OLDKEY", "GET OLDKEY", "GET NEWKEY"].map(str::to_owned).into())
        );
        // An empty object has no first byte.
        let (size, asked) = head_with_old_key(client, "");
        assert_eq!(size.unwrap(), 0);
        assert_eq!(asked.last().unwrap(), "HEAD NEWKEY");
    }
}

#[test]
fn a_head_with_a_token_that_is_none_says_so() {
    for client in clients() {
        let server = Scripted::start(|request| match request.method.as_str() {
            "HEAD" => Answer::new(400, ""),
            _ => Answer::error(400, "InvalidToken"),
        });
        let error =
            run(async { open(&patient(&server, client)).await.head(&Path::from("key")).await.unwrap_err() });
        assert_eq!(S3Error::of(&error).kind, S3ErrorKind::BadCredentials);
    }
}

#[test]
fn a_bucket_that_is_asked_for_with_a_token_that_has_expired_is_found() {
    let home = tempfile::tempdir().unwrap();
    answer_with(home.path(), "OLDKEY");
    let server = Scripted::start(|request| {
        expects_new(request).unwrap_or_else(|| {
            let list = "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>";
            let answer = if request.method == "HEAD" { Answer::new(200, "") } else { Answer::new(200, list) };
            answer.with("x-amz-bucket-region", "eu-west-3")
        })
    });
    let facts = run(async {
        let settings = patient(&server, S3Client::ObjectStore);
        let inspector = Inspector::open(&settings, &changing(home.path())).await.unwrap();
        answer_with(home.path(), "NEWKEY");
        inspector.bucket().await.unwrap()
    });
    assert_eq!((facts.refusal, facts.region.as_deref()), (None, Some("eu-west-3")));
    let requests = server.requests();
    assert!(requests[1].target.ends_with("?list-type=2&max-keys=0"), "{}", requests[1].target);
}

#[test]
fn a_bucket_that_is_asked_for_with_a_token_that_is_none_says_so() {
    let refused = AtomicBool::new(false);
    let server = Scripted::start(move |request| match request.method.as_str() {
        "HEAD" if !refused.swap(true, Ordering::Relaxed) => Answer::new(400, ""),
        _ => Answer::error(400, "InvalidToken"),
    });
    let facts = run(async {
        let environment = Environment::of_process().with_credentials(keys());
        let settings = patient(&server, S3Client::ObjectStore);
        Inspector::open(&settings, &environment).await.unwrap().bucket().await.unwrap()
    });
    assert_eq!(facts.refusal.unwrap().kind, S3ErrorKind::BadCredentials);
}
