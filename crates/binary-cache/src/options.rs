//! How a cache is to be opened.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use nars3_narinfo::CacheInfo;
use nars3_store_api::{NoProgress, Progress, Store};
use nars3_store_path::{SecretKey, StoreDir};
use nars3_store_url::{CacheSettings, HeaderSettings};

use crate::ServerCopies;
use crate::location::Elsewhere;
use crate::objects::OpenUploads;
use crate::path_info_cache::Remembered;
use crate::web::WebServer;

const MIB: u64 = 1024 * 1024;

/// Everything that opening a cache needs beside the objects themselves. `new` gives the defaults; fields are public.
#[derive(Debug)]
pub struct BinaryCacheOptions {
    /// The URL of the cache without credentials: messages print it, and an absolute `URL` in a narinfo must lie
    /// under it, or on the same web server.
    pub uri: String,
    /// The store directory that the cache must be for.
    pub store_dir: StoreDir,
    /// What the user says of mass queries and the priority: it wins over the cache's own `nix-cache-info`, and a cache that is
    /// created by the first write gets it. (The store directory is `store_dir`.)
    pub info: CacheInfo,
    /// How files are written: compression, listings, encodings.
    pub cache: CacheSettings,
    /// Headers that replace or add to those of each kind of object.
    pub headers: HeaderSettings,
    /// Keys that sign what is published, in the order given.
    pub secret_keys: Vec<SecretKey>,
    /// Is told of bytes sent and received, and of warnings.
    pub progress: Arc<dyn Progress>,
    /// Stores whose valid paths may be referred to from this cache although they are not in it.
    pub upstreams: Vec<Arc<dyn Store>>,
    /// Another cache on the same server, whose files need not come here to be copied.
    pub server_copies: Option<ServerCopies>,
    /// Path infos remembered in memory (Nix: `path-info-cache-size`).
    pub path_info_cache_size: usize,
    /// Path infos remembered on disk, from one process to the next.
    pub remembered: Option<Remembered>,
    /// Opens what lies on other servers, where the `URL` of a narinfo leads there. Without it such a narinfo is refused.
    pub elsewhere: Option<Arc<dyn Elsewhere>>,
    /// The web server that the object store is on, if it is on one.
    pub web: Option<Arc<dyn WebServer>>,
    /// The directory that the object store is, if it is one of this machine: whoever changes a narinfo there locks it.
    pub locked: Option<PathBuf>,
    /// The directory that the object store is, if it is one of this machine: its files are then read there, which is
    /// faster. Without it, all bytes pass through the object store.
    pub directory: Option<PathBuf>,
    /// What a listing of the object store is like.
    pub listing: ListingOrder,
    /// Write documents with a Content-Encoding that newer Nix cannot read (`xz`, `bzip2`).
    pub force_encodings: bool,
    /// Bounds on memory and on simultaneous work.
    pub limits: Limits,
    /// Counts the uploads in parts that are open, for whoever ends the program.
    pub open_uploads: OpenUploads,
}

impl BinaryCacheOptions {
    /// The defaults for the cache at `uri`.
    pub fn new(uri: impl Into<String>) -> Self {
        Self {
            uri: uri.into(),
            store_dir: StoreDir::default(),
            info: CacheInfo::default(),
            cache: CacheSettings::default(),
            headers: HeaderSettings::default(),
            secret_keys: Vec::new(),
            progress: Arc::new(NoProgress),
            upstreams: Vec::new(),
            server_copies: None,
            path_info_cache_size: 65_536,
            remembered: None,
            elsewhere: None,
            web: None,
            locked: None,
            directory: None,
            listing: ListingOrder::Unordered,
            force_encodings: false,
            limits: Limits::default(),
            open_uploads: OpenUploads::default(),
        }
    }
}

impl Default for BinaryCacheOptions {
    fn default() -> Self {
        Self::new("cache")
    }
}

