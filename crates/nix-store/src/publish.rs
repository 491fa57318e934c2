//! Making staged paths valid: files into place, rows into the database.
//!
//! The order is what makes it safe. Temporary roots first, so that no collector takes what is about to be relied on;
//! then Nix's lock on each path, so that nobody else puts files there; then, inside one transaction, the rows, the
//! renames, the commit. Killed before the commit, the process leaves files at a path that is not valid, which is what
//! every Nix leaves when it is killed while it adds a path, and which the next one to add the path replaces.

use std::collections::{BTreeSet, HashSet};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nars3_narinfo::PathInfo;
use nars3_store_api::StoreError;
use nars3_store_path::StorePath;

use crate::Durability;
use crate::database::register::{Registration, register};
use crate::database::valid_paths::valid_paths;
use crate::error::{backend_error, file_error};
use crate::layout::Layout;
use crate::locks::PathLocks;
use crate::order::references_first;
use crate::staging::{StagedFiles, StagingDir};
use crate::tree::{exchange_trees, move_tree};
use crate::writer::Writer;

/// Paths that become valid in one transaction. Each needs a lock file, hence a file descriptor, of which a process has
/// 1024 by default. A larger batch becomes several, references first.
const PATHS_PER_TRANSACTION: usize = 256;

/// A path that waits in a staging directory: what a local store remembers between `stage` and `publish`.
#[derive(Debug)]
pub(crate) struct Token {
    /// The store that staged it.
    pub(crate) layout: Arc<Layout>,
    pub(crate) files: StagedFiles,
    /// The outputs that the path names, where it is a derivation.
    pub(crate) outputs: Vec<(String, StorePath)>,
    /// Whether a valid path is to be replaced.
    pub(crate) repair: bool,
}

/// A path with its files.
pub(crate) type Entry = (PathInfo, Token);

/// Makes all of `batch` valid, or, where a reference is missing, none of it.
pub(crate) fn publish(layout: &Layout, writer: &Writer, batch: Vec<Entry>) -> Result<(), StoreError> {
    let mut seen = HashSet::new();
    let batch: Vec<Entry> = batch.into_iter().filter(|(info, _)| seen.insert(info.path.clone())).collect();
    let infos: Vec<&PathInfo> = batch.iter().map(|(info, _)| info).collect();
    let order = references_first(&infos).map_err(|cycle| backend_error(layout, "register paths", cycle))?;
    check_references(layout, writer, &infos, &seen)?;
    if writer.durability() == Durability::Contents {
        // One call for the whole batch.
        synchronise(layout, |directory| Ok(rustix::fs::syncfs(directory)?))?;
    }
    let mut batch: Vec<Option<Entry>> = batch.into_iter().map(Some).collect();
    for places in order.chunks(PATHS_PER_TRANSACTION) {
        let group = places.iter().filter_map(|&place| batch.get_mut(place)?.take()).collect();
        publish_group(layout, writer, group)?;
    }
    Ok(())
}

/// Roots what the batch refers to, and makes sure that it is valid.
fn check_references(
    layout: &Layout,
    writer: &Writer,
    infos: &[&PathInfo],
    batch: &HashSet<StorePath>,
) -> Result<(), StoreError> {
    let outside: BTreeSet<&StorePath> = infos
        .iter()
        .flat_map(|info| &info.references)
        .filter(|reference| !batch.contains(*reference))
        .collect();
    writer.temp_roots().add(outside.iter().copied())?;
    let outside: Vec<StorePath> = outside.into_iter().cloned().collect();
    let valid: HashSet<StorePath> =
        writer.read(|connection| valid_paths(layout, connection, &outside))?.into_iter().collect();
    for info in infos {
        let missing = info.references.iter().find(|path| !batch.contains(*path) && !valid.contains(*path));
        if let Some(reference) = missing {
            return Err(StoreError::MissingReference {
                store: layout.to_string(),
                path: info.path.clone(),
                reference: reference.clone(),
            });
        }
    }
    Ok(())
}

