//! Which paths go, in which order, and which files with them.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use nars3_store_path::{HashPart, StorePath};

/// The folder of NAR files. Whatever else a narinfo gives for its NAR may be anything: `nix-cache-info`, or another narinfo.
const NARS: &str = "nar/";

/// What deletion needs to know of a path.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) path: StorePath,
    pub(super) references: Vec<HashPart>,
    /// The key of its file, if its URL is one.
    pub(super) file: Option<String>,
    /// The same, and else the key that its URL may be another name for: a file that must stay as long as this path does.
    pub(super) needs: Option<String>,
}

impl Node {
    /// The key of its file, if that is where NAR files are.
    pub(super) fn nar(&self) -> Option<&str> {
        self.file.as_deref().filter(|key| key.starts_with(NARS))
    }

    /// The key of its file, if that is somewhere else.
    pub(super) fn misplaced(&self) -> Option<&str> {
        self.file.as_deref().filter(|key| !key.starts_with(NARS))
    }
}

/// All paths of a cache.
pub(super) type Nodes = HashMap<HashPart, Node>;

/// What is to be deleted.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Plan {
    /// Referrers before what they refer to.
    pub(super) order: Vec<HashPart>,
    /// The keys of the files that nobody else needs.
    pub(super) nars: Vec<String>,
}

/// Plans the deletion of the paths `named`; with `referrers` of what refers to them, too. If that stays, the answer is who
/// refers to what: referrer, reference.
pub(super) fn plan(
    nodes: &Nodes,
    named: &BTreeSet<HashPart>,
    referrers: bool,
) -> Result<Plan, Vec<(StorePath, StorePath)>> {
    let mut doomed = named.clone();
    let mut by: HashMap<HashPart, Vec<HashPart>> = HashMap::new();
    for (hash_part, node) in nodes {
        for reference in node.references.iter().filter(|reference| *reference != hash_part) {
            by.entry(*reference).or_default().push(*hash_part);
        }
    }
    let refused = grow(&mut doomed, &by, referrers);
    if refused.is_empty() {
        let nars = orphaned(nodes, &doomed);
        return Ok(Plan { order: referrers_first(&doomed, &by), nars });
    }
    let named = refused.into_iter().filter_map(|(referrer, reference)| {
        Some((nodes.get(&referrer)?.path.clone(), nodes.get(&reference)?.path.clone()))
    });
    let mut pairs: Vec<_> = named.collect();
    pairs.sort();
    Err(pairs)
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

/// The NARs of doomed paths that no other path needs.
fn orphaned(nodes: &Nodes, doomed: &BTreeSet<HashPart>) -> Vec<String> {
    let kept: HashSet<&str> = nodes
        .iter()
        .filter(|(hash_part, _)| !doomed.contains(*hash_part))
        .filter_map(|(_, node)| node.needs.as_deref())
        .collect();
    let of_doomed = doomed.iter().filter_map(|hash_part| nodes.get(hash_part)?.nar());
    let orphans: BTreeSet<&str> = of_doomed.filter(|nar| !kept.contains(nar)).collect();
    orphans.into_iter().map(str::to_owned).collect()
}
