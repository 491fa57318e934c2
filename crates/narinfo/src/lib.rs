//! The text and JSON files of a Nix binary cache: narinfo, `nix-cache-info`, listings, path info.

mod cache_info;
mod compression;
pub mod json;
mod keys;
mod listing;
mod narinfo;
mod path_info;

pub use cache_info::{CACHE_INFO_KEY, CacheInfo, CacheInfoProblem, StoreDirMismatch};
pub use compression::Compression;
pub use keys::{listing_key, nar_key, narinfo_key};
pub use listing::{
    Listing, ListingDepth, ListingError, ListingForm, ListingProblem, MAX_LISTING_DEPTH, Node,
};
pub use narinfo::{
    EXCERPT_LENGTH, Field, Finding, Flags, MAX_SIGNATURES, MAX_TEXT_LENGTH, NarInfo, NarInfoError,
    NarInfoProblem, NarInfoRef, References, Rule, SignatureLines,
};
pub use path_info::PathInfo;
