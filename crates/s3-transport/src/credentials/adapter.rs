//! Credentials, in the form in which object_store's client asks for them.

use std::sync::Arc;

use async_trait::async_trait;
use object_store::CredentialProvider;
use object_store::aws::AwsCredential;

use super::CredentialsError;
use super::cache::{CredentialCache, Found};

/// Gives object_store's client what the cache has.
#[derive(Debug)]
pub(crate) struct Adapter(pub(crate) Arc<CredentialCache>);

#[async_trait]
impl CredentialProvider for Adapter {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        let error = match self.0.get().await {
            Found::Credentials(credentials) => return Ok(credentials),
            // There were some before: whoever took them away made a mistake, and unsigned requests would hide it.
            Found::Nothing(attempts) => CredentialsError { profile: None, attempts },
            Found::Failed(error) => error,
        };
        Err(object_store::Error::Generic { store: "S3", source: Box::new(error) })
    }
}
