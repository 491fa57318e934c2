//! One connection to a daemon: requests, and their replies.
//!
//! A request that ends in `DaemonError::Remote` leaves the connection as good as it was; after any other error it must
//! be dropped.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::os::unix::net::UnixStream;

use nars3_narinfo::PathInfo;
use nars3_store_api::StoreError;
use nars3_store_path::{HashPart, StoreDir, StorePath};

use super::error::{DaemonError, WireError};
use super::framed::FramedWriter;
use super::handshake::{Agreement, shake_hands};
use super::message::{Message, read_message};
use super::value::{read_optional_path, read_path_info, read_paths, write_path_info, write_paths};
use super::wire::{read_bool, read_list, read_number, read_string, write_bool, write_number, write_string};
use crate::verify::VerifyingReader;

/// The numbers of the requests.
mod operation {
    pub(super) const QUERY_REFERRERS: u64 = 6;
    pub(super) const ADD_TEMP_ROOT: u64 = 11;
    pub(super) const SET_OPTIONS: u64 = 19;
    pub(super) const QUERY_ALL_VALID_PATHS: u64 = 23;
    pub(super) const QUERY_PATH_INFO: u64 = 26;
    pub(super) const QUERY_PATH_FROM_HASH_PART: u64 = 29;
    pub(super) const QUERY_VALID_PATHS: u64 = 31;
    pub(super) const QUERY_VALID_DERIVERS: u64 = 33;
    pub(super) const NAR_FROM_PATH: u64 = 38;
    pub(super) const ADD_TO_STORE_NAR: u64 = 39;
    pub(super) const QUERY_DERIVATION_OUTPUT_MAP: u64 = 41;
}

/// The minor version since which `QUERY_DERIVATION_OUTPUT_MAP` is known.
const OUTPUT_MAP_SINCE: u64 = 22;
/// The minor version since which NARs are sent in frames, and no longer at the daemon's request.
const FRAMES_SINCE: u64 = 23;
/// The minor version since which a question for valid paths says whether to substitute the others.
const SUBSTITUTE_FLAG_SINCE: u64 = 27;

/// Questions that are sent before the first answer is read. Together they are a few KiB, which the socket holds: the
/// daemon cannot make us wait while it waits for us.
const QUESTIONS_AT_ONCE: usize = 32;

/// Bytes of a NAR in one frame.
const FRAME: usize = 64 * 1024;

/// Nix's number for the level of warnings: what the daemon shall tell us.
const LOG_WARNINGS: u64 = 1;

/// A connection on which hands have been shaken.
#[derive(Debug)]
pub(crate) struct Connection {
    store_dir: StoreDir,
    from: BufReader<UnixStream>,
    to: BufWriter<UnixStream>,
    agreement: Agreement,
}

impl Connection {
    /// Shakes hands and says how requests are to be carried out.
    pub(crate) fn open(stream: UnixStream, store_dir: StoreDir) -> Result<Self, DaemonError> {
        let mut from = BufReader::new(stream.try_clone()?);
        let mut to = BufWriter::new(stream);
        let agreement = shake_hands(&mut from, &mut to)?;
        let mut connection = Self { store_dir, from, to, agreement };
        connection.wait()?;
        connection.set_options()?;
        Ok(connection)
    }

    /// What was agreed on.
    pub(crate) fn agreement(&self) -> &Agreement {
        &self.agreement
    }

    /// The options of a client that builds nothing: only the level of the log matters.
    fn set_options(&mut self) -> Result<(), DaemonError> {
        let [keep_failed, keep_going, try_fallback] = [0; 3];
        let [build_jobs, silent_time, use_build_hook, build_verbosity] = [1, 0, 1, 0];
        let [log_type, print_build_trace, build_cores, use_substitutes, overrides] = [0, 0, 0, 1, 0];
        write_number(&mut self.to, operation::SET_OPTIONS)?;
        for number in [
            keep_failed,
            keep_going,
            try_fallback,
            LOG_WARNINGS,
            build_jobs,
            silent_time,
            use_build_hook,
            build_verbosity,
            log_type,
            print_build_trace,
            build_cores,
            use_substitutes,
            overrides,
        ] {
            write_number(&mut self.to, number)?;
        }
        self.wait()
    }

    /// Sends what is buffered, and reads messages until the request is carried out.
    fn wait(&mut self) -> Result<(), DaemonError> {
        self.to.flush()?;
        wait_for_end(&mut self.from, self.agreement.minor)
    }

