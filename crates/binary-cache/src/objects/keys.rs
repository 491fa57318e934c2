//! Listing keys: those at the top of the cache, without walking through its folders, which hold as many objects.

use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use nars3_store_api::StoreError;
use nars3_store_path::HashPart;
use object_store::ObjectMeta;
use object_store::path::Path;

use super::{ListingOrder, Objects};

/// Keys on a page of an S3 listing.
pub(crate) const PAGE: u64 = 1000;

/// The suffix of a narinfo's key.
const NARINFO: &str = ".narinfo";

/// A listing in key order, on its way.
struct Walk {
    metas: BoxStream<'static, object_store::Result<ObjectMeta>>,
    last: String,
    on_page: u64,
}

impl Objects {
    /// Whether a listing can begin anywhere and comes in key order.
    pub(crate) fn lists_in_order(&self) -> bool {
        self.listing == ListingOrder::Ascending
    }

    /// The keys without `/`, those above `after` if it is given. In ascending order where the store lists so.
    pub(crate) fn top_level_keys(&self, after: Option<&str>) -> BoxStream<'_, Result<String, StoreError>> {
        if self.lists_in_order() { self.walk(after) } else { self.directory(after) }
    }

    /// The hash parts of all narinfos.
    pub(crate) fn hash_parts(&self) -> BoxStream<'_, Result<HashPart, StoreError>> {
        self.top_level_keys(None).try_filter_map(async |key| Ok(hash_part_of(&key))).boxed()
    }

    /// The objects below a folder: key and size in bytes.
    pub(crate) fn objects_below(&self, folder: &str) -> BoxStream<'_, Result<(String, u64), StoreError>> {
        let prefix = match self.path(folder) {
            Ok(prefix) => prefix,
            Err(error) => return stream::iter([Err(error)]).boxed(),
        };
        self.store
            .list(Some(&prefix))
            .enumerate()
            .map(|(number, meta)| {
                if (number as u64).is_multiple_of(PAGE) {
                    self.stats.count_list_pages(1);
                }
                let meta = meta.map_err(|error| self.failed("list objects", error))?;
                Ok((meta.location.to_string(), meta.size))
            })
            .boxed()
    }

    fn directory(&self, after: Option<&str>) -> BoxStream<'_, Result<String, StoreError>> {
        let after = after.map(str::to_owned);
        stream::once(async move {
            let listed = self.store.list_with_delimiter(None).await;
            let objects = listed.map_err(|error| self.failed("list its keys", error))?.objects;
            self.stats.count_list_pages((objects.len() as u64).div_ceil(PAGE).max(1));
            let keys = objects.into_iter().map(|meta| String::from(meta.location));
            Ok(stream::iter(keys.filter(move |key| after.as_ref().is_none_or(|after| key > after)).map(Ok)))
        })
        .try_flatten()
        .boxed()
    }

    fn walk(&self, after: Option<&str>) -> BoxStream<'_, Result<String, StoreError>> {
        let start = match after.map(|after| self.path(after)).transpose() {
            Ok(start) => start,
            Err(error) => return stream::iter([Err(error)]).boxed(),
        };
        let first = Walk {
            metas: match &start {
                Some(start) => self.store.list_with_offset(None, start),
                None => self.store.list(None),
            },
            last: after.unwrap_or_default().to_owned(),
            on_page: 0,
        };
        stream::try_unfold(first, move |walk| self.step(walk)).boxed()
    }

    /// The next key without `/`. A folder is left at its first key: the listing begins anew behind it, which costs
    /// one request instead of one for every thousand objects in it.
    async fn step(&self, mut walk: Walk) -> Result<Option<(String, Walk)>, StoreError> {
        loop {
            if walk.on_page.is_multiple_of(PAGE) {
                self.stats.count_list_pages(1);
            }
            walk.on_page += 1;
            let meta = walk.metas.try_next().await.map_err(|error| self.failed("list its keys", error))?;
            let Some(meta) = meta else { return Ok(None) };
            let key = String::from(meta.location);
            if key <= walk.last {
                let reason =
                    format!("'{key}' came after '{}', but keys are expected in ascending order", walk.last);
                return Err(self.failed("list its keys", reason));
            }
            let Some((folder, _)) = key.split_once('/') else {
                walk.last.clone_from(&key);
                return Ok(Some((key, walk)));
            };
            // '0' is the character after '/', so this is above every key in the folder, and below or equal to every
            // later one.
            let behind = format!("{folder}0");
            let offset: Path = self.path(&behind)?;
            walk = Walk { metas: self.store.list_with_offset(None, &offset), last: behind, on_page: 0 };
        }
    }
}

/// The hash part that a key is the narinfo of. Nix 2.29 takes every key of 40 bytes with the right end; what is no
/// hash part could never be asked for, so it is left out here.
pub(crate) fn hash_part_of(key: &str) -> Option<HashPart> {
    key.strip_suffix(NARINFO)?.parse().ok()
}
