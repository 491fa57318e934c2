//! The way from async code to the blocking pool, where all files and the database are.

use nars3_store_api::StoreError;

use crate::error::shut_down;
use crate::layout::Layout;

/// Runs `work` on the blocking pool. Must be called inside a tokio runtime. A panic of `work` goes on in the caller.
pub(crate) async fn run<T, F>(store: &Layout, work: F) -> Result<T, StoreError>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T, StoreError> + Send + 'static,
{
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_cancelled) => Err(shut_down(store)),
        },
    }
}
