//! `nars3-binary-cache` is the semantics of a Nix binary cache over any object store: which objects a path becomes, in
//! which order they are written, and what must hold before one of them is believed. Keys, headers and bytes are those of
//! Nix 2.29, so that Nix and this crate can share a bucket or a directory.
//!
//! ```
//! use std::sync::Arc;
//! use nars3_binary_cache::{BinaryCache, BinaryCacheOptions};
//! use nars3_narinfo::PathInfo;
//! use nars3_store_api::{NarStream, StageOptions, Store};
//! use nars3_store_path::{Algorithm, Hash, StorePath};
//! use object_store::memory::InMemory;
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! let objects = Arc::new(InMemory::new());
//! let cache = BinaryCache::open(objects, BinaryCacheOptions::new("s3://example-nix-cache")).await?;
//!
//! // Adding a path takes two steps: its NAR travels and is verified, then its narinfo makes it visible.
//! let nar = b"nix-archive-1, and so on";
//! let path = StorePath::from_base_name("0a3yijp35sygmy51cnrrz11vimwapz7c-example")?;
//! let info = PathInfo::new(path.clone(), Hash::digest(Algorithm::Sha256, nar), nar.len() as u64);
//! let (mut sender, stream) = NarStream::channel();
//! sender.send(nar.as_slice().into()).await?;
//! sender.finish().await;
//! let staged = cache.stage(info, stream, StageOptions::default()).await?;
//! cache.publish(vec![staged]).await?;
//!
//! let info = cache.path_info(&path).await?.ok_or("it was just added")?;
//! let mut nar = cache.nar(&info).await?;
//! while let Some(chunk) = nar.next().await? {
//!     println!("{} bytes", chunk.len());
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What holds
//!
//! - A narinfo is written only after its NAR is complete and has the NarHash and NarSize that were promised, and after
//!   each of its references is in the cache or in an upstream that was named. Interrupted anywhere, a push leaves at most
//!   objects that nobody names.
//! - Opening a cache writes nothing. The first path that is published brings `nix-cache-info`.
//! - What comes out of the cache is checked against FileSize and FileHash, where the narinfo has them, and against NarHash
//!   and NarSize always: a NAR with a wrong bit ends in an error, never in a complete stream.
//! - A narinfo is about the path that its key names, and its `URL` leads to an object of the same cache, or at least of the
//!   same web server, or it is refused.
//! - No NAR is in memory as a whole. What is held is bounded by `Limits`, shared by all paths in flight, whatever is
//!   stored. Hashing and compression run on the blocking pool, or on a few threads where they take much memory.
//! - Conditional writes settle races: of two writers of one path the first wins, and the signatures of both stay. Stores
//!   without conditional writes or without headers (files) are found out by their answers and served as well as they can:
//!   a directory of this machine is locked, a web server is told the condition and asked first.
//! - What this process knows to be present is remembered, absence is not. Readers may be answered from a file that outlives
//!   the process (`PathInfoCache`), absence included; a push never is.
//! - Access denied means "no such object" where S3 tells nobody what is not there, that is without `s3:ListBucket`, and is told
//!   once as a warning. Elsewhere it is an error, and so are rejected credentials, and access denied to what a listing has just given.
//!
//! # Beyond the `Store` trait
//!
//! `BinaryCache` has what only caches have: `listing` and `open_file` to look into a path with as few bytes as possible,
//! `build_log`, `realisation` and `build_trace` with their `put_` counterparts, `debug_info`, `add_signatures`,
//! `initialise`, `delete`, `verify`, and `stats`, which counts requests and bytes.
//!
//! # Modules
//!
//! | module | job |
//! |---|---|
//! | `cache` | opening, and the face as a `Store` |
//! | `options` | how a cache is opened, and the limits |
//! | `presence` | which paths are there: narinfos, or a listing where it is cheaper |
//! | `known` | what this process knows to be there |
//! | `path_info_cache` | what earlier processes knew, on disk, for readers only |
//! | `take`, `incoming`, `compress`, `spool` | a NAR on its way in |
//! | `take_stored` | a large NAR that is kept as it is: its parts go out while it is read |
//! | `publish`, `signatures` | references, signatures, the narinfo |
//! | `send`, `location`, `place`, `unpack` | a NAR on its way out |
//! | `web` | what a cache needs of a web server beyond an object store |
//! | `send_file`, `take_file` | the same file on its way to another cache, never compressed again |
//! | `server_copy` | the same file, copied by the server that holds both caches |
//! | `files`, `seek`, `local_nars` | single files and listings |
//! | `debug_info`, `logs`, `realisations`, `records` | the other objects of a cache |
//! | `graph`, `delete`, `verify` | what needs all narinfos |
//! | `objects` | the object store with the manners of a cache: keys, headers, conditions, parts, resumption |
//! | `budget`, `stats` | shared memory, and the count of what was done |
//! | `rate` | a bound on bytes a second, around any object store |

mod budget;
mod cache;
mod compress;
mod debug_info;
mod delete;
mod files;
mod graph;
mod incoming;
mod known;
mod local_nars;
mod location;
mod logs;
mod objects;
mod options;
mod path_info_cache;
mod place;
mod presence;
mod publish;
mod rate;
mod realisations;
mod records;
mod seek;
mod send;
mod send_file;
mod server_copy;
mod signatures;
mod spool;
mod stats;
mod take;
mod take_file;
mod take_stored;
mod unpack;
mod verify;
mod web;

pub use cache::BinaryCache;
pub use delete::{DeleteOptions, Deletion};
pub use files::{FileError, OpenedFile};
pub use location::Elsewhere;
pub use objects::{OpenUpload, OpenUploads, UploadLimit};
pub use options::{BinaryCacheOptions, Limits, ListingOrder};
pub use path_info_cache::{Lifetimes, PathInfoCache, PathInfoCacheError, Remembered};
pub use rate::RateLimit;
pub use server_copy::{FileCopier, ServerCopies};
pub use stats::{CacheStats, Presence};
pub use take::UnreadableEncoding;
pub use verify::{Finding, VerifyOptions, VerifyReport};
pub use web::{FileToSend, WebPlace, WebServer};
