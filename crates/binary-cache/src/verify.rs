//! Checking that everything in a cache is what it says, and that nothing it needs is missing.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io::Write;
use std::sync::Arc;

use futures::stream::{self, StreamExt, TryStreamExt};
use nars3_nar::ContentHasher;
use nars3_narinfo::PathInfo;
use nars3_store_api::StoreError;
use nars3_store_path::{Algorithm, ContentAddressMethod, HashPart, PublicKeys, StorePath};

use crate::BinaryCache;
use crate::known::Entry;

/// What to check.
#[derive(Debug, Clone, Default)]
pub struct VerifyOptions {
    /// Only these paths; the whole cache when `None`, and then files that no narinfo names are looked for too.
    pub paths: Option<Vec<StorePath>>,
    /// Of `paths`, all that they refer to as well, as far as it is in the cache.
    pub recursive: bool,
    /// Fetch and hash every NAR. Otherwise it is only checked that the file is there and has the right size.
    pub contents: bool,
    /// Keys that must have signed each path, unless its content address proves it. `None` checks no trust.
    pub trusted: Option<PublicKeys>,
    /// Signatures needed by different trusted keys, one if zero.
    pub signatures_needed: usize,
}

/// Something that is wrong with a cache.
#[derive(Debug)]
#[non_exhaustive]
pub enum Finding {
    /// A path that was to be checked is not in the cache.
    Invalid {
        /// The path.
        path: StorePath,
    },
    /// A narinfo cannot be understood.
    CorruptNarInfo {
        /// Its hash part.
        hash_part: HashPart,
        /// What is wrong with it.
        error: StoreError,
    },
    /// A narinfo names a file that is not there, or that cannot be read here.
    MissingNar {
        /// The path.
        path: StorePath,
        /// The `URL` of its narinfo.
        location: String,
    },
    /// The NAR, or its file, is not what the narinfo says.
    CorruptNar {
        /// The path.
        path: StorePath,
        /// What is wrong with it.
        error: StoreError,
    },
    /// A path refers to one that is neither in the cache nor in one of its upstreams.
    DanglingReference {
        /// The path.
        path: StorePath,
        /// What it refers to.
        reference: StorePath,
    },
    /// A content address is not that of the path, or not that of its contents.
    FalseContentAddress {
        /// The path.
        path: StorePath,
        /// What is wrong with it, for a person.
        reason: String,
    },
    /// Too few trusted keys have signed the path, and no content address proves it.
    Untrusted {
        /// The path.
        path: StorePath,
        /// The names of the keys that did sign it.
        signed_by: Vec<String>,
    },
    /// A file that no narinfo names. It does no harm but take space; a push in progress has some, too.
    OrphanNar {
        /// Its key.
        key: String,
        /// Its size in bytes.
        size: u64,
    },
}

/// The result of a verification.
#[derive(Debug, Default)]
pub struct VerifyReport {
    /// Paths that were checked.
    pub paths: u64,
    /// The sum of their NarSize, where contents were checked, in bytes.
    pub nar_bytes: u64,
    /// What is wrong.
    pub findings: Vec<Finding>,
    /// Paths that were repaired, for whoever repairs: verifying itself changes nothing.
    pub repaired: Vec<StorePath>,
}

impl BinaryCache {
    /// Checks paths of the cache, or all. What is wrong with a path is a finding; an error is only what keeps the
    /// check from going on.
    pub async fn verify(&self, options: &VerifyOptions) -> Result<VerifyReport, StoreError> {
        let mut report = VerifyReport::default();
        let entries = match &options.paths {
            Some(paths) => self.named_entries(paths, options.recursive, &mut report).await?,
            None => self.every_entry(&mut report).await?,
        };
        let files = match options.paths {
            Some(_) => None,
            None => Some(self.objects.nar_files().try_collect::<BTreeMap<_, _>>().await?),
        };
        if let Some(files) = &files {
            report.findings.extend(self.orphans(&entries, files));
        }
        let dangling = self.dangling(&entries, &mut report).await?;
        report.findings.extend(dangling);
        let checks: Vec<_> =
            entries.iter().map(|entry| self.check(Arc::clone(entry), options, files.as_ref())).collect();
        // Contents are limited by the threads that hash them; the rest by requests.
        let at_once = self.objects.limits().concurrent_requests.max(1);
        let findings: Vec<Vec<Finding>> =
            stream::iter(checks).buffer_unordered(at_once).try_collect().await?;
        report.findings.extend(findings.into_iter().flatten());
        report.paths = entries.len() as u64;
        if options.contents {
            report.nar_bytes = entries.iter().map(|entry| entry.info.nar_size).sum();
        }
        Ok(report)
    }

