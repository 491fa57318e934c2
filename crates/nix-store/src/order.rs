//! The order in which the paths of a batch can become valid.

use std::collections::{HashMap, VecDeque};

use nars3_narinfo::PathInfo;
use nars3_store_path::StorePath;

use crate::LocalStoreError;

/// The places of `infos`, such that each path comes after those of its references that are among them. A path may
/// refer to itself, but to no other path in a circle: Nix refuses such paths, because a collector could never delete
/// them.
pub(crate) fn references_first(infos: &[&PathInfo]) -> Result<Vec<usize>, LocalStoreError> {
    let places: HashMap<&StorePath, usize> =
        infos.iter().enumerate().map(|(place, info)| (&info.path, place)).collect();
    let mut waiting_for = vec![0_usize; infos.len()];
    let mut referrers: Vec<Vec<usize>> = vec![Vec::new(); infos.len()];
    for (place, info) in infos.iter().enumerate() {
        for reference in info.references.iter().filter_map(|path| places.get(path)) {
            if *reference == place {
                continue;
            }
            if let (Some(count), Some(list)) = (waiting_for.get_mut(place), referrers.get_mut(*reference)) {
                *count += 1;
                list.push(place);
            }
        }
    }
    let mut ready: VecDeque<usize> =
        waiting_for.iter().enumerate().filter(|(_, count)| **count == 0).map(|(place, _)| place).collect();
    let mut order = Vec::with_capacity(infos.len());
    while let Some(place) = ready.pop_front() {
        order.push(place);
        for &referrer in referrers.get(place).into_iter().flatten() {
            if let Some(count) = waiting_for.get_mut(referrer) {
                *count -= 1;
                if *count == 0 {
                    ready.push_back(referrer);
                }
            }
        }
    }
    // What still waits is on a circle, or behind one.
    match waiting_for.iter().zip(infos).find(|(count, _)| **count > 0) {
        Some((_, info)) => Err(LocalStoreError::ReferenceCycle { path: info.path.clone() }),
        None => Ok(order),
    }
}

#[cfg(test)]
mod tests {
    use nars3_store_path::Hash;

    use super::*;

    fn path(letter: char) -> StorePath {
        let name: String = std::iter::repeat_n(letter, 32).chain("-x".chars()).collect();
        StorePath::from_base_name(&name).expect("well-formed")
    }

    fn info(letter: char, references: &str) -> PathInfo {
        let mut info = PathInfo::new(path(letter), Hash::sha256([0; 32]), 1);
        info.references = references.chars().map(path).collect();
        info
    }

    fn order(infos: &[PathInfo]) -> Result<Vec<usize>, LocalStoreError> {
        references_first(&infos.iter().collect::<Vec<_>>())
    }

    #[test]
    fn references_come_first() {
        let infos = [info('a', "bc"), info('b', "c"), info('c', "")];
        assert_eq!(order(&infos).expect("no circle"), [2, 1, 0]);
    }

    #[test]
    fn a_path_may_refer_to_itself_and_to_what_is_not_in_the_batch() {
        assert_eq!(order(&[info('a', "az")]).expect("no circle"), [0]);
    }

    #[test]
    fn a_circle_is_refused() {
        let infos = [info('a', "b"), info('b', "a")];
        assert!(matches!(order(&infos), Err(LocalStoreError::ReferenceCycle { .. })));
    }
}
