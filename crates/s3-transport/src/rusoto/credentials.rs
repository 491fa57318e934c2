//! Credentials, in the form in which rusoto asks for them.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use rusoto_credential::{AwsCredentials, CredentialsError as RusotoCredentialsError, ProvideAwsCredentials};

use crate::CredentialsError;
use crate::credentials::{CredentialCache, Found};

/// Gives rusoto what the cache has. The cache renews; rusoto's own `AutoRefreshingProvider` would keep the first error
/// for good.
pub(super) struct Provider {
    cache: Arc<CredentialCache>,
    /// rusoto's error is a text, so the facts wait here.
    failure: Mutex<Option<CredentialsError>>,
}

impl Provider {
    pub(super) fn new(cache: Arc<CredentialCache>) -> Self {
        Provider { cache, failure: Mutex::default() }
    }

    /// Why the last lookup failed.
    pub(super) fn take_failure(&self) -> Option<CredentialsError> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

#[async_trait]
impl ProvideAwsCredentials for Provider {
    async fn credentials(&self) -> Result<AwsCredentials, RusotoCredentialsError> {
        let error = match self.cache.get().await {
            Found::Credentials(found) => {
                let (key, secret) = (found.key_id.clone(), found.secret_key.clone());
                return Ok(AwsCredentials::new(key, secret, found.token.clone(), None));
            }
            // There were some before: whoever took them away made a mistake, and unsigned requests would hide it.
            Found::Nothing(attempts) => CredentialsError { profile: None, attempts },
            Found::Failed(error) => error,
        };
        let text = RusotoCredentialsError::new(error.to_string());
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        Err(text)
    }
}
