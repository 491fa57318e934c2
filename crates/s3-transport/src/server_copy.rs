//! Copies between two buckets of one server, which the server makes by itself.

use nars3_store_url::{S3Client, S3Settings};
use object_store::ObjectStoreExt;
use object_store::aws::AmazonS3;
use object_store::path::{Error as PathError, Path};

use crate::environment::Environment;
use crate::error::S3OpenError;
use crate::open::{checked_url, connect};

/// Copies objects from one bucket, or from under one prefix, to another, with `CopyObject`. Of an object, which may have
/// up to 5 GiB, nothing comes here.
///
/// object_store's client copies within a bucket only. It names the bucket that it was given as the source of a copy, and
/// sends the request to the address that it was given: here, those are two buckets.
#[derive(Debug)]
pub struct ServerCopy {
    client: AmazonS3,
    from: String,
    to: String,
}

impl ServerCopy {
    /// The way from the bucket of `source` to that of `destination`. `None` where there is none: they are on different
    /// servers or are used with different credentials, or what is written to the destination is to be stored otherwise
    /// than a copy would be. As with `open`, no request goes to either.
    ///
    /// # Errors
    /// As `open`.
    pub async fn open(
        source: &S3Settings,
        destination: &S3Settings,
        environment: &Environment,
    ) -> Result<Option<Self>, S3OpenError> {
        if !(on_one_server(source, destination) && keeps_its_properties(destination)) {
            return Ok(None);
        }
        let url = checked_url(destination.bucket_address()?.url.to_string())?;
        let mut to = destination.clone();
        to.requester_pays |= source.requester_pays;
        let mut settings = to.clone();
        settings.bucket.clone_from(&source.bucket);
        let client = connect(&settings, &to, url, environment).await?;
        Ok(Some(Self { client, from: source.prefix.clone(), to: destination.prefix.clone() }))
    }

    /// Copies the object under the key `from`, within the prefix of the source, to the key `to`, within that of the
    /// destination. What is there is replaced.
    ///
    /// # Errors
    /// Those of the server, and keys that are none.
    pub async fn copy(&self, from: &str, to: &str) -> object_store::Result<()> {
        let (from, to) = (within(&self.from, from)?, within(&self.to, to)?);
        self.client.copy(&from, &to).await
    }
}

fn within(prefix: &str, key: &str) -> Result<Path, PathError> {
    if prefix.is_empty() { Path::parse(key) } else { Path::parse(format!("{prefix}/{key}")) }
}

/// Whether one server, asked once with one set of credentials, can see both.
fn on_one_server(source: &S3Settings, destination: &S3Settings) -> bool {
    let place = |settings: &S3Settings| {
        (settings.endpoint.clone(), settings.region.clone(), settings.scheme, settings.profile.clone())
    };
    place(source) == place(destination)
        && !source.anonymous
        && !destination.anonymous
        // Whoever chose the other client wants no request by this one.
        && destination.s3_client != Some(S3Client::Rusoto)
}

/// Whether nothing is to be said of new objects that a copy does not say. A copy has the headers and tags of its source,
/// and the storage class of its bucket.
fn keeps_its_properties(destination: &S3Settings) -> bool {
    destination.storage_class.is_none()
        && destination.object_tags.is_empty()
        && destination.headers == S3Settings::new("").headers
}

#[cfg(test)]
mod tests {
    use super::*;
    use nars3_store_url::Endpoint;

    #[test]
    fn only_within_one_server_and_with_the_same_credentials() {
        let source = S3Settings::new("a");
        let mut destination = S3Settings::new("b");
        assert!(on_one_server(&source, &destination));
        type Change = fn(&mut S3Settings);
        let changes: [Change; 5] = [
            |settings| settings.region = "eu-west-1".to_owned(),
            |settings| settings.profile = Some("other".to_owned()),
            |settings| settings.anonymous = true,
            |settings| settings.endpoint = Endpoint::parse("http://127.0.0.1:9000").ok(),
            |settings| settings.s3_client = Some(S3Client::Rusoto),
        ];
        for change in changes {
            let mut other = destination.clone();
            change(&mut other);
            assert!(!on_one_server(&source, &other), "{other:?}");
        }
        assert!(keeps_its_properties(&destination));
        destination.storage_class = Some("STANDARD_IA".to_owned());
        assert!(!keeps_its_properties(&destination));
    }
}
