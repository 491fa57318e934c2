//! One connection to a daemon: questions, and their answers.
//!
//! A request that ends in `DaemonError::Remote` leaves the connection as good as it was; after any other error it must
//! be dropped.

mod add;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufReader, BufWriter, Read, Write};
use std::os::unix::net::UnixStream;

use nars3_narinfo::PathInfo;
use nars3_store_path::{
    BuildTraceEntry, BuildTraceKey, DrvOutput, HashPart, Realisation, StoreDir, StorePath,
};

use super::queries::Missing;
use super::socket::{Socket, Wanted};
use crate::worker_protocol::build::{DerivedPath, write_derived_path};
use crate::worker_protocol::error::{DaemonError, WireError};
use crate::worker_protocol::handshake::{Agreement, shake_hands};
use crate::worker_protocol::message::{Message, read_message};
use crate::worker_protocol::realisation::{
    read_build_trace_entry_of, read_realisations_of, write_build_trace_entry, write_build_trace_key,
    write_drv_output, write_registration,
};
use crate::worker_protocol::value::{read_optional_path, read_path_info, read_paths, write_paths};
use crate::worker_protocol::wire::{
    read_bool, read_list, read_number, read_string, write_bool, write_list, write_number, write_string,
};

pub(crate) use add::{Outcome, Taking};

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
    pub(super) const QUERY_MISSING: u64 = 40;
    pub(super) const QUERY_DERIVATION_OUTPUT_MAP: u64 = 41;
    pub(super) const REGISTER_DRV_OUTPUT: u64 = 42;
    pub(super) const QUERY_REALISATION: u64 = 43;
    pub(super) const ADD_MULTIPLE_TO_STORE: u64 = 44;
    pub(super) const ADD_BUILD_LOG: u64 = 45;
}

/// The minor version since which `QUERY_DERIVATION_OUTPUT_MAP` is known.
const OUTPUT_MAP_SINCE: u64 = 22;
/// The minor version since which a question for valid paths says whether to substitute the others.
const SUBSTITUTE_FLAG_SINCE: u64 = 27;
/// The minor version since which realisations are known (Nix 2.4).
const REALISATIONS_SINCE: u64 = 27;

/// Questions that are sent before the first answer is read. Together they are a few KiB, which the socket holds: the
/// daemon cannot make us wait while it waits for us.
const QUESTIONS_AT_ONCE: usize = 32;

/// Bytes of a request that are gathered before they are written. NARs go past it.
const WRITE_BUFFER: usize = 32 * 1024;

/// Nix's numbers for the levels of its log.
const LOG_WARNINGS: u64 = 1;
const LOG_INFO: u64 = 3;

/// A connection on which hands have been shaken.
#[derive(Debug)]
pub(crate) struct Connection {
    store_dir: StoreDir,
    from: BufReader<Socket>,
    to: BufWriter<Socket>,
    agreement: Agreement,
    wanted: Wanted,
}

impl Connection {
    /// Shakes hands and says how requests are to be carried out.
    pub(crate) fn open(stream: UnixStream, store_dir: StoreDir, wanted: Wanted) -> Result<Self, DaemonError> {
        let (mut from, mut to) = Socket::pair(stream)?;
        from.serve(wanted.clone());
        to.serve(wanted.clone());
        let mut from = BufReader::new(from);
        let mut to = BufWriter::with_capacity(WRITE_BUFFER, to);
        let agreement = shake_hands(&mut from, &mut to)?;
        let mut connection = Self { store_dir, from, to, agreement, wanted };
        connection.wait()?;
        if !connection.agreement.features.disable_set_options {
            connection.set_options()?;
        }
        Ok(connection)
    }

    /// What was agreed on.
    pub(crate) fn agreement(&self) -> &Agreement {
        &self.agreement
    }

    /// What follows is for this request.
    pub(crate) fn serve(&mut self, wanted: &Wanted) {
        self.from.get_mut().serve(wanted.clone());
        self.to.get_mut().serve(wanted.clone());
        self.wanted = wanted.clone();
    }

