//! A cache as a keeper of what builds leave.

use async_trait::async_trait;
use futures::stream::BoxStream;
use nars3_store_api::{BuildRecords, NarStream, StoreError};
use nars3_store_path::{AnyRealisation, RealisedOutput, StorePath};

use crate::BinaryCache;

#[async_trait]
impl BuildRecords for BinaryCache {
    async fn log(&self, derivation: &StorePath) -> Result<Option<NarStream>, StoreError> {
        self.build_log(derivation).await
    }

    async fn add_log(&self, derivation: &StorePath, log: NarStream) -> Result<(), StoreError> {
        self.put_build_log(derivation, log).await
    }

    async fn realised(&self, output: &RealisedOutput) -> Result<Option<AnyRealisation>, StoreError> {
        Ok(self.read_realisation(output).await?.map(|(realisation, _)| realisation))
    }

    fn realised_outputs(&self) -> BoxStream<'_, Result<RealisedOutput, StoreError>> {
        BinaryCache::realised_outputs(self)
    }

    async fn add_realised(&self, realisation: AnyRealisation) -> Result<bool, StoreError> {
        self.merge_realisation(realisation).await
    }
}
