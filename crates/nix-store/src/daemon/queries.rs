//! What only a `DaemonStore` answers, and what only it takes.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use nars3_store_api::{NarStream, Store, StoreError};
use nars3_store_path::{BuildTraceEntry, BuildTraceKey, DrvOutput, Realisation, StorePath};

use super::DaemonStore;
use crate::logs::{self, BuildLog};

/// What a daemon would have to do so that some paths were valid.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Missing {
    /// Derivations that would have to be built.
    pub will_build: BTreeSet<StorePath>,
    /// Paths that its substituters have.
    pub will_substitute: BTreeSet<StorePath>,
    /// Paths that nobody has.
    pub unknown: BTreeSet<StorePath>,
    /// Bytes that its substituters would send, compressed.
    pub download_size: u64,
    /// The sum of NarSize of what they would send, in bytes.
    pub nar_size: u64,
}

impl DaemonStore {
    /// The valid ones of `roots`, and everything that they lead to by references. Needs as many rounds of questions as
    /// the longest way has steps: the protocol has no question for a closure.
    ///
    /// # Errors
    ///
    /// When the daemon refuses or goes away. So for all that follow.
    pub async fn closure(&self, roots: &[StorePath]) -> Result<BTreeSet<StorePath>, StoreError> {
        let mut seen: HashSet<StorePath> = roots.iter().cloned().collect();
        let mut round: Vec<StorePath> = seen.iter().cloned().collect();
        let mut closure = BTreeSet::new();
        while !round.is_empty() {
            let infos = self.path_infos(&round).await?;
            round.clear();
            for (path, info) in infos {
                round.extend(info.references.iter().filter(|path| seen.insert((*path).clone())).cloned());
                closure.insert(path);
            }
        }
        Ok(closure)
    }

    /// What the daemon would have to build or fetch so that `paths` were valid.
    ///
    /// # Errors
    ///
    /// As `closure`.
    pub async fn missing(&self, paths: &[StorePath]) -> Result<Missing, StoreError> {
        let paths = paths.to_vec();
        self.request("ask what is missing", move |connection| connection.missing(&paths)).await
    }

    /// Lets the daemon fetch those of `paths` that its substituters have. Answers those that are valid afterwards. A
    /// daemon older than Nix 2.4 fetches nothing.
    ///
    /// # Errors
    ///
    /// As `closure`.
    pub async fn substitute(&self, paths: &[StorePath]) -> Result<Vec<StorePath>, StoreError> {
        let paths = paths.to_vec();
        self.request("substitute paths", move |connection| {
            let valid = connection.valid_paths(&paths, true)?;
            Ok(paths.into_iter().filter(|path| valid.contains(path)).collect())
        })
        .await
    }

    /// The valid paths that refer to `path`, itself included where it does.
    ///
    /// # Errors
    ///
    /// As `closure`.
    pub async fn referrers(&self, path: &StorePath) -> Result<BTreeSet<StorePath>, StoreError> {
        let path = path.clone();
        self.request("query referrers", move |connection| connection.referrers(&path)).await
    }

    /// The valid derivations that name `path` as one of their outputs.
    ///
    /// # Errors
    ///
    /// As `closure`.
    pub async fn valid_derivers(&self, path: &StorePath) -> Result<BTreeSet<StorePath>, StoreError> {
        let path = path.clone();
        self.request("query derivers", move |connection| connection.valid_derivers(&path)).await
    }

    /// The outputs of a valid derivation by their names, valid or not.
    ///
    /// # Errors
    ///
    /// As `closure`, and `StoreError::Unsupported` where the daemon is older than Nix 2.4.
    pub async fn derivation_outputs(
        &self,
        derivation: &StorePath,
    ) -> Result<BTreeMap<String, StorePath>, StoreError> {
        let derivation = derivation.clone();
        let outputs = self
            .request("query outputs", move |connection| connection.derivation_outputs(&derivation))
            .await?;
        outputs.ok_or_else(|| self.unsupported("tell the outputs of a derivation"))
    }

    /// What the output of a content-addressed derivation turned out to be, as Nix 2.4 to 2.34 names it. A daemon that
    /// uses the newer form knows none.
    ///
    /// # Errors
    ///
    /// As `closure`.
    pub async fn realisation(&self, id: &DrvOutput) -> Result<Option<Realisation>, StoreError> {
        let id = id.clone();
        self.request("query a realisation", move |connection| connection.realisation(&id)).await
    }

    /// What the output of a content-addressed derivation turned out to be, as Nix names it since 2.35. A daemon that
    /// uses the older form knows none.
    ///
    /// # Errors
    ///
    /// As `closure`.
    pub async fn build_trace_entry(
        &self,
        key: &BuildTraceKey,
    ) -> Result<Option<BuildTraceEntry>, StoreError> {
        let key = key.clone();
        self.request("query a realisation", move |connection| connection.build_trace_entry(&key)).await
    }

    /// Registers a realisation. The output must be valid; the daemon asks for signatures where it asks for those of
    /// paths.
    ///
    /// # Errors
    ///
    /// As `closure`, and `StoreError::Unsupported` where the daemon uses the newer form, or is older than Nix 2.4.
    pub async fn register_realisation(&self, realisation: &Realisation) -> Result<(), StoreError> {
        let realisation = realisation.clone();
        let known = self
            .request("register a realisation", move |connection| {
                connection.register_realisation(&realisation)
            })
            .await?;
        if known { Ok(()) } else { Err(self.unsupported("take realisations of the form of Nix 2.4 to 2.34")) }
    }

    /// As `register_realisation`, in the form since Nix 2.35.
    ///
    /// # Errors
    ///
    /// As `closure`, and `StoreError::Unsupported` where the daemon uses the older form.
    pub async fn register_build_trace_entry(&self, entry: &BuildTraceEntry) -> Result<(), StoreError> {
        let entry = entry.clone();
        let known = self
            .request("register a realisation", move |connection| {
                connection.register_build_trace_entry(&entry)
            })
            .await?;
        if known { Ok(()) } else { Err(self.unsupported("take realisations of the form since Nix 2.35")) }
    }

    /// The log of the build of `derivation`, read from the daemon's log directory; `None` where there is none.
    ///
    /// # Errors
    ///
    /// When there is one that cannot be read.
    pub async fn build_log(&self, derivation: &StorePath) -> Result<Option<BuildLog>, StoreError> {
        let derivation = derivation.clone();
        self.blocking(move |shared, _wanted| logs::build_log(&shared.options.log_dir, &derivation)).await
    }

    /// Gives the daemon the log of the build of `derivation`, uncompressed.
    ///
    /// # Errors
    ///
    /// As `closure`: it takes logs only from those whom it trusts. `StoreError::Unsupported` where it is older than
    /// Nix 2.5.
    pub async fn add_build_log(&self, derivation: &StorePath, log: NarStream) -> Result<(), StoreError> {
        let derivation = derivation.clone();
        let unsupported = self.unsupported("take build logs");
        self.blocking(move |shared, wanted| {
            let mut log = logs::spooled(log)?;
            let added = shared.pool.run(wanted, |connection| {
                if !connection.takes_many() {
                    return Ok(super::connection::Outcome::Clean(Err(unsupported)));
                }
                connection.add_build_log(&derivation, &mut log)
            });
            added.map_err(|error| super::shared::failed(shared, "add a build log", error))?
        })
        .await
    }

    fn unsupported(&self, operation: &'static str) -> StoreError {
        StoreError::Unsupported { store: self.to_string(), operation }
    }
}
