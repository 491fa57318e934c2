//! Making a path visible: its references first, then its signed narinfo.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use nars3_narinfo::{CACHE_INFO_KEY, CacheInfo, NarInfo, PathInfo};
use nars3_store_api::{Staged, StoreError};
use nars3_store_path::StorePath;

use crate::BinaryCache;
use crate::known::Entry;
use crate::objects::{Kind, Mode, Written};
use crate::signatures::ensure_readable;
use crate::take::StagedFile;

/// Attempts to get a conditional write through. Each failure means that somebody else's succeeded, or is under way.
pub(crate) const ATTEMPTS: u32 = 20;

/// The wait after the first failure; it grows by as much with each. S3 refuses writes that meet another one on its
/// way, which takes some tens of milliseconds to end.
pub(crate) const PAUSE: Duration = Duration::from_millis(10);

impl BinaryCache {
    /// Writes the narinfo of a staged path, and what goes beside its NAR.
    ///
    /// A narinfo that is there already is kept unless the path was staged to repair it: whoever wrote it published the
    /// same path, and only the signatures that it lacks are added. A repair keeps the signatures of one that says the same
    /// of the contents.
    ///
    /// As in Nix, the listing comes right before the narinfo, so that whoever sees the path finds it. It is not
    /// written when the path is there with another NAR. Another NAR may still come between the two writes; then the
    /// listing is deleted again, as it may have replaced the right one, and readers do without. A repair
    /// that brings another NAR and no listing of it deletes that of the NAR before.
    pub(crate) async fn publish_one(&self, staged: Staged) -> Result<(), StoreError> {
        let (info, file) = staged.into_parts::<StagedFile>(self)?;
        self.ensure_references(&info).await?;
        let mut narinfo = NarInfo::new(self.signed(info)?, file.key.clone(), file.compression.clone());
        narinfo.file_hash = Some(file.hash);
        narinfo.file_size = Some(file.size);
        self.announce().await?;
        let key = narinfo.key();
        ensure_readable(narinfo.info.signatures.len())
            .map_err(|error| self.objects.failed(format!("write '{key}'"), error))?;
        for attempt in 1..=ATTEMPTS {
            if !file.beside.is_empty() {
                if !file.replace
                    && let Some(kept) = self.join(&narinfo.info).await?
                {
                    return self.complete(&kept, &narinfo.info, &file).await;
                }
                self.put_listing(&narinfo.info.path, &file.beside).await?;
                self.put_debug_info(&file.beside).await?;
            }
            let mut mode = Mode::IfAbsent;
            if file.replace {
                let is_other;
                (mode, is_other) = self.replacement(&mut narinfo).await?;
                if is_other && !file.beside.has_listing() {
                    self.delete_listing(&narinfo.info.path).await?;
                }
            }
            let text = narinfo.to_text(&self.store_dir);
            match self.objects.put_document(&key, text.into(), Kind::NarInfo, mode).await? {
                Written::Now => {
                    self.objects.forget_on_disk(&narinfo.info.path.hash_part());
                    self.known.remember(Arc::new(Entry::from(narinfo)));
                    return Ok(());
                }
                // Somebody has signed it, or repaired it as well.
                Written::Not if file.replace => tokio::time::sleep(PAUSE * attempt).await,
                Written::Not => {
                    if let Some(kept) = self.join(&narinfo.info).await? {
                        if kept.info.nar_hash != narinfo.info.nar_hash {
                            self.take_back_listing(&narinfo.info.path, &file.beside).await;
                        }
                        return Ok(());
                    }
                    // It was deleted between the two requests, or is not visible yet.
                    tokio::time::sleep(PAUSE * attempt).await;
                }
            }
        }
        Err(self.objects.failed(format!("write '{key}'"), "it comes and goes"))
    }

    /// The path info with the signatures of this cache's keys added to those that it has.
    fn signed(&self, mut info: PathInfo) -> Result<PathInfo, StoreError> {
        for key in &self.secret_keys {
            info.sign(&self.store_dir, key)
                .map_err(|error| self.objects.failed(format!("sign '{}'", info.path), error))?;
        }
        Ok(info)
    }

