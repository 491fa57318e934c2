//! What the tests share: a runtime for each, real servers, scripted servers, stores.

mod ear;
mod scripted;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use nars3_s3::{CredentialSource, Environment, StaticKeys};
use nars3_store_url::{Endpoint, S3Client, S3Settings};
use object_store::ObjectStore;

pub(crate) use ear::traced_by;
pub(crate) use scripted::{Answer, Request, Scripted};

/// Runs the asynchronous part of a test.
pub(crate) fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

/// The keys that tests use where any do.
pub(crate) fn keys() -> CredentialSource {
    CredentialSource::Static(StaticKeys::new("AKIDTEST", "secret", None))
}

/// Settings for a bucket at an endpoint, with one attempt for each request.
pub(crate) fn settings(endpoint: &str) -> S3Settings {
    let mut settings = S3Settings::new("bucket");
    settings.endpoint = Some(Endpoint::parse(endpoint).unwrap());
    settings.transfer.retry_attempts = 1;
    settings
}

/// A store at an endpoint, with keys.
pub(crate) async fn store(endpoint: &str) -> Arc<dyn ObjectStore> {
    open(&settings(endpoint)).await
}

/// A store with keys.
pub(crate) async fn open(settings: &S3Settings) -> Arc<dyn ObjectStore> {
    nars3_s3::open(settings, &Environment::of_process().with_credentials(keys())).await.unwrap()
}

/// Every client of this build: what holds for one has to hold for all.
pub(crate) fn clients() -> Vec<S3Client> {
    let mut clients = vec![S3Client::ObjectStore];
    if cfg!(feature = "rusoto") {
        clients.push(S3Client::Rusoto);
    }
    clients
}

/// Settings for a server with three attempts that follow one another at once.
pub(crate) fn patient(server: &Scripted, client: S3Client) -> S3Settings {
    let mut settings = settings(&server.url());
    settings.s3_client = Some(client);
    settings.transfer.retry_attempts = 3;
    settings.transfer.retry_delay = Duration::from_millis(1);
    settings.transfer.retry_delay_rate_limited = Duration::from_millis(1);
    settings
}

/// The answer to a write.
pub(crate) fn stored() -> Answer {
    Answer::new(200, "").with("etag", "\"e\"")
}

/// Answers one after the other; the last one for good.
pub(crate) fn in_turn(answers: Vec<Answer>) -> impl Fn(&Request) -> Answer + Send + Sync {
    let asked = AtomicUsize::new(0);
    move |_| answers[asked.fetch_add(1, Ordering::Relaxed).min(answers.len() - 1)].clone()
}
