//! The outputs of derivations, as far as the derivations name them.

use std::collections::BTreeMap;

use nars3_store_api::StoreError;
use nars3_store_path::StorePath;
use rusqlite::Connection;

use super::{parse_path, query_error};
use crate::layout::Layout;

/// The outputs of the valid derivation `derivation`, by their names. Outputs whose path depends on their contents are
/// not known here. Empty where `derivation` is not valid.
pub(crate) fn outputs(
    layout: &Layout,
    connection: &Connection,
    derivation: &StorePath,
) -> Result<BTreeMap<String, StorePath>, StoreError> {
    let failed = |error| query_error(layout, error);
    let mut statement = connection
        .prepare_cached(
            "select d.id, d.path from ValidPaths as v cross join DerivationOutputs as d on d.drv = v.id \
             where v.path = ?1",
        )
        .map_err(failed)?;
    let mut rows = statement.query([layout.store_dir().print(derivation)]).map_err(failed)?;
    let mut answer = BTreeMap::new();
    while let Some(row) = rows.next().map_err(failed)? {
        let name: String = row.get(0).map_err(failed)?;
        let text = row.get_ref(1).and_then(|value| Ok(value.as_str()?)).map_err(failed)?;
        answer.insert(name, parse_path(layout, "output", text)?);
    }
    Ok(answer)
}
