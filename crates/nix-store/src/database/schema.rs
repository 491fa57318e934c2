//! The tables of Nix's database, version 10, and the file that says so.
//!
//! Source: `schema.sql` of Nix 2.8 and 2.29, which agree. Nix reads version 10 since 2.0 and has not gone beyond it: later changes
//! are named in a table `SchemaMigrations`, leave these tables alone, and are made by Nix itself when it opens the store.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use nars3_store_api::StoreError;

use crate::error::{LocalStoreError, backend_error, file_error};
use crate::layout::Layout;

/// The schema version that is read and written.
pub(crate) const VERSION: u32 = 10;

/// Creates what is not there yet.
///
/// `hash` is `sha256:<base16>`, `registrationTime` seconds since 1970, `sigs` separated by spaces, `ultimate` null for
/// false, `path`, `deriver` and the outputs full paths under the logical store directory.
pub(crate) const TABLES: &str = "
create table if not exists ValidPaths (
    id integer primary key autoincrement not null,
    path text unique not null,
    hash text not null,
    registrationTime integer not null,
    deriver text,
    narSize integer,
    ultimate integer,
    sigs text,
    ca text
);
create table if not exists Refs (
    referrer integer not null,
    reference integer not null,
    primary key (referrer, reference),
    foreign key (referrer) references ValidPaths(id) on delete cascade,
    foreign key (reference) references ValidPaths(id) on delete restrict
);
create index if not exists IndexReferrer on Refs(referrer);
create index if not exists IndexReference on Refs(reference);
create trigger if not exists DeleteSelfRefs before delete on ValidPaths
  begin
    delete from Refs where referrer = old.id and reference = old.id;
  end;
create table if not exists DerivationOutputs (
    drv integer not null,
    id text not null,
    path text not null,
    primary key (drv, id),
    foreign key (drv) references ValidPaths(id) on delete cascade
);
create index if not exists IndexDerivationOutputs on DerivationOutputs(path);
";

/// The schema version of the store; `None` when it has none yet.
pub(crate) fn version(layout: &Layout) -> Result<Option<u32>, StoreError> {
    let path = layout.schema();
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(file_error("read", &path, error)),
    };
    match text.trim().parse() {
        Ok(version) => Ok(Some(version)),
        Err(_) => {
            let error = LocalStoreError::SchemaNotANumber { found: text.chars().take(40).collect() };
            Err(backend_error(layout, format!("read '{}'", path.display()), error))
        }
    }
}

/// Says that the database has the tables above. In one step, so that nobody reads half a number.
pub(crate) fn write_version(layout: &Layout) -> Result<(), StoreError> {
    let path = layout.schema();
    let write = || -> io::Result<()> {
        let mut file = tempfile::Builder::new()
            .prefix("schema.")
            .permissions(mode(0o644))
            .tempfile_in(path.parent().unwrap_or(Path::new("/")))?;
        write!(file, "{VERSION}")?;
        file.as_file().sync_all()?;
        file.persist(&path)?;
        Ok(())
    };
    write().map_err(|error| file_error("write", &path, error))
}

fn mode(bits: u32) -> fs::Permissions {
    std::os::unix::fs::PermissionsExt::from_mode(bits)
}

/// Whether a database of this version can be read: older ones lack columns. Newer ones are tried.
pub(crate) fn check_readable(layout: &Layout) -> Result<(), StoreError> {
    match version(layout)? {
        Some(found) if found < VERSION => {
            let error = LocalStoreError::SchemaTooOld { found, supported: VERSION };
            Err(backend_error(layout, "read its database", error))
        }
        _ => Ok(()),
    }
}

/// Whether a database of this version can be written.
pub(crate) fn check_writable(layout: &Layout, version: u32) -> Result<(), StoreError> {
    let error = match version {
        VERSION => return Ok(()),
        found if found < VERSION => LocalStoreError::SchemaTooOld { found, supported: VERSION },
        found => LocalStoreError::SchemaTooNew { found, supported: VERSION },
    };
    Err(backend_error(layout, "write its database", error))
}
