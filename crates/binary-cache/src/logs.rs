//! Build logs: one object for each derivation, of any size.

use std::io;

use nars3_store_api::{NarStream, Store, StoreError};
use nars3_store_path::StorePath;

use crate::BinaryCache;
use crate::objects::{Kind, undo_encoding};
use crate::spool::Spool;

impl BinaryCache {
    /// The log of the build of `path`, decoded, as a stream of its bytes: of a derivation, or of an output whose deriver the
    /// cache knows. `None` when there is none.
    ///
    /// # Errors
    /// `Corrupt`, here or in the stream, for a log of an encoding that is not known or that is damaged.
    pub async fn build_log(&self, path: &StorePath) -> Result<Option<NarStream>, StoreError> {
        let derivation = if path.is_derivation() {
            path.clone()
        } else {
            match self.path_info(path).await?.and_then(|info| info.deriver.clone()) {
                Some(deriver) => deriver,
                None => return Ok(None),
            }
        };
        let key = log_key(&derivation);
        let Some(download) = self.objects.download(&key, None).await? else { return Ok(None) };
        let objects = std::sync::Arc::clone(&self.objects);
        Ok(Some(NarStream::from_blocking(move |writer| {
            let mut log = undo_encoding(&download.encoding, download.body)
                .map_err(|error| objects.corrupt(&key, error))?;
            io::copy(&mut log, writer).map(drop).map_err(|error| objects.unreadable(&key, error))
        })))
    }

    /// Stores the log of the build of a derivation, replacing one that is there (Nix 2.29 `addBuildLog`).
    pub async fn put_build_log(&self, derivation: &StorePath, mut log: NarStream) -> Result<(), StoreError> {
        if !derivation.is_derivation() {
            return Err(self.objects.failed(
                format!("store the log of '{derivation}'"),
                "logs belong to derivations, whose names end in '.drv'",
            ));
        }
        self.ensure_readable_encodings()?;
        self.announce().await?;
        let key = log_key(derivation);
        let failed = |error: io::Error| self.objects.failed(format!("keep '{key}' for a moment"), error);
        let mut spool = self.log_spool();
        let keeping = move || {
            while let Some(chunk) = log.blocking_next()? {
                if let Err(error) = io::Write::write_all(&mut spool, &chunk) {
                    return Ok(Err(error));
                }
            }
            Ok(Ok(spool.finish().source))
        };
        let kept = tokio::task::spawn_blocking(keeping).await.map_err(|error| failed(error.into()))?;
        let source = kept?.map_err(failed)?;
        self.objects.put_spooled(&key, source, Kind::Log, self.log_spool()).await
    }

    fn log_spool(&self) -> Spool {
        let limits = self.objects.limits();
        Spool::new(limits.spool_memory, limits.spool_directory.clone()).at_most(limits.spool_space).unhashed()
    }
}

fn log_key(derivation: &StorePath) -> String {
    format!("log/{derivation}")
}
