//! How far NARs are ahead of their narinfos.
//!
//! Each narinfo of a long chain of references waits for the one before. On a server nearby a request takes as long as the server
//! has to work for all that came before it, so a NAR whose narinfo cannot follow yet takes time from those that can. Once
//! enough NARs are ahead, others go a few at a time. A server far away has time for all of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{Semaphore, SemaphorePermit};

/// NARs that are far enough ahead.
const ENOUGH: usize = 32;

/// NARs on their way at once when enough are ahead.
const FEW: usize = 2;

/// The NARs that are uploaded, and whose narinfos are not.
#[derive(Debug)]
pub(crate) struct Lead {
    ahead: Arc<AtomicUsize>,
    few: Semaphore,
}

impl Lead {
    pub(crate) fn new() -> Self {
        Self { ahead: Arc::default(), few: Semaphore::new(FEW) }
    }

    /// One more NAR is there. It is ahead until what this gives is dropped.
    pub(crate) fn gained(&self) -> Ahead {
        self.ahead.fetch_add(1, Ordering::Relaxed);
        Ahead(Arc::clone(&self.ahead))
    }

    /// Waits for a place among a few, if enough are ahead of a server that `is_near`.
    pub(crate) async fn place(&self, is_near: bool) -> Option<SemaphorePermit<'_>> {
        if !is_near || self.ahead.load(Ordering::Relaxed) <= ENOUGH {
            return None;
        }
        // The semaphore is never closed, so there is always a permit in the end.
        self.few.acquire().await.ok()
    }
}

/// A NAR that is ahead of its narinfo.
#[derive(Debug)]
pub(crate) struct Ahead(Arc<AtomicUsize>);

impl Drop for Ahead {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[test]
    fn who_is_far_ahead_of_a_server_nearby_waits_for_others() {
        let lead = Lead::new();
        let mut ahead: Vec<Ahead> = (0..ENOUGH).map(|_| lead.gained()).collect();
        assert!(lead.place(true).now_or_never().expect("nobody waits yet").is_none());
        ahead.push(lead.gained());
        assert!(lead.place(false).now_or_never().expect("it is far away").is_none());
        let places: Vec<_> =
            (0..FEW).map(|_| lead.place(true).now_or_never().expect("a few may go")).collect();
        assert!(places.iter().all(Option::is_some));
        assert!(lead.place(true).now_or_never().is_none(), "one more has to wait");
        drop(ahead.pop());
        assert!(lead.place(true).now_or_never().expect("the narinfos have caught up").is_none());
    }
}
