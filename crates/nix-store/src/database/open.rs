//! Opening Nix's database: for reading beside a running Nix, with and without write permission, and for writing.

use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use nars3_store_api::{Event, Progress, StoreError};
use rusqlite::{Connection, OpenFlags};

use crate::Durability;
use crate::error::{LocalStoreError, backend_error};
use crate::layout::Layout;

/// How long a reader waits for a writer. In WAL mode that happens only while a crashed writer's log is recovered.
const READ_TIMEOUT: Duration = Duration::from_secs(60);

/// How long a writer waits for another. Nix waits an hour; its transactions take well under a second.
const WRITE_TIMEOUT: Duration = Duration::from_secs(600);

/// Pages (of 4 KiB) in the log before a commit moves them to the database. Nix's figure: a large registration shall not
/// cost more than one synchronisation.
const CHECKPOINT_PAGES: u32 = 40_000;

/// How the database can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReadMode {
    /// With SQLite's locks: always current.
    Shared,
    /// As a file that nobody changes: without the log, hence perhaps behind, and confused by a writer.
    Immutable,
}

/// Finds out how the database can be read, and opens it. The fallback is told as a warning.
pub(crate) fn probe(layout: &Layout, progress: &dyn Progress) -> Result<(ReadMode, Connection), StoreError> {
    let path = layout.database();
    let shared = match for_reading(&path, ReadMode::Shared) {
        Ok(connection) => return Ok((ReadMode::Shared, connection)),
        Err(error) => error,
    };
    if matches!(path.try_exists(), Ok(false)) {
        return Err(backend_error(layout, "open its database", LocalStoreError::NoDatabase { path }));
    }
    if !may_be_permissions(&shared) {
        return Err(backend_error(layout, format!("read '{}'", path.display()), shared));
    }
    // In WAL mode even a reader writes: it registers in the `-shm` file. Where it may not, this is left.
    let Ok(connection) = for_reading(&path, ReadMode::Immutable) else {
        return Err(backend_error(layout, format!("read '{}'", path.display()), shared));
    };
    let log = log_length(&path);
    let message = format!(
        "the Nix database '{}' cannot be locked for reading ({shared}); it is read as it is on the disk, {}; \
         a nix-daemon that has it open would know better",
        path.display(),
        if log == 0 { "which is wrong while anybody writes to it" } else { "without the newest changes" },
    );
    progress.report(Event::Warning { message: &message });
    Ok((ReadMode::Immutable, connection))
}

/// Opens the database for reading, and makes sure that it can be read.
pub(crate) fn for_reading(path: &Path, mode: ReadMode) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = match mode {
        ReadMode::Shared => Connection::open_with_flags(path, flags)?,
        ReadMode::Immutable => {
            let address = format!("file:{}?immutable=1", percent_encoded(path));
            Connection::open_with_flags(address, flags | OpenFlags::SQLITE_OPEN_URI)?
        }
    };
    connection.busy_timeout(READ_TIMEOUT)?;
    connection.prepare("select id from ValidPaths limit 1")?.exists([])?;
    Ok(connection)
}

/// Opens the database for writing, as Nix does (`openDB` in 2.8 and 2.29 `local-store.cc`).
pub(crate) fn for_writing(path: &Path, create: bool, durability: Durability) -> rusqlite::Result<Connection> {
    let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    if create {
        flags |= OpenFlags::SQLITE_OPEN_CREATE;
    }
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(WRITE_TIMEOUT)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    let synchronous = if durability == Durability::Nothing { "off" } else { "normal" };
    connection.pragma_update(None, "synchronous", synchronous)?;
    if create {
        // An existing database keeps its mode: Nix has a setting for it (`use-sqlite-wal`), which is not ours to turn.
        connection.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
    }
    connection.pragma_update_and_check(None, "wal_autocheckpoint", CHECKPOINT_PAGES, |_| Ok(()))?;
    Ok(connection)
}

/// Whether reading without locks could help against this error.
fn may_be_permissions(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{CannotOpen, PermissionDenied, ReadOnly, SystemIoFailure};
    matches!(error.sqlite_error_code(), Some(CannotOpen | PermissionDenied | ReadOnly | SystemIoFailure))
}

/// Bytes of committed changes that are not in the database file yet. Zero when that cannot be seen.
fn log_length(database: &Path) -> u64 {
    let mut name = database.as_os_str().to_owned();
    name.push("-wal");
    std::fs::metadata(name).map_or(0, |metadata| metadata.len())
}

/// The path as it stands in a `file:` address.
fn percent_encoded(path: &Path) -> String {
    path.as_os_str().as_bytes().iter().fold(String::new(), |mut address, &byte| {
        if byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte) {
            address.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(address, "%{byte:02X}");
        }
        address
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_no_byte_with_a_meaning() {
        assert_eq!(percent_encoded(Path::new("/a b/c?d#e%f")), "/a%20b/c%3Fd%23e%25f");
    }
}
