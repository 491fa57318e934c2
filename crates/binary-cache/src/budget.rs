//! Memory that several paths share: a path waits until there is room for what it is about to hold.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes that one permit stands for. Permits are counted in 32 bits, so a finer unit could not express a budget of a
/// few GiB.
const UNIT: u64 = 64 * 1024;

/// A number of bytes that may be held at once. Requests are served in order, so a large one is not starved by small
/// ones.
#[derive(Debug, Clone)]
pub(crate) struct Budget {
    semaphore: Arc<Semaphore>,
    units: u32,
}

/// A share of a budget, given back when dropped.
#[derive(Debug)]
pub(crate) struct Share {
    permit: Option<OwnedSemaphorePermit>,
}

impl Budget {
    pub(crate) fn new(bytes: u64) -> Self {
        let units = u32::try_from(bytes / UNIT).unwrap_or(u32::MAX).clamp(1, u32::MAX / 8);
        Self { semaphore: Arc::new(Semaphore::new(units as usize)), units }
    }

    /// The whole budget in bytes.
    pub(crate) fn total(&self) -> u64 {
        u64::from(self.units) * UNIT
    }

    /// Waits for `bytes`. What is larger than the whole budget waits for all of it and then goes alone: refusing it
    /// would make a setting decide what can be stored.
    pub(crate) async fn take(&self, bytes: u64) -> Share {
        let units = u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX).clamp(1, self.units);
        // The semaphore is never closed, so there is always a permit in the end.
        Share { permit: Arc::clone(&self.semaphore).acquire_many_owned(units).await.ok() }
    }

    /// Takes `bytes` if they are free at once.
    pub(crate) fn take_now(&self, bytes: u64) -> Option<Share> {
        let units = u32::try_from(bytes.div_ceil(UNIT)).ok()?;
        Arc::clone(&self.semaphore)
            .try_acquire_many_owned(units)
            .ok()
            .map(|permit| Share { permit: Some(permit) })
    }
}

impl Share {
    /// Gives back what goes beyond `bytes`.
    pub(crate) fn shrink_to(&mut self, bytes: u64) {
        let keep = usize::try_from(bytes.div_ceil(UNIT)).unwrap_or(usize::MAX);
        if let Some(permit) = &mut self.permit {
            drop(permit.split(permit.num_permits().saturating_sub(keep)));
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn a_full_budget_makes_the_next_one_wait() {
        let budget = Budget::new(4 * UNIT);
        let first = budget.take(3 * UNIT).await;
        assert!(budget.take(2 * UNIT).now_or_never().is_none());
        drop(first);
        assert!(budget.take(2 * UNIT).now_or_never().is_some());
    }

    #[tokio::test]
    async fn a_share_can_be_given_back_in_part() {
        let budget = Budget::new(4 * UNIT);
        let mut share = budget.take(4 * UNIT).await;
        share.shrink_to(UNIT);
        assert!(budget.take(4 * UNIT).now_or_never().is_none());
        assert!(budget.take(3 * UNIT).now_or_never().is_some());
    }

    #[tokio::test]
    async fn what_exceeds_the_budget_goes_alone() {
        let budget = Budget::new(4 * UNIT);
        let giant = budget.take(u64::MAX).await;
        assert!(budget.take(1).now_or_never().is_none());
        drop(giant);
        assert_eq!(budget.total(), 4 * UNIT);
    }
}
