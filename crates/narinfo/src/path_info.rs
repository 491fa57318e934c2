//! What a store knows about one of its paths.

use std::collections::BTreeSet;

use nars3_store_path::{
    ContentAddress, FingerprintError, Hash, PublicKeys, SecretKey, Signature, StoreDir, StorePath,
    path_fingerprint, store_path_for,
};

/// The description of a valid store path: the part of a narinfo that does not depend on how the NAR is stored.
///
/// Nix calls it `ValidPathInfo`. Signatures cover `path`, `nar_hash`, `nar_size` and `references`; everything else is
/// only as trustworthy as the place it came from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PathInfo {
    /// The store path described.
    pub path: StorePath,
    /// The hash of the uncompressed NAR; SHA-256 wherever Nix wrote it.
    pub nar_hash: Hash,
    /// The size of the uncompressed NAR in bytes; never 0 for a real path.
    pub nar_size: u64,
    /// The store paths that the contents mention, the path itself included if it mentions itself.
    pub references: BTreeSet<StorePath>,
    /// The derivation this path was built from, if known.
    pub deriver: Option<StorePath>,
    /// The signatures, any number, checked by nobody yet.
    pub signatures: BTreeSet<Signature>,
    /// The claim that the path is content-addressed, see [`PathInfo::path_follows_from_ca`].
    pub ca: Option<ContentAddress>,
    /// When the store got the path, in seconds since 1970. A cache does not know it.
    pub registration_time: Option<i64>,
    /// Whether this very store built the path, so that it needs no signature here. A cache never says so.
    pub ultimate: bool,
}

impl PathInfo {
    /// A path with a NAR and nothing else: no references, no signatures, no claims.
    pub fn new(path: StorePath, nar_hash: Hash, nar_size: u64) -> Self {
        Self {
            path,
            nar_hash,
            nar_size,
            references: BTreeSet::new(),
            deriver: None,
            signatures: BTreeSet::new(),
            ca: None,
            registration_time: None,
            ultimate: false,
        }
    }

    /// The text that signatures of this path sign.
    ///
    /// # Errors
    ///
    /// A path whose NAR size is 0 has no fingerprint (Nix 2.29 `path-info.cc`).
    pub fn fingerprint(&self, store_dir: &StoreDir) -> Result<String, FingerprintError> {
        path_fingerprint(store_dir, &self.path, &self.nar_hash, self.nar_size, &self.references)
    }

    /// Adds the signature of `key` to the signatures.
    ///
    /// # Errors
    ///
    /// As [`PathInfo::fingerprint`].
    pub fn sign(&mut self, store_dir: &StoreDir, key: &SecretKey) -> Result<(), FingerprintError> {
        let signature = key.sign(self.fingerprint(store_dir)?.as_bytes());
        self.signatures.insert(signature);
        Ok(())
    }

    /// How many of the signatures are valid signatures of this path by one of `keys`.
    ///
    /// 0 also for a path that has no fingerprint. A content-addressed path needs no signature: ask
    /// [`PathInfo::path_follows_from_ca`] as well, as Nix's `checkSignatures` does.
    pub fn valid_signatures(&self, store_dir: &StoreDir, keys: &PublicKeys) -> usize {
        if keys.is_empty() || self.signatures.is_empty() {
            return 0;
        }
        let Ok(fingerprint) = self.fingerprint(store_dir) else { return 0 };
        self.signatures.iter().filter(|signature| keys.verify(fingerprint.as_bytes(), signature)).count()
    }

    /// Whether the store path recomputed from `ca`, the name and the references is `path`.
    ///
    /// False without `ca`, and false when no path can be made of the three (a text with a self-reference, for
    /// example). True says that the *name* is right, not that the contents are: those still have to hash to `ca`.
    pub fn path_follows_from_ca(&self, store_dir: &StoreDir) -> bool {
        let Some(ca) = &self.ca else { return false };
        let mut others = self.references.clone();
        let self_reference = others.remove(&self.path);
        store_path_for(store_dir, self.path.name(), ca, &others, self_reference)
            .is_ok_and(|path| path == self.path)
    }
}
