//! The JSON that Nix prints and reads for path infos, narinfos and debug info links.
//!
//! | what | written as | read from |
//! |---|---|---|
//! | a path info | `path_info_to_json` | `path_info_from_json` |
//! | a narinfo | `nar_info_to_json` | `nar_info_from_json` |
//! | `nix path-info --json` | `PathInfoDocument::to_json` | `PathInfoDocument::from_json` |
//! | a `debuginfo/` object | `DebugInfoLink::to_json` | `DebugInfoLink::from_json` |
//!
//! Reading takes the format from the JSON; writing is told which one. Objects are written with their keys sorted and
//! without white space, as Nix's JSON library does it.

mod debug_info;
mod document;
mod error;
mod format;
mod nar_info;
mod object;
mod path_info;
#[cfg(test)]
mod tests;

pub use debug_info::{DebugInfoLink, NotABuildId, debug_info_key};
pub use document::{PathInfoDocument, PathInfoEntry};
pub use error::{JsonError, JsonProblem};
pub use format::{Detail, PathInfoFormat};
pub use nar_info::{NarFile, nar_info_from_json, nar_info_to_json};
pub use path_info::{path_info_from_json, path_info_to_json};
