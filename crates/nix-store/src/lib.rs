//! The local side of Nix: reads and writes the Nix store of this machine, or a chroot store under some directory,
//! through Nix's own database, files and locks, beside a running Nix and without needing one; or through a nix-daemon,
//! where only that may touch the store. It knows nothing of caches or of copying: it implements the `Store` trait, and
//! whoever copies does the rest.
//!
//! ```
//! use nars3_nix_store::{LocalStore, LocalStoreOptions};
//! use nars3_store_api::Store;
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let directory = tempfile::tempdir()?;
//! # let root = directory.path().to_owned();
//! // As `local?root=DIR` of Nix: made into a store, with the tables and directories that Nix makes, if it is none.
//! let store = LocalStore::open(LocalStoreOptions { root: Some(root), ..LocalStoreOptions::default() })?;
//! let path = "7rjj86a15146cq1d3qy068lml7n7ykzm-hello-2.12".parse()?;
//! assert!(store.path_info(&path).await?.is_none());
//! # Ok(())
//! # }
//! ```
//!
//! # What is promised
//!
//! - Reading never changes the store, and sees the changes of a running Nix at once. Where the database cannot be
//!   locked (a read-only mount, no permission), it is read as it is on the disk, and a warning says what that means.
//! - A path becomes valid only after its files are in place and were seen to have its NarHash, its NarSize, and the
//!   contents that its content address claims.
//! - Killed at any moment, the store is one that `nix-store --verify --check-contents` accepts. What was left behind
//!   is not valid; the next copy, or Nix's collector, removes it.
//! - Nix may build, copy and collect garbage in the same store meanwhile: its lock files, its transactions and its
//!   temporary roots are used as Nix 2.8 and 2.29 use them.
//! - A copied path is never `ultimate`: it was not built here, so its signatures count.
//!
//! # What reaches the disk, and when
//!
//! As with Nix, the database survives a power failure, but the newest registrations may not, and files that were
//! written shortly before may be empty (`Durability::Metadata`). `Durability::Contents` waits for the files before it
//! registers a batch.
//!
//! # Modules
//!
//! | module | job |
//! |---|---|
//! | `store` | `LocalStore`: the `Store` trait |
//! | `queries` | what only a local store answers |
//! | `options` | how a store is opened |
//! | `layout` | where a store keeps what |
//! | `database` | Nix's tables: opening, reading, registering |
//! | `export` | files to NAR, checked on the way |
//! | `import` | NAR to files |
//! | `verify` | a NAR on its way in, compared with what was promised |
//! | `staging` | where paths wait until they are published |
//! | `publish` | making a batch of staged paths valid |
//! | `order` | the order of a batch |
//! | `optimise` | sharing equal files by hard links |
//! | `derivation` | the outputs that a derivation names, and the hash by which they are known |
//! | `logs` | the files of build logs |
//! | `records` | logs and realisations, as the copy engine sees them |
//! | `writer`, `create` | what writing needs, and how a directory becomes a store |
//! | `locks`, `temp_roots` | Nix's protocols between processes |
//! | `mount` | a store directory that is mounted read-only |
//! | `auto` | reading directly, writing through a daemon, as far as either is possible |
//! | `worker_protocol` | the worker protocol, over anything that reads and writes |
//! | `daemon` | `DaemonStore`: the worker protocol over a socket |
//! | `socket` | Unix sockets that are deep down |
//! | `tree` | moving and removing read-only trees |
//! | `blocking` | the way to the blocking pool |

mod auto;
mod blocking;
mod create;
mod daemon;
mod database;
mod derivation;
mod error;
mod export;
mod import;
mod layout;
mod locks;
mod logs;
mod mount;
mod optimise;
mod options;
mod order;
mod publish;
mod queries;
mod records;
mod socket;
mod staging;
mod store;
mod temp_roots;
mod tree;
mod verify;
pub mod worker_protocol;
mod writer;

pub use auto::AutoStore;
pub use daemon::{DaemonStore, DaemonStoreOptions, Missing};
pub use derivation::{Derivation, DerivationError, outputs as derivation_outputs};
pub use error::LocalStoreError;
pub use logs::BuildLog;
pub use mount::make_store_writable;
pub use options::{Durability, LocalStoreOptions, TempRootPolicy};
pub use store::LocalStore;
pub use worker_protocol::{DaemonError, RemoteError, WireError};
