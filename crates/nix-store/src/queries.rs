//! The queries that only a local store answers: about one path, and about thousands at once.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::Hash;

use nars3_store_api::StoreError;
use nars3_store_path::{BuildTraceEntry, BuildTraceKey, DrvOutput, Realisation, StorePath};

use crate::LocalStore;
use crate::database::{derivation_outputs, realisations, references};

impl LocalStore {
    /// The valid ones of `roots`, and everything that they lead to by references, in one query.
    ///
    /// # Errors
    ///
    /// When the database cannot be read. So for all that follow.
    pub async fn closure(&self, roots: &[StorePath]) -> Result<BTreeSet<StorePath>, StoreError> {
        let roots = roots.to_vec();
        self.query(move |layout, connection| references::closure(layout, connection, &roots)).await
    }

    /// The valid paths that refer to `path`, itself included where it does.
    ///
    /// # Errors
    ///
    /// As `closure`.
    pub async fn referrers(&self, path: &StorePath) -> Result<BTreeSet<StorePath>, StoreError> {
        Ok(only(self.referrers_of(std::slice::from_ref(path)).await?))
    }

    /// The valid paths that refer to each of `paths`, itself included where it does. Paths that nobody refers to are
    /// left out.
    ///
    /// # Errors
    ///
    /// As `closure`.
    pub async fn referrers_of(
        &self,
        paths: &[StorePath],
    ) -> Result<HashMap<StorePath, BTreeSet<StorePath>>, StoreError> {
        let paths = paths.to_vec();
        self.query(move |layout, connection| references::referrers(layout, connection, &paths)).await
    }

    /// The valid derivations that name `path` as one of their outputs. (The derivation that it was really built from
    /// is in its path info.)
    ///
    /// # Errors
    ///
    /// As `closure`.
    pub async fn valid_derivers(&self, path: &StorePath) -> Result<BTreeSet<StorePath>, StoreError> {
        Ok(only(self.valid_derivers_of(std::slice::from_ref(path)).await?))
    }

    /// The valid derivations that name each of `paths` as one of their outputs. Paths that none names are left out.
    ///
    /// # Errors
    ///
    /// As `closure`.
    pub async fn valid_derivers_of(
        &self,
        paths: &[StorePath],
    ) -> Result<HashMap<StorePath, BTreeSet<StorePath>>, StoreError> {
        let paths = paths.to_vec();
        self.query(move |layout, connection| references::valid_derivers(layout, connection, &paths)).await
    }

    /// The outputs of a valid derivation by their names, valid or not. Outputs whose path depends on their contents
    /// are left out.
    ///
    /// # Errors
    ///
    /// As `closure`.
    pub async fn derivation_outputs(
        &self,
        derivation: &StorePath,
    ) -> Result<BTreeMap<String, StorePath>, StoreError> {
        Ok(only(self.derivation_outputs_of(std::slice::from_ref(derivation)).await?))
    }

    /// The outputs of each of the valid ones of `derivations`, as `derivation_outputs` gives them. Those without are
    /// left out.
    ///
    /// # Errors
    ///
    /// As `closure`.
    pub async fn derivation_outputs_of(
        &self,
        derivations: &[StorePath],
    ) -> Result<HashMap<StorePath, BTreeMap<String, StorePath>>, StoreError> {
        let derivations = derivations.to_vec();
        self.query(move |layout, connection| derivation_outputs::outputs(layout, connection, &derivations))
            .await
    }

    /// What the output of a content-addressed derivation turned out to be, as Nix 2.4 to 2.34 records it.
    ///
    /// # Errors
    ///
    /// As `closure`.
    pub async fn realisation(&self, id: &DrvOutput) -> Result<Option<Realisation>, StoreError> {
        Ok(self.realisations(std::slice::from_ref(id)).await?.remove(id))
    }

    /// What each of the outputs `ids` turned out to be, as Nix 2.4 to 2.34 records it.
    ///
    /// # Errors
    ///
    /// As `closure`.
    pub async fn realisations(
        &self,
        ids: &[DrvOutput],
    ) -> Result<HashMap<DrvOutput, Realisation>, StoreError> {
        let ids = ids.to_vec();
        self.query(move |layout, connection| realisations::realisations(layout, connection, &ids)).await
    }

    /// What the output of a content-addressed derivation turned out to be, as Nix records it since 2.35.
    ///
    /// # Errors
    ///
    /// As `closure`.
    pub async fn build_trace_entry(
        &self,
        key: &BuildTraceKey,
    ) -> Result<Option<BuildTraceEntry>, StoreError> {
        Ok(self.build_trace_entries(std::slice::from_ref(key)).await?.remove(key))
    }

    /// What each of the outputs at `keys` turned out to be, as Nix records it since 2.35.
    ///
    /// # Errors
    ///
    /// As `closure`.
    pub async fn build_trace_entries(
        &self,
        keys: &[BuildTraceKey],
    ) -> Result<HashMap<BuildTraceKey, BuildTraceEntry>, StoreError> {
        let keys = keys.to_vec();
        self.query(move |layout, connection| realisations::build_trace_entries(layout, connection, &keys))
            .await
    }
}

/// The answer to a question about one.
fn only<K: Hash + Eq, V: Default>(answer: HashMap<K, V>) -> V {
    answer.into_values().next().unwrap_or_default()
}
