//! A cache's web server: an object store, and what object stores have no words for.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::BoxStream;
use object_store::http::HttpStore;
use object_store::path::Path;
use object_store::{
    Attributes, CopyOptions, Error, GetOptions, GetResult, HeaderValue, ListResult, MultipartUpload,
    ObjectMeta, ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
    RetryConfig,
};
use reqwest::Url;

use super::service::{Origin, Service};
use super::single;
use super::upload::{Addition, Condition, NoConditions, StreamedBody};
use crate::error::S3OpenError;

/// A cache on a web server.
///
/// As an object store it writes with conditions: `PutMode::Create` sends `If-None-Match: *` and `PutMode::Update`
/// `If-Match`. Many servers pass over both in silence, so whoever needs them looks first as well.
#[derive(Debug)]
pub struct WebCache {
    pub(super) store: HttpStore,
    pub(super) url: Url,
    pub(super) retries: RetryConfig,
    pub(super) service: Service,
}

/// Where a URL in a cache leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WebPlace {
    /// To the cache's own scheme, host and port: the whole URL.
    Own(String),
    /// To another server: the whole URL.
    Other(String),
}

impl WebCache {
    /// Where `url` leads, which may be relative to the cache's own. `None` for what is no URL of a web server.
    pub fn resolve(&self, url: &str) -> Option<WebPlace> {
        let mut base = self.url.clone();
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        base.set_query(None);
        let mut url = base.join(url).ok()?;
        url.set_fragment(None);
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return None;
        }
        // Who asks is not for a narinfo to say.
        url.set_username("").and_then(|()| url.set_password(None)).ok()?;
        let own = Origin::of(&url) == self.service.origin;
        Some(if own { WebPlace::Own(url.into()) } else { WebPlace::Other(url.into()) })
    }

    /// What `url` leads to on the cache's own server, query and all: a store that has nothing else, and the place there.
    /// The cache's credentials go along.
    ///
    /// # Errors
    /// It leads to another server, or nowhere.
    pub fn object(&self, url: &str) -> std::result::Result<(Arc<dyn ObjectStore>, Path), S3OpenError> {
        match self.resolve(url).map(|place| (Url::parse(place.url()), place)) {
            Some((Ok(url), WebPlace::Own(_))) => single(url, self.retries.clone(), self.service.clone()),
            _ => Err(S3OpenError::Endpoint {
                url: url.split(['?', '#']).next().unwrap_or(url).to_owned(),
                reason: "it is not on the cache's own server".to_owned(),
            }),
        }
    }

    /// Writes an object whose bytes are read while they are sent, and anew by each attempt.
    ///
    /// # Errors
    /// As any write.
    pub async fn put_streamed(
        &self,
        location: &Path,
        body: StreamedBody,
        attributes: Attributes,
    ) -> Result<PutResult> {
        let options = PutOptions { attributes, ..PutOptions::default() };
        let addition = Addition { body: Some(body), ..Addition::default() };
        addition.with(self.store.put_opts(location, PutPayload::default(), options)).await
    }

    async fn put_if(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
        condition: Condition,
    ) -> Result<PutResult> {
        let absent = matches!(condition, Condition::Absent);
        let options = PutOptions { mode: PutMode::Overwrite, ..options };
        let addition = Addition { condition: Some(condition), ..Addition::default() };
        match addition.with(self.store.put_opts(location, payload, options)).await {
            Err(Error::Precondition { path, source }) if absent => Err(Error::AlreadyExists { path, source }),
            Err(error) if has_no_conditions(&error) => Err(Error::NotSupported { source: Box::new(error) }),
            written => written,
        }
    }
}

impl WebPlace {
    /// The whole URL.
    pub fn url(&self) -> &str {
        match self {
            Self::Own(url) | Self::Other(url) => url,
        }
    }
}

fn has_no_conditions(error: &Error) -> bool {
    let mut next: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(error) = next {
        if error.is::<NoConditions>() {
            return true;
        }
        next = error.source();
    }
    false
}

impl fmt::Display for WebCache {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.store.fmt(formatter)
    }
}

#[async_trait]
impl ObjectStore for WebCache {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let condition = match &options.mode {
            PutMode::Overwrite => return self.store.put_opts(location, payload, options).await,
            PutMode::Create => Condition::Absent,
            PutMode::Update(version) => match version.e_tag.as_deref().map(HeaderValue::from_str) {
                Some(Ok(tag)) => Condition::Unchanged(tag),
                _ => return Err(Error::NotSupported { source: "there is no ETag to compare".into() }),
            },
        };
        self.put_if(location, payload, options, condition).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.store.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.store.get_opts(location, options).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.store.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.store.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.store.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.store.copy_opts(from, to, options).await
    }
}
