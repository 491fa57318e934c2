//! Listing keys: those at the top of the cache, without walking through its folders, which hold as many objects.

use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use nars3_store_api::StoreError;
use nars3_store_path::HashPart;

use super::walk::{NARS, PAGE, TOP};
use super::{ListingOrder, Objects};

/// The suffix of a narinfo's key.
const NARINFO: &str = ".narinfo";

impl Objects {
    /// Whether a listing can begin anywhere and comes in key order.
    pub(crate) fn lists_in_order(&self) -> bool {
        self.listing == ListingOrder::Ascending
    }

    /// The keys without `/`. Where the store lists in ascending order they come so, and only those above `after`, if it is
    /// given, and up to the narinfo of `until`; elsewhere all above `after`.
    pub(crate) fn top_level_keys(
        &self,
        after: Option<&str>,
        until: Option<&HashPart>,
    ) -> BoxStream<'_, Result<String, StoreError>> {
        if !self.lists_in_order() {
            return self.directory(after);
        }
        // '/' is the character after '.', with which the end of a narinfo's key begins.
        let keys = self.spread(TOP, after, until.map(|until| format!("{until}/")));
        keys.map_ok(|(key, _)| key).boxed()
    }

    /// The hash parts of all narinfos.
    pub(crate) fn hash_parts(&self) -> BoxStream<'_, Result<HashPart, StoreError>> {
        self.top_level_keys(None, None).try_filter_map(async |key| Ok(hash_part_of(&key))).boxed()
    }

    /// The files of NARs: key and size in bytes.
    pub(crate) fn nar_files(&self) -> BoxStream<'_, Result<(String, u64), StoreError>> {
        if self.lists_in_order() { self.spread(NARS, None, None) } else { self.objects_below("nar") }
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
}

/// The hash part that a key is the narinfo of. Nix 2.29 takes every key of 40 bytes with the right end; what is no
/// hash part could never be asked for, so it is left out here.
pub(crate) fn hash_part_of(key: &str) -> Option<HashPart> {
    key.strip_suffix(NARINFO)?.parse().ok()
}
