//! Content addresses: how a store object was hashed, and the hash.

use std::fmt;
use std::str::FromStr;

use serde_json::Value;
use thiserror::Error;

use crate::hash::{Algorithm, Hash, HashError, UnknownAlgorithm};
use crate::json;
use crate::text::excerpt;

/// How the contents of a store object are hashed.
///
/// Exhaustive on purpose: whoever hashes must know each. Nix's experimental `git` method is not among them.
#[derive(Copy, Clone, Eq, PartialEq, Ord, PartialOrd, Hash, Debug)]
pub enum ContentAddressMethod {
    /// The bytes of one file that may refer to other store objects: derivations and `builtins.toFile`.
    Text,
    /// The bytes of one file.
    Flat,
    /// The NAR of a file tree.
    NixArchive,
}

/// A name that is no method.
#[derive(Clone, Debug, Eq, PartialEq, Error)]
#[error("unknown content address method '{name}': expected text, flat or nar")]
pub struct UnknownMethod {
    /// The name found.
    pub name: String,
}

impl ContentAddressMethod {
    /// Nix's name of the method in JSON and on the command line: `text`, `flat` or `nar`.
    pub const fn name(self) -> &'static str {
        match self {
            ContentAddressMethod::Text => "text",
            ContentAddressMethod::Flat => "flat",
            ContentAddressMethod::NixArchive => "nar",
        }
    }

    /// What stands before the hash in a content address.
    const fn prefix(self) -> &'static str {
        match self {
            ContentAddressMethod::Text => "text:",
            ContentAddressMethod::Flat => "fixed:",
            ContentAddressMethod::NixArchive => "fixed:r:",
        }
    }
}

impl fmt::Display for ContentAddressMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for ContentAddressMethod {
    type Err = UnknownMethod;

    fn from_str(name: &str) -> Result<Self, UnknownMethod> {
        match name {
            "text" => Ok(ContentAddressMethod::Text),
            "flat" => Ok(ContentAddressMethod::Flat),
            "nar" => Ok(ContentAddressMethod::NixArchive),
            _ => Err(UnknownMethod { name: excerpt(name) }),
        }
    }
}

/// The content address of a store object, as in the `CA` line of a narinfo: `text:…`, `fixed:…` or `fixed:r:…`
/// followed by `<algorithm>:<nix32>`.
///
/// It is a claim until someone recomputes both the store path (see [`crate::store_path_for`]) and the hash.
#[derive(Copy, Clone, Eq, PartialEq, Ord, PartialOrd, Hash, Debug)]
pub struct ContentAddress {
    /// How the contents were hashed.
    pub method: ContentAddressMethod,
    /// What came out.
    pub hash: Hash,
}

/// Why a text is not a content address. `value` is the text as given, with control characters
/// escaped and cut if it is very long.
#[derive(Clone, Debug, Eq, PartialEq, Error)]
#[non_exhaustive]
pub enum ContentAddressError {
    /// Neither `text:` nor `fixed:` begins it.
    #[error("content address '{value}' does not begin with 'text:' or 'fixed:'")]
    UnknownPrefix {
        /// The text given.
        value: String,
    },
    /// The experimental method `fixed:git:`.
    #[error("content address '{value}' is hashed as a git tree, which is not supported")]
    Git {
        /// The text given.
        value: String,
    },
    /// No algorithm before the digest.
    #[error("content address '{value}' has no '<algorithm>:<digest>' behind its prefix")]
    MissingAlgorithm {
        /// The text given.
        value: String,
    },
    /// An algorithm that Nix does not know.
    #[error("content address '{value}': {reason}")]
    UnknownAlgorithm {
        /// The text given.
        value: String,
        /// The name found.
        reason: UnknownAlgorithm,
    },
    /// The digest is wrong.
    #[error("content address '{value}': {reason}")]
    Hash {
        /// The text given.
        value: String,
        /// What is wrong with it.
        reason: HashError,
    },
    /// The JSON form is not an object with a known `method` and an SRI `hash`.
    #[error("content address in JSON: {reason}")]
    Json {
        /// What is wrong with it.
        reason: String,
    },
}

impl ContentAddress {
    /// Reads the JSON form of newer versions of Nix: `{"hash":"<SRI>","method":"nar"}`. Other keys are ignored.
    ///
    /// # Errors
    ///
    /// [`ContentAddressError::Json`] says which key is wrong.
    pub fn from_json(text: &str) -> Result<Self, ContentAddressError> {
        Self::read_json(text).map_err(|reason| ContentAddressError::Json { reason })
    }

    /// The JSON form of newer versions of Nix, without spaces.
    pub fn to_json(&self) -> String {
        format!(r#"{{"hash":"{}","method":"{}"}}"#, self.hash.to_sri(), self.method)
    }

    fn read_json(text: &str) -> Result<Self, String> {
        let value: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let field = |name| json::string_field(&value, name).map_err(|error| error.to_string());
        Ok(ContentAddress {
            method: field("method")?.parse().map_err(|error: UnknownMethod| error.to_string())?,
            hash: Hash::parse_sri(field("hash")?).map_err(|error| error.to_string())?,
        })
    }
}

impl fmt::Display for ContentAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.method.prefix(), self.hash)
    }
}

