//! Path infos that do not admit their path, asked for once more: stores remember, and a signature may have been added since.

use std::sync::Arc;

use nars3_narinfo::PathInfo;
use nars3_store_api::{Store, StoreError, WriteBehaviour};
use nars3_store_path::{PublicKeys, StorePath};

use crate::CopyError;
use crate::admission::admit;

/// Sees to it that `behaviour` admits all of `paths`, before any NAR travels: a closure that will be refused should not be
/// downloaded first. Path infos that were out of date are replaced.
pub(crate) async fn admit_all(
    source: &Arc<dyn Store>,
    destination: &Arc<dyn Store>,
    paths: &mut [Arc<PathInfo>],
    behaviour: &WriteBehaviour,
) -> Result<(), CopyError> {
    if let Some(keys) = &behaviour.required_signatures {
        let gate = Gate {
            source: Arc::clone(source),
            destination: Arc::clone(destination),
            keys: Some(Arc::clone(keys)),
        };
        let mut refused = gate.refused(paths).await?;
        // One that is refused still is reason enough to ask for no more.
        if let Some((first, error)) = refused.pop() {
            if !renew(source.as_ref(), paths, &[first]).await? {
                return Err(error.into());
            }
            gate.admit(&paths[first])?;
            let rest: Vec<usize> = refused.into_iter().map(|(index, _)| index).collect();
            renew(source.as_ref(), paths, &rest).await?;
            let again: Vec<_> = rest.iter().map(|index| Arc::clone(&paths[*index])).collect();
            if let Some((_, error)) = gate.refused(&again).await?.pop() {
                return Err(error.into());
            }
        }
    } else if behaviour.judges_signatures {
        renew_unsigned(source.as_ref(), paths).await?;
    }
    Ok(())
}

/// Asks anew for what certainly is refused wherever signatures count.
async fn renew_unsigned(source: &dyn Store, paths: &mut [Arc<PathInfo>]) -> Result<(), StoreError> {
    let unsigned: Vec<usize> = (0..paths.len())
        .filter(|index| paths[*index].signatures.is_empty() && paths[*index].ca.is_none())
        .collect();
    renew(source, paths, &unsigned).await.map(drop)
}

/// The path info with which a path is admitted, the one at hand or a newer one.
pub(crate) async fn admit_one(
    source: &dyn Store,
    destination: &dyn Store,
    info: Arc<PathInfo>,
    keys: Option<&PublicKeys>,
) -> Result<Arc<PathInfo>, StoreError> {
    let (from, to) = (source.to_string(), destination.to_string());
    let Err(refusal) = admit(&info, source.store_dir(), keys, &from, &to) else { return Ok(info) };
    let mut infos = [info];
    if !renew(source, &mut infos, &[0]).await? {
        return Err(refusal);
    }
    let [info] = infos;
    admit(&info, source.store_dir(), keys, &from, &to)?;
    Ok(info)
}

/// Asks anew for the path infos at `indices`, and replaces those that have changed. Whether there are any. Of what has other
/// contents or references by now, the plan knows nothing: that stays as it was.
async fn renew(
    source: &dyn Store,
    paths: &mut [Arc<PathInfo>],
    indices: &[usize],
) -> Result<bool, StoreError> {
    if indices.is_empty() {
        return Ok(false);
    }
    let asked: Vec<StorePath> = indices.iter().map(|index| paths[*index].path.clone()).collect();
    let fresh = source.fresh_path_infos(&asked).await?;
    let mut changed = false;
    for index in indices {
        let Some(new) = fresh.get(&paths[*index].path) else { continue };
        if **new != *paths[*index] && is_same_object(new, &paths[*index]) {
            paths[*index] = Arc::clone(new);
            changed = true;
        }
    }
    Ok(changed)
}

fn is_same_object(one: &PathInfo, other: &PathInfo) -> bool {
    one.nar_hash == other.nar_hash && one.nar_size == other.nar_size && one.references == other.references
}

/// Who comes in.
struct Gate {
    source: Arc<dyn Store>,
    destination: Arc<dyn Store>,
    keys: Option<Arc<PublicKeys>>,
}

impl Gate {
    fn admit(&self, info: &PathInfo) -> Result<(), StoreError> {
        let (from, to) = (self.source.to_string(), self.destination.to_string());
        admit(info, self.source.store_dir(), self.keys.as_deref(), &from, &to)
    }

