//! Deleting paths: never one that others refer to, and the narinfo before its NAR.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use futures::stream::{self, StreamExt, TryStreamExt};
use nars3_narinfo::json::DebugInfoLink;
use nars3_narinfo::{Listing, listing_key, narinfo_key};
use nars3_store_api::StoreError;
use nars3_store_path::{HashPart, StorePath};

use crate::BinaryCache;
use crate::known::Entry;

/// What to delete beside the paths named, and whether to.
#[derive(Debug, Clone, Copy, Default)]
pub struct DeleteOptions {
    /// Delete what refers to the paths as well, and what refers to that.
    pub referrers: bool,
    /// Change nothing, and tell what would be deleted.
    pub dry_run: bool,
}

/// What became of a deletion.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Deletion {
    /// The paths are deleted, or would be.
    Done {
        /// The paths, in the order of their deletion: referrers before what they refer to.
        paths: Vec<StorePath>,
        /// The keys of the NAR files that no narinfo names any more.
        nars: Vec<String>,
        /// The keys of the links from build ids into those files.
        links: Vec<String>,
    },
    /// Paths that are to stay refer to paths that are to go. Nothing is deleted.
    Refused {
        /// Who refers to what: referrer, reference.
        referrers: Vec<(StorePath, StorePath)>,
    },
}

/// What deletion needs to know of a path.
struct Node {
    path: StorePath,
    references: Vec<HashPart>,
    nar: Option<String>,
}

impl BinaryCache {
    /// Deletes paths: narinfo, listing, and the NAR with the links from build ids into it, unless another narinfo names
    /// it. All narinfos of the cache are read for that; the links are found by the listings of the paths, and where one
    /// has none, by reading all links of the cache.
    ///
    /// The bucket has no lock: a path that somebody publishes between the look and the deletion, and that refers to a
    /// deleted path or shares its NAR, is left without it. `verify` finds such paths.
    ///
    /// # Errors
    /// `InvalidPath` for a path that is not in the cache; `Corrupt` or `Backend` for a narinfo that cannot be understood
    /// or read, since it could refer to anything.
    pub async fn delete(&self, paths: &[StorePath], options: DeleteOptions) -> Result<Deletion, StoreError> {
        let nodes = self.nodes().await?;
        let mut doomed = BTreeSet::new();
        for path in paths {
            match nodes.get(&path.hash_part()) {
                Some(node) if node.path == *path => doomed.insert(path.hash_part()),
                _ => return Err(self.invalid(path)),
            };
        }
        let mut referrers: HashMap<HashPart, Vec<HashPart>> = HashMap::new();
        for (hash_part, node) in &nodes {
            for reference in node.references.iter().filter(|reference| *reference != hash_part) {
                referrers.entry(*reference).or_default().push(*hash_part);
            }
        }
        let refused = grow(&mut doomed, &referrers, options.referrers);
        if !refused.is_empty() {
            let named = refused.into_iter().filter_map(|(referrer, reference)| {
                Some((nodes.get(&referrer)?.path.clone(), nodes.get(&reference)?.path.clone()))
            });
            let mut referrers: Vec<_> = named.collect();
            referrers.sort();
            return Ok(Deletion::Refused { referrers });
        }
        let order = referrers_first(&doomed, &referrers);
        let paths: Vec<_> = order.iter().filter_map(|part| Some(nodes.get(part)?.path.clone())).collect();
        let nars = orphaned(&nodes, &doomed);
        let links = self.links_into(&nodes, &doomed, &nars).await?;
        if !options.dry_run {
            self.remove(&paths, &links, &nars).await?;
        }
        Ok(Deletion::Done { paths, nars, links })
    }

    async fn nodes(&self) -> Result<HashMap<HashPart, Node>, StoreError> {
        self.all_entries()
            .and_then(async |(hash_part, entry)| Ok((hash_part, self.node(&*entry?))))
            .try_collect()
            .await
    }

    fn node(&self, entry: &Entry) -> Node {
        let info = Arc::clone(&entry.info);
        Node {
            path: info.path.clone(),
            references: info.references.iter().map(StorePath::hash_part).collect(),
            // A file elsewhere is not this cache's to delete.
            nar: self.nar_key_of(entry).ok(),
        }
    }

    /// Deletes one after another: interrupted anywhere, no narinfo is left that names a deleted NAR or refers to a
    /// deleted path.
    async fn remove(&self, paths: &[StorePath], links: &[String], nars: &[String]) -> Result<(), StoreError> {
        for path in paths {
            self.forget(path);
            self.objects.delete(&narinfo_key(path)).await?;
        }
        // Before the listings, by which they are found.
        for link in links {
            self.objects.delete(link).await?;
        }
        for path in paths {
            self.objects.delete(&listing_key(path)).await?;
        }
        for nar in nars {
            self.objects.delete(nar).await?;
        }
        Ok(())
    }

