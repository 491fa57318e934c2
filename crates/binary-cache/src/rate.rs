//! A bound on the bytes a second that go to object stores and come from them.

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use nars3_store_api::Pace;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, UploadPart,
};

/// The longest that one request may keep the line busy. Nobody waits so long, and no clock overflows.
const LONGEST: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Bytes a second, counted for each direction on its own, as they travel: in and out of object stores compressed, and as
/// NARs where it is a `Pace`. All stores that were limited by
/// one value share it. A request is not split: a part of 8 MiB goes out in one piece, and the next one waits for its turn.
#[derive(Debug)]
pub struct RateLimit {
    bytes_per_second: u64,
    sent: Mutex<Schedule>,
    received: Mutex<Schedule>,
}

impl RateLimit {
    /// At most so many bytes a second; 0 counts as 1.
    pub fn new(bytes_per_second: u64) -> Arc<Self> {
        let bytes_per_second = bytes_per_second.max(1);
        Arc::new(Self { bytes_per_second, sent: Mutex::default(), received: Mutex::default() })
    }

    /// The same store, held to this limit.
    pub fn limit(self: &Arc<Self>, store: Arc<dyn ObjectStore>) -> Arc<dyn ObjectStore> {
        Arc::new(Limited { store, rate: Arc::clone(self) })
    }

    async fn take(&self, schedule: &Mutex<Schedule>, bytes: usize) {
        let wait = {
            let mut schedule = schedule.lock().unwrap_or_else(PoisonError::into_inner);
            schedule.book(Instant::now(), bytes as u64, self.bytes_per_second)
        };
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
    }
}

/// When the line is free again.
#[derive(Debug, Default)]
struct Schedule {
    free: Option<Instant>,
}

impl Schedule {
    /// Books the line for `bytes`, and gives the time until they may go: when all that were booked before are through.
    fn book(&mut self, now: Instant, bytes: u64, bytes_per_second: u64) -> Duration {
        let start = self.free.map_or(now, |free| free.max(now));
        let takes = Duration::try_from_secs_f64(bytes as f64 / bytes_per_second as f64);
        self.free = Some(start + takes.unwrap_or(LONGEST).min(LONGEST));
        start.duration_since(now)
    }
}

/// NARs that pass from one store to another, where neither is a cache: they count once, uncompressed.
#[async_trait]
impl Pace for RateLimit {
    async fn wait_for(&self, bytes: u64) {
        self.take(&self.sent, usize::try_from(bytes).unwrap_or(usize::MAX)).await;
    }
}

#[derive(Debug)]
struct Limited {
    store: Arc<dyn ObjectStore>,
    rate: Arc<RateLimit>,
}

impl fmt::Display for Limited {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.store.fmt(formatter)
    }
}

#[async_trait]
impl ObjectStore for Limited {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.rate.take(&self.rate.sent, payload.content_length()).await;
        self.store.put_opts(location, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let upload = self.store.put_multipart_opts(location, options).await?;
        Ok(Box::new(LimitedUpload { upload, rate: Arc::clone(&self.rate) }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let found = self.store.get_opts(location, options).await?;
        let (meta, range, attributes) = (found.meta.clone(), found.range.clone(), found.attributes.clone());
        let extensions = found.extensions.clone();
        let rate = Arc::clone(&self.rate);
        let body = found.into_stream().then(move |chunk| {
            let rate = Arc::clone(&rate);
            async move {
                if let Ok(chunk) = &chunk {
                    rate.take(&rate.received, chunk.len()).await;
                }
                chunk
            }
        });
        Ok(GetResult { payload: GetResultPayload::Stream(body.boxed()), meta, range, attributes, extensions })
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let found = self.store.get_ranges(location, ranges).await?;
        self.rate.take(&self.rate.received, found.iter().map(Bytes::len).sum()).await;
        Ok(found)
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.store.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.store.list(prefix)
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        self.store.list_with_offset(prefix, offset)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.store.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.store.copy_opts(from, to, options).await
    }
}

#[derive(Debug)]
struct LimitedUpload {
    upload: Box<dyn MultipartUpload>,
    rate: Arc<RateLimit>,
}

#[async_trait]
impl MultipartUpload for LimitedUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let (bytes, rate) = (data.content_length(), Arc::clone(&self.rate));
        let sending = self.upload.put_part(data);
        Box::pin(async move {
            rate.take(&rate.sent, bytes).await;
            sending.await
        })
    }

    async fn complete(&mut self) -> Result<PutResult> {
        self.upload.complete().await
    }

    async fn abort(&mut self) -> Result<()> {
        self.upload.abort().await
    }
}

#[cfg(test)]
mod tests {
    use object_store::ObjectStoreExt;
    use object_store::memory::InMemory;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn what_was_booked_before_goes_first() {
        let mut schedule = Schedule::default();
        let now = Instant::now();
        assert_eq!(schedule.book(now, 1000, 1000), Duration::ZERO);
        assert_eq!(schedule.book(now, 500, 1000), SECOND);
        assert_eq!(schedule.book(now + SECOND, 500, 1000), SECOND / 2);
    }

    #[test]
    fn an_idle_line_saves_nothing_up() {
        let mut schedule = Schedule::default();
        let now = Instant::now();
        schedule.book(now, 1000, 1000);
        let later = now + 60 * SECOND;
        assert_eq!(schedule.book(later, 1000, 1000), Duration::ZERO);
        assert_eq!(schedule.book(later, 1000, 1000), SECOND);
    }

    #[test]
    fn the_longest_wait_is_no_panic() {
        let mut schedule = Schedule::default();
        let now = Instant::now();
        schedule.book(now, u64::MAX, 1);
        schedule.book(now, 1, 1);
    }

    #[tokio::test]
    async fn what_goes_through_is_booked_and_comes_out_whole() {
        let rate = RateLimit::new(1 << 40);
        let store = rate.limit(Arc::new(InMemory::new()));
        let key = Path::from("key");
        store.put(&key, Bytes::from(vec![7; 5000]).into()).await.unwrap();
        assert_eq!(store.get(&key).await.unwrap().bytes().await.unwrap(), vec![7; 5000]);
        let mut upload = store.put_multipart(&key).await.unwrap();
        upload.put_part(Bytes::from(vec![8; 6000]).into()).await.unwrap();
        upload.complete().await.unwrap();
        assert_eq!(store.get(&key).await.unwrap().bytes().await.unwrap(), vec![8; 6000]);
        for schedule in [&rate.sent, &rate.received] {
            assert!(schedule.lock().unwrap().free.is_some(), "nothing was booked");
        }
    }
}
