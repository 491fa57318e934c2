//! How a local store is opened.

use std::path::PathBuf;
use std::sync::Arc;

use nars3_store_api::{NoProgress, Progress};
use nars3_store_path::{PublicKeys, StoreDir};

/// What must have reached the disk before a path counts as valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Durability {
    /// Nothing: a power failure may damage the database. Nix's `fsync-metadata = false`.
    Nothing,
    /// The database, at its checkpoints (`synchronous = normal`): a power failure may lose the newest registrations
    /// and may leave empty files behind a registration that survived. Nix's own default.
    #[default]
    Metadata,
    /// The files as well, before the paths are registered. Nix's `fsync-store-paths = true`.
    Contents,
}

/// Whether the store tells Nix's collector what it is working on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum TempRootPolicy {
    /// Every path that is read or written is a temporary root for as long as the store is open. Where the user may
    /// not write Nix's state directory, reading goes on without; writing never does.
    #[default]
    WherePermitted,
    /// Reading takes no temporary roots; writing does all the same.
    OnlyWriting,
}

/// How to open a `LocalStore`. The names are those of the settings of Nix's `local` store.
#[derive(Debug, Clone)]
pub struct LocalStoreOptions {
    /// Opens the chroot store under this directory: files in `nix/store`, state in `nix/var/nix`. Paths keep their
    /// names under `store_dir`. `None`: the store of this machine.
    pub root: Option<PathBuf>,
    /// The logical store directory, under which paths are printed and registered.
    pub store_dir: StoreDir,
    /// Where the state is, instead of `ROOT/nix/var/nix` or `/nix/var/nix` (Nix: `state`).
    pub state_dir: Option<PathBuf>,
    /// Where the files are, instead of `ROOT/nix/store` or the store directory (Nix: `real`).
    pub real_store_dir: Option<PathBuf>,
    /// Where build logs are, instead of `ROOT/nix/var/log/nix` or `/nix/var/log/nix` (Nix: `log`).
    pub log_dir: Option<PathBuf>,
    /// Refuse to write. The store must exist.
    pub read_only: bool,
    /// The keys that must have signed a path before it may come in, unless its content address proves it. The store
    /// only passes this on to whoever copies into it; `None` asks for none.
    pub required_signatures: Option<Arc<PublicKeys>>,
    /// Hard-link files that are equal to one that is in the store already, as Nix's `auto-optimise-store` does.
    pub optimise: bool,
    /// What must be on the disk before a path counts as valid.
    pub durability: Durability,
    /// Whether reading holds temporary roots.
    pub temp_roots: TempRootPolicy,
    /// Is told of warnings.
    pub progress: Arc<dyn Progress>,
}

impl Default for LocalStoreOptions {
    /// The store of this machine, for reading and writing, no signatures asked.
    fn default() -> Self {
        Self {
            root: None,
            store_dir: StoreDir::default(),
            state_dir: None,
            real_store_dir: None,
            log_dir: None,
            read_only: false,
            required_signatures: None,
            optimise: false,
            durability: Durability::default(),
            temp_roots: TempRootPolicy::default(),
            progress: Arc::new(NoProgress),
        }
    }
}
