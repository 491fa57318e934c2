//! Nix archives: encode, decode, hash, list and restore them, streaming and at the speed of the file system.
//!
//! A NAR is the file tree of a store path as one sequence of bytes: contents, names, symlinks and executable bits,
//! nothing else, so that equal trees have equal NARs. This crate writes them byte for byte as Nix does, and reads
//! them as Nix does since its hardening of April 2026: bounded, and safe against whatever a stranger may put into
//! one.
//!
//! ```
//! use nars3_nar::{DumpOptions, ListingSink, RestoreOptions, dump, hash_path, restore};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let directory = tempfile::tempdir()?;
//! # let tree = directory.path().join("tree");
//! # std::fs::create_dir(&tree)?;
//! # std::fs::write(tree.join("greeting"), "hello")?;
//! # let copy = directory.path().join("copy");
//! // A tree to bytes, and its NarHash and NarSize without them.
//! let mut nar = Vec::new();
//! dump(&tree, &mut nar, &DumpOptions::default())?;
//! let (nar_hash, nar_size) = hash_path(&tree, &DumpOptions::default())?;
//! assert_eq!(nar_size, nar.len() as u64);
//!
//! // Bytes to a tree, with the metadata of a store path.
//! let options = RestoreOptions { canonical: true, ..RestoreOptions::default() };
//! restore(&mut nar.as_slice(), &copy, &options)?;
//! assert_eq!(hash_path(&copy, &DumpOptions::default())?, (nar_hash, nar_size));
//!
//! // What is where in the NAR, pushed chunk by chunk.
//! let mut listing = ListingSink::default();
//! for chunk in nar.chunks(100) {
//!     listing.push(chunk)?;
//! }
//! assert!(listing.finish()?.root.lookup("greeting").is_some());
//! # Ok(()) }
//! ```
//!
//! # What is here
//!
//! - From a tree: `dump` to a writer, `hash_path` to NarHash and NarSize, reading and hashing on two cores.
//! - From anything else: `Encoder`, event by event; it lets no wrong NAR through.
//! - To a tree: `restore` from a reader, `restore_atomic` all of it or nothing, `RestoreSink` for pushed chunks.
//!   `canonicalise` gives a tree that exists the metadata of the store, and `remove_tree` removes one that has it.
//! - To events: `Decoder`, which pulls from a reader and lends contents as a stream.
//! - Pushed, for pipelines that must not block: `NarChecker`, `ListingSink`, and `ContentHasher` for the hashes in
//!   content addresses, self-references included.
//! - At random: `list` a NAR, then `Member` reads one file out of it, and nothing else.
//! - `Limits`: how deep and how long what a stranger sends may be.
//!
//! # Memory
//!
//! No operation needs more memory for larger files: contents stream through buffers of fixed size. What does grow:
//!
//! - The names on the way to the current node, for all: at most 16 KiB under Nix's limits.
//! - Dumping, with the directories on the way to the current file: the names in each of them, read at once to be sorted.
//!   What bounds them is the file system. Restoring keeps such names with the case hack only.
//! - Listings, with the tree: up to `ListingSink::MAX_ENTRIES` entries (1,000,000, some 150 bytes each and 650 at the
//!   worst) and `ListingSink::MAX_TEXT` bytes of names and targets (128 MiB). A NAR with more is valid but has no listing.
//! - Content hashes, with self-references: 8 bytes each, up to `ContentHasher::MAX_SELF_REFERENCES` (1,048,576). An object
//!   with more has no content hash here.
//!
//! # Safe against
//!
//! Restoring creates every file anew, through the descriptor of its directory, never through a path and never through
//! a symlink; so a NAR with a symlink and then a path through it, with a second entry of the same name, or with names
//! like `..` can do no harm, and neither can somebody who renames directories meanwhile. Nothing recurses. Names,
//! targets and depth are bounded before memory is spent. Sizes are believed only as far as bytes follow.
//!
//! Dumping examines every file before and after reading it: a file that grows, shrinks, vanishes or is modified
//! meanwhile is an error, as far as sizes, modes and times tell; the documentation of `dump` names what they do not tell.
//!
//! # Strictness
//!
//! Nix 2.29.1 is laxer than this crate: it takes any word in the place of `contents` for a file without contents,
//! allows empty symlink targets and NULs in them, and bounds nothing. Such NARs are not written by any Nix, cannot be
//! restored or are attacks, and newer Nix refuses them too; only the bounds can be lifted (`Limits::none`).
//! Bytes after the end of a NAR are an error where a NAR is all there should be, and can be left alone where a
//! stream goes on (`Decoder::exact`, `Trailing::LeaveUnread`, `NarChecker::push`).

mod block;
mod canonical;
mod case_hack;
mod checker;
mod content_hash;
mod decoder;
mod directory;
mod dump;
mod encoder;
mod error;
mod limits;
mod listing;
mod member;
mod metadata;
mod parser;
mod remove;
mod restore;
#[cfg(test)]
mod test_needs;
mod wire;

pub use canonical::{CanonicalOptions, CanonicaliseError, canonicalise, canonicalise_with};
pub use checker::NarChecker;
pub use content_hash::{ContentHashError, ContentHasher};
pub use decoder::{Contents, DecodeError, Decoder, Event};
pub use dump::{Change, DumpError, DumpOptions, dump, hash_path, hash_path_with};
pub use encoder::{EncodeError, Encoder};
pub use error::{FormatError, FormatErrorKind};
pub use limits::Limits;
pub use listing::{ListingError, ListingSink, list};
pub use member::{Member, MemberError};
pub use metadata::Owner;
pub use remove::remove_tree;
pub use restore::{
    RestoreError, RestoreOptions, RestoreSink, RestoreSummary, Trailing, restore, restore_atomic,
};
