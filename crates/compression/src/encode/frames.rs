//! Writing zstd: independent frames of 16 MiB of input each, with their content size and a checksum.
//!
//! Frames are what makes the result decodable in parallel, seekable and, because they do not depend on one another, the
//! same for any number of threads. Nix's development version writes the same layout, and every decoder reads it.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;

use nars3_narinfo::Compression;
use zstd::bulk::Compressor;

use crate::{CompressionError, Operation, SeekTable};

/// Bytes of input in each frame but the last. Nix HEAD's number.
pub(super) const FRAME_LEN: usize = 16 << 20;

/// What a worker takes beside its level's tables: one frame of input and one of output.
const WORKER_MEMORY: u64 = 2 * FRAME_LEN as u64;

/// One frame on its way back from a worker, with the input buffer for use again.
struct Compressed {
    input: Vec<u8>,
    frame: io::Result<Vec<u8>>,
}

/// A thread that compresses one frame at a time, and ends when its sender is dropped.
struct Worker {
    jobs: SyncSender<Vec<u8>>,
    frames: Receiver<Compressed>,
}

/// Collects input into frames, has them compressed, and writes them in order.
pub(super) struct FrameWriter<W> {
    out: W,
    level: i32,
    threads: usize,
    /// Input of the frame that is being collected.
    pending: Vec<u8>,
    /// Input buffers that can be used again.
    spare: Vec<Vec<u8>>,
    /// Frames given to workers or written.
    frames: u64,
    /// Those that are written; `None` if one does not fit into the format.
    table: Option<SeekTable>,
    /// Started at the first full frame, when there is more than one thread. The next frame goes to the one in front,
    /// which then moves to the back.
    workers: VecDeque<Worker>,
    /// How many workers, from the back, hold a frame.
    busy: usize,
    /// Compresses on the caller's thread.
    inline: Option<Compressor<'static>>,
}

impl<W: Write> FrameWriter<W> {
    pub(super) fn new(level: i32, threads: u32, memory_limit: u64, out: W) -> Self {
        let affordable = (memory_limit / WORKER_MEMORY).clamp(1, u64::from(u32::MAX));
        let threads = u64::from(threads).min(affordable);
        FrameWriter {
            out,
            level,
            threads: usize::try_from(threads).unwrap_or(1),
            pending: Vec::new(),
            spare: Vec::new(),
            frames: 0,
            table: Some(SeekTable::default()),
            workers: VecDeque::new(),
            busy: 0,
            inline: None,
        }
    }

    pub(super) fn get_ref(&self) -> &W {
        &self.out
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    /// Has what is left compressed, and writes all that is still with the workers.
    pub(super) fn finish(mut self) -> io::Result<W> {
        // Empty input is one empty frame: no bytes at all would be a truncated file.
        if !self.pending.is_empty() || self.frames == 0 {
            self.end_frame()?;
        }
        while self.busy > 0 {
            self.write_oldest()?;
        }
        // With a single frame there is nothing to choose from.
        if self.frames > 1
            && let Some(table) = self.table.as_ref().and_then(SeekTable::to_bytes)
        {
            self.out.write_all(&table)?;
        }
        Ok(self.out)
    }

    /// Collects input, and has each full frame compressed.
    pub(super) fn write_all(&mut self, mut data: &[u8]) -> io::Result<()> {
        while !data.is_empty() {
            let room = FRAME_LEN - self.pending.len();
            let (now, later) = data.split_at(room.min(data.len()));
            self.pending.extend_from_slice(now);
            data = later;
            if self.pending.len() == FRAME_LEN {
                self.end_frame()?;
            }
        }
        Ok(())
    }

    /// Has the collected input compressed, by a worker if there is (or will be) one.
    fn end_frame(&mut self) -> io::Result<()> {
        let full = self.pending.len() == FRAME_LEN;
        if self.workers.is_empty() && self.frames == 0 && full && self.threads > 1 {
            self.start_workers();
        }
        self.frames += 1;
        let input = std::mem::replace(&mut self.pending, self.spare.pop().unwrap_or_default());
        if self.workers.is_empty() { self.compress_inline(input) } else { self.hand_out(input) }
    }

    fn compress_inline(&mut self, input: Vec<u8>) -> io::Result<()> {
        let compressor = match &mut self.inline {
            Some(compressor) => compressor,
            empty => empty.insert(compressor(self.level)?),
        };
        let frame = compress(compressor, &input)?;
        self.write(&frame, input)
    }

    /// Writes a frame, and takes its input back for use again.
    fn write(&mut self, frame: &[u8], input: Vec<u8>) -> io::Result<()> {
        self.table =
            self.table.take().and_then(|mut table| table.push(frame.len(), input.len()).then_some(table));
        self.out.write_all(frame)?;
        self.recycle(input);
        Ok(())
    }

    fn hand_out(&mut self, input: Vec<u8>) -> io::Result<()> {
        if self.busy == self.workers.len() {
            self.write_oldest()?;
        }
        let Some(worker) = self.workers.pop_front() else { return Err(worker_lost()) };
        let sent = worker.jobs.try_send(input);
        self.workers.push_back(worker);
        match sent {
            Ok(()) => self.busy += 1,
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => return Err(worker_lost()),
        }
        Ok(())
    }

    /// Waits for the frame that was given out first, and writes it.
    fn write_oldest(&mut self) -> io::Result<()> {
        let oldest = self.workers.len().checked_sub(self.busy).and_then(|index| self.workers.get(index));
        let compressed = oldest.and_then(|worker| worker.frames.recv().ok()).ok_or_else(worker_lost)?;
        self.busy -= 1;
        self.write(&compressed.frame?, compressed.input)
    }

    fn recycle(&mut self, mut input: Vec<u8>) {
        input.clear();
        self.spare.push(input);
    }

    /// Starts as many workers as the system allows; with fewer than two the caller's thread does the work.
    fn start_workers(&mut self) {
        for _ in 0..self.threads {
            let (jobs, next_job) = sync_channel::<Vec<u8>>(1);
            let (done, frames) = sync_channel(1);
            let level = self.level;
            let started = thread::Builder::new()
                .name("zstd-frames".to_owned())
                .spawn(move || work(level, &next_job, &done));
            if started.is_err() {
                break;
            }
            self.workers.push_back(Worker { jobs, frames });
        }
        if self.workers.len() < 2 {
            self.workers.clear();
        }
    }
}

/// A worker's life. It is never waited for: it ends by itself when the writer is gone.
fn work(level: i32, jobs: &Receiver<Vec<u8>>, done: &SyncSender<Compressed>) {
    let mut own = compressor(level);
    while let Ok(input) = jobs.recv() {
        let frame = match &mut own {
            Ok(compressor) => compress(compressor, &input),
            Err(error) => Err(io::Error::new(error.kind(), error.to_string())),
        };
        if done.send(Compressed { input, frame }).is_err() {
            break;
        }
    }
}

fn compressor(level: i32) -> io::Result<Compressor<'static>> {
    let mut compressor = Compressor::new(level).map_err(|error| codec_error(&error))?;
    compressor.include_checksum(true).map_err(|error| codec_error(&error))?;
    Ok(compressor)
}