    /// The options of a client that builds nothing: only the level of the log matters.
    fn set_options(&mut self) -> Result<(), DaemonError> {
        let [keep_failed, keep_going, try_fallback] = [0; 3];
        let verbosity = if tracing::enabled!(tracing::Level::INFO) { LOG_INFO } else { LOG_WARNINGS };
        let [build_jobs, silent_time, use_build_hook, build_verbosity] = [1, 0, 1, 0];
        let [log_type, print_build_trace, build_cores, use_substitutes, overrides] = [0, 0, 0, 1, 0];
        write_number(&mut self.to, operation::SET_OPTIONS)?;
        for number in [
            keep_failed,
            keep_going,
            try_fallback,
            verbosity,
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

    /// Those of `paths` that are valid, after the daemon has tried to `substitute` the others, if that is wished.
    pub(crate) fn valid_paths(
        &mut self,
        paths: &[StorePath],
        substitute: bool,
    ) -> Result<BTreeSet<StorePath>, DaemonError> {
        write_number(&mut self.to, operation::QUERY_VALID_PATHS)?;
        write_paths(&mut self.to, &self.store_dir, paths.iter())?;
        if self.agreement.minor >= SUBSTITUTE_FLAG_SINCE {
            write_bool(&mut self.to, substitute)?;
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

    /// What would have to be built or fetched so that `paths` were valid.
    pub(crate) fn missing(&mut self, paths: &[StorePath]) -> Result<Missing, DaemonError> {
        let minor = self.agreement.minor;
        let store_dir = &self.store_dir;
        write_number(&mut self.to, operation::QUERY_MISSING)?;
        write_list(&mut self.to, paths.iter(), |to, path| {
            write_derived_path(to, store_dir, minor, &DerivedPath::Opaque(path.clone()))
        })?;
        self.wait()?;
        Ok(Missing {
            will_build: read_paths(&mut self.from, &self.store_dir)?,
            will_substitute: read_paths(&mut self.from, &self.store_dir)?,
            unknown: read_paths(&mut self.from, &self.store_dir)?,
            download_size: read_number(&mut self.from)?,
            nar_size: read_number(&mut self.from)?,
        })
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

    /// What the output `id` turned out to be. A daemon that names outputs otherwise knows none of this form.
    pub(crate) fn realisation(&mut self, id: &DrvOutput) -> Result<Option<Realisation>, DaemonError> {
        if self.agreement.features.realisation_with_path || self.agreement.minor < REALISATIONS_SINCE {
            return Ok(None);
        }
        write_number(&mut self.to, operation::QUERY_REALISATION)?;
        write_drv_output(&mut self.to, id)?;
        self.wait()?;
        Ok(read_realisations_of(&mut self.from, &self.store_dir, self.agreement.minor, id)?)
    }

    /// What the output at `key` turned out to be. A daemon that names outputs otherwise knows none of this form.
    pub(crate) fn build_trace_entry(
        &mut self,
        key: &BuildTraceKey,
    ) -> Result<Option<BuildTraceEntry>, DaemonError> {
        if !self.agreement.features.realisation_with_path {
            return Ok(None);
        }
        write_number(&mut self.to, operation::QUERY_REALISATION)?;
        write_build_trace_key(&mut self.to, &self.store_dir, key)?;
        self.wait()?;
        Ok(read_build_trace_entry_of(&mut self.from, &self.store_dir, key)?)
    }

    /// Registers what an output turned out to be; false where the daemon does not know this form.
    pub(crate) fn register_realisation(&mut self, realisation: &Realisation) -> Result<bool, DaemonError> {
        if self.agreement.features.realisation_with_path || self.agreement.minor < REALISATIONS_SINCE {
            return Ok(false);
        }
        write_number(&mut self.to, operation::REGISTER_DRV_OUTPUT)?;
        write_registration(&mut self.to, self.agreement.minor, realisation)?;
        self.wait()?;
        Ok(true)
    }

    /// As `register_realisation`, in the form since Nix 2.35.
    pub(crate) fn register_build_trace_entry(
        &mut self,
        entry: &BuildTraceEntry,
    ) -> Result<bool, DaemonError> {
        if !self.agreement.features.realisation_with_path {
            return Ok(false);
        }
        write_number(&mut self.to, operation::REGISTER_DRV_OUTPUT)?;
        write_build_trace_entry(&mut self.to, &self.store_dir, entry)?;
        self.wait()?;
        Ok(true)
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

/// Lets whoever listens to our traces hear what the daemon says. It does not say how important a line is, but only
/// sends those that were asked for: warnings, and more where somebody listens.
fn pass_on(message: Message) {
    match message {
        Message::Log(line) if line.is_empty() => {}
        Message::Log(line) if is_warning(&line) => tracing::warn!("the nix-daemon says: {line}"),
        Message::Log(line) => tracing::info!("the nix-daemon says: {line}"),
        Message::StartActivity(what) if !what.is_empty() => tracing::debug!("the nix-daemon: {what}"),
        _ => {}
    }
}

fn is_warning(line: &str) -> bool {
    !tracing::enabled!(tracing::Level::INFO) || line.starts_with("warning:") || line.starts_with("error")
}
