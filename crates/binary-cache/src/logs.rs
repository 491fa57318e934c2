//! Build logs: one object for each derivation.

use bytes::Bytes;
use nars3_store_api::{Store, StoreError};
use nars3_store_path::StorePath;

use crate::BinaryCache;
use crate::objects::{Kind, Mode};

impl BinaryCache {
    /// The log of the build of `path`, decoded: a derivation, or an output whose deriver the cache knows. `None` when
    /// there is none.
    ///
    /// # Errors
    /// `Corrupt` for a log larger than `Limits::document_size`, or of an encoding that is not known.
    pub async fn build_log(&self, path: &StorePath) -> Result<Option<Bytes>, StoreError> {
        let derivation = if path.is_derivation() {
            path.clone()
        } else {
            match self.path_info(path).await?.and_then(|info| info.deriver.clone()) {
                Some(deriver) => deriver,
                None => return Ok(None),
            }
        };
        let document =
            self.objects.document(&log_key(&derivation), self.objects.limits().document_size).await?;
        Ok(document.map(|document| document.body))
    }

    /// Stores the log of the build of a derivation, replacing one that is there (Nix 2.29 `addBuildLog`).
    pub async fn put_build_log(&self, derivation: &StorePath, log: Bytes) -> Result<(), StoreError> {
        if !derivation.is_derivation() {
            return Err(self.objects.failed(
                format!("store the log of '{derivation}'"),
                "logs belong to derivations, whose names end in '.drv'",
            ));
        }
        self.ensure_readable_encodings()?;
        self.announce().await?;
        self.objects.put_document(&log_key(derivation), log, Kind::Log, Mode::Always).await.map(|_| ())
    }
}

fn log_key(derivation: &StorePath) -> String {
    format!("log/{derivation}")
}
