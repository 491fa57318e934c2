//! The store path that follows from a content address (Nix 2.29 `store-api.cc`).
//!
//! A fingerprint `<type>:sha256:<base16>:<store directory>:<name>` is hashed with SHA-256, the digest is folded to
//! 20 bytes, and those are the hash part. The type carries the references; the inner hash is that of the contents,
//! or of a description of how a fixed output was hashed.

use std::collections::BTreeSet;
use std::fmt::Write;

use thiserror::Error;

use crate::content_address::{ContentAddress, ContentAddressMethod};
use crate::hash::{Algorithm, Hash};
use crate::store_dir::StoreDir;
use crate::store_path::{HashPart, NameError, StorePath};
use crate::text::excerpt;

/// Why no store path follows from a content address.
#[derive(Clone, Debug, Eq, PartialEq, Error)]
#[non_exhaustive]
pub enum MakePathError {
    /// The name breaks a rule.
    #[error("no store path can have this name: {reason}")]
    Name {
        /// Which rule.
        reason: NameError,
    },
    /// Text is always hashed with SHA-256.
    #[error("text '{name}' is hashed with {algorithm}, but only sha256 makes a store path for text")]
    TextAlgorithm {
        /// The name of the store object.
        name: String,
        /// The algorithm of the content address.
        algorithm: Algorithm,
    },
    /// Text cannot hold its own path, as the path follows from the text.
    #[error("text '{name}' cannot refer to itself")]
    TextSelfReference {
        /// The name of the store object.
        name: String,
    },
    /// Only text and SHA-256 of a NAR leave room for references in the path.
    #[error(
        "'{name}', with the content address '{content_address}', cannot refer to other store objects or itself"
    )]
    ReferencesNotAllowed {
        /// The name of the store object.
        name: String,
        /// The content address.
        content_address: ContentAddress,
    },
}

/// The store path of an object named `name` whose contents are addressed by `ca`.
///
/// `references` are the store objects that it refers to, without itself; `self_reference` says whether it refers
/// to itself (then the hash in `ca` must be that of the contents modulo self-references).
///
/// ```
/// use std::collections::BTreeSet;
/// use nars3_store_path::{StoreDir, store_path_for};
///
/// let ca = "fixed:r:sha256:0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73".parse()?;
/// let path = store_path_for(&StoreDir::default(), "source", &ca, &BTreeSet::new(), false)?;
/// assert_eq!(path.base_name(), "f6jkrn77ysv9dhs8hh6s2faflhjc930i-source");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// [`MakePathError`] for a name that breaks the rules, and where the content address leaves no room for the
/// references.
pub fn store_path_for(
    store_dir: &StoreDir,
    name: &str,
    ca: &ContentAddress,
    references: &BTreeSet<StorePath>,
    self_reference: bool,
) -> Result<StorePath, MakePathError> {
    let algorithm = ca.hash.algorithm();
    let (kind, hash) = match ca.method {
        ContentAddressMethod::Text if algorithm != Algorithm::Sha256 => {
            return Err(MakePathError::TextAlgorithm { name: excerpt(name), algorithm });
        }
        ContentAddressMethod::Text if self_reference => {
            return Err(MakePathError::TextSelfReference { name: excerpt(name) });
        }
        ContentAddressMethod::Text => (with_references("text", store_dir, references, false), ca.hash),
        ContentAddressMethod::NixArchive if algorithm == Algorithm::Sha256 => {
            (with_references("source", store_dir, references, self_reference), ca.hash)
        }
        ContentAddressMethod::Flat | ContentAddressMethod::NixArchive => {
            if self_reference || !references.is_empty() {
                return Err(MakePathError::ReferencesNotAllowed {
                    name: excerpt(name),
                    content_address: *ca,
                });
            }
            ("output:out".to_owned(), fixed_output_hash(ca))
        }
    };
    let fingerprint = format!("{kind}:{}:{store_dir}:{name}", hash.to_base16());
    let digest = Hash::digest(Algorithm::Sha256, fingerprint.as_bytes());
    let hash_part = HashPart::from_digest(fold(digest.as_bytes()));
    StorePath::with_name(&hash_part, name).map_err(|reason| MakePathError::Name { reason })
}

