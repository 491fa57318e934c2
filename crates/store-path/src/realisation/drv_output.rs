//! The output of a derivation, named by the derivation's hash.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::hash::{Hash, HashError};
use crate::store_path::{NameError, check_name};
use crate::text::excerpt;

/// An output of a derivation that is named by its hash modulo (not by its path), as Nix 2.4 to 2.34 do:
/// `<algorithm>:<base16>!<output name>`.
#[derive(Clone, Debug, Eq, PartialEq, Ord, PartialOrd, Hash)]
pub struct DrvOutput {
    /// The derivation's hash modulo fixed outputs.
    pub drv_hash: Hash,
    output_name: String,
}

/// Why a text does not name an output. `value` is the text as given, with control characters
/// escaped and cut if it is very long.
#[derive(Clone, Debug, Eq, PartialEq, Error)]
#[non_exhaustive]
pub enum DrvOutputError {
    /// No `!` (or, in the newer form, no `^`) between derivation and output name.
    #[error("'{value}' names no derivation output: expected '<derivation>{separator}<output name>'")]
    MissingSeparator {
        /// The text given.
        value: String,
        /// The character looked for.
        separator: char,
    },
    /// The hash is wrong.
    #[error("derivation output '{value}': {reason}")]
    Hash {
        /// The text given.
        value: String,
        /// What is wrong with it.
        reason: HashError,
    },
    /// The output name is wrong. Nix 2.29 takes any text here, but it becomes a part of an object key.
    #[error("output name of '{value}': {reason}")]
    OutputName {
        /// The text given.
        value: String,
        /// What is wrong with it.
        reason: NameError,
    },
    /// The derivation's path is wrong (newer form).
    #[error("derivation output '{value}': {reason}")]
    DrvPath {
        /// The text given.
        value: String,
        /// What is wrong with it.
        reason: crate::StorePathError,
    },
}

impl DrvOutput {
    /// The output `output_name` of a derivation.
    ///
    /// # Errors
    ///
    /// [`DrvOutputError::OutputName`] if the name could not be the name of a store path. It is a part of
    /// [`DrvOutput::object_key`], which must not lead elsewhere.
    pub fn new(drv_hash: Hash, output_name: &str) -> Result<Self, DrvOutputError> {
        let output_name = checked_output_name(output_name, output_name)?;
        Ok(DrvOutput { drv_hash, output_name })
    }

    /// The name of the output, such as `out`.
    pub fn output_name(&self) -> &str {
        &self.output_name
    }

    /// The key of the realisation in a binary cache: `realisations/<id>.doi`.
    pub fn object_key(&self) -> String {
        format!("realisations/{self}.doi")
    }
}

impl fmt::Display for DrvOutput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}!{}", self.drv_hash.to_base16(), self.output_name)
    }
}

impl FromStr for DrvOutput {
    type Err = DrvOutputError;

    fn from_str(value: &str) -> Result<Self, DrvOutputError> {
        let (hash, output_name) = value
            .split_once('!')
            .ok_or_else(|| DrvOutputError::MissingSeparator { value: excerpt(value), separator: '!' })?;
        Ok(DrvOutput {
            drv_hash: Hash::parse(hash)
                .map_err(|reason| DrvOutputError::Hash { value: excerpt(value), reason })?,
            output_name: checked_output_name(value, output_name)?,
        })
    }
}

/// `output_name`, which stands in `value`, if it can be the name of an output.
pub(super) fn checked_output_name(value: &str, output_name: &str) -> Result<String, DrvOutputError> {
    match check_name(output_name) {
        Ok(()) => Ok(output_name.to_owned()),
        Err(reason) => Err(DrvOutputError::OutputName { value: excerpt(value), reason }),
    }
}
