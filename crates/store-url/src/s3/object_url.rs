//! The URL of one object in a bucket: `s3://bucket/key?versionId=…`.

use std::fmt;
use std::str::FromStr;

use super::{AddressingError, S3Settings};
use crate::error::{Problem, StoreUrlError};
use crate::http_url::{HttpUrl, decode_segment};
use crate::parse::{self, Base};
use crate::setting::StoreType;
use crate::store_url::{StoreKind, StoreUrl};
use crate::text;
use crate::warning::Warning;

/// One object, and how to reach it.
///
/// The key is any text: unlike a store's prefix it may hold `//` and `..`, as S3's keys do.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct S3ObjectUrl {
    /// The bucket and the settings; its prefix is empty.
    pub settings: S3Settings,
    /// The object's key, decoded, never empty.
    pub key: String,
    /// `versionId`: a version of the object, of a bucket with versions.
    pub version_id: Option<String>,
}

/// An object URL and what is odd about it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ParsedObject {
    /// The URL.
    pub url: S3ObjectUrl,
    /// What is odd about it.
    pub warnings: Vec<Warning>,
}

impl S3ObjectUrl {
    /// Reads `s3://bucket/key?…` with the settings of an S3 store and `versionId`.
    ///
    /// # Errors
    /// If it is no such URL; the error points at the piece that is wrong.
    pub fn parse(text: &str) -> Result<ParsedObject, StoreUrlError> {
        let reference = parse::split(text)?;
        let (rest, at) = match reference.base {
            Base::Url { scheme, rest, at } if scheme.eq_ignore_ascii_case("s3") => (rest, at),
            _ => return Err(StoreUrlError::new(0, reference.base_text, Problem::MissingBucket)),
        };
        let (bucket, path, path_at) = parse::bucket(rest, at, text)?;
        let key = decode_segment(path.strip_prefix('/').unwrap_or_default(), path_at + 1, text)?;
        if key.is_empty() {
            return Err(StoreUrlError::new(at, rest, Problem::MissingKey));
        }
        let mut warnings = reference.warnings();
        let mut url = StoreUrl::new(StoreKind::S3(S3Settings::new(bucket)));
        parse::apply_settings(&mut url, StoreType::S3Object, &reference, &mut warnings)?;
        let version_id = reference.first("versionId")?.filter(|version| !version.is_empty());
        let StoreKind::S3(settings) = url.kind else {
            return Err(StoreUrlError::new(at, rest, Problem::MissingBucket));
        };
        Ok(ParsedObject { url: S3ObjectUrl { settings, key, version_id }, warnings })
    }

    /// The HTTP URL that a request for the object goes to.
    ///
    /// # Errors
    /// If the settings leave no way to address the bucket.
    pub fn to_https_url(&self) -> Result<HttpUrl, AddressingError> {
        let mut url = self.settings.bucket_address()?.url.with_key(&self.key);
        if let Some(version) = &self.version_id {
            url.query.push(("versionId".to_owned(), version.clone()));
        }
        Ok(url)
    }
}

impl FromStr for S3ObjectUrl {
    type Err = StoreUrlError;

    fn from_str(text: &str) -> Result<Self, StoreUrlError> {
        Self::parse(text).map(|parsed| parsed.url)
    }
}

impl fmt::Display for S3ObjectUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}", self.settings.bucket)?;
        for segment in self.key.split('/') {
            write!(f, "/{}", text::encode_segment(segment))?;
        }
        let url = StoreUrl::new(StoreKind::S3(self.settings.clone()));
        let version = self.version_id.clone().map(|version| ("versionId", version));
        crate::display::write_settings(f, &url, version)
    }
}
