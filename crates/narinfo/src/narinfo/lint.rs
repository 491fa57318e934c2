//! Everything that can be said against a narinfo without looking at anything else.

use std::fmt;

use nars3_store_path::{Signature, StoreDir};

use super::error::excerpt;
use super::notes::{At, Notes};
use super::scan::line_at;
use super::{Field, Flags, NarInfo, NarInfoError, NarInfoProblem};
use crate::nar_key;

/// Something wrong or unusual about a narinfo that can be read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// What is wrong.
    pub rule: Rule,
    /// The line, counted from 1; none for the narinfo as a whole.
    pub line: Option<u32>,
    /// The field, if it is one of Nix's.
    pub field: Option<Field>,
    /// The value found, or its beginning and an ellipsis; empty for what is missing.
    pub value: Box<str>,
}

/// What a narinfo is examined for.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Rule {
    /// The text is not as Nix 2.29 writes it; one flag.
    Canonical(Flags),
    /// The object has another key than its store path asks for, so nobody finds it.
    Key {
        /// The key it should have.
        expected: String,
    },
    /// `URL` is in `nar/`, but not what `FileHash` and `Compression` make it.
    NarKey {
        /// The key Nix would have used.
        expected: String,
    },
    /// A signature is not `<key name>:<base64 of 64 bytes>`; Nix HEAD refuses such a narinfo.
    SignatureForm,
    /// The store path cannot be computed from `CA`, name and references, so `CA` is not true.
    ContentAddress,
    /// `Deriver` is not a derivation.
    Deriver,
    /// `FileSize` is 0.
    FileSize,
    /// There is neither a signature nor a true content address: no store with Nix's defaults will take the path.
    NotTrusted,
}

impl NarInfo {
    /// Reads `text`, the narinfo stored under `key`, and says everything against it.
    ///
    /// Signatures are looked at, not verified: that takes keys.
    ///
    /// # Errors
    ///
    /// As [`NarInfo::parse`].
    pub fn lint(store_dir: &StoreDir, key: &str, text: &str) -> Result<(Self, Vec<Finding>), NarInfoError> {
        let mut collector = Collector { text, flags: Flags::NONE, findings: Vec::new() };
        let mut narinfo =
            Self::parse_noting(store_dir, text, &mut collector).map_err(|error| error.locate(key, text))?;
        narinfo.flags = collector.flags;
        let mut findings = collector.findings;
        narinfo.examine(store_dir, key, &mut findings);
        Ok((narinfo, findings))
    }

    fn examine(&self, store_dir: &StoreDir, key: &str, findings: &mut Vec<Finding>) {
        let mut find = |rule, field, value: &str| {
            findings.push(Finding { rule, line: None, field, value: excerpt(value) });
        };
        let expected = self.key();
        if key.rsplit('/').next() != Some(&expected) {
            find(Rule::Key { expected }, None, key);
        }
        if let Some(expected) = self.file_hash.map(|hash| nar_key(&hash, &self.compression))
            && self.url.starts_with("nar/")
            && self.url != expected
        {
            find(Rule::NarKey { expected }, Some(Field::Url), &self.url);
        }
        if self.file_size == Some(0) {
            find(Rule::FileSize, Some(Field::FileSize), "0");
        }
        if let Some(deriver) = self.info.deriver.as_ref().filter(|deriver| !deriver.is_derivation()) {
            find(Rule::Deriver, Some(Field::Deriver), deriver.base_name());
        }
        let is_sound =
            |signature: &Signature| !signature.key_name().is_empty() && signature.to_bytes().is_some();
        for signature in self.info.signatures.iter().filter(|signature| !is_sound(signature)) {
            find(Rule::SignatureForm, Some(Field::Sig), signature.as_str());
        }
        let follows_from_ca = self.info.path_follows_from_ca(store_dir);
        if let Some(ca) = self.info.ca.filter(|_| !follows_from_ca) {
            find(Rule::ContentAddress, Some(Field::Ca), &ca.to_string());
        }
        if !follows_from_ca && !self.info.signatures.iter().any(is_sound) {
            find(Rule::NotTrusted, None, "");
        }
    }
}

/// The error of strict reading: the first departure in a text that has some.
#[cold]
pub(super) fn first_departure(store_dir: &StoreDir, key: &str, text: &str, flags: Flags) -> NarInfoError {
    let mut collector = Collector { text, flags: Flags::NONE, findings: Vec::new() };
    // The text was read before, so it can be read; the outcome of this reading is the findings.
    let _ = NarInfo::parse_noting(store_dir, text, &mut collector);
    let first = collector.findings.into_iter().min_by_key(|finding| finding.line.unwrap_or(u32::MAX));
    let (line, field, value) = match first {
        Some(Finding { line, field, value, .. }) => (line, field, Some(value)),
        None => (None, None, None),
    };
    NarInfoError {
        key: key.into(),
        line,
        field,
        value: value.filter(|value| !value.is_empty()),
        problem: NarInfoProblem::NotCanonical(flags),
    }
}

/// Remembers each unusual thing with its place.
struct Collector<'a> {
    text: &'a str,
    flags: Flags,
    findings: Vec<Finding>,
}

/// A narinfo can have as many unusual lines as lines; nobody reads more findings than this.
const MAX_FINDINGS: usize = 1000;

impl Notes for Collector<'_> {
    fn note(&mut self, flag: Flags, at: At<'_>) {
        self.flags |= flag;
        if self.findings.len() < MAX_FINDINGS {
            self.findings.push(Finding {
                rule: Rule::Canonical(flag),
                line: (at.offset <= self.text.len()).then(|| line_at(self.text, at.offset)),
                field: at.field,
                value: excerpt(at.value),
            });
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(formatter, "line {line}: ")?;
        }
        if let Some(field) = self.field {
            write!(formatter, "{field} ")?;
        }
        if !self.value.is_empty() {
            write!(formatter, "'{}' ", self.value.escape_debug())?;
        }
        match &self.rule {
            Rule::Canonical(flag) => formatter.write_str(flag.description()),
            Rule::Key { expected } => {
                write!(formatter, "is not the key of the store path, expected '{expected}'")
            }
            Rule::NarKey { expected } => {
                write!(formatter, "does not follow from FileHash and Compression, expected '{expected}'")
            }
            Rule::SignatureForm => {
                formatter.write_str("is not of the form '<key name>:<base64 of 64 bytes>'")
            }
            Rule::ContentAddress => formatter.write_str("does not lead to the store path"),
            Rule::Deriver => formatter.write_str("is not a derivation, expected a name that ends in '.drv'"),
            Rule::FileSize => formatter.write_str("is not the size of any NAR file"),
            Rule::NotTrusted => {
                formatter.write_str("there is neither a signature nor a true content address")
            }
        }
    }
}
