//! What a copy can be told, and what it tells afterwards.

use std::sync::Arc;

use nars3_store_api::Pace;
use nars3_store_path::StorePath;

use crate::Selection;

/// How to copy.
///
/// ```
/// use nars3_copy::CopyOptions;
///
/// // As `nix copy --no-recursive --no-check-sigs`, four large NARs at once.
/// let mut options = CopyOptions::default();
/// options.recursive = false;
/// options.check_signatures = false;
/// options.jobs = 4;
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CopyOptions {
    /// Copy everything the roots refer to as well. Without it, a root whose references are missing at the destination
    /// is an error there.
    pub recursive: bool,
    /// Ask for the signatures that the destination requires. `false` stands for `--no-check-sigs`, or a source that
    /// is trusted. Content addresses are proven all the same.
    pub check_signatures: bool,
    /// Replace what the destination has.
    pub repair: bool,
    /// After a path has failed, go on with all that do not depend on it.
    pub keep_going: bool,
    /// Let the destination fetch from its own substituters what they have (`--substitute-on-destination`).
    pub substitute: bool,
    /// What is left out.
    pub selection: Selection,
    /// How fast NARs may pass, all together, where they pass through here unpacked.
    pub pace: Option<Arc<dyn Pace>>,
    /// NARs under way at once; of those below 1 MiB four times as many, below 128 KiB sixteen times. Bounds memory together
    /// with the stores' own budgets.
    pub jobs: usize,
}

impl Default for CopyOptions {
    fn default() -> Self {
        Self {
            recursive: true,
            check_signatures: true,
            repair: false,
            keep_going: false,
            substitute: false,
            selection: Selection::default(),
            pace: None,
            jobs: 16,
        }
    }
}

/// What a copy did.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Report {
    /// Paths that became valid at the destination, in the order in which they did.
    pub copied: Vec<StorePath>,
    /// Paths of the closure that the destination had already.
    pub present: usize,
    /// The sum of NarSize of what was copied, in bytes.
    pub nar_bytes: u64,
}
