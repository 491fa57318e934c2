//! Paths and logs towards the daemon.

use std::borrow::Cow;
use std::io::{Read, Write};

use nars3_narinfo::PathInfo;
use nars3_store_api::StoreError;
use nars3_store_path::StorePath;

use super::{Connection, operation, pass_on, wait_for_end};
use crate::daemon::socket::{Socket, Wanted};
use crate::logs;
use crate::verify::VerifyingReader;
use crate::worker_protocol::error::{DaemonError, WireError};
use crate::worker_protocol::framed::FramedWriter;
use crate::worker_protocol::message::{Message, read_message};
use crate::worker_protocol::value::write_path_info;
use crate::worker_protocol::wire::{write_bool, write_number, write_string};

/// The minor version since which data is sent in frames, and no longer at the daemon's request (Nix 2.4).
const FRAMES_SINCE: u64 = 23;
/// The minor version since which many paths can be sent in one request, and logs at all (Nix 2.5).
const MULTIPLE_SINCE: u64 = 32;

/// The minor version whose form the path infos of such a request have, whatever was agreed on.
const MULTIPLE_FORM: u64 = 16;

/// Bytes in one frame.
const FRAME: usize = 32 * 1024;

/// An answer, and what became of the connection that gave it.
#[derive(Debug)]
pub(crate) enum Outcome<T> {
    /// The next request may follow.
    Clean(T),
    /// Something of the last request is left on it, or it was cut.
    Broken(T),
}

/// How paths are to be taken in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Taking {
    /// Replace what is there.
    pub(crate) repair: bool,
    /// Ask for signatures, if the daemon leaves us the choice.
    pub(crate) check_signatures: bool,
}

impl Connection {
    /// Whether many paths can be sent at once, and logs.
    pub(crate) fn takes_many(&self) -> bool {
        self.agreement.minor >= MULTIPLE_SINCE
    }

    /// Adds a path. `nar` is read to its end, unless the daemon refuses earlier. The inner result is what we have
    /// against the NAR, if it is not the one that was promised, or cannot be read. The daemon then has something that
    /// it cannot take for the path either: it, too, verifies NarHash and NarSize.
    pub(crate) fn add_to_store_nar(
        &mut self,
        info: &PathInfo,
        nar: VerifyingReader<'_>,
        taking: Taking,
    ) -> Result<Outcome<Result<(), StoreError>>, DaemonError> {
        self.begin_to_add(info, taking)?;
        if self.agreement.minor >= FRAMES_SINCE {
            // By one thread: the daemon, which has the most to do, needs the processor.
            self.in_frames(|frames| nar.pass_on(|chunk| frames.send_all(chunk)))
        } else {
            self.send_on_request(nar)
        }
    }

    /// As `add_to_store_nar`, with the whole NAR at hand. Only where `takes_many`.
    pub(crate) fn add_bytes_to_store(
        &mut self,
        info: &PathInfo,
        nar: &[u8],
        taking: Taking,
    ) -> Result<Outcome<Result<(), StoreError>>, DaemonError> {
        self.begin_to_add(info, taking)?;
        self.in_frames(|frames| {
            frames.send_all(nar);
            Ok(())
        })
    }

    fn begin_to_add(&mut self, info: &PathInfo, taking: Taking) -> Result<(), DaemonError> {
        write_number(&mut self.to, operation::ADD_TO_STORE_NAR)?;
        write_string(&mut self.to, self.store_dir.print(&info.path))?;
        write_path_info(&mut self.to, &self.store_dir, self.agreement.minor, info)?;
        write_bool(&mut self.to, taking.repair)?;
        write_bool(&mut self.to, !taking.check_signatures)?;
        Ok(self.to.flush()?)
    }

    /// Adds paths, each after those of its references that are among them, and each with its whole NAR, which `read` gives for
    /// the place in the list.
    pub(crate) fn add_multiple_to_store<'a>(
        &mut self,
        paths: &[&'a PathInfo],
        read: impl Fn(usize) -> Result<Cow<'a, [u8]>, StoreError>,
        taking: Taking,
    ) -> Result<Outcome<Result<(), StoreError>>, DaemonError> {
        write_number(&mut self.to, operation::ADD_MULTIPLE_TO_STORE)?;
        write_bool(&mut self.to, taking.repair)?;
        write_bool(&mut self.to, !taking.check_signatures)?;
        self.to.flush()?;
        let store_dir = self.store_dir.clone();
        self.in_frames(move |frames| {
            let mut buffer = Vec::with_capacity(FRAME);
            // Into memory, which cannot fail.
            let _ = write_number(&mut buffer, paths.len() as u64);
            for (place, info) in paths.iter().enumerate() {
                let nar = read(place)?;
                let _ = write_string(&mut buffer, store_dir.print(&info.path));
                let _ = write_path_info(&mut buffer, &store_dir, MULTIPLE_FORM, info);
                if !frames.send_through(&mut buffer, &nar) {
                    return Ok(());
                }
            }
            frames.send(&buffer);
            Ok(())
        })
    }

