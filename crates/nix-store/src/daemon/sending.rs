//! Paths on their way to the daemon: a large one by itself, small ones together.

use std::borrow::Cow;
use std::io;

use nars3_narinfo::PathInfo;
use nars3_store_api::{NarStream, StageOptions, Staged, StoreError};
use nars3_store_path::{Algorithm, Hash, StorePath};

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
        // The daemon hashes what it takes, and compares it with the NarHash (Nix 2.3 to 2.34 `local-store.cc`, `addToStore`).
        let reader = VerifyingReader::new(self, &self.options.store_dir, &info, nar)?.unhashed();
        let taking = self.taking(options.repair);
        let added = self.pool.run(wanted, |connection| connection.add_to_store_nar(&sent, reader, taking));
        added.map_err(|error| self.refusal(&info, error))??;
        Ok(Staged::new(info, Token::Sent))
    }

    /// Takes in a path that waits for others.
    pub(super) fn keep(&self, info: PathInfo, nar: NarStream, room: Room) -> Result<Staged, StoreError> {
        let reader = VerifyingReader::new(self, &self.options.store_dir, &info, nar)?;
        // No more comes than the size that was promised.
        let mut bytes = Vec::with_capacity(usize::try_from(info.nar_size).unwrap_or(0));
        reader.pass_on(|chunk| {
            bytes.extend_from_slice(chunk);
            true
        })?;
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

    /// Why the daemon did not take a path.
    fn refusal(&self, info: &PathInfo, error: DaemonError) -> StoreError {
        match &error {
            DaemonError::Remote(remote) => match other_hash(&remote.to_string()) {
                Some(actual) => StoreError::NarHashMismatch {
                    store: self.to_string(),
                    path: info.path.clone(),
                    expected: info.nar_hash,
                    actual,
                },
                None => failed(self, &format!("add '{}'", info.path), error),
            },
            _ => failed(self, &format!("add '{}'", info.path), error),
        }
    }

    fn bytes_of<'a>(&self, info: &PathInfo, nar: &'a WaitingNar) -> Result<Cow<'a, [u8]>, StoreError> {
        nar.bytes().map_err(|error| unkept(self, &info.path, error))
    }

    fn taking(&self, repair: bool) -> Taking {
        Taking { repair, check_signatures: self.options.check_signatures }
    }
}

/// The hash that a NAR has in truth, where that is what a daemon complains of (the same words from Nix 2.3 on).
fn other_hash(complaint: &str) -> Option<Hash> {
    let (_, hashes) = complaint.split_once("hash mismatch importing path")?;
    let (_, actual) = hashes.rsplit_once("sha256:")?;
    let digits = actual.split(|character: char| !character.is_ascii_alphanumeric()).next()?;
    Hash::parse_with(Algorithm::Sha256, digits).ok()
}

/// A NAR cannot be put aside, or not be had back.
fn unkept(store: &Shared, path: &StorePath, error: io::Error) -> StoreError {
    backend_error_of(store, format!("keep the NAR of '{path}' in a temporary file"), error)
}

/// A copy was not built where it comes to; and an untrusted client may not say so anyway.
fn as_copied(info: &PathInfo) -> PathInfo {
    PathInfo { ultimate: false, ..info.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_true_hash_is_found_in_what_daemons_say() {
        let [specified, got] =
            ["specified", "got"].map(|text| Hash::digest(Algorithm::Sha256, text.as_bytes()));
        let plain = format!(
            "hash mismatch importing path '/nix/store/x';\n  specified: {specified}\n  got:       {got}"
        );
        assert_eq!(other_hash(&plain), Some(got));
        let coloured = plain.replace("sha256:", "\u{1b}[35;1msha256:") + "\u{1b}[0m";
        assert_eq!(other_hash(&coloured), Some(got));
        assert_eq!(
            other_hash(&format!("hash mismatch importing path '/nix/store/x'; got {}", "sha256:no")),
            None
        );
        assert_eq!(other_hash(&format!("cannot add path '/nix/store/x' with {got}")), None);
    }
}
