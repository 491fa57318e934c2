//! Files that the server which has both buckets copies by itself.

use std::sync::Arc;

use async_trait::async_trait;
use nars3_binary_cache::{FileCopier, ServerCopies};
use nars3_store_url::S3Settings;

use super::OpenedStore;
use crate::error::{CliResult, ResultExt};
use crate::run::Context;
use crate::settings::s3_client;

/// The way of files from `source` to the bucket of `settings`, where one server has both.
pub(super) async fn server_copies(
    source: &OpenedStore,
    settings: &S3Settings,
    context: &Context,
) -> CliResult<Option<ServerCopies>> {
    let Some(from) = &source.s3 else { return Ok(None) };
    let mut settings = settings.clone();
    if settings.s3_client.is_none() {
        settings.s3_client = s3_client(&context.environment)?;
    }
    let copy = nars3_s3::ServerCopy::open(from, &settings, &context.s3)
        .await
        .context(|| format!("cannot open the bucket '{}'", settings.bucket))?;
    Ok(copy.map(|copy| ServerCopies::new(source.store.to_string(), Arc::new(Copier(copy)))))
}

#[derive(Debug)]
struct Copier(nars3_s3::ServerCopy);

#[async_trait]
impl FileCopier for Copier {
    async fn copy(&self, from: &str, to: &str) -> object_store::Result<()> {
        self.0.copy(from, to).await
    }
}
