//! What can be asked of a store: a store path, or outputs of a derivation.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde_json::{Value, json};
use thiserror::Error;

use crate::json::{self, JsonShapeError};
use crate::store_path::{NameError, StorePath, StorePathError, check_name};
use crate::text::excerpt;

/// Which outputs of a derivation are meant (Nix 2.29 `outputs-spec.cc`): `*`, or names with commas between them.
#[derive(Clone, Debug, Eq, PartialEq, Ord, PartialOrd, Hash)]
pub enum OutputsSpec {
    /// All there are.
    All,
    /// Those with these names; at least one.
    Names(BTreeSet<String>),
}

/// A store path, or outputs of a derivation that is a store path or itself the output of another one (Nix 2.29
/// `derived-path.cc`).
///
/// ```
/// use nars3_store_path::{DerivedPath, OutputsSpec};
///
/// let text = "g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-foo.drv^dev,out";
/// let path: DerivedPath = text.parse()?;
/// assert!(matches!(&path, DerivedPath::Built { outputs: OutputsSpec::Names(names), .. } if names.len() == 2));
/// assert_eq!(path.to_string(), text);
/// assert_eq!(DerivedPath::from_json(&path.to_json())?, path);
/// # Ok::<(), nars3_store_path::DerivedPathError>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq, Ord, PartialOrd, Hash)]
pub enum DerivedPath {
    /// The path itself.
    Opaque(StorePath),
    /// What comes of building a derivation.
    Built {
        /// The derivation.
        drv_path: StorePath,
        /// The outputs on the way to the last derivation, each itself a derivation. Seldom any.
        through: Vec<String>,
        /// The outputs of the last derivation.
        outputs: OutputsSpec,
    },
}

/// Why a text is no derived path.
#[derive(Clone, Debug, Eq, PartialEq, Error)]
#[non_exhaustive]
pub enum DerivedPathError {
    /// Before the first `^` there is no store path.
    #[error("'{value}' is no derived path: {reason}")]
    StorePath {
        /// The text.
        value: String,
        /// What is wrong with the store path.
        reason: StorePathError,
    },
    /// The name of an output could not be the name of a store path.
    #[error("'{value}' is no name of an output: {reason}")]
    OutputName {
        /// The name.
        value: String,
        /// What is wrong with it.
        reason: NameError,
    },
    /// Where one output must be named, there is `*` or none.
    #[error("'{value}' names no single output, expected the name of one")]
    NotOneOutput {
        /// What stands there.
        value: String,
    },
    /// Not the JSON of a derived path.
    #[error("derived path: {reason}")]
    Json {
        /// What is wrong.
        reason: String,
    },
}

/// Deeper than any chain of derivations that somebody builds; a stranger's JSON must not exhaust the stack.
const MAX_CHAIN: usize = 64;

fn output_name(name: &str) -> Result<String, DerivedPathError> {
    check_name(name)
        .map_err(|reason| DerivedPathError::OutputName { value: excerpt(name), reason })
        .map(|()| name.to_owned())
}

impl OutputsSpec {
    /// Outputs by their names.
    ///
    /// # Errors
    ///
    /// [`DerivedPathError::OutputName`] for what is no name, [`DerivedPathError::NotOneOutput`] for no name at all.
    pub fn names<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, DerivedPathError> {
        let names: BTreeSet<String> = names.into_iter().map(output_name).collect::<Result<_, _>>()?;
        if names.is_empty() {
            return Err(DerivedPathError::NotOneOutput { value: String::new() });
        }
        Ok(OutputsSpec::Names(names))
    }

    /// Whether the output `name` is meant.
    pub fn contains(&self, name: &str) -> bool {
        match self {
            OutputsSpec::All => true,
            OutputsSpec::Names(names) => names.contains(name),
        }
    }

    /// Reads the array of Nix: `["*"]` for all, or the names.
    ///
    /// # Errors
    ///
    /// [`DerivedPathError`] says what stands in the place of a name.
    pub fn from_json(text: &str) -> Result<Self, DerivedPathError> {
        Self::from_value(&parse(text)?)
    }

    /// As JSON: `["*"]` for all, or the names in order.
    pub fn to_json(&self) -> String {
        self.to_value().to_string()
    }

    fn from_value(value: &Value) -> Result<Self, DerivedPathError> {
        let Value::Array(elements) = value else {
            return Err(JsonShapeError::wrong_type("'outputs'".to_owned(), value, "an array").into());
        };
        let names = elements.iter().map(|element| match element {
            Value::String(name) => Ok(name.as_str()),
            other => {
                let place = "an element of 'outputs'".to_owned();
                Err(JsonShapeError::wrong_type(place, other, "a string").into())
            }
        });
        let names: Vec<&str> = names.collect::<Result<_, DerivedPathError>>()?;
        if names == ["*"] { Ok(OutputsSpec::All) } else { Self::names(names) }
    }

    fn to_value(&self) -> Value {
        match self {
            OutputsSpec::All => json!(["*"]),
            OutputsSpec::Names(names) => json!(names),
        }
    }
}

impl FromStr for OutputsSpec {
    type Err = DerivedPathError;

    fn from_str(text: &str) -> Result<Self, DerivedPathError> {
        if text == "*" { Ok(OutputsSpec::All) } else { Self::names(text.split(',')) }
    }
}