/// The order in which an object store lists its keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum ListingOrder {
    /// Any order, all at once, as a directory of files does. Safe for every object store.
    #[default]
    Unordered,
    /// Ascending by the bytes of the key, page by page, and from any key on, as S3 does (its directory buckets
    /// excepted). Listings then stream, skip the folders, and may answer for many paths at once.
    Ascending,
}

/// Bounds that hold whatever is stored or asked for. Memory in bytes.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Memory for compressors and for the compressed files they fill, all paths together. A compression level that takes
    /// more is lowered, with a warning.
    pub compression_memory: u64,
    /// Memory for parts and files on their way out from a temporary file, all paths together.
    pub upload_memory: u64,
    /// A compressed file up to this size stays in memory; beyond, it moves to a temporary file.
    pub spool_memory: u64,
    /// Where temporary files are made; the system's directory for them when `None`.
    pub spool_directory: Option<PathBuf>,
    /// The most that all temporary files may take together; any size when `None`. A compressed file that would need more
    /// for itself alone is an error.
    pub spool_space: Option<u64>,
    /// Files from this size on are uploaded in parts.
    pub multipart_threshold: u64,
    /// The size of a part. Grows with files that would need more than 10,000 parts.
    pub part_size: u64,
    /// Parts of one file on their way at once.
    pub concurrent_parts: usize,
    /// Requests for small objects on their way at once, where the server is far away. One that lets them wait gets fewer.
    pub concurrent_requests: usize,
    /// A long listing whose first page takes longer than this is read in several places at once; with zero, any is. A server
    /// next door is busy for longer than it is waited for, and gains nothing by it.
    pub listing_patience: Duration,
    /// NARs that are read at once, each on a thread of the blocking pool.
    pub concurrent_nars: usize,
    /// Memory for decompressors, all NARs that are read together. Counted as the methods' default levels need it; a
    /// single file may ask for more, up to the decompressor's own limit of 256 MiB.
    pub decompression_memory: u64,
    /// The largest narinfo that is believed, decoded.
    pub narinfo_size: u64,
    /// The largest listing, log or other document that is held in memory, decoded.
    pub document_size: u64,
    /// Attempts to go on with a body that broke off, without a byte of progress. 0 for an object store that has made its
    /// own before it reports an error.
    pub body_attempts: u32,
}

impl Limits {
    /// The least that `within` works with, in bytes: a zstd compressor with its frames takes more than half of it.
    pub const LEAST_MEMORY: u64 = 96 * MIB;

    /// The same limits, with all memory together within `memory` bytes, or `LEAST_MEMORY` if that is more.
    #[must_use]
    pub fn within(mut self, memory: u64) -> Self {
        let memory = memory.max(Self::LEAST_MEMORY);
        // Sixteenths. A part that is on its way and one that is being filled have to fit, and compressing wants the most.
        self.compression_memory = memory / 16 * 10;
        self.upload_memory = memory / 16 * 3;
        self.decompression_memory = memory / 16 * 3;
        self.spool_memory = self.spool_memory.min(self.compression_memory / 8);
        self.part_size = self.part_size.min((self.upload_memory / 2).max(5 * MIB));
        self.multipart_threshold = self.multipart_threshold.min(self.part_size);
        self.document_size = self.document_size.min(memory);
        self
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            compression_memory: 128 * MIB,
            upload_memory: 48 * MIB,
            spool_memory: 8 * MIB,
            spool_directory: None,
            spool_space: None,
            multipart_threshold: 8 * MIB,
            part_size: 8 * MIB,
            concurrent_parts: 4,
            concurrent_requests: 256,
            listing_patience: Duration::from_millis(50),
            concurrent_nars: 256,
            decompression_memory: 128 * MIB,
            narinfo_size: 8 * MIB,
            document_size: 64 * MIB,
            body_attempts: 5,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_bounds_all_memory_together() {
        for memory in [Limits::LEAST_MEMORY, 200 * MIB, 1024 * MIB] {
            let limits = Limits::default().within(memory);
            let all = limits.compression_memory + limits.upload_memory + limits.decompression_memory;
            assert!(all <= memory, "{all} of {memory}");
            assert!(limits.spool_memory < limits.compression_memory);
        }
    }
}
