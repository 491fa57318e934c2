//! A NAR on its way from one store to another.
//!
//! The channel is bounded, so a fast producer waits for a slow consumer and memory stays constant. It carries an
//! explicit end mark: a producer that panics, is cancelled or merely forgets to finish is an error at the other side,
//! never a short NAR that looks whole.

use std::fmt;
use std::io::{self, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use nars3_store_path::Hash;
use tokio::sync::mpsc;

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
type Produce = Box<dyn FnOnce(&mut NarWriter) -> Result<(), StoreError> + Send>;

/// The receiving side of a NAR.
pub struct NarStream {
    receiver: mpsc::Receiver<Message>,
    /// Runs when the first chunk is asked for, see `from_blocking_sized`.
    lazy: Option<(NarSender, Produce)>,
    inspectors: Vec<Box<dyn Inspector>>,
    ended: bool,
    /// NarHash and NarSize that the producer answers for.
    verified: Option<(Hash, u64)>,
    waited: Duration,
}

impl fmt::Debug for NarStream {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("NarStream").field("ended", &self.ended).finish_non_exhaustive()
    }
}

/// The sending side of a NAR. Dropped without `finish`, it leaves the receiver with `StoreError::NarInterrupted`.
#[derive(Debug)]
pub struct NarSender {
    sender: mpsc::Sender<Message>,
    waited: Duration,
    /// Nobody takes a chunk before the end mark is sent: to wait for room would be to wait for ever.
    whole: bool,
    /// Bytes that a writer gathers: less than `CHUNK_SIZE` where the NAR is known to be smaller.
    chunk_size: usize,
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
            verified: None,
            waited: Duration::ZERO,
        };
        (NarSender { sender, waited: Duration::ZERO, whole: false, chunk_size: CHUNK_SIZE }, stream)
    }

    /// Runs `produce` on the blocking pool and gives the stream of what it writes. An error it returns, or a panic,
    /// reaches the consumer. Must be called inside a tokio runtime.
    pub fn from_blocking<F>(produce: F) -> Self
    where
        F: FnOnce(&mut NarWriter) -> Result<(), StoreError> + Send + 'static,
    {
        let (sender, stream) = Self::channel();
        tokio::task::spawn_blocking(move || sender.run(produce));
        stream
    }

    /// As `from_blocking`, for a NAR of at most `nar_size` bytes. A small one is produced when it is first asked for, and
    /// by the consumer's own thread if that may block: two threads that hand one chunk to each other cost more than
    /// the chunk. More bytes than `nar_size` may then be an error.
    pub fn from_blocking_sized<F>(nar_size: u64, produce: F) -> Self
    where
        F: FnOnce(&mut NarWriter) -> Result<(), StoreError> + Send + 'static,
    {
        if nar_size > FITS_WHOLE {
            return Self::from_blocking(produce);
        }
        let (mut sender, mut stream) = Self::channel();
        sender.chunk_size = usize::try_from(nar_size).unwrap_or(CHUNK_SIZE).clamp(1, CHUNK_SIZE);
        stream.lazy = Some((sender, Box::new(produce)));
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

    /// How long the consumer has waited for chunks until now.
    pub fn waited(&self) -> Duration {
        self.waited
    }

    /// The next chunk, or `None` after the producer declared the NAR complete.
    pub async fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
        if self.ended {
            return Ok(None);
        }
        if let Some((sender, produce)) = self.lazy.take() {
            tokio::task::spawn_blocking(move || sender.run(produce));
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
        if let Some((mut sender, produce)) = self.lazy.take() {
            let started = Instant::now();
            sender.whole = true;
            // A panic drops the sender, which `accept` notices, as it does when the producer has a thread of its own.
            let _ = catch_unwind(AssertUnwindSafe(|| sender.run(produce)));
            self.waited += started.elapsed();
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

    /// The stream as a `Read`, for a thread that may block. A `StoreError` of the producer travels inside the
    /// `io::Error`; `StoreError::from_carrier` takes it out again.
    pub fn into_reader(self) -> NarReader {
        NarReader { stream: self, current: Bytes::new() }
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

/// The consumer went away; there is nobody to send to.
fn hung_up() -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, "the consumer of a NAR went away")
}

/// Not what `from_blocking_sized` was promised.
fn too_long() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "a NAR is longer than announced")
}

impl NarSender {
    /// Sends a chunk, waiting for room. An error means that the consumer went away.
    pub async fn send(&mut self, chunk: Bytes) -> io::Result<()> {
        self.sender.send(Message::Data(chunk)).await.map_err(|_| hung_up())
    }

    /// As `send`, for a thread that may block.
    pub fn blocking_send(&mut self, chunk: Bytes) -> io::Result<()> {
        // Most of the time there is room, and nothing to measure.
        match self.sender.try_send(Message::Data(chunk)) {
            Ok(()) => Ok(()),
            Err(mpsc::error::TrySendError::Closed(_)) => Err(hung_up()),
            Err(mpsc::error::TrySendError::Full(_)) if self.whole => Err(too_long()),
            Err(mpsc::error::TrySendError::Full(message)) => {
                let started = Instant::now();
                let sent = self.sender.blocking_send(message).map_err(|_| hung_up());
                self.waited += started.elapsed();
                sent
            }
        }
    }

