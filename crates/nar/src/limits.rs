//! How much of a stranger's NAR is believed: the bounds on depth, names and symlink targets.

/// Bounds on what a NAR may contain, checked before memory is spent on it.
///
/// The default is what Nix enforces since its hardening of April 2026 (`archive.cc`: `narMaxDepth`, `narMaxName`,
/// `narMaxTarget`), so a NAR that passes here passes there. Nix 2.29.1 has none of these bounds;
/// [`Limits::none`] reads what only such an older Nix reads.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub struct Limits {
    /// How many nodes may lie on the way from the root to any node, both counted. The root alone needs 1; a file in
    /// a directory needs 2.
    pub depth: usize,
    /// The longest name of a directory entry, in bytes.
    pub name: usize,
    /// The longest target of a symlink, in bytes.
    pub target: usize,
}

impl Limits {
    /// The bounds of Nix since April 2026: depth 64, names of 255 bytes, targets of 4,095 bytes.
    #[must_use]
    pub const fn nix() -> Self {
        Self { depth: 64, name: 255, target: 4095 }
    }

    /// No bounds of the format, as in Nix 2.29.1, but for ceilings: depth 65,536, and names and targets of 1 MiB. No
    /// file system known to Nix can hold what lies beyond. Whoever reads a NAR keeps the names on the way to the
    /// current node, so these are no limits for a stranger's NAR: 64 GiB of names are within them.
    #[must_use]
    pub const fn none() -> Self {
        Self { depth: 1 << 16, name: 1 << 20, target: 1 << 20 }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::nix()
    }
}
