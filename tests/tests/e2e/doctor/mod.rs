//! `nars3 doctor` says what is wrong with a bucket, and what to change: on a real MinIO, and on stand-ins that answer as AWS
//! does and MinIO does not.

mod answers;
mod buckets;
mod trouble;
mod writes;

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use nars3_tests::nars3::Nars3;
use nars3_tests::require::{Need, skip};
use nars3_tests::server::{Bucket, S3Server, ServerKind, find_minio};
use serde_json::Value;

use crate::scripted::{Answer, Request};

const CLIENTS: [&str; 2] = ["object_store", "rusoto"];

/// What the doctor said.
struct Diagnosis {
    code: Option<i32>,
    report: Value,
    said: String,
}

impl Diagnosis {
    /// The codes of the findings that are not as they should be.
    fn codes(&self) -> Vec<&str> {
        let findings = self.report["findings"].as_array().map(Vec::as_slice).unwrap_or_default();
        let codes = findings.iter().filter_map(|finding| finding["code"].as_str());
        codes.filter(|code| *code != "ok").collect()
    }

    /// The finding with this code, whole.
    fn finding(&self, code: &str) -> Result<&Value> {
        let findings = self.report["findings"].as_array().context("no findings")?;
        let found = findings.iter().find(|finding| finding["code"] == code);
        found.with_context(|| format!("no finding '{code}' in {:#}", self.report))
    }

    /// A problem with this code, whose fix has these words.
    fn is_problem(&self, code: &str, fix: &str) -> Result<&Self> {
        let finding = self.finding(code)?;
        ensure!(finding["level"] == "problem", "{finding:#}");
        ensure!(
            finding["fix"].as_str().is_some_and(|words| words.contains(fix)),
            "no '{fix}' in {finding:#}"
        );
        ensure!(self.code == Some(1), "exit code {:?}: {}", self.code, self.said);
        ensure!(self.report["ok"] == false);
        Ok(self)
    }

    /// Nothing that stops anybody.
    fn is_well(&self) -> Result<&Self> {
        ensure!(self.code == Some(0), "exit code {:?}: {:#}\n{}", self.code, self.report, self.said);
        ensure!(self.report["ok"] == true);
        Ok(self)
    }
}

fn doctor(nars3: &Nars3, url: &str, more: &[&str]) -> Result<Diagnosis> {
    let finished = nars3.run(["doctor", "--json", "--store", url].iter().chain(more))?;
    ensure!(!finished.stderr.contains("panicked at"), "{finished}");
    let report = serde_json::from_str(&finished.stdout).with_context(|| finished.to_string())?;
    Ok(Diagnosis { code: finished.status.code(), report, said: finished.stderr })
}

struct Real {
    server: Arc<S3Server>,
    nars3: Nars3,
    bucket: Bucket,
}

/// A MinIO, in a region that it insists on.
fn minio() -> Result<Option<Real>> {
    let Some(binary) = find_minio() else {
        skip(Need::Minio, "no binary");
        return Ok(None);
    };
    let server = S3Server::shared_kind(&ServerKind::Minio(binary))?;
    Ok(Some(Real { nars3: Nars3::for_server(&server)?, bucket: server.fresh_bucket()?, server }))
}

/// A `nars3` with keys for a stand-in.
fn with_keys() -> Result<Nars3> {
    Ok(Nars3::anonymous()?.with("AWS_ACCESS_KEY_ID", "AKIDTEST").with("AWS_SECRET_ACCESS_KEY", "secret"))
}

/// The URL of a bucket on a stand-in.
fn url(endpoint: &str, client: &str) -> String {
    format!("s3://bucket?endpoint={endpoint}&s3-client={client}&retry-delay=1&retry-delay-rate-limited=1")
}

const EMPTY_LIST: &str = "<ListBucketResult><Name>bucket</Name><KeyCount>0</KeyCount><MaxKeys>1000</MaxKeys>\
    <IsTruncated>false</IsTruncated></ListBucketResult>";

const NO_UPLOADS: &str =
    "<ListMultipartUploadsResult><IsTruncated>false</IsTruncated></ListMultipartUploadsResult>";

fn object(body: &[u8]) -> Answer {
    Answer::new(200, body).with("etag", "\"e\"").with("last-modified", "Sun, 22 Nov 2026 00:00:00 GMT")
}

/// A cache that can be read and listed.
fn listable(request: &Request) -> Answer {
    match (request.method.as_str(), request.target.as_str()) {
        ("GET", target) if target.contains("uploads") => Answer::new(200, NO_UPLOADS),
        ("GET", target) if target.contains("list-type=2") => Answer::new(200, EMPTY_LIST),
        _ => object(b"StoreDir: /nix/store\n"),
    }
}
