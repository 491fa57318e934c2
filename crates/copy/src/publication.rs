//! Which staged paths may become visible next. A pure piece of bookkeeping, so that the rule "no path before its
//! references" can be tested without a store.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use nars3_narinfo::PathInfo;
use nars3_store_path::StorePath;

/// The order of publication of one plan. References that are not part of the plan count as valid at the destination;
/// the destination itself checks that.
#[derive(Debug)]
pub(crate) struct PublicationOrder {
    /// For each path, how many of its references in the plan have not been passed yet, plus one while it is not staged.
    waiting_for: HashMap<StorePath, usize>,
    /// For each path, the paths of the plan that refer to it.
    referrers: HashMap<StorePath, Vec<StorePath>>,
}

impl PublicationOrder {
    pub(crate) fn new(plan: &[Arc<PathInfo>]) -> Self {
        let planned: HashSet<&StorePath> = plan.iter().map(|info| &info.path).collect();
        let mut waiting_for = HashMap::with_capacity(plan.len());
        let mut referrers: HashMap<StorePath, Vec<StorePath>> = HashMap::with_capacity(plan.len());
        for info in plan {
            let mut count = 1;
            for reference in info.references.iter().filter(|reference| **reference != info.path) {
                if planned.contains(reference) {
                    referrers.entry(reference.clone()).or_default().push(info.path.clone());
                    count += 1;
                }
            }
            waiting_for.insert(info.path.clone(), count);
        }
        Self { waiting_for, referrers }
    }

    /// `path` has been staged: is it ready now?
    pub(crate) fn staged(&mut self, path: &StorePath) -> bool {
        self.count_down(path)
    }

    /// `path` has passed (it is visible, or will be in the same batch): which staged paths are ready because of that?
    pub(crate) fn passed(&mut self, path: &StorePath) -> Vec<StorePath> {
        let referrers = self.referrers.remove(path).unwrap_or_default();
        referrers.into_iter().filter(|referrer| self.count_down(referrer)).collect()
    }

    /// Are all references of `path` in the plan visible, so that only its own NAR is missing?
    pub(crate) fn only_waits_for_itself(&self, path: &StorePath) -> bool {
        self.waiting_for.get(path) == Some(&1)
    }

    /// `path` has failed: it, and every path that depends on it, leave the order. Gives the dependants.
    pub(crate) fn failed(&mut self, path: &StorePath) -> Vec<StorePath> {
        self.waiting_for.remove(path);
        let mut dependants = Vec::new();
        let mut open = vec![path.clone()];
        while let Some(path) = open.pop() {
            for referrer in self.referrers.remove(&path).unwrap_or_default() {
                if self.waiting_for.remove(&referrer).is_some() {
                    dependants.push(referrer.clone());
                    open.push(referrer);
                }
            }
        }
        dependants
    }

    /// Is `path` still to be published?
    pub(crate) fn contains(&self, path: &StorePath) -> bool {
        self.waiting_for.contains_key(path)
    }

    fn count_down(&mut self, path: &StorePath) -> bool {
        match self.waiting_for.get_mut(path) {
            Some(count) => {
                *count = count.saturating_sub(1);
                *count == 0
            }
            None => false,
        }
    }
}

/// The plan in an order in which every path comes after its references, or the paths for which there is none.
pub(crate) fn references_first(plan: &[Arc<PathInfo>]) -> Result<Vec<Arc<PathInfo>>, Vec<StorePath>> {
    let mut order = PublicationOrder::new(plan);
    let infos: HashMap<&StorePath, &Arc<PathInfo>> = plan.iter().map(|info| (&info.path, info)).collect();
    let mut ready: Vec<StorePath> =
        plan.iter().rev().filter(|info| order.staged(&info.path)).map(|info| info.path.clone()).collect();
    let mut sorted = Vec::with_capacity(plan.len());
    while let Some(path) = ready.pop() {
        ready.extend(order.passed(&path));
        if let Some(info) = infos.get(&path) {
            sorted.push(Arc::clone(info));
        }
    }
    if sorted.len() == plan.len() {
        return Ok(sorted);
    }
    let placed: HashSet<&StorePath> = sorted.iter().map(|info| &info.path).collect();
    Err(plan.iter().map(|info| &info.path).filter(|path| !placed.contains(path)).cloned().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_store::{info, path};

    fn plan(shape: &[(&str, &[&str])]) -> Vec<Arc<PathInfo>> {
        shape.iter().map(|(name, references)| Arc::new(info(name, references).0)).collect()
    }

    #[test]
    fn a_path_waits_for_its_nar_and_for_its_references() {
        let plan = plan(&[("a", &["b", "a", "elsewhere"]), ("b", &[])]);
        let mut order = PublicationOrder::new(&plan);
        assert!(!order.staged(&path("a")), "b is not visible yet");
        assert!(order.staged(&path("b")));
        assert_eq!(order.passed(&path("b")), [path("a")]);
        assert!(order.passed(&path("a")).is_empty());
    }

    #[test]
    fn a_failure_takes_the_dependants_along_and_nothing_else() {
        let plan = plan(&[("a", &["b"]), ("b", &["c"]), ("c", &[]), ("d", &[])]);
        let mut order = PublicationOrder::new(&plan);
        let mut dependants = order.failed(&path("c"));
        dependants.sort();
        let mut expected = vec![path("a"), path("b")];
        expected.sort();
        assert_eq!(dependants, expected);
        assert!(order.contains(&path("d")) && !order.contains(&path("a")));
        assert!(order.staged(&path("d")));
        assert!(!order.staged(&path("a")));
    }

    #[test]
    fn references_come_first_and_circles_are_found() {
        let chain = plan(&[("a", &["b"]), ("b", &["c"]), ("c", &["c"])]);
        let names: Vec<_> =
            references_first(&chain).unwrap().iter().map(|info| info.path.name().to_owned()).collect();
        assert_eq!(names, ["c", "b", "a"]);
        let circle = plan(&[("a", &["b"]), ("b", &["a"]), ("c", &[])]);
        let mut stuck = references_first(&circle).unwrap_err();
        stuck.sort();
        let mut expected = vec![path("a"), path("b")];
        expected.sort();
        assert_eq!(stuck, expected);
    }
}
