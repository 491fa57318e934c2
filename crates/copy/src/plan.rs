//! What has to be copied, and in which order.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use nars3_narinfo::PathInfo;
use nars3_store_api::{NarOrder, Store, StoreError};
use nars3_store_path::StorePath;

use crate::closure::walk;
use crate::failures::{missing_reference, missing_references, take_out};
use crate::publication::references_first;
use crate::{CopyError, CopyOptions, FailedPath, LeftOut};

/// What a copy is going to do.
#[derive(Debug)]
#[non_exhaustive]
pub struct Plan {
    /// The paths to copy, in the order in which their NARs are to be sent.
    pub paths: Vec<Arc<PathInfo>>,
    /// Paths of the closure that the destination has already.
    pub present: usize,
    /// Those of them that the destination itself has confirmed just now.
    pub confirmed: Vec<StorePath>,
    /// Paths that the destination lacks and that are not copied all the same.
    pub left_out: Vec<LeftOut>,
    /// Paths that cannot be copied, which is known before anything is sent; with `keep_going` only, as otherwise there is
    /// no plan then.
    pub failed: Vec<FailedPath>,
    /// For each path that was not named, the path that it was reached from.
    pub referrers: HashMap<StorePath, StorePath>,
}

impl Plan {
    /// The sum of NarSize of the paths to copy, in bytes.
    pub fn nar_bytes(&self) -> u64 {
        self.paths.iter().map(|info| info.nar_size).fold(0, u64::saturating_add)
    }
}

/// Finds out what of `roots`, and of what they refer to, `destination` lacks. Reads from both, and writes to neither;
/// but with `substitute` the destination may fetch paths from its own substituters.
pub async fn plan(
    source: &Arc<dyn Store>,
    destination: &Arc<dyn Store>,
    roots: &[StorePath],
    options: &CopyOptions,
) -> Result<Plan, CopyError> {
    if source.store_dir() != destination.store_dir() {
        return Err(CopyError::StoreDirsDiffer {
            source_store: source.to_string(),
            source_dir: source.store_dir().to_string(),
            destination: destination.to_string(),
            destination_dir: destination.store_dir().to_string(),
        });
    }
    let selection = &options.selection;
    // What is to be replaced is asked for whatever is known.
    let nothing = HashSet::new();
    let known = match options.repair {
        false if are_there(destination.as_ref(), roots, &selection.known).await? => &*selection.known,
        _ => &nothing,
    };
    let walked = walk(source.as_ref(), roots, options.recursive, known, options.keep_going).await?;
    if !options.keep_going {
        walked.ensure_complete(source.as_ref())?;
    }
    let invalid = |path: StorePath| FailedPath {
        error: Some(StoreError::InvalidPath { store: source.to_string(), path: path.clone() }),
        path,
    };
    let mut failed: Vec<FailedPath> = walked.holes.into_iter().map(invalid).collect();
    let (missing, confirmed) = if options.repair {
        (walked.infos, Vec::new())
    } else {
        missing(destination.as_ref(), walked.infos, options.substitute).await?
    };
    // Sorted in any case: a circle of references has to be found before anything is sent.
    let missing = references_first(&missing).map_err(|paths| CopyError::Cycle { paths })?;
    let (mut paths, left_out) = selection.apply(missing, source.store_dir()).await?;
    take_out(&mut paths, HashMap::new(), &mut failed);
    if !options.recursive {
        // Better known before a NAR is sent than after.
        let missing = missing_references(destination.as_ref(), &paths, options).await?;
        let error =
            |path: &StorePath| Some(missing_reference(destination.as_ref(), path, missing.get(path)?));
        if !options.keep_going
            && let Some(error) = paths.iter().find_map(|info| error(&info.path))
        {
            return Err(error.into());
        }
        let errors = missing.keys().filter_map(|path| Some((path.clone(), error(path)?))).collect();
        take_out(&mut paths, errors, &mut failed);
    }
    if destination.write_behaviour().nar_order == NarOrder::Any {
        sort_for_sending(&mut paths);
    }
    let present = confirmed.len() + walked.known;
    Ok(Plan { paths, present, confirmed, left_out, failed, referrers: walked.referrers })
}

