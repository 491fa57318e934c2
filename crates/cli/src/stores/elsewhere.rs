//! Files of a cache that its narinfos name on other servers.

use std::sync::Arc;

use async_trait::async_trait;
use nars3_binary_cache::Elsewhere;
use nars3_store_api::BoxError;
use nars3_store_url::{StoreKind, StoreUrl, TransferSettings};
use object_store::ObjectStore;
use object_store::path::Path as ObjectPath;

use crate::run::Context;

/// Opens what narinfos name on other servers, for whoever allowed it.
#[derive(Debug)]
struct OtherServers {
    transfer: TransferSettings,
    environment: nars3_s3::Environment,
}

#[async_trait]
impl Elsewhere for OtherServers {
    async fn open(&self, url: &str) -> Result<(Arc<dyn ObjectStore>, ObjectPath), BoxError> {
        Ok(nars3_s3::open_elsewhere(url, &self.transfer, &self.environment).await?)
    }
}

pub(super) fn elsewhere(url: &StoreUrl, context: &Context) -> Option<Arc<dyn Elsewhere>> {
    let transfer = match &url.kind {
        StoreKind::S3(settings) => settings.transfer.clone(),
        StoreKind::Http(settings) => settings.transfer.clone(),
        _ => TransferSettings::default(),
    };
    let environment = context.s3.clone();
    url.cache.follow_nar_urls.then(|| Arc::new(OtherServers { transfer, environment }) as Arc<dyn Elsewhere>)
}
