//! Bodies that break off, and what is said and counted of them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use nars3_s3::{Environment, S3Error, S3ErrorKind};
use nars3_store_url::{S3Settings, Scheme};
use object_store::ObjectStoreExt;
use object_store::path::Path;

use crate::support::{Answer, Request, Scripted, clients, keys, open, patient, run, traced_by};

const BODY: &str = "contents of an object";

/// The beginning of the body; what a request for the rest is answered is the test's business.
fn beginning(request: &Request, rest: impl Fn() -> Answer) -> Answer {
    match request.header("range") {
        None => Answer::new(200, BODY).with("etag", "\"e\"").cut_after(8),
        Some(_) => rest(),
    }
}

fn the_rest() -> Answer {
    let range = format!("bytes 8-{}/{}", BODY.len() - 1, BODY.len());
    Answer::new(206, &BODY[8..]).with("etag", "\"e\"").with("content-range", &range)
}

async fn read(settings: &S3Settings) -> object_store::Result<String> {
    let body = open(settings).await.get(&Path::from("key")).await?.bytes().await?;
    Ok(String::from_utf8(body.to_vec()).unwrap())
}

#[test]
fn the_rest_is_not_asked_for_before_the_server_said() {
    for client in clients() {
        let refusal = || Answer::error(503, "SlowDown").with("retry-after", "3000");
        let server = Scripted::start(move |request| beginning(request, refusal));
        let mut settings = patient(&server, client);
        settings.transfer.retry_max_delay = Duration::from_secs(7200);
        settings.transfer.retry_timeout = Some(Duration::from_secs(600));
        let error = S3Error::of(&run(read(&settings)).unwrap_err());
        assert_eq!(server.requests().len(), 2);
        assert_eq!((error.kind.clone(), error.attempts), (S3ErrorKind::ConnectionLost, Some(2)), "{error}");
        assert!(error.message.as_ref().unwrap().contains("503 SlowDown"), "{error}");
        assert!(error.elapsed.unwrap() > Duration::ZERO);
    }
}

#[test]
fn the_time_for_attempts_is_that_of_the_whole_download() {
    for client in clients() {
        let server = Scripted::start(|request| {
            std::thread::sleep(Duration::from_millis(30));
            beginning(request, the_rest)
        });
        let mut settings = patient(&server, client);
        assert_eq!(run(read(&settings)).unwrap(), BODY);
        settings.transfer.retry_timeout = Some(Duration::from_millis(20));
        run(read(&settings)).unwrap_err();
        assert_eq!(server.requests().len(), 3);
    }
}

#[test]
fn the_span_of_a_read_has_all_that_came() {
    for client in clients() {
        let server = Scripted::start(|request| beginning(request, the_rest));
        let heard = traced_by(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let environment = Environment::of_process().with_credentials(keys());
                let store = nars3_s3::open(&patient(&server, client), &environment).await.unwrap();
                assert_eq!(store.get(&Path::from("key")).await.unwrap().bytes().await.unwrap(), BODY);
            });
        });
        let closed: Vec<_> = heard.lines().filter(|line| line.contains("\"message\":\"close\"")).collect();
        let span = closed.iter().find(|line| line.contains("\"name\":\"s3\"")).unwrap();
        for fact in [r#""operation":"GetObject""#, r#""bytes":21"#, r#""attempts":2"#, r#""status":206"#] {
            assert!(span.contains(fact), "{fact} in {span}");
        }
    }
}

/// AWS says the checksum of an object where it is asked to.
#[test]
fn a_checksum_is_asked_for_on_aws_and_compared() {
    for client in clients() {
        let asked = AtomicUsize::new(0);
        let server = Scripted::start(move |request| {
            assert_eq!(request.header("x-amz-checksum-mode"), Some("ENABLED"));
            assert!(request.header("authorization").unwrap().contains("x-amz-checksum-mode"));
            let body = ["damaged", "a"][asked.fetch_add(1, Ordering::Relaxed).min(1)];
            // The ETag is none of S3's.
            let sum = "ypeBEsobvcr6wjGzmiPcTaeG7/gUfE5yuYB3ha/uSLs=";
            Answer::new(200, body).with("etag", "\"e\"").with("x-amz-checksum-sha256", sum)
        });
        let mut settings = S3Settings::new("bucket");
        settings.scheme = Scheme::Http;
        settings.s3_client = Some(client);
        settings.transfer.retry_delay = Duration::from_millis(1);
        let host = "bucket.s3.us-east-1.amazonaws.com";
        let environment =
            Environment::of_process().with_credentials(keys()).with_address(host, server.address);
        run(async {
            let store = nars3_s3::open(&settings, &environment).await.unwrap();
            assert_eq!(store.get(&Path::from("key")).await.unwrap().bytes().await.unwrap(), "a");
        });
        assert_eq!(server.requests().len(), 2);
    }
}
