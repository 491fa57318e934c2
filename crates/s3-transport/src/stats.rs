//! Counters of requests.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::wire::Operation;

/// Counts what goes over the wire. Retries count as requests of their own.
#[derive(Debug, Default)]
pub struct RequestStats {
    requests: [AtomicU64; Operation::COUNT],
    bytes_sent: AtomicU64,
    bytes_received: AtomicU64,
    refused: AtomicU64,
    throttled: AtomicU64,
    broken: AtomicU64,
    retries: AtomicU64,
    resumed: AtomicU64,
}

/// The counters at one moment.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct RequestCounts {
    /// Requests by operation, those that were made at all.
    pub requests: Vec<(Operation, u64)>,
    /// Bytes of request bodies.
    pub bytes_sent: u64,
    /// Bytes of response bodies, as far as they came.
    pub bytes_received: u64,
    /// Answers with a status of 400 and above that are not about the rate of requests.
    pub refused: u64,
    /// Answers that ask for fewer requests (`SlowDown` and the like, 429, 503).
    pub throttled: u64,
    /// Requests that ended without an answer.
    pub broken: u64,
    /// Attempts that were not the first one at their request.
    pub retries: u64,
    /// Bodies that broke off and were taken up again.
    pub resumed: u64,
}

impl RequestStats {
    /// The counters now.
    pub fn counts(&self) -> RequestCounts {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        RequestCounts {
            requests: Operation::ALL
                .into_iter()
                .zip(self.requests.iter().map(get))
                .filter(|(_, count)| *count > 0)
                .collect(),
            bytes_sent: get(&self.bytes_sent),
            bytes_received: get(&self.bytes_received),
            refused: get(&self.refused),
            throttled: get(&self.throttled),
            broken: get(&self.broken),
            retries: get(&self.retries),
            resumed: get(&self.resumed),
        }
    }

    pub(crate) fn sent(&self, operation: Operation, bytes: u64) {
        if let Some(counter) = self.requests.get(operation as usize) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
        self.bytes_sent.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn received(&self, bytes: u64) {
        self.bytes_received.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn answered(&self, status: u16, throttled: bool) {
        match status {
            _ if throttled => self.throttled.fetch_add(1, Ordering::Relaxed),
            400.. => self.refused.fetch_add(1, Ordering::Relaxed),
            _ => 0,
        };
    }

    pub(crate) fn retried(&self) {
        self.retries.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn resumed(&self) {
        self.resumed.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn broke(&self) {
        self.broken.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_answer_is_counted_once() {
        let stats = RequestStats::default();
        stats.sent(Operation::PutObject, 10);
        stats.answered(503, true);
        stats.received(100);
        stats.retried();
        stats.sent(Operation::PutObject, 10);
        stats.answered(200, false);
        stats.sent(Operation::GetObject, 0);
        stats.answered(404, false);
        stats.received(50);
        stats.sent(Operation::GetObject, 0);
        stats.broke();
        let counts = stats.counts();
        assert_eq!(counts.requests, [(Operation::GetObject, 2), (Operation::PutObject, 2)]);
        assert_eq!((counts.bytes_sent, counts.bytes_received), (20, 150));
        assert_eq!((counts.refused, counts.throttled, counts.broken), (1, 1, 1));
        assert_eq!((counts.retries, counts.resumed), (1, 0));
    }
}
