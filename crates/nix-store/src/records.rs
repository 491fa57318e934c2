//! The stores of this machine as keepers of what builds leave: logs in files, realisations in the database or behind the
//! daemon.

use std::error::Error;
use std::io;
use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use nars3_store_api::{BuildRecords, NarStream, StoreError};
use nars3_store_path::{AnyRealisation, RealisedOutput, StorePath};

use crate::database::realisations;
use crate::database::register_realisation::register_realisation;
use crate::error::corrupt_of;
use crate::logs::{self, BuildLog};
use crate::{AutoStore, DaemonError, DaemonStore, LocalStore, blocking};

const NO_REALISATIONS: &str =
    "keep realisations: its Nix was not run with the experimental feature 'ca-derivations'";

/// Whether a daemon has refused a realisation because nobody has turned the feature on. It says so in words only.
fn lacks_feature(source: &(dyn Error + 'static)) -> bool {
    let remote = source.downcast_ref::<DaemonError>();
    remote.is_some_and(
        |error| matches!(error, DaemonError::Remote(said) if said.message.contains("ca-derivations")),
    )
}

/// A log as it was written, decoded while it is read.
fn decoded(store: String, derivation: &StorePath, log: Option<BuildLog>) -> Option<NarStream> {
    let derivation = derivation.clone();
    log.map(|log| {
        NarStream::from_blocking(move |writer| {
            io::copy(&mut log.into_reader(), writer)
                .map(drop)
                .map_err(|error| corrupt_of(&store, format!("the build log of '{derivation}'"), error))
        })
    })
}

#[async_trait]
impl BuildRecords for LocalStore {
    async fn log(&self, derivation: &StorePath) -> Result<Option<NarStream>, StoreError> {
        let (layout, name) = (Arc::clone(self.layout()), derivation.clone());
        let open = move || logs::build_log(layout.log_dir(), &name);
        Ok(decoded(self.to_string(), derivation, blocking::run(self.layout(), open).await?))
    }

    async fn add_log(&self, derivation: &StorePath, log: NarStream) -> Result<(), StoreError> {
        let (layout, derivation) = (Arc::clone(self.layout()), derivation.clone());
        let write = move || logs::add_build_log(layout.log_dir(), &derivation, log);
        blocking::run(self.layout(), write).await
    }

    async fn realised(&self, output: &RealisedOutput) -> Result<Option<AnyRealisation>, StoreError> {
        Ok(match output {
            RealisedOutput::ByHash(id) => self.realisation(id).await?.map(AnyRealisation::ByHash),
            RealisedOutput::ByPath(key) => self.build_trace_entry(key).await?.map(AnyRealisation::ByPath),
        })
    }

    fn realised_outputs(&self) -> BoxStream<'_, Result<RealisedOutput, StoreError>> {
        stream::once(self.query(realisations::realised_outputs))
            .map_ok(|outputs| stream::iter(outputs.into_iter().map(Ok)))
            .try_flatten()
            .boxed()
    }

    async fn add_realised(&self, realisation: AnyRealisation) -> Result<bool, StoreError> {
        let layout = Arc::clone(self.layout());
        let register = move |transaction: &rusqlite::Transaction<'_>| {
            register_realisation(&layout, transaction, &realisation)
        };
        let added = self.transaction(register).await?;
        added.ok_or_else(|| StoreError::Unsupported { store: self.to_string(), operation: NO_REALISATIONS })
    }
}

#[async_trait]
impl BuildRecords for DaemonStore {
    async fn log(&self, derivation: &StorePath) -> Result<Option<NarStream>, StoreError> {
        Ok(decoded(self.to_string(), derivation, self.build_log(derivation).await?))
    }

    async fn add_log(&self, derivation: &StorePath, log: NarStream) -> Result<(), StoreError> {
        self.add_build_log(derivation, log).await
    }

    async fn realised(&self, output: &RealisedOutput) -> Result<Option<AnyRealisation>, StoreError> {
        Ok(match output {
            RealisedOutput::ByHash(id) => self.realisation(id).await?.map(AnyRealisation::ByHash),
            RealisedOutput::ByPath(key) => self.build_trace_entry(key).await?.map(AnyRealisation::ByPath),
        })
    }

    fn realised_outputs(&self) -> BoxStream<'_, Result<RealisedOutput, StoreError>> {
        let error = StoreError::Unsupported {
            store: self.to_string(),
            operation: "list its realisations: the worker protocol has no such request",
        };
        stream::once(async { Err(error) }).boxed()
    }

    async fn add_realised(&self, realisation: AnyRealisation) -> Result<bool, StoreError> {
        let registered = match realisation {
            AnyRealisation::ByHash(realisation) => self.register_realisation(&realisation).await,
            AnyRealisation::ByPath(entry) => self.register_build_trace_entry(&entry).await,
        };
        match registered {
            Ok(()) => Ok(true),
            Err(StoreError::Backend { store, source, .. }) if lacks_feature(source.as_ref()) => {
                Err(StoreError::Unsupported { store, operation: NO_REALISATIONS })
            }
            Err(error) => Err(error),
        }
    }
}

#[async_trait]
impl BuildRecords for AutoStore {
    async fn log(&self, derivation: &StorePath) -> Result<Option<NarStream>, StoreError> {
        self.reader.log(derivation).await
    }

    async fn add_log(&self, derivation: &StorePath, log: NarStream) -> Result<(), StoreError> {
        self.writer.add_log(derivation, log).await
    }

    async fn realised(&self, output: &RealisedOutput) -> Result<Option<AnyRealisation>, StoreError> {
        self.reader.realised(output).await
    }

    fn realised_outputs(&self) -> BoxStream<'_, Result<RealisedOutput, StoreError>> {
        self.reader.realised_outputs()
    }

    async fn add_realised(&self, realisation: AnyRealisation) -> Result<bool, StoreError> {
        self.writer.add_realised(realisation).await
    }
}
