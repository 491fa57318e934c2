//! One listing in key order, page after page: the keys at the top of the cache, without those in its folders, or those in
//! a folder.

use futures::stream::{BoxStream, TryStreamExt};
use nars3_store_api::StoreError;
use object_store::ObjectMeta;

use super::Objects;

/// Keys on a page of an S3 listing.
pub(crate) const PAGE: u64 = 1000;

/// Keys that are listed together. They begin with hashes, which are spread evenly.
#[derive(Clone, Copy, Debug)]
pub(super) struct Region {
    /// The folder that they are in, with its slash; empty for the top.
    pub(super) folder: &'static str,
    /// Where the last of them may lie, as `position` says it of what comes after the folder.
    pub(super) end: f64,
}

/// The narinfos, and what else is in no folder.
pub(super) const TOP: Region = Region { folder: "", end: 1.0 };

/// The files of NARs. Of the 52 digits of a SHA-256 the first has one bit.
pub(super) const NARS: Region = Region { folder: "nar/", end: 1.0 / 16.0 };

/// A key and the size of its object in bytes.
pub(super) type Found = (String, u64);

/// A listing on its way.
pub(super) struct Walk {
    region: Region,
    metas: BoxStream<'static, object_store::Result<ObjectMeta>>,
    /// Where the keys of `metas` begin; not among them.
    pub(super) start: String,
    /// The last key so far, or where it began.
    pub(super) last: String,
    /// The last key that is wanted.
    end: Option<String>,
    /// Keys of `metas` so far.
    pub(super) read: u64,
}

/// What comes next.
pub(super) enum Step {
    Key(Found),
    /// A page is read, and the next one is not asked for.
    PageRead,
    /// There are no more keys.
    AtEnd,
    /// There are more keys, none of which is wanted.
    Beyond,
}

impl Objects {
    /// The keys of a region above `start`, up to `end`.
    pub(super) fn walk(&self, region: Region, start: &str, end: Option<String>) -> Result<Walk, StoreError> {
        let metas = self.metas(region, start)?;
        Ok(Walk { region, metas, start: start.to_owned(), last: start.to_owned(), end, read: 0 })
    }

    fn metas(
        &self,
        region: Region,
        start: &str,
    ) -> Result<BoxStream<'static, object_store::Result<ObjectMeta>>, StoreError> {
        let folder = region.folder.strip_suffix('/').map(|folder| self.path(folder)).transpose()?;
        Ok(if start.is_empty() {
            self.store.list(folder.as_ref())
        } else {
            self.store.list_with_offset(folder.as_ref(), &self.path(start)?)
        })
    }

    /// The next key. Asks for another page only if `turns_pages`.
    ///
    /// At the top a folder is left at its first key: the listing begins anew behind it, which costs one request instead of
    /// one for every thousand objects in it.
    pub(super) async fn step(&self, walk: &mut Walk, turns_pages: bool) -> Result<Step, StoreError> {
        loop {
            if walk.read.is_multiple_of(PAGE) {
                if walk.read > 0 && !turns_pages {
                    return Ok(Step::PageRead);
                }
                self.stats.count_list_pages(1);
            }
            walk.read += 1;
            let meta = walk.metas.try_next().await.map_err(|error| self.failed("list its keys", error))?;
            let Some(meta) = meta else { return Ok(Step::AtEnd) };
            let key = String::from(meta.location);
            if key <= walk.last {
                let reason =
                    format!("'{key}' came after '{}', but keys are expected in ascending order", walk.last);
                return Err(self.failed("list its keys", reason));
            }
            if walk.end.as_ref().is_some_and(|end| key > *end) {
                return Ok(Step::Beyond);
            }
            let folder = key.split_once('/').filter(|_| walk.region.folder.is_empty());
            let Some((folder, _)) = folder else {
                walk.last.clone_from(&key);
                return Ok(Step::Key((key, meta.size)));
            };
            // '0' is the character after '/', so this is above every key in the folder, and below or equal to every
            // later one.
            let behind = format!("{folder}0");
            walk.metas = self.metas(walk.region, &behind)?;
            (walk.start, walk.last, walk.read) = (behind.clone(), behind, 0);
        }
    }
}
