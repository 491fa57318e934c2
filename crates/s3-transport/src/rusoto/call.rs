//! One operation: rusoto's client over a dispatcher of its own, which knows what rusoto cannot say.

use std::error::Error as StdError;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use rusoto_core::{Client, RusotoError};
use rusoto_s3::S3Client;

use super::dispatcher::{Connection, Dispatcher};
use super::draft::{Extras, region};
use super::failure::Failure;
use crate::wire::Operation;

impl Connection {
    /// Makes one operation's request and reads its answer.
    pub(super) async fn call<O, E, F>(
        self: &Arc<Self>,
        operation: Operation,
        extras: Extras,
        ask: impl FnOnce(S3Client) -> F,
    ) -> Result<O, Failure>
    where
        E: StdError + 'static,
        F: Future<Output = Result<O, RusotoError<E>>>,
    {
        let failure = Arc::new(Mutex::new(None));
        let dispatcher = Dispatcher { connection: Arc::clone(self), extras, failure: Arc::clone(&failure) };
        // Not signing: the dispatcher signs, after it has added what is missing.
        let client = S3Client::new_with_client(Client::new_not_signing(dispatcher), region(&self.target()));
        let result = ask(client).await;
        result.map_err(|error| {
            let kept = failure.lock().unwrap_or_else(PoisonError::into_inner).take();
            kept.unwrap_or_else(|| Failure::Unreadable { operation, status: None, reason: error.to_string() })
        })
    }
}
