//! The little JSON that realisations and content addresses need.
//!
//! Values are written by hand, because fingerprints are signed byte for byte: keys sorted, no space, as Nix's
//! JSON library dumps them, whatever features another crate turns on in `serde_json`.

use serde_json::Value;
use thiserror::Error;

/// What is wrong with the shape of a JSON value.
#[derive(Clone, Debug, Eq, PartialEq, Error)]
#[non_exhaustive]
pub enum JsonShapeError {
    /// A key is absent.
    #[error("the key '{key}' is missing")]
    Missing {
        /// The key.
        key: &'static str,
    },
    /// A value has another type.
    #[error("{place} is {found}, expected {expected}")]
    WrongType {
        /// Which value: a key in quotes, or `the document`.
        place: String,
        /// The type found.
        found: &'static str,
        /// The type expected.
        expected: &'static str,
    },
}

impl JsonShapeError {
    pub(crate) fn wrong_type(place: impl Into<String>, found: &Value, expected: &'static str) -> Self {
        let found = match found {
            Value::Null => "null",
            Value::Bool(_) => "a boolean",
            Value::Number(_) => "a number",
            Value::String(_) => "a string",
            Value::Array(_) => "an array",
            Value::Object(_) => "an object",
        };
        JsonShapeError::WrongType { place: place.into(), found, expected }
    }
}

/// The value of a key that must be there, in a document that must be an object.
pub(crate) fn field<'a>(document: &'a Value, key: &'static str) -> Result<&'a Value, JsonShapeError> {
    optional_field(document, key)?.ok_or(JsonShapeError::Missing { key })
}

/// The value of a key that may be absent, in a document that must be an object.
pub(crate) fn optional_field<'a>(
    document: &'a Value,
    key: &'static str,
) -> Result<Option<&'a Value>, JsonShapeError> {
    match document {
        Value::Object(object) => Ok(object.get(key)),
        other => Err(JsonShapeError::wrong_type("the document", other, "an object")),
    }
}

/// The text of a key that must be there.
pub(crate) fn string_field<'a>(document: &'a Value, key: &'static str) -> Result<&'a str, JsonShapeError> {
    match field(document, key)? {
        Value::String(text) => Ok(text),
        other => Err(JsonShapeError::wrong_type(format!("'{key}'"), other, "a string")),
    }
}

/// `text` as a JSON string, quotes included: only what must be escaped is.
pub(crate) fn quote(text: &str) -> String {
    Value::from(text).to_string()
}

/// A JSON array of values that are JSON already.
pub(crate) fn array(values: impl IntoIterator<Item = String>) -> String {
    format!("[{}]", values.into_iter().collect::<Vec<_>>().join(","))
}
