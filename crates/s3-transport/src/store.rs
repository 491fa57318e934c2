//! What the settings add to every object that is written, in front of either client.

use std::fmt;
use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use nars3_store_url::S3Settings;
use object_store::path::Path;
use object_store::{
    Attribute, Attributes, CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, TagSet,
};

use crate::error::{S3Error, S3ErrorKind};
use crate::wire::Operation;

/// The largest object, in bytes, that S3 takes in one request: 5 GiB.
const MAX_PUT: u64 = 5 << 30;

/// A bucket, with what the settings say about the objects in it.
#[derive(Debug)]
pub(crate) struct Bucket {
    inner: Box<dyn ObjectStore>,
    /// The store's name, without any secret.
    name: String,
    storage_class: Option<String>,
    tags: TagSet,
}

impl Bucket {
    pub(crate) fn new(inner: Box<dyn ObjectStore>, settings: &S3Settings) -> Self {
        let mut tags = TagSet::default();
        for (key, value) in &settings.object_tags {
            tags.push(key, value);
        }
        let name = format!("s3://{}", settings.bucket);
        Bucket { inner, name, storage_class: settings.storage_class.clone(), tags }
    }

    /// What a single object says for itself comes first.
    fn complete(&self, attributes: &mut Attributes, tags: &mut TagSet) {
        if let Some(class) = &self.storage_class
            && attributes.get(&Attribute::StorageClass).is_none()
        {
            attributes.insert(Attribute::StorageClass, class.clone().into());
        }
        if tags.encoded().is_empty() {
            *tags = self.tags.clone();
        }
    }
}

fn too_large(location: &Path, bytes: usize) -> object_store::Error {
    let error = S3Error {
        operation: Some(Operation::PutObject),
        key: Some(location.to_string()),
        message: Some(format!("{bytes} bytes in one request, expected at most {MAX_PUT}")),
        ..S3Error::new(S3ErrorKind::TooLarge)
    };
    object_store::Error::Generic { store: "S3", source: Box::new(error) }
}

#[async_trait]
impl ObjectStore for Bucket {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        mut options: PutOptions,
    ) -> Result<PutResult> {
        if payload.content_length() as u64 > MAX_PUT {
            return Err(too_large(location, payload.content_length()));
        }
        self.complete(&mut options.attributes, &mut options.tags);
        self.inner.put_opts(location, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        mut options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.complete(&mut options.attributes, &mut options.tags);
        self.inner.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.inner.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.inner.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list_with_offset(prefix, offset)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

impl fmt::Display for Bucket {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.name)
    }
}
