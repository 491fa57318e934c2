//! What the outputs of content-addressed derivations turned out to be. The tables are there only where Nix was once run
//! with `ca-derivations`.
//!
//! Source: `ca-specific-schema.sql` of Nix 2.8 and 2.29 (`Realisations`, by the hash of the derivation), and of Nix
//! since 2.35 (`BuildTraceV3`, by its path).

use std::collections::BTreeSet;
use std::str::FromStr;

use nars3_store_api::StoreError;
use nars3_store_path::{BuildTraceEntry, BuildTraceKey, DrvOutput, Realisation, Signature};
use rusqlite::{Connection, OptionalExtension};

use super::{parse_path, query_error};
use crate::error::corrupt;
use crate::layout::Layout;

/// The realisation of `id`, as Nix 2.4 to 2.34 keeps it.
pub(crate) fn realisation(
    layout: &Layout,
    connection: &Connection,
    id: &DrvOutput,
) -> Result<Option<Realisation>, StoreError> {
    let failed = |error| query_error(layout, error);
    if !has_table(connection, "Realisations").map_err(failed)? {
        return Ok(None);
    }
    let row: Option<(i64, String, Option<String>)> = connection
        .prepare_cached(
            "select r.id, v.path, r.signatures from Realisations as r join ValidPaths as v on v.id = r.outputPath \
             where r.drvPath = ?1 and r.outputName = ?2",
        )
        .map_err(failed)?
        .query_row((id.drv_hash.to_base16(), id.output_name()), |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .optional()
        .map_err(failed)?;
    let Some((row, out_path, signatures)) = row else { return Ok(None) };
    let mut realisation = Realisation::new(id.clone(), parse_path(layout, "realisation", &out_path)?);
    realisation.signatures = parse_signatures(signatures.as_deref());
    add_dependencies(layout, connection, row, &mut realisation)?;
    Ok(Some(realisation))
}

fn add_dependencies(
    layout: &Layout,
    connection: &Connection,
    row: i64,
    realisation: &mut Realisation,
) -> Result<(), StoreError> {
    let failed = |error| query_error(layout, error);
    let mut statement = connection
        .prepare_cached(
            "select d.drvPath, d.outputName, v.path from RealisationsRefs as r \
             join Realisations as d on d.id = r.realisationReference join ValidPaths as v on v.id = d.outputPath \
             where r.referrer = ?1",
        )
        .map_err(failed)?;
    let mut rows = statement.query([row]).map_err(failed)?;
    while let Some(row) = rows.next().map_err(failed)? {
        let (drv, output): (String, String) = (row.get(0).map_err(failed)?, row.get(1).map_err(failed)?);
        let path: String = row.get(2).map_err(failed)?;
        let id = format!("{drv}!{output}");
        let id = DrvOutput::from_str(&id).map_err(|error| {
            corrupt(layout, format!("realisation '{id}' in {}", layout.database().display()), error)
        })?;
        realisation.dependent_realisations.insert(id, parse_path(layout, "realisation", &path)?);
    }
    Ok(())
}

/// The entry of the build trace at `key`, as Nix keeps it since 2.35.
pub(crate) fn build_trace_entry(
    layout: &Layout,
    connection: &Connection,
    key: &BuildTraceKey,
) -> Result<Option<BuildTraceEntry>, StoreError> {
    let failed = |error| query_error(layout, error);
    if !has_table(connection, "BuildTraceV3").map_err(failed)? {
        return Ok(None);
    }
    let row: Option<(String, Option<String>)> = connection
        .prepare_cached(
            "select outputPath, signatures from BuildTraceV3 where drvPath = ?1 and outputName = ?2",
        )
        .map_err(failed)?
        .query_row((key.drv_path.base_name(), key.output_name()), |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()
        .map_err(failed)?;
    let Some((out_path, signatures)) = row else { return Ok(None) };
    let mut entry = BuildTraceEntry::new(key.clone(), parse_path(layout, "build trace", &out_path)?);
    entry.signatures = parse_signatures(signatures.as_deref());
    Ok(Some(entry))
}

fn has_table(connection: &Connection, name: &str) -> rusqlite::Result<bool> {
    connection
        .prepare_cached("select 1 from sqlite_master where type = 'table' and name = ?1")?
        .exists([name])
}

fn parse_signatures(text: Option<&str>) -> BTreeSet<Signature> {
    text.unwrap_or_default().split_whitespace().map(Signature::new).collect()
}
