//! Sends what rusoto made: the wire makes the attempts, and each one is signed here, for its moment.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use nars3_store_url::S3Settings;
use object_store::client::{HttpError, HttpErrorKind, HttpRequest};
use rusoto_core::request::{DispatchSignedRequestFuture, HttpResponse};
use rusoto_core::signature::SignedRequest;
use rusoto_core::{DispatchSignedRequest, HttpDispatchError};
use rusoto_credential::{AwsCredentials, ProvideAwsCredentials};

use super::credentials::Provider;
use super::draft::{Extras, Unsigned};
use super::failure::{Failure, Impossible};
use super::response;
use crate::CredentialsError;
use crate::credentials::Access;
use crate::wire::{Answer, Draft, HASH_INLINE, Headers, Operation, ReadMethod, Target, Wire};

/// What all operations on a bucket share.
pub(super) struct Connection {
    pub(super) settings: S3Settings,
    access: Access,
    wire: Arc<Wire>,
}

impl Connection {
    pub(super) fn new(settings: S3Settings, access: Access, wire: Arc<Wire>) -> Self {
        Connection { settings, access, wire }
    }

    pub(super) fn target(&self) -> Target {
        self.wire.target()
    }

    async fn credentials(&self) -> Result<Option<AwsCredentials>, HttpError> {
        let Access::Signed(cache) = &self.access else { return Ok(None) };
        let provider = Provider::new(Arc::clone(cache));
        let error = match provider.credentials().await {
            Ok(credentials) => return Ok(Some(credentials)),
            Err(error) => error,
        };
        let none = || CredentialsError { profile: None, attempts: Arc::new([]) };
        tracing::debug!(%error, "rusoto has no credentials");
        Err(HttpError::new(HttpErrorKind::Unknown, provider.take_failure().unwrap_or_else(none)))
    }

    /// Makes a request and reads its answer, as far as rusoto is not to read it.
    async fn send(self: &Arc<Self>, unsigned: Unsigned) -> Result<HttpResponse, Failure> {
        let operation = unsigned.operation();
        let draft = Signable { connection: Arc::clone(self), unsigned: Arc::new(unsigned) };
        let response = self.wire.send(Arc::new(draft)).await.map_err(Failure::of_error)?;
        let status = response.status();
        if status.as_u16() == 304 {
            return Err(Failure::NotModified { operation });
        }
        if status.is_success() {
            return response::accept(operation, response).await;
        }
        let body = response.into_body().bytes().await.map_err(Failure::of_error)?;
        let answer = Answer::find(&String::from_utf8_lossy(&body)).unwrap_or_else(|| Answer {
            operation: Some(operation),
            status: Some(status.as_u16()),
            ..Answer::default()
        });
        Err(Failure::Refused(Box::new(answer)))
    }
}

/// A request of rusoto's that the wire can make, as often as it has to.
struct Signable {
    connection: Arc<Connection>,
    unsigned: Arc<Unsigned>,
}

#[async_trait]
impl Draft for Signable {
    fn operation(&self) -> Operation {
        self.unsigned.operation()
    }

    fn key(&self) -> &str {
        self.unsigned.key()
    }

    fn body_len(&self) -> u64 {
        self.unsigned.body_len() as u64
    }

    fn document(&self) -> Bytes {
        self.unsigned.in_one_piece().unwrap_or_default()
    }

    /// Signs on the blocking pool where there is much to hash.
    async fn sign(&self, target: &Target) -> Result<HttpRequest, HttpError> {
        let impossible = |reason| HttpError::new(HttpErrorKind::Unknown, Impossible(reason));
        let credentials = self.connection.credentials().await?;
        if self.unsigned.body_len() <= HASH_INLINE {
            return self.unsigned.sign(target, credentials.as_ref()).map_err(impossible);
        }
        let (unsigned, target) = (Arc::clone(&self.unsigned), target.clone());
        let signing = tokio::task::spawn_blocking(move || unsigned.sign(&target, credentials.as_ref()));
        signing.await.map_err(|error| impossible(error.to_string()))?.map_err(impossible)
    }

    fn read(&self, method: ReadMethod, headers: Headers<'_>) -> Arc<dyn Draft> {
        let unsigned = Arc::new(self.unsigned.read(method, headers));
        Arc::new(Signable { connection: Arc::clone(&self.connection), unsigned })
    }

    fn delete(&self, key: &str) -> Arc<dyn Draft> {
        let unsigned = Arc::new(self.unsigned.delete(key));
        Arc::new(Signable { connection: Arc::clone(&self.connection), unsigned })
    }

    fn list_nothing(&self) -> Arc<dyn Draft> {
        let unsigned = Arc::new(self.unsigned.list_nothing());
        Arc::new(Signable { connection: Arc::clone(&self.connection), unsigned })
    }
}

/// Takes one operation's requests, and remembers why they failed: rusoto's error is a text.
pub(super) struct Dispatcher {
    pub(super) connection: Arc<Connection>,
    pub(super) extras: Extras,
    pub(super) failure: Arc<Mutex<Option<Failure>>>,
}

impl DispatchSignedRequest for Dispatcher {
    /// rusoto never gives a timeout; the wire has those of the settings.
    fn dispatch(&self, request: SignedRequest, _: Option<Duration>) -> DispatchSignedRequestFuture {
        let unsigned = Unsigned::new(request, &self.connection.settings.bucket, &self.extras);
        let (connection, slot) = (Arc::clone(&self.connection), Arc::clone(&self.failure));
        Box::pin(async move {
            connection.send(unsigned).await.map_err(|failure| {
                *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(failure);
                HttpDispatchError::new("the failure is kept beside".to_owned())
            })
        })
    }
}
