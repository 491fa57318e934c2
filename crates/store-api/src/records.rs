//! What builds leave in a store beside the paths.

use async_trait::async_trait;
use futures::stream::BoxStream;
use nars3_store_path::{AnyRealisation, RealisedOutput, StorePath};

use crate::{NarStream, Store, StoreError};

/// A store that keeps the logs of builds, and what the outputs of content-addressed derivations turned out to be. Every
/// Nix store may have some of either.
#[async_trait]
pub trait BuildRecords: Store {
    /// The log of the build of `derivation`, decoded, as a stream of its bytes; `None` where there is none. Logs have any
    /// size.
    async fn log(&self, derivation: &StorePath) -> Result<Option<NarStream>, StoreError>;

    /// Keeps the log of the build of `derivation`.
    async fn add_log(&self, derivation: &StorePath, log: NarStream) -> Result<(), StoreError>;

    /// What an output turned out to be; `None` where that is not known, or where the store knows outputs only in the other
    /// form.
    async fn realised(&self, output: &RealisedOutput) -> Result<Option<AnyRealisation>, StoreError>;

    /// All outputs of which that is known, in no particular order.
    fn realised_outputs(&self) -> BoxStream<'_, Result<RealisedOutput, StoreError>>;

    /// Keeps what an output turned out to be. Of one that is known already, the signatures come together; but one that is
    /// known as something else stays, and that is an error. Its path must be valid. True if it, or a signature, was new,
    /// as far as the store tells.
    async fn add_realised(&self, realisation: AnyRealisation) -> Result<bool, StoreError>;
}
