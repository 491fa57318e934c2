//! Which paths are valid.

use std::collections::HashSet;

use nars3_store_api::StoreError;
use nars3_store_path::{HashPart, StorePath};
use rusqlite::{Connection, OptionalExtension};

use super::{PATHS_PER_QUERY, json_paths, parse_path, query_error};
use crate::layout::Layout;

/// Those of `paths` that are valid, in the order given.
pub(crate) fn valid_paths(
    layout: &Layout,
    connection: &Connection,
    paths: &[StorePath],
) -> Result<Vec<StorePath>, StoreError> {
    let failed = |error| query_error(layout, error);
    let mut statement = connection
        .prepare_cached(
            "select wanted.key from json_each(?1) as wanted cross join ValidPaths as v on v.path = wanted.value",
        )
        .map_err(failed)?;
    let mut valid = Vec::with_capacity(paths.len());
    for some in paths.chunks(PATHS_PER_QUERY) {
        let places: HashSet<i64> = statement
            .query_map([json_paths(layout, some)], |row| row.get(0))
            .and_then(Iterator::collect)
            .map_err(failed)?;
        valid.extend(
            (0..).zip(some).filter(|(place, _)| places.contains(place)).map(|(_, path)| path.clone()),
        );
    }
    Ok(valid)
}

/// The valid path with this hash part.
pub(crate) fn path_from_hash_part(
    layout: &Layout,
    connection: &Connection,
    hash_part: &HashPart,
) -> Result<Option<StorePath>, StoreError> {
    let failed = |error| query_error(layout, error);
    let prefix = format!("{}/{hash_part}", layout.store_dir());
    // The first path from the prefix on, from the index; `like` would scan it.
    let first: Option<String> = connection
        .prepare_cached("select path from ValidPaths where path >= ?1 order by path limit 1")
        .map_err(failed)?
        .query_row([&prefix], |row| row.get(0))
        .optional()
        .map_err(failed)?;
    match first {
        Some(path) if path.starts_with(&prefix) => Ok(Some(parse_path(layout, "path", &path)?)),
        _ => Ok(None),
    }
}

/// Up to `limit` valid paths after `last` in bytewise order.
pub(crate) fn page(
    layout: &Layout,
    connection: &Connection,
    last: Option<&StorePath>,
    limit: u32,
) -> Result<Vec<StorePath>, StoreError> {
    let failed = |error| query_error(layout, error);
    let after = last.map_or_else(String::new, |path| layout.store_dir().print(path));
    let mut statement = connection
        .prepare_cached("select path from ValidPaths where path > ?1 order by path limit ?2")
        .map_err(failed)?;
    let mut rows = statement.query((after, limit)).map_err(failed)?;
    let mut page = Vec::new();
    while let Some(row) = rows.next().map_err(failed)? {
        let text = row.get_ref(0).and_then(|value| Ok(value.as_str()?)).map_err(failed)?;
        page.push(parse_path(layout, "path", text)?);
    }
    Ok(page)
}