    /// Those of `paths` that are refused, the first of them last.
    async fn refused(&self, paths: &[Arc<PathInfo>]) -> Result<Vec<(usize, StoreError)>, CopyError> {
        let (paths, keys) = (paths.to_vec(), self.keys.clone());
        let (source, destination) = (Arc::clone(&self.source), Arc::clone(&self.destination));
        tokio::task::spawn_blocking(move || {
            let gate = Self { source, destination, keys };
            let refused = paths.iter().enumerate().rev();
            refused.filter_map(|(index, info)| Some((index, gate.admit(info).err()?))).collect()
        })
        .await
        .map_err(|error| CopyError::TaskDied { reason: error.to_string() })
    }
}

#[cfg(test)]
mod tests {
    use nars3_store_path::SecretKey;

    use super::*;
    use crate::test_store::{MemoryStore, info, path};
    use crate::{CopyOptions, copy};

    /// Keys are required, and the source remembers all paths as they were before somebody signed some of them.
    fn stores(names: &[&str], signed: &[&str]) -> (Arc<MemoryStore>, Arc<MemoryStore>) {
        let key = SecretKey::from_seed("key-1", [7; 32]).unwrap();
        let source = MemoryStore::new("source");
        for name in names {
            let (mut info, nar) = info(name, &[]);
            source.remember(&info);
            if signed.contains(name) {
                info.sign(&source.store_dir().clone(), &key).unwrap();
            }
            source.insert_info(info, nar);
        }
        let mut destination = MemoryStore::new("destination");
        destination.behaviour.required_signatures =
            Some(Arc::new([key.public_key()].into_iter().collect::<PublicKeys>()));
        (Arc::new(source), Arc::new(destination))
    }

    async fn copied(
        names: &[&str],
        signed: &[&str],
        keep_going: bool,
    ) -> (Result<(), CopyError>, Vec<String>, usize) {
        let (source, destination) = stores(names, signed);
        let roots: Vec<StorePath> = names.iter().map(|name| path(name)).collect();
        let options = CopyOptions { keep_going, check_signatures: true, ..CopyOptions::default() };
        let progress = Arc::new(nars3_store_api::NoProgress);
        let (from, to): (Arc<dyn Store>, Arc<dyn Store>) = (source.clone(), destination.clone());
        let result = copy(&from, &to, &roots, &options, progress).await.map(drop);
        (result, destination.names().into_iter().collect(), source.asked_anew())
    }

    #[tokio::test]
    async fn a_signature_that_came_later_is_seen() {
        for keep_going in [false, true] {
            let names = ["a", "b", "c"];
            let (result, there, asked) = copied(&names, &names, keep_going).await;
            result.unwrap();
            assert_eq!((there, asked), (names.map(str::to_owned).to_vec(), 3), "{keep_going}");
        }
    }

    #[tokio::test]
    async fn one_that_is_refused_still_ends_the_questions() {
        let (result, there, asked) = copied(&["a", "b", "c"], &[], false).await;
        assert!(matches!(result, Err(CopyError::Store(StoreError::Untrusted { .. }))), "{result:?}");
        assert_eq!((there.len(), asked), (0, 1));
        let (result, there, _) = copied(&["a", "b", "c"], &["b"], true).await;
        assert!(matches!(result, Err(CopyError::Partial { .. })), "{result:?}");
        assert_eq!(there, ["b"]);
    }

    #[tokio::test]
    async fn another_object_under_the_same_name_is_not_what_was_planned() {
        let (source, destination) = stores(&["a"], &["a"]);
        let mut other = info("a", &[]).0;
        other.nar_size += 1;
        source.remember(&other);
        let (from, to): (Arc<dyn Store>, Arc<dyn Store>) = (source, destination);
        let options = CopyOptions { check_signatures: true, ..CopyOptions::default() };
        let progress = Arc::new(nars3_store_api::NoProgress);
        let error = copy(&from, &to, &[path("a")], &options, progress).await.unwrap_err();
        assert!(matches!(error, CopyError::Store(StoreError::Untrusted { .. })), "{error}");
    }

    /// Its keys are not known here, but that nobody has signed a path is.
    #[tokio::test]
    async fn a_store_with_rules_of_its_own_gets_what_is_known_now() {
        let (source, _) = stores(&["a", "b"], &["a"]);
        let mut judge = MemoryStore::new("judge");
        judge.behaviour.judges_signatures = true;
        let destination = Arc::new(judge);
        let (from, to): (Arc<dyn Store>, Arc<dyn Store>) = (source.clone(), destination.clone());
        let options = CopyOptions { check_signatures: true, ..CopyOptions::default() };
        let progress = Arc::new(nars3_store_api::NoProgress);
        copy(&from, &to, &[path("a"), path("b")], &options, progress).await.unwrap();
        assert_eq!(source.asked_anew(), 2);
        let signed = destination.path_info(&path("a")).await.unwrap().unwrap();
        assert_eq!(signed.signatures.len(), 1);
    }
}
