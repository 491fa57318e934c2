//! The producer's side of a NAR.

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
    pub(super) fn run(self, produce: impl FnOnce(&mut NarWriter) -> Result<(), StoreError>) {
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

/// The consumer went away; there is nobody to send to.
fn hung_up() -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, "the consumer of a NAR went away")
}

/// Not what `from_blocking_sized` was promised.
fn too_long() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "a NAR is longer than announced")
}
