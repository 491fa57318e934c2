//! What is checked, and what can be found.

use nars3_store_api::StoreError;
use nars3_store_path::{HashPart, PublicKeys, RealisedOutput, StorePath};

/// What to check.
#[derive(Debug, Clone, Default)]
pub struct VerifyOptions {
    /// Only these paths; the whole cache when `None`, and then files that no narinfo names are looked for too.
    pub paths: Option<Vec<StorePath>>,
    /// Of `paths`, all that they refer to as well, as far as it is in the cache.
    pub recursive: bool,
    /// Fetch and hash every NAR. Otherwise it is only checked that the file is there and has the right size.
    pub contents: bool,
    /// Keys that must have signed each path, unless its content address proves it. `None` checks no trust.
    pub trusted: Option<PublicKeys>,
    /// Signatures needed by different trusted keys, one if zero.
    pub signatures_needed: usize,
}

/// Something that is wrong with a cache.
#[derive(Debug)]
#[non_exhaustive]
pub enum Finding {
    /// A path that was to be checked is not in the cache.
    Invalid {
        /// The path.
        path: StorePath,
    },
    /// A narinfo cannot be understood.
    CorruptNarInfo {
        /// Its hash part.
        hash_part: HashPart,
        /// What is wrong with it.
        error: StoreError,
    },
    /// A narinfo is there and cannot be read. Nobody knows what it refers to, nor which file it names.
    UnreadableNarInfo {
        /// Its hash part.
        hash_part: HashPart,
        /// Why it cannot be read.
        error: StoreError,
    },
    /// A narinfo names a file that is not there.
    MissingNar {
        /// The path.
        path: StorePath,
        /// The `URL` of its narinfo.
        location: String,
    },
    /// The file of a path cannot be read, which says nothing of what is in it.
    UnreadableNar {
        /// The path.
        path: StorePath,
        /// Why it cannot be read.
        error: StoreError,
    },
    /// The NAR, or its file, is not what the narinfo says.
    CorruptNar {
        /// The path.
        path: StorePath,
        /// What is wrong with it.
        error: StoreError,
    },
    /// A path refers to one that is neither in the cache nor in one of its upstreams.
    DanglingReference {
        /// The path.
        path: StorePath,
        /// What it refers to.
        reference: StorePath,
    },
    /// A content address is not that of the path, or not that of its contents.
    FalseContentAddress {
        /// The path.
        path: StorePath,
        /// What is wrong with it, for a person.
        reason: String,
    },
    /// Too few trusted keys have signed the path, and no content address proves it.
    Untrusted {
        /// The path.
        path: StorePath,
        /// The names of the keys that did sign it.
        signed_by: Vec<String>,
    },
    /// A file that no narinfo names. It does no harm but take space; a push in progress has some, too.
    OrphanNar {
        /// Its key.
        key: String,
        /// Its size in bytes.
        size: u64,
        /// Whether there are narinfos that cannot be read or understood, one of which may name it.
        uncertain: bool,
    },
    /// A realisation names a path that is neither in the cache nor in one of its upstreams.
    DanglingRealisation {
        /// The output that it is about.
        output: RealisedOutput,
        /// The path.
        path: StorePath,
    },
    /// A realisation cannot be read or understood.
    UnreadableRealisation {
        /// The output that it is about.
        output: RealisedOutput,
        /// Why not.
        error: StoreError,
    },
}

impl Finding {
    /// What is wrong with a narinfo of which reading ended so.
    pub(super) fn of_narinfo(hash_part: HashPart, error: StoreError) -> Self {
        match error {
            error @ StoreError::Corrupt { .. } => Self::CorruptNarInfo { hash_part, error },
            error => Self::UnreadableNarInfo { hash_part, error },
        }
    }

    /// The narinfo that nobody knows the words of.
    pub(super) fn unknown_narinfo(&self) -> Option<HashPart> {
        match self {
            Self::CorruptNarInfo { hash_part, .. } | Self::UnreadableNarInfo { hash_part, .. } => {
                Some(*hash_part)
            }
            _ => None,
        }
    }
}

/// The result of a verification.
#[derive(Debug, Default)]
pub struct VerifyReport {
    /// Paths that were checked.
    pub paths: u64,
    /// The sum of their NarSize, where contents were checked, in bytes.
    pub nar_bytes: u64,
    /// What is wrong.
    pub findings: Vec<Finding>,
    /// Paths that were repaired, for whoever repairs: verifying itself changes nothing.
    pub repaired: Vec<StorePath>,
}
