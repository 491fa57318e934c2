//! What the database knows of paths.

use std::collections::{BTreeSet, HashMap};
use std::str::FromStr;
use std::sync::Arc;

use nars3_narinfo::PathInfo;
use nars3_store_api::{BoxError, StoreError};
use nars3_store_path::{ContentAddress, Hash, Signature, StorePath};
use rusqlite::{Connection, Row};

use super::{PATHS_PER_QUERY, json_ids, json_paths, parse_path, query_error};
use crate::error::corrupt;
use crate::layout::Layout;

/// The rows of the paths asked for. `cross join` keeps SQLite from scanning the table and looking each row up in the
/// parameter instead.
const INFOS: &str = "select v.id, v.path, v.hash, v.registrationTime, v.deriver, v.narSize, v.ultimate, v.sigs, v.ca \
     from json_each(?1) as wanted cross join ValidPaths as v on v.path = wanted.value";

const REFERENCES: &str = "select r.referrer, r.reference, v.path \
     from json_each(?1) as wanted cross join Refs as r on r.referrer = wanted.value \
     cross join ValidPaths as v on v.id = r.reference";

/// The path infos of those of `paths` that are valid.
pub(crate) fn path_infos(
    layout: &Layout,
    connection: &Connection,
    paths: &[StorePath],
) -> Result<HashMap<StorePath, Arc<PathInfo>>, StoreError> {
    let mut answer = HashMap::with_capacity(paths.len());
    for some in paths.chunks(PATHS_PER_QUERY) {
        let mut infos = rows(layout, connection, some)?;
        add_references(layout, connection, &mut infos)?;
        answer.extend(infos.into_values().map(|info| (info.path.clone(), Arc::new(info))));
    }
    Ok(answer)
}

/// The infos without their references, by the number of their row.
fn rows(
    layout: &Layout,
    connection: &Connection,
    paths: &[StorePath],
) -> Result<HashMap<i64, PathInfo>, StoreError> {
    let mut statement = connection.prepare_cached(INFOS).map_err(|error| query_error(layout, error))?;
    let mut rows =
        statement.query([json_paths(layout, paths)]).map_err(|error| query_error(layout, error))?;
    let mut infos = HashMap::with_capacity(paths.len());
    while let Some(row) = rows.next().map_err(|error| query_error(layout, error))? {
        let columns = Columns::read(row).map_err(|error| query_error(layout, error))?;
        let id = columns.id;
        infos.insert(id, columns.into_info(layout)?);
    }
    Ok(infos)
}

fn add_references(
    layout: &Layout,
    connection: &Connection,
    infos: &mut HashMap<i64, PathInfo>,
) -> Result<(), StoreError> {
    // Most references are to paths that were asked for as well, or to the same few: each is parsed once.
    let mut known: HashMap<i64, StorePath> =
        infos.iter().map(|(id, info)| (*id, info.path.clone())).collect();
    let mut statement = connection.prepare_cached(REFERENCES).map_err(|error| query_error(layout, error))?;
    let mut rows = statement.query([json_ids(infos.keys())]).map_err(|error| query_error(layout, error))?;
    while let Some(row) = rows.next().map_err(|error| query_error(layout, error))? {
        let failed = |error| query_error(layout, error);
        let referrer: i64 = row.get(0).map_err(failed)?;
        let reference: i64 = row.get(1).map_err(failed)?;
        let path = match known.get(&reference) {
            Some(path) => path.clone(),
            None => {
                let text = row.get_ref(2).and_then(|value| Ok(value.as_str()?)).map_err(failed)?;
                let path = parse_path(layout, "reference", text)?;
                known.insert(reference, path.clone());
                path
            }
        };
        if let Some(info) = infos.get_mut(&referrer) {
            info.references.insert(path);
        }
    }
    Ok(())
}

/// One row of `ValidPaths`, as SQLite has it.
struct Columns {
    id: i64,
    path: String,
    hash: String,
    registration_time: i64,
    deriver: Option<String>,
    nar_size: Option<i64>,
    ultimate: Option<bool>,
    signatures: Option<String>,
    ca: Option<String>,
}

impl Columns {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            path: row.get(1)?,
            hash: row.get(2)?,
            registration_time: row.get(3)?,
            deriver: row.get(4)?,
            nar_size: row.get(5)?,
            ultimate: row.get(6)?,
            signatures: row.get(7)?,
            ca: row.get(8)?,
        })
    }

    fn into_info(self, layout: &Layout) -> Result<PathInfo, StoreError> {
        let path = parse_path(layout, "path", &self.path)?;
        let wrong = |column: &str, value: &str, error: BoxError| {
            corrupt(
                layout,
                format!("{column} '{value}' of '{path}' in {}", layout.database().display()),
                error,
            )
        };
        let nar_hash = Hash::parse(&self.hash).map_err(|error| wrong("hash", &self.hash, Box::new(error)))?;
        // Nix reads a null as 0: the size is not known. It stands in stores that are older than the column.
        let nar_size = self.nar_size.unwrap_or(0);
        let nar_size = u64::try_from(nar_size)
            .map_err(|error| wrong("narSize", &nar_size.to_string(), Box::new(error)))?;
        let mut info = PathInfo::new(path.clone(), nar_hash, nar_size);
        info.registration_time = Some(self.registration_time);
        info.ultimate = self.ultimate.unwrap_or(false);
        if let Some(deriver) = self.deriver.as_deref().filter(|deriver| !deriver.is_empty()) {
            info.deriver = Some(parse_path(layout, "deriver", deriver)?);
        }
        if let Some(signatures) = &self.signatures {
            info.signatures = signatures.split_whitespace().map(Signature::new).collect::<BTreeSet<_>>();
        }
        if let Some(ca) = self.ca.as_deref().filter(|ca| !ca.is_empty()) {
            let parsed = ContentAddress::from_str(ca).map_err(|error| wrong("ca", ca, Box::new(error)))?;
            info.ca = Some(parsed);
        }
        Ok(info)
    }
}
