//! `nars3 store sign`, `nars3 store copy-sigs`.

use futures::stream::{StreamExt, TryStreamExt};
use nars3_narinfo::PathInfo;
use nars3_store_api::Store;
use nars3_store_path::{SecretKey, Signature, StorePath};

use super::cache;
use crate::args::{StoreCopySigsArgs, StoreSignArgs};
use crate::commands::path_info::all_paths;
use crate::error::{CliError, CliResult};
use crate::installable::store_path;
use crate::output::{count, print_line};
use crate::run::Context;
use crate::settings::secret_keys;
use crate::stores::{Purpose, open_store};

/// Narinfos that are rewritten at once.
const AT_ONCE: usize = 16;

pub(super) async fn sign(args: &StoreSignArgs, context: &Context) -> CliResult {
    let cache = cache(open_store(&args.store, Purpose::WRITE, context).await?, "sign")?;
    let files = args.key_file.iter().map(std::path::PathBuf::as_path);
    let keys = secret_keys(files, &context.environment, &context.nix)?;
    if keys.is_empty() {
        return Err(CliError::new("there is no key to sign with")
            .hint("name its file with --key-file, or put the key into NARS3_SECRET_KEY"));
    }
    let roots = paths(&args.paths, args.all, cache.as_ref()).await?;
    let infos = nars3_copy::closure(cache.as_ref(), &roots, args.recursive).await?;
    let (cache, keys) = (&cache, &keys);
    let added: usize = futures::stream::iter(infos)
        .map(|info| async move {
            let signatures = signatures(&info, cache.as_ref(), keys)?;
            Ok::<_, CliError>(cache.add_signatures(&info.path, &signatures).await?)
        })
        .buffer_unordered(AT_ONCE)
        .try_fold(0, async |sum, added| Ok(sum + added))
        .await?;
    print_line(format_args!("added {}", count(added as u64, "signature")))
}

fn signatures(info: &PathInfo, store: &dyn Store, keys: &[SecretKey]) -> CliResult<Vec<Signature>> {
    let fingerprint = info.fingerprint(store.store_dir())?;
    Ok(keys.iter().map(|key| key.sign(fingerprint.as_bytes())).collect())
}

/// Adds to the paths of a cache the signatures that they have in other stores.
pub(super) async fn copy_sigs(args: &StoreCopySigsArgs, context: &Context) -> CliResult {
    let cache = cache(open_store(&args.store, Purpose::WRITE, context).await?, "copy-sigs")?;
    let roots = paths(&args.paths, args.all, cache.as_ref()).await?;
    let infos = nars3_copy::closure(cache.as_ref(), &roots, args.recursive).await?;
    let mut added = 0;
    for from in &args.substituter {
        let source = open_store(from, Purpose::Inspect, context).await?.store;
        let paths: Vec<StorePath> = infos.iter().map(|info| info.path.clone()).collect();
        let theirs = source.path_infos(&paths).await?;
        for ours in &infos {
            let Some(theirs) = theirs.get(&ours.path) else { continue };
            if !is_signed_alike(ours, theirs) {
                continue;
            }
            let new: Vec<Signature> = theirs.signatures.difference(&ours.signatures).cloned().collect();
            if !new.is_empty() {
                added += cache.add_signatures(&ours.path, &new).await?;
            }
        }
    }
    print_line(format_args!("added {}", count(added as u64, "signature")))
}

/// Whether a signature of one is one of the other: it is over contents and references.
fn is_signed_alike(one: &PathInfo, other: &PathInfo) -> bool {
    one.nar_hash == other.nar_hash && one.nar_size == other.nar_size && one.references == other.references
}

/// The store paths that a command names, or all of the store.
pub(super) async fn paths(
    named: &[std::path::PathBuf],
    all: bool,
    store: &dyn Store,
) -> CliResult<Vec<StorePath>> {
    if all {
        all_paths(store).await
    } else {
        named.iter().map(|path| store_path(path, store.store_dir())).collect()
    }
}

#[cfg(test)]
mod tests {
    use nars3_store_path::{Algorithm, Hash};

    use super::*;

    #[test]
    fn signatures_are_over_contents_and_references() {
        let path: StorePath = "g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-foo".parse().unwrap();
        let ours = PathInfo::new(path.clone(), Hash::digest(Algorithm::Sha256, b"nar"), 3);
        let mut theirs = ours.clone();
        theirs.deriver = Some("g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-foo.drv".parse().unwrap());
        assert!(is_signed_alike(&ours, &theirs));
        theirs.references.insert(path);
        assert!(!is_signed_alike(&ours, &theirs));
    }
}
