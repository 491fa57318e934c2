//! What a person can do about an error of S3. The transport finds out what happened; the words are here.

use std::error::Error;

use nars3_binary_cache::{UnreadableEncoding, UploadLimit};
use nars3_nix_store::LocalStoreError;
use nars3_s3::{S3Error, S3ErrorKind};
use nars3_store_api::StoreError;

/// What to do about the S3 error that `error` was caused by, if one was.
pub(crate) fn of_s3(error: &anyhow::Error) -> Option<String> {
    match error.chain().find_map(<dyn Error>::downcast_ref) {
        Some(UploadLimit::Memory { needed, .. }) => {
            return Some(format!(
                "write upload-memory={needed} into the store URL, if this machine has so much"
            ));
        }
        Some(UploadLimit::Whole { size, .. }) => {
            return Some(format!(
                "let it go in parts (no multipart-upload=false, a lower multipart-threshold), or write \
                 upload-memory={size} into the store URL, if this machine has so much"
            ));
        }
        _ => {}
    }
    error.chain().find_map(s3_error).and_then(|error| of_s3_error(&error))
}

/// What to do about a refusal of a cache, if `error` was caused by one.
pub(crate) fn of_cache(error: &anyhow::Error) -> Option<String> {
    if error.chain().any(is_web_listing) {
        return Some(
            "a web server tells what it has only if it speaks WebDAV: name the paths, or the bucket or the directory \
             behind it"
                .to_owned(),
        );
    }
    let refused = error.chain().find_map(|cause| cause.downcast_ref::<UnreadableEncoding>())?;
    Some(format!(
        "write {}=zstd into the store URL, or force-encodings=true where no newer Nix reads the cache",
        refused.setting
    ))
}

/// What to do about a store of this machine as such, if `error` was caused by its state.
pub(crate) fn of_local(error: &anyhow::Error) -> Option<String> {
    match error.chain().find_map(<dyn Error>::downcast_ref)? {
        LocalStoreError::NoDatabase { path } if path.with_file_name("schema").exists() => Some(
            "a schema file says that a store is here, but its database is gone: bring it back from a backup"
                .to_owned(),
        ),
        LocalStoreError::NoDatabase { .. } => {
            Some("check root= and state= in the store URL; a copy to the store makes one".to_owned())
        }
        _ => None,
    }
}

/// Whether `cause` is that a cache on a web server was to be listed.
fn is_web_listing(cause: &(dyn Error + 'static)) -> bool {
    match cause.downcast_ref() {
        Some(StoreError::Backend { store, action, .. }) => {
            store.starts_with("http") && action.starts_with("list ")
        }
        _ => false,
    }
}

/// `cause` in S3's terms, if it is an error of a request to S3. (A cache in a directory fails with the same type.)
pub(crate) fn s3_error(cause: &(dyn Error + 'static)) -> Option<S3Error> {
    let error = S3Error::of(cause.downcast_ref::<object_store::Error>()?);
    (error.status.is_some() || error.host.is_some()).then_some(error)
}

/// What to do about an error of S3.
pub(crate) fn of_s3_error(error: &S3Error) -> Option<String> {
    let text = match &error.kind {
        S3ErrorKind::BucketMissing => "create the bucket first, or correct its name or the endpoint in the store URL".into(),
        S3ErrorKind::Forbidden { action: Some(action) } => format!(
            "allow {action} on the bucket for these credentials, or name other ones with profile= in the store URL"
        ),
        S3ErrorKind::Forbidden { action: None } => "the bucket's policy does not allow this for these credentials".into(),
        S3ErrorKind::BadCredentials => {
            "check the access key: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the profile= of the store URL".into()
        }
        S3ErrorKind::ExpiredCredentials => "renew the credentials, for example with 'aws sso login'".into(),
        S3ErrorKind::ClockSkew => "set this machine's clock: S3 refuses signatures that are 15 minutes off".into(),
        S3ErrorKind::WrongRegion { region: Some(region) } => format!("write region={region} into the store URL"),
        S3ErrorKind::WrongRegion { region: None } => "write the bucket's region= into the store URL".into(),
        S3ErrorKind::Redirected { .. } => "check endpoint= and scheme= in the store URL".into(),
        S3ErrorKind::Throttled => "the server asks for fewer requests: lower --jobs, or try again later".into(),
        S3ErrorKind::ConnectionRefused => {
            "nobody listens there: check endpoint=, and scheme=http if the server has no TLS".into()
        }
        S3ErrorKind::UnknownHost => {
            "the host name has no address: check endpoint= in the store URL; a server without a name for every bucket \
             needs addressing-style=path"
                .into()
        }
        S3ErrorKind::Unreachable | S3ErrorKind::TimedOut => {
            "check the network, proxies included, and endpoint= in the store URL".into()
        }
        S3ErrorKind::Tls => {
            "for a private authority name its certificates with ssl-cert-file=, or in NIX_SSL_CERT_FILE; a server \
             without TLS needs scheme=http"
                .into()
        }
        S3ErrorKind::BadDigest => {
            "something on the way changes what is sent (try without the proxy, and with https if it is http), or the \
             server's ETags are no MD5s though they look so"
                .into()
        }
        S3ErrorKind::InvalidAnswer => "whoever answers there is no S3 server: check endpoint= in the store URL".into(),
        _ => return None,
    };
    Some(text)
}
