//! The formats of path info JSON.

use super::JsonProblem;

/// A format of path info JSON.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub enum PathInfoFormat {
    /// Nix 2.19 to 2.32: full store paths, content addresses as texts, no version.
    #[default]
    Nix229,
    /// Version 1 of newer Nix: as 2.29, with `version` and `storeDir`.
    V1,
    /// Version 2: base names of store paths, content addresses as objects.
    V2,
    /// Version 3: as 2, with signatures as objects.
    V3,
}

impl PathInfoFormat {
    /// The number in `version`; none for the format without one.
    pub const fn version(self) -> Option<u64> {
        match self {
            Self::Nix229 => None,
            Self::V1 => Some(1),
            Self::V2 => Some(2),
            Self::V3 => Some(3),
        }
    }

    /// The format of this version number.
    ///
    /// # Errors
    ///
    /// `JsonProblem::Version` for a number other than 1, 2 and 3.
    pub const fn from_version(version: u64) -> Result<Self, JsonProblem> {
        match version {
            1 => Ok(Self::V1),
            2 => Ok(Self::V2),
            3 => Ok(Self::V3),
            other => Err(JsonProblem::Version(other)),
        }
    }

    /// Whether store paths are written in full, and content addresses as texts.
    pub(super) const fn is_textual(self) -> bool {
        matches!(self, Self::Nix229 | Self::V1)
    }
}

/// How much of a path info to write.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Detail {
    /// What follows from the store object: its NAR, its references, its content address.
    Pure,
    /// Also what depends on where it came from: deriver, registration time, signatures, NAR file.
    Impure,
}
