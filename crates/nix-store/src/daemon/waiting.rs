//! Small paths on their way to a daemon. They are kept in memory between `stage` and `publish`, so that many go in one
//! request: for each request the daemon needs longer than for a small path.
//!
//! A large path goes by itself, when it is staged. If it refers to paths that still wait here, it waits for them.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nars3_store_path::StorePath;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// Bytes of NARs that wait at most, all together.
const BUDGET: u32 = 32 * 1024 * 1024;

/// Bytes of the largest NAR that waits.
const LARGEST: u64 = 512 * 1024;

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
    pub(crate) nar: Vec<u8>,
    waiting: Arc<Waiting>,
    _room: OwnedSemaphorePermit,
}

/// Room for a NAR that is about to wait.
#[derive(Debug)]
pub(crate) struct Room {
    waiting: Arc<Waiting>,
    permit: OwnedSemaphorePermit,
}

impl Waiting {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            paths: Mutex::default(),
            budget: Arc::new(Semaphore::new(BUDGET as usize)),
            departures: watch::Sender::new(0),
        })
    }

    /// Room for a NAR of `size` bytes; `None` where it is to go by itself.
    pub(crate) fn room(self: &Arc<Self>, size: u64) -> Option<Room> {
        if size == 0 || size > LARGEST {
            return None;
        }
        let permits = u32::try_from(size).ok()?;
        let permit = Arc::clone(&self.budget).try_acquire_many_owned(permits).ok()?;
        Some(Room { waiting: Arc::clone(self), permit })
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
    /// Lets the NAR wait.
    pub(crate) fn fill(self, path: &StorePath, nar: Vec<u8>) -> WaitingNar {
        self.waiting.lock().insert(path.clone());
        WaitingNar { path: path.clone(), nar, waiting: self.waiting, _room: self.permit }
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
        let nar = waiting.room(3).expect("there is room").fill(&path('a'), vec![1, 2, 3]);
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
    fn no_more_waits_than_there_is_room_for() {
        let waiting = Waiting::new();
        assert!(waiting.room(LARGEST + 1).is_none(), "too large");
        assert!(waiting.room(0).is_none(), "nobody knows how large");
        let rooms: Vec<Room> = std::iter::from_fn(|| waiting.room(LARGEST)).collect();
        assert_eq!(rooms.len() as u64, u64::from(BUDGET) / LARGEST);
        drop(rooms);
        assert!(waiting.room(LARGEST).is_some());
    }
}