/// NARs below this size (bytes) count as equally large.
const SMALL: u64 = 4 << 20;

/// Sorts paths, which are in the order of their references, into the order in which their NARs are sent: the largest
/// first, as the last NAR under way should be a short one; of those of about the same size, the one first that the
/// longest chain of others waits for, as their narinfos can only follow one after another.
fn sort_for_sending(paths: &mut [Arc<PathInfo>]) {
    let mut heights: HashMap<StorePath, u32> = HashMap::with_capacity(paths.len());
    for info in paths.iter().rev() {
        let above = heights.get(&info.path).copied().unwrap_or(0) + 1;
        for reference in info.references.iter().filter(|reference| **reference != info.path) {
            match heights.get_mut(reference) {
                Some(height) => *height = above.max(*height),
                None => drop(heights.insert(reference.clone(), above)),
            }
        }
    }
    paths.sort_by_cached_key(|info| {
        let class = (info.nar_size / SMALL).checked_ilog2().map_or(0, |power| power + 1);
        Reverse((class, heights.get(&info.path).copied().unwrap_or(0), info.nar_size))
    });
}

/// Whether the destination still has those of `roots` that are `known` to be there: a collector may have been at work since.
/// If not, nothing that is known is believed. For what else has gone, publishing makes sure of references; but of a root
/// nobody would notice.
async fn are_there(
    destination: &dyn Store,
    roots: &[StorePath],
    known: &HashSet<StorePath>,
) -> Result<bool, CopyError> {
    let roots: Vec<StorePath> = roots.iter().filter(|root| known.contains(*root)).cloned().collect();
    Ok(roots.is_empty() || destination.valid_paths(&roots).await?.len() == roots.len())
}

