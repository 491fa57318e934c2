//! The graph of references: closures, and who refers to a path.

use std::collections::BTreeSet;

use nars3_store_api::StoreError;
use nars3_store_path::StorePath;
use rusqlite::Connection;

use super::{json_paths, parse_path, query_error};
use crate::layout::Layout;

/// The valid paths that refer to `path`, itself included where it does.
pub(crate) fn referrers(
    layout: &Layout,
    connection: &Connection,
    path: &StorePath,
) -> Result<BTreeSet<StorePath>, StoreError> {
    let query = "select v.path from ValidPaths as target cross join Refs as r on r.reference = target.id \
         cross join ValidPaths as v on v.id = r.referrer where target.path = ?1";
    paths(layout, connection, query, &layout.store_dir().print(path))
}

/// The valid derivations that name `path` as one of their outputs.
pub(crate) fn valid_derivers(
    layout: &Layout,
    connection: &Connection,
    path: &StorePath,
) -> Result<BTreeSet<StorePath>, StoreError> {
    let query = "select v.path from DerivationOutputs as d cross join ValidPaths as v on v.id = d.drv where d.path = ?1";
    paths(layout, connection, query, &layout.store_dir().print(path))
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
    paths(layout, connection, query, &json_paths(layout, roots))
}

fn paths(
    layout: &Layout,
    connection: &Connection,
    query: &str,
    parameter: &str,
) -> Result<BTreeSet<StorePath>, StoreError> {
    let failed = |error| query_error(layout, error);
    let mut statement = connection.prepare_cached(query).map_err(failed)?;
    let mut rows = statement.query([parameter]).map_err(failed)?;
    let mut answer = BTreeSet::new();
    while let Some(row) = rows.next().map_err(failed)? {
        let text = row.get_ref(0).and_then(|value| Ok(value.as_str()?)).map_err(failed)?;
        answer.insert(parse_path(layout, "path", text)?);
    }
    Ok(answer)
}
