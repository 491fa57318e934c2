//! What is written beside a NAR about its contents: the listing, and an index from build ids to debug information.

use bytes::Bytes;
use futures::stream::{self, StreamExt, TryStreamExt};
use nars3_narinfo::json::{DebugInfoLink, debug_info_key};
use nars3_narinfo::{Listing, Node, PathInfo, listing_key};
use nars3_store_api::StoreError;

use crate::BinaryCache;
use crate::objects::{Kind, Mode};

impl BinaryCache {
    /// Writes what the settings ask for about a NAR whose file is under `nar_key`.
    pub(crate) async fn put_listing(
        &self,
        info: &PathInfo,
        listing: &Listing,
        nar_key: &str,
    ) -> Result<(), StoreError> {
        if self.settings.write_nar_listing {
            let body = Bytes::from(listing.to_json());
            self.objects.put_document(&listing_key(&info.path), body, Kind::Listing, Mode::Always).await?;
        }
        if self.settings.index_debug_info {
            self.put_debug_info(listing, nar_key).await?;
        }
        Ok(())
    }

    /// Links each build id to its file. A link that is there is kept, as in Nix 2.29: it leads to the same contents.
    async fn put_debug_info(&self, listing: &Listing, nar_key: &str) -> Result<(), StoreError> {
        let mut links = Vec::new();
        let mut walk = listing.root.walk();
        while let Some((member, node)) = walk.next_node() {
            if !matches!(node, Node::Regular { .. }) {
                continue;
            }
            let Some((key, link)) = DebugInfoLink::for_member(nar_key, member) else { continue };
            links.push(async move {
                let body = Bytes::from(link.to_json());
                self.objects.put_document(&key, body, Kind::DebugInfo, Mode::IfAbsent).await
            });
        }
        let at_once = self.objects.limits().concurrent_requests.max(1);
        stream::iter(links).buffer_unordered(at_once).try_for_each(async |_| Ok(())).await
    }

    /// Where the debug information for a build id (40 hexadecimal digits in lower case) is; `None` when the cache has
    /// none.
    pub async fn debug_info(&self, build_id: &str) -> Result<Option<DebugInfoLink>, StoreError> {
        let key = debug_info_key(build_id)
            .map_err(|error| self.objects.failed("look for debug information", error))?;
        let Some(text) = self.objects.text(&key, self.objects.limits().document_size).await? else {
            return Ok(None);
        };
        DebugInfoLink::from_json(&text).map(Some).map_err(|error| self.objects.corrupt(&key, error))
    }
}