    /// The keys of the links from build ids into `nars`, the files of doomed paths.
    async fn links_into(
        &self,
        nodes: &HashMap<HashPart, Node>,
        doomed: &BTreeSet<HashPart>,
        nars: &[String],
    ) -> Result<Vec<String>, StoreError> {
        let nars: HashSet<&str> = nars.iter().map(String::as_str).collect();
        let mut candidates = BTreeSet::new();
        let mut all = false;
        for node in doomed.iter().filter_map(|part| nodes.get(part)) {
            let Some(nar) = node.nar.as_deref().filter(|nar| nars.contains(nar)) else { continue };
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
                Ok(self.link_target(&key).await?.filter(|nar| nars.contains(nar.as_str())).map(|_| key))
            })
            .collect();
        let at_once = self.objects.limits().concurrent_requests.max(1);
        let links = stream::iter(questions).buffered(at_once).try_filter_map(async |key| Ok(key));
        links.try_collect().await
    }

    /// The keys of the links that the listing of a path asks for; `None` if there is no listing to go by.
    async fn listed_links(&self, path: &StorePath, nar: &str) -> Result<Option<Vec<String>>, StoreError> {
        let limit = self.objects.limits().document_size;
        let Some(text) = self.objects.text(&listing_key(path), limit).await? else { return Ok(None) };
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
        let Some(text) = self.objects.text(key, self.objects.limits().document_size).await? else {
            return Ok(None);
        };
        let link = DebugInfoLink::from_json(&text).ok();
        Ok(link.and_then(|link| link.archive.strip_prefix("../").map(str::to_owned)))
    }
}

/// Adds the referrers of what is doomed, or tells who they are.
fn grow(
    doomed: &mut BTreeSet<HashPart>,
    referrers: &HashMap<HashPart, Vec<HashPart>>,
    allowed: bool,
) -> Vec<(HashPart, HashPart)> {
    let mut refused = Vec::new();
    let mut open: Vec<HashPart> = doomed.iter().copied().collect();
    while let Some(reference) = open.pop() {
        for referrer in referrers.get(&reference).into_iter().flatten() {
            if doomed.contains(referrer) {
                continue;
            }
            if allowed {
                doomed.insert(*referrer);
                open.push(*referrer);
            } else {
                refused.push((*referrer, reference));
            }
        }
    }
    refused
}

/// The doomed paths, each after all that refer to it.
fn referrers_first(
    doomed: &BTreeSet<HashPart>,
    referrers: &HashMap<HashPart, Vec<HashPart>>,
) -> Vec<HashPart> {
    let mut waiting: BTreeMap<HashPart, usize> = BTreeMap::new();
    let mut references: HashMap<HashPart, Vec<HashPart>> = HashMap::new();
    for reference in doomed {
        let by = referrers.get(reference).into_iter().flatten();
        waiting.insert(*reference, by.clone().count());
        for referrer in by {
            references.entry(*referrer).or_default().push(*reference);
        }
    }
    let mut ready: Vec<HashPart> =
        waiting.iter().filter(|(_, count)| **count == 0).map(|(hash_part, _)| *hash_part).collect();
    let mut order = Vec::new();
    while let Some(next) = ready.pop() {
        order.push(next);
        waiting.remove(&next);
        for reference in references.get(&next).into_iter().flatten() {
            if let Some(count) = waiting.get_mut(reference) {
                *count -= 1;
                if *count == 0 {
                    ready.push(*reference);
                }
            }
        }
    }
    // References cannot go in circles in a store that Nix wrote; in a forged one any order is as good.
    order.extend(waiting.into_keys());
    order
}

/// The NARs of doomed paths that no other path has.
fn orphaned(nodes: &HashMap<HashPart, Node>, doomed: &BTreeSet<HashPart>) -> Vec<String> {
    let kept: HashSet<&String> = nodes
        .iter()
        .filter(|(hash_part, _)| !doomed.contains(*hash_part))
        .filter_map(|(_, node)| node.nar.as_ref())
        .collect();
    let of_doomed = doomed.iter().filter_map(|hash_part| nodes.get(hash_part)?.nar.as_ref());
    let orphans: BTreeSet<&String> = of_doomed.filter(|nar| !kept.contains(nar)).collect();
    orphans.into_iter().cloned().collect()
}
