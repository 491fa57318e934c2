//! Small paths on their way to a daemon. They are kept between `stage` and `publish`, so that many go in one request: for each
//! request the daemon needs longer than for a small path. They come in any order, and some may wait for others that have
//! not come yet; so there is always room, beyond the memory for them in temporary files.
//!
//! A large path goes by itself, when it is staged. If it refers to paths that still wait here, it waits for them.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nars3_store_path::StorePath;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// Bytes of NARs that wait in memory at most, all together.
const BUDGET: u32 = 32 * 1024 * 1024;

/// Bytes of the largest NAR that waits.
pub(crate) const SMALL_NAR: u64 = 512 * 1024;

/// The paths that wait.
#[derive(Debug)]
pub(crate) struct Waiting {
    paths: Mutex<HashSet<StorePath>>,
    budget: Arc<Semaphore>,
    /// Counts the departures, so that whoever waits for one looks again.
    departures: watch::Sender<u64>,
}

/// The NAR of a path that waits. Dropped, it waits no more.
#[derive(Debug)]
pub(crate) struct WaitingNar {
    path: StorePath,
    nar: Kept,
    waiting: Arc<Waiting>,
}

#[derive(Debug)]
enum Kept {
    Memory { nar: Vec<u8>, _share: OwnedSemaphorePermit },
    File(File),
}

/// Room for a NAR that is about to wait.
#[derive(Debug)]
pub(crate) struct Room {
    waiting: Arc<Waiting>,
    /// Of memory; without it, there is room in a file.
    share: Option<OwnedSemaphorePermit>,
}

impl Waiting {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            paths: Mutex::default(),
            budget: Arc::new(Semaphore::new(BUDGET as usize)),
            departures: watch::Sender::new(0),
        })
    }

    /// Room for a NAR of `size` bytes, at most `SMALL_NAR`.
    pub(crate) fn room(self: &Arc<Self>, size: u64) -> Room {
        let share = u32::try_from(size)
            .ok()
            .and_then(|size| Arc::clone(&self.budget).try_acquire_many_owned(size).ok());
        Room { waiting: Arc::clone(self), share }
    }

    /// Returns when none of `paths` waits.
    pub(crate) async fn departed(&self, paths: impl IntoIterator<Item = &StorePath> + Clone) {
        let mut departures = self.departures.subscribe();
        loop {
            let any = {
                let waiting = self.lock();
                paths.clone().into_iter().any(|path| waiting.contains(path))
            };
            if !any || departures.changed().await.is_err() {
                return;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<StorePath>> {
        // A set, changed in one step each time.
        self.paths.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Room {
    /// Lets the NAR wait. Blocks, where it goes into a file.
    pub(crate) fn fill(self, path: &StorePath, nar: Vec<u8>) -> io::Result<WaitingNar> {
        let nar = match self.share {
            Some(share) => Kept::Memory { nar, _share: share },
            None => {
                let mut file = tempfile::tempfile()?;
                file.write_all(&nar)?;
                Kept::File(file)
            }
        };
        self.waiting.lock().insert(path.clone());
        Ok(WaitingNar { path: path.clone(), nar, waiting: self.waiting })
    }
}

impl WaitingNar {
    /// The bytes. Blocks, where they are in a file.
    pub(crate) fn bytes(&self) -> io::Result<Cow<'_, [u8]>> {
        match &self.nar {
            Kept::Memory { nar, .. } => Ok(Cow::Borrowed(nar)),
            Kept::File(file) => {
                let mut nar = vec![0; usize::try_from(file.metadata()?.len()).unwrap_or(0)];
                file.read_exact_at(&mut nar, 0)?;
                Ok(Cow::Owned(nar))
            }
        }
    }
}

impl Drop for WaitingNar {
    fn drop(&mut self) {
        self.waiting.lock().remove(&self.path);
        self.waiting.departures.send_modify(|count| *count += 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(letter: char) -> StorePath {
        let name: String = std::iter::repeat_n(letter, 32).chain("-x".chars()).collect();
        StorePath::from_base_name(&name).expect("well-formed")
    }

    #[tokio::test]
    async fn who_waits_for_a_path_goes_on_when_it_has_departed() {
        let waiting = Waiting::new();
        let nar = waiting.room(3).fill(&path('a'), vec![1, 2, 3]).expect("kept");
        waiting.departed([&path('b')]).await;
        let other = tokio::spawn({
            let waiting = Arc::clone(&waiting);
            async move { waiting.departed([&path('b'), &path('a')]).await }
        });
        tokio::task::yield_now().await;
        assert!(!other.is_finished());
        drop(nar);
        other.await.expect("it goes on");
    }

    #[test]
    fn what_has_no_room_in_memory_waits_in_a_file() {
        let waiting = Waiting::new();
        let size = usize::try_from(SMALL_NAR).expect("small");
        let kept: Vec<WaitingNar> = (0..u64::from(BUDGET) / SMALL_NAR + 2)
            .map(|_| waiting.room(SMALL_NAR).fill(&path('a'), vec![7; size]).expect("kept"))
            .collect();
        let in_files =
            |kept: &[WaitingNar]| kept.iter().filter(|one| matches!(one.nar, Kept::File(_))).count();
        assert_eq!(in_files(&kept), 2);
        assert!(kept.iter().all(|one| one.bytes().expect("read").as_ref() == vec![7; size]));
        drop(kept);
        assert_eq!(in_files(&[waiting.room(1).fill(&path('a'), vec![7]).expect("kept")]), 0);
    }
}
