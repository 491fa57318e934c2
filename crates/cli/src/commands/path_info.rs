//! `nars3 path-info`, with the output of `nix path-info`.

mod columns;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use futures::TryStreamExt;
use nars3_binary_cache::BinaryCache;
use nars3_copy::CopyError;
use nars3_narinfo::PathInfo;
use nars3_narinfo::json::{NarFile, PathInfoDocument, PathInfoEntry, PathInfoFormat};
use nars3_store_api::{Store, StoreError};
use nars3_store_path::StorePath;

use self::columns::{Columns, references_first};
use crate::args::PathInfoArgs;
use crate::error::{CliError, CliResult};
use crate::installable::store_path;
use crate::output::{Output, print_line};
use crate::run::Context;
use crate::stores::{OpenedStore, Purpose, open_store};

/// Path infos that `--all` asks for at once.
const CONCURRENT_QUERIES: usize = 64;

pub(crate) async fn run(args: PathInfoArgs, context: &Context) -> CliResult {
    let opened = open_store(&args.store, Purpose::Read, context).await?;
    let store = Arc::clone(&opened.store);
    if let Some(cache) = &opened.cache
        && args.all
        && !args.recursive
        && !args.closure_size
    {
        return print_all(cache, &opened, &args).await;
    }
    let mut roots = roots(&args, store.as_ref()).await?;
    // In JSON, what is not there is an answer as well.
    let absent =
        if args.json && !args.recursive { absent(&mut roots, store.as_ref()).await? } else { Vec::new() };
    let mut infos = nars3_copy::closure(store.as_ref(), &roots, args.recursive || args.closure_size)
        .await
        .map_err(|error| missing_path(error, &store.to_string()))?;
    let closure: Closure = infos.iter().map(|info| (info.path.clone(), Arc::clone(info))).collect();
    if !args.recursive {
        let roots: HashSet<&StorePath> = roots.iter().collect();
        infos.retain(|info| roots.contains(&info.path));
    }
    print(infos, absent, &opened, &closure, &args).await
}

/// Prints all paths of a cache, by the narinfos as they are read: of a large cache, memory does not keep all.
async fn print_all(cache: &BinaryCache, opened: &OpenedStore, args: &PathInfoArgs) -> CliResult {
    let narinfos = cache.all_nar_infos();
    if !args.json {
        let infos = narinfos.map_ok(|narinfo| Arc::new(narinfo.info)).try_collect().await?;
        return print_lines(infos, opened, &Closure::new(), args);
    }
    let mut document = PathInfoDocument::new(opened.store.store_dir().clone());
    let mut narinfos = std::pin::pin!(narinfos);
    while let Some(narinfo) = narinfos.try_next().await? {
        document.insert(PathInfoEntry::from(narinfo));
    }
    print_line(document.to_json(PathInfoFormat::default()))
}

async fn print(
    infos: Vec<Arc<PathInfo>>,
    absent: Vec<StorePath>,
    opened: &OpenedStore,
    closure: &Closure,
    args: &PathInfoArgs,
) -> CliResult {
    if args.json {
        print_json(&infos, absent, opened, closure, args).await
    } else {
        print_lines(infos, opened, closure, args)
    }
}

async fn roots(args: &PathInfoArgs, store: &dyn Store) -> CliResult<Vec<StorePath>> {
    if args.all {
        return all_paths(store).await;
    }
    args.paths.iter().map(|path| store_path(path, store.store_dir())).collect()
}

/// Takes those paths out that are not in the store, and gives them.
async fn absent(paths: &mut Vec<StorePath>, store: &dyn Store) -> CliResult<Vec<StorePath>> {
    let there = store.path_infos(paths).await?;
    Ok(paths.extract_if(.., |path| !there.contains_key(path)).collect())
}

/// All valid paths of a store. A path that is deleted meanwhile is none of them; one that may not be read is an error.
pub(crate) async fn all_paths(store: &dyn Store) -> CliResult<Vec<StorePath>> {
    let paths: Vec<Option<StorePath>> = store
        .list()
        .map_ok(|hash_part| async move { store.path_of_listed(&hash_part).await })
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

/// What `path` refers to, directly or not, itself included.
fn closure_of<'a>(path: &'a StorePath, closure: &'a Closure) -> impl Iterator<Item = &'a PathInfo> {
    let mut seen = HashSet::from([path]);
    let mut open = vec![path];
    std::iter::from_fn(move || {
        let info = closure.get(open.pop()?)?;
        open.extend(info.references.iter().filter(|reference| seen.insert(reference)));
        Some(info.as_ref())
    })
}

/// The sum of NarSize over the closure of `path`.
fn closure_size(path: &StorePath, closure: &Closure) -> u64 {
    closure_of(path, closure).map(|info| info.nar_size).fold(0, u64::saturating_add)
}

fn print_lines(
    infos: Vec<Arc<PathInfo>>,
    opened: &OpenedStore,
    closure: &Closure,
    args: &PathInfoArgs,
) -> CliResult {
    let store_dir = opened.store.store_dir();
    let columns = Columns {
        size: args.size,
        closure_size: args.closure_size,
        human_readable: args.human_readable,
        signatures: args.sigs,
    };
    // Of all paths of a cache, Nix knows the names only when it prints them: it sorts and aligns by hash parts alone.
    let (infos, width) = if args.all && opened.is_cache {
        let mut infos = infos;
        infos.sort_by(|one, other| one.path.cmp(&other.path));
        (infos, 0)
    } else {
        let width = infos.iter().map(|info| store_dir.print(&info.path).len()).max().unwrap_or(0);
        (references_first(infos), width)
    };
    let mut output = Output::stdout();
    for info in &infos {
        output.line(columns.line(info, store_dir, width, || closure_size(&info.path, closure)))?;
    }
    output.finish()
}

async fn print_json(
    infos: &[Arc<PathInfo>],
    absent: Vec<StorePath>,
    opened: &OpenedStore,
    closure: &Closure,
    args: &PathInfoArgs,
) -> CliResult {
    let mut document = PathInfoDocument::new(opened.store.store_dir().clone());
    absent.into_iter().for_each(|path| document.insert_invalid(path));
    let file_sizes = match &opened.cache {
        Some(cache) if args.closure_size => Some(file_sizes(closure, cache).await?),
        _ => None,
    };
    for info in infos {
        let mut entry = PathInfoEntry::from(PathInfo::clone(info));
        if let Some(cache) = &opened.cache {
            // Read a moment ago, so it is mostly remembered; deleted meanwhile, it is printed without its file.
            entry.file = cache.nar_info(&info.path).await?.as_ref().map(NarFile::from);
        }
        entry.closure_size = args.closure_size.then(|| closure_size(&info.path, closure));
        entry.closure_download_size = file_sizes.as_ref().map(|sizes| {
            let sizes = closure_of(&info.path, closure).filter_map(|info| sizes.get(&info.path));
            sizes.fold(0u64, |sum, size| sum.saturating_add(*size))
        });
        document.insert(entry);
    }
    print_line(document.to_json(PathInfoFormat::default()))
}

/// The sizes of the NAR files of a closure, in bytes, where its cache tells them.
async fn file_sizes(closure: &Closure, cache: &BinaryCache) -> CliResult<HashMap<StorePath, u64>> {
    let mut sizes = HashMap::with_capacity(closure.len());
    for path in closure.keys() {
        let size = cache.nar_info(path).await?.and_then(|narinfo| narinfo.file_size);
        sizes.extend(size.map(|size| (path.clone(), size)));
    }
    Ok(sizes)
}
