//! Realisations since Nix 2.35: entries of the build trace, keyed by the derivation's path.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde_json::Value;

use super::drv_output::{DrvOutputError, checked_output_name};
use super::error::{self, RealisationError};
use super::signatures;
use crate::json;
use crate::signature::{PublicKeys, SecretKey, Signature};
use crate::store_path::StorePath;
use crate::text::excerpt;

/// An output of a derivation that is named by its path: `<base name>^<output name>`.
#[derive(Clone, Debug, Eq, PartialEq, Ord, PartialOrd, Hash)]
pub struct BuildTraceKey {
    /// The derivation.
    pub drv_path: StorePath,
    output_name: String,
}

impl BuildTraceKey {
    /// The output `output_name` of a derivation.
    ///
    /// # Errors
    ///
    /// [`DrvOutputError::OutputName`] if the name could not be the name of a store path. It is a part of
    /// [`BuildTraceKey::object_key`], which must not lead elsewhere.
    pub fn new(drv_path: StorePath, output_name: &str) -> Result<Self, DrvOutputError> {
        let output_name = checked_output_name(output_name, output_name)?;
        Ok(BuildTraceKey { drv_path, output_name })
    }

    /// The name of the output, such as `out`.
    pub fn output_name(&self) -> &str {
        &self.output_name
    }

    /// The key of the entry in a binary cache: `build-trace-v2/<base name>/<output name>.doi`.
    pub fn object_key(&self) -> String {
        format!("build-trace-v2/{}/{}.doi", self.drv_path, self.output_name)
    }

    fn to_json(&self) -> String {
        format!(
            r#"{{"drvPath":{},"outputName":{}}}"#,
            json::quote(self.drv_path.base_name()),
            json::quote(&self.output_name)
        )
    }

    fn from_value(document: &Value) -> Result<Self, RealisationError> {
        const KEY: &str = "outputName";
        let output_name = json::string_field(document, KEY)?;
        Ok(BuildTraceKey {
            drv_path: error::parsed_field(document, "drvPath")?,
            output_name: checked_output_name(output_name, output_name)
                .map_err(|reason| RealisationError::DrvOutput { key: KEY, reason })?,
        })
    }
}

impl fmt::Display for BuildTraceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}^{}", self.drv_path, self.output_name)
    }
}

impl FromStr for BuildTraceKey {
    type Err = DrvOutputError;

    fn from_str(value: &str) -> Result<Self, DrvOutputError> {
        let (drv_path, output_name) = value
            .rsplit_once('^')
            .ok_or_else(|| DrvOutputError::MissingSeparator { value: excerpt(value), separator: '^' })?;
        Ok(BuildTraceKey {
            drv_path: drv_path
                .parse()
                .map_err(|reason| DrvOutputError::DrvPath { value: excerpt(value), reason })?,
            output_name: checked_output_name(value, output_name)?,
        })
    }
}

/// What a derivation's output was realised as, in the form since Nix 2.35: the object
/// `build-trace-v2/<derivation>/<output name>.doi` of a binary cache holds the value without the key.
/// For older versions see [`super::Realisation`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BuildTraceEntry {
    /// Which output of which derivation.
    pub key: BuildTraceKey,
    /// Where it is.
    pub out_path: StorePath,
    /// Who vouches for it.
    pub signatures: BTreeSet<Signature>,
}

impl BuildTraceEntry {
    /// An entry without signatures.
    pub fn new(key: BuildTraceKey, out_path: StorePath) -> Self {
        BuildTraceEntry { key, out_path, signatures: BTreeSet::new() }
    }

    /// Reads a whole entry, `{"key":{…},"value":{…}}`. Signatures may be objects or text.
    ///
    /// # Errors
    ///
    /// [`RealisationError`] names the key and the value.
    pub fn from_json(text: &str) -> Result<Self, RealisationError> {
        let document = error::parse(text)?;
        let key = BuildTraceKey::from_value(json::field(&document, "key")?)?;
        Self::from_value(key, json::field(&document, "value")?)
    }

    /// Reads the value of a known key: the contents of a `.doi` object.
    ///
    /// # Errors
    ///
    /// [`RealisationError`] names the key and the value.
    pub fn from_value_json(key: BuildTraceKey, text: &str) -> Result<Self, RealisationError> {
        Self::from_value(key, &error::parse(text)?)
    }

    fn from_value(key: BuildTraceKey, document: &Value) -> Result<Self, RealisationError> {
        Ok(BuildTraceEntry {
            key,
            out_path: error::parsed_field(document, "outPath")?,
            signatures: signatures::read(document)?,
        })
    }

    /// The whole entry, `{"key":{…},"value":{…}}`.
    ///
    /// # Errors
    ///
    /// [`RealisationError::UnstructuredSignature`] if a signature has not got the form `<key name>:<base64>`.
    pub fn to_json(&self) -> Result<String, RealisationError> {
        Ok(format!(r#"{{"key":{},"value":{}}}"#, self.key.to_json(), self.value_json()?))
    }

    /// The value without the key: the contents of a `.doi` object.
    ///
    /// # Errors
    ///
    /// As [`BuildTraceEntry::to_json`].
    pub fn value_json(&self) -> Result<String, RealisationError> {
        Ok(format!(
            r#"{{"outPath":{},"signatures":{}}}"#,
            json::quote(self.out_path.base_name()),
            signatures::print_structured(&self.signatures)?
        ))
    }

    /// The text that signatures of this entry sign: the whole entry without them.
    pub fn fingerprint(&self) -> String {
        format!(
            r#"{{"key":{},"value":{{"outPath":{}}}}}"#,
            self.key.to_json(),
            json::quote(self.out_path.base_name())
        )
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
}
