//! A few connections for reading, each used by one task on the blocking pool at a time.

use std::sync::{Arc, Mutex, PoisonError};

use nars3_store_api::{Progress, StoreError};
use rusqlite::Connection;
use tokio::sync::Semaphore;

use super::open::{self, ReadMode};
use crate::blocking;
use crate::error::{LocalStoreError, backend_error};
use crate::layout::Layout;

/// Queries at once. They are answered from the page cache, so more would only fill the blocking pool.
const CONNECTIONS: usize = 4;

/// Connections for reading, opened as needed.
#[derive(Debug)]
pub(crate) struct ReadPool {
    layout: Arc<Layout>,
    mode: ReadMode,
    idle: Mutex<Vec<Connection>>,
    permits: Semaphore,
}

impl ReadPool {
    /// Opens the first connection. Blocks.
    pub(crate) fn open(layout: Arc<Layout>, progress: &dyn Progress) -> Result<Arc<Self>, StoreError> {
        super::schema::check_readable(&layout)?;
        let (mode, connection) = open::probe(&layout, progress)?;
        let idle = Mutex::new(vec![connection]);
        Ok(Arc::new(Self { layout, mode, idle, permits: Semaphore::new(CONNECTIONS) }))
    }

    /// Whether the database is read without locks.
    pub(crate) fn is_immutable(&self) -> bool {
        self.mode == ReadMode::Immutable
    }

    /// Runs `query` on the blocking pool, inside one read transaction: it sees one state of the database.
    pub(crate) async fn read<T, F>(self: &Arc<Self>, query: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Layout, &Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let _permit =
            self.permits.acquire().await.map_err(|_closed| {
                backend_error(&self.layout, "read its database", LocalStoreError::ShutDown)
            })?;
        let pool = Arc::clone(self);
        blocking::run(&self.layout, move || pool.read_blocking(query)).await
    }

    /// As `read`, for a thread that may block.
    pub(crate) fn read_blocking<T>(
        &self,
        query: impl FnOnce(&Layout, &Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut connection = self.connection()?;
        let answer = {
            let transaction = connection.transaction().map_err(|error| self.failed(error))?;
            query(&self.layout, &transaction)
        };
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        answer
    }

    fn connection(&self) -> Result<Connection, StoreError> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        match idle {
            Some(connection) => Ok(connection),
            None => open::for_reading(&self.layout.database(), self.mode).map_err(|error| self.failed(error)),
        }
    }

    fn failed(&self, error: rusqlite::Error) -> StoreError {
        backend_error(&self.layout, format!("read '{}'", self.layout.database().display()), error)
    }
}
