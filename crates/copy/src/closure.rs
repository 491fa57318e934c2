//! The closure of some paths: they, and everything they refer to.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use nars3_narinfo::PathInfo;
use nars3_store_api::{Store, StoreError};
use nars3_store_path::StorePath;

use crate::CopyError;

/// Path infos of `roots` and, if `recursive`, of all they refer to, directly or not; each once, in the order in which
/// they were reached. Each round asks the store for all paths that the round before has brought up.
pub async fn closure(
    store: &dyn Store,
    roots: &[StorePath],
    recursive: bool,
) -> Result<Vec<Arc<PathInfo>>, CopyError> {
    let walk = walk(store, roots, recursive, &HashSet::new(), false).await?;
    walk.ensure_complete(store)?;
    Ok(walk.infos)
}

/// The closures of some roots, as far as there are any.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Closures {
    /// The path infos of all roots whose closures are complete, and of what they refer to, each once.
    pub infos: Vec<Arc<PathInfo>>,
    /// The other roots, and what they lack.
    pub incomplete: Vec<(StorePath, CopyError)>,
}

/// As `closure` of each of `roots`, but all are walked at once, and each path is asked for once: one that lacks something
/// does not stand in the way of the others.
pub async fn closures(store: &dyn Store, roots: &[StorePath]) -> Result<Closures, CopyError> {
    let walk = walk(store, roots, true, &HashSet::new(), true).await?;
    let incomplete = walk.incomplete();
    let (unsound, sound): (Vec<_>, Vec<_>) = roots.iter().partition(|root| incomplete.contains_key(root));
    let infos: HashMap<&StorePath, &Arc<PathInfo>> =
        walk.infos.iter().map(|info| (&info.path, info)).collect();
    let mut open = sound;
    let mut reached: HashSet<&StorePath> = open.iter().copied().collect();
    while let Some(path) = open.pop() {
        let Some(info) = infos.get(path) else { continue };
        open.extend(info.references.iter().filter(|reference| reached.insert(reference)));
    }
    let lacks = |root: &StorePath| {
        let (hole, referrer) = incomplete.get(root)?;
        Some((root.clone(), missing(store, (*hole).clone(), *referrer)))
    };
    Ok(Closures {
        incomplete: unsound.into_iter().filter_map(lacks).collect(),
        infos: walk.infos.iter().filter(|info| reached.contains(&info.path)).cloned().collect(),
    })
}

/// A closure, and how it was reached.
#[derive(Debug, Default)]
pub(crate) struct Walk {
    /// In the order in which they were reached.
    pub(crate) infos: Vec<Arc<PathInfo>>,
    /// For each path that is no root, the path that it was reached from.
    pub(crate) referrers: HashMap<StorePath, StorePath>,
    /// How many of the known paths were reached.
    pub(crate) known: usize,
    /// The paths that were reached and that are not valid.
    pub(crate) holes: Vec<StorePath>,
}

impl Walk {
    /// That nothing is missing, or who needs the first that is.
    pub(crate) fn ensure_complete(&self, store: &dyn Store) -> Result<(), CopyError> {
        match self.holes.first() {
            None => Ok(()),
            Some(path) => Err(missing(store, path.clone(), self.referrers.get(path))),
        }
    }

    /// The paths that are missing, and those that refer to them, directly or not: which one each lacks, and who refers to
    /// that, unless it is the path itself.
    fn incomplete(&self) -> HashMap<&StorePath, (&StorePath, Option<&StorePath>)> {
        let mut by: HashMap<&StorePath, Vec<&StorePath>> = HashMap::new();
        for info in &self.infos {
            for reference in &info.references {
                by.entry(reference).or_default().push(&info.path);
            }
        }
        let mut incomplete: HashMap<_, _> = self.holes.iter().map(|hole| (hole, (hole, None))).collect();
        let mut open: Vec<&StorePath> = self.holes.iter().collect();
        while let Some(path) = open.pop() {
            let Some(&(hole, referrer)) = incomplete.get(path) else { continue };
            for referring in by.get(path).into_iter().flatten().copied() {
                if !incomplete.contains_key(referring) {
                    incomplete.insert(referring, (hole, Some(referrer.unwrap_or(referring))));
                    open.push(referring);
                }
            }
        }
        incomplete
    }
}

