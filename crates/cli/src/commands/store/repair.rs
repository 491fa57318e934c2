//! `nars3 store verify --repair-from STORE`: what is wrong with a cache is replaced by what another store has.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use nars3_binary_cache::{BinaryCache, Finding, VerifyOptions, VerifyReport};
use nars3_copy::{CopyError, CopyOptions};
use nars3_narinfo::PathInfo;
use nars3_store_api::{Event, Progress, Store, StoreError};
use nars3_store_path::{HashPart, Signature, StorePath};

use crate::error::CliResult;

/// What a repair works on, and what it goes by.
pub(super) struct Repair<'a> {
    pub(super) cache: &'a Arc<BinaryCache>,
    pub(super) source: Arc<dyn Store>,
    /// What these have need not be brought.
    pub(super) upstreams: &'a [Arc<dyn Store>],
    pub(super) options: &'a VerifyOptions,
    pub(super) progress: Arc<dyn Progress>,
}

/// The paths that findings ask for.
#[derive(Default)]
struct Wanted {
    /// To be replaced, whatever the cache has of them.
    damaged: BTreeSet<StorePath>,
    /// To be added.
    missing: BTreeSet<StorePath>,
    /// Sound, but for signatures.
    unsigned: BTreeSet<StorePath>,
    /// The paths of narinfos that cannot be read, as far as the source knows them.
    unreadable: BTreeMap<HashPart, StorePath>,
}

