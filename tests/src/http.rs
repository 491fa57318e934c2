//! Blocking HTTP/1.1 for tests: one small runtime, whole bodies, no proxy.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use anyhow::{Context, Result};
use tokio::runtime::Runtime;

use crate::sigv4::{Signer, Unsigned};

/// A client that lives on `runtime` and is called from outside of it.
#[derive(Clone)]
pub(crate) struct Client {
    runtime: Arc<Runtime>,
    client: reqwest::Client,
    authority: String,
}

/// A whole response.
pub(crate) struct Response {
    pub(crate) status: u16,
    /// By their names in lower case; of several with one name the last.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Client {
    /// A client for the server at `authority`, which is `host:port`.
    pub(crate) fn new(runtime: Arc<Runtime>, authority: &str) -> Result<Self> {
        // A second installation is refused, and that is fine: the first one is the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        // What a test looks at is what the server sent.
        let client = reqwest::Client::builder().no_proxy().no_gzip().no_brotli().no_zstd().no_deflate();
        let client = client.build().context("cannot build an HTTP client")?;
        Ok(Self { runtime, client, authority: authority.to_owned() })
    }

    pub(crate) fn authority(&self) -> &str {
        &self.authority
    }

    /// Sends a request, signed where there is a signer. `path` and `query` must be percent-encoded.
    pub(crate) fn send(
        &self,
        signer: Option<&Signer>,
        method: &str,
        path: &str,
        query: &str,
        body: &[u8],
    ) -> Result<Response> {
        self.send_with(signer, method, path, query, &[], body)
    }

    /// The same with more headers, which are not signed.
    pub(crate) fn send_with(
        &self,
        signer: Option<&Signer>,
        method: &str,
        path: &str,
        query: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Response> {
        let mark = if query.is_empty() { "" } else { "?" };
        let url = format!("http://{}{path}{mark}{query}", self.authority);
        let what = || format!("{method} {url}");
        let mut request = self.client.request(method.parse().with_context(what)?, &url).body(body.to_vec());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(signer) = signer {
            if signer.service == "sts" {
                request = request.header("content-type", "application/x-www-form-urlencoded");
            }
            let unsigned = Unsigned { method, host: &self.authority, path, query, body };
            for (name, value) in signer.headers(&unsigned, SystemTime::now()) {
                request = request.header(name, value);
            }
        }
        self.runtime.block_on(async {
            let response = request.send().await.with_context(what)?;
            let status = response.status().as_u16();
            let text =
                |value: &reqwest::header::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
            let headers =
                response.headers().iter().map(|(name, value)| (name.to_string(), text(value))).collect();
            let body = response.bytes().await.with_context(what)?.to_vec();
            Ok(Response { status, headers, body })
        })
    }
}
