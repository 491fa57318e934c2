//! Stand-ins for object stores: memory, of which a test does some methods otherwise.

use std::fmt;
use std::ops::Deref;

use async_trait::async_trait;
use futures::stream::{BoxStream, StreamExt, TryStreamExt};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

/// What a stand-in does. What it does not say, `memory` does.
#[async_trait]
pub(crate) trait Double: fmt::Debug + Send + Sync + 'static {
    fn memory(&self) -> &InMemory;

    async fn put(&self, path: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.memory().put_opts(path, payload, options).await
    }

    async fn begin(&self, path: &Path, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.memory().put_multipart_opts(path, options).await
    }

    async fn get(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        self.memory().get_opts(path, options).await
    }

    fn listing(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.memory().list(prefix)
    }

    fn listing_behind(&self, prefix: Option<&Path>, key: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        let key = key.clone();
        self.listing(prefix).try_filter(move |found| std::future::ready(found.location > key)).boxed()
    }

    async fn folder(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.memory().list_with_delimiter(prefix).await
    }
}

/// A stand-in, as an object store.
#[derive(Debug, Default)]
pub(crate) struct Standing<D>(pub(crate) D);

impl<D> Deref for Standing<D> {
    type Target = D;

    fn deref(&self) -> &D {
        &self.0
    }
}

impl<D: Double> fmt::Display for Standing<D> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, formatter)
    }
}

#[async_trait]
impl<D: Double> ObjectStore for Standing<D> {
    async fn put_opts(&self, path: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.0.put(path, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        path: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.0.begin(path, options).await
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        self.0.get(path, options).await
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.0.memory().delete_stream(paths)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.0.listing(prefix)
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        self.0.listing_behind(prefix, offset)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.0.folder(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.0.memory().copy_opts(from, to, options).await
    }
}
