//! The text that a signature of a store object signs.

use std::collections::BTreeSet;
use std::fmt::Write;

use thiserror::Error;

use crate::hash::Hash;
use crate::store_dir::StoreDir;
use crate::store_path::StorePath;

/// Why a store object has no fingerprint.
#[derive(Clone, Debug, Eq, PartialEq, Error)]
#[non_exhaustive]
pub enum FingerprintError {
    /// The size of its NAR is zero, which is Nix's way to say unknown: no NAR is empty.
    #[error("'{path}' has no fingerprint: its NarSize is not known")]
    UnknownSize {
        /// The full path of the store object.
        path: String,
    },
}

/// The fingerprint of a store object: `1;<path>;<nar hash>;<nar size>;<references>`, the text that its signatures
/// sign (Nix 2.29 `path-info.cc`).
///
/// `nar_size` is in bytes. `references` are all store objects that it refers to, with itself if it does.
///
/// # Errors
///
/// [`FingerprintError::UnknownSize`] if `nar_size` is zero.
pub fn path_fingerprint(
    store_dir: &StoreDir,
    path: &StorePath,
    nar_hash: &Hash,
    nar_size: u64,
    references: &BTreeSet<StorePath>,
) -> Result<String, FingerprintError> {
    if nar_size == 0 {
        return Err(FingerprintError::UnknownSize { path: store_dir.print(path) });
    }
    let mut text = format!("1;{store_dir}/{path};{nar_hash};{nar_size};");
    let mut separator = "";
    for reference in references {
        // Writing to a string does not fail.
        let _ = write!(text, "{separator}{store_dir}/{reference}");
        separator = ",";
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_that_is_signed() {
        let path: StorePath = "g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-foo".parse().unwrap();
        let other: StorePath = "01w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-bar".parse().unwrap();
        let hash = "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=".parse().unwrap();
        let store_dir = StoreDir::default();
        let none = BTreeSet::new();
        assert_eq!(
            path_fingerprint(&store_dir, &path, &hash, 120, &none).unwrap(),
            "1;/nix/store/g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-foo;sha256:0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73;120;"
        );
        let both = BTreeSet::from([path.clone(), other]);
        assert_eq!(
            path_fingerprint(&StoreDir::new("/s").unwrap(), &path, &hash, u64::MAX, &both).unwrap(),
            "1;/s/g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-foo;sha256:0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73;18446744073709551615;\
             /s/01w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-bar,/s/g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-foo"
        );
        assert_eq!(
            path_fingerprint(&store_dir, &path, &hash, 0, &none).unwrap_err().to_string(),
            "'/nix/store/g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-foo' has no fingerprint: its NarSize is not known"
        );
    }
}
