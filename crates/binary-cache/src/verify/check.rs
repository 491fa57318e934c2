//! Checking one path: its content address, its signatures, its file.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;

use nars3_nar::ContentHasher;
use nars3_narinfo::PathInfo;
use nars3_store_api::StoreError;
use nars3_store_path::{Algorithm, ContentAddressMethod};

use super::{Finding, VerifyOptions};
use crate::BinaryCache;
use crate::known::Entry;
use crate::location::is_absolute;
use crate::place::NarPlace;

impl BinaryCache {
    /// What is wrong with a path. That its NAR cannot be read is a finding as well: the others can be checked still.
    pub(super) async fn check(
        &self,
        entry: Arc<Entry>,
        options: &VerifyOptions,
        files: Option<&BTreeMap<String, u64>>,
    ) -> Vec<Finding> {
        let mut findings = Vec::new();
        let content_addressed = self.proves_itself(&entry.info, &mut findings);
        if let Some(keys) = &options.trusted
            && !content_addressed
            && entry.info.valid_signatures(&self.store_dir, keys) < options.signatures_needed.max(1)
        {
            let signed_by = entry.info.signatures.iter().map(|signature| signature.key_name().to_owned());
            findings
                .push(Finding::Untrusted { path: entry.info.path.clone(), signed_by: signed_by.collect() });
        }
        let file = if options.contents {
            self.check_contents(&entry, content_addressed, &mut findings).await
        } else {
            self.check_file(&entry, files).await
        };
        match file {
            Ok(()) => {}
            Err(StoreError::NarGone { path, location, .. }) => {
                findings.push(Finding::MissingNar { path, location });
            }
            Err(
                error @ (StoreError::Corrupt { .. }
                | StoreError::FileMismatch { .. }
                | StoreError::NarHashMismatch { .. }
                | StoreError::NarSizeMismatch { .. }),
            ) => findings.push(Finding::CorruptNar { path: entry.info.path.clone(), error }),
            Err(error) => findings.push(Finding::UnreadableNar { path: entry.info.path.clone(), error }),
        }
        findings
    }

    /// Whether the path follows from its content address, and that says of the contents what the NarHash says, as far as that
    /// can be seen without them.
    fn proves_itself(&self, info: &PathInfo, findings: &mut Vec<Finding>) -> bool {
        let Some(claim) = &info.ca else { return false };
        // Then it is the NarHash itself.
        let is_nar_hash = claim.method == ContentAddressMethod::NixArchive
            && claim.hash.algorithm() == Algorithm::Sha256
            && !info.references.contains(&info.path);
        let reason = if !info.path_follows_from_ca(&self.store_dir) {
            format!("the path of '{claim}' would be another")
        } else if is_nar_hash && claim.hash != info.nar_hash {
            format!("'{claim}' is claimed, but the NarHash is '{}'", info.nar_hash)
        } else {
            return true;
        };
        findings.push(Finding::FalseContentAddress { path: info.path.clone(), reason });
        false
    }

    /// That the file is there, and has the size that it should.
    async fn check_file(
        &self,
        entry: &Entry,
        files: Option<&BTreeMap<String, u64>>,
    ) -> Result<(), StoreError> {
        let place = self.locate_nar(entry).await?;
        let size = match &place {
            NarPlace::Here(place) if !is_absolute(place) => {
                let listed = files.zip(self.nar_key_of(entry).ok()).and_then(|(files, key)| files.get(&key));
                match listed {
                    Some(size) => Some(*size),
                    None => self.objects.head(place).await?.map(|meta| meta.size),
                }
            }
            // A signed URL is good for GET alone. The first byte tells as much as a HEAD request.
            _ => self.download_nar(&place, Some(0..1)).await?.map(|download| download.object_size),
        };
        let key = place.name().to_owned();
        match (size, entry.file_size) {
            (None, _) => Err(StoreError::NarGone {
                store: self.to_string(),
                path: entry.info.path.clone(),
                location: key,
            }),
            (Some(actual), Some(expected)) if actual != expected => Err(StoreError::FileMismatch {
                store: self.to_string(),
                path: entry.info.path.clone(),
                location: key,
                field: "FileSize",
                expected: expected.to_string(),
                actual: actual.to_string(),
            }),
            _ => Ok(()),
        }
    }

    /// That the NAR has the hash of the narinfo and, where that proves the path, of its content address.
    async fn check_contents(
        &self,
        entry: &Arc<Entry>,
        content_addressed: bool,
        findings: &mut Vec<Finding>,
    ) -> Result<(), StoreError> {
        let mut nar = self.send_nar_of(Arc::clone(entry), &entry.info).await?;
        let info = Arc::clone(&entry.info);
        let claim = info.ca.filter(|_| content_addressed);
        let hashing = tokio::task::spawn_blocking(move || {
            let mut hasher = claim.map(|claim| {
                let own = info.references.contains(&info.path).then(|| info.path.hash_part());
                (claim, ContentHasher::new(claim.method, claim.hash.algorithm(), own), Ok(()))
            });
            while let Some(chunk) = nar.blocking_next()? {
                if let Some((_, hasher, state @ Ok(()))) = &mut hasher {
                    *state = hasher.write_all(&chunk);
                }
            }
            Ok::<_, StoreError>(hasher.and_then(|(claim, hasher, state)| {
                match (state, hasher.finish()) {
                    (Err(error), _) => Some(error.to_string()),
                    (_, Err(error)) => Some(error.to_string()),
                    (_, Ok(hash)) => (hash != claim.hash)
                        .then(|| format!("'{claim}' is claimed, but the contents have '{hash}'")),
                }
            }))
        });
        let failed = |error| self.objects.failed(format!("verify '{}'", entry.info.path), error);
        if let Some(reason) = hashing.await.map_err(failed)?? {
            findings.push(Finding::FalseContentAddress { path: entry.info.path.clone(), reason });
        }
        Ok(())
    }
}
