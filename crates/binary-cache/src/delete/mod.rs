//! Deleting paths: never one that others refer to, and the narinfo before its NAR.

mod links;
mod plan;

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use futures::stream::TryStreamExt;
use nars3_narinfo::{listing_key, narinfo_key};
use nars3_store_api::StoreError;
use nars3_store_path::{HashPart, StorePath};

use self::plan::{Node, Nodes, Plan, plan};
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
        /// The keys of the realisations that name the paths.
        realisations: Vec<String>,
    },
    /// Paths that are to stay refer to paths that are to go. Nothing is deleted.
    Refused {
        /// Who refers to what: referrer, reference.
        referrers: Vec<(StorePath, StorePath)>,
    },
}

impl BinaryCache {
    /// Deletes paths: narinfo, listing, the realisations that name it, and the NAR with the links from build ids into it,
    /// unless another narinfo names it or it is not below `nar/`. All narinfos and realisations of the cache are read for
    /// that; the links are found by the listings of the paths, and where one has none, by reading all links of the cache.
    ///
    /// The bucket has no lock. Before the narinfos are deleted, and again before the NARs are, the cache is listed once more
    /// and new narinfos are read: what refers to the paths by then is a reason to refuse, and what shares a NAR keeps it. A
    /// path that somebody publishes in the moments between such a look and the deletion, or a narinfo that is replaced by one
    /// with another NAR, is left without what it needs. `verify` finds such paths.
    ///
    /// # Errors
    /// `InvalidPath` for a path that is not in the cache; `Corrupt` or `Backend` for a narinfo that cannot be understood
    /// or read, since it could refer to anything.
    pub async fn delete(&self, paths: &[StorePath], options: DeleteOptions) -> Result<Deletion, StoreError> {
        let mut nodes = Nodes::new();
        self.read_new(&mut nodes).await?;
        let mut named = BTreeSet::new();
        for path in paths {
            match nodes.get(&path.hash_part()) {
                Some(node) if node.path == *path => named.insert(path.hash_part()),
                _ => return Err(self.invalid(path)),
            };
        }
        let mut doomed = match plan(&nodes, &named, options.referrers) {
            Ok(plan) => self.doom(&nodes, plan).await?,
            Err(referrers) => return Ok(Deletion::Refused { referrers }),
        };
        if options.dry_run {
            return Ok(doomed.done());
        }
        loop {
            self.read_new(&mut nodes).await?;
            match plan(&nodes, &named, options.referrers) {
                Ok(current) if current == doomed.plan => break,
                Ok(current) => doomed = self.doom(&nodes, current).await?,
                Err(referrers) => return Ok(Deletion::Refused { referrers }),
            }
        }
        self.remove(&mut doomed, &mut nodes).await?;
        Ok(doomed.done())
    }

    /// Reads the narinfos that are not among `nodes`.
    async fn read_new(&self, nodes: &mut Nodes) -> Result<Vec<HashPart>, StoreError> {
        let known = &*nodes;
        let at_once = self.objects.limits().concurrent_requests.max(1);
        let new: Vec<(HashPart, Node)> = self
            .objects
            .hash_parts()
            .try_filter(|hash_part| std::future::ready(!known.contains_key(hash_part)))
            .map_ok(async |hash_part| {
                let entry = self.read_listed(&hash_part).await?;
                Ok(entry.map(|entry| (hash_part, self.node(&entry))))
            })
            .try_buffer_unordered(at_once)
            .try_filter_map(async |found| Ok(found))
            .try_collect()
            .await?;
        let hash_parts = new.iter().map(|(hash_part, _)| *hash_part).collect();
        nodes.extend(new);
        Ok(hash_parts)
    }

    fn node(&self, entry: &Entry) -> Node {
        let info = Arc::clone(&entry.info);
        Node {
            path: info.path.clone(),
            references: info.references.iter().map(StorePath::hash_part).collect(),
            // A file elsewhere is not this cache's to delete.
            file: self.nar_key_of(entry).ok(),
            needs: self.file_named_by(entry),
        }
    }

