//! Which paths are in the cache: narinfos read one by one, or many answered by a listing.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use futures::stream::{self, StreamExt, TryStreamExt};
use nars3_narinfo::{NarInfo, PathInfo};
use nars3_store_api::StoreError;
use nars3_store_path::{HashPart, StorePath};

use crate::BinaryCache;
use crate::known::Entry;
use crate::objects::{Absence, FileHere, PAGE, hash_part_of, position};

/// Questions that one page of a listing may stand for. A page takes about two round trips and few are on their way at once,
/// while questions go thirty and more at a time; S3 charges for a page what it charges for twelve questions.
const QUESTIONS_PER_PAGE: u64 = 32;

/// Fewer questions than this are asked without a look at a listing.
const LISTING_WORTH_A_LOOK: usize = 2 * QUESTIONS_PER_PAGE as usize;

/// Paths that nothing is known of yet, by hash part. Paths of the same hash part stand together.
type Open = BTreeMap<HashPart, Vec<StorePath>>;

impl BinaryCache {
    /// The narinfo of `path`, from memory, disk or the cache; `None` if there is none, or if it is that of a path with
    /// another name (as in Nix 2.29 `store-api.cc`).
    pub(crate) async fn entry(&self, path: &StorePath) -> Result<Option<Arc<Entry>>, StoreError> {
        let entry = self.entry_of(&path.hash_part()).await?;
        Ok(self.about(path, entry))
    }

    /// As `entry`, but never from disk: what was there when somebody last looked may be gone, and a path that a push
    /// takes for present is not pushed.
    async fn current_entry(&self, path: &StorePath) -> Result<Option<Arc<Entry>>, StoreError> {
        let hash_part = path.hash_part();
        let entry = match self.known.seen(&hash_part) {
            Some(entry) => Some(entry),
            None => self.read_entry(&hash_part).await?,
        };
        Ok(self.about(path, entry))
    }

    fn about(&self, path: &StorePath, entry: Option<Arc<Entry>>) -> Option<Arc<Entry>> {
        let entry = entry.filter(|entry| entry.info.path == *path);
        if entry.is_none() {
            self.known.forget(path);
        }
        entry
    }

    /// The narinfo with this hash part, from memory, disk or the cache.
    pub(crate) async fn entry_of(&self, hash_part: &HashPart) -> Result<Option<Arc<Entry>>, StoreError> {
        if let Some(entry) = self.known.entry(hash_part) {
            return Ok(Some(entry));
        }
        match self.entries_on_disk(vec![*hash_part]).await.remove(hash_part) {
            Some(remembered) => Ok(remembered),
            None => self.read_entry(hash_part).await,
        }
    }

    /// What is remembered on disk of each of these: its narinfo, or that there is none.
    async fn entries_on_disk(&self, hash_parts: Vec<HashPart>) -> HashMap<HashPart, Option<Arc<Entry>>> {
        let Some(remembered) = &self.objects.remembered else { return HashMap::new() };
        let texts = remembered.narinfos(hash_parts).await;
        let understand = |(hash_part, text): (HashPart, Option<String>)| {
            let Some(text) = text else { return Some((hash_part, None)) };
            // What cannot be understood any more is asked again.
            let narinfo = self.parse_narinfo(&format!("{hash_part}.narinfo"), &hash_part, &text).ok()?;
            let entry = Arc::new(Entry { seen: false, ..Entry::from(narinfo) });
            self.known.remember(Arc::clone(&entry));
            Some((hash_part, Some(entry)))
        };
        texts.into_iter().filter_map(understand).collect()
    }

    /// The narinfos of a cache that is a directory of this machine, all read in one go.
    async fn entries_here(
        &self,
        hash_parts: Vec<HashPart>,
    ) -> Result<HashMap<HashPart, Option<Arc<Entry>>>, StoreError> {
        let here = |part: &HashPart| self.objects.file_here(&format!("{part}.narinfo"));
        let Some(files) = hash_parts.iter().map(here).collect::<Option<Vec<FileHere>>>() else {
            return Ok(HashMap::new());
        };
        let keys: Vec<String> = files.iter().map(|file| file.key.clone()).collect();
        let texts = self.objects.texts_here(files, self.objects.limits().narinfo_size).await?;
        let mut entries = HashMap::with_capacity(texts.len());
        for ((hash_part, key), text) in hash_parts.into_iter().zip(keys).zip(texts) {
            let parse = |text: String| self.parse_narinfo(&key, &hash_part, &text);
            let entry = text.map(parse).transpose()?.map(|narinfo| Arc::new(Entry::from(narinfo)));
            entry.iter().for_each(|entry| self.known.remember(Arc::clone(entry)));
            entries.insert(hash_part, entry);
        }
        Ok(entries)
    }