impl fmt::Display for OutputsSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OutputsSpec::All => f.write_str("*"),
            OutputsSpec::Names(names) => {
                for (index, name) in names.iter().enumerate() {
                    if index > 0 {
                        f.write_str(",")?;
                    }
                    f.write_str(name)?;
                }
                Ok(())
            }
        }
    }
}

impl DerivedPath {
    /// Reads the JSON of Nix: a path, or an object with `drvPath` and `outputs`. An object with `output`, of which Nix
    /// makes one output and no more, is read as well.
    ///
    /// # Errors
    ///
    /// [`DerivedPathError`] names the key and what stands there.
    pub fn from_json(text: &str) -> Result<Self, DerivedPathError> {
        let value = parse(text)?;
        let Value::Object(object) = &value else { return Ok(DerivedPath::Opaque(path_of(&value)?)) };
        let outputs = match object.get("outputs") {
            Some(outputs) => OutputsSpec::from_value(outputs)?,
            None => OutputsSpec::names([json::string_field(&value, "output")?])?,
        };
        let mut through = Vec::new();
        let mut place = json::field(&value, "drvPath")?;
        while place.is_object() {
            if through.len() == MAX_CHAIN {
                return Err(DerivedPathError::Json {
                    reason: format!("more than {MAX_CHAIN} derivations deep"),
                });
            }
            through.push(output_name(json::string_field(place, "output")?)?);
            place = json::field(place, "drvPath")?;
        }
        through.reverse();
        Ok(DerivedPath::Built { drv_path: path_of(place)?, through, outputs })
    }

    /// As JSON, of the form that [`DerivedPath::from_json`] reads.
    pub fn to_json(&self) -> String {
        match self {
            DerivedPath::Opaque(path) => json::quote(path.base_name()),
            DerivedPath::Built { drv_path, through, outputs } => {
                let derivation = through.iter().fold(
                    json!(drv_path.base_name()),
                    |inner, output| json!({ "drvPath": inner, "output": output }),
                );
                json!({ "drvPath": derivation, "outputs": outputs.to_value() }).to_string()
            }
        }
    }
}

impl FromStr for DerivedPath {
    type Err = DerivedPathError;

    /// Reads `<base name>`, `<base name>^<outputs>`, or more outputs on the way: `<base name>^<output>^<outputs>`.
    fn from_str(text: &str) -> Result<Self, DerivedPathError> {
        let mut parts = text.split('^');
        let path = parts.next().unwrap_or_default();
        let drv_path: StorePath =
            path.parse().map_err(|reason| DerivedPathError::StorePath { value: excerpt(text), reason })?;
        let Some(outputs) = parts.next_back() else { return Ok(DerivedPath::Opaque(drv_path)) };
        let through = parts.map(output_name).collect::<Result<_, _>>()?;
        Ok(DerivedPath::Built { drv_path, through, outputs: outputs.parse()? })
    }
}

impl fmt::Display for DerivedPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DerivedPath::Opaque(path) => path.fmt(f),
            DerivedPath::Built { drv_path, through, outputs } => {
                drv_path.fmt(f)?;
                for output in through {
                    write!(f, "^{output}")?;
                }
                write!(f, "^{outputs}")
            }
        }
    }
}

impl From<JsonShapeError> for DerivedPathError {
    fn from(reason: JsonShapeError) -> Self {
        DerivedPathError::Json { reason: reason.to_string() }
    }
}

fn parse(text: &str) -> Result<Value, DerivedPathError> {
    serde_json::from_str(text)
        .map_err(|error| DerivedPathError::Json { reason: format!("it is not JSON: {error}") })
}

fn path_of(value: &Value) -> Result<StorePath, DerivedPathError> {
    let Value::String(text) = value else {
        let expected = "a store path or an object";
        return Err(JsonShapeError::wrong_type("the path".to_owned(), value, expected).into());
    };
    text.parse().map_err(|reason| DerivedPathError::StorePath { value: excerpt(text), reason })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DRV: &str = "g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-foo.drv";

    #[test]
    fn what_is_no_derived_path_is_refused() {
        for (suffix, complaint) in [
            ("^", "'' is no name of an output"),
            ("^out,", "'' is no name of an output"),
            ("^out,*", "'*' is no name of an output"),
            ("^*^out", "'*' is no name of an output"),
            ("^a b", "'a b' is no name of an output"),
        ] {
            let error = format!("{DRV}{suffix}").parse::<DerivedPath>().unwrap_err().to_string();
            assert!(error.contains(complaint), "{suffix}: {error}");
        }
        assert!(matches!("foo^out".parse::<DerivedPath>(), Err(DerivedPathError::StorePath { .. })));
        for text in ["", "3", "{}", r#"{"drvPath":3,"outputs":["a"]}"#, "[]"] {
            assert!(DerivedPath::from_json(text).is_err(), "{text}");
        }
        for text in ["[]", "null", r#"["a","*"]"#, "[1]"] {
            assert!(OutputsSpec::from_json(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_chain_of_derivations_has_an_end() {
        let mut text = format!("\"{DRV}\"");
        for _ in 0..=MAX_CHAIN {
            text = format!(r#"{{"drvPath":{text},"output":"out"}}"#);
        }
        let error = DerivedPath::from_json(&format!(r#"{{"drvPath":{text},"outputs":["*"]}}"#)).unwrap_err();
        assert!(error.to_string().contains("more than 64 derivations deep"), "{error}");
    }
}
