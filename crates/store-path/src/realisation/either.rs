//! Realisations in whichever of their two forms.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use super::{BuildTraceEntry, BuildTraceKey, DrvOutput, DrvOutputError, Realisation};
use crate::signature::{PublicKeys, SecretKey, Signature};
use crate::store_path::StorePath;

/// Which output of which derivation, in one of two forms.
///
/// ```
/// use nars3_store_path::RealisedOutput;
///
/// let newer: RealisedOutput = "g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-hello.drv^out".parse()?;
/// assert!(matches!(newer, RealisedOutput::ByPath(_)));
/// assert_eq!(newer.object_key(), "build-trace-v2/g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-hello.drv/out.doi");
/// # Ok::<(), nars3_store_path::DrvOutputError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RealisedOutput {
    /// By the hash of the derivation: `sha256:<base 16>!<output>`, up to Nix 2.34.
    ByHash(DrvOutput),
    /// By its path: `<derivation>^<output>`, since Nix 2.35.
    ByPath(BuildTraceKey),
}

impl RealisedOutput {
    /// The key of the realisation in a binary cache.
    pub fn object_key(&self) -> String {
        match self {
            Self::ByHash(id) => id.object_key(),
            Self::ByPath(key) => key.object_key(),
        }
    }

    /// The output that an object of a binary cache is about; `None` where its key is not that of a realisation.
    pub fn of_object_key(key: &str) -> Option<Self> {
        let key = key.strip_suffix(".doi")?;
        if let Some(id) = key.strip_prefix("realisations/") {
            return id.parse().ok().map(Self::ByHash);
        }
        let (derivation, output) = key.strip_prefix("build-trace-v2/")?.split_once('/')?;
        let derivation = StorePath::from_base_name(derivation).ok()?;
        BuildTraceKey::new(derivation, output).ok().map(Self::ByPath)
    }
}

impl FromStr for RealisedOutput {
    type Err = DrvOutputError;

    /// Reads `sha256:…!out` or `….drv^out`.
    fn from_str(text: &str) -> Result<Self, DrvOutputError> {
        if text.contains('^') { text.parse().map(Self::ByPath) } else { text.parse().map(Self::ByHash) }
    }
}

impl fmt::Display for RealisedOutput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ByHash(id) => id.fmt(f),
            Self::ByPath(key) => key.fmt(f),
        }
    }
}

/// A realisation in one of its two forms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AnyRealisation {
    /// As Nix 2.4 to 2.34 has it.
    ByHash(Realisation),
    /// As Nix has it since 2.35.
    ByPath(BuildTraceEntry),
}

impl AnyRealisation {
    /// Which output it is about.
    pub fn output(&self) -> RealisedOutput {
        match self {
            Self::ByHash(realisation) => RealisedOutput::ByHash(realisation.id.clone()),
            Self::ByPath(entry) => RealisedOutput::ByPath(entry.key.clone()),
        }
    }

    /// Where the output is.
    pub fn out_path(&self) -> &StorePath {
        match self {
            Self::ByHash(realisation) => &realisation.out_path,
            Self::ByPath(entry) => &entry.out_path,
        }
    }

    /// Who vouches for it.
    pub fn signatures(&self) -> &BTreeSet<Signature> {
        match self {
            Self::ByHash(realisation) => &realisation.signatures,
            Self::ByPath(entry) => &entry.signatures,
        }
    }

    /// The same, to add to.
    pub fn signatures_mut(&mut self) -> &mut BTreeSet<Signature> {
        match self {
            Self::ByHash(realisation) => &mut realisation.signatures,
            Self::ByPath(entry) => &mut entry.signatures,
        }
    }

    /// Adds a signature.
    pub fn sign(&mut self, key: &SecretKey) {
        match self {
            Self::ByHash(realisation) => realisation.sign(key),
            Self::ByPath(entry) => entry.sign(key),
        }
    }

    /// How many of the signatures verify with one of `keys`.
    pub fn valid_signatures(&self, keys: &PublicKeys) -> usize {
        match self {
            Self::ByHash(realisation) => realisation.valid_signatures(keys),
            Self::ByPath(entry) => entry.valid_signatures(keys),
        }
    }
}