/// One frame, with its content size, which zstd writes whenever it gets all of the input at once.
fn compress(compressor: &mut Compressor<'static>, input: &[u8]) -> io::Result<Vec<u8>> {
    compressor.compress(input).map_err(|error| codec_error(&error))
}

fn codec_error(error: &io::Error) -> io::Error {
    let (method, operation) = (Compression::Zstd, Operation::Write);
    CompressionError::Codec { method, operation, reason: error.to_string() }.into()
}

fn worker_lost() -> io::Error {
    codec_error(&io::Error::other("a compressing thread has ended early"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the table at the end begins with.
    const TABLE: [u8; 4] = [0x5E, 0x2A, 0x4D, 0x18];

    /// The content sizes that the frame headers declare, in order, up to the table.
    fn content_sizes(mut bytes: &[u8]) -> Vec<u64> {
        let mut sizes = Vec::new();
        while !bytes.is_empty() && !bytes.starts_with(&TABLE) {
            sizes.push(zstd::zstd_safe::get_frame_content_size(bytes).unwrap().unwrap());
            let length = zstd::zstd_safe::find_frame_compressed_size(bytes).unwrap();
            bytes = &bytes[length..];
        }
        sizes
    }

    fn compress_all(data: &[u8], threads: u32) -> Vec<u8> {
        let mut writer = FrameWriter::new(1, threads, u64::MAX, Vec::new());
        writer.write_all(data).unwrap();
        writer.finish().unwrap()
    }

    #[test]
    fn each_frame_says_how_much_it_holds() {
        let frame = FRAME_LEN as u64;
        assert_eq!(content_sizes(&compress_all(b"", 1)), [0]);
        assert_eq!(content_sizes(&compress_all(b"abc", 1)), [3]);
        let data = vec![7; FRAME_LEN];
        assert_eq!(content_sizes(&compress_all(&data, 1)), [frame]);
        let data = vec![7; 2 * FRAME_LEN + 1];
        assert_eq!(content_sizes(&compress_all(&data, 3)), [frame, frame, 1]);
    }

    #[test]
    fn the_number_of_threads_does_not_change_the_bytes() {
        let data: Vec<u8> = (0..3 * FRAME_LEN + 5).map(|index| (index / 7 % 251) as u8).collect();
        let one = compress_all(&data, 1);
        assert_eq!(one, compress_all(&data, 2));
        assert_eq!(one, compress_all(&data, 5));
        assert_eq!(zstd::decode_all(one.as_slice()).unwrap(), data);
    }

    #[test]
    fn several_frames_are_followed_by_their_table() {
        let frame = FRAME_LEN as u64;
        let data: Vec<u8> = (0..2 * FRAME_LEN + 7).map(|index| (index / 7 % 251) as u8).collect();
        let file = compress_all(&data, 2);
        let length = usize::try_from(SeekTable::length(3)).unwrap();
        let table = SeekTable::parse(&file[file.len() - length..], file.len() as u64).unwrap();
        assert_eq!(table.content(), 2 * frame + 7);
        let located = table.locate(frame + 5..frame + 6).unwrap();
        assert_eq!(located.skip, 5);
        let part = file.get(located.file.start as usize..located.file.end as usize).unwrap();
        assert_eq!(zstd::decode_all(part).unwrap(), data[FRAME_LEN..2 * FRAME_LEN]);
        assert!(!compress_all(&data[..FRAME_LEN], 2).windows(4).any(|bytes| bytes == TABLE));
    }

    #[test]
    fn memory_decides_about_threads() {
        let writer = FrameWriter::new(3, 8, 3 * WORKER_MEMORY, Vec::new());
        assert_eq!(writer.threads, 3);
        assert_eq!(FrameWriter::new(3, 8, 0, Vec::new()).threads, 1);
    }
}