    /// Runs `produce` to its end, on a thread that may block.
    fn run(self, produce: impl FnOnce(&mut NarWriter) -> Result<(), StoreError>) {
        let mut writer = self.into_writer();
        match produce(&mut writer) {
            Ok(()) => writer.finish(),
            Err(error) => writer.fail(error),
        }
    }

    /// The last message. Without it the consumer knows that the NAR was interrupted.
    fn conclude(self, message: Message) {
        if self.whole {
            let _ = self.sender.try_send(message);
        } else {
            let _ = self.sender.blocking_send(message);
        }
    }

    /// Returns when the consumer has gone away.
    pub(crate) async fn closed(&self) {
        self.sender.closed().await;
    }

    /// Declares the NAR complete. That the consumer went away meanwhile is its own business.
    pub async fn finish(self) {
        let _ = self.sender.send(Message::End).await;
    }

    /// Tells the consumer that the NAR cannot be completed, and why.
    pub async fn fail(self, error: StoreError) {
        let _ = self.sender.send(Message::Failed(error)).await;
    }

    /// The sender as a `Write` that gathers chunks of `CHUNK_SIZE`, for a thread that may block.
    pub fn into_writer(self) -> NarWriter {
        NarWriter { sender: self, buffer: BytesMut::new() }
    }
}

/// A `Write` whose bytes become the chunks of a `NarStream`. For threads that may block.
#[derive(Debug)]
pub struct NarWriter {
    sender: NarSender,
    buffer: BytesMut,
}

impl NarWriter {
    /// How long the producer has waited for room until now.
    pub fn waited(&self) -> Duration {
        self.sender.waited
    }

    /// Sends what is left and declares the NAR complete.
    pub fn finish(mut self) {
        if self.send_buffer().is_ok() {
            self.sender.conclude(Message::End);
        }
    }

    /// Tells the consumer that the NAR cannot be completed, and why.
    pub fn fail(self, error: StoreError) {
        self.sender.conclude(Message::Failed(error));
    }

    fn send_buffer(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let chunk = self.buffer.split().freeze();
        self.sender.blocking_send(chunk)
    }
}

impl Write for NarWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let chunk_size = self.sender.chunk_size;
        if self.buffer.capacity() == 0 {
            self.buffer.reserve(chunk_size);
        }
        let room = chunk_size - self.buffer.len();
        let taken = bytes.len().min(room);
        self.buffer.extend_from_slice(bytes.get(..taken).unwrap_or(bytes));
        if self.buffer.len() >= chunk_size {
            self.send_buffer()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        // There is room for full chunks only.
        if self.sender.whole { Ok(()) } else { self.send_buffer() }
    }
}

/// A `Read` over a `NarStream`. For threads that may block.
#[derive(Debug)]
pub struct NarReader {
    stream: NarStream,
    current: Bytes,
}

impl NarReader {
    /// How long the consumer has waited for chunks until now.
    pub fn waited(&self) -> Duration {
        self.stream.waited()
    }
}

