//! Whether a path may come in.
//!
//! A signature by a trusted key admits a path. Without one, only its content address can, and that is a claim with two
//! halves: the store path must follow from it, which is seen at once, and the contents must have its hash, which is
//! seen when they have passed. Both halves are proven wherever a content address is given, signed or not, because no
//! signature covers the `CA` field (Nix 2.29 `path-info.cc`: the fingerprint leaves it out).

use nars3_nar::ContentHasher;
use nars3_narinfo::PathInfo;
use nars3_store_api::{Inspector, StoreError};
use nars3_store_path::{Algorithm, ContentAddress, ContentAddressMethod, PublicKeys, StoreDir, StorePath};
use std::io::Write;

/// Checks all that can be known of `info` before its NAR arrives. `keys`: one of them must have signed the path,
/// unless its content address proves it; `None` asks for no signature.
pub(crate) fn admit(
    info: &PathInfo,
    store_dir: &StoreDir,
    keys: Option<&PublicKeys>,
    source: &str,
    destination: &str,
) -> Result<(), StoreError> {
    if let Some(ca) = &info.ca
        && !info.path_follows_from_ca(store_dir)
    {
        return Err(StoreError::FalseContentAddress {
            path: info.path.clone(),
            claimed: ca.to_string(),
            reason: "another store path follows from it, the name and the references".to_owned(),
        });
    }
    let Some(keys) = keys else { return Ok(()) };
    if info.ca.is_some() || info.valid_signatures(store_dir, keys) > 0 {
        return Ok(());
    }
    let mut signed_by = info.signatures.iter().map(|signature| signature.key_name().to_owned());
    match signed_by.find(|name| keys.by_name(name).is_some()) {
        Some(key) => {
            Err(StoreError::BadSignature { source_store: source.to_owned(), path: info.path.clone(), key })
        }
        None => Err(StoreError::Untrusted {
            store: destination.to_owned(),
            source_store: source.to_owned(),
            path: info.path.clone(),
            signed_by: info.signatures.iter().map(|signature| signature.key_name().to_owned()).collect(),
        }),
    }
}

/// What has to look at the NAR as it passes, so that the content address of `info` is proven. `None` if there is no
/// content address, or if it is the NarHash itself, which the destination verifies anyway.
pub(crate) fn content_inspector(info: &PathInfo) -> Result<Option<Box<dyn Inspector>>, StoreError> {
    let Some(ca) = info.ca else { return Ok(None) };
    let refers_to_itself = info.references.contains(&info.path);
    let is_nar_hash = ca.method == ContentAddressMethod::NixArchive
        && ca.hash.algorithm() == Algorithm::Sha256
        && !refers_to_itself;
    if is_nar_hash {
        if ca.hash == info.nar_hash {
            return Ok(None);
        }
        return Err(StoreError::FalseContentAddress {
            path: info.path.clone(),
            claimed: ca.to_string(),
            reason: format!("the NarHash is {}", info.nar_hash),
        });
    }
    let own_hash_part = refers_to_itself.then(|| info.path.hash_part());
    let hasher = ContentHasher::new(ca.method, ca.hash.algorithm(), own_hash_part);
    Ok(Some(Box::new(ContentProof {
        path: info.path.clone(),
        claimed: ca,
        hasher: Some(hasher),
        broken: None,
    })))
}

struct ContentProof {
    path: StorePath,
    claimed: ContentAddress,
    hasher: Option<ContentHasher>,
    broken: Option<String>,
}

impl ContentProof {
    fn refuse(&self, reason: String) -> StoreError {
        StoreError::FalseContentAddress { path: self.path.clone(), claimed: self.claimed.to_string(), reason }
    }
}

impl Inspector for ContentProof {
    fn inspect(&mut self, chunk: &[u8]) {
        if let Some(hasher) = &mut self.hasher
            && let Err(error) = hasher.write_all(chunk)
        {
            self.broken = Some(error.to_string());
            self.hasher = None;
        }
    }

    fn conclude(&mut self) -> Result<(), StoreError> {
        if let Some(reason) = self.broken.take() {
            return Err(self.refuse(reason));
        }
        let Some(hasher) = self.hasher.take() else { return Ok(()) };
        match hasher.finish() {
            Ok(actual) if actual == self.claimed.hash => Ok(()),
            Ok(actual) => Err(self.refuse(format!("the contents have the hash {actual}"))),
            Err(error) => Err(self.refuse(error.to_string())),
        }
    }
}
