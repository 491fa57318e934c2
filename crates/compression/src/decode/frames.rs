//! Reading zstd, several frames at once: each whole frame whose header tells its size goes to a thread, and what comes
//! back is given out in order. Everything else (a frame of unknown size, one that is too large, what is no frame) is
//! left to the reader that takes one frame after another, from that byte on, so that every error is the same.

use std::collections::VecDeque;
use std::io::{self, BufRead, Cursor, Read};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use nars3_narinfo::Compression;
use zstd::bulk::Decompressor;

use super::stream::{Start, StreamReader, fill};
use crate::CompressionError;
use crate::codec::zstd_frame::{Scan, Scanner};
use crate::codec::{Decompress, Fault, zstd as codec};

/// Frames larger than this are not held as a whole.
const LARGEST_FRAME: u64 = 64 << 20;

/// Compressed, a frame has at most so many bytes more than it holds, besides 1/64 of them.
const SLACK: u64 = 64 << 10;

/// A frame on its way to a thread.
struct Job {
    frame: Vec<u8>,
    content: usize,
}

/// A thread that decodes one frame at a time, and ends when its sender is dropped.
struct Worker {
    jobs: SyncSender<Job>,
    done: Receiver<io::Result<Vec<u8>>>,
}

/// A frame that a thread has.
struct Pending {
    worker: Worker,
    /// Where it begins in the input.
    offset: u64,
    memory: u64,
}

/// Reads frames in parallel.
pub(super) struct FrameReader<'a> {
    input: Option<Box<dyn BufRead + Send + 'a>>,
    threads: usize,
    /// For frames and their contents, all that are held.
    memory: u64,
    /// For the reader that takes over, which needs its own.
    serial_limit: u64,
    /// The frame that is collected, and how far it was looked at.
    frame: Vec<u8>,
    scanner: Scanner,
    /// Where that frame begins.
    offset: u64,
    frames: u64,
    /// Bytes of a skippable frame still to be passed over.
    skip: u64,
    /// Oldest first.
    pending: VecDeque<Pending>,
    held: u64,
    idle: Vec<Worker>,
    started: usize,
    /// What is given out, and how much of it has been.
    current: Cursor<Vec<u8>>,
    current_memory: u64,
    /// Takes over for the rest.
    serial: Option<StreamReader<'a>>,
    failure: Option<CompressionError>,
}

/// What collecting came to.
enum Collected {
    /// A frame for a thread.
    Frame(usize),
    /// The rest is for the serial reader.
    Rest,
    /// No room for this frame yet.
    Wait,
}

impl<'a> FrameReader<'a> {
    pub(super) fn new(
        threads: u32,
        memory: u64,
        serial_limit: u64,
        input: Box<dyn BufRead + Send + 'a>,
    ) -> Self {
        Self {
            input: Some(input),
            threads: usize::try_from(threads).unwrap_or(1).max(1),
            memory,
            serial_limit,
            frame: Vec::new(),
            scanner: Scanner::default(),
            offset: 0,
            frames: 0,
            skip: 0,
            pending: VecDeque::new(),
            held: 0,
            idle: Vec::new(),
            started: 0,
            current: Cursor::default(),
            current_memory: 0,
            serial: None,
            failure: None,
        }
    }

    fn read_some(&mut self, output: &mut [u8]) -> io::Result<usize> {
        loop {
            let count = self.current.read(output)?;
            if count > 0 {
                return Ok(count);
            }
            self.held -= std::mem::take(&mut self.current_memory);
            self.current = Cursor::default();
            if self.input.is_some() {
                self.hand_out()?;
            }
            if let Some(pending) = self.pending.pop_front() {
                self.take_back(pending)?;
            } else if let Some(serial) = &mut self.serial {
                return serial.read(output);
            } else if self.input.is_none() {
                return Ok(0);
            }
        }
    }

    /// Gives frames to threads until all have one, or memory or the input is at its end.
    fn hand_out(&mut self) -> io::Result<()> {
        while self.pending.len() < self.threads {
            match self.collect()? {
                Collected::Frame(content) => {
                    let frame = std::mem::take(&mut self.frame);
                    self.scanner = Scanner::default();
                    let (offset, length) = (self.offset, frame.len() as u64);
                    self.offset += length;
                    self.frames += 1;
                    let memory = length + content as u64;
                    let worker = self.worker()?;
                    worker.jobs.send(Job { frame, content }).map_err(|_| self.lost())?;
                    self.held += memory;
                    self.pending.push_back(Pending { worker, offset, memory });
                }
                Collected::Wait if !self.pending.is_empty() => break,
                Collected::Wait | Collected::Rest => {
                    self.go_on_alone()?;
                    break;
                }
            }
        }
        Ok(())
    }