    /// The path infos of `paths`, those that are not there left out. The disk is asked once for all.
    pub(crate) async fn infos(
        &self,
        paths: &[StorePath],
    ) -> Result<HashMap<StorePath, Arc<PathInfo>>, StoreError> {
        let new: Vec<_> =
            paths.iter().map(StorePath::hash_part).filter(|part| self.known.entry(part).is_none()).collect();
        let mut at_once = self.entries_on_disk(new.clone()).await;
        at_once.extend(self.entries_here(new).await?);
        let on_disk = Arc::new(at_once);
        let queries: Vec<_> = paths
            .iter()
            .cloned()
            .map(|path| {
                let on_disk = Arc::clone(&on_disk);
                async move {
                    let entry = match on_disk.get(&path.hash_part()) {
                        Some(remembered) => self.about(&path, remembered.clone()),
                        None => match self.known.entry(&path.hash_part()) {
                            Some(entry) => self.about(&path, Some(entry)),
                            None => {
                                let entry = self.read_entry(&path.hash_part()).await?;
                                self.about(&path, entry)
                            }
                        },
                    };
                    Ok::<_, StoreError>(entry.map(|entry| (path, Arc::clone(&entry.info))))
                }
            })
            .collect();
        stream::iter(queries)
            .buffer_unordered(self.objects.limits().concurrent_requests.max(1))
            .try_filter_map(|found| async move { Ok(found) })
            .try_collect()
            .await
    }

    /// As `infos`, from the cache itself; memory answers for what it has said just now.
    pub(crate) async fn fresh_infos(
        &self,
        paths: &[StorePath],
    ) -> Result<HashMap<StorePath, Arc<PathInfo>>, StoreError> {
        let queries: Vec<_> = paths
            .iter()
            .map(async |path| {
                let hash_part = path.hash_part();
                let entry = match self.known.entry(&hash_part).filter(|entry| entry.is_news()) {
                    Some(entry) => Some(entry),
                    None => self.read_entry(&hash_part).await?,
                };
                let entry = self.about(path, entry);
                Ok::<_, StoreError>(entry.map(|entry| (path.clone(), Arc::clone(&entry.info))))
            })
            .collect();
        stream::iter(queries)
            .buffer_unordered(self.objects.limits().concurrent_requests.max(1))
            .try_filter_map(async |found| Ok(found))
            .try_collect()
            .await
    }

    /// The narinfo with this hash part, as it is in the cache now.
    pub(crate) async fn read_entry(&self, hash_part: &HashPart) -> Result<Option<Arc<Entry>>, StoreError> {
        let key = format!("{hash_part}.narinfo");
        let text = match self.objects.look_up(&key, self.objects.limits().narinfo_size).await? {
            Ok(document) => self.objects.as_text(&key, document)?,
            Err(absence) => {
                if let Some(remembered) = &self.objects.remembered {
                    match absence {
                        Absence::Missing => remembered.remember(hash_part, None),
                        // Whoever gets the permission is not to wait for what was remembered without it.
                        Absence::Denied => remembered.forget(hash_part),
                    }
                }
                return Ok(None);
            }
        };
        self.take_in(&key, hash_part, text).map(Some)
    }

    /// As `read_entry`, of a narinfo that a listing has just given: `None` if it has vanished since. One that may not be read
    /// is an error, since it could say anything.
    pub(crate) async fn read_listed(&self, hash_part: &HashPart) -> Result<Option<Arc<Entry>>, StoreError> {
        let key = format!("{hash_part}.narinfo");
        let limit = self.objects.limits().narinfo_size;
        let Some(document) = self.objects.listed_document(&key, limit).await? else { return Ok(None) };
        let text = self.objects.as_text(&key, document)?;
        self.take_in(&key, hash_part, text).map(Some)
    }

    /// As `read_listed`, from memory or disk where they know it. That it was absent once says nothing against a listing.
    pub(crate) async fn listed_entry(&self, hash_part: &HashPart) -> Result<Option<Arc<Entry>>, StoreError> {
        if let Some(entry) = self.known.entry(hash_part) {
            return Ok(Some(entry));
        }
        match self.entries_on_disk(vec![*hash_part]).await.remove(hash_part).flatten() {
            Some(remembered) => Ok(Some(remembered)),
            None => self.read_listed(hash_part).await,
        }
    }

    /// Understands the text of a narinfo, and remembers it.
    fn take_in(&self, key: &str, hash_part: &HashPart, text: String) -> Result<Arc<Entry>, StoreError> {
        let entry = Arc::new(Entry::from(self.parse_narinfo(key, hash_part, &text)?));
        self.known.remember(Arc::clone(&entry));
        if let Some(remembered) = &self.objects.remembered {
            remembered.remember(hash_part, Some(text));
        }
        Ok(entry)
    }

    /// Forgets a path, in memory and on disk.
    pub(crate) fn forget(&self, path: &StorePath) {
        self.known.forget(path);
        self.objects.forget_on_disk(&path.hash_part());
    }

