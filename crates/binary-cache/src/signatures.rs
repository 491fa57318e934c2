//! Signatures that come together in one narinfo: of several signers, and of whoever published and whoever repairs.

use std::sync::Arc;

use nars3_narinfo::{MAX_SIGNATURES, NarInfo, PathInfo, narinfo_key, unknown_fields};
use nars3_store_api::StoreError;
use nars3_store_path::{Signature, StorePath};

use crate::BinaryCache;
use crate::known::Entry;
use crate::objects::{Kind, Mode, Written};
use crate::publish::{ATTEMPTS, PAUSE};

/// Readers would refuse what was to be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unreadable {
    #[error("it would have {count} signatures, and readers take at most {MAX_SIGNATURES}")]
    Signatures { count: usize },
    #[error("it would have {size} bytes, and more than {limit} are not believed")]
    Size { size: u64, limit: u64 },
}

/// That readers take so many signatures.
pub(crate) fn ensure_readable(count: usize) -> Result<(), Unreadable> {
    if count > MAX_SIGNATURES { Err(Unreadable::Signatures { count }) } else { Ok(()) }
}

/// Whether what is signed of two path infos is the same.
fn says_the_same(one: &PathInfo, other: &PathInfo) -> bool {
    one.nar_hash == other.nar_hash && one.nar_size == other.nar_size && one.references == other.references
}

impl BinaryCache {
    /// Adds signatures to the narinfo of a path, and gives the number of those that were new. What else stands in it stays,
    /// also what only newer versions understand. The write is conditional: of two signers at work at once, neither loses
    /// a signature. A directory of files is locked for that; a web server may not know conditions, and then one of two
    /// may, within the moment between a look and a write.
    ///
    /// # Errors
    /// `InvalidPath` when the path is not in the cache; `Backend` when it would have more than 1000 signatures, which no
    /// reader takes.
    pub async fn add_signatures(
        &self,
        path: &StorePath,
        signatures: &[Signature],
    ) -> Result<usize, StoreError> {
        self.ensure_readable_encodings()?;
        let key = narinfo_key(path);
        let limit = self.objects.limits().narinfo_size;
        let refused = |reason: Unreadable| self.objects.failed(format!("add signatures to '{key}'"), reason);
        for attempt in 1..=ATTEMPTS {
            let document = self.objects.document(&key, limit).await?;
            let document = document.ok_or_else(|| self.invalid(path))?;
            let text =
                std::str::from_utf8(&document.body).map_err(|error| self.objects.corrupt(&key, error))?;
            let mut narinfo = self.parse_narinfo(&key, &path.hash_part(), text)?;
            if narinfo.info.path != *path {
                return Err(self.invalid(path));
            }
            let before = narinfo.info.signatures.len();
            narinfo.info.signatures.extend(signatures.iter().cloned());
            let added = narinfo.info.signatures.len() - before;
            if added > 0 {
                ensure_readable(narinfo.info.signatures.len()).map_err(refused)?;
                let text = narinfo.to_text(&self.store_dir) + &unknown_fields(text);
                let size = text.len() as u64;
                if size > limit {
                    return Err(refused(Unreadable::Size { size, limit }));
                }
                let unchanged = Mode::IfUnchanged(document.version);
                let written = self.objects.put_document(&key, text.into(), Kind::NarInfo, unchanged).await?;
                if written == Written::Not {
                    tokio::time::sleep(PAUSE * attempt).await;
                    continue;
                }
            }
            self.objects.forget_on_disk(&path.hash_part());
            self.known.remember(Arc::new(Entry::from(narinfo)));
            return Ok(added);
        }
        Err(self.objects.failed(format!("add signatures to '{key}'"), "it changes all the time"))
    }

    /// How the narinfo of a path that is repaired takes the place of the one that is there. If that says the same of the
    /// contents, its signatures stay, and it must not have changed meanwhile. One that cannot be read is what a repair is
    /// for. The second value says whether the NAR is, or may be, another than before.
    pub(crate) async fn replacement(&self, narinfo: &mut NarInfo) -> Result<(Mode, bool), StoreError> {
        let path = &narinfo.info.path;
        let key = narinfo_key(path);
        let document = match self.objects.document(&key, self.objects.limits().narinfo_size).await {
            Ok(Some(document)) => document,
            Ok(None) | Err(StoreError::Corrupt { .. }) => return Ok((Mode::Always, true)),
            Err(error) => return Err(error),
        };
        let theirs = std::str::from_utf8(&document.body)
            .ok()
            .and_then(|text| self.parse_narinfo(&key, &path.hash_part(), text).ok())
            .filter(|theirs| theirs.info.path == *path);
        let Some(theirs) = theirs else { return Ok((Mode::Always, true)) };
        if !says_the_same(&theirs.info, &narinfo.info) {
            return Ok((Mode::Always, theirs.info.nar_hash != narinfo.info.nar_hash));
        }
        let ours = &mut narinfo.info.signatures;
        // What a repair brings along counts more than what was there, should it be too many.
        let room = MAX_SIGNATURES.saturating_sub(ours.len());
        let lost: Vec<_> = theirs.info.signatures.difference(ours).take(room).cloned().collect();
        ours.extend(lost);
        Ok((Mode::IfUnchanged(document.version), false))
    }
}
