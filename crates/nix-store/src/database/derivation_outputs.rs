//! The outputs of derivations, as far as the derivations name them.

use std::collections::{BTreeMap, HashMap};

use nars3_store_api::StoreError;
use nars3_store_path::StorePath;
use rusqlite::Connection;

use super::{PATHS_PER_QUERY, json_paths, parse_path, place_of, query_error};
use crate::layout::Layout;

/// The outputs of each of the valid ones of `derivations`, by their names. Outputs whose path depends on their contents
/// are not known here. What is not valid, or no derivation, is left out.
pub(crate) fn outputs(
    layout: &Layout,
    connection: &Connection,
    derivations: &[StorePath],
) -> Result<HashMap<StorePath, BTreeMap<String, StorePath>>, StoreError> {
    let failed = |error| query_error(layout, error);
    let mut statement = connection
        .prepare_cached(
            "select wanted.key, d.id, d.path from json_each(?1) as wanted \
             cross join ValidPaths as v on v.path = wanted.value cross join DerivationOutputs as d on d.drv = v.id",
        )
        .map_err(failed)?;
    let mut answer: HashMap<StorePath, BTreeMap<String, StorePath>> = HashMap::new();
    for some in derivations.chunks(PATHS_PER_QUERY) {
        let mut rows = statement.query([json_paths(layout, some)]).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            let place = place_of(row).map_err(failed)?;
            let name: String = row.get(1).map_err(failed)?;
            let text = row.get_ref(2).and_then(|value| Ok(value.as_str()?)).map_err(failed)?;
            let output = parse_path(layout, "output", text)?;
            if let Some(derivation) = some.get(place) {
                answer.entry(derivation.clone()).or_default().insert(name, output);
            }
        }
    }
    Ok(answer)
}
