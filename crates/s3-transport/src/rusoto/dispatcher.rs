//! Sends what rusoto made: one attempt signs a request for its moment and asks once; attempts follow one another until
//! there is an answer worth having.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use nars3_store_url::{S3Settings, TransferSettings};
use object_store::client::HttpClient;
use rusoto_core::request::{DispatchSignedRequestFuture, HttpResponse};
use rusoto_core::signature::SignedRequest;
use rusoto_core::{DispatchSignedRequest, HttpDispatchError};
use rusoto_credential::{AwsCredentials, ProvideAwsCredentials};

use super::credentials::Provider;
use super::draft::{Draft, Extras};
use super::failure::Failure;
use super::response;
use super::target::Target;
use crate::credentials::Access;
use crate::wire::{Answer, Operation};
use crate::{S3ErrorKind, S3OpenError};

/// A body of more bytes is hashed on the blocking pool; fewer take less time than to get there.
const SIGN_INLINE: usize = 64 << 10;

/// What all operations on a bucket share.
pub(super) struct Connection {
    pub(super) settings: S3Settings,
    target: Mutex<Target>,
    access: Access,
    http: HttpClient,
}

impl Connection {
    pub(super) fn new(settings: S3Settings, access: Access, http: HttpClient) -> Result<Self, S3OpenError> {
        let target = Mutex::new(Target::of(&settings)?);
        Ok(Connection { settings, target, access, http })
    }

    pub(super) fn target(&self) -> Target {
        self.target.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn transfer(&self) -> &TransferSettings {
        &self.settings.transfer
    }

    async fn credentials(&self) -> Result<Option<AwsCredentials>, Failure> {
        let Access::Signed(cache) = &self.access else { return Ok(None) };
        let provider = Provider::new(Arc::clone(cache));
        match provider.credentials().await {
            Ok(credentials) => Ok(Some(credentials)),
            Err(error) => Err(match provider.take_failure() {
                Some(failure) => Failure::NoCredentials(failure),
                None => Failure::Impossible { operation: None, reason: error.to_string() },
            }),
        }
    }

    /// One attempt: sign, send, read.
    async fn attempt(&self, draft: &Arc<Draft>) -> Result<HttpResponse, Failure> {
        let credentials = self.credentials().await?;
        let request = sign(draft, self.target(), credentials).await?;
        let operation = Operation::of(&request);
        let response = self.http.execute(request).await.map_err(Failure::Broken)?;
        let status = response.status();
        if status.as_u16() == 304 {
            return Err(Failure::NotModified { operation });
        }
        if status.is_success() {
            return response::accept(operation, response).await;
        }
        let body = response.into_body().bytes().await.map_err(Failure::Broken)?;
        let answer = Answer::find(&String::from_utf8_lossy(&body)).unwrap_or_else(|| Answer {
            operation: Some(operation),
            status: Some(status.as_u16()),
            ..Answer::default()
        });
        Err(Failure::Refused(Box::new(answer)))
    }

    /// Attempts until one succeeds, or fails for good, or there have been enough.
    async fn send(&self, draft: Arc<Draft>) -> Result<HttpResponse, Failure> {
        let begin = Instant::now();
        let mut attempts = 1;
        let mut renewed = false;
        loop {
            let failure = match self.attempt(&draft).await {
                Ok(response) => return Ok(response),
                Err(failure) => failure,
            };
            let described = failure.describe(None);
            let in_time = self.transfer().retry_timeout.is_none_or(|limit| begin.elapsed() < limit);
            if described.kind == S3ErrorKind::ExpiredCredentials && !renewed {
                // The HTTP client has made the cache forget them.
                renewed = true;
                continue;
            }
            let repeat = described.is_transient() || matches!(failure, Failure::Unreadable { .. });
            if !repeat || !in_time || attempts >= self.transfer().retry_attempts {
                return Err(failure);
            }
            let delay = delay(self.transfer(), attempts, described.kind == S3ErrorKind::Throttled);
            tracing::debug!(attempts, ?delay, error = %described, "a request will be tried again");
            tokio::time::sleep(delay).await;
            attempts += 1;
        }
    }
}

/// Signs on the blocking pool where there is much to hash.
async fn sign(
    draft: &Arc<Draft>,
    target: Target,
    credentials: Option<AwsCredentials>,
) -> Result<object_store::client::HttpRequest, Failure> {
    let impossible = |reason| Failure::Impossible { operation: None, reason };
    if draft.body_len() <= SIGN_INLINE {
        return draft.request(&target, credentials.as_ref()).map_err(impossible);
    }
    let draft = Arc::clone(draft);
    let signing = tokio::task::spawn_blocking(move || draft.request(&target, credentials.as_ref()));
    signing.await.map_err(|error| impossible(error.to_string()))?.map_err(impossible)
}

/// How long to wait after so many attempts: any time up to the delay of the settings, which doubles.
pub(super) fn delay(transfer: &TransferSettings, attempts: u32, throttled: bool) -> Duration {
    let first = if throttled { transfer.retry_delay_rate_limited } else { transfer.retry_delay };
    let factor = 1_u32.checked_shl(attempts.saturating_sub(1)).unwrap_or(u32::MAX);
    first.saturating_mul(factor).min(transfer.retry_max_delay).mul_f64(fraction())
}

/// A number from 0 to 1 by chance: the standard library seeds its hash maps so.
fn fraction() -> f64 {
    use std::hash::{BuildHasher, Hasher, RandomState};
    let bits = RandomState::new().build_hasher().finish() >> 32;
    bits as f64 / f64::from(u32::MAX)
}

/// Takes one operation's requests, and remembers why they failed: rusoto's error is a text.
pub(super) struct Dispatcher {
    pub(super) connection: Arc<Connection>,
    pub(super) extras: Extras,
    pub(super) failure: Arc<Mutex<Option<Failure>>>,
}

impl DispatchSignedRequest for Dispatcher {
    /// rusoto never gives a timeout; the HTTP client has those of the settings.
    fn dispatch(&self, request: SignedRequest, _: Option<Duration>) -> DispatchSignedRequestFuture {
        let draft = Arc::new(Draft::new(request, &self.connection.settings.bucket, &self.extras));
        let (connection, slot) = (Arc::clone(&self.connection), Arc::clone(&self.failure));
        Box::pin(async move {
            connection.send(draft).await.map_err(|failure| {
                *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(failure);
                HttpDispatchError::new("the failure is kept beside".to_owned())
            })
        })
    }
}
