//! A bucket of its own for each test, and its raw objects.

use std::collections::BTreeMap;
use std::sync::PoisonError;

use anyhow::{Context, Result, bail, ensure};

use super::embedded::Policies;
use crate::http::{Client, Response};
use crate::sigv4::{Signer, encode};

/// What clients without credentials may do with the objects of a bucket.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum Access {
    /// Fetch objects.
    Read,
    /// Fetch and store objects.
    ReadWrite,
}

/// One line of a listing.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Object {
    /// Name in the bucket.
    pub key: String,
    /// Length in bytes.
    pub size: u64,
    /// When it was last written, as the server says it (RFC 3339).
    pub last_modified: String,
}

/// A bucket of a test server.
pub struct Bucket {
    name: String,
    client: Client,
    signer: Signer,
    policies: Option<Policies>,
}

impl std::fmt::Debug for Bucket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bucket").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Bucket {
    pub(super) fn create(
        name: &str,
        client: Client,
        signer: Signer,
        policies: Option<Policies>,
    ) -> Result<Self> {
        let bucket = Self { name: name.to_owned(), client, signer, policies };
        bucket
            .expect(&[200], "PUT", "", "", b"")
            .with_context(|| format!("cannot create the bucket {name}"))?;
        Ok(bucket)
    }

    /// The name of the bucket.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The store URL for `nars3`: endpoint, scheme and region, with `settings` (as `a=b&c=d`) added where not empty.
    #[must_use]
    pub fn url(&self, settings: &str) -> String {
        self.url_at(self.client.authority(), settings)
    }

    /// The same store by another endpoint, for instance a proxy before the server.
    #[must_use]
    pub fn url_at(&self, endpoint: &str, settings: &str) -> String {
        let more = if settings.is_empty() { String::new() } else { format!("&{settings}") };
        format!("s3://{}?scheme=http&endpoint={endpoint}&region={}{more}", self.name, self.signer.region)
    }

    /// Where clients without credentials find the bucket, once they are allowed to.
    #[must_use]
    pub fn http_url(&self) -> String {
        format!("http://{}/{}", self.client.authority(), self.name)
    }

    /// Lets everybody read, or read and write, without a signature.
    ///
    /// # Errors
    /// When the server refuses the bucket policy.
    pub fn allow_anonymous(&self, access: Access) -> Result<()> {
        if let Some(policies) = &self.policies {
            policies.lock().unwrap_or_else(PoisonError::into_inner).insert(self.name.clone(), access);
            return Ok(());
        }
        let actions = match access {
            Access::Read => r#""s3:GetObject""#,
            Access::ReadWrite => r#""s3:GetObject","s3:PutObject""#,
        };
        let policy = format!(
            r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Principal":"*","Action":[{actions}],"Resource":["arn:aws:s3:::{}/*"]}}]}}"#,
            self.name
        );
        self.set_policy(&policy)
    }

    /// Gives the bucket this policy, a document of IAM.
    ///
    /// # Errors
    /// When the server refuses it.
    pub fn set_policy(&self, policy: &str) -> Result<()> {
        self.expect(&[200, 204], "PUT", "", "policy=", policy.as_bytes())?;
        Ok(())
    }

    /// Stores an object.
    ///
    /// # Errors
    /// When the server refuses it.
    pub fn put(&self, key: &str, body: &[u8]) -> Result<()> {
        self.expect(&[200], "PUT", key, "", body)?;
        Ok(())
    }

    /// The bytes of an object.
    ///
    /// # Errors
    /// When it is not there, or the server refuses it.
    pub fn get(&self, key: &str) -> Result<Vec<u8>> {
        Ok(self.expect(&[200], "GET", key, "", b"")?.body)
    }

    /// Stores an object with headers such as Content-Encoding.
    ///
    /// # Errors
    /// When the server refuses it.
    pub fn put_with(&self, key: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<()> {
        self.expect_with(&[200], "PUT", key, "", headers, body)?;
        Ok(())
    }

    /// The headers of an object, by their names in lower case.
    ///
    /// # Errors
    /// When it is not there, or the server refuses it.
    pub fn headers(&self, key: &str) -> Result<BTreeMap<String, String>> {
        Ok(self.expect(&[200], "HEAD", key, "", b"")?.headers)
    }

    /// The text of an object.
    ///
    /// # Errors
    /// When it is not there, or not UTF-8.
    pub fn get_text(&self, key: &str) -> Result<String> {
        String::from_utf8(self.get(key)?).with_context(|| format!("object {key} is not UTF-8"))
    }

    /// Removes an object.
    ///
    /// # Errors
    /// When the server refuses it.
    pub fn delete(&self, key: &str) -> Result<()> {
        self.expect(&[200, 204], "DELETE", key, "", b"")?;
        Ok(())
    }

    /// All keys, sorted by the server.
    ///
    /// # Errors
    /// When the server refuses the listing.
    pub fn keys(&self) -> Result<Vec<String>> {
        Ok(self.objects()?.into_iter().map(|object| object.key).collect())
    }

    /// The keys of all narinfos.
    ///
    /// # Errors
    /// When the server refuses the listing.
    pub fn narinfo_keys(&self) -> Result<Vec<String>> {
        Ok(self.keys()?.into_iter().filter(|key| key.ends_with(".narinfo")).collect())
    }

    /// All objects, sorted by key.
    ///
    /// # Errors
    /// When the server refuses the listing.
    pub fn objects(&self) -> Result<Vec<Object>> {
        let mut objects: Vec<Object> = Vec::new();
        loop {
            let after = objects.last().map(|object| format!("&start-after={}", encode(&object.key, "")));
            let query = format!("list-type=2{}", after.unwrap_or_default());
            let body = self.expect(&[200], "GET", "", &query, b"")?.body;
            let body = String::from_utf8(body).context("a listing is not UTF-8")?;
            let page = body.split("<Contents>").skip(1).map(listed).collect::<Result<Vec<_>>>()?;
            let finished = page.is_empty() || !body.contains("<IsTruncated>true</IsTruncated>");
            objects.extend(page);
            if finished {
                return Ok(objects);
            }
        }
    }

    /// The ids of uploads in parts to `key` that were neither completed nor aborted.
    ///
    /// # Errors
    /// When the server refuses the question.
    pub fn uploads(&self, key: &str) -> Result<Vec<String>> {
        // MinIO lists the uploads of exactly this key, whatever the prefix would allow.
        let query = format!("prefix={}&uploads=", encode(key, ""));
        let body = String::from_utf8(self.expect(&[200], "GET", "", &query, b"")?.body)?;
        let ids = body.split("<UploadId>").skip(1).filter_map(|rest| rest.split("</UploadId>").next());
        Ok(ids.map(str::to_owned).collect())
    }

    /// How many parts an upload to `key` has.
    ///
    /// # Errors
    /// When the server refuses the question.
    pub fn parts(&self, key: &str, upload_id: &str) -> Result<usize> {
        let query = format!("uploadId={}", encode(upload_id, ""));
        let body = String::from_utf8(self.expect(&[200], "GET", key, &query, b"")?.body)?;
        Ok(body.matches("<PartNumber>").count())
    }

    /// Begins an upload in parts, as a writer does that is killed afterwards.
    ///
    /// # Errors
    /// When the server refuses it.
    pub fn begin_upload(&self, key: &str) -> Result<()> {
        self.expect(&[200], "POST", key, "uploads=", b"")?;
        Ok(())
    }

    /// The keys of uploads in parts that are neither complete nor aborted.
    ///
    /// # Errors
    /// When the server refuses to list them.
    pub fn pending_uploads(&self) -> Result<Vec<String>> {
        let body = self.expect(&[200], "GET", "", "uploads=", b"")?.body;
        let body = String::from_utf8(body).context("a listing is not UTF-8")?;
        let keys = body.split("<Upload>").skip(1).map(|upload| {
            let key = upload.split_once("<Key>").and_then(|(_, rest)| rest.split_once("</Key>"));
            key.map(|(key, _)| key.to_owned()).with_context(|| format!("an upload has no key: {upload}"))
        });
        keys.collect()
    }

    fn expect(
        &self,
        statuses: &[u16],
        method: &str,
        key: &str,
        query: &str,
        body: &[u8],
    ) -> Result<Response> {
        self.expect_with(statuses, method, key, query, &[], body)
    }

    fn expect_with(
        &self,
        statuses: &[u16],
        method: &str,
        key: &str,
        query: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Response> {
        let slash = if key.is_empty() { "" } else { "/" };
        let path = format!("/{}{slash}{}", self.name, encode(key, "/"));
        let response = self.client.send_with(Some(&self.signer), method, &path, query, headers, body)?;
        ensure!(
            statuses.contains(&response.status),
            "{method} {path}?{query} was answered with status {}: {}",
            response.status,
            String::from_utf8_lossy(&response.body)
        );
        Ok(response)
    }
}

/// Reads one `<Contents>` element of a listing.
fn listed(element: &str) -> Result<Object> {
    let field = |name: &str| -> Result<String> {
        let (open, close) = (format!("<{name}>"), format!("</{name}>"));
        let Some((value, _)) = element.split_once(&open).and_then(|(_, rest)| rest.split_once(&close)) else {
            bail!("a listed object has no {name}: {element}");
        };
        Ok(value.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&amp;", "&"))
    };
    Ok(Object { key: field("Key")?, size: field("Size")?.parse()?, last_modified: field("LastModified")? })
}
