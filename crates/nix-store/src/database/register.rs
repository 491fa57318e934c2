//! Making paths valid: the rows that Nix's `registerValidPaths` writes (2.8 and 2.29 `local-store.cc`).

use std::collections::HashMap;
use std::time::{SystemTime, UNIX_EPOCH};

use nars3_narinfo::PathInfo;
use nars3_store_api::StoreError;
use nars3_store_path::StorePath;
use rusqlite::{OptionalExtension, Transaction};

use crate::error::backend_error;
use crate::layout::Layout;

const INSERT_PATH: &str = "insert into ValidPaths \
     (path, hash, registrationTime, deriver, narSize, ultimate, sigs, ca) values (?1, ?2, ?3, ?4, ?5, null, ?6, ?7)";

const UPDATE_PATH: &str =
    "update ValidPaths set hash = ?2, narSize = ?3, ultimate = null, sigs = ?4, ca = ?5 where path = ?1";

const INSERT_REFERENCE: &str = "insert or replace into Refs (referrer, reference) values (?1, ?2)";

const INSERT_OUTPUT: &str = "insert or replace into DerivationOutputs (drv, id, path) values (?1, ?2, ?3)";

/// What is to be registered of one path.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Registration<'a> {
    /// What is known of the path.
    pub(crate) info: &'a PathInfo,
    /// The outputs that the path names, where it is a derivation.
    pub(crate) outputs: &'a [(String, StorePath)],
}

/// Writes the rows of `registrations` and their references. Each reference must be valid or among them. Paths that
/// are valid get the new hash, signatures and content address.
///
/// A path copied in was not built here, so it never becomes `ultimate`.
pub(crate) fn register(
    layout: &Layout,
    transaction: &Transaction<'_>,
    registrations: &[Registration<'_>],
) -> Result<(), StoreError> {
    let mut ids = HashMap::new();
    for registration in registrations {
        let id = write_path(layout, transaction, registration)?;
        ids.insert(&registration.info.path, id);
    }
    for registration in registrations {
        let info = registration.info;
        let Some(&referrer) = ids.get(&info.path) else { continue };
        for reference in &info.references {
            let known = match ids.get(reference) {
                Some(&id) => Some(id),
                None => id_of(layout, transaction, reference).map_err(|error| failed(layout, info, error))?,
            };
            let Some(reference_id) = known else {
                return Err(StoreError::MissingReference {
                    store: layout.to_string(),
                    path: info.path.clone(),
                    reference: reference.clone(),
                });
            };
            transaction
                .prepare_cached(INSERT_REFERENCE)
                .and_then(|mut insert| insert.execute((referrer, reference_id)))
                .map_err(|error| failed(layout, info, error))?;
        }
    }
    Ok(())
}

/// Writes the row of one path, and those of its outputs. Answers its number.
fn write_path(
    layout: &Layout,
    transaction: &Transaction<'_>,
    registration: &Registration<'_>,
) -> Result<i64, StoreError> {
    let info = registration.info;
    let write = || -> rusqlite::Result<i64> {
        let path = layout.store_dir().print(&info.path);
        let hash = info.nar_hash.to_base16();
        let size = i64::try_from(info.nar_size).ok().filter(|size| *size != 0);
        let signatures = signatures(info);
        let ca = info.ca.as_ref().map(ToString::to_string);
        let id = match id_of(layout, transaction, &info.path)? {
            Some(id) => {
                transaction.prepare_cached(UPDATE_PATH)?.execute((path, hash, size, signatures, ca))?;
                id
            }
            None => {
                let time = info.registration_time.filter(|time| *time != 0).unwrap_or_else(now);
                let deriver = info.deriver.as_ref().map(|deriver| layout.store_dir().print(deriver));
                transaction
                    .prepare_cached(INSERT_PATH)?
                    .execute((path, hash, time, deriver, size, signatures, ca))?;
                transaction.last_insert_rowid()
            }
        };
        for (name, output) in registration.outputs {
            transaction.prepare_cached(INSERT_OUTPUT)?.execute((
                id,
                name,
                layout.store_dir().print(output),
            ))?;
        }
        Ok(id)
    };
    write().map_err(|error| failed(layout, info, error))
}

/// The number of the row of `path`, where it is valid.
fn id_of(layout: &Layout, transaction: &Transaction<'_>, path: &StorePath) -> rusqlite::Result<Option<i64>> {
    transaction
        .prepare_cached("select id from ValidPaths where path = ?1")?
        .query_row([layout.store_dir().print(path)], |row| row.get(0))
        .optional()
}

/// The signatures as the database has them: separated by spaces, null for none.
fn signatures(info: &PathInfo) -> Option<String> {
    if info.signatures.is_empty() {
        return None;
    }
    let texts: Vec<String> = info.signatures.iter().map(ToString::to_string).collect();
    Some(texts.join(" "))
}

/// Seconds since 1970. A clock before that gives 1, because 0 means "not known".
fn now() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|since| i64::try_from(since.as_secs()).ok())
        .unwrap_or(1)
}

fn failed(layout: &Layout, info: &PathInfo, error: rusqlite::Error) -> StoreError {
    backend_error(layout, format!("register '{}'", info.path), error)
}
