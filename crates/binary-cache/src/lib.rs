//! `nars3-binary-cache` is the semantics of a Nix binary cache over any object store.

mod budget;
mod cache;
mod compress;
mod known;
mod location;
mod objects;
mod options;
mod presence;
mod publish;
mod send;
mod spool;
mod stats;
mod take;

pub use cache::BinaryCache;
pub use options::{BinaryCacheOptions, Limits, ListingOrder};
pub use stats::CacheStats;
