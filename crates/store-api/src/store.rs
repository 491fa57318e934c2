//! The one trait that every store implements.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::{BoxStream, StreamExt, TryStreamExt};
use nars3_narinfo::PathInfo;
use nars3_store_path::{HashPart, PublicKeys, StoreDir, StorePath};

use crate::{NarStream, PackedFile, PackedFiles, PackedNar, Staged, StoreError};

/// Path infos that the provided methods ask for at once.
const CONCURRENT_QUERIES: usize = 32;

/// In which order a store wants the NARs of a closure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum NarOrder {
    /// Any order, any number at once: only `publish` follows the references.
    Any,
    /// A path's references must be published before its NAR is staged (a nix-daemon registers while it reads).
    ReferencesFirst {
        /// NARs of at most so many bytes are excepted: the store keeps them until they are published. Not those that
        /// replace what is there.
        except: u64,
    },
}

/// How many staged paths a store wants to publish at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Publication {
    /// One by one, each after its references (a cache: one narinfo is one object).
    Singly,
    /// In batches that may hold a path together with its references (a database: one transaction).
    InBatches,
}

/// How a store wants to be written to.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct WriteBehaviour {
    /// The order of the NARs.
    pub nar_order: NarOrder,
    /// The grouping of the publications.
    pub publication: Publication,
    /// The keys that must have signed a path before it may come in, unless its content address proves it.
    /// `None`: the store takes what it is given (a binary cache, as in Nix).
    pub required_signatures: Option<Arc<PublicKeys>>,
    /// Whether the store refuses what nobody has signed by rules of its own, of which `required_signatures` does not know (a
    /// nix-daemon).
    pub judges_signatures: bool,
    /// The compressed files that `stage_packed` takes.
    pub packed_files: PackedFiles,
    /// Whether the store refuses with `StoreError::NarHashMismatch` what is not the promised NAR, without our having to hash it
    /// (a nix-daemon hashes it anyway, but for one whose own store is a binary cache): then `Store::unverified_nar` will do.
    pub verifies_nars: bool,
}

impl WriteBehaviour {
    /// The behaviour of a binary cache: any order, one by one, no signatures asked.
    pub fn cache() -> Self {
        Self {
            nar_order: NarOrder::Any,
            publication: Publication::Singly,
            required_signatures: None,
            judges_signatures: false,
            packed_files: PackedFiles::Never,
            verifies_nars: false,
        }
    }

    /// The behaviour of a store on this machine, with a database.
    pub fn database(required_signatures: Option<Arc<PublicKeys>>) -> Self {
        Self {
            nar_order: NarOrder::Any,
            publication: Publication::InBatches,
            required_signatures,
            judges_signatures: false,
            packed_files: PackedFiles::Never,
            verifies_nars: false,
        }
    }
}

/// How one path is to be added.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct StageOptions {
    /// Replace what the store has, instead of keeping it.
    pub repair: bool,
}

impl StageOptions {
    /// Options that replace what the store has.
    pub fn repairing() -> Self {
        Self { repair: true }
    }
}

/// A Nix store: a binary cache, the store of this machine, a chroot store, a daemon. `Display` gives its URL, without
/// credentials.
///
/// Adding a path takes two steps, so that the NARs of a closure can travel in any order while its paths become valid
/// in the order of their references: `stage` takes the NAR in and verifies it, `publish` makes the path visible.
#[async_trait]
pub trait Store: fmt::Debug + fmt::Display + Send + Sync {
    /// The directory that the store's paths are printed under.
    fn store_dir(&self) -> &StoreDir;

    /// What the store knows of `path`; `None` if it is not valid there.
    async fn path_info(&self, path: &StorePath) -> Result<Option<Arc<PathInfo>>, StoreError>;

    /// The full path whose hash part is `hash_part`; `None` if there is none.
    async fn path_from_hash_part(&self, hash_part: &HashPart) -> Result<Option<StorePath>, StoreError>;

    /// As `path_from_hash_part`, of one that `list` has just given; `None` if it has vanished since. A store that cannot tell
    /// "denied" from "not there" can here, and overrides this.
    async fn path_of_listed(&self, hash_part: &HashPart) -> Result<Option<StorePath>, StoreError> {
        self.path_from_hash_part(hash_part).await
    }

