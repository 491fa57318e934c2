//! A NAR on its way from one store to another.
//!
//! The channel is bounded, so a fast producer waits for a slow consumer and memory stays constant. It carries an
//! explicit end mark: a producer that panics, is cancelled or merely forgets to finish is an error at the other side,
//! never a short NAR that looks whole.

mod reader;
mod sender;
#[cfg(test)]
mod tests;

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use bytes::Bytes;
use nars3_store_path::Hash;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

pub use self::reader::NarReader;
pub use self::sender::{NarSender, NarWriter};
use crate::StoreError;

/// Bytes that a `NarWriter` gathers before it sends them on. Large enough that a channel operation costs nothing
/// beside hashing the bytes, small enough that thirty NARs in flight are a few MiB.
pub const CHUNK_SIZE: usize = 128 * 1024;

/// Chunks that may wait between the two sides of one NAR.
const CHUNKS_IN_FLIGHT: usize = 4;

/// The largest NAR whose chunks and end mark have room in the channel all at once, in bytes.
const FITS_WHOLE: u64 = ((CHUNKS_IN_FLIGHT - 1) * CHUNK_SIZE) as u64;

#[derive(Debug)]
enum Message {
    Data(Bytes),
    End,
    Failed(StoreError),
}

/// Looks at a NAR as it passes, and may refuse its end. Runs on the consumer's thread, so whatever hashes or parses
/// belongs to streams that are consumed on the blocking pool.
pub trait Inspector: Send {
    /// Sees the next bytes.
    fn inspect(&mut self, chunk: &[u8]);

    /// The producer declared the NAR complete; an error here takes the place of the end.
    fn conclude(&mut self) -> Result<(), StoreError>;
}

/// What fills a stream, on a thread that may block.
type Produce = Box<dyn FnOnce(&mut NarWriter<'_>) -> Result<(), StoreError> + Send>;

/// A producer that has not begun.
struct Lazy {
    sender: NarSender,
    produce: Produce,
    /// All that it makes has room in the channel.
    fits_whole: bool,
    /// Where it gets a thread of its own, whatever thread asks for the first chunk.
    runtime: Option<Handle>,
}

impl Lazy {
    /// Begins, on a thread of the blocking pool.
    fn begin(self) {
        let Self { sender, produce, runtime, .. } = self;
        let work = move || sender.run(produce);
        match runtime {
            Some(runtime) => drop(runtime.spawn_blocking(work)),
            None => drop(tokio::task::spawn_blocking(work)),
        }
    }
}

/// The receiving side of a NAR.
pub struct NarStream {
    receiver: mpsc::Receiver<Message>,
    /// Runs when the first chunk is asked for, see `from_blocking_sized`.
    lazy: Option<Lazy>,
    inspectors: Vec<Box<dyn Inspector>>,
    ended: bool,
    /// Whether the producer waits for nobody but the disk.
    at_hand: bool,
    /// NarHash and NarSize that the producer answers for.
    verified: Option<(Hash, u64)>,
    waited: Duration,
}

impl fmt::Debug for NarStream {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("NarStream").field("ended", &self.ended).finish_non_exhaustive()
    }
}

impl NarStream {
    /// A sender and the stream that it feeds.
    pub fn channel() -> (NarSender, Self) {
        let (sender, receiver) = mpsc::channel(CHUNKS_IN_FLIGHT);
        let stream = Self {
            receiver,
            lazy: None,
            inspectors: Vec::new(),
            ended: false,
            at_hand: false,
            verified: None,
            waited: Duration::ZERO,
        };
        (NarSender::new(sender), stream)
    }

