//! What an answer says of an object's contents, and whether they are what came.

use bytes::Bytes;
use data_encoding::{BASE64, HEXLOWER};
use md5::Md5;
use object_store::HeaderMap;
use object_store::client::{HttpError, HttpErrorKind};
use sha2::{Digest, Sha256};

use super::draft::HASH_INLINE;

/// Objects up to this size are read whole before anything of them is handed out.
const LIMIT: u64 = 1 << 20;

/// The digest that an object has.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Proof {
    Sha256(Vec<u8>),
    Md5(Vec<u8>),
}

impl Proof {
    /// What the headers of a whole object say; nothing of a large one, or where they say nothing that can be relied on.
    pub(super) fn of(bucket: &str, headers: &HeaderMap) -> Option<Self> {
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let length: u64 = header("content-length")?.parse().ok()?;
        // A server that unpacks an object on its way says of it what it was.
        let other = ["content-range", "x-goog-stored-content-encoding"];
        let is_other = other.into_iter().any(|name| header(name).is_some_and(|value| value != "identity"));
        if length > LIMIT || is_other {
            return None;
        }
        if let Some(sum) = header("x-amz-checksum-sha256") {
            // Of an upload in parts it is the sum of their sums, and ends with their number.
            return BASE64.decode(sum.as_bytes()).ok().filter(|sum| sum.len() == 32).map(Proof::Sha256);
        }
        // An ETag is an MD5 where nothing is encrypted, or with S3's own keys; elsewhere it is anything.
        let is_encrypted = header("x-amz-server-side-encryption").is_some_and(|kind| kind != "AES256");
        let is_customers = headers.contains_key("x-amz-server-side-encryption-customer-algorithm");
        if is_encrypted || is_customers || bucket.ends_with("--x-s3") || bucket.ends_with("--xa-s3") {
            return None;
        }
        let e_tag = header("etag")?.strip_prefix('"')?.strip_suffix('"')?;
        HEXLOWER.decode(e_tag.as_bytes()).ok().filter(|md5| md5.len() == 16).map(Proof::Md5)
    }

    /// Whether these are the contents, with the reason if they are not.
    pub(super) async fn check(self, contents: Bytes) -> Result<Result<(), String>, HttpError> {
        let length = contents.len();
        let compare = move || {
            let (name, is_same) = match &self {
                Proof::Sha256(sum) => ("checksum", Sha256::digest(&contents)[..] == sum[..]),
                Proof::Md5(sum) => ("ETag", Md5::digest(&contents)[..] == sum[..]),
            };
            if is_same { Ok(()) } else { Err(format!("{length} bytes do not have the object's {name}")) }
        };
        if length <= HASH_INLINE {
            return Ok(compare());
        }
        tokio::task::spawn_blocking(compare)
            .await
            .map_err(|error| HttpError::new(HttpErrorKind::Unknown, error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MD5: &str = "\"0cc175b9c0f1b6a831c399e269772661\"";
    const SHA256: &str = "ypeBEsobvcr6wjGzmiPcTaeG7/gUfE5yuYB3ha/uSLs=";

    fn proof(pairs: &[(&'static str, &str)]) -> Option<Proof> {
        let mut headers: HeaderMap =
            pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        headers.entry("content-length").or_insert("1".parse().unwrap());
        Proof::of("bucket", &headers)
    }

    #[tokio::test]
    async fn contents_are_compared() {
        for found in
            [proof(&[("etag", MD5)]), proof(&[("etag", MD5), ("x-amz-server-side-encryption", "AES256")])]
        {
            assert_eq!(found.unwrap().check("a".into()).await.unwrap(), Ok(()));
        }
        // The checksum counts more.
        let both = [("etag", MD5), ("x-amz-checksum-sha256", SHA256)];
        assert!(matches!(proof(&both), Some(Proof::Sha256(_))));
        assert_eq!(proof(&both).unwrap().check("a".into()).await.unwrap(), Ok(()));
        for damaged in ["b", "", "aa"] {
            proof(&both).unwrap().check(damaged.into()).await.unwrap().unwrap_err();
            proof(&both[..1]).unwrap().check(damaged.into()).await.unwrap().unwrap_err();
        }
        let large = Bytes::from(vec![0; HASH_INLINE + 1]);
        proof(&both).unwrap().check(large).await.unwrap().unwrap_err();
    }

    #[test]
    fn what_is_no_digest_is_not_taken_for_one() {
        for headers in [
            &[("etag", "\"0cc175b9c0f1b6a831c399e269772661-2\"")][..],
            &[("etag", "W/\"0cc175b9c0f1b6a831c399e269772661\"")],
            &[("etag", "\"0CC175B9C0F1B6A831C399E269772661\"")],
            &[("etag", "\"e\"")],
            &[("etag", MD5), ("x-amz-server-side-encryption", "aws:kms")],
            &[("etag", MD5), ("x-amz-server-side-encryption", "aws:kms:dsse")],
            &[("etag", MD5), ("x-amz-server-side-encryption", "aws:fsx")],
            &[("etag", MD5), ("x-amz-server-side-encryption-customer-algorithm", "AES256")],
            &[("etag", MD5), ("x-goog-stored-content-encoding", "gzip")],
            &[("etag", MD5), ("content-range", "bytes 0-0/2")],
            &[("etag", MD5), ("content-length", "1048577")],
            &[("etag", "\"e\""), ("x-amz-checksum-sha256", "ypeBEsobvcr6wjGzmiPcTaeG7/gUfE5yuYB3ha/uSLs=-2")],
        ] {
            assert_eq!(proof(headers), None, "{headers:?}");
        }
        let headers = [("etag", MD5), ("content-length", "1")];
        let headers = headers.map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        assert_eq!(Proof::of("bucket--use1-az4--x-s3", &headers.into_iter().collect()), None);
    }
}