    /// Collects the next frame. May be called again after an error of the input.
    fn collect(&mut self) -> io::Result<Collected> {
        loop {
            if self.skip > 0 && !self.pass_over()? {
                return Ok(Collected::Rest);
            }
            match self.scanner.scan(&self.frame) {
                Scan::Needs(length) => {
                    if length as u64 > LARGEST_FRAME + LARGEST_FRAME / 64 + SLACK
                        || !self.collect_to(length)?
                    {
                        return Ok(Collected::Rest);
                    }
                }
                Scan::Whole { content, .. } => {
                    let length = self.frame.len() as u64;
                    if content > LARGEST_FRAME || length > content + content / 64 + SLACK {
                        return Ok(Collected::Rest);
                    }
                    let content = usize::try_from(content).unwrap_or(usize::MAX);
                    let fits = self.held + length + content as u64 <= self.memory;
                    return Ok(if fits { Collected::Frame(content) } else { Collected::Wait });
                }
                Scan::Skippable { length } => {
                    self.skip = length - self.frame.len() as u64;
                    self.offset += self.frame.len() as u64;
                    self.frames += 1;
                    self.frame.clear();
                    self.scanner = Scanner::default();
                }
                Scan::Unknown => return Ok(Collected::Rest),
            }
        }
    }

    /// Takes input until the frame has `length` bytes; false when it ends before.
    fn collect_to(&mut self, length: usize) -> io::Result<bool> {
        let Some(input) = &mut self.input else { return Ok(false) };
        while self.frame.len() < length {
            let available = fill(input)?;
            if available.is_empty() {
                return Ok(false);
            }
            let count = available.len().min(length - self.frame.len());
            self.frame.extend_from_slice(available.get(..count).unwrap_or_default());
            input.consume(count);
        }
        Ok(true)
    }

    /// Passes over the rest of a skippable frame; false when the input ends before.
    fn pass_over(&mut self) -> io::Result<bool> {
        let Some(input) = &mut self.input else { return Ok(false) };
        while self.skip > 0 {
            let available = fill(input)?.len() as u64;
            if available == 0 {
                return Ok(false);
            }
            let count = available.min(self.skip);
            input.consume(usize::try_from(count).unwrap_or(usize::MAX));
            self.skip -= count;
            self.offset += count;
        }
        Ok(true)
    }

    /// Leaves what was collected, and all that follows, to the serial reader.
    fn go_on_alone(&mut self) -> io::Result<()> {
        let Some(mut input) = self.input.take() else { return Ok(()) };
        let collected = std::mem::take(&mut self.frame);
        if self.skip > 0 {
            // The input ended within a frame that holds no data.
            return Err(CompressionError::Truncated { method: Compression::Zstd, offset: self.offset }.into());
        }
        if collected.is_empty() && self.frames > 0 && fill(&mut input)?.is_empty() {
            return Ok(());
        }
        let codec = codec::Decoder::new(self.serial_limit).map_err(|fault| self.fault(self.offset, fault))?;
        let codec: Box<dyn Decompress> = Box::new(codec);
        let input: Box<dyn BufRead + Send + 'a> = Box::new(Cursor::new(collected).chain(input));
        let start = Start { offset: self.offset, streams: self.frames };
        self.serial =
            Some(StreamReader::starting_at(start, Compression::Zstd, self.serial_limit, codec, input));
        Ok(())
    }

    fn worker(&mut self) -> io::Result<Worker> {
        if let Some(worker) = self.idle.pop() {
            return Ok(worker);
        }
        let (jobs, next_job) = sync_channel::<Job>(1);
        let (finished, done) = sync_channel(1);
        self.started += 1;
        thread::Builder::new()
            .name(format!("zstd-frames-{}", self.started))
            .spawn(move || work(&next_job, &finished))?;
        Ok(Worker { jobs, done })
    }

    /// Waits for the oldest frame's contents.
    fn take_back(&mut self, pending: Pending) -> io::Result<()> {
        let Pending { worker, offset, memory } = pending;
        let contents = worker.done.recv().map_err(|_| self.lost())?;
        self.idle.push(worker);
        match contents {
            Ok(contents) => {
                self.current = Cursor::new(contents);
                self.current_memory = memory;
                Ok(())
            }
            Err(error) => Err(self.fault(offset, Fault::Data(error.to_string()))),
        }
    }

    fn lost(&self) -> io::Error {
        self.fault(self.offset, Fault::Data("a decompressing thread has ended early".to_owned()))
    }

    fn fault(&self, offset: u64, fault: Fault) -> io::Error {
        let method = Compression::Zstd;
        match fault {
            Fault::Data(reason) => CompressionError::Corrupt { method, offset, reason },
            Fault::Memory => CompressionError::MemoryLimit { method, limit: self.serial_limit, offset },
        }
        .into()
    }
}

impl Read for FrameReader<'_> {
    fn read(&mut self, output: &mut [u8]) -> io::Result<usize> {
        if output.is_empty() {
            return Ok(0);
        }
        // What was behind a broken frame must not come out as if it followed what was before it.
        if let Some(failure) = &self.failure {
            return Err(failure.clone().into());
        }
        let result = self.read_some(output);
        self.failure = result.as_ref().err().and_then(CompressionError::of).cloned();
        result
    }
}

/// A worker's life. It is never waited for: it ends by itself when the reader is gone.
fn work(jobs: &Receiver<Job>, done: &SyncSender<io::Result<Vec<u8>>>) {
    let mut decompressor = Decompressor::new();
    while let Ok(Job { frame, content }) = jobs.recv() {
        let contents = match &mut decompressor {
            Ok(decompressor) => decompressor.decompress(&frame, content),
            Err(error) => Err(io::Error::new(error.kind(), error.to_string())),
        };
        if done.send(contents).is_err() {
            break;
        }
    }
}