impl FromStr for ContentAddress {
    type Err = ContentAddressError;

    /// As Nix 2.29 `content-address.cc`: the digest may be base16, Nix32 or base64, but not SRI.
    fn from_str(value: &str) -> Result<Self, ContentAddressError> {
        let (method, rest) = if let Some(rest) = value.strip_prefix("text:") {
            (ContentAddressMethod::Text, rest)
        } else if let Some(rest) = value.strip_prefix("fixed:") {
            match rest.strip_prefix("r:") {
                Some(rest) => (ContentAddressMethod::NixArchive, rest),
                None if rest.starts_with("git:") => {
                    return Err(ContentAddressError::Git { value: excerpt(value) });
                }
                None => (ContentAddressMethod::Flat, rest),
            }
        } else {
            return Err(ContentAddressError::UnknownPrefix { value: excerpt(value) });
        };
        let (name, digest) = rest
            .split_once(':')
            .ok_or_else(|| ContentAddressError::MissingAlgorithm { value: excerpt(value) })?;
        let algorithm: Algorithm = name
            .parse()
            .map_err(|reason| ContentAddressError::UnknownAlgorithm { value: excerpt(value), reason })?;
        let hash = Hash::parse_digest(algorithm, digest)
            .map_err(|reason| ContentAddressError::Hash { value: excerpt(value), reason })?;
        Ok(ContentAddress { method, hash })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73";

    #[test]
    fn every_form_reads_back() {
        for (prefix, method) in [
            ("text", ContentAddressMethod::Text),
            ("fixed", ContentAddressMethod::Flat),
            ("fixed:r", ContentAddressMethod::NixArchive),
        ] {
            for algorithm in Algorithm::ALL {
                let ca = ContentAddress { method, hash: Hash::digest(algorithm, b"abc") };
                assert_eq!(ca.to_string(), format!("{prefix}:{}", ca.hash));
                assert_eq!(ca.to_string().parse(), Ok(ca));
                for hash in [ca.hash.to_base16(), ca.hash.to_base64()] {
                    assert_eq!(format!("{prefix}:{hash}").parse(), Ok(ca));
                }
                assert_eq!(ContentAddress::from_json(&ca.to_json()), Ok(ca));
            }
        }
    }

    #[test]
    fn errors_say_what_is_wrong() {
        for (value, message) in [
            ("", "content address '' does not begin with 'text:' or 'fixed:'".to_owned()),
            (
                "source:sha256:x",
                "content address 'source:sha256:x' does not begin with 'text:' or 'fixed:'".to_owned(),
            ),
            (
                "fixed:git:sha1:x",
                "content address 'fixed:git:sha1:x' is hashed as a git tree, which is not supported".to_owned(),
            ),
            (
                "fixed:sha256-47DEQpj8HBSa",
                "content address 'fixed:sha256-47DEQpj8HBSa' has no '<algorithm>:<digest>' behind its prefix"
                    .to_owned(),
            ),
            (
                "text:r:sha256:x",
                "content address 'text:r:sha256:x': unknown hash algorithm 'r': expected blake3, md5, sha1, sha256 or sha512"
                    .to_owned(),
            ),
            (
                "fixed:r:sha1:x",
                "content address 'fixed:r:sha1:x': hash 'x' has a digest of 1 characters: expected 40 (base16), 32 (nix32) or 28 (base64) for sha1"
                    .to_owned(),
            ),
        ] {
            assert_eq!(value.parse::<ContentAddress>().unwrap_err().to_string(), message);
        }
        let sri = "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
        assert!(format!("fixed:sha256:{sri}").parse::<ContentAddress>().is_err());
    }

    #[test]
    fn errors_of_the_json_form() {
        for (text, message) in [
            ("[]", "content address in JSON: the document is an array, expected an object"),
            ("{}", "content address in JSON: the key 'method' is missing"),
            (r#"{"method":1}"#, "content address in JSON: 'method' is a number, expected a string"),
            (
                r#"{"method":"git"}"#,
                "content address in JSON: unknown content address method 'git': expected text, flat or nar",
            ),
            (r#"{"method":"nar"}"#, "content address in JSON: the key 'hash' is missing"),
        ] {
            assert_eq!(ContentAddress::from_json(text).unwrap_err().to_string(), message);
        }
        // Prefixed with a colon is no SRI.
        let text = format!(r#"{{"method":"nar","hash":"sha256:{DIGEST}"}}"#);
        assert!(ContentAddress::from_json(&text).is_err());
        assert!(ContentAddress::from_json("{").is_err());
    }
}
