//! A derivation with all that it says.

use std::io::Read;

use nars3_store_path::{StoreDir, StorePath};

use super::parser::parser;
use super::{DerivationError, Output, known_outputs, output_tuples};

/// Bytes that a derivation may have. Those of Nixpkgs have some hundred thousand at most.
const LIMIT: u64 = 64 * 1024 * 1024;

/// A derivation, as its file has it: nothing is sorted or made different, so that the same bytes can be printed again.
#[derive(Debug, Clone)]
pub struct Derivation {
    pub(super) outputs: Vec<Output>,
    /// Paths of derivations, with the names of the outputs that are needed.
    pub(super) input_derivations: Vec<(String, Vec<String>)>,
    pub(super) input_sources: Vec<String>,
    pub(super) platform: String,
    pub(super) builder: String,
    pub(super) arguments: Vec<String>,
    pub(super) environment: Vec<(String, String)>,
}

impl Derivation {
    /// Reads a derivation.
    ///
    /// # Errors
    /// When it is none, says more than is understood here (`DerivationError::Dynamic`), or cannot be read.
    pub fn read(file: impl Read) -> Result<Self, DerivationError> {
        let mut parser = parser(file, LIMIT);
        if parser.head()?.is_some() {
            return Err(DerivationError::Dynamic);
        }
        let outputs = output_tuples(&mut parser)?;
        parser.expect(",", "','")?;
        let input_derivations = parser.list("[", b']', |parser| {
            parser.expect("(", "'('")?;
            let path = parser.string()?;
            parser.expect(",", "','")?;
            let outputs = parser.strings()?;
            parser.expect(")", "')'")?;
            Ok((path, outputs))
        })?;
        parser.expect(",", "','")?;
        let input_sources = parser.strings()?;
        parser.expect(",", "','")?;
        let platform = parser.string()?;
        parser.expect(",", "','")?;
        let builder = parser.string()?;
        parser.expect(",", "','")?;
        let arguments = parser.strings()?;
        parser.expect(",", "','")?;
        let environment = parser.list("[", b']', |parser| {
            let [name, value] = parser.tuple()?;
            Ok((name, value))
        })?;
        parser.expect(")", "')'")?;
        Ok(Self { outputs, input_derivations, input_sources, platform, builder, arguments, environment })
    }

    /// The names of its outputs, with the paths of those whose paths do not depend on their contents.
    ///
    /// # Errors
    /// `DerivationError::BadPath` when a path is none.
    pub fn outputs(&self, store_dir: &StoreDir) -> Result<Vec<(String, Option<StorePath>)>, DerivationError> {
        let known = known_outputs(&self.outputs, store_dir)?;
        let path = |name: &str| known.iter().find(|(known, _)| known == name).map(|(_, path)| path.clone());
        Ok(self.outputs.iter().map(|output| (output.name.clone(), path(&output.name))).collect())
    }

    /// The derivations whose outputs it needs.
    ///
    /// # Errors
    /// `DerivationError::BadPath` when the path of one is none.
    pub fn inputs(&self, store_dir: &StoreDir) -> Result<Vec<StorePath>, DerivationError> {
        let parse = |(path, outputs): &(String, Vec<String>)| {
            store_dir.parse(path).map_err(|source| DerivationError::BadPath {
                name: outputs.first().cloned().unwrap_or_default(),
                path: path.clone(),
                source,
            })
        };
        self.input_derivations.iter().map(parse).collect()
    }
}