    /// What goes with the paths of a plan.
    async fn doom(&self, nodes: &Nodes, plan: Plan) -> Result<Doomed, StoreError> {
        for node in plan.order.iter().filter_map(|hash_part| nodes.get(hash_part)) {
            if let Some(key) = node.misplaced() {
                self.objects.warn(&format!(
                    "'{key}', which the narinfo of '{}' gives for its NAR, is not where NARs are, and stays",
                    node.path
                ));
            }
        }
        let paths: Vec<_> =
            plan.order.iter().filter_map(|hash_part| Some(nodes.get(hash_part)?.path.clone())).collect();
        let links = self.links_into(nodes, &plan).await?;
        let realisations = self.realisations_of(&paths).await?;
        Ok(Doomed { plan, paths, links, realisations })
    }

    /// Deletes one after another: interrupted anywhere, no narinfo is left that names a deleted NAR or refers to a
    /// deleted path, and no realisation that names one.
    async fn remove(&self, doomed: &mut Doomed, nodes: &mut Nodes) -> Result<(), StoreError> {
        for realisation in &doomed.realisations {
            self.objects.delete(realisation).await?;
        }
        for path in &doomed.paths {
            self.forget(path);
            self.objects.delete(&narinfo_key(path)).await?;
        }
        // Who has published meanwhile has found the files, and has not sent them again.
        for hash_part in &doomed.plan.order {
            nodes.remove(hash_part);
        }
        let new = self.read_new(nodes).await?;
        let back: HashSet<HashPart> = new.iter().copied().collect();
        let mut needed = HashSet::new();
        for node in new.iter().filter_map(|hash_part| nodes.get(hash_part)) {
            needed.extend(node.needs.as_ref());
            self.warn_of_dangling(node, &doomed.paths, &back);
        }
        doomed.plan.nars.retain(|nar| !needed.contains(nar));
        doomed.links.retain(|(_, nar)| !needed.contains(nar));
        // Before the listings, by which they are found.
        for (link, _) in &doomed.links {
            self.objects.delete(link).await?;
        }
        for path in doomed.paths.iter().filter(|path| !back.contains(&path.hash_part())) {
            self.objects.delete(&listing_key(path)).await?;
        }
        for nar in &doomed.plan.nars {
            self.objects.delete(nar).await?;
        }
        Ok(())
    }

    /// Says so where a path that was published meanwhile refers to what is gone, and not `back`.
    fn warn_of_dangling(&self, node: &Node, gone: &[StorePath], back: &HashSet<HashPart>) {
        for path in gone {
            let hash_part = path.hash_part();
            if node.references.contains(&hash_part) && !back.contains(&hash_part) {
                self.objects.warn(&format!(
                    "'{}', published meanwhile, refers to '{path}', which is deleted",
                    node.path
                ));
            }
        }
    }

    /// The keys of the realisations that name one of `paths`, unless an upstream has it.
    async fn realisations_of(&self, paths: &[StorePath]) -> Result<Vec<String>, StoreError> {
        let mut gone: HashSet<StorePath> = paths.iter().cloned().collect();
        for upstream in &self.upstreams {
            for path in upstream.valid_paths(paths).await? {
                gone.remove(&path);
            }
        }
        let mut keys = Vec::new();
        let mut all = Box::pin(self.all_realisations());
        while let Some((output, realisation)) = all.try_next().await? {
            match realisation {
                Ok(realisation) if gone.contains(realisation.out_path()) => keys.push(output.object_key()),
                Ok(_) => {}
                Err(error) => {
                    self.objects.warn(&format!(
                        "the realisation of '{output}' stays, whatever it names: {}",
                        error.with_causes()
                    ));
                }
            }
        }
        keys.sort();
        Ok(keys)
    }
}

/// What goes, and what goes with it.
struct Doomed {
    plan: Plan,
    paths: Vec<StorePath>,
    /// Links from build ids, with the files that they lead into.
    links: Vec<(String, String)>,
    realisations: Vec<String>,
}

impl Doomed {
    fn done(self) -> Deletion {
        let Self { plan, paths, links, realisations } = self;
        let links = links.into_iter().map(|(link, _)| link).collect();
        Deletion::Done { paths, nars: plan.nars, links, realisations }
    }
}