    /// What is known of each of `paths`, in their order.
    pub(crate) fn path_infos(&mut self, paths: &[StorePath]) -> Result<Vec<Option<PathInfo>>, DaemonError> {
        let mut answers = Vec::with_capacity(paths.len());
        for some in paths.chunks(QUESTIONS_AT_ONCE) {
            for path in some {
                write_number(&mut self.to, operation::QUERY_PATH_INFO)?;
                write_string(&mut self.to, self.store_dir.print(path))?;
            }
            self.to.flush()?;
            let mut refused = None;
            for path in some {
                match self.read_path_info(path) {
                    Ok(answer) => answers.push(answer),
                    // The other answers are on their way, and must be read all the same.
                    Err(DaemonError::Remote(error)) => refused = Some(error),
                    Err(broken) => return Err(broken),
                }
            }
            if let Some(error) = refused {
                return Err(error.into());
            }
        }
        Ok(answers)
    }

    fn read_path_info(&mut self, path: &StorePath) -> Result<Option<PathInfo>, DaemonError> {
        wait_for_end(&mut self.from, self.agreement.minor)?;
        if !read_bool(&mut self.from)? {
            return Ok(None);
        }
        let minor = self.agreement.minor;
        Ok(Some(read_path_info(&mut self.from, &self.store_dir, minor, path.clone())?))
    }

    /// Those of `paths` that are valid.
    pub(crate) fn valid_paths(&mut self, paths: &[StorePath]) -> Result<BTreeSet<StorePath>, DaemonError> {
        write_number(&mut self.to, operation::QUERY_VALID_PATHS)?;
        write_paths(&mut self.to, &self.store_dir, paths.iter())?;
        if self.agreement.minor >= SUBSTITUTE_FLAG_SINCE {
            write_bool(&mut self.to, false)?;
        }
        self.wait()?;
        Ok(read_paths(&mut self.from, &self.store_dir)?)
    }

    /// All valid paths.
    pub(crate) fn all_valid_paths(&mut self) -> Result<BTreeSet<StorePath>, DaemonError> {
        write_number(&mut self.to, operation::QUERY_ALL_VALID_PATHS)?;
        self.wait()?;
        Ok(read_paths(&mut self.from, &self.store_dir)?)
    }

    /// The valid path with this hash part.
    pub(crate) fn path_from_hash_part(
        &mut self,
        hash_part: &HashPart,
    ) -> Result<Option<StorePath>, DaemonError> {
        write_number(&mut self.to, operation::QUERY_PATH_FROM_HASH_PART)?;
        write_string(&mut self.to, hash_part.as_str())?;
        self.wait()?;
        Ok(read_optional_path(&mut self.from, &self.store_dir)?)
    }

    /// The valid paths that refer to `path`.
    pub(crate) fn referrers(&mut self, path: &StorePath) -> Result<BTreeSet<StorePath>, DaemonError> {
        self.paths_of(operation::QUERY_REFERRERS, path)
    }

    /// The valid derivations that name `path` as one of their outputs.
    pub(crate) fn valid_derivers(&mut self, path: &StorePath) -> Result<BTreeSet<StorePath>, DaemonError> {
        self.paths_of(operation::QUERY_VALID_DERIVERS, path)
    }

    fn paths_of(&mut self, operation: u64, path: &StorePath) -> Result<BTreeSet<StorePath>, DaemonError> {
        write_number(&mut self.to, operation)?;
        write_string(&mut self.to, self.store_dir.print(path))?;
        self.wait()?;
        Ok(read_paths(&mut self.from, &self.store_dir)?)
    }

    /// The outputs of a derivation, as far as their paths are known; `None` where the daemon is too old to say.
    pub(crate) fn derivation_outputs(
        &mut self,
        derivation: &StorePath,
    ) -> Result<Option<BTreeMap<String, StorePath>>, DaemonError> {
        if self.agreement.minor < OUTPUT_MAP_SINCE {
            return Ok(None);
        }
        write_number(&mut self.to, operation::QUERY_DERIVATION_OUTPUT_MAP)?;
        write_string(&mut self.to, self.store_dir.print(derivation))?;
        self.wait()?;
        let outputs: Vec<(String, Option<StorePath>)> = read_list(&mut self.from, |from| {
            Ok((read_string(from, "the name of an output")?, read_optional_path(from, &self.store_dir)?))
        })?;
        Ok(Some(outputs.into_iter().filter_map(|(name, path)| Some((name, path?))).collect()))
    }