/// As `closure`, but what is `known`, and what only known paths refer to, is left out and not asked for. Where a path is
/// missing, the walk ends with that round, or goes on all the same.
pub(crate) async fn walk(
    store: &dyn Store,
    roots: &[StorePath],
    recursive: bool,
    known: &HashSet<StorePath>,
    keep_going: bool,
) -> Result<Walk, CopyError> {
    let mut seen: HashSet<StorePath> = HashSet::new();
    let mut walk = Walk::default();
    let mut round: Vec<StorePath> =
        roots.iter().filter(|root| seen.insert((*root).clone())).cloned().collect();
    while !round.is_empty() && (keep_going || walk.holes.is_empty()) {
        let reached = round.len();
        round.retain(|path| !known.contains(path));
        walk.known += reached - round.len();
        let mut infos = store.path_infos(&round).await?;
        let mut next = Vec::new();
        for path in round {
            let Some(info) = infos.remove(&path) else {
                walk.holes.push(path);
                continue;
            };
            if recursive {
                for reference in &info.references {
                    if seen.insert(reference.clone()) {
                        walk.referrers.insert(reference.clone(), path.clone());
                        next.push(reference.clone());
                    }
                }
            }
            walk.infos.push(info);
        }
        round = next;
    }
    Ok(walk)
}

fn missing(store: &dyn Store, path: StorePath, referrer: Option<&StorePath>) -> CopyError {
    match referrer {
        Some(referrer) => {
            CopyError::IncompleteSource { source_store: store.to_string(), referrer: referrer.clone(), path }
        }
        None => StoreError::InvalidPath { store: store.to_string(), path }.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_store::{MemoryStore, path};

    #[tokio::test]
    async fn a_diamond_is_walked_once() {
        let store = MemoryStore::new("source");
        store.insert("a", &["b", "c", "a"]);
        store.insert("b", &["d"]);
        store.insert("c", &["d"]);
        store.insert("d", &[]);
        let infos = closure(&store, &[path("a")], true).await.unwrap();
        let names: Vec<_> = infos.iter().map(|info| info.path.name().to_owned()).collect();
        assert_eq!(names, ["a", "b", "c", "d"]);
        assert_eq!(closure(&store, &[path("a"), path("a")], false).await.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn what_is_known_is_not_asked_for() {
        let store = MemoryStore::new("source");
        store.insert("a", &["b", "c"]);
        store.insert("c", &[]);
        // The store does not have 'b' and what it refers to: whoever asked would be told so.
        let walked = walk(&store, &[path("a")], true, &HashSet::from([path("b")]), false).await.unwrap();
        let names: Vec<_> = walked.infos.iter().map(|info| info.path.name().to_owned()).collect();
        assert_eq!((names, walked.known), (vec!["a".to_owned(), "c".to_owned()], 1));
        assert_eq!(walked.referrers.get(&path("c")), Some(&path("a")));
    }

    #[tokio::test]
    async fn a_hole_names_who_needs_it() {
        let store = MemoryStore::new("source");
        store.insert("a", &["b"]);
        let error = closure(&store, &[path("a")], true).await.unwrap_err();
        assert!(
            matches!(&error, CopyError::IncompleteSource { referrer, path: hole, .. }
                if *referrer == path("a") && *hole == path("b")),
            "{error}"
        );
        let error = closure(&store, &[path("nowhere")], true).await.unwrap_err();
        assert!(matches!(error, CopyError::Store(StoreError::InvalidPath { .. })), "{error}");
    }

    #[tokio::test]
    async fn closures_are_walked_at_once_and_each_is_complete_or_told() {
        let store = MemoryStore::new("source");
        store.insert("sound", &["shared", "sound"]);
        store.insert("deep", &["holed", "shared"]);
        store.insert("holed", &["hole", "only"]);
        store.insert("shared", &[]);
        store.insert("only", &[]);
        let roots = ["deep", "sound", "nowhere", "holed"].map(path);
        let found = closures(&store, &roots).await.unwrap();
        let mut names: Vec<_> = found.infos.iter().map(|info| info.path.name()).collect();
        names.sort_unstable();
        assert_eq!(names, ["shared", "sound"], "nothing that only what is incomplete refers to");
        let lacking: Vec<_> = found.incomplete.iter().map(|(root, _)| root.name()).collect();
        assert_eq!(lacking, ["deep", "nowhere", "holed"]);
        for (root, error) in &found.incomplete {
            match error {
                CopyError::IncompleteSource { referrer, path: hole, .. } => {
                    assert!(*hole == path("hole") && *referrer == path("holed"), "{root}: {error}");
                }
                CopyError::Store(StoreError::InvalidPath { path: itself, .. }) => assert_eq!(itself, root),
                other => panic!("{other}"),
            }
        }
        assert!(closures(&store, &[]).await.unwrap().infos.is_empty());
    }
}
