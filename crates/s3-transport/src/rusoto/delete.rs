//! Deleting, up to a thousand objects with one request.

use std::collections::HashMap;
use std::sync::Arc;

use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{Error, Result};
use rusoto_s3::{Delete, DeleteObjectsRequest, ObjectIdentifier, S3};

use super::dispatcher::Connection;
use super::draft::Extras;
use super::failure::Failure;
use crate::wire::{Answer, Operation};

/// S3 takes no more keys in one request.
const BATCH: usize = 1000;

/// Requests under way at once.
const PARALLEL: usize = 8;

const OPERATION: Operation = Operation::DeleteObjects;

impl Connection {
    pub(super) fn delete_all(
        self: &Arc<Self>,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let connection = Arc::clone(self);
        let batches = locations.try_chunks(BATCH).map(move |batch| {
            let connection = Arc::clone(&connection);
            async move {
                let batch = batch.map_err(|error| error.1)?;
                connection.delete_batch(batch).await.map(stream::iter)
            }
        });
        batches.buffered(PARALLEL).try_flatten().boxed()
    }

    /// Deletes the objects; what became of each one, in their order.
    async fn delete_batch(self: &Arc<Self>, locations: Vec<Path>) -> Result<Vec<Result<Path>>> {
        let objects =
            locations.iter().map(|location| ObjectIdentifier { key: location.to_string(), version_id: None });
        let request = DeleteObjectsRequest {
            bucket: self.settings.bucket.clone(),
            delete: Delete { objects: objects.collect(), quiet: None },
            request_payer: self.request_payer(),
            ..DeleteObjectsRequest::default()
        };
        let ask = |client: rusoto_s3::S3Client| async move { client.delete_objects(request).await };
        let output = self.call(OPERATION, Extras::default(), ask).await?;
        let mut failed: HashMap<String, Error> = HashMap::new();
        for error in output.errors.unwrap_or_default() {
            let key = error.key.unwrap_or_default();
            let answer = Answer {
                operation: Some(OPERATION),
                code: error.code.clone(),
                message: error.message,
                ..Answer::default()
            };
            let error = Failure::Refused(Box::new(answer)).into_error(&key);
            failed.insert(key, error);
        }
        // The wire has seen to it that the answer is about every one of them.
        let outcome = |location: Path| match failed.remove(location.as_ref()) {
            Some(error) => Err(error),
            None => Ok(location),
        };
        Ok(locations.into_iter().map(outcome).collect())
    }
}
