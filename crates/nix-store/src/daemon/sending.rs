//! Paths on their way to the daemon: a large one by itself, small ones together.

use std::borrow::Cow;
use std::io::{self, Read};

use nars3_narinfo::PathInfo;
use nars3_store_api::{NarStream, StageOptions, Staged, StoreError};
use nars3_store_path::StorePath;

use super::connection::Taking;
use super::shared::{Shared, failed};
use super::socket::Wanted;
use super::waiting::{Room, WaitingNar};
use crate::error::backend_error_of;
use crate::order::references_first;
use crate::verify::VerifyingReader;
use crate::worker_protocol::error::DaemonError;

/// What is remembered of a path between `stage` and `publish`.
#[derive(Debug)]
pub(super) enum Token {
    /// It has been sent, and is valid.
    Sent,
    /// It is to be sent with others.
    Waiting(WaitingNar),
}

impl Shared {
    /// Takes in a path that goes by itself.
    pub(super) fn send(
        &self,
        wanted: &Wanted,
        info: PathInfo,
        nar: NarStream,
        options: StageOptions,
    ) -> Result<Staged, StoreError> {
        let sent = as_copied(&info);
        let mut reader = VerifyingReader::new(self, &self.options.store_dir, &info, nar)?;
        let taking = self.taking(options.repair);
        let added =
            self.pool.run(wanted, |connection| connection.add_to_store_nar(&sent, &mut reader, taking));
        added.map_err(|error| failed(self, &format!("add '{}'", info.path), error))??;
        drop(reader);
        Ok(Staged::new(info, Token::Sent))
    }

    /// Takes in a path that waits for others.
    pub(super) fn keep(&self, info: PathInfo, nar: NarStream, room: Room) -> Result<Staged, StoreError> {
        let mut reader = VerifyingReader::new(self, &self.options.store_dir, &info, nar)?;
        // The reader stops at the size that was promised.
        let mut bytes = Vec::with_capacity(usize::try_from(info.nar_size).unwrap_or(0));
        if let Err(error) = reader.read_to_end(&mut bytes) {
            return Err(reader.failure_of(error));
        }
        reader.finish()?;
        drop(reader);
        let waiting = room.fill(&info.path, bytes).map_err(|error| unkept(self, &info.path, error))?;
        Ok(Staged::new(info, Token::Waiting(waiting)))
    }

    /// Sends paths that have waited, in one request; where the daemon refuses it, each by itself. One that it does not
    /// take must not keep the others out; and Nix 2.8 stumbles in such a request over a path that somebody else has
    /// made valid meanwhile.
    pub(super) fn send_together(
        &self,
        wanted: &Wanted,
        batch: &[(PathInfo, WaitingNar)],
    ) -> Result<(), StoreError> {
        let infos: Vec<PathInfo> = batch.iter().map(|(info, _)| as_copied(info)).collect();
        let order = references_first(&infos.iter().collect::<Vec<_>>())
            .map_err(|cycle| backend_error_of(self, "add paths", cycle))?;
        let ordered: Vec<(&PathInfo, &WaitingNar)> =
            order.iter().filter_map(|&place| Some((infos.get(place)?, &batch.get(place)?.1))).collect();
        let sent: Vec<&PathInfo> = ordered.iter().map(|(info, _)| *info).collect();
        let read = |place: usize| match ordered.get(place) {
            Some((info, nar)) => self.bytes_of(info, nar),
            None => Err(StoreError::NarInterrupted),
        };
        let taking = self.taking(false);
        let together =
            self.pool.run(wanted, |connection| connection.add_multiple_to_store(&sent, read, taking));
        match together {
            Ok(sent) => return sent,
            Err(DaemonError::Remote(error)) => tracing::debug!(%error, "sending paths one by one"),
            Err(broken) => return Err(failed(self, "add paths", broken)),
        }
        let mut refused: Vec<(StorePath, StoreError)> = Vec::new();
        for (info, nar) in ordered {
            // What was refused, others cannot refer to.
            let gone = info.references.iter().find(|path| refused.iter().any(|(other, _)| other == *path));
            let added = match gone {
                Some(reference) => Err(StoreError::MissingReference {
                    store: self.to_string(),
                    path: info.path.clone(),
                    reference: reference.clone(),
                }),
                None => self.bytes_of(info, nar).and_then(|nar| {
                    self.pool
                        .run(wanted, |connection| connection.add_bytes_to_store(info, &nar, taking))
                        .map_err(|error| failed(self, &format!("add '{}'", info.path), error))
                        .flatten()
                }),
            };
            if let Err(error) = added {
                refused.push((info.path.clone(), error));
            }
        }
        if refused.is_empty() {
            return Ok(());
        }
        let refusal = StoreError::Refused { store: self.to_string(), refused };
        Err(if batch.len() == 1 { refusal.into_first() } else { refusal })
    }

    fn bytes_of<'a>(&self, info: &PathInfo, nar: &'a WaitingNar) -> Result<Cow<'a, [u8]>, StoreError> {
        nar.bytes().map_err(|error| unkept(self, &info.path, error))
    }

    fn taking(&self, repair: bool) -> Taking {
        Taking { repair, check_signatures: self.options.check_signatures }
    }
}

/// A NAR cannot be put aside, or not be had back.
fn unkept(store: &Shared, path: &StorePath, error: io::Error) -> StoreError {
    backend_error_of(store, format!("keep the NAR of '{path}' in a temporary file"), error)
}

/// A copy was not built where it comes to; and an untrusted client may not say so anyway.
fn as_copied(info: &PathInfo) -> PathInfo {
    PathInfo { ultimate: false, ..info.clone() }
}