    /// Every reference must be here or in an upstream cache, or the path could not be substituted from here.
    async fn ensure_references(&self, info: &PathInfo) -> Result<(), StoreError> {
        let unknown = info
            .references
            .iter()
            .filter(|reference| **reference != info.path && !self.known.is_valid(reference))
            .cloned()
            .collect();
        let missing = self.not_valid_anywhere(unknown).await?;
        match missing.into_iter().next() {
            None => Ok(()),
            Some(reference) => Err(StoreError::MissingReference {
                store: self.to_string(),
                path: info.path.clone(),
                reference,
            }),
        }
    }

    /// Those of `paths` that are neither here nor in an upstream.
    pub(crate) async fn not_valid_anywhere(
        &self,
        mut paths: Vec<StorePath>,
    ) -> Result<Vec<StorePath>, StoreError> {
        if !paths.is_empty() {
            let here: HashSet<_> = self.present(&paths).await?.into_iter().collect();
            paths.retain(|path| !here.contains(path));
        }
        for upstream in &self.upstreams {
            if paths.is_empty() {
                break;
            }
            let there: HashSet<_> = upstream.valid_paths(&paths).await?.into_iter().collect();
            paths.retain(|path| !there.contains(path));
        }
        Ok(paths)
    }

    /// Sees to it that the cache has a `nix-cache-info`, as Nix writes it into an empty one: the store directory alone,
    /// unless the options say more.
    pub(crate) async fn announce(&self) -> Result<(), StoreError> {
        self.announced
            .get_or_try_init(|| async {
                let store_dir = Some(self.store_dir.clone());
                let text = CacheInfo { store_dir, ..self.stated.clone() }.to_text();
                self.objects
                    .put_document(CACHE_INFO_KEY, text.into(), Kind::CacheInfo, Mode::IfAbsent)
                    .await
                    .map(|_| ())
            })
            .await
            .copied()
    }

    /// Writes `nix-cache-info`, replacing what is there. The store directory is always that of this cache.
    pub async fn initialise(&self, mut info: CacheInfo) -> Result<(), StoreError> {
        info.store_dir = Some(self.store_dir.clone());
        let text = info.to_text();
        self.objects.put_document(CACHE_INFO_KEY, text.into(), Kind::CacheInfo, Mode::Always).await?;
        if let Some(remembered) = &self.objects.remembered {
            remembered.set_info(None).await;
        }
        // That another task has set it meanwhile is as good.
        let _ = self.announced.set(());
        Ok(())
    }

    /// Writes beside a NAR that was published before what may be missing there, if it is the NAR that was staged.
    async fn complete(&self, kept: &Entry, ours: &PathInfo, file: &StagedFile) -> Result<(), StoreError> {
        if kept.info.nar_hash == ours.nar_hash {
            self.put_listing(&ours.path, &file.beside).await?;
            // The links lead to the file that was staged, which nobody names if the narinfo has another.
            if kept.url == file.key {
                self.put_debug_info(&file.beside).await?;
            }
        }
        Ok(())
    }

    /// Takes a narinfo that somebody else has written for the one to be published, and adds the signatures that it
    /// lacks. `None` when there is none (any more).
    async fn join(&self, ours: &PathInfo) -> Result<Option<Arc<Entry>>, StoreError> {
        let Some(theirs) = self.read_entry(&ours.path.hash_part()).await? else { return Ok(None) };
        if theirs.info.nar_hash != ours.nar_hash {
            // Two builds of a path need not be equal, and each is as valid; the references of the one that is there
            // were checked by whoever wrote it.
            self.objects.warn(&format!(
                "'{}' has another NarHash in '{self}' ({}) than the one to be published ({}), and is kept",
                ours.path, theirs.info.nar_hash, ours.nar_hash
            ));
            return Ok(Some(theirs));
        }
        if ours.signatures.is_subset(&theirs.info.signatures) {
            return Ok(Some(theirs));
        }
        let signatures: Vec<_> = ours.signatures.iter().cloned().collect();
        match self.add_signatures(&ours.path, &signatures).await {
            Ok(_) => Ok(Some(theirs)),
            Err(StoreError::InvalidPath { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
