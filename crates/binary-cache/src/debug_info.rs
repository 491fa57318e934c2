//! What is written beside a NAR about its contents: the listing, and an index from build ids to debug information.

use bytes::Bytes;
use futures::stream::{self, StreamExt, TryStreamExt};
use nars3_narinfo::json::{DebugInfoLink, debug_info_key};
use nars3_narinfo::{Listing, Node, listing_key};
use nars3_store_api::StoreError;
use nars3_store_path::StorePath;

use crate::BinaryCache;
use crate::objects::{Kind, Mode};

/// What is to be written beside a NAR, as the bytes of the objects: a staged path holds it until it is published.
#[derive(Debug, Default)]
pub(crate) struct Beside {
    listing: Option<Bytes>,
    /// The keys and the bodies of the links from build ids.
    links: Vec<(String, Bytes)>,
}

impl Beside {
    pub(crate) fn is_empty(&self) -> bool {
        self.listing.is_none() && self.links.is_empty()
    }

    pub(crate) fn has_listing(&self) -> bool {
        self.listing.is_some()
    }
}

impl BinaryCache {
    /// What the settings ask for about a NAR whose file is under `nar_key`.
    pub(crate) fn beside(&self, listing: &Listing, nar_key: &str) -> Beside {
        let mut beside = Beside::default();
        if self.settings.write_nar_listing {
            beside.listing = Some(listing.to_json().into());
        }
        if self.settings.index_debug_info {
            let mut walk = listing.root.walk();
            while let Some((member, node)) = walk.next_node() {
                if matches!(node, Node::Regular { .. })
                    && let Some((key, link)) = DebugInfoLink::for_member(nar_key, member)
                {
                    beside.links.push((key, link.to_json().into()));
                }
            }
        }
        beside
    }

    /// Writes the listing of a path.
    pub(crate) async fn put_listing(&self, path: &StorePath, beside: &Beside) -> Result<(), StoreError> {
        if let Some(body) = beside.listing.clone() {
            self.objects.put_document(&listing_key(path), body, Kind::Listing, Mode::Always).await?;
        }
        Ok(())
    }

    /// Writes the links. One that is there is kept, as in Nix 2.29: it leads to the same contents.
    pub(crate) async fn put_debug_info(&self, beside: &Beside) -> Result<(), StoreError> {
        let links = beside.links.iter().map(|(key, body)| async move {
            self.objects.put_document(key, body.clone(), Kind::DebugInfo, Mode::IfAbsent).await
        });
        let links: Vec<_> = links.collect();
        let at_once = self.objects.limits().concurrent_requests.max(1);
        stream::iter(links).buffer_unordered(at_once).try_for_each(async |_| Ok(())).await
    }

    /// Deletes the listing of a path, if there is one, because its NAR is about to be another.
    pub(crate) async fn delete_listing(&self, path: &StorePath) -> Result<(), StoreError> {
        let key = listing_key(path);
        // Asked first: who may write a cache may not always delete from it, and mostly there is nothing to delete.
        match self.objects.head(&key).await? {
            Some(_) => self.objects.delete(&key).await,
            None => Ok(()),
        }
    }

    /// Takes back the listing of a path, because it may be in the place of one of another NAR. The links stay: they
    /// lead to a file that is there, and whose contents have the build ids that they say.
    pub(crate) async fn take_back_listing(&self, path: &StorePath, beside: &Beside) {
        if beside.listing.is_none() {
            return;
        }
        let key = listing_key(path);
        if let Err(error) = self.objects.delete(&key).await {
            let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
            self.objects.warn(&format!(
                "'{key}' may list another NAR of '{path}' than the one in '{self}', and cannot be deleted: \
                 {error}{}",
                cause.unwrap_or_default()
            ));
        }
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
