//! The seam of object_store's client: it makes requests without a signature, and everything else happens below it.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use object_store::client::{HttpError, HttpRequest, HttpResponse, HttpService};

use super::draft::{Made, Signer};
use super::send::Wire;

/// Takes the requests of object_store's client.
pub(super) struct Service {
    pub(super) wire: Arc<Wire>,
    pub(super) signer: Arc<Signer>,
    /// The path in front of `/<key>`, not encoded.
    pub(super) base: String,
}

#[async_trait]
impl HttpService for Service {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let draft = Made::new(request, &self.base, Arc::clone(&self.signer)).await?;
        self.wire.send(Arc::new(draft)).await
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Service").finish_non_exhaustive()
    }
}
