//! `nars3-binary-cache` is the semantics of a Nix binary cache over any object store.

mod budget;
mod cache;
mod compress;
mod debug_info;
mod delete;
mod files;
mod graph;
mod known;
mod location;
mod logs;
mod objects;
mod options;
mod presence;
mod publish;
mod realisations;
mod send;
mod spool;
mod stats;
mod take;
mod verify;

pub use cache::BinaryCache;
pub use delete::{DeleteOptions, Deletion};
pub use files::{FileError, OpenedFile};
pub use options::{BinaryCacheOptions, Limits, ListingOrder};
pub use stats::CacheStats;
pub use verify::{Finding, VerifyOptions, VerifyReport};
