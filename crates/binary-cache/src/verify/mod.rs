//! Checking that everything in a cache is what it says, and that nothing it needs is missing.

mod check;
mod report;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use futures::stream::{self, StreamExt, TryStreamExt};
use nars3_store_api::StoreError;
use nars3_store_path::{HashPart, RealisedOutput, StorePath};

pub use self::report::{Finding, VerifyOptions, VerifyReport};
use crate::BinaryCache;
use crate::known::Entry;

impl BinaryCache {
    /// Checks paths of the cache, or all. What is wrong with a path, or cannot be read, is a finding; an error is only what
    /// keeps the check from going on: a listing that fails, or an upstream that does not answer.
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
            // A narinfo that nobody can read may name any file.
            let uncertain = report.findings.iter().any(|finding| finding.unknown_narinfo().is_some());
            report.findings.extend(self.orphans(&entries, files, uncertain));
        }
        let realised = match options.paths {
            Some(_) => Vec::new(),
            None => self.realised_elsewhere(&entries, &mut report).await?,
        };
        let dangling = self.dangling(&entries, realised, &mut report).await?;
        report.findings.extend(dangling);
        let checks: Vec<_> =
            entries.iter().map(|entry| self.check(Arc::clone(entry), options, files.as_ref())).collect();
        // Contents are limited by the threads that hash them; the rest by requests.
        let at_once = self.objects.limits().concurrent_requests.max(1);
        let mut checked = stream::iter(checks).buffer_unordered(at_once);
        while let Some(findings) = checked.next().await {
            report.findings.extend(findings);
        }
        drop(checked);
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
                    Err(error) => report.findings.push(Finding::of_narinfo(path.hash_part(), error)),
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
                Err(error) => report.findings.push(Finding::of_narinfo(hash_part, error)),
            }
        }
        Ok(entries)
    }

    fn orphans(
        &self,
        entries: &[Arc<Entry>],
        files: &BTreeMap<String, u64>,
        uncertain: bool,
    ) -> Vec<Finding> {
        let named: HashSet<String> = entries.iter().filter_map(|entry| self.file_named_by(entry)).collect();
        // A narinfo of which nobody knows what it names may name any file.
        let uncertain = uncertain || entries.iter().any(|entry| self.file_named_by(entry).is_none());
        files
            .iter()
            .filter(|(key, _)| !named.contains(*key))
            .map(|(key, size)| Finding::OrphanNar { key: key.clone(), size: *size, uncertain })
            .collect()
    }

    /// The realisations of the cache whose paths are not among `entries`. What is wrong with one is a finding.
    async fn realised_elsewhere(
        &self,
        entries: &[Arc<Entry>],
        report: &mut VerifyReport,
    ) -> Result<Vec<(RealisedOutput, StorePath)>, StoreError> {
        let here: HashSet<&StorePath> = entries.iter().map(|entry| &entry.info.path).collect();
        let mut elsewhere = Vec::new();
        let mut all = Box::pin(self.all_realisations());
        while let Some((output, realisation)) = all.try_next().await? {
            match realisation {
                Ok(realisation) if here.contains(realisation.out_path()) => {}
                Ok(realisation) => elsewhere.push((output, realisation.out_path().clone())),
                Err(error) => report.findings.push(Finding::UnreadableRealisation { output, error }),
            }
        }
        Ok(elsewhere)
    }

    /// The references of `entries`, and of `realised` those, that lead nowhere.
    async fn dangling(
        &self,
        entries: &[Arc<Entry>],
        realised: Vec<(RealisedOutput, StorePath)>,
        report: &mut VerifyReport,
    ) -> Result<Vec<Finding>, StoreError> {
        let here: HashSet<&StorePath> = entries.iter().map(|entry| &entry.info.path).collect();
        // What cannot be read is a finding of its own.
        let unknown: HashSet<HashPart> =
            report.findings.iter().filter_map(Finding::unknown_narinfo).collect();
        let elsewhere: BTreeSet<&StorePath> = entries
            .iter()
            .flat_map(|entry| &entry.info.references)
            .chain(realised.iter().map(|(_, path)| path))
            .filter(|reference| !here.contains(reference) && !unknown.contains(&reference.hash_part()))
            .collect();
        let wanted: Vec<StorePath> = elsewhere.into_iter().cloned().collect();
        let missing: HashSet<StorePath> = self.missing(wanted, report).await?.into_iter().collect();
        let references = entries.iter().flat_map(|entry| {
            let references = entry.info.references.iter().filter(|reference| missing.contains(*reference));
            references.map(|reference| Finding::DanglingReference {
                path: entry.info.path.clone(),
                reference: reference.clone(),
            })
        });
        let mut findings: Vec<Finding> = references.collect();
        let realised = realised.into_iter().filter(|(_, path)| missing.contains(path));
        findings.extend(realised.map(|(output, path)| Finding::DanglingRealisation { output, path }));
        Ok(findings)
    }

    /// Those of `paths` that are neither here nor in an upstream; narinfos among them that cannot be read are findings.
    async fn missing(
        &self,
        paths: Vec<StorePath>,
        report: &mut VerifyReport,
    ) -> Result<Vec<StorePath>, StoreError> {
        if let Ok(missing) = self.not_valid_anywhere(paths.clone()).await {
            return Ok(missing);
        }
        // One of them cannot be read, or an upstream does not answer: then the last line says so again.
        let mut absent = Vec::new();
        for path in paths {
            // Asked of the cache: what was remembered may be gone.
            match self.read_entry(&path.hash_part()).await {
                Ok(Some(entry)) if entry.info.path == path => {}
                Ok(_) => absent.push(path),
                Err(error) => report.findings.push(Finding::of_narinfo(path.hash_part(), error)),
            }
        }
        self.not_valid_anywhere(absent).await
    }
}