    /// What the store knows of each of `paths`; those that are not valid are left out. Stores with a cheaper way than
    /// one query a path override this.
    async fn path_infos(&self, paths: &[StorePath]) -> Result<HashMap<StorePath, Arc<PathInfo>>, StoreError> {
        // Owned paths: a stream that borrows through `buffer_unordered` is not general enough for `Send` futures.
        let queries: Vec<_> = paths
            .iter()
            .cloned()
            .map(|path| async move { Ok((self.path_info(&path).await?, path)) })
            .collect();
        futures::stream::iter(queries)
            .buffer_unordered(CONCURRENT_QUERIES)
            .try_filter_map(|(info, path)| async move { Ok(info.map(|info| (path, info))) })
            .try_collect()
            .await
    }

    /// As `path_infos`, as they are now: what was remembered from an earlier process or for a while does not count. For
    /// whoever was told something that does not do, and that may have changed since. A store that remembers nothing
    /// answers as `path_infos`.
    async fn fresh_path_infos(
        &self,
        paths: &[StorePath],
    ) -> Result<HashMap<StorePath, Arc<PathInfo>>, StoreError> {
        self.path_infos(paths).await
    }

    /// Those of `paths` that are valid here. Unlike `path_infos` it may answer from a listing, but it never answers
    /// from a cache that outlives the process: a push believes it.
    async fn valid_paths(&self, paths: &[StorePath]) -> Result<Vec<StorePath>, StoreError> {
        let known = self.path_infos(paths).await?;
        Ok(paths.iter().filter(|path| known.contains_key(*path)).cloned().collect())
    }

    /// As `valid_paths`, after a store with substituters of its own has fetched from them what it lacks and they have.
    /// Any other store answers as `valid_paths`.
    async fn substitute(&self, paths: &[StorePath]) -> Result<Vec<StorePath>, StoreError> {
        self.valid_paths(paths).await
    }

    /// The hash parts of all valid paths, in no particular order.
    fn list(&self) -> BoxStream<'_, Result<HashPart, StoreError>>;

    /// The NAR of a path, uncompressed. Bytes that do not have the NarHash and NarSize of `info` end in an error, not
    /// in a completed stream.
    async fn nar(&self, info: &PathInfo) -> Result<NarStream, StoreError>;

    /// As `nar`, for somebody who compares the NAR with `info` himself: it need not be the one that `info` promises, only no
    /// larger. A store that would have to hash it overrides this.
    async fn unverified_nar(&self, info: &PathInfo) -> Result<NarStream, StoreError> {
        self.nar(info).await
    }

    /// The file that holds the NAR of a path, if this store keeps files and `wanted` includes its compression. With
    /// `None`, `nar` is the way.
    async fn packed_nar(
        &self,
        _info: &PathInfo,
        _wanted: &PackedFiles,
    ) -> Result<Option<PackedNar>, StoreError> {
        Ok(None)
    }

    /// Where that file is; `None` where it is not known exactly which file it is, or `wanted` does not include it.
    async fn packed_file(
        &self,
        _info: &PathInfo,
        _wanted: &PackedFiles,
    ) -> Result<Option<PackedFile>, StoreError> {
        Ok(None)
    }

    /// How this store wants to be written to.
    fn write_behaviour(&self) -> WriteBehaviour;

    /// Takes in the NAR of a path and verifies that it has the NarHash and NarSize of `info`. Nothing becomes visible.
    async fn stage(
        &self,
        info: PathInfo,
        nar: NarStream,
        options: StageOptions,
    ) -> Result<Staged, StoreError>;

    /// As `stage`, with the NAR inside a file that stays as it is. It is unpacked on the way, so what is verified is the
    /// same: a file whose NAR is not what `info` promises is an error. Only for stores whose `packed_files` include
    /// its compression.
    async fn stage_packed(
        &self,
        _info: PathInfo,
        _packed: PackedNar,
        _options: StageOptions,
    ) -> Result<Staged, StoreError> {
        Err(StoreError::Unsupported { store: self.to_string(), operation: "keep a compressed file as it is" })
    }

    /// As `stage_packed`, with a file that the server which holds both stores copies by itself. Nobody reads it on the way,
    /// so it is taken at the word of the store that it is in, and only its size is compared. `None`: it cannot be had so,
    /// and is to be sent.
    async fn stage_copied(
        &self,
        _info: &PathInfo,
        _file: PackedFile,
        _options: StageOptions,
    ) -> Result<Option<Staged>, StoreError> {
        Ok(None)
    }

    /// Makes staged paths valid. Each reference of each must be valid already or, where `Publication::InBatches`, in
    /// the same batch; otherwise `StoreError::MissingReference`, and nothing of the batch has become visible. A store
    /// whose paths become valid one by one (a nix-daemon) answers `StoreError::Refused`, and those that it does not
    /// name are valid.
    async fn publish(&self, batch: Vec<Staged>) -> Result<(), StoreError>;
}
