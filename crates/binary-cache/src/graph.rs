//! Reading all narinfos of a cache, as deletion and verification must.

use std::sync::Arc;

use futures::stream::{Stream, TryStreamExt};
use nars3_narinfo::NarInfo;
use nars3_store_api::StoreError;
use nars3_store_path::HashPart;

use crate::BinaryCache;
use crate::known::Entry;

/// A narinfo of the cache, or why it cannot be read or understood.
type Found = (HashPart, Result<Arc<Entry>, StoreError>);

impl BinaryCache {
    /// The narinfos of the whole cache, in no particular order, each asked for once however many are kept in memory. One
    /// that vanishes meanwhile is left out; one that may not be read is an error.
    pub fn all_nar_infos(&self) -> impl Stream<Item = Result<NarInfo, StoreError>> + Send + '_ {
        let at_once = self.objects.limits().concurrent_requests.max(1);
        self.objects
            .hash_parts()
            .map_ok(async |hash_part| self.listed_entry(&hash_part).await)
            .try_buffer_unordered(at_once)
            .try_filter_map(async |entry| Ok(entry.map(|entry| NarInfo::from(entry.as_ref()))))
    }

    /// Every narinfo of the cache as it is now, as many at once as the limits allow, in no particular order. Those
    /// that vanish while they are read are left out; those that cannot be read or understood come as their error.
    pub(crate) fn all_entries(&self) -> impl Stream<Item = Result<Found, StoreError>> + Send + '_ {
        let at_once = self.objects.limits().concurrent_requests.max(1);
        self.objects
            .hash_parts()
            .map_ok(async |hash_part| {
                let entry = self.read_listed(&hash_part).await.transpose();
                Ok(entry.map(|entry| (hash_part, entry)))
            })
            .try_buffer_unordered(at_once)
            .try_filter_map(async |found| Ok(found))
    }
}