impl Repair<'_> {
    /// Repairs what can be, looks again at what was wrong, and gives the report of what is wrong still.
    pub(super) async fn run(&self, mut report: VerifyReport) -> CliResult<VerifyReport> {
        let wanted = self.wanted(&report.findings).await?;
        let copied = self.bring(&wanted).await?;
        let signed = self.sign(&wanted.unsigned).await?;
        let repaired: BTreeSet<StorePath> = copied.into_iter().chain(signed).collect();
        if repaired.is_empty() {
            return Ok(report);
        }
        let mut again: BTreeSet<StorePath> =
            report.findings.iter().filter_map(|finding| subject(finding, &wanted.unreadable)).collect();
        again.extend(repaired.iter().cloned());
        let paths = Some(again.iter().cloned().collect());
        let options = VerifyOptions { paths, recursive: false, ..self.options.clone() };
        let second = self.cache.verify(&options).await?;
        let named = self.files(&repaired).await?;
        report.findings.retain(|finding| match finding {
            Finding::OrphanNar { key, .. } => !named.contains(key),
            Finding::DanglingRealisation { path, .. } => !repaired.contains(path),
            other => subject(other, &wanted.unreadable).is_none_or(|path| !again.contains(&path)),
        });
        report.findings.extend(second.findings);
        report.repaired = repaired.into_iter().collect();
        Ok(report)
    }

    async fn wanted(&self, findings: &[Finding]) -> CliResult<Wanted> {
        let mut wanted = Wanted::default();
        for finding in findings {
            match finding {
                Finding::MissingNar { path, .. }
                | Finding::CorruptNar { path, .. }
                | Finding::FalseContentAddress { path, .. } => {
                    wanted.damaged.insert(path.clone());
                }
                Finding::Invalid { path }
                | Finding::DanglingReference { reference: path, .. }
                | Finding::DanglingRealisation { path, .. } => {
                    wanted.missing.insert(path.clone());
                }
                Finding::CorruptNarInfo { hash_part, .. } => {
                    if let Some(path) = self.source.path_from_hash_part(hash_part).await? {
                        wanted.damaged.insert(path.clone());
                        wanted.unreadable.insert(*hash_part, path);
                    }
                }
                Finding::Untrusted { path, .. } => {
                    wanted.unsigned.insert(path.clone());
                }
                _ => {}
            }
        }
        Ok(wanted)
    }

    /// Copies what is damaged or missing, with all that it refers to and that is not there. Gives what was copied.
    async fn bring(&self, wanted: &Wanted) -> CliResult<Vec<StorePath>> {
        let roots: Vec<StorePath> = wanted.damaged.union(&wanted.missing).cloned().collect();
        let found = nars3_copy::closures(self.source.as_ref(), &roots).await?;
        for (root, error) in &found.incomplete {
            self.warn(&format!("'{root}' cannot be repaired: {error}"));
        }
        let mut chosen: BTreeMap<StorePath, Arc<PathInfo>> =
            found.infos.into_iter().map(|info| (info.path.clone(), info)).collect();
        let asked: Vec<StorePath> = chosen
            .keys()
            .filter(|path| !wanted.damaged.contains(*path) && !wanted.missing.contains(*path))
            .cloned()
            .collect();
        for path in self.there(asked).await? {
            chosen.remove(&path);
        }
        let before = self.before(chosen.keys()).await?;
        chosen.retain(|path, info| self.is_admitted(info, before.get(path).map(Arc::as_ref)));
        if chosen.is_empty() {
            return Ok(Vec::new());
        }
        let roots: Vec<StorePath> = chosen.into_keys().collect();
        let copied = self.copy(&roots).await?;
        for path in &copied {
            if let Some(old) = before.get(path) {
                self.keep_signatures(old).await?;
            }
        }
        Ok(copied)
    }

    /// Those of `paths` that the cache or an upstream has.
    async fn there(&self, paths: Vec<StorePath>) -> CliResult<Vec<StorePath>> {
        let mut found = Vec::new();
        if !paths.is_empty() {
            found = self.cache.valid_paths(&paths).await?;
            for upstream in self.upstreams {
                found.extend(upstream.valid_paths(&paths).await?);
            }
        }
        Ok(found)
    }

    /// What the cache says of the paths before they are replaced, as far as it can be read.
    async fn before(
        &self,
        paths: impl Iterator<Item = &StorePath>,
    ) -> CliResult<BTreeMap<StorePath, Arc<PathInfo>>> {
        let mut infos = BTreeMap::new();
        for path in paths {
            match self.cache.path_info(path).await {
                Ok(Some(info)) => {
                    infos.insert(path.clone(), info);
                }
                Ok(None) | Err(StoreError::Corrupt { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(infos)
    }

    /// A repair must not bring in what a verification would complain of: with trusted keys at hand, only what one of
    /// them has signed, what proves itself, and what the cache's own narinfo describes.
    fn is_admitted(&self, info: &PathInfo, before: Option<&PathInfo>) -> bool {
        let Some(keys) = &self.options.trusted else { return true };
        let store_dir = self.cache.store_dir();
        let admitted = info.path_follows_from_ca(store_dir)
            || info.valid_signatures(store_dir, keys) >= self.options.signatures_needed.max(1)
            || before.is_some_and(|before| same_contents(before, info) && before.ca == info.ca);
        if !admitted {
            let source = &self.source;
            self.warn(&format!(
                "'{}' is not repaired: no trusted key has signed it in '{source}'",
                info.path
            ));
        }
        admitted
    }

    async fn copy(&self, roots: &[StorePath]) -> CliResult<Vec<StorePath>> {
        let destination: Arc<dyn Store> = self.cache.clone();
        let mut options = CopyOptions::default();
        options.recursive = false;
        options.repair = true;
        options.keep_going = true;
        let progress = Arc::clone(&self.progress);
        match nars3_copy::copy(&self.source, &destination, roots, &options, progress).await {
            Ok(report) => Ok(report.copied),
            Err(CopyError::Partial { failed, report, .. }) => {
                for failure in &failed {
                    let why = match &failure.error {
                        Some(error) => error.with_causes(),
                        None => "what it refers to cannot be".to_owned(),
                    };
                    self.warn(&format!("'{}' cannot be repaired: {why}", failure.path));
                }
                Ok(report.copied)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The signatures that the replaced narinfo had hold for the new one, if it is about the same contents.
    async fn keep_signatures(&self, old: &PathInfo) -> CliResult {
        let Some(new) = self.cache.path_info(&old.path).await? else { return Ok(()) };
        let lost: Vec<Signature> = old.signatures.difference(&new.signatures).cloned().collect();
        if same_contents(old, &new) && !lost.is_empty() {
            self.cache.add_signatures(&old.path, &lost).await?;
        }
        Ok(())
    }

    /// Adds the trusted signatures that paths have in the source. Gives the paths that got some.
    async fn sign(&self, paths: &BTreeSet<StorePath>) -> CliResult<Vec<StorePath>> {
        let mut signed = Vec::new();
        let Some(keys) = &self.options.trusted else { return Ok(signed) };
        let asked: Vec<StorePath> = paths.iter().cloned().collect();
        let theirs = self.source.path_infos(&asked).await?;
        for path in asked {
            let (Some(theirs), Some(ours)) = (theirs.get(&path), self.cache.path_info(&path).await?) else {
                continue;
            };
            if !same_contents(&ours, theirs) || theirs.valid_signatures(self.cache.store_dir(), keys) == 0 {
                continue;
            }
            let new: Vec<Signature> = theirs.signatures.difference(&ours.signatures).cloned().collect();
            if !new.is_empty() && self.cache.add_signatures(&path, &new).await? > 0 {
                signed.push(path);
            }
        }
        Ok(signed)
    }

    /// The keys of the files that the paths have now.
    async fn files(&self, paths: &BTreeSet<StorePath>) -> CliResult<BTreeSet<String>> {
        let mut keys = BTreeSet::new();
        for path in paths {
            keys.extend(self.cache.nar_info(path).await?.map(|narinfo| narinfo.url));
        }
        Ok(keys)
    }

    fn warn(&self, message: &str) {
        self.progress.report(Event::Warning { message });
    }
}

/// Whether a signature of one holds for the other.
fn same_contents(one: &PathInfo, other: &PathInfo) -> bool {
    one.nar_hash == other.nar_hash && one.nar_size == other.nar_size && one.references == other.references
}

/// The path that a finding is about; `None` for a file, and for a narinfo of which nobody knows what it was about.
fn subject(finding: &Finding, unreadable: &BTreeMap<HashPart, StorePath>) -> Option<StorePath> {
    match finding {
        Finding::Invalid { path }
        | Finding::MissingNar { path, .. }
        | Finding::UnreadableNar { path, .. }
        | Finding::CorruptNar { path, .. }
        | Finding::DanglingReference { path, .. }
        | Finding::FalseContentAddress { path, .. }
        | Finding::Untrusted { path, .. } => Some(path.clone()),
        Finding::CorruptNarInfo { hash_part, .. } => unreadable.get(hash_part).cloned(),
        _ => None,
    }
}
