//! Why a JSON text is no realisation, and reading of its parts.

use std::str::FromStr;

use serde_json::Value;
use thiserror::Error;

use super::drv_output::DrvOutputError;
use super::signatures::MAX_SIGNATURES;
use crate::json::{self, JsonShapeError};
use crate::store_path::StorePathError;

/// Why a JSON text is no realisation, or a realisation has no such JSON.
#[derive(Clone, Debug, Eq, PartialEq, Error)]
#[non_exhaustive]
pub enum RealisationError {
    /// It is not JSON.
    #[error("realisation is not JSON: {reason}")]
    Syntax {
        /// What is wrong, with line and column.
        reason: String,
    },
    /// A key is missing or has the wrong type.
    #[error("realisation: {reason}")]
    Shape {
        /// Which key.
        reason: JsonShapeError,
    },
    /// The name of a derivation's output is wrong.
    #[error("realisation, key '{key}': {reason}")]
    DrvOutput {
        /// Where it stands.
        key: &'static str,
        /// What is wrong with it.
        reason: DrvOutputError,
    },
    /// A store path is wrong.
    #[error("realisation, key '{key}': {reason}")]
    StorePath {
        /// Where it stands.
        key: &'static str,
        /// What is wrong with it.
        reason: StorePathError,
    },
    /// A signature given as an object has an unusable key name or base64.
    #[error("realisation, key 'signatures': {reason} in the signature object of the key '{key_name}'")]
    Signature {
        /// The name of the key.
        key_name: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// There are more signatures than [`MAX_SIGNATURES`].
    #[error("realisation, key 'signatures': {found} signatures, expected at most {MAX_SIGNATURES}")]
    TooManySignatures {
        /// How many there are.
        found: usize,
    },
    /// The newer form has no room for a signature that is not `<key name>:<base64>`.
    #[error(
        "the signature '{signature}' is not of the form '<key name>:<base64>', so it cannot be written as an object"
    )]
    UnstructuredSignature {
        /// Its text.
        signature: String,
    },
}

impl From<JsonShapeError> for RealisationError {
    fn from(reason: JsonShapeError) -> Self {
        RealisationError::Shape { reason }
    }
}

/// A part that can be wrong in its own way.
pub(super) trait Part: FromStr {
    fn wrap(key: &'static str, error: Self::Err) -> RealisationError;
}

impl Part for super::DrvOutput {
    fn wrap(key: &'static str, reason: DrvOutputError) -> RealisationError {
        RealisationError::DrvOutput { key, reason }
    }
}

impl Part for crate::StorePath {
    fn wrap(key: &'static str, reason: StorePathError) -> RealisationError {
        RealisationError::StorePath { key, reason }
    }
}

/// Reads `value`, which stands in `key`.
pub(super) fn parsed<T: Part>(key: &'static str, value: &str) -> Result<T, RealisationError> {
    value.parse().map_err(|error| T::wrap(key, error))
}

/// Reads the text of `key`, which must be there.
pub(super) fn parsed_field<T: Part>(document: &Value, key: &'static str) -> Result<T, RealisationError> {
    parsed(key, json::string_field(document, key)?)
}

/// Reads the JSON itself.
pub(super) fn parse(text: &str) -> Result<Value, RealisationError> {
    serde_json::from_str(text).map_err(|error| RealisationError::Syntax { reason: error.to_string() })
}
