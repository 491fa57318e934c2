//! Typed reading of JSON values, with errors that know the way to them.

use nars3_store_path::{Hash, StoreDir, StorePath};
use serde_json::{Map, Value};

use super::{JsonError, JsonProblem};

/// A JSON object that is being read.
#[derive(Copy, Clone)]
pub(super) struct Object<'a> {
    what: &'static str,
    members: &'a Map<String, Value>,
}

impl<'a> Object<'a> {
    pub(super) fn of(what: &'static str, value: &'a Value) -> Result<Self, JsonError> {
        match value {
            Value::Object(members) => Ok(Self { what, members }),
            other => Err(error(what, wrong_type("an object", other))),
        }
    }

    /// The value of `key`, if it is there; `null` is there.
    pub(super) fn get<T>(
        self,
        key: &'static str,
        read: impl FnOnce(&'a Value) -> Result<T, JsonProblem>,
    ) -> Result<Option<T>, JsonError> {
        self.members
            .get(key)
            .map(|value| read(value).map_err(|problem| self.error(problem).under(key)))
            .transpose()
    }

    /// The value of `key`, if it is there and not `null`.
    pub(super) fn optional<T>(
        self,
        key: &'static str,
        read: impl FnOnce(&'a Value) -> Result<T, JsonProblem>,
    ) -> Result<Option<T>, JsonError> {
        self.get(key, |value| if value.is_null() { Ok(None) } else { read(value).map(Some) })
            .map(Option::flatten)
    }

    /// The value of `key`, which must be there.
    pub(super) fn required<T>(
        self,
        key: &'static str,
        read: impl FnOnce(&'a Value) -> Result<T, JsonProblem>,
    ) -> Result<T, JsonError> {
        self.get(key, read)?.ok_or_else(|| self.missing(key))
    }

    pub(super) fn contains(self, key: &str) -> bool {
        self.members.contains_key(key)
    }

    pub(super) fn members(self) -> impl Iterator<Item = (&'a String, &'a Value)> {
        self.members.iter()
    }

    pub(super) fn missing(self, key: &'static str) -> JsonError {
        self.error(JsonProblem::Missing(key))
    }

    pub(super) fn error(self, problem: JsonProblem) -> JsonError {
        error(self.what, problem)
    }
}

pub(super) fn error(what: &'static str, problem: JsonProblem) -> JsonError {
    JsonError { what, path: Vec::new(), problem }
}

/// Parses a whole JSON text. Nesting beyond 128 levels, which nothing here has, is an error.
pub(super) fn parse(what: &'static str, text: &str) -> Result<Value, JsonError> {
    serde_json::from_str(text).map_err(|source| error(what, JsonProblem::Syntax(source.to_string().into())))
}

/// The JSON text of `value`, keys sorted whatever order maps keep elsewhere in the program.
pub(super) fn print(mut value: Value) -> String {
    value.sort_all_objects();
    value.to_string()
}

pub(super) fn string(value: &Value) -> Result<&str, JsonProblem> {
    value.as_str().ok_or_else(|| wrong_type("a string", value))
}

/// A string that can stand in a line of a narinfo: without it, what comes from JSON could forge lines.
pub(super) fn line(value: &Value) -> Result<&str, JsonProblem> {
    match string(value)? {
        text if text.contains('\n') => Err(wrong_type("a string without line breaks", value)),
        text => Ok(text),
    }
}

pub(super) fn unsigned(value: &Value) -> Result<u64, JsonProblem> {
    value.as_u64().ok_or_else(|| wrong_type("a whole number from 0 to 2^64-1", value))
}

pub(super) fn integer(value: &Value) -> Result<i64, JsonProblem> {
    value.as_i64().ok_or_else(|| wrong_type("a whole number of 64 bits", value))
}

pub(super) fn boolean(value: &Value) -> Result<bool, JsonProblem> {
    value.as_bool().ok_or_else(|| wrong_type("true or false", value))
}

pub(super) fn array(value: &Value) -> Result<&Vec<Value>, JsonProblem> {
    value.as_array().ok_or_else(|| wrong_type("an array", value))
}

/// A hash with its algorithm, in SRI as every current Nix writes it, or any other form Nix reads.
pub(super) fn hash(value: &Value) -> Result<Hash, JsonProblem> {
    Hash::parse(string(value)?).map_err(JsonProblem::Hash)
}

/// A store path in full, or only its base name if there is no store directory.
pub(super) fn store_path(store_dir: Option<&StoreDir>, value: &Value) -> Result<StorePath, JsonProblem> {
    let text = string(value)?;
    match store_dir {
        Some(store_dir) => store_dir.parse(text),
        None => StorePath::from_base_name(text),
    }
    .map_err(JsonProblem::StorePath)
}

pub(super) fn wrong_type(expected: &'static str, found: &Value) -> JsonProblem {
    let found = match found {
        Value::Array(_) => "an array".to_owned(),
        Value::Object(_) => "an object".to_owned(),
        scalar => scalar.to_string().chars().take(64).collect(),
    };
    JsonProblem::Type { expected, found }
}
