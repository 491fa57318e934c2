//! What the outputs of content-addressed derivations turned out to be. The tables are there only where Nix was once run
//! with `ca-derivations`.
//!
//! Source: `ca-specific-schema.sql` of Nix 2.8 and 2.29 (`Realisations`, by the hash of the derivation), and of Nix
//! since 2.35 (`BuildTraceV3`, by its path).

use std::collections::{BTreeSet, HashMap};
use std::str::FromStr;

use nars3_store_api::StoreError;
use nars3_store_path::{BuildTraceEntry, BuildTraceKey, DrvOutput, Realisation, RealisedOutput, Signature};
use rusqlite::Connection;

use super::{PATHS_PER_QUERY, parse_path, place_of, query_error};
use crate::error::corrupt;
use crate::layout::Layout;

/// The realisations of those of `ids` that have one, as Nix 2.4 to 2.34 keeps them.
pub(crate) fn realisations(
    layout: &Layout,
    connection: &Connection,
    ids: &[DrvOutput],
) -> Result<HashMap<DrvOutput, Realisation>, StoreError> {
    let failed = |error| query_error(layout, error);
    let mut answer = HashMap::new();
    if !has_table(connection, "Realisations").map_err(failed)? {
        return Ok(answer);
    }
    let mut statement = connection
        .prepare_cached(
            "select wanted.key, r.id, v.path, r.signatures from json_each(?1) as wanted \
             cross join Realisations as r on r.drvPath = json_extract(wanted.value, '$[0]') \
             and r.outputName = json_extract(wanted.value, '$[1]') \
             cross join ValidPaths as v on v.id = r.outputPath",
        )
        .map_err(failed)?;
    for some in ids.chunks(PATHS_PER_QUERY) {
        let pairs = json_pairs(some.iter().map(|id| (id.drv_hash.to_base16(), id.output_name())));
        let mut rows = statement.query([pairs]).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            let place = place_of(row).map_err(failed)?;
            let number: i64 = row.get(1).map_err(failed)?;
            let out_path: String = row.get(2).map_err(failed)?;
            let signatures: Option<String> = row.get(3).map_err(failed)?;
            let Some(id) = some.get(place) else { continue };
            let mut realisation = Realisation::new(id.clone(), parse_path(layout, "realisation", &out_path)?);
            realisation.signatures = parse_signatures(signatures.as_deref());
            add_dependencies(layout, connection, number, &mut realisation)?;
            answer.insert(id.clone(), realisation);
        }
    }
    Ok(answer)
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

/// The entries of the build trace at those of `keys` that have one, as Nix keeps them since 2.35.
pub(crate) fn build_trace_entries(
    layout: &Layout,
    connection: &Connection,
    keys: &[BuildTraceKey],
) -> Result<HashMap<BuildTraceKey, BuildTraceEntry>, StoreError> {
    let failed = |error| query_error(layout, error);
    let mut answer = HashMap::new();
    if !has_table(connection, "BuildTraceV3").map_err(failed)? {
        return Ok(answer);
    }
    let mut statement = connection
        .prepare_cached(
            "select wanted.key, t.outputPath, t.signatures from json_each(?1) as wanted \
             cross join BuildTraceV3 as t on t.drvPath = json_extract(wanted.value, '$[0]') \
             and t.outputName = json_extract(wanted.value, '$[1]')",
        )
        .map_err(failed)?;
    for some in keys.chunks(PATHS_PER_QUERY) {
        let pairs =
            json_pairs(some.iter().map(|key| (key.drv_path.base_name().to_owned(), key.output_name())));
        let mut rows = statement.query([pairs]).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            let place = place_of(row).map_err(failed)?;
            let out_path: String = row.get(1).map_err(failed)?;
            let signatures: Option<String> = row.get(2).map_err(failed)?;
            let Some(key) = some.get(place) else { continue };
            let mut entry = BuildTraceEntry::new(key.clone(), parse_path(layout, "build trace", &out_path)?);
            entry.signatures = parse_signatures(signatures.as_deref());
            answer.insert(key.clone(), entry);
        }
    }
    Ok(answer)
}

/// All outputs of which it is known what they turned out to be, in both forms. A row that names no output is passed over.
pub(crate) fn realised_outputs(
    layout: &Layout,
    connection: &Connection,
) -> Result<Vec<RealisedOutput>, StoreError> {
    let failed = |error| query_error(layout, error);
    let mut outputs = Vec::new();
    for (table, separator) in [("Realisations", '!'), ("BuildTraceV3", '^')] {
        if !has_table(connection, table).map_err(failed)? {
            continue;
        }
        let mut statement =
            connection.prepare(&format!("select drvPath, outputName from {table}")).map_err(failed)?;
        let mut rows = statement.query([]).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            let (drv, output): (String, String) = (row.get(0).map_err(failed)?, row.get(1).map_err(failed)?);
            outputs.extend(format!("{drv}{separator}{output}").parse::<RealisedOutput>().ok());
        }
    }
    Ok(outputs)
}

/// Pairs as one JSON array of arrays. What names derivations and outputs needs no escape.
fn json_pairs<'a>(pairs: impl Iterator<Item = (String, &'a str)>) -> String {
    let pairs: Vec<String> = pairs.map(|(first, second)| format!(r#"["{first}","{second}"]"#)).collect();
    format!("[{}]", pairs.join(","))
}

pub(super) fn has_table(connection: &Connection, name: &str) -> rusqlite::Result<bool> {
    connection
        .prepare_cached("select 1 from sqlite_master where type = 'table' and name = ?1")?
        .exists([name])
}

fn parse_signatures(text: Option<&str>) -> BTreeSet<Signature> {
    text.unwrap_or_default().split_whitespace().map(Signature::new).collect()
}