impl Read for NarReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() {
            match self.stream.blocking_next().map_err(StoreError::into_carrier)? {
                Some(chunk) => self.current = chunk,
                None => return Ok(0),
            }
        }
        let count = buffer.len().min(self.current.len());
        let chunk = self.current.split_to(count);
        buffer.get_mut(..count).unwrap_or_default().copy_from_slice(&chunk);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_written_arrives_whole() {
        let data: Vec<u8> = (0..3 * CHUNK_SIZE + 17).map(|i| (i % 251) as u8).collect();
        let sent = data.clone();
        let stream = NarStream::from_blocking(move |writer| {
            writer.write_all(&sent).map_err(|source| StoreError::Backend {
                store: "test".into(),
                action: "write".into(),
                source: source.into(),
            })
        });
        let read = tokio::task::spawn_blocking(move || {
            let mut all = Vec::new();
            stream.into_reader().read_to_end(&mut all).map(|_| all)
        });
        assert_eq!(read.await.unwrap().unwrap(), data);
    }

    #[tokio::test]
    async fn a_sender_that_vanishes_is_not_an_end() {
        let (mut sender, mut stream) = NarStream::channel();
        sender.send(Bytes::from_static(b"half")).await.unwrap();
        drop(sender);
        assert_eq!(stream.next().await.unwrap().unwrap(), "half");
        assert!(matches!(stream.next().await, Err(StoreError::NarInterrupted)));
    }

    #[tokio::test]
    async fn a_producer_that_panics_is_not_an_end() {
        let mut stream = NarStream::from_blocking(|_| panic!("on purpose"));
        assert!(matches!(stream.next().await, Err(StoreError::NarInterrupted)));
    }

    #[tokio::test]
    async fn the_producers_error_reaches_a_reader() {
        let stream = NarStream::from_blocking(|_| {
            Err(StoreError::Unsupported { store: "test".into(), operation: "produce" })
        });
        let result = tokio::task::spawn_blocking(move || stream.into_reader().read_to_end(&mut Vec::new()));
        let error = StoreError::from_carrier(result.await.unwrap().unwrap_err());
        assert!(matches!(error, Ok(StoreError::Unsupported { .. })));
    }

    fn write_all(writer: &mut NarWriter, bytes: &[u8]) -> Result<(), StoreError> {
        writer.write_all(bytes).map_err(|_| StoreError::NarInterrupted)
    }

    /// The bytes of a small stream, read by a thread that may block.
    async fn read(stream: NarStream) -> io::Result<Vec<u8>> {
        let read = tokio::task::spawn_blocking(move || {
            let mut all = Vec::new();
            stream.into_reader().read_to_end(&mut all).map(|_| all)
        });
        read.await.unwrap()
    }

    #[tokio::test]
    async fn a_small_nar_is_produced_by_the_thread_that_reads_it() {
        let producer = std::sync::Arc::new(std::sync::OnceLock::new());
        let seen = std::sync::Arc::clone(&producer);
        let stream = NarStream::from_blocking_sized(FITS_WHOLE, move |writer| {
            seen.set(std::thread::current().id()).unwrap();
            write_all(writer, b"first")?;
            writer.flush().unwrap();
            write_all(writer, &vec![7; FITS_WHOLE as usize - 5])
        });
        assert!(producer.get().is_none(), "nobody has asked yet");
        let reader = tokio::task::spawn_blocking(move || {
            let mut all = Vec::new();
            stream.into_reader().read_to_end(&mut all).unwrap();
            (std::thread::current().id(), all.len() as u64)
        });
        let (thread, length) = reader.await.unwrap();
        assert_eq!((producer.get(), length), (Some(&thread), FITS_WHOLE));
    }

    #[tokio::test]
    async fn a_small_nar_is_produced_for_a_task_too() {
        let mut stream = NarStream::from_blocking_sized(5, |writer| write_all(writer, b"bytes"));
        assert_eq!(stream.next().await.unwrap().unwrap(), "bytes");
        assert!(stream.next().await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_small_nar_that_grows_is_an_error_and_no_deadlock() {
        for excess in [1, CHUNK_SIZE, 9 * CHUNK_SIZE] {
            let bytes = vec![0; FITS_WHOLE as usize + excess];
            let stream = NarStream::from_blocking_sized(FITS_WHOLE, move |writer| write_all(writer, &bytes));
            assert!(read(stream).await.is_err(), "{excess}");
        }
    }

    #[tokio::test]
    async fn a_small_nar_that_fails_or_panics_is_not_an_end() {
        let unsupported = || StoreError::Unsupported { store: "test".into(), operation: "produce" };
        let failing = NarStream::from_blocking_sized(9, move |writer| {
            write_all(writer, b"half")?;
            Err(unsupported())
        });
        let error = StoreError::from_carrier(read(failing).await.unwrap_err());
        assert!(matches!(error, Ok(StoreError::Unsupported { .. })));
        let panicking = NarStream::from_blocking_sized(9, |_| panic!("on purpose"));
        let error = StoreError::from_carrier(read(panicking).await.unwrap_err());
        assert!(matches!(error, Ok(StoreError::NarInterrupted)));
    }

    struct Refuser;

    impl Inspector for Refuser {
        fn inspect(&mut self, _chunk: &[u8]) {}

        fn conclude(&mut self) -> Result<(), StoreError> {
            Err(StoreError::Unsupported { store: "test".into(), operation: "pass" })
        }
    }

    #[tokio::test]
    async fn an_inspector_can_refuse_the_end() {
        let stream = NarStream::from_blocking(|writer| {
            let _ = writer.write_all(b"bytes");
            Ok(())
        });
        let mut stream = stream.inspected_by(Box::new(Refuser));
        assert_eq!(stream.next().await.unwrap().unwrap(), "bytes");
        assert!(stream.next().await.is_err());
    }

    #[tokio::test]
    async fn a_producer_answers_for_one_hash_and_one_size() {
        let (hash, other) = (Hash::sha256([1; 32]), Hash::sha256([2; 32]));
        let (_sender, stream) = NarStream::channel();
        assert!(!stream.is_verified_as(&hash, 7));
        let stream = stream.verified_as(hash, 7);
        assert!(stream.is_verified_as(&hash, 7));
        assert!(!stream.is_verified_as(&hash, 8) && !stream.is_verified_as(&other, 7));
    }

    #[tokio::test]
    async fn a_consumer_that_leaves_stops_the_producer() {
        let (mut sender, stream) = NarStream::channel();
        drop(stream);
        let error = sender.send(Bytes::from_static(b"x")).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }
}
