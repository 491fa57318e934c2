//! What all requests to one daemon share: its connections, and the temporary roots that they hold.

use std::collections::HashSet;
use std::fmt;
use std::io::{Read, Write};
use std::sync::{Arc, Mutex, PoisonError};

use nars3_narinfo::PathInfo;
use nars3_store_api::{NarWriter, StoreError, Workers};
use nars3_store_path::{Hasher, StorePath};

use super::connection::{Connection, Outcome};
use super::options::{DaemonStoreOptions, url};
use super::pool::Pool;
use super::socket::Wanted;
use super::waiting::Waiting;
use crate::worker_protocol::error::DaemonError;

/// Bytes of a NAR that are passed on at once.
const BLOCK: usize = 64 * 1024;

pub(crate) struct Shared {
    pub(super) options: DaemonStoreOptions,
    pub(super) pool: Pool,
    pub(super) daemon_version: Option<String>,
    pub(super) trusted: Option<bool>,
    pub(super) takes_many: bool,
    pub(super) waiting: Arc<Waiting>,
    /// Read small NARs into memory, and wait for their bytes now and then.
    pub(super) keepers: Workers,
    /// Read those that are on this machine. One core is left to the daemon, which has more to do.
    pub(super) readers: Workers,
    pub(super) roots: Mutex<Roots>,
}

/// A connection that is kept for the temporary roots: they last as long as it does. There is none before the first root,
/// since for each the daemon runs a process.
#[derive(Debug, Default)]
pub(super) struct Roots {
    connection: Option<Connection>,
    refused: bool,
    rooted: HashSet<StorePath>,
}

impl Shared {
    /// Keeps collectors away from `paths`. That it may not is no reason to stop.
    pub(super) fn root(&self, wanted: &Wanted, paths: &[StorePath]) {
        let mut roots = self.roots.lock().unwrap_or_else(PoisonError::into_inner);
        let Roots { connection, refused, rooted } = &mut *roots;
        let new: Vec<&StorePath> = paths.iter().filter(|path| !rooted.contains(*path)).collect();
        if *refused || new.is_empty() {
            return;
        }
        let added = match connection.take() {
            Some(mut open) => {
                open.serve(wanted);
                Ok(open)
            }
            None => self.pool.connect(wanted),
        }
        .and_then(|mut open| open.add_temp_roots(new.iter().copied()).map(|()| open));
        match added {
            Ok(open) => {
                rooted.extend(new.into_iter().cloned());
                *connection = Some(open);
            }
            Err(error) => {
                tracing::debug!(%error, "reading without temporary roots");
                *refused = true;
            }
        }
    }

    /// Passes the NAR of a path on to `writer`.
    pub(super) fn nar(&self, info: &PathInfo, writer: &mut NarWriter<'_>) -> Result<(), StoreError> {
        let wanted = Wanted::default();
        self.root(&wanted, std::slice::from_ref(&info.path));
        let mut hasher = Hasher::new(info.nar_hash.algorithm());
        let sent = self.pool.run(&wanted, |connection| {
            let from = connection.nar_from_path(&info.path)?;
            let mut buffer = vec![0; BLOCK];
            let mut left = info.nar_size;
            while left > 0 {
                let room = usize::try_from(left).unwrap_or(BLOCK).min(BLOCK);
                let block = buffer.get_mut(..room).unwrap_or_default();
                from.read_exact(block)?;
                hasher.update(block);
                left -= room as u64;
                if writer.write_all(block).is_err() {
                    // Nobody wants the rest; but it is on its way.
                    return Ok(Outcome::Broken(None));
                }
            }
            let actual = hasher.finish();
            // With another hash it may have another size, and then the rest of it is still on its way.
            Ok(if actual == info.nar_hash {
                Outcome::Clean(Some(actual))
            } else {
                Outcome::Broken(Some(actual))
            })
        });
        match sent.map_err(|error| failed(self, &format!("read '{}'", info.path), error))? {
            Some(actual) if actual != info.nar_hash => Err(StoreError::NarHashMismatch {
                store: self.to_string(),
                path: info.path.clone(),
                expected: info.nar_hash,
                actual,
            }),
            _ => Ok(()),
        }
    }
}

/// The error of a request, with what was to be done.
pub(super) fn failed(store: &impl fmt::Display, action: &str, error: DaemonError) -> StoreError {
    StoreError::Backend { store: store.to_string(), action: action.to_owned(), source: error.into() }
}

impl fmt::Display for Shared {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&url(&self.options))
    }
}
