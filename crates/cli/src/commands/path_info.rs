//! `nars3 path-info`, with the columns of `nix path-info`.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use futures::TryStreamExt;
use nars3_copy::CopyError;
use nars3_narinfo::PathInfo;
use nars3_narinfo::json::{NarFile, PathInfoDocument, PathInfoEntry, PathInfoFormat};
use nars3_store_api::{Store, StoreError};
use nars3_store_path::StorePath;

use crate::args::PathInfoArgs;
use crate::error::{CliError, CliResult};
use crate::installable::store_path;
use crate::output::{Output, human_bytes, print_line};
use crate::run::Context;
use crate::stores::{OpenedStore, Purpose, open_store};

/// Path infos that `--all` asks for at once.
const CONCURRENT_QUERIES: usize = 64;

pub(crate) async fn run(args: PathInfoArgs, context: &Context) -> CliResult {
    let opened = open_store(&args.store, Purpose::Read, context).await?;
    let store = Arc::clone(&opened.store);
    let roots = roots(&args, store.as_ref()).await?;
    let mut infos = nars3_copy::closure(store.as_ref(), &roots, args.recursive || args.closure_size)
        .await
        .map_err(|error| missing_path(error, &args.store))?;
    let closure: HashMap<StorePath, Arc<PathInfo>> =
        infos.iter().map(|info| (info.path.clone(), Arc::clone(info))).collect();
    if !args.recursive {
        let roots: HashSet<&StorePath> = roots.iter().collect();
        infos.retain(|info| roots.contains(&info.path));
    }
    infos.sort_by(|a, b| a.path.cmp(&b.path));
    if args.json {
        print_json(&infos, &opened, &closure, &args).await
    } else {
        print_lines(&infos, store.as_ref(), &closure, &args)
    }
}

async fn roots(args: &PathInfoArgs, store: &dyn Store) -> CliResult<Vec<StorePath>> {
    if args.all {
        return all_paths(store).await;
    }
    args.paths.iter().map(|path| store_path(path, store.store_dir())).collect()
}

/// All valid paths of a store. A path that is deleted meanwhile is none of them.
pub(crate) async fn all_paths(store: &dyn Store) -> CliResult<Vec<StorePath>> {
    let paths: Vec<Option<StorePath>> = store
        .list()
        .map_ok(|hash_part| async move { store.path_from_hash_part(&hash_part).await })
        .try_buffer_unordered(CONCURRENT_QUERIES)
        .try_collect()
        .await?;
    Ok(paths.into_iter().flatten().collect())
}

/// A path that is not there can be put there.
fn missing_path(error: CopyError, store: &str) -> CliError {
    let missing = matches!(
        error,
        CopyError::Store(StoreError::InvalidPath { .. }) | CopyError::IncompleteSource { .. }
    );
    let error = CliError::from(error);
    if missing { error.hint(format!("'nars3 copy --to {store} PATH' puts a path there")) } else { error }
}

type Closure = HashMap<StorePath, Arc<PathInfo>>;

/// The sum of NarSize over everything `path` refers to, itself included.
fn closure_size(path: &StorePath, closure: &Closure) -> u64 {
    let mut seen = HashSet::from([path]);
    let mut open = vec![path];
    let mut total = 0u64;
    while let Some(info) = open.pop().and_then(|path| closure.get(path)) {
        total = total.saturating_add(info.nar_size);
        open.extend(info.references.iter().filter(|reference| seen.insert(reference)));
    }
    total
}

fn print_lines(
    infos: &[Arc<PathInfo>],
    store: &dyn Store,
    closure: &Closure,
    args: &PathInfoArgs,
) -> CliResult {
    let mut output = Output::stdout();
    let size = |bytes: u64| if args.human_readable { human_bytes(bytes) } else { bytes.to_string() };
    for info in infos {
        let mut line = store.store_dir().print(&info.path);
        if args.size {
            line.push_str(&format!("\t{:>11}", size(info.nar_size)));
        }
        if args.closure_size {
            line.push_str(&format!("\t{:>11}", size(closure_size(&info.path, closure))));
        }
        if args.sigs {
            let ultimate = info.ultimate.then(|| "ultimate".to_owned());
            let ca = info.ca.as_ref().map(|ca| format!("ca:{ca}"));
            let signatures = info.signatures.iter().map(ToString::to_string);
            let words: Vec<_> = ultimate.into_iter().chain(ca).chain(signatures).collect();
            line.push('\t');
            line.push_str(&words.join(" "));
        }
        output.line(line)?;
    }
    output.finish()
}

async fn print_json(
    infos: &[Arc<PathInfo>],
    opened: &OpenedStore,
    closure: &Closure,
    args: &PathInfoArgs,
) -> CliResult {
    let mut document = PathInfoDocument::new(opened.store.store_dir().clone());
    for info in infos {
        let mut entry = PathInfoEntry::from(PathInfo::clone(info));
        if let Some(cache) = &opened.cache {
            // Read a moment ago, so it is remembered; deleted meanwhile, it is printed without its file.
            entry.file = cache.nar_info(&info.path).await?.as_ref().map(NarFile::from);
        }
        entry.closure_size = args.closure_size.then(|| closure_size(&info.path, closure));
        document.insert(entry);
    }
    print_line(document.to_json(PathInfoFormat::default()))
}
