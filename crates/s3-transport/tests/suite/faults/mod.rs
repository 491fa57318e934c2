//! What networks, proxies and servers do to requests and answers, done on purpose between each client and a real MinIO, and
//! in a short form before SeaweedFS.
//!
//! Every fault is survived, or ends with the right error after a bounded number of attempts. No upload is told to be done
//! that is not there whole, no download gives other bytes than those that were stored, and no upload in parts is left
//! behind.

mod downloads;
mod listings;
mod memory;
mod seaweedfs;
mod uploads;

use std::sync::Arc;
use std::time::Duration;

use nars3_s3::{CredentialSource, Environment, RequestCounts, S3Error, StaticKeys};
use nars3_store_url::{S3Client, S3Settings, StoreKind, StoreUrl};
use nars3_tests::faults::{Answer, Fault, FaultProxy, Request};
use nars3_tests::require::{Need, skip};
use nars3_tests::server::{Bucket, S3Server, ServerKind, find_minio};
use object_store::path::Path;
use object_store::{MultipartUpload, ObjectStore, ObjectStoreExt, PutPayload};

use crate::support::{clients, run};

/// How long an impatient client waits for a byte.
const STALL: Duration = Duration::from_secs(1);

/// Attempts at a request. What happens more often than this is not survived.
const ATTEMPTS: u32 = 4;

/// One client before a proxy before MinIO, and a bucket to look into from the side.
struct Rig {
    proxy: FaultProxy,
    bucket: Bucket,
    settings: S3Settings,
    environment: Environment,
    _server: Arc<S3Server>,
}

/// Runs a test with each client, in a bucket of its own.
fn with_each_client(test: impl Fn(&Rig)) {
    let Some(binary) = find_minio() else { return skip(Need::Minio, "no binary") };
    with_each_client_of(&ServerKind::Minio(binary), test);
}

/// The same, before a server of this kind.
fn with_each_client_of(kind: &ServerKind, test: impl Fn(&Rig)) {
    let server = S3Server::shared_kind(kind).unwrap();
    for client in clients() {
        test(&Rig::new(&server, client));
    }
}

impl Rig {
    fn new(server: &Arc<S3Server>, client: S3Client) -> Self {
        let proxy = FaultProxy::start(server.endpoint()).unwrap();
        let bucket = server.fresh_bucket().unwrap();
        let StoreKind::S3(mut settings) =
            StoreUrl::parse(&bucket.url_at(proxy.endpoint(), "")).unwrap().url.kind
        else {
            panic!("not an S3 URL")
        };
        settings.s3_client = Some(client);
        settings.transfer.retry_attempts = ATTEMPTS;
        settings.transfer.retry_delay = Duration::from_millis(1);
        settings.transfer.retry_delay_rate_limited = Duration::from_millis(1);
        let keys = server.settings();
        let keys = StaticKeys::new(keys.access_key.as_str(), keys.secret_key.as_str(), None);
        let environment = Environment::of_process().with_credentials(CredentialSource::Static(keys));
        Rig { proxy, bucket, settings, environment, _server: Arc::clone(server) }
    }

    async fn store(&self) -> Arc<dyn ObjectStore> {
        nars3_s3::open(&self.settings, &self.environment).await.unwrap()
    }

    /// The same, for faults that only time tells: a second of silence is a stall.
    async fn impatient(&self) -> Arc<dyn ObjectStore> {
        let mut settings = self.settings.clone();
        settings.transfer.stalled_download_timeout = Some(STALL);
        nars3_s3::open(&settings, &self.environment).await.unwrap()
    }

    fn counts(&self) -> RequestCounts {
        self.environment.stats().counts()
    }

    /// That there is nothing under a key, nor on its way to it.
    fn assert_nothing_at(&self, key: &str) {
        assert!(!self.bucket.keys().unwrap().contains(&key.to_owned()), "'{key}' is there");
        self.assert_no_upload_to(key);
    }

    fn assert_no_upload_to(&self, key: &str) {
        assert_eq!(self.bucket.uploads(key).unwrap(), Vec::<String>::new(), "left behind at '{key}'");
    }
}

/// Bytes that differ from their neighbours.
fn contents(length: usize) -> Vec<u8> {
    (0..length).map(byte).collect()
}

/// The byte at a place in them.
fn byte(index: usize) -> u8 {
    (index % 251) as u8 ^ (index >> 12) as u8
}

fn key(name: &str) -> Path {
    Path::parse(name).unwrap()
}

fn described(error: &object_store::Error) -> S3Error {
    S3Error::of(error)
}

/// Every kind of breaking off, stalling and refusing that passes: one that any request must survive.
fn passing_faults() -> Vec<(&'static str, Fault)> {
    let slow_down = Answer::error(503, "SlowDown");
    vec![
        ("reset before the request", Fault::Reset),
        ("answer lost", Fault::LoseAnswer),
        ("internal error", Fault::Answer(Answer::error(500, "InternalError"))),
        ("internal error after the work", Fault::ReplaceAnswer(Answer::error(500, "InternalError"))),
        ("slow down", Fault::Answer(slow_down.clone())),
        ("slow down, and when to come back", Fault::Answer(slow_down.with("retry-after", "0"))),
        ("bad gateway of a proxy", Fault::Answer(Answer::new(502, "<html>bad gateway</html>"))),
        ("gateway timeout of a proxy", Fault::ReplaceAnswer(Answer::new(504, ""))),
        ("request timeout", Fault::Answer(Answer::error(400, "RequestTimeout"))),
        ("too many requests", Fault::Answer(Answer::new(429, ""))),
        ("delivered twice", Fault::Duplicate),
    ]
}

/// Refusals that do not pass, with what they are called.
fn lasting_refusals() -> Vec<(Answer, &'static str)> {
    vec![
        (Answer::error(403, "AccessDenied"), "access denied"),
        (Answer::error(403, "SignatureDoesNotMatch"), "credentials not accepted"),
        (Answer::error(403, "InvalidAccessKeyId"), "credentials not accepted"),
        (Answer::error(403, "InvalidToken"), "credentials not accepted"),
        (Answer::error(403, "RequestTimeTooSkewed"), "clocks differ too much"),
        (Answer::error(404, "NoSuchBucket"), "no such bucket"),
        (Answer::error(400, "InvalidArgument"), "request refused"),
        (Answer::new(302, "").with("location", "http://elsewhere.invalid/"), "redirected elsewhere"),
        (Answer::new(403, "<html>blocked</html>"), "access denied"),
    ]
}
