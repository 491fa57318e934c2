//! The text and JSON files of a Nix binary cache, read and written as Nix does: narinfo, `nix-cache-info`, NAR
//! listings, path info and debug info links. Nothing here touches a file, a socket, the environment or the clock, and no
//! input makes it panic, recurse without bound or allocate more than in proportion to its own length.
//!
//! ```
//! use nars3_narinfo::{Compression, NarInfo};
//! use nars3_store_path::{SecretKey, StoreDir};
//!
//! let text = "\
//! StorePath: /nix/store/g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-bar
//! URL: nar/1w1fff338fvdw53sqgamddn1b2xgds473pv6y13gizdbqjv4i5p3.nar.zst
//! Compression: zstd
//! FileHash: sha256:1w1fff338fvdw53sqgamddn1b2xgds473pv6y13gizdbqjv4i5p3
//! FileSize: 4029
//! NarHash: sha256:1lr187v6dck1rjh2j6svpikcfz53wyl3qrlcbb405zlh13x0khhh
//! NarSize: 34878
//! References: n5wkd9frr45pa74if5gpz9j7mifg27fh-foo
//! ";
//! let store_dir = StoreDir::default();
//! let mut narinfo = NarInfo::parse(&store_dir, "g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q.narinfo", text)?;
//! assert_eq!(narinfo.compression, Compression::Zstd);
//! assert!(narinfo.flags.is_empty(), "it is exactly as Nix writes it");
//!
//! // Sign the path, and print the narinfo as Nix would.
//! let key = SecretKey::from_seed("cache.example.org-1", [7; 32])?;
//! narinfo.info.sign(&store_dir, &key)?;
//! let keys = [key.public_key()].into_iter().collect();
//! assert_eq!(narinfo.info.valid_signatures(&store_dir, &keys), 1);
//! assert!(narinfo.to_text(&store_dir).starts_with(text));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Where to find what
//!
//! - `NarInfo` and `PathInfo`: a narinfo that owns its parts, all of them checked. `NarInfo::parse_strict` accepts only
//!   what Nix 2.29 writes, `NarInfo::lint` tells everything that is unusual or wrong, with its line.
//! - `NarInfoRef`: a narinfo that borrows from its text, for whoever reads many of them for a field or two.
//! - `Flags`: where a narinfo departs from the form Nix writes, and thereby what printing cannot give back.
//! - `CacheInfo`: `nix-cache-info`.
//! - `Listing` and `Node`: what is in a NAR, the `.ls` beside it, in the forms of Nix 2.29 and of Nix HEAD.
//! - `json`: what `nix path-info --json` prints, in the format of Nix 2.29 and in versions 1 to 3, narinfos as JSON, and
//!   debug info links.
//! - `Compression`: the methods a narinfo can name.
//! - `narinfo_key`, `listing_key`, `nar_key`, `json::debug_info_key`, `CACHE_INFO_KEY`: the names of the objects.
//!
//! # What holds everywhere
//!
//! - What Nix reads is read to the same end, oddities included, or it is refused: two readers that disagree about one
//!   narinfo are a security hole. Refused are bytes that are not UTF-8 and store paths without the dash behind their
//!   hash part, which Nix 2.29 takes, and what exceeds the limits below. Each oddity is a flag, so `flags.prints_back()`
//!   says whether printing gives the same text.
//! - What Nix would write is written, to the byte: order of fields and keys, encodings, escapes.
//! - Limits: a narinfo of at most 16 MiB (`MAX_TEXT_LENGTH`; the stores take 8 MiB from a server unless told otherwise)
//!   with at most 1000 signatures (`MAX_SIGNATURES`), a listing
//!   of at most 512 directories within one another (`MAX_LISTING_DEPTH`) and names of at most 255 bytes
//!   (`MAX_LISTING_NAME_LENGTH`), other JSON of at most 128 levels.
//! - An error names the object, the line or the keys that lead to the place, the value found, and what was expected.
//!
//! # Which Nix
//!
//! Nix 2.29.1 is the model; where Nix HEAD differs, both are read, and what is written can be chosen. Versions meet in
//! four places: HEAD orders signatures by key name and bytes, not by their texts (`Flags::SIGNATURES_BY_KEY`), refuses
//! compression methods it does not know while reading (here and in 2.29: when decompressing), writes narinfos without
//! `FileHash`, and always says in a listing whether a file is executable.

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
    Listing, ListingDepth, ListingError, ListingForm, ListingProblem, MAX_LISTING_DEPTH,
    MAX_LISTING_NAME_LENGTH, Node, Walk,
};
pub use narinfo::{
    EXCERPT_LENGTH, Field, Finding, Flags, MAX_SIGNATURES, MAX_TEXT_LENGTH, NarInfo, NarInfoError,
    NarInfoProblem, NarInfoRef, References, Rule, SignatureLines, unknown_fields,
};
pub use path_info::PathInfo;
