//! The producer's side of a NAR.

use std::fmt;
use std::io::{self, Write};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use tokio::sync::mpsc;

use super::{CHUNK_SIZE, Message};
use crate::StoreError;

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

impl NarSender {
    pub(super) fn new(sender: mpsc::Sender<Message>) -> Self {
        Self { sender, waited: Duration::ZERO, whole: false, chunk_size: CHUNK_SIZE }
    }

    /// The NAR has at most so many bytes.
    pub(super) fn expect(&mut self, nar_size: u64) {
        self.chunk_size = usize::try_from(nar_size).unwrap_or(CHUNK_SIZE).clamp(1, CHUNK_SIZE);
    }

    /// Nobody takes a chunk before all are sent.
    pub(super) fn send_whole(&mut self) {
        self.whole = true;
    }

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
    pub(super) fn run(self, produce: impl FnOnce(&mut NarWriter<'_>) -> Result<(), StoreError>) {
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
    pub fn into_writer(self) -> NarWriter<'static> {
        let chunk_size = self.chunk_size;
        NarWriter { way: Way::Channel(self), chunk_size, buffer: BytesMut::new() }
    }
}

/// Bytes that go to a consumer on this thread at once, and are not gathered.
const WORTH_A_CALL: usize = 4096;

/// A `Write` whose bytes become the chunks of a `NarStream`. For threads that may block.
#[derive(Debug)]
pub struct NarWriter<'a> {
    way: Way<'a>,
    chunk_size: usize,
    buffer: BytesMut,
}

/// How chunks reach the consumer.
enum Way<'a> {
    Channel(NarSender),
    /// The consumer is a function on this thread.
    Direct(&'a mut Taker<'a>),
}

/// Takes a chunk; false when it wants no more.
pub(super) type Taker<'a> = dyn FnMut(&[u8]) -> bool + 'a;

impl fmt::Debug for Way<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Channel(sender) => sender.fmt(formatter),
            Self::Direct(_) => formatter.write_str("Direct"),
        }
    }
}

impl<'a> NarWriter<'a> {
    /// A writer that hands its chunks to `take`.
    pub(super) fn direct(take: &'a mut Taker<'a>) -> Self {
        Self { way: Way::Direct(take), chunk_size: CHUNK_SIZE, buffer: BytesMut::new() }
    }

    /// How long the producer has waited for room until now.
    pub fn waited(&self) -> Duration {
        match &self.way {
            Way::Channel(sender) => sender.waited,
            Way::Direct(_) => Duration::ZERO,
        }
    }

    /// Sends what is left and declares the NAR complete.
    pub fn finish(mut self) {
        if self.send_buffer().is_ok() {
            self.conclude(Message::End);
        }
    }

    /// Tells the consumer that the NAR cannot be completed, and why.
    pub fn fail(self, error: StoreError) {
        self.conclude(Message::Failed(error));
    }

    fn conclude(self, message: Message) {
        match self.way {
            Way::Channel(sender) => sender.conclude(message),
            // Who calls a producer on its own thread sees how it ends.
            Way::Direct(_) => {}
        }
    }

    /// Sends what was gathered.
    pub(super) fn send_buffer(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        match &mut self.way {
            Way::Channel(sender) => sender.blocking_send(self.buffer.split().freeze()),
            Way::Direct(take) => {
                let wanted = take(&self.buffer);
                self.buffer.clear();
                if wanted { Ok(()) } else { Err(hung_up()) }
            }
        }
    }
}

impl Write for NarWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // What is worth a call by itself need not be gathered.
        if matches!(self.way, Way::Direct(_)) && bytes.len() >= WORTH_A_CALL {
            self.send_buffer()?;
            if let Way::Direct(take) = &mut self.way {
                return if take(bytes) { Ok(bytes.len()) } else { Err(hung_up()) };
            }
        }
        if self.buffer.capacity() == 0 {
            self.buffer.reserve(self.chunk_size);
        }
        let room = self.chunk_size - self.buffer.len();
        let taken = bytes.len().min(room);
        self.buffer.extend_from_slice(bytes.get(..taken).unwrap_or(bytes));
        if self.buffer.len() >= self.chunk_size {
            self.send_buffer()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        match &self.way {
            // There is room for full chunks only.
            Way::Channel(sender) if sender.whole => Ok(()),
            _ => self.send_buffer(),
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
