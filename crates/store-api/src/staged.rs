//! A path between the two steps of being added: its contents are in the store, and nobody can see it yet.

use std::any::Any;
use std::fmt;

use nars3_narinfo::PathInfo;

use crate::StoreError;

/// A path whose NAR a store has taken in and verified. Only the store that staged it can publish it. Dropped
/// unpublished, whatever the store keeps for it goes with it (files), or is harmless (an object nobody names).
pub struct Staged {
    info: PathInfo,
    token: Box<dyn Any + Send>,
}

impl Staged {
    /// What a store hands out from `stage`: the path info that will be published, and the store's own memory of where
    /// the contents are.
    pub fn new<T: Any + Send>(info: PathInfo, token: T) -> Self {
        Self { info, token: Box::new(token) }
    }

    /// The path info that will be published.
    pub fn info(&self) -> &PathInfo {
        &self.info
    }

    /// The path info and the store's own memory of the path. Fails when another kind of store staged it.
    pub fn into_parts<T: Any>(self, store: &dyn fmt::Display) -> Result<(PathInfo, T), StoreError> {
        match self.token.downcast::<T>() {
            Ok(token) => Ok((self.info, *token)),
            Err(_) => Err(StoreError::Unsupported {
                store: store.to_string(),
                operation: "publish a path that another store has staged",
            }),
        }
    }
}

impl fmt::Debug for Staged {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Staged").field("info", &self.info).finish_non_exhaustive()
    }
}
