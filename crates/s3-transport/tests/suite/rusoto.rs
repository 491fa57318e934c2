//! What rusoto 0.48 gets wrong or cannot do, and that nobody notices here.

mod answers;
mod logs;
mod requests;

use std::sync::Arc;

use nars3_store_url::{S3Client, S3Settings};
use object_store::ObjectStore;

use crate::support::{self, Scripted};

/// Settings of a bucket at a server, for the client on rusoto; one attempt for each request.
fn settings(server: &Scripted) -> S3Settings {
    with_rusoto(support::settings(&server.url()))
}

fn with_rusoto(mut settings: S3Settings) -> S3Settings {
    settings.s3_client = Some(S3Client::Rusoto);
    settings
}

async fn store(server: &Scripted) -> Arc<dyn ObjectStore> {
    support::open(&settings(server)).await
}
