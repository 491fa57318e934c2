//! The links from build ids into NARs that go.

use std::collections::{BTreeSet, HashSet};

use futures::stream::{self, StreamExt, TryStreamExt};
use nars3_narinfo::json::DebugInfoLink;
use nars3_narinfo::{Listing, listing_key};
use nars3_store_api::StoreError;
use nars3_store_path::StorePath;

use super::plan::{Nodes, Plan};
use crate::BinaryCache;

impl BinaryCache {
    /// The keys of the links from build ids into the files of a plan, with those of the files.
    pub(super) async fn links_into(
        &self,
        nodes: &Nodes,
        plan: &Plan,
    ) -> Result<Vec<(String, String)>, StoreError> {
        let nars: HashSet<&str> = plan.nars.iter().map(String::as_str).collect();
        let mut candidates = BTreeSet::new();
        let mut all = false;
        for node in plan.order.iter().filter_map(|part| nodes.get(part)) {
            let Some(nar) = node.nar().filter(|nar| nars.contains(nar)) else { continue };
            match self.listed_links(&node.path, nar).await? {
                Some(keys) => candidates.extend(keys),
                None => all = true,
            }
        }
        if all {
            let keys = self.objects.objects_below("debuginfo").map_ok(|(key, _)| key);
            candidates.extend(keys.try_collect::<Vec<String>>().await?);
        }
        let questions: Vec<_> = candidates
            .into_iter()
            .map(async |key| {
                let nar = self.link_target(&key).await?.filter(|nar| nars.contains(nar.as_str()));
                Ok(nar.map(|nar| (key, nar)))
            })
            .collect();
        let at_once = self.objects.limits().concurrent_requests.max(1);
        let links = stream::iter(questions).buffered(at_once).try_filter_map(async |link| Ok(link));
        links.try_collect().await
    }

    /// The keys of the links that the listing of a path asks for; `None` if there is no listing to go by.
    async fn listed_links(&self, path: &StorePath, nar: &str) -> Result<Option<Vec<String>>, StoreError> {
        let Some(text) = self.text_if_sound(&listing_key(path)).await? else { return Ok(None) };
        let Ok(listing) = Listing::from_json(&text) else { return Ok(None) };
        let mut keys = Vec::new();
        let mut walk = listing.root.walk();
        while let Some((member, _)) = walk.next_node() {
            keys.extend(DebugInfoLink::for_member(nar, member).map(|(key, _)| key));
        }
        Ok(Some(keys))
    }

    /// The key of the file that a link leads into. One that makes no sense leads nowhere, and stays.
    async fn link_target(&self, key: &str) -> Result<Option<String>, StoreError> {
        let Some(text) = self.text_if_sound(key).await? else { return Ok(None) };
        let link = DebugInfoLink::from_json(&text).ok();
        Ok(link.and_then(|link| link.archive.strip_prefix("../").map(str::to_owned)))
    }

    /// A document beside the NARs; `None` also for one that is too large or no text, by which nothing can be found.
    async fn text_if_sound(&self, key: &str) -> Result<Option<String>, StoreError> {
        match self.objects.text(key, self.objects.limits().document_size).await {
            Err(StoreError::Corrupt { .. }) => Ok(None),
            text => text,
        }
    }
}