    /// Runs `produce` on the blocking pool and gives the stream of what it writes. An error it returns, or a panic,
    /// reaches the consumer. Must be called inside a tokio runtime.
    pub fn from_blocking<F>(produce: F) -> Self
    where
        F: FnOnce(&mut NarWriter<'_>) -> Result<(), StoreError> + Send + 'static,
    {
        let (sender, stream) = Self::channel();
        tokio::task::spawn_blocking(move || sender.run(produce));
        stream
    }

    /// As `from_blocking`, for a NAR of at most `nar_size` bytes, which is produced when it is first asked for: a small one by
    /// the consumer's own thread if that may block, as two threads that hand one chunk to each other cost more than
    /// the chunk. More bytes than `nar_size` may then be an error.
    pub fn from_blocking_sized<F>(nar_size: u64, produce: F) -> Self
    where
        F: FnOnce(&mut NarWriter<'_>) -> Result<(), StoreError> + Send + 'static,
    {
        let (mut sender, mut stream) = Self::channel();
        sender.expect(nar_size);
        let fits_whole = nar_size <= FITS_WHOLE;
        let runtime = Handle::try_current().ok();
        stream.lazy = Some(Lazy { sender, produce: Box::new(produce), fits_whole, runtime });
        stream
    }

    /// The same stream, looked at by `inspector` on its way.
    #[must_use]
    pub fn inspected_by(mut self, inspector: Box<dyn Inspector>) -> Self {
        self.inspectors.push(inspector);
        self
    }

    /// The same stream, from a producer that answers for the NAR: it hashes every byte that it sends, and declares the
    /// NAR complete only if it had this NarHash and this NarSize. Consumers then need not hash it once more.
    #[must_use]
    pub fn verified_as(mut self, nar_hash: Hash, nar_size: u64) -> Self {
        self.verified = Some((nar_hash, nar_size));
        self
    }

    /// Whether the producer answers for this NarHash and this NarSize, see `verified_as`.
    pub fn is_verified_as(&self, nar_hash: &Hash, nar_size: u64) -> bool {
        self.verified.as_ref().is_some_and(|(hash, size)| hash == nar_hash && *size == nar_size)
    }

    /// Whether nothing has been produced yet and the consumer's thread is to do it, see `from_blocking_sized`: then it
    /// will hardly wait for anybody, or for nobody if the NAR `is_at_hand`.
    pub fn is_lazy(&self) -> bool {
        self.lazy.as_ref().is_some_and(|lazy| lazy.fits_whole)
    }

    /// The same stream, of a NAR that is made of what is on this machine.
    #[must_use]
    pub fn at_hand(mut self) -> Self {
        self.at_hand = true;
        self
    }

    /// Whether the NAR is made of what is on this machine, so that its producer waits for nobody.
    pub fn is_at_hand(&self) -> bool {
        self.at_hand
    }

    /// How long the consumer has waited for chunks until now.
    pub fn waited(&self) -> Duration {
        self.waited
    }

    /// The next chunk, or `None` after the producer declared the NAR complete.
    pub async fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
        if self.ended {
            return Ok(None);
        }
        if let Some(lazy) = self.lazy.take() {
            lazy.begin();
        }
        let message = match self.receiver.try_recv() {
            Ok(message) => Some(message),
            Err(_) => {
                let started = Instant::now();
                let message = self.receiver.recv().await;
                self.waited += started.elapsed();
                message
            }
        };
        self.accept(message)
    }

    /// As `next`, for a thread that may block. Must not be called on an async worker.
    pub fn blocking_next(&mut self) -> Result<Option<Bytes>, StoreError> {
        if self.ended {
            return Ok(None);
        }
        match self.lazy.take() {
            Some(Lazy { mut sender, produce, fits_whole: true, .. }) => {
                let started = Instant::now();
                sender.send_whole();
                // A panic drops the sender, which `accept` notices, as it does when the producer has a thread of its own.
                let _ = catch_unwind(AssertUnwindSafe(|| sender.run(produce)));
                self.waited += started.elapsed();
            }
            Some(lazy) => lazy.begin(),
            None => {}
        }
        let message = match self.receiver.try_recv() {
            Ok(message) => Some(message),
            Err(_) => {
                let started = Instant::now();
                let message = self.receiver.blocking_recv();
                self.waited += started.elapsed();
                message
            }
        };
        self.accept(message)
    }

    /// Gives every chunk to `take`, until the producer declares the NAR complete. A producer that has not begun works on this
    /// thread: for a consumer that has little to do with each chunk, and has somebody wait for it who needs the
    /// processor. An error of `take` ends it. For a thread that may block.
    pub fn blocking_for_each(
        mut self,
        mut take: impl FnMut(&[u8]) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let Some(Lazy { produce, .. }) = self.lazy.take() else {
            while let Some(chunk) = self.blocking_next()? {
                take(&chunk)?;
            }
            return Ok(());
        };
        let mut refused = None;
        let inspectors = &mut self.inspectors;
        let mut pass = |chunk: &[u8]| {
            if refused.is_some() {
                return false;
            }
            inspectors.iter_mut().for_each(|inspector| inspector.inspect(chunk));
            refused = take(chunk).err();
            refused.is_none()
        };
        let produced = catch_unwind(AssertUnwindSafe(|| {
            let mut writer = NarWriter::direct(&mut pass);
            produce(&mut writer)?;
            // The error is that of `take`, which is told below.
            writer.send_buffer().map_err(|_| StoreError::NarInterrupted)
        }));
        if let Some(error) = refused {
            return Err(error);
        }
        produced.unwrap_or(Err(StoreError::NarInterrupted))?;
        self.inspectors.iter_mut().try_for_each(|inspector| inspector.conclude())
    }

    /// The stream as a `Read`, for a thread that may block. A `StoreError` of the producer travels inside the
    /// `io::Error`; `StoreError::from_carrier` takes it out again.
    pub fn into_reader(self) -> NarReader {
        NarReader::new(self)
    }

    fn accept(&mut self, message: Option<Message>) -> Result<Option<Bytes>, StoreError> {
        match message {
            Some(Message::Data(bytes)) => {
                for inspector in &mut self.inspectors {
                    inspector.inspect(&bytes);
                }
                Ok(Some(bytes))
            }
            Some(Message::End) => {
                for inspector in &mut self.inspectors {
                    inspector.conclude()?;
                }
                self.ended = true;
                Ok(None)
            }
            Some(Message::Failed(error)) => Err(error),
            None => Err(StoreError::NarInterrupted),
        }
    }
}
