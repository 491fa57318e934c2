//! Nix's SQLite database: which paths are valid, and what is known of them.

pub(crate) mod derivation_outputs;
pub(crate) mod open;
pub(crate) mod path_info;
pub(crate) mod pool;
pub(crate) mod realisations;
pub(crate) mod references;
pub(crate) mod register;
pub(crate) mod register_realisation;
pub(crate) mod schema;
pub(crate) mod valid_paths;

use nars3_store_api::StoreError;
use nars3_store_path::StorePath;

use crate::error::{backend_error, corrupt};
use crate::layout::Layout;

/// Paths in one query: enough to make the cost of a query small beside that of its rows, few enough to keep its
/// parameter and its answer under a few MiB.
const PATHS_PER_QUERY: usize = 4096;

/// A query failed.
fn query_error(layout: &Layout, error: rusqlite::Error) -> StoreError {
    backend_error(layout, format!("query '{}'", layout.database().display()), error)
}

/// The store path that a row names, as a full path under the logical store directory.
fn parse_path(layout: &Layout, column: &str, text: &str) -> Result<StorePath, StoreError> {
    layout.store_dir().parse(text).map_err(|error| {
        corrupt(layout, format!("{column} '{text}' in {}", layout.database().display()), error)
    })
}

/// The full paths as one JSON array, which SQLite's `json_each` turns into rows: one parameter, however many paths.
fn json_paths<'a>(layout: &Layout, paths: impl IntoIterator<Item = &'a StorePath>) -> String {
    let mut json = String::from("[");
    for path in paths {
        if json.len() > 1 {
            json.push(',');
        }
        json.push('"');
        for character in layout.store_dir().print(path).chars() {
            // A store path needs no escape, but a store directory may.
            match character {
                '"' | '\\' => {
                    json.push('\\');
                    json.push(character);
                }
                control if control < ' ' => json.push_str(&format!("\\u{:04x}", u32::from(control))),
                other => json.push(other),
            }
        }
        json.push('"');
    }
    json.push(']');
    json
}

/// The numbers as one JSON array.
fn json_ids<'a>(ids: impl IntoIterator<Item = &'a i64>) -> String {
    let mut json = String::from("[");
    for id in ids {
        if json.len() > 1 {
            json.push(',');
        }
        json.push_str(&id.to_string());
    }
    json.push(']');
    json
}

/// The place in the parameter that a row belongs to: its first column.
fn place_of(row: &rusqlite::Row<'_>) -> rusqlite::Result<usize> {
    let place: i64 = row.get(0)?;
    usize::try_from(place).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(0, place))
}
