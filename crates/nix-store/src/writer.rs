//! The writing side of a local store: its database connection, the lock that keeps migrations away, its temporary
//! roots and its staging directory.

use std::sync::{Arc, Mutex, PoisonError};

use nars3_store_api::StoreError;
use rusqlite::{Connection, Transaction, TransactionBehavior};
use rustix::fs::Access;
use rustix::io::Errno;

use crate::create::{create_directories, reserve_space};
use crate::database::{open, schema};
use crate::error::{backend_error, file_error};
use crate::layout::Layout;
use crate::locks::BigLock;
use crate::mount::check_writable;
use crate::staging::StagingDir;
use crate::temp_roots::TempRoots;
use crate::{Durability, LocalStoreOptions};

/// What is needed to write to a store. Made once, when it is first written to.
#[derive(Debug)]
pub(crate) struct Writer {
    layout: Arc<Layout>,
    durability: Durability,
    connection: Mutex<Connection>,
    temp_roots: Arc<TempRoots>,
    staging: Mutex<Option<Arc<StagingDir>>>,
    // Let go last: while it is held, no other version of Nix changes the tables under us.
    _big_lock: BigLock,
}

/// Whether a writer can be opened, without opening one.
pub(crate) fn check(layout: &Layout) -> Result<(), StoreError> {
    check_writable(layout)?;
    if let Some(version) = schema::version(layout)? {
        schema::check_writable(layout, version)?;
    }
    let needed = [
        layout.real_store_dir().to_owned(),
        layout.database_dir(),
        layout.database(),
        layout.temp_roots_dir(),
    ];
    for path in needed {
        match rustix::fs::access(&path, Access::WRITE_OK) {
            // What is not there is made.
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(file_error("write to", &path, error.into())),
        }
    }
    Ok(())
}

impl Writer {
    /// Opens the store at `layout` for writing; makes one where there is none.
    pub(crate) fn open(layout: Arc<Layout>, options: &LocalStoreOptions) -> Result<Self, StoreError> {
        check_writable(&layout)?;
        create_directories(&layout)?;
        reserve_space(&layout);
        let big_lock = BigLock::shared(&layout.big_lock())?;
        let version = schema::version(&layout)?;
        if let Some(version) = version {
            schema::check_writable(&layout, version)?;
        }
        let create = version.is_none();
        let path = layout.database();
        let failed = |error| backend_error(&layout, format!("open '{}' for writing", path.display()), error);
        let mut connection = open::for_writing(&path, create, options.durability).map_err(failed)?;
        if create {
            // In one transaction, so that one who creates the same store at the same moment sees all or nothing.
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
            transaction.execute_batch(schema::TABLES).map_err(failed)?;
            transaction.commit().map_err(failed)?;
            schema::write_version(&layout)?;
        }
        let temp_roots = TempRoots::open(&layout)?;
        Ok(Self {
            layout,
            durability: options.durability,
            connection: Mutex::new(connection),
            temp_roots,
            staging: Mutex::new(None),
            _big_lock: big_lock,
        })
    }

    pub(crate) fn temp_roots(&self) -> &TempRoots {
        &self.temp_roots
    }

    pub(crate) fn durability(&self) -> Durability {
        self.durability
    }

    /// The directory where paths wait for their publication, made on first use.
    pub(crate) fn staging(&self) -> Result<Arc<StagingDir>, StoreError> {
        let mut staging = self.staging.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(staging) = &*staging {
            return Ok(Arc::clone(staging));
        }
        let new = Arc::new(StagingDir::create(&self.layout, &self.temp_roots)?);
        *staging = Some(Arc::clone(&new));
        Ok(new)
    }

    /// Runs `query` on the writing connection: it sees what is committed now.
    pub(crate) fn read<T>(
        &self,
        query: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        query(&self.connection.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Runs `work` in a transaction that no other writer can come between, and commits if it succeeds.
    pub(crate) fn transaction<T>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let failed = |error| {
            backend_error(&self.layout, format!("write '{}'", self.layout.database().display()), error)
        };
        // A panic inside leaves a connection whose transaction was rolled back: nothing to be afraid of.
        let mut connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        let transaction =
            connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
        let done = work(&transaction)?;
        transaction.commit().map_err(failed)?;
        Ok(done)
    }
}