    /// Adds the log of the build of a derivation. The daemon takes it only from those whom it trusts.
    pub(crate) fn add_build_log(
        &mut self,
        derivation: &StorePath,
        log: &mut impl Read,
    ) -> Result<Outcome<Result<(), StoreError>>, DaemonError> {
        write_number(&mut self.to, operation::ADD_BUILD_LOG)?;
        // Without the store directory, unlike everywhere else.
        write_string(&mut self.to, derivation.base_name())?;
        self.to.flush()?;
        let sent = self.in_frames(|frames| {
            let mut buffer = vec![0; FRAME];
            loop {
                let count = log.read(&mut buffer).map_err(logs::spool_error)?;
                let chunk = buffer.get(..count).unwrap_or_default();
                if chunk.is_empty() || !frames.send(chunk) {
                    return Ok(());
                }
            }
        })?;
        crate::worker_protocol::wire::read_number(&mut self.from)?;
        Ok(sent)
    }

    /// Sends in frames, listening meanwhile: the daemon may have much to say, or may refuse. What `feed` says of its
    /// data is in the inner result.
    fn in_frames(
        &mut self,
        feed: impl FnOnce(&mut Frames<'_>) -> Result<(), StoreError>,
    ) -> Result<Outcome<Result<(), StoreError>>, DaemonError> {
        let minor = self.agreement.minor;
        let wanted = &self.wanted;
        let from = &mut self.from;
        self.to.flush()?;
        let to = self.to.get_mut();
        std::thread::scope(|scope| {
            let listener = std::thread::Builder::new()
                .name("nix-daemon".to_owned())
                .spawn_scoped(scope, || wait_for_end(from, minor))?;
            let answered = || listener.is_finished();
            let mut frames = Frames { to: FramedWriter::new(to), answered: &answered, wanted };
            let sent = feed(&mut frames);
            // The end mark follows whatever happened: a daemon that refuses reads on until it, and forgets what it
            // reads; and one that is cut off within a NAR (2.8) crashes. If it cannot be written, the listener knows
            // why.
            drop(frames.to.finish());
            let answer = listener.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            match (sent, answer) {
                (Ok(()), answer) => answer.map(|()| Outcome::Clean(Ok(()))),
                (Err(failure), Err(DaemonError::Wire(_))) => Ok(Outcome::Broken(Err(failure))),
                (Err(failure), _) => Ok(Outcome::Clean(Err(failure))),
            }
        })
    }

    /// Sends what the daemon asks for, as that of Nix 2.3 does.
    fn send_on_request(
        &mut self,
        mut nar: VerifyingReader<'_>,
    ) -> Result<Outcome<Result<(), StoreError>>, DaemonError> {
        let mut buffer = vec![0; FRAME];
        loop {
            match read_message(&mut self.from, self.agreement.minor)? {
                Message::Read(wanted) => {
                    let room = usize::try_from(wanted).unwrap_or(FRAME).min(FRAME);
                    match nar.read(buffer.get_mut(..room).unwrap_or_default()) {
                        // It is too short, says `finish`. The daemon waits for more, and must be cut off.
                        Ok(0) => {
                            let verdict = nar.finish().and(Err(StoreError::NarInterrupted));
                            return Ok(Outcome::Broken(verdict));
                        }
                        Ok(count) => write_string(&mut self.to, buffer.get(..count).unwrap_or_default())?,
                        Err(error) => return Ok(Outcome::Broken(Err(nar.failure_of(error)))),
                    }
                    self.to.flush()?;
                }
                // The daemon reads no further than the end of the NAR, and has verified it.
                Message::Last => {
                    return Ok(Outcome::Clean(nar.drain().and_then(|()| nar.finish().map(drop))));
                }
                Message::Error(error) => return Err(error.into()),
                Message::Write => return Err(WireError::UnexpectedWrite.into()),
                other => pass_on(other),
            }
        }
    }
}

/// The way to the daemon, in frames.
struct Frames<'a> {
    to: FramedWriter<&'a mut Socket>,
    answered: &'a dyn Fn() -> bool,
    wanted: &'a Wanted,
}

impl Frames<'_> {
    /// Sends one frame. False when there is no use in sending more: the daemon has answered already, or hung up, or
    /// nobody wants it any more. The listener knows which.
    fn send(&mut self, frame: &[u8]) -> bool {
        !(self.answered)() && !self.wanted.is_given_up() && self.to.write_all(frame).is_ok()
    }

    /// Sends what has gathered in `buffer`, and `bytes` after it, in whole frames; what makes none stays in `buffer`. False as in
    /// `send`.
    fn send_through(&mut self, buffer: &mut Vec<u8>, bytes: &[u8]) -> bool {
        let (fits, bytes) = bytes.split_at(FRAME.saturating_sub(buffer.len()).min(bytes.len()));
        buffer.extend_from_slice(fits);
        if buffer.len() < FRAME {
            return true;
        }
        let frames = bytes.chunks_exact(FRAME);
        let rest = frames.remainder();
        let sent = self.send(buffer) && frames.into_iter().all(|frame| self.send(frame));
        buffer.clear();
        buffer.extend_from_slice(rest);
        sent
    }

    /// Sends all of it; false, as in `send`, where it was not worth while.
    fn send_all(&mut self, bytes: &[u8]) -> bool {
        bytes.chunks(FRAME).all(|frame| self.send(frame))
    }
}
