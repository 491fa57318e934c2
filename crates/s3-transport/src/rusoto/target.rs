//! Where the bucket's requests go, and for which region they are signed.

use nars3_store_url::{AddressingError, S3Settings};
use rusoto_core::Region;

/// Host, path and region of a bucket.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) scheme: &'static str,
    /// Host and port, as the `Host` header has them.
    pub(super) authority: String,
    /// What stands in front of `/<key>`, not encoded: the endpoint's path, and the bucket where it is not in the host.
    pub(super) path: String,
    /// Any name: rusoto's own list of regions ends in 2022, and its table of hosts is not used.
    pub(super) region: Region,
}

impl Target {
    pub(super) fn of(settings: &S3Settings) -> Result<Self, AddressingError> {
        let url = settings.bucket_address()?.url;
        let (scheme, authority) = (url.scheme.as_str(), url.authority.to_string());
        let path = url.segments.iter().map(|segment| format!("/{segment}")).collect();
        let region = Region::Custom {
            name: settings.region.clone(),
            // Without a path: rusoto would put it in front of ours.
            endpoint: format!("{scheme}://{authority}"),
        };
        Ok(Target { scheme, authority, path, region })
    }
}
