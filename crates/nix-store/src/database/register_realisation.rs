//! Keeps what the outputs of content-addressed derivations turned out to be, as Nix 2.29 `local-store.cc` does
//! (`registerDrvOutput`).

use std::collections::BTreeSet;

use nars3_store_api::StoreError;
use nars3_store_path::{AnyRealisation, BuildTraceEntry, DrvOutput, Realisation, Signature, StorePath};
use rusqlite::{Connection, OptionalExtension, params};

use super::query_error;
use super::realisations::{build_trace_entries, has_table, realisations};
use crate::error::backend_error;
use crate::layout::Layout;

/// Adds a realisation, or the signatures that the one which is known lacks. True if either was new; `None` where the store
/// has no tables for it, as nobody has ever opened it with `ca-derivations`.
pub(crate) fn register_realisation(
    layout: &Layout,
    connection: &Connection,
    realisation: &AnyRealisation,
) -> Result<Option<bool>, StoreError> {
    match realisation {
        AnyRealisation::ByHash(realisation) => by_hash(layout, connection, realisation),
        AnyRealisation::ByPath(entry) => by_path(layout, connection, entry),
    }
}

fn by_hash(
    layout: &Layout,
    connection: &Connection,
    realisation: &Realisation,
) -> Result<Option<bool>, StoreError> {
    let failed = |error| query_error(layout, error);
    if !has_table(connection, "Realisations").map_err(failed)? {
        return Ok(None);
    }
    let Realisation { id, out_path, signatures, dependent_realisations, .. } = realisation;
    let known = realisations(layout, connection, std::slice::from_ref(id))?.remove(id);
    let (drv, output) = (id.drv_hash.to_base16(), id.output_name());
    if let Some(known) = known {
        ensure_same(layout, &id.to_string(), out_path, &known.out_path)?;
        let Some(all) = together(&known.signatures, signatures) else { return Ok(Some(false)) };
        let update = "update Realisations set signatures = ?3 where drvPath = ?1 and outputName = ?2";
        connection.execute(update, params![drv, output, all]).map_err(failed)?;
        return Ok(Some(true));
    }
    let path = valid_path_id(layout, connection, id, out_path)?;
    connection
        .execute(
            "insert into Realisations (drvPath, outputName, outputPath, signatures) values (?1, ?2, ?3, ?4)",
            params![drv, output, path, print(signatures)],
        )
        .map_err(failed)?;
    let referrer = connection.last_insert_rowid();
    for dependency in dependent_realisations.keys() {
        let reference: Option<i64> = connection
            .query_row(
                "select id from Realisations where drvPath = ?1 and outputName = ?2",
                params![dependency.drv_hash.to_base16(), dependency.output_name()],
                |row| row.get(0),
            )
            .optional()
            .map_err(failed)?;
        let Some(reference) = reference else {
            let reason = format!("it depends on '{dependency}', which is not known there");
            return Err(refused(layout, &id.to_string(), reason));
        };
        connection
            .execute(
                "insert or replace into RealisationsRefs (referrer, realisationReference) values (?1, ?2)",
                [referrer, reference],
            )
            .map_err(failed)?;
    }
    Ok(Some(true))
}

fn by_path(
    layout: &Layout,
    connection: &Connection,
    entry: &BuildTraceEntry,
) -> Result<Option<bool>, StoreError> {
    let failed = |error| query_error(layout, error);
    if !has_table(connection, "BuildTraceV3").map_err(failed)? {
        return Ok(None);
    }
    let BuildTraceEntry { key, out_path, signatures, .. } = entry;
    let known = build_trace_entries(layout, connection, std::slice::from_ref(key))?.remove(key);
    let (drv, output) = (key.drv_path.base_name(), key.output_name());
    if let Some(known) = known {
        ensure_same(layout, &key.to_string(), out_path, &known.out_path)?;
        let Some(all) = together(&known.signatures, signatures) else { return Ok(Some(false)) };
        let update = "update BuildTraceV3 set signatures = ?3 where drvPath = ?1 and outputName = ?2";
        connection.execute(update, params![drv, output, all]).map_err(failed)?;
        return Ok(Some(true));
    }
    connection
        .execute(
            "insert into BuildTraceV3 (drvPath, outputName, outputPath, signatures) values (?1, ?2, ?3, ?4)",
            params![drv, output, layout.store_dir().print(out_path), print(signatures)],
        )
        .map_err(failed)?;
    Ok(Some(true))
}

fn valid_path_id(
    layout: &Layout,
    connection: &Connection,
    id: &DrvOutput,
    path: &StorePath,
) -> Result<i64, StoreError> {
    let found: Option<i64> = connection
        .query_row("select id from ValidPaths where path = ?1", [layout.store_dir().print(path)], |row| {
            row.get(0)
        })
        .optional()
        .map_err(|error| query_error(layout, error))?;
    found.ok_or_else(|| {
        refused(layout, &id.to_string(), format!("it names '{path}', which is not valid there"))
    })
}

fn ensure_same(
    layout: &Layout,
    output: &str,
    theirs: &StorePath,
    ours: &StorePath,
) -> Result<(), StoreError> {
    if theirs == ours {
        return Ok(());
    }
    Err(refused(layout, output, format!("it names '{theirs}', and the one that is there '{ours}'")))
}

fn refused(layout: &Layout, output: &str, reason: String) -> StoreError {
    backend_error(layout, format!("register the realisation of '{output}'"), reason)
}

/// The signatures of both, where the known ones are not all.
fn together(known: &BTreeSet<Signature>, more: &BTreeSet<Signature>) -> Option<String> {
    (!more.is_subset(known)).then(|| print(&known.union(more).cloned().collect()))
}

fn print(signatures: &BTreeSet<Signature>) -> String {
    signatures.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}
