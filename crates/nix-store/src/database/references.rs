//! The graph of references: closures, and who refers to paths; and which derivations name paths as their outputs.

use std::collections::{BTreeSet, HashMap};

use nars3_store_api::StoreError;
use nars3_store_path::StorePath;
use rusqlite::Connection;

use super::{PATHS_PER_QUERY, json_paths, parse_path, place_of, query_error};
use crate::layout::Layout;

const REFERRERS: &str = "select wanted.key, v.path from json_each(?1) as wanted \
     cross join ValidPaths as target on target.path = wanted.value \
     cross join Refs as r on r.reference = target.id cross join ValidPaths as v on v.id = r.referrer";

const DERIVERS: &str = "select wanted.key, v.path from json_each(?1) as wanted \
     cross join DerivationOutputs as d on d.path = wanted.value cross join ValidPaths as v on v.id = d.drv";

/// The valid paths that refer to each of `paths`, itself included where it does. Paths that nobody refers to are left
/// out.
pub(crate) fn referrers(
    layout: &Layout,
    connection: &Connection,
    paths: &[StorePath],
) -> Result<HashMap<StorePath, BTreeSet<StorePath>>, StoreError> {
    paths_of_paths(layout, connection, REFERRERS, paths)
}

/// The valid derivations that name each of `paths` as one of their outputs. Paths that none names are left out.
pub(crate) fn valid_derivers(
    layout: &Layout,
    connection: &Connection,
    paths: &[StorePath],
) -> Result<HashMap<StorePath, BTreeSet<StorePath>>, StoreError> {
    paths_of_paths(layout, connection, DERIVERS, paths)
}

/// The valid ones of `roots`, and all that they lead to by references.
pub(crate) fn closure(
    layout: &Layout,
    connection: &Connection,
    roots: &[StorePath],
) -> Result<BTreeSet<StorePath>, StoreError> {
    let query = "with recursive closure(id) as (\
           select v.id from json_each(?1) as wanted cross join ValidPaths as v on v.path = wanted.value \
           union \
           select r.reference from closure cross join Refs as r on r.referrer = closure.id\
         ) select v.path from closure cross join ValidPaths as v on v.id = closure.id";
    let failed = |error| query_error(layout, error);
    let mut statement = connection.prepare_cached(query).map_err(failed)?;
    let mut rows = statement.query([json_paths(layout, roots)]).map_err(failed)?;
    // Sorted at the end: cheaper than keeping a set sorted.
    let mut found = Vec::new();
    while let Some(row) = rows.next().map_err(failed)? {
        let text = row.get_ref(0).and_then(|value| Ok(value.as_str()?)).map_err(failed)?;
        found.push(parse_path(layout, "path", text)?);
    }
    Ok(found.into_iter().collect())
}

/// What `query` says of each of `paths`: rows of the place in its parameter, and a path.
fn paths_of_paths(
    layout: &Layout,
    connection: &Connection,
    query: &str,
    paths: &[StorePath],
) -> Result<HashMap<StorePath, BTreeSet<StorePath>>, StoreError> {
    let failed = |error| query_error(layout, error);
    let mut statement = connection.prepare_cached(query).map_err(failed)?;
    let mut answer: HashMap<StorePath, BTreeSet<StorePath>> = HashMap::new();
    for some in paths.chunks(PATHS_PER_QUERY) {
        let mut rows = statement.query([json_paths(layout, some)]).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            let place = place_of(row).map_err(failed)?;
            let text = row.get_ref(1).and_then(|value| Ok(value.as_str()?)).map_err(failed)?;
            let found = parse_path(layout, "path", text)?;
            if let Some(path) = some.get(place) {
                answer.entry(path.clone()).or_default().insert(found);
            }
        }
    }
    Ok(answer)
}
