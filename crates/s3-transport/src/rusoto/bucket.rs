//! The object store.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::BoxStream;
use nars3_store_url::S3Settings;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

use super::dispatcher::Connection;
use super::list::Query;
use crate::credentials::Access;
use crate::wire::Wire;

/// A bucket, through rusoto.
pub(crate) struct RusotoBucket {
    connection: Arc<Connection>,
}

impl RusotoBucket {
    /// The bucket of the settings.
    pub(crate) fn new(settings: S3Settings, access: Access, wire: Arc<Wire>) -> Self {
        RusotoBucket { connection: Arc::new(Connection::new(settings, access, wire)) }
    }
}

#[async_trait]
impl ObjectStore for RusotoBucket {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.connection.put(location, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        Ok(Box::new(self.connection.begin_upload(location, options).await?))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.connection.read(location, options).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.connection.delete_all(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.connection.objects(Query::below(prefix))
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        self.connection.objects(Query::below(prefix).after(offset))
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.connection.one_level(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.connection.copy(from, to, options).await
    }
}

impl fmt::Display for RusotoBucket {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "s3://{}", self.connection.settings.bucket)
    }
}

impl fmt::Debug for RusotoBucket {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("RusotoBucket")
            .field("bucket", &self.connection.settings.bucket)
            .finish_non_exhaustive()
    }
}
