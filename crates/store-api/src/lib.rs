//! What every Nix store looks like to the copy engine: the `Store` trait, the stream a NAR travels in, the errors a
//! store may answer with, the `Progress` observer, and the few threads that stores do small work on. It holds no store
//! and does no I/O of its own, so a store and the engine that drives it can be built, tested and replaced apart from
//! each other.
//!
//! ```
//! use nars3_store_api::{NarStream, StoreError};
//!
//! # async fn example() -> Result<(), StoreError> {
//! // A producer, usually on the blocking pool, writes; the consumer sees the end only if the producer declared it.
//! let (mut sender, mut nar) = NarStream::channel();
//! tokio::spawn(async move {
//!     if sender.send(b"nix-archive-1".as_slice().into()).await.is_ok() {
//!         sender.finish().await;
//!     }
//! });
//! while let Some(chunk) = nar.next().await? {
//!     println!("{} bytes", chunk.len());
//! }
//! # Ok(())
//! # }
//! ```
//!
//! | module | job |
//! |---|---|
//! | `store` | the `Store` trait and what a store says about how it wants to be written |
//! | `records` | what builds leave beside the paths: logs and realisations |
//! | `nar_stream` | a NAR on its way: bounded, and never mistaken for complete when its producer died |
//! | `pace` | how fast a NAR may pass |
//! | `packed` | the same inside a compressed file, from cache to cache |
//! | `staged` | a path whose NAR a store has taken in, and which nobody can see yet |
//! | `progress` | the observer that tells a person, a log or a test what is going on |
//! | `work` | how much of its time a stage of a copy was busy, and what it waited for |
//! | `workers` | a few threads for work of one kind |
//! | `error` | what can go wrong, with the facts in fields |

mod error;
mod nar_stream;
mod pace;
mod packed;
mod progress;
mod records;
mod staged;
mod store;
mod work;
mod workers;

pub use error::{BoxError, StoreError};
pub use nar_stream::{CHUNK_SIZE, Inspector, NarReader, NarSender, NarStream, NarWriter};
pub use pace::Pace;
pub use packed::{PackedFile, PackedFiles, PackedNar};
pub use progress::{Event, NoProgress, Progress};
pub use records::BuildRecords;
pub use staged::Staged;
pub use store::{NarOrder, Publication, StageOptions, Store, WriteBehaviour};
pub use work::{Stage, Work};
pub use workers::{Workers, cores};
