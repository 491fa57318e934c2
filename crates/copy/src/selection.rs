//! What of a closure is left out although the destination lacks it, and why: paths that an upstream cache has, and paths
//! that nobody wants there, with all that refers to them.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use nars3_narinfo::PathInfo;
use nars3_store_api::{Store, StoreError};
use nars3_store_path::{PublicKey, StoreDir, StorePath};

use crate::CopyError;

/// A question about a path, such as whether a pattern matches it.
pub type PathPredicate = Arc<dyn Fn(&StorePath) -> bool + Send + Sync>;

/// What is left out. The default leaves out nothing.
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct Selection {
    /// Caches that the clients of the destination have as well: what one of them has is not copied. The destination has
    /// to know them, too, or it refuses paths that refer there.
    pub upstreams: Vec<Arc<dyn Store>>,
    /// Look upstream only for paths that one of these has signed; empty: for all.
    pub signed_by: Vec<Signer>,
    /// Paths that are not copied, nor anything that refers to them, unless they are at the destination already.
    pub exclude: Option<PathPredicate>,
    /// Paths that are known to be at the destination with all that they refer to: neither store is asked for them, but for
    /// the named ones the destination, which has them or is believed nothing.
    pub known: Arc<HashSet<StorePath>>,
}

impl fmt::Debug for Selection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Selection")
            .field("upstreams", &self.upstreams)
            .field("signed_by", &self.signed_by)
            .field("exclude", &self.exclude.is_some())
            .field("known", &self.known.len())
            .finish()
    }
}

/// Whose signature makes it worth looking for a path upstream.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Signer {
    /// A valid signature by this key.
    Key(Box<PublicKey>),
    /// A signature that names this key, valid or not: the upstream is asked anyway.
    Name(String),
}

impl Signer {
    fn has_signed(&self, info: &PathInfo, store_dir: &StoreDir) -> bool {
        match self {
            Self::Key(key) => {
                info.valid_signatures(store_dir, &std::iter::once(PublicKey::clone(key)).collect()) > 0
            }
            Self::Name(name) => info.signatures.iter().any(|signature| signature.key_name() == name),
        }
    }
}

/// A path that the destination lacks and that is not copied.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LeftOut {
    /// The path.
    pub path: StorePath,
    /// Why it is left out.
    pub why: Omission,
}

/// Why a path is left out.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Omission {
    /// This upstream store has it.
    Upstream {
        /// The upstream.
        store: String,
    },
    /// It was excluded.
    Excluded,
    /// It refers to a path that is left out and that nobody would have.
    RefersToExcluded {
        /// The reference.
        reference: StorePath,
    },
}

impl Selection {
    /// Takes from `missing`, which is in the order of the references, what is left out.
    pub(crate) async fn apply(
        &self,
        missing: Vec<Arc<PathInfo>>,
        store_dir: &StoreDir,
    ) -> Result<(Vec<Arc<PathInfo>>, Vec<LeftOut>), CopyError> {
        let upstream = self.upstream_paths(&missing, store_dir).await?;
        let mut gone: HashSet<StorePath> = HashSet::new();
        let mut left_out = Vec::new();
        let mut kept = Vec::new();
        for info in missing {
            let excluded = || self.exclude.as_ref().is_some_and(|matches| matches(&info.path));
            let why = if let Some(store) = upstream.get(&info.path) {
                Some(Omission::Upstream { store: store.clone() })
            } else if excluded() {
                Some(Omission::Excluded)
            } else {
                let reference = info.references.iter().find(|reference| gone.contains(*reference)).cloned();
                reference.map(|reference| Omission::RefersToExcluded { reference })
            };
            let Some(why) = why else {
                kept.push(info);
                continue;
            };
            // What an upstream has, its clients have: only the others are missing to those that refer to them.
            if !matches!(why, Omission::Upstream { .. }) {
                gone.insert(info.path.clone());
            }
            left_out.push(LeftOut { path: info.path.clone(), why });
        }
        Ok((kept, left_out))
    }

    /// Those of the paths that an upstream has, with its name. Each upstream is asked for what those before it lack.
    async fn upstream_paths(
        &self,
        missing: &[Arc<PathInfo>],
        store_dir: &StoreDir,
    ) -> Result<HashMap<StorePath, String>, CopyError> {
        let mut found = HashMap::new();
        if self.upstreams.is_empty() {
            return Ok(found);
        }
        let mut open = self.candidates(missing, store_dir).await?;
        for upstream in &self.upstreams {
            if open.is_empty() {
                break;
            }
            if upstream.store_dir() != store_dir {
                return Err(StoreError::StoreDirMismatch {
                    store: upstream.to_string(),
                    expected: store_dir.to_string(),
                    actual: upstream.store_dir().to_string(),
                }
                .into());
            }
            let there: HashSet<StorePath> = upstream.valid_paths(&open).await?.into_iter().collect();
            open.retain(|path| !there.contains(path));
            found.extend(there.into_iter().map(|path| (path, upstream.to_string())));
        }
        Ok(found)
    }

    /// The paths that it is worth looking for upstream.
    async fn candidates(
        &self,
        missing: &[Arc<PathInfo>],
        store_dir: &StoreDir,
    ) -> Result<Vec<StorePath>, CopyError> {
        if self.signed_by.is_empty() {
            return Ok(missing.iter().map(|info| info.path.clone()).collect());
        }
        let (infos, signers, store_dir) = (missing.to_vec(), self.signed_by.clone(), store_dir.clone());
        tokio::task::spawn_blocking(move || {
            let signed =
                |info: &&Arc<PathInfo>| signers.iter().any(|signer| signer.has_signed(info, &store_dir));
            infos.iter().filter(signed).map(|info| info.path.clone()).collect()
        })
        .await
        .map_err(|error| CopyError::TaskDied { reason: error.to_string() })
    }
}
