//! Reading large objects: streamed to a thread that may block, and resumed where a broken body left off.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use nars3_store_api::{CHUNK_SIZE, Stage, StoreError, Work};
use object_store::path::Path;
use object_store::{GetOptions, GetRange, GetResultPayload, ObjectStore};
use tokio::sync::mpsc;

use super::{Answer, Objects, answer, content_encoding};
use crate::location::without_query;

/// Chunks that may wait between the network and the thread that consumes them. Chunks are what the transport gives,
/// 16 KiB or so, so this is some hundred KiB a body.
const CHUNKS_IN_FLIGHT: usize = 32;

/// The wait before the second attempt; it doubles with each.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// An object whose first byte is on its way.
#[derive(Debug)]
pub(crate) struct Download {
    /// Bytes of the whole object, as it is stored.
    pub(crate) object_size: u64,
    /// Its Content-Encoding; empty if none.
    pub(crate) encoding: String,
    /// The bytes.
    pub(crate) body: Body,
    /// How long the consumer has waited for them.
    pub(crate) waited: Waited,
}

/// Time that is added up on one thread and asked for on another.
#[derive(Debug, Clone, Default)]
pub(crate) struct Waited(Arc<AtomicU64>);

impl Waited {
    pub(crate) fn so_far(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::Relaxed))
    }

    fn add(&self, waited: Duration) {
        self.0.fetch_add(u64::try_from(waited.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

/// The bytes of an object, as a `BufRead` for a thread that may block. Fewer bytes than announced are an error, not
/// an end.
#[derive(Debug)]
pub(crate) enum Body {
    File(FileBody),
    Stream(StreamBody),
}

/// A file of a cache on this machine, read without a detour.
#[derive(Debug)]
pub(crate) struct FileBody {
    objects: Arc<Objects>,
    reader: BufReader<File>,
    range: Range<u64>,
    positioned: bool,
}

/// Chunks that a task takes from the network.
#[derive(Debug)]
pub(crate) struct StreamBody {
    chunks: mpsc::Receiver<io::Result<Bytes>>,
    current: Bytes,
    remaining: u64,
    waited: Waited,
}

impl Objects {
    /// The object under `key`, or `range` of it; `None` if there is none.
    pub(crate) async fn download(
        self: &Arc<Self>,
        key: &str,
        range: Option<Range<u64>>,
    ) -> Result<Option<Download>, StoreError> {
        let (store, path) = self.place(key)?;
        self.download_at((store, path), without_query(key), range, true).await
    }

    /// As `download`, from another object store than the cache's own. `name` is what messages call the object.
    pub(crate) async fn download_from(
        self: &Arc<Self>,
        store: Arc<dyn ObjectStore>,
        path: Path,
        name: &str,
        range: Option<Range<u64>>,
    ) -> Result<Option<Download>, StoreError> {
        self.download_at((store, path), name, range, false).await
    }

    /// What access denied means is known of the `own` object store only.
    async fn download_at(
        self: &Arc<Self>,
        (store, path): (Arc<dyn ObjectStore>, Path),
        name: &str,
        range: Option<Range<u64>>,
        own: bool,
    ) -> Result<Option<Download>, StoreError> {
        self.stats.count_get();
        let options = GetOptions::new().with_range(range.clone().map(GetRange::Bounded));
        let mut answered = store.get_opts(&path, options).await;
        let mut part = None;
        if let Some(range) = range
            && matches!(&answered, Err(error) if answer(error) == Answer::NotSupported)
        {
            // A web server may give whole files only.
            tracing::debug!(store = %self.uri, key = name, "the server has no ranges");
            self.stats.count_get();
            answered = store.get_opts(&path, GetOptions::new()).await;
            part = Some(range);
        }
        if let Err(error) = &answered
            && own
        {
            self.settle_denial(name, error).await;
        }
        let found = match answered {
            Ok(found) => found,
            Err(error) if own && self.is_missing(name, &error) => return Ok(None),
            Err(error) if answer(&error) == Answer::Missing => return Ok(None),
            Err(error) => return Err(self.failed(format!("read '{name}'"), error)),
        };
        let (object_size, encoding) = (found.meta.size, content_encoding(&found));
        let range = match &part {
            Some(part) => part.start.min(object_size)..part.end.min(object_size),
            None => found.range.clone(),
        };
        let tag = found.meta.e_tag.clone();
        let waited = Waited::default();
        let body = match found.payload {
            GetResultPayload::File(file, _) => Body::File(FileBody::new(Arc::clone(self), file, range)),
            GetResultPayload::Stream(stream) => {
                let stream = if part.is_some() { cut(stream, range.clone()) } else { stream };
                let (sender, chunks) = mpsc::channel(CHUNKS_IN_FLIGHT);
                let remaining = range.end.saturating_sub(range.start);
                let pump = Pump {
                    objects: Arc::clone(self),
                    store,
                    path,
                    tag,
                    range,
                    sender,
                    fruitless: 0,
                    waited: Duration::ZERO,
                };
                tokio::spawn(pump.pump(stream));
                let waited = waited.clone();
                Body::Stream(StreamBody { chunks, current: Bytes::new(), remaining, waited })
            }
        };
        Ok(Some(Download { object_size, encoding, body, waited }))
    }
}

/// As much as is to be read, as far as that is sensible.
fn buffer_size(range: &Range<u64>) -> usize {
    let length = range.end.saturating_sub(range.start);
    usize::try_from(length).unwrap_or(CHUNK_SIZE).clamp(1, CHUNK_SIZE)
}

/// The part of a whole object, whose rest is not waited for.
fn cut(
    stream: BoxStream<'static, object_store::Result<Bytes>>,
    range: Range<u64>,
) -> BoxStream<'static, object_store::Result<Bytes>> {
    stream::try_unfold((stream, 0u64), move |(mut stream, mut at)| {
        let range = range.clone();
        async move {
            while at < range.end {
                let Some(mut chunk) = stream.try_next().await? else { return Ok(None) };
                let (begin, end) = (at, at + chunk.len() as u64);
                at = end;
                let length = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
                chunk.truncate(length(range.end - begin).min(chunk.len()));
                let before = length(range.start.saturating_sub(begin)).min(chunk.len());
                let chunk = chunk.split_off(before);
                if !chunk.is_empty() {
                    return Ok(Some((chunk, (stream, at))));
                }
            }
            Ok(None)
        }
    })
    .boxed()
}

/// The task that takes a body from the network.
struct Pump {
    objects: Arc<Objects>,
    store: Arc<dyn ObjectStore>,
    path: Path,
    tag: Option<String>,
    /// What is still to come.
    range: Range<u64>,
    sender: mpsc::Sender<io::Result<Bytes>>,
    /// Attempts that did not give a single byte more. Every byte that comes starts the count anew, so a slow and shaky
    /// line finishes, and a dead one does not hang.
    fruitless: u32,
    /// For room in the channel.
    waited: Duration,
}

impl Pump {
    async fn pump(mut self, stream: BoxStream<'static, object_store::Result<Bytes>>) {
        let mut work = Work::begin(Stage::Download);
        self.run(stream).await;
        work.waited_for_output(self.waited);
        self.objects.report_work(work);
    }

    async fn run(&mut self, mut stream: BoxStream<'static, object_store::Result<Bytes>>) {
        loop {
            let trouble = match stream.next().await {
                Some(Ok(chunk)) => {
                    if !self.pass_on(chunk).await {
                        return;
                    }
                    continue;
                }
                None if self.range.is_empty() => return,
                None => io::Error::from(io::ErrorKind::UnexpectedEof),
                Some(Err(error)) => error.into(),
            };
            stream = match self.resume(trouble).await {
                Ok(stream) => stream,
                Err(error) => {
                    // Nobody is left to be told when the consumer went away.
                    let _ = self.sender.send(Err(error)).await;
                    return;
                }
            };
        }
    }

    /// Gives a chunk to the consumer. False when there is nobody to give more to.
    async fn pass_on(&mut self, chunk: Bytes) -> bool {
        if chunk.is_empty() {
            return true;
        }
        let wanted = self.range.end.saturating_sub(self.range.start);
        if chunk.len() as u64 > wanted {
            let error = io::Error::new(
                io::ErrorKind::InvalidData,
                format!("'{}' sent more bytes than it announced", self.path),
            );
            let _ = self.sender.send(Err(error)).await;
            return false;
        }
        self.fruitless = 0;
        self.objects.received(chunk.len());
        self.range.start += chunk.len() as u64;
        match self.sender.try_send(Ok(chunk)) {
            Ok(()) => true,
            Err(mpsc::error::TrySendError::Closed(_)) => false,
            Err(mpsc::error::TrySendError::Full(chunk)) => {
                let started = Instant::now();
                let sent = self.sender.send(chunk).await.is_ok();
                self.waited += started.elapsed();
                sent
            }
        }
    }

    /// Asks for what is still to come, of the same version of the object.
    async fn resume(
        &mut self,
        mut trouble: io::Error,
    ) -> io::Result<BoxStream<'static, object_store::Result<Bytes>>> {
        loop {
            if self.fruitless >= self.objects.limits.body_attempts {
                return Err(trouble);
            }
            if self.fruitless > 0 {
                tokio::time::sleep(FIRST_PAUSE * 2_u32.pow(self.fruitless - 1)).await;
            }
            self.fruitless += 1;
            tracing::debug!(key = %self.path, offset = self.range.start, error = %trouble, "resuming a broken body");
            self.objects.stats.count_get();
            let mut options = GetOptions::new().with_range(Some(GetRange::Bounded(self.range.clone())));
            options.if_match = self.tag.clone();
            match self.store.get_opts(&self.path, options).await {
                Ok(found) if found.range == self.range => return Ok(found.into_stream()),
                Ok(found) => {
                    return Err(io::Error::new(
                        io::ErrorKind::InvalidData,
                        format!(
                            "bytes {:?} of '{}' came instead of {:?}",
                            found.range, self.path, self.range
                        ),
                    ));
                }
                Err(error) if answer(&error) == Answer::Failed => trouble = error.into(),
                // Gone, replaced or forbidden meanwhile: no attempt will change that.
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl Download {
    /// The whole of a file of this machine.
    pub(super) fn of_file(body: FileBody, size: u64) -> Self {
        Self { object_size: size, encoding: String::new(), body: Body::File(body), waited: Waited::default() }
    }
}

impl FileBody {
    fn new(objects: Arc<Objects>, file: File, range: Range<u64>) -> Self {
        let reader = BufReader::with_capacity(buffer_size(&range), file);
        Self { objects, reader, range, positioned: false }
    }

    /// A file that was just opened, from its beginning.
    pub(super) fn whole(objects: Arc<Objects>, file: File, size: u64) -> Self {
        Self { positioned: true, ..Self::new(objects, file, 0..size) }
    }

    fn fill(&mut self) -> io::Result<&[u8]> {
        if self.range.is_empty() {
            return Ok(&[]);
        }
        if !self.positioned {
            self.reader.seek(SeekFrom::Start(self.range.start))?;
            self.positioned = true;
        }
        let wanted = usize::try_from(self.range.end - self.range.start).unwrap_or(usize::MAX);
        let buffer = self.reader.fill_buf()?;
        if buffer.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(buffer.get(..wanted).unwrap_or(buffer))
    }

    fn advance(&mut self, amount: usize) {
        self.objects.received(amount);
        self.range.start += amount as u64;
        self.reader.consume(amount);
    }
}

impl StreamBody {
    fn fill(&mut self) -> io::Result<&[u8]> {
        while self.current.is_empty() && self.remaining > 0 {
            let received = match self.chunks.try_recv() {
                Ok(chunk) => Some(chunk),
                Err(_) => {
                    let started = Instant::now();
                    let received = self.chunks.blocking_recv();
                    self.waited.add(started.elapsed());
                    received
                }
            };
            match received {
                Some(chunk) => self.current = chunk?,
                // The task ended without a word: it was cancelled, or it panicked.
                None => return Err(io::ErrorKind::UnexpectedEof.into()),
            }
        }
        Ok(&self.current)
    }

    fn advance(&mut self, amount: usize) {
        let _ = self.current.split_to(amount.min(self.current.len()));
        self.remaining = self.remaining.saturating_sub(amount as u64);
    }
}

impl BufRead for Body {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        match self {
            Self::File(body) => body.fill(),
            Self::Stream(body) => body.fill(),
        }
    }

    fn consume(&mut self, amount: usize) {
        match self {
            Self::File(body) => body.advance(amount),
            Self::Stream(body) => body.advance(amount),
        }
    }
}

impl Read for Body {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let count = available.len().min(buffer.len());
        if let (Some(to), Some(from)) = (buffer.get_mut(..count), available.get(..count)) {
            to.copy_from_slice(from);
        }
        self.consume(count);
        Ok(count)
    }
}
