//! What this process knows to be in the cache: path infos, in a bounded number, and hash parts.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nars3_compression::Compression;
use nars3_narinfo::{NarInfo, PathInfo};
use nars3_store_path::{Hash, HashPart, StorePath};

/// A narinfo, taken apart so that its path info can be shared.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) info: Arc<PathInfo>,
    pub(crate) url: String,
    pub(crate) compression: Compression,
    pub(crate) file_hash: Option<Hash>,
    pub(crate) file_size: Option<u64>,
    /// Whether this process has it from the cache itself, and not from what was remembered on disk.
    pub(crate) seen: bool,
    /// When it was made.
    pub(crate) read_at: Instant,
}

/// What the cache has said within this time is as good as asked anew.
const NEWS: Duration = Duration::from_secs(10);

impl Entry {
    /// Whether the cache itself has said so just now.
    pub(crate) fn is_news(&self) -> bool {
        self.seen && self.read_at.elapsed() < NEWS
    }
}

impl From<&Entry> for NarInfo {
    fn from(entry: &Entry) -> Self {
        let mut narinfo =
            Self::new(PathInfo::clone(&entry.info), entry.url.clone(), entry.compression.clone());
        narinfo.file_hash = entry.file_hash;
        narinfo.file_size = entry.file_size;
        narinfo
    }
}

impl From<NarInfo> for Entry {
    fn from(narinfo: NarInfo) -> Self {
        Self {
            info: Arc::new(narinfo.info),
            url: narinfo.url,
            compression: narinfo.compression,
            file_hash: narinfo.file_hash,
            file_size: narinfo.file_size,
            seen: true,
            read_at: Instant::now(),
        }
    }
}

/// The memory. Only what is there is remembered, never what is missing: somebody else may add it at any moment, and
/// a push that believes in a presence does no harm beyond this process.
#[derive(Debug)]
pub(crate) struct Known {
    state: Mutex<State>,
    /// Entries in one generation; two generations are kept.
    generation: usize,
}

#[derive(Debug, Default)]
struct State {
    young: HashMap<HashPart, Arc<Entry>>,
    old: HashMap<HashPart, Arc<Entry>>,
    /// Known to be valid, whether or not the entry is remembered. Some hundred bytes each, and only of paths that were
    /// asked for or published, so it is bounded by the work of this process.
    valid: HashSet<StorePath>,
}

impl Known {
    /// A memory of about `size` entries. Between half and all of the entries used last are kept, without the
    /// bookkeeping of a list ordered by use.
    pub(crate) fn new(size: usize) -> Self {
        Self { state: Mutex::default(), generation: size.div_ceil(2) }
    }

    pub(crate) fn entry(&self, hash_part: &HashPart) -> Option<Arc<Entry>> {
        let mut state = self.lock();
        if let Some(entry) = state.young.get(hash_part) {
            return Some(Arc::clone(entry));
        }
        let entry = state.old.get(hash_part).map(Arc::clone)?;
        self.insert_young(&mut state, *hash_part, Arc::clone(&entry));
        Some(entry)
    }

    /// As `entry`, if this process has it from the cache itself.
    pub(crate) fn seen(&self, hash_part: &HashPart) -> Option<Arc<Entry>> {
        self.entry(hash_part).filter(|entry| entry.seen)
    }

    pub(crate) fn remember(&self, entry: Arc<Entry>) {
        let hash_part = entry.info.path.hash_part();
        let mut state = self.lock();
        if entry.seen {
            state.valid.insert(entry.info.path.clone());
        }
        self.insert_young(&mut state, hash_part, entry);
    }

    pub(crate) fn is_valid(&self, path: &StorePath) -> bool {
        self.lock().valid.contains(path)
    }

    pub(crate) fn mark_valid(&self, path: &StorePath) {
        self.lock().valid.insert(path.clone());
    }

    pub(crate) fn forget(&self, path: &StorePath) {
        let hash_part = path.hash_part();
        let mut state = self.lock();
        state.young.remove(&hash_part);
        state.old.remove(&hash_part);
        state.valid.remove(path);
    }

    fn insert_young(&self, state: &mut State, hash_part: HashPart, entry: Arc<Entry>) {
        if self.generation == 0 {
            return;
        }
        if state.young.len() >= self.generation {
            state.old = std::mem::take(&mut state.young);
        }
        // An older copy must not come back once this one has moved on.
        state.old.remove(&hash_part);
        state.young.insert(hash_part, entry);
    }

    /// A panic while the lock was held left maps that are whole: every change is one insertion or removal.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(number: u32) -> Arc<Entry> {
        let path = StorePath::from_base_name(&format!("{number:032}-x")).unwrap();
        let info = PathInfo::new(path, Hash::sha256([0; 32]), 1);
        Arc::new(NarInfo::new(info, "nar/x", Compression::None).into())
    }

    fn hash_part(number: u32) -> HashPart {
        entry(number).info.path.hash_part()
    }

    #[test]
    fn the_memory_is_bounded_and_keeps_what_is_used() {
        let known = Known::new(4);
        for number in 0..100 {
            known.remember(entry(number));
            assert!(known.entry(&hash_part(0)).is_some(), "used after every insertion");
        }
        let kept = (0..100).filter(|number| known.entry(&hash_part(*number)).is_some()).count();
        assert!((2..=4).contains(&kept), "{kept} entries kept");
        assert!(known.is_valid(&entry(50).info.path), "validity outlives the entry");
    }

    #[test]
    fn what_is_forgotten_is_neither_known_nor_valid() {
        let known = Known::new(10);
        known.remember(entry(1));
        known.forget(&entry(1).info.path);
        assert!(known.entry(&hash_part(1)).is_none());
        assert!(!known.is_valid(&entry(1).info.path));
    }

    #[test]
    fn a_newer_entry_is_never_replaced_by_an_older_one() {
        let known = Known::new(2);
        known.remember(entry(1));
        known.remember(entry(2));
        let mut newer = Entry::clone(&entry(1));
        newer.url = "nar/newer".into();
        known.remember(Arc::new(newer));
        known.remember(entry(3));
        let found = known.entry(&hash_part(1));
        assert!(found.is_none_or(|entry| entry.url == "nar/newer"));
    }

    #[test]
    fn what_comes_from_disk_makes_nothing_valid() {
        let known = Known::new(10);
        known.remember(Arc::new(Entry { seen: false, ..Entry::clone(&entry(1)) }));
        assert!(known.entry(&hash_part(1)).is_some() && known.seen(&hash_part(1)).is_none());
        assert!(!known.is_valid(&entry(1).info.path));
        known.remember(entry(1));
        assert!(known.seen(&hash_part(1)).is_some() && known.is_valid(&entry(1).info.path));
    }

    #[test]
    fn only_what_the_cache_has_said_just_now_is_news() {
        let read = Entry::clone(&entry(1));
        assert!(read.is_news());
        assert!(!Entry { seen: false, ..read.clone() }.is_news());
        let Some(long_ago) = Instant::now().checked_sub(NEWS) else { return };
        assert!(!Entry { read_at: long_ago, ..read }.is_news());
    }

    #[test]
    fn no_memory_is_possible() {
        let known = Known::new(0);
        known.remember(entry(1));
        assert!(known.entry(&hash_part(1)).is_none());
        assert!(known.is_valid(&entry(1).info.path));
    }
}