/// The hash that stands for a fixed output whose path has no room for references.
fn fixed_output_hash(ca: &ContentAddress) -> Hash {
    let recursive = if ca.method == ContentAddressMethod::NixArchive { "r:" } else { "" };
    let description = format!("fixed:out:{recursive}{}:", ca.hash.to_base16());
    Hash::digest(Algorithm::Sha256, description.as_bytes())
}

/// `kind`, then every reference as a full path, then `self`, with colons between.
fn with_references(
    kind: &str,
    store_dir: &StoreDir,
    references: &BTreeSet<StorePath>,
    self_reference: bool,
) -> String {
    let mut text = kind.to_owned();
    for reference in references {
        // Writing to a string does not fail.
        let _ = write!(text, ":{store_dir}/{reference}");
    }
    if self_reference {
        text.push_str(":self");
    }
    text
}

/// Folds a digest to the size of a hash part, by XOR.
fn fold(digest: &[u8]) -> [u8; HashPart::DIGEST_LEN] {
    let mut folded = [0; HashPart::DIGEST_LEN];
    for chunk in digest.chunks(HashPart::DIGEST_LEN) {
        for (byte, value) in folded.iter_mut().zip(chunk) {
            *byte ^= value;
        }
    }
    folded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(name: &str) -> StorePath {
        format!("g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-{name}").parse().unwrap()
    }

    fn make(
        name: &str,
        ca: &str,
        references: &[StorePath],
        self_reference: bool,
    ) -> Result<StorePath, MakePathError> {
        let references = references.iter().cloned().collect();
        store_path_for(&StoreDir::default(), name, &ca.parse().unwrap(), &references, self_reference)
    }

    const SHA256: &str = "sha256:0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73";
    const SHA1: &str = "sha1:x5zjnshbjrrhpg88n2da87884cmn2i2i";

    #[test]
    fn references_and_self_reference_change_the_path() {
        for (method, own) in [("text", false), ("fixed:r", true)] {
            let ca = format!("{method}:{SHA256}");
            let mut paths = BTreeSet::from([
                make("x", &ca, &[], false).unwrap(),
                make("x", &ca, &[path("a")], false).unwrap(),
                make("x", &ca, &[path("a"), path("b")], false).unwrap(),
                make("y", &ca, &[], false).unwrap(),
            ]);
            if own {
                paths.insert(make("x", &ca, &[], true).unwrap());
                paths.insert(make("x", &ca, &[path("a")], true).unwrap());
            }
            assert_eq!(paths.len(), if own { 6 } else { 4 });
        }
    }

    #[test]
    fn the_store_directory_changes_the_path() {
        let ca = format!("fixed:r:{SHA256}").parse().unwrap();
        let gnu = StoreDir::new("/gnu/store").unwrap();
        let other = store_path_for(&gnu, "x", &ca, &BTreeSet::new(), false);
        assert_ne!(make("x", &ca.to_string(), &[], false), other);
    }

    #[test]
    fn where_there_is_no_room_for_references() {
        for ca in [format!("fixed:{SHA256}"), format!("fixed:{SHA1}"), format!("fixed:r:{SHA1}")] {
            assert!(make("x", &ca, &[], false).is_ok());
            let expected = Err(MakePathError::ReferencesNotAllowed {
                name: "x".to_owned(),
                content_address: ca.parse().unwrap(),
            });
            assert_eq!(make("x", &ca, &[], true), expected);
            assert_eq!(make("x", &ca, &[path("a")], false), expected);
        }
    }

    #[test]
    fn text_is_sha256_without_self_reference() {
        assert_eq!(
            make("x", &format!("text:{SHA1}"), &[], false),
            Err(MakePathError::TextAlgorithm { name: "x".to_owned(), algorithm: Algorithm::Sha1 })
        );
        assert_eq!(
            make("x", &format!("text:{SHA256}"), &[], true),
            Err(MakePathError::TextSelfReference { name: "x".to_owned() })
        );
    }

    #[test]
    fn the_name_is_checked() {
        assert_eq!(
            make("a/b", &format!("fixed:{SHA256}"), &[], false).unwrap_err().to_string(),
            "no store path can have this name: '/' at byte 1 of the name 'a/b' is not a letter, a digit or one of '+-._?='"
        );
    }
}