/// Parts `infos` into those that the destination lacks, and the paths that it has.
async fn missing(
    destination: &dyn Store,
    infos: Vec<Arc<PathInfo>>,
    substitute: bool,
) -> Result<(Vec<Arc<PathInfo>>, Vec<StorePath>), CopyError> {
    let paths: Vec<StorePath> = infos.iter().map(|info| info.path.clone()).collect();
    let valid = if substitute {
        destination.substitute(&paths).await?
    } else {
        destination.valid_paths(&paths).await?
    };
    let known: HashSet<&StorePath> = valid.iter().collect();
    let missing = infos.into_iter().filter(|info| !known.contains(&info.path)).collect();
    Ok((missing, valid))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use nars3_store_path::SecretKey;

    use super::*;
    use crate::test_store::{MemoryStore, info, path};
    use crate::{Omission, Signer};

    fn stores(from: MemoryStore, to: MemoryStore) -> (Arc<dyn Store>, Arc<dyn Store>) {
        (Arc::new(from), Arc::new(to))
    }

    /// `app` refers to `tool` and `library`, which refer to `base`.
    fn closure_of_four() -> MemoryStore {
        let store = MemoryStore::new("source");
        store.insert("app", &["tool", "library"]);
        store.insert("tool", &["base"]);
        store.insert("library", &["base"]);
        store.insert("base", &[]);
        store
    }

    fn names(paths: impl IntoIterator<Item = StorePath>) -> BTreeSet<String> {
        paths.into_iter().map(|path| path.name().to_owned()).collect()
    }

    fn planned(plan: &Plan) -> BTreeSet<String> {
        names(plan.paths.iter().map(|info| info.path.clone()))
    }

    fn omission(plan: &Plan, name: &str) -> Omission {
        plan.left_out.iter().find(|one| one.path == path(name)).unwrap().why.clone()
    }

    #[tokio::test]
    async fn what_is_excluded_takes_along_what_refers_to_it() {
        let (source, destination) = stores(closure_of_four(), MemoryStore::new("destination"));
        let mut options = CopyOptions::default();
        options.selection.exclude = Some(Arc::new(|path: &StorePath| path.name() == "library"));
        let plan = plan(&source, &destination, &[path("app")], &options).await.unwrap();
        assert_eq!(planned(&plan), names([path("base"), path("tool")]));
        assert_eq!(omission(&plan, "library"), Omission::Excluded);
        assert_eq!(omission(&plan, "app"), Omission::RefersToExcluded { reference: path("library") });
    }

    #[tokio::test]
    async fn what_is_excluded_but_there_takes_nothing_along() {
        let there = MemoryStore::new("destination");
        there.insert("base", &[]);
        there.insert("library", &["base"]);
        let (source, destination) = stores(closure_of_four(), there);
        let mut options = CopyOptions::default();
        options.selection.exclude = Some(Arc::new(|path: &StorePath| path.name() == "library"));
        let plan = plan(&source, &destination, &[path("app")], &options).await.unwrap();
        assert_eq!(planned(&plan), names([path("app"), path("tool")]));
        assert!(plan.left_out.is_empty());
    }

    #[tokio::test]
    async fn what_an_upstream_has_stays_there_and_takes_nothing_along() {
        let (source, destination) = stores(closure_of_four(), MemoryStore::new("destination"));
        let upstream = MemoryStore::new("upstream");
        upstream.insert("base", &[]);
        upstream.insert("library", &["base"]);
        let mut options = CopyOptions::default();
        options.selection.upstreams = vec![Arc::new(upstream)];
        let plan = plan(&source, &destination, &[path("app")], &options).await.unwrap();
        assert_eq!(planned(&plan), names([path("app"), path("tool")]));
        assert_eq!(omission(&plan, "base"), Omission::Upstream { store: "upstream".to_owned() });
    }

    #[tokio::test]
    async fn only_what_was_signed_is_looked_for_upstream() {
        let key = SecretKey::from_seed("upstream-1", [3; 32]).unwrap();
        let source = MemoryStore::new("source");
        let upstream = MemoryStore::new("upstream");
        for (name, signed) in [("ours", false), ("theirs", true)] {
            let (mut info, nar) = info(name, &[]);
            if signed {
                info.sign(source.store_dir(), &key).unwrap();
            }
            source.insert_info(info, nar);
            upstream.insert(name, &[]);
        }
        let (source, destination) = stores(source, MemoryStore::new("destination"));
        let upstream: Arc<dyn Store> = Arc::new(upstream);
        for signer in [Signer::Key(Box::new(key.public_key())), Signer::Name("upstream-1".to_owned())] {
            let mut options = CopyOptions::default();
            options.selection.upstreams = vec![Arc::clone(&upstream)];
            options.selection.signed_by = vec![signer];
            let plan = plan(&source, &destination, &[path("ours"), path("theirs")], &options).await.unwrap();
            assert_eq!(planned(&plan), names([path("ours")]));
        }
    }

    #[tokio::test]
    async fn a_path_that_is_known_to_be_there_ends_the_walk() {
        let source = MemoryStore::new("source");
        source.insert("app", &["tool"]);
        let (source, destination) = stores(source, MemoryStore::new("destination"));
        let mut options = CopyOptions::default();
        options.selection.known = Arc::new([path("tool")].into());
        let plan = plan(&source, &destination, &[path("app")], &options).await.unwrap();
        assert_eq!((planned(&plan), plan.present), (names([path("app")]), 1));
    }

    #[tokio::test]
    async fn a_root_that_has_gone_is_copied_whatever_is_known() {
        let (source, destination) = stores(closure_of_four(), MemoryStore::new("destination"));
        let mut options = CopyOptions::default();
        options.selection.known = Arc::new(["app", "tool", "library", "base"].map(path).into());
        let plan = plan(&source, &destination, &[path("app")], &options).await.unwrap();
        assert_eq!(planned(&plan), names(["app", "tool", "library", "base"].map(path)));
    }

    #[tokio::test]
    async fn without_the_closure_a_missing_reference_is_found_before_anything_is_sent() {
        let there = MemoryStore::new("destination");
        there.insert("library", &[]);
        let (source, destination) = stores(closure_of_four(), there);
        let mut options = CopyOptions { recursive: false, ..CopyOptions::default() };
        let error = plan(&source, &destination, &[path("app")], &options).await.unwrap_err();
        assert!(
            matches!(&error, CopyError::Store(StoreError::MissingReference { reference, .. })
                if *reference == path("tool")),
            "{error}"
        );
        let upstream = MemoryStore::new("upstream");
        upstream.insert("tool", &[]);
        options.selection.upstreams = vec![Arc::new(upstream)];
        plan(&source, &destination, &[path("app")], &options).await.unwrap();
    }

    #[tokio::test]
    async fn who_goes_on_learns_what_fails_and_plans_the_rest() {
        let source = closure_of_four();
        source.insert("broken", &["hole", "base"]);
        source.insert("above", &["broken"]);
        let (source, destination) = stores(source, MemoryStore::new("destination"));
        let options = CopyOptions { keep_going: true, ..CopyOptions::default() };
        let roots = [path("nowhere"), path("above"), path("tool")];
        let plan = plan(&source, &destination, &roots, &options).await.unwrap();
        assert_eq!(planned(&plan), names([path("tool"), path("base")]));
        let failed: Vec<(&str, bool)> =
            plan.failed.iter().map(|one| (one.path.name(), one.error.is_some())).collect();
        assert_eq!(failed, [("nowhere", true), ("hole", true), ("broken", false), ("above", false)]);
    }

    #[tokio::test]
    async fn without_the_closure_what_lacks_a_reference_is_not_sent() {
        let (source, destination) = stores(closure_of_four(), MemoryStore::new("destination"));
        let options = CopyOptions { recursive: false, keep_going: true, ..CopyOptions::default() };
        let plan = plan(&source, &destination, &["app", "tool", "base"].map(path), &options).await.unwrap();
        assert_eq!(planned(&plan), names([path("tool"), path("base")]));
        assert!(
            matches!(
                plan.failed.as_slice(),
                [FailedPath { error: Some(StoreError::MissingReference { .. }), .. }]
            ),
            "{:?}",
            plan.failed
        );
    }

    #[tokio::test]
    async fn only_what_is_missing_is_planned() {
        let source = MemoryStore::new("source");
        source.insert("small", &[]);
        source.insert("a-much-longer-name-makes-a-larger-nar", &["small", "there"]);
        source.insert("there", &[]);
        let destination = MemoryStore::new("destination");
        destination.insert("there", &[]);
        let (source, destination) = stores(source, destination);
        let roots = [path("a-much-longer-name-makes-a-larger-nar")];
        let plan = plan(&source, &destination, &roots, &CopyOptions::default()).await.unwrap();
        let names: Vec<_> = plan.paths.iter().map(|info| info.path.name()).collect();
        assert_eq!(names, ["small", "a-much-longer-name-makes-a-larger-nar"], "the others wait for it");
        assert_eq!(plan.present, 1);
        assert_eq!(plan.nar_bytes(), plan.paths.iter().map(|info| info.nar_size).sum::<u64>());
    }

    #[test]
    fn the_largest_go_first_and_then_what_others_wait_for() {
        let sized = |name: &str, references: &[&str], nar_size| {
            let mut info = info(name, references).0;
            info.nar_size = nar_size;
            Arc::new(info)
        };
        // In the order of the references.
        let mut paths = vec![
            sized("base", &[], 10),
            sized("middle", &["base"], 3 << 20),
            sized("large", &["middle"], 9 << 20),
            sized("huge", &["large"], 500 << 20),
            sized("alone", &[], 20),
            sized("top", &["huge", "top"], 30),
        ];
        sort_for_sending(&mut paths);
        let names: Vec<_> = paths.iter().map(|info| info.path.name()).collect();
        assert_eq!(names, ["huge", "large", "base", "middle", "top", "alone"]);
    }
}
