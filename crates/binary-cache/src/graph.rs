//! Reading all narinfos of a cache, as deletion and verification must.

use std::sync::Arc;

use futures::stream::{Stream, TryStreamExt};
use nars3_store_api::StoreError;
use nars3_store_path::HashPart;

use crate::BinaryCache;
use crate::known::Entry;

impl BinaryCache {
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