    /// The narinfos of `paths` and, if `recursive`, of all that they refer to and that is there: what is not, is told with who
    /// refers to it.
    async fn named_entries(
        &self,
        paths: &[StorePath],
        recursive: bool,
        report: &mut VerifyReport,
    ) -> Result<Vec<Arc<Entry>>, StoreError> {
        let mut asked: BTreeSet<StorePath> = paths.iter().cloned().collect();
        let mut round: Vec<StorePath> = asked.iter().cloned().collect();
        let mut is_named = true;
        let mut entries = Vec::new();
        while !round.is_empty() {
            let questions: Vec<_> = std::mem::take(&mut round)
                .into_iter()
                .map(async |path| (self.read_entry(&path.hash_part()).await, path))
                .collect();
            let mut answers =
                stream::iter(questions).buffered(self.objects.limits().concurrent_requests.max(1));
            while let Some((entry, path)) = answers.next().await {
                match entry {
                    Ok(Some(entry)) if entry.info.path == path => {
                        if recursive {
                            let references = entry.info.references.iter();
                            round.extend(references.filter(|path| asked.insert((*path).clone())).cloned());
                        }
                        entries.push(entry);
                    }
                    Ok(_) if is_named => report.findings.push(Finding::Invalid { path }),
                    Ok(_) => {}
                    Err(error @ StoreError::Corrupt { .. }) => {
                        let hash_part = path.hash_part();
                        report.findings.push(Finding::CorruptNarInfo { hash_part, error });
                    }
                    Err(error) => return Err(error),
                }
            }
            is_named = false;
        }
        entries.sort_by(|one, other| one.info.path.cmp(&other.info.path));
        Ok(entries)
    }

    async fn every_entry(&self, report: &mut VerifyReport) -> Result<Vec<Arc<Entry>>, StoreError> {
        let mut entries = Vec::new();
        let mut all = Box::pin(self.all_entries());
        while let Some((hash_part, entry)) = all.try_next().await? {
            match entry {
                Ok(entry) => entries.push(entry),
                Err(error) => report.findings.push(Finding::CorruptNarInfo { hash_part, error }),
            }
        }
        Ok(entries)
    }

    fn orphans(&self, entries: &[Arc<Entry>], files: &BTreeMap<String, u64>) -> Vec<Finding> {
        let named: HashSet<String> = entries.iter().filter_map(|entry| self.nar_key_of(entry).ok()).collect();
        files
            .iter()
            .filter(|(key, _)| !named.contains(*key))
            .map(|(key, size)| Finding::OrphanNar { key: key.clone(), size: *size })
            .collect()
    }

    async fn dangling(
        &self,
        entries: &[Arc<Entry>],
        report: &mut VerifyReport,
    ) -> Result<Vec<Finding>, StoreError> {
        let here: HashSet<&StorePath> = entries.iter().map(|entry| &entry.info.path).collect();
        // What cannot be read is a finding of its own.
        let unreadable: HashSet<HashPart> = report
            .findings
            .iter()
            .filter_map(|finding| match finding {
                Finding::CorruptNarInfo { hash_part, .. } => Some(*hash_part),
                _ => None,
            })
            .collect();
        let elsewhere: BTreeSet<&StorePath> = entries
            .iter()
            .flat_map(|entry| &entry.info.references)
            .filter(|reference| !here.contains(reference) && !unreadable.contains(&reference.hash_part()))
            .collect();
        let wanted: Vec<StorePath> = elsewhere.into_iter().cloned().collect();
        let missing: HashSet<StorePath> = self.missing(wanted, report).await?.into_iter().collect();
        let findings = entries.iter().flat_map(|entry| {
            let references = entry.info.references.iter().filter(|reference| missing.contains(*reference));
            references.map(|reference| Finding::DanglingReference {
                path: entry.info.path.clone(),
                reference: reference.clone(),
            })
        });
        Ok(findings.collect())
    }

    /// Those of `paths` that are neither here nor in an upstream; narinfos among them that cannot be read are findings.
    async fn missing(
        &self,
        paths: Vec<StorePath>,
        report: &mut VerifyReport,
    ) -> Result<Vec<StorePath>, StoreError> {
        match self.not_valid_anywhere(paths.clone()).await {
            Err(StoreError::Corrupt { .. }) => {}
            other => return other,
        }
        let mut absent = Vec::new();
        for path in paths {
            match self.entry(&path).await {
                Ok(Some(_)) => {}
                Ok(None) => absent.push(path),
                Err(error @ StoreError::Corrupt { .. }) => {
                    report.findings.push(Finding::CorruptNarInfo { hash_part: path.hash_part(), error });
                }
                Err(error) => return Err(error),
            }
        }
        self.not_valid_anywhere(absent).await
    }

    async fn check(
        &self,
        entry: Arc<Entry>,
        options: &VerifyOptions,
        files: Option<&BTreeMap<String, u64>>,
    ) -> Result<Vec<Finding>, StoreError> {
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
            Err(error) => return Err(error),
        }
        Ok(findings)
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
        let key = self.nar_place_of(entry)?;
        let size = match files.and_then(|files| files.get(&key)) {
            Some(size) => Some(*size),
            None => self.objects.head(&key).await?.map(|meta| meta.size),
        };
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