fn publish_group(layout: &Layout, writer: &Writer, group: Vec<Entry>) -> Result<(), StoreError> {
    let group = without_valid(layout, writer, group)?;
    if group.is_empty() {
        return Ok(());
    }
    writer.temp_roots().add(group.iter().map(|(info, _)| &info.path))?;
    let targets: BTreeSet<PathBuf> = group.iter().map(|(info, _)| layout.real_path(&info.path)).collect();
    let targets: Vec<PathBuf> = targets.into_iter().collect();
    let locks = PathLocks::take(&targets)?;
    // Whoever held a lock before us may have made the path valid.
    let group = without_valid(layout, writer, group)?;
    let staging = writer.staging()?;
    let mut placed = Vec::with_capacity(group.len());
    let result = writer.transaction(|transaction| {
        let registrations: Vec<Registration<'_>> =
            group.iter().map(|(info, token)| Registration { info, outputs: &token.outputs }).collect();
        register(layout, transaction, &registrations)?;
        for (info, token) in &group {
            placed.push(Placed::put(layout, info, token, &staging)?);
        }
        // The contents are on the disk; now their names.
        if writer.durability() == Durability::Contents {
            synchronise(layout, File::sync_all)?;
        }
        Ok(())
    });
    if result.is_err() {
        placed.into_iter().rev().for_each(Placed::undo);
    }
    drop(locks);
    result
}

/// Those of the group that are not valid yet, or are to be replaced.
fn without_valid(layout: &Layout, writer: &Writer, group: Vec<Entry>) -> Result<Vec<Entry>, StoreError> {
    let paths: Vec<StorePath> = group.iter().map(|(info, _)| info.path.clone()).collect();
    let valid: HashSet<StorePath> =
        writer.read(|connection| valid_paths(layout, connection, &paths))?.into_iter().collect();
    Ok(group.into_iter().filter(|(info, token)| token.repair || !valid.contains(&info.path)).collect())
}

/// Files that have been put in place, and what was there before.
struct Placed {
    target: PathBuf,
    staged: PathBuf,
    before: Before,
}

/// What was where files have been put: the remains of somebody who was interrupted, or what is to be repaired.
enum Before {
    Nothing,
    /// Where the new files had waited: they have changed places. So a path that is valid while it is repaired has files at
    /// every moment.
    Exchanged,
    /// Here, as this file system can only rename.
    SetAside(StagedFiles),
}

impl Placed {
    /// Renames the staged files to where the path belongs.
    fn put(
        layout: &Layout,
        info: &PathInfo,
        token: &Token,
        staging: &Arc<StagingDir>,
    ) -> Result<Self, StoreError> {
        let (target, staged) = (layout.real_path(&info.path), token.files.path().to_owned());
        let failed = |target: &Path, error| file_error("put files at", target, error);
        let mut before = Before::Nothing;
        if fs::symlink_metadata(&target).is_ok() {
            if exchange_trees(&staged, &target).map_err(|error| failed(&target, error))? {
                return Ok(Self { target, staged, before: Before::Exchanged });
            }
            let aside = StagedFiles::new(Arc::clone(staging));
            move_tree(&target, aside.path()).map_err(|error| file_error("set aside", &target, error))?;
            before = Before::SetAside(aside);
        }
        let placed = Self { target, staged, before };
        match move_tree(&placed.staged, &placed.target) {
            Ok(()) => Ok(placed),
            Err(error) => {
                let failed = failed(&placed.target, error);
                placed.restore_set_aside();
                Err(failed)
            }
        }
    }

    /// Takes the files away again, as far as that is possible; what remains is not valid.
    fn undo(self) {
        let taken = match self.before {
            Before::Exchanged => exchange_trees(&self.target, &self.staged).map(drop),
            Before::Nothing | Before::SetAside(_) => move_tree(&self.target, &self.staged),
        };
        match taken {
            Ok(()) => self.restore_set_aside(),
            Err(error) => {
                tracing::debug!(path = %self.target.display(), %error, "cannot take an unregistered path away");
            }
        }
    }

    fn restore_set_aside(self) {
        if let Before::SetAside(files) = &self.before
            && let Err(error) = move_tree(files.path(), &self.target)
        {
            tracing::debug!(path = %self.target.display(), %error, "cannot put a displaced path back");
        }
    }
}

/// Waits until what was written is on the disk.
fn synchronise(layout: &Layout, wait: impl FnOnce(&File) -> io::Result<()>) -> Result<(), StoreError> {
    let directory = layout.real_store_dir();
    File::open(directory)
        .and_then(|open| wait(&open))
        .map_err(|error| file_error("synchronise", directory, error))
}
