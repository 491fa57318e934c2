//! Realisations: which store path the output of a content-addressed derivation turned out to be.

mod build_trace;
mod drv_output;
mod either;
mod error;
mod signatures;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

pub use build_trace::{BuildTraceEntry, BuildTraceKey};
pub use drv_output::{DrvOutput, DrvOutputError};
pub use either::{AnyRealisation, RealisedOutput};
pub use error::RealisationError;
pub use signatures::MAX_SIGNATURES;

use crate::json::{self, JsonShapeError};
use crate::signature::{PublicKeys, SecretKey, Signature};
use crate::store_path::StorePath;
use crate::text::excerpt;

/// What a derivation's output was realised as, in the form of Nix 2.4 to 2.34: the object
/// `realisations/<id>.doi` of a binary cache. For newer versions see [`BuildTraceEntry`].
///
/// ```
/// use nars3_store_path::{Realisation, SecretKey};
///
/// let mut realisation = Realisation::from_json(concat!(
///     r#"{"dependentRealisations":{},"#,
///     r#""id":"sha256:15e3c560894cbb27085cf65b5a2ecb18488c999497f4531b6907a7581ce6d527!out","#,
///     r#""outPath":"g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-hello","signatures":[]}"#,
/// ))?;
/// let key = SecretKey::from_seed("example-1", [7; 32])?;
/// realisation.sign(&key);
/// assert_eq!(realisation.valid_signatures(&[key.public_key()].into_iter().collect()), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Realisation {
    /// Which output of which derivation.
    pub id: DrvOutput,
    /// Where it is.
    pub out_path: StorePath,
    /// Who vouches for it.
    pub signatures: BTreeSet<Signature>,
    /// The realisations that this one was built with.
    pub dependent_realisations: BTreeMap<DrvOutput, StorePath>,
}

impl Realisation {
    /// A realisation without signatures and dependencies.
    pub fn new(id: DrvOutput, out_path: StorePath) -> Self {
        Realisation { id, out_path, signatures: BTreeSet::new(), dependent_realisations: BTreeMap::new() }
    }

    /// Reads the contents of a `.doi` object. Signatures may be text or objects; both they and the
    /// dependencies may be absent; unknown keys are ignored, as Nix does.
    ///
    /// # Errors
    ///
    /// [`RealisationError`] names the key and the value.
    pub fn from_json(text: &str) -> Result<Self, RealisationError> {
        let document = error::parse(text)?;
        Ok(Realisation {
            id: error::parsed_field(&document, "id")?,
            out_path: error::parsed_field(&document, "outPath")?,
            signatures: signatures::read(&document)?,
            dependent_realisations: read_dependencies(&document)?,
        })
    }

    /// The contents of a `.doi` object as Nix 2.29 writes it, with signatures as text.
    pub fn to_json(&self) -> String {
        self.print(Some(signatures::print_text(&self.signatures)))
    }

    /// As [`Realisation::to_json`], with signatures as objects: a form between the two of 2.34 and 2.35, which
    /// versions under development wrote. Nix 2.29 does not read it.
    ///
    /// # Errors
    ///
    /// [`RealisationError::UnstructuredSignature`] if a signature has not got the form `<key name>:<base64>`.
    pub fn to_json_structured(&self) -> Result<String, RealisationError> {
        Ok(self.print(Some(signatures::print_structured(&self.signatures)?)))
    }

    /// The text that signatures of this realisation sign: its JSON without them (Nix 2.29 `realisation.cc`).
    pub fn fingerprint(&self) -> String {
        self.print(None)
    }

    /// Adds a signature.
    pub fn sign(&mut self, key: &SecretKey) {
        self.signatures.insert(key.sign(self.fingerprint().as_bytes()));
    }

    /// How many of the signatures verify with one of `keys`.
    pub fn valid_signatures(&self, keys: &PublicKeys) -> usize {
        let fingerprint = self.fingerprint();
        self.signatures.iter().filter(|signature| keys.verify(fingerprint.as_bytes(), signature)).count()
    }

    fn print(&self, signatures: Option<String>) -> String {
        // By their text, since that is how the JSON of Nix sorts keys.
        let dependencies: BTreeMap<String, &StorePath> =
            self.dependent_realisations.iter().map(|(id, path)| (id.to_string(), path)).collect();
        let dependencies: Vec<String> = dependencies
            .iter()
            .map(|(id, path)| format!("{}:{}", json::quote(id), json::quote(path.base_name())))
            .collect();
        format!(
            r#"{{"dependentRealisations":{{{}}},"id":{},"outPath":{}{}}}"#,
            dependencies.join(","),
            json::quote(&self.id.to_string()),
            json::quote(self.out_path.base_name()),
            signatures.map(|array| format!(r#","signatures":{array}"#)).unwrap_or_default(),
        )
    }
}

fn read_dependencies(document: &Value) -> Result<BTreeMap<DrvOutput, StorePath>, RealisationError> {
    const KEY: &str = "dependentRealisations";
    match json::optional_field(document, KEY)? {
        None => Ok(BTreeMap::new()),
        Some(Value::Object(object)) => object
            .iter()
            .map(|(id, path)| {
                let Value::String(path) = path else {
                    return Err(JsonShapeError::wrong_type(
                        format!("'{KEY}.{}'", excerpt(id)),
                        path,
                        "a string",
                    )
                    .into());
                };
                Ok((error::parsed(KEY, id)?, error::parsed(KEY, path)?))
            })
            .collect(),
        Some(other) => Err(JsonShapeError::wrong_type(format!("'{KEY}'"), other, "an object").into()),
    }
}