    /// Keeps collectors away from `paths` for as long as the connection lives.
    pub(crate) fn add_temp_roots<'a>(
        &mut self,
        paths: impl Iterator<Item = &'a StorePath>,
    ) -> Result<(), DaemonError> {
        let paths: Vec<&StorePath> = paths.collect();
        for some in paths.chunks(QUESTIONS_AT_ONCE) {
            for path in some {
                write_number(&mut self.to, operation::ADD_TEMP_ROOT)?;
                write_string(&mut self.to, self.store_dir.print(path))?;
            }
            self.to.flush()?;
            for _ in some {
                wait_for_end(&mut self.from, self.agreement.minor)?;
                read_number(&mut self.from)?;
            }
        }
        Ok(())
    }

    /// Begins to receive the NAR of `path`. What is then read is the NAR, and nothing says where it ends: whoever reads
    /// must know its size, and read so much.
    pub(crate) fn nar_from_path(&mut self, path: &StorePath) -> Result<&mut impl Read, DaemonError> {
        write_number(&mut self.to, operation::NAR_FROM_PATH)?;
        write_string(&mut self.to, self.store_dir.print(path))?;
        self.wait()?;
        Ok(&mut self.from)
    }

    /// Adds a path. `nar` is read to its end, unless the daemon refuses earlier. The inner result is what we have
    /// against the NAR, if it is not the one that was promised, or cannot be read. The daemon then has something that
    /// it cannot take for the path either: it, too, verifies NarHash and NarSize.
    pub(crate) fn add_to_store_nar(
        &mut self,
        info: &PathInfo,
        nar: &mut VerifyingReader<'_>,
        repair: bool,
        check_signatures: bool,
    ) -> Result<Outcome<Result<(), StoreError>>, DaemonError> {
        write_number(&mut self.to, operation::ADD_TO_STORE_NAR)?;
        write_string(&mut self.to, self.store_dir.print(&info.path))?;
        write_path_info(&mut self.to, &self.store_dir, self.agreement.minor, info)?;
        write_bool(&mut self.to, repair)?;
        write_bool(&mut self.to, !check_signatures)?;
        self.to.flush()?;
        if self.agreement.minor >= FRAMES_SINCE {
            self.send_in_frames(nar)
        } else {
            self.send_on_request(nar)
        }
    }

    /// Sends in frames, listening meanwhile: the daemon may have much to say, or may refuse.
    fn send_in_frames(
        &mut self,
        nar: &mut VerifyingReader<'_>,
    ) -> Result<Outcome<Result<(), StoreError>>, DaemonError> {
        let minor = self.agreement.minor;
        let from = &mut self.from;
        let mut to = FramedWriter::new(&mut self.to);
        std::thread::scope(|scope| {
            let listener = std::thread::Builder::new()
                .name("nix-daemon".to_owned())
                .spawn_scoped(scope, || wait_for_end(from, minor))?;
            let sent = send_frames(nar, &mut to, || listener.is_finished());
            // The end mark follows whatever happened: a daemon that refuses reads on until it, and forgets what it
            // reads; and one that is cut off within a NAR (2.8) crashes. If it cannot be written, the listener knows
            // why.
            drop(to.finish());
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
        nar: &mut VerifyingReader<'_>,
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

/// An answer, and what became of the connection that gave it.
#[derive(Debug)]
pub(crate) enum Outcome<T> {
    /// The next request may follow.
    Clean(T),
    /// Something of the last request is left on it, or it was cut.
    Broken(T),
}

/// Sends the whole NAR, or until the daemon has `answered`. An error is about the NAR, never about the connection.
fn send_frames(
    nar: &mut VerifyingReader<'_>,
    to: &mut impl Write,
    answered: impl Fn() -> bool,
) -> Result<(), StoreError> {
    let mut buffer = vec![0; FRAME];
    while !answered() {
        match nar.read(&mut buffer) {
            Ok(0) => return nar.finish().map(drop),
            Ok(count) => {
                if to.write_all(buffer.get(..count).unwrap_or_default()).is_err() {
                    return Ok(());
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(nar.failure_of(error)),
        }
    }
    Ok(())
}

fn wait_for_end(from: &mut impl Read, minor: u64) -> Result<(), DaemonError> {
    loop {
        match read_message(from, minor)? {
            Message::Last => return Ok(()),
            Message::Error(error) => return Err(error.into()),
            Message::Read(_) => return Err(WireError::UnexpectedRead.into()),
            Message::Write => return Err(WireError::UnexpectedWrite.into()),
            other => pass_on(other),
        }
    }
}

/// Lets whoever listens to our traces hear what the daemon says.
fn pass_on(message: Message) {
    match message {
        Message::Log(line) => tracing::info!("{line}"),
        Message::StartActivity(what) if !what.is_empty() => tracing::debug!("{what}"),
        _ => {}
    }
}

#[cfg(test)]
mod tests;
