//! What a cache on a web server does beyond an object store, at the rate that is allowed.

use std::sync::Arc;

use async_trait::async_trait;
use futures::StreamExt;
use nars3_binary_cache::{FileToSend, RateLimit, WebPlace, WebServer};
use nars3_s3::{StreamedBody, WebCache};
use nars3_store_api::{BoxError, Pace};
use object_store::path::Path as ObjectPath;
use object_store::{Attributes, ObjectStore};

#[derive(Debug)]
pub(super) struct OwnServer {
    pub(super) cache: Arc<WebCache>,
    pub(super) rate: Option<Arc<RateLimit>>,
}

#[async_trait]
impl WebServer for OwnServer {
    fn resolve(&self, url: &str) -> Option<WebPlace> {
        Some(match self.cache.resolve(url)? {
            nars3_s3::WebPlace::Own(url) => WebPlace::Own(url),
            nars3_s3::WebPlace::Other(url) => WebPlace::Other(url),
        })
    }

    fn object(&self, url: &str) -> Result<(Arc<dyn ObjectStore>, ObjectPath), BoxError> {
        let (store, place) = self.cache.object(url)?;
        Ok((
            self.rate.as_ref().map_or_else(|| Arc::clone(&store), |rate| rate.limit(Arc::clone(&store))),
            place,
        ))
    }

    async fn put_file(
        &self,
        key: &ObjectPath,
        file: FileToSend,
        headers: Attributes,
    ) -> Result<(), object_store::Error> {
        let rate = self.rate.clone();
        let body = StreamedBody::new(file.size(), move || {
            let rate = rate.clone();
            let paced = file.chunks().then(move |chunk| {
                let rate = rate.clone();
                async move {
                    if let (Some(rate), Ok(chunk)) = (&rate, &chunk) {
                        rate.wait_for(chunk.len() as u64).await;
                    }
                    chunk
                }
            });
            paced.boxed()
        });
        self.cache.put_streamed(key, body, headers).await.map(drop)
    }
}
