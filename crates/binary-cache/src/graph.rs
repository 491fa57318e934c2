//! Reading all narinfos of a cache, as deletion and verification must.

use std::sync::Arc;

use futures::stream::{Stream, TryStreamExt};
use nars3_narinfo::PathInfo;
use nars3_store_api::StoreError;
use nars3_store_path::HashPart;

use crate::BinaryCache;
use crate::known::Entry;

impl BinaryCache {
    /// The path infos of the whole cache, in no particular order, each asked for once however many are kept in memory. One
    /// that vanishes meanwhile is left out.
    pub fn all_path_infos(&self) -> impl Stream<Item = Result<Arc<PathInfo>, StoreError>> + Send + '_ {
        let at_once = self.objects.limits().concurrent_requests.max(1);
        self.objects
            .hash_parts()
            .map_ok(async |hash_part| self.entry_of(&hash_part).await)
            .try_buffer_unordered(at_once)
            .try_filter_map(async |entry| Ok(entry.map(|entry| Arc::clone(&entry.info))))
    }

    /// Every narinfo of the cache as it is now, as many at once as the limits allow, in no particular order. Those
    /// that vanish while they are read are left out; those that cannot be understood come as their error.
    pub(crate) fn all_entries(
        &self,
    ) -> impl Stream<Item = Result<(HashPart, Result<Arc<Entry>, StoreError>), StoreError>> + Send + '_ {
        let at_once = self.objects.limits().concurrent_requests.max(1);
        self.objects
            .hash_parts()
            .map_ok(async |hash_part| {
                let entry = match self.read_entry(&hash_part).await {
                    Ok(Some(entry)) => Ok(entry),
                    Ok(None) => return Ok(None),
                    Err(error @ StoreError::Corrupt { .. }) => Err(error),
                    Err(error) => return Err(error),
                };
                Ok(Some((hash_part, entry)))
            })
            .try_buffer_unordered(at_once)
            .try_filter_map(async |found| Ok(found))
    }
}
