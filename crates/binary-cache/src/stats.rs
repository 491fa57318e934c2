//! What a cache has cost so far: requests by kind and bytes by direction.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counts requests and bytes of one open cache. Counting never blocks; the numbers are exact once the work that
/// they are read for has ended. Retries below the object store are not seen here.
#[derive(Debug, Default)]
pub struct CacheStats {
    gets: AtomicU64,
    heads: AtomicU64,
    puts: AtomicU64,
    copies: AtomicU64,
    parts: AtomicU64,
    deletes: AtomicU64,
    list_pages: AtomicU64,
    bytes_received: AtomicU64,
    bytes_sent: AtomicU64,
    paths_asked: AtomicU64,
    paths_listed: AtomicU64,
    pages_for_paths: AtomicU64,
}

impl CacheStats {
    /// GET requests, ranged ones and those that found nothing included.
    pub fn gets(&self) -> u64 {
        self.gets.load(Ordering::Relaxed)
    }

    /// HEAD requests.
    pub fn heads(&self) -> u64 {
        self.heads.load(Ordering::Relaxed)
    }

    /// PUT requests of whole objects.
    pub fn puts(&self) -> u64 {
        self.puts.load(Ordering::Relaxed)
    }

    /// COPY requests: of objects that the server copies by itself.
    pub fn copies(&self) -> u64 {
        self.copies.load(Ordering::Relaxed)
    }

    /// Parts of multipart uploads.
    pub fn parts(&self) -> u64 {
        self.parts.load(Ordering::Relaxed)
    }

    /// DELETE requests.
    pub fn deletes(&self) -> u64 {
        self.deletes.load(Ordering::Relaxed)
    }

    /// Pages of listings, counted as S3 does: one for every thousand keys begun.
    pub fn list_pages(&self) -> u64 {
        self.list_pages.load(Ordering::Relaxed)
    }

    /// Bytes of bodies that came in, as they were sent (compressed).
    pub fn bytes_received(&self) -> u64 {
        self.bytes_received.load(Ordering::Relaxed)
    }

    /// Bytes of bodies that went out, as they were sent (compressed).
    pub fn bytes_sent(&self) -> u64 {
        self.bytes_sent.load(Ordering::Relaxed)
    }

    /// Whether paths are there: how many were asked for one by one, how many a listing told, and the pages that it took.
    /// The cheaper of the two ways is chosen, by what the first page tells of the size of the bucket.
    pub fn presence(&self) -> Presence {
        Presence {
            asked: self.paths_asked.load(Ordering::Relaxed),
            listed: self.paths_listed.load(Ordering::Relaxed),
            pages: self.pages_for_paths.load(Ordering::Relaxed),
        }
    }

    /// All requests together.
    pub fn requests(&self) -> u64 {
        self.gets()
            + self.heads()
            + self.puts()
            + self.copies()
            + self.parts()
            + self.deletes()
            + self.list_pages()
    }

    pub(crate) fn count_get(&self) {
        self.gets.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_head(&self) {
        self.heads.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_put(&self, bytes: u64) {
        self.puts.fetch_add(1, Ordering::Relaxed);
        self.bytes_sent.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn count_copy(&self) {
        self.copies.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_part(&self, bytes: u64) {
        self.parts.fetch_add(1, Ordering::Relaxed);
        self.bytes_sent.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn count_delete(&self) {
        self.deletes.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_list_pages(&self, pages: u64) {
        self.list_pages.fetch_add(pages, Ordering::Relaxed);
    }

    pub(crate) fn count_asked(&self, paths: usize) {
        self.paths_asked.fetch_add(paths as u64, Ordering::Relaxed);
    }

    pub(crate) fn count_listed(&self, paths: usize, pages: u64) {
        self.paths_listed.fetch_add(paths as u64, Ordering::Relaxed);
        self.pages_for_paths.fetch_add(pages, Ordering::Relaxed);
    }

    pub(crate) fn count_received(&self, bytes: u64) {
        self.bytes_received.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// How it was found out which paths are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Presence {
    /// Paths that were asked for, each with a request.
    pub asked: u64,
    /// Paths of which a listing told whether they are there.
    pub listed: u64,
    /// Pages of listings, also of those that were given up after the first.
    pub pages: u64,
}

impl fmt::Display for Presence {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { asked, listed, pages } = self;
        write!(formatter, "{asked} paths asked for one by one, {listed} settled by {pages} pages of listings")
    }
}

impl fmt::Display for CacheStats {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} requests ({} GET, {} HEAD, {} PUT, {} COPY, {} parts, {} DELETE, {} LIST), {} bytes received, {} bytes sent",
            self.requests(),
            self.gets(),
            self.heads(),
            self.puts(),
            self.copies(),
            self.parts(),
            self.deletes(),
            self.list_pages(),
            self.bytes_received(),
            self.bytes_sent(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ways_to_find_paths_are_told() {
        let stats = CacheStats::default();
        stats.count_listed(990, 3);
        stats.count_asked(10);
        assert_eq!(
            stats.presence().to_string(),
            "10 paths asked for one by one, 990 settled by 3 pages of listings"
        );
    }

    #[test]
    fn the_summary_adds_up() {
        let stats = CacheStats::default();
        stats.count_get();
        stats.count_put(10);
        stats.count_part(5);
        stats.count_received(7);
        assert_eq!(stats.requests(), 3);
        assert_eq!(
            stats.to_string(),
            "3 requests (1 GET, 0 HEAD, 1 PUT, 0 COPY, 1 parts, 0 DELETE, 0 LIST), 7 bytes received, 15 bytes sent"
        );
    }
}