    /// Reads a narinfo, which must be about the path that its key names: otherwise a signed narinfo of one path could
    /// be passed off as that of another.
    pub(crate) fn parse_narinfo(
        &self,
        key: &str,
        hash_part: &HashPart,
        text: &str,
    ) -> Result<NarInfo, StoreError> {
        let narinfo =
            NarInfo::parse(&self.store_dir, key, text).map_err(|error| self.objects.corrupt(key, error))?;
        if narinfo.info.path.hash_part() != *hash_part {
            let reason = format!("it is about '{}'", self.store_dir.print(&narinfo.info.path));
            return Err(self.objects.corrupt(key, reason));
        }
        Ok(narinfo)
    }

    /// Those of `paths` that are in the cache.
    pub(crate) async fn present(&self, paths: &[StorePath]) -> Result<Vec<StorePath>, StoreError> {
        let (mut found, unknown): (Vec<_>, Vec<_>) =
            paths.iter().cloned().partition(|path| self.known.is_valid(path));
        let mut open = Open::new();
        for path in unknown {
            open.entry(path.hash_part()).or_default().push(path);
        }
        if open.len() >= LISTING_WORTH_A_LOOK && self.objects.lists_in_order() {
            open = self.settle_by_listing(open, &mut found).await;
        }
        self.objects.stats().count_asked(open.len());
        let questions: Vec<_> = open
            .into_values()
            .flatten()
            .map(|path| async move { Ok::<_, StoreError>(self.current_entry(&path).await?.map(|_| path)) })
            .collect();
        let answers: Vec<Option<StorePath>> = stream::iter(questions)
            .buffer_unordered(self.objects.limits().concurrent_requests.max(1))
            .try_collect()
            .await?;
        found.extend(answers.into_iter().flatten());
        Ok(found)
    }

    /// Settles as many of the questions as a listing is good for, and gives back those left open. Hash parts are
    /// spread evenly, so how far the keys read so far have come tells how many more are to be expected: a listing
    /// that would cost more than the questions is left after its first page, and what it told until then counts.
    async fn settle_by_listing(&self, mut open: Open, found: &mut Vec<StorePath>) -> Open {
        let (Some(first), Some(last)) = (open.keys().next().copied(), open.keys().next_back().copied())
        else {
            return open;
        };
        let before = open.len();
        let affordable = PAGE * (open.len() as u64 / QUESTIONS_PER_PAGE).max(1);
        let mut keys = self.objects.top_level_keys(Some(first.as_str()), Some(&last));
        let mut seen: u64 = 0;
        let mut settled = first.as_str().to_owned();
        let everything = loop {
            match keys.try_next().await {
                Ok(Some(key)) => {
                    seen += 1;
                    if let Some(hash_part) = hash_part_of(&key)
                        && let Some(paths) = open.remove(&hash_part)
                    {
                        paths.iter().for_each(|path| self.known.mark_valid(path));
                        found.extend(paths);
                    }
                    settled = key;
                    if seen.is_multiple_of(PAGE) && expected_keys(&first, &settled, &last, seen) > affordable
                    {
                        break false;
                    }
                }
                Ok(None) => break true,
                // Listing may be forbidden where reading is not. The questions can still be asked.
                Err(error) => {
                    tracing::debug!(store = %self, %error, "asking instead of listing");
                    return open;
                }
            }
        };
        let open = if everything { Open::new() } else { behind(&settled, open) };
        self.objects.stats().count_listed(before - open.len(), seen.div_ceil(PAGE).max(1));
        tracing::debug!(store = %self, keys = seen, everything, left = open.len(), "answered from a listing");
        open
    }
}

/// How many keys there are between `first` and `last`, when `seen` of them lie between `first` and `reached`.
fn expected_keys(first: &HashPart, reached: &str, last: &HashPart, seen: u64) -> u64 {
    let (first, reached, last) = (position(first.as_str()), position(reached), position(last.as_str()));
    let covered = reached - first;
    if covered <= 0.0 {
        return u64::MAX;
    }
    // A float that is too large, or not a number, becomes the largest or zero: neither does harm to an estimate.
    (seen as f64 * (last - first) / covered) as u64
}

/// The questions that a listing up to `key` has not answered.
fn behind(key: &str, mut open: Open) -> Open {
    open.retain(|hash_part, _| hash_part.as_str() > key);
    open
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash_part(text: &str) -> HashPart {
        format!("{text:0<32}").parse().unwrap()
    }

    #[test]
    fn the_estimate_follows_the_density() {
        let (first, last) = (hash_part("0"), hash_part("z"));
        let expected = expected_keys(&first, "1", &last, 1000);
        assert!((30_000..33_000).contains(&expected), "{expected}");
        assert_eq!(expected_keys(&first, first.as_str(), &last, 1000), u64::MAX);
    }

    #[test]
    fn what_lies_behind_a_key_stays_open() {
        let open: Open = ["1", "2", "3"].into_iter().map(|text| (hash_part(text), Vec::new())).collect();
        let key = format!("{}.narinfo", hash_part("2"));
        let left: Vec<_> = behind(&key, open).into_keys().collect();
        assert_eq!(left, [hash_part("3")]);
    }
}
