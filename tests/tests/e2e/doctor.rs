//! `nars3 doctor` says what is wrong with a bucket, and what to change: on a real MinIO, and on stand-ins that answer as AWS
//! does and MinIO does not.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use anyhow::{Context, Result, ensure};
use nars3_tests::nars3::Nars3;
use nars3_tests::require::{Need, skip};
use nars3_tests::server::{Bucket, S3Server, ServerKind, find_minio};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::Value;

use crate::scripted::{Answer, Request, Scripted};

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

#[test]
fn a_bucket_that_is_well_is_only_read() -> Result<()> {
    let Some(Real { server: _server, nars3, bucket }) = minio()? else { return Ok(()) };
    for client in CLIENTS {
        let url = bucket.url(&format!("s3-client={client}"));
        let diagnosis = doctor(&nars3, &url, &[])?;
        assert_eq!(diagnosis.is_well()?.codes(), ["cache-info-absent"]);
        assert_eq!(bucket.keys()?, Vec::<String>::new());
    }
    nars3.run(["store", "init", "--store", &bucket.url(""), "--priority", "30"])?.success()?;
    for client in CLIENTS {
        let url = bucket.url(&format!("s3-client={client}"));
        assert_eq!(doctor(&nars3, &url, &[])?.is_well()?.codes(), Vec::<&str>::new());
        let text = nars3.run(["doctor", "--store", &url])?.success()?;
        for words in ["ok       credentials: key 'nars3-test-user' from environment", "priority 30", client] {
            assert!(text.contains(words), "no '{words}' in\n{text}");
        }
    }
    assert_eq!(bucket.keys()?, ["nix-cache-info"]);
    Ok(())
}

#[test]
fn probes_are_written_and_gone_again() -> Result<()> {
    let Some(Real { server: _server, nars3, bucket }) = minio()? else { return Ok(()) };
    bucket.put("cache/one/nix-cache-info", b"StoreDir: /nix/store\n")?;
    for client in CLIENTS {
        let url = bucket.url(&format!("s3-client={client}")).replacen('?', "/cache/one?", 1);
        let diagnosis = doctor(&nars3, &url, &["--write"])?;
        assert_eq!(diagnosis.is_well()?.codes(), Vec::<&str>::new());
        let checks: Vec<_> = diagnosis.report["findings"].as_array().context("none")?.iter().collect();
        for check in ["writing", "conditional writes", "writing in parts", "deleting"] {
            assert!(checks.iter().any(|finding| finding["check"] == check), "{:#}", diagnosis.report);
        }
        assert_eq!(bucket.keys()?, ["cache/one/nix-cache-info"]);
        assert_eq!(bucket.pending_uploads()?, Vec::<String>::new());
    }
    Ok(())
}

#[test]
fn mistakes_in_the_settings_are_told_apart() -> Result<()> {
    let Some(Real { server, nars3, bucket }) = minio()? else { return Ok(()) };
    let keys = server.settings();
    for client in CLIENTS {
        let url = bucket.url(&format!("s3-client={client}"));
        let wrong = Nars3::anonymous()?
            .with("AWS_ACCESS_KEY_ID", &keys.access_key)
            .with("AWS_SECRET_ACCESS_KEY", "wrong");
        doctor(&wrong, &url, &[])?.is_problem("credentials-rejected", "AWS_SECRET_ACCESS_KEY")?;
        let unknown = Nars3::anonymous()?
            .with("AWS_ACCESS_KEY_ID", "nobody")
            .with("AWS_SECRET_ACCESS_KEY", &keys.secret_key);
        doctor(&unknown, &url, &[])?.is_problem("credentials-rejected", "AWS_ACCESS_KEY_ID")?;

        let none = doctor(&Nars3::anonymous()?, &url, &[])?;
        none.is_problem("forbidden", "configure credentials")?;
        let tried = none.finding("credentials-none")?["details"].to_string();
        for provider in ["environment: ", "profile: ", "web identity: ", "container: ", "instance metadata: "]
        {
            assert!(tried.contains(provider), "no '{provider}' in {tried}");
        }

        let profile = doctor(&nars3, &bucket.url(&format!("profile=uplaod&s3-client={client}")), &[])?;
        profile.is_problem("credentials-unavailable", "list-profiles")?;
        assert!(profile.finding("credentials-unavailable")?["details"].to_string().contains("uplaod"));

        let absent = url.replacen(bucket.name(), "nars3-there-is-no-such-bucket", 1);
        doctor(&nars3, &absent, &[])?.is_problem("bucket-missing", "create the bucket")?;

        // Whether the client finds the region by itself or not: the URL should say it.
        let elsewhere = doctor(&nars3, &url.replace(&keys.region, "sa-east-1"), &[])?;
        let region = elsewhere.finding("wrong-region")?;
        assert!(
            region["fix"].as_str().is_some_and(|fix| fix.contains(&format!("region={}", keys.region))),
            "{region}"
        );
    }
    Ok(())
}

#[test]
fn a_server_without_tls_is_found_out() -> Result<()> {
    let Some(Real { server: _server, nars3, bucket }) = minio()? else { return Ok(()) };
    for client in CLIENTS {
        let url = bucket.url(&format!("s3-client={client}")).replacen("scheme=http&", "", 1);
        doctor(&nars3, &url, &[])?.is_problem("tls", "scheme=http")?;
    }
    Ok(())
}

#[test]
fn a_nix_cache_info_that_nix_refuses_is_a_problem() -> Result<()> {
    let Some(Real { server: _server, nars3, bucket }) = minio()? else { return Ok(()) };
    let url = bucket.url("");
    for (text, code, fix) in [
        (&b"StoreDir: /gnu/store\n"[..], "cache-info-foreign", "store=/gnu/store"),
        (b"StoreDir: /nix/store\nPriority: high\n", "cache-info-malformed", "store init"),
        (b"<html>", "cache-info-malformed", "store init"),
        (b"StoreDir: /nix/store\xff\n", "cache-info-malformed", "delete the object"),
    ] {
        bucket.put("nix-cache-info", text)?;
        doctor(&nars3, &url, &[])?.is_problem(code, fix)?;
    }
    let foreign = bucket.url("store=/gnu/store");
    bucket.put("nix-cache-info", b"StoreDir: /gnu/store\n")?;
    doctor(&nars3, &foreign, &[])?.is_well()?;
    Ok(())
}

#[test]
fn uploads_that_killed_writers_left_are_listed_and_ended() -> Result<()> {
    let Some(Real { server: _server, nars3, bucket }) = minio()? else { return Ok(()) };
    for key in ["nar/one.nar.xz", "nar/a b+c%.nar", "backup.tar"] {
        bucket.begin_upload(key)?;
    }
    let url = bucket.url("");
    let diagnosis = doctor(&nars3, &url, &[])?;
    diagnosis.is_well()?;
    assert!(diagnosis.finding("uploads-left")?["fix"].to_string().contains("--abort-uploads-older-than"));
    let listed = |diagnosis: &Diagnosis| {
        let uploads = diagnosis.report["uploads"].as_array().cloned().unwrap_or_default();
        let mut keys: Vec<_> =
            uploads.iter().map(|upload| upload["key"].as_str().unwrap_or_default().to_owned()).collect();
        keys.sort();
        keys
    };
    assert_eq!(listed(&diagnosis), ["nar/a b+c%.nar", "nar/one.nar.xz"]);

    doctor(&nars3, &url, &["--abort-uploads-older-than", "1d"])?.is_well()?;
    assert_eq!(bucket.pending_uploads()?.len(), 3, "none is so old");
    let diagnosis = doctor(&nars3, &url, &["--abort-uploads-older-than", "0s"])?;
    assert_eq!(diagnosis.is_well()?.codes(), ["cache-info-absent", "uploads-aborted"]);
    assert_eq!(bucket.pending_uploads()?, ["backup.tar"], "what is not a cache's is left alone");
    let refused = nars3.run(["doctor", "--store", &url, "--abort-uploads-older-than", "1"])?;
    assert_eq!(refused.status.code(), Some(2), "an age without a unit is a mistake");
    Ok(())
}

/// A `nars3` with keys for a stand-in.
fn with_keys() -> Result<Nars3> {
    Ok(Nars3::anonymous()?.with("AWS_ACCESS_KEY_ID", "AKIDTEST").with("AWS_SECRET_ACCESS_KEY", "secret"))
}

/// The URL of a bucket on a stand-in.
fn url(endpoint: &str, client: &str) -> String {
    format!("s3://bucket?endpoint={endpoint}&s3-client={client}&retry-delay=1&retry-delay-rate-limited=1")
}

#[test]
fn what_a_server_refuses_is_told_apart() -> Result<()> {
    let nars3 = with_keys()?;
    for (status, code, expected, fix) in [
        (400, "ExpiredToken", "credentials-expired", "renew"),
        (403, "RequestTimeTooSkewed", "clock-skew", "clock"),
        (403, "SignatureDoesNotMatch", "credentials-rejected", "access key"),
        (404, "NoSuchBucket", "bucket-missing", "create the bucket"),
        (503, "SlowDown", "throttled", "fewer requests"),
        (500, "InternalError", "server-error", "later"),
    ] {
        let server = Scripted::start(move |_| Answer::error(status, code));
        for client in CLIENTS {
            let diagnosis = doctor(&nars3, &url(&server.url(), client), &["--write"])?;
            diagnosis.is_problem(expected, fix).with_context(|| format!("{code}, {client}"))?;
        }
        let methods: Vec<_> = server.requests().into_iter().map(|request| request.method).collect();
        assert!(methods.iter().all(|method| method == "GET" || method == "HEAD"), "{code}: {methods:?}");
    }
    Ok(())
}

#[test]
fn a_bucket_in_another_region_is_found_out_by_awss_redirect() -> Result<()> {
    let server =
        Scripted::start(|_| Answer::error(301, "PermanentRedirect").with("x-amz-bucket-region", "eu-west-3"));
    for client in CLIENTS {
        let diagnosis = doctor(&with_keys()?, &url(&server.url(), client), &[])?;
        let region = diagnosis.finding("wrong-region")?;
        assert!(region["fix"].to_string().contains("region=eu-west-3"), "{region}");
    }
    Ok(())
}

#[test]
fn a_server_that_is_not_there_or_not_s3_is_told_apart() -> Result<()> {
    let nars3 = with_keys()?;
    let html = Scripted::start(|_| Answer::new(400, "Client sent an HTTP request to an HTTPS server.\n"));
    let plain = Scripted::start(|_| Answer::error(404, "NoSuchKey"));
    let closed = std::net::TcpListener::bind(("127.0.0.1", 0))?.local_addr()?;
    for client in CLIENTS {
        let refused = doctor(&nars3, &url(&format!("http://{closed}"), client), &[])?;
        refused.is_problem("connection-refused", "endpoint=")?;
        let unknown = doctor(&nars3, &url("http://nobody.invalid", client), &[])?;
        unknown.is_problem("unknown-host", "endpoint=")?;
        doctor(&nars3, &url(&html.url(), client), &[])?.is_problem("scheme-wrong", "scheme=https")?;
        let tls = doctor(&nars3, &url(&format!("https://localhost:{}", plain.address.port()), client), &[])?;
        tls.is_problem("connection-lost", "scheme=http")?;
    }
    Ok(())
}

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/s3-transport/tests/data").join(name)
}

#[test]
fn an_unknown_authority_is_named_and_one_that_is_named_is_trusted() -> Result<()> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let chain = vec![CertificateDer::from_pem_file(data("server.pem"))?];
    let key = PrivateKeyDer::from_pem_file(data("server.key"))?;
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key)?;
    let server = Scripted::start_tls(config, listable);
    for client in CLIENTS {
        let url = url(&format!("https://localhost:{}", server.address.port()), client);
        let unknown = doctor(&with_keys()?, &url, &[])?;
        unknown.is_problem("tls", "ssl-cert-file=")?;
        assert!(unknown.finding("tls")?["details"].to_string().contains("UnknownIssuer"));
        let trusted = format!("{url}&ssl-cert-file={}", data("authority.pem").canonicalize()?.display());
        doctor(&with_keys()?, &trusted, &[])?.is_well()?;
        doctor(&with_keys()?.with("AWS_CA_BUNDLE", data("authority.pem")), &url, &[])?.is_well()?;
        let absent = doctor(&with_keys()?.with("AWS_CA_BUNDLE", "/nowhere.pem"), &url, &[])?;
        absent.is_problem("settings-wrong", "AWS_CA_BUNDLE")?;
    }
    Ok(())
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

#[test]
fn a_bucket_that_may_not_be_listed_is_of_use() -> Result<()> {
    // As AWS has it: no listing, no HEAD of the bucket, no list of uploads.
    let server = Scripted::start(|request| {
        let is_object = request.target.contains("nix-cache-info");
        if is_object { listable(request) } else { Answer::error(403, "AccessDenied") }
    });
    // And before anything was pushed: everything is denied.
    let empty = Scripted::start(|_| Answer::error(403, "AccessDenied"));
    for client in CLIENTS {
        let diagnosis = doctor(&with_keys()?, &url(&server.url(), client), &[])?;
        assert_eq!(diagnosis.is_well()?.codes(), ["unlistable", "uploads-unknown"]);
        let fix = diagnosis.finding("unlistable")?["fix"].to_string();
        assert!(fix.contains("s3:ListBucket on arn:aws:s3:::bucket "), "{fix}");
        let diagnosis = doctor(&with_keys()?, &url(&empty.url(), client), &[])?;
        diagnosis.is_problem("forbidden", "s3:GetObject on arn:aws:s3:::bucket/*")?;
    }
    Ok(())
}

#[test]
fn a_clock_that_is_off_is_noticed_although_the_server_does_not_mind() -> Result<()> {
    let server = Scripted::start(|request| listable(request).with("date", "Sun, 22 Nov 2020 00:00:00 GMT"));
    let diagnosis = doctor(&with_keys()?, &url(&server.url(), "object_store"), &[])?;
    diagnosis.is_problem("clock-skew", "clock")?;
    Ok(())
}

/// Objects in memory, on a server that knows no conditions, or does not let delete.
fn simple(deletes: bool) -> Scripted {
    let objects: Mutex<BTreeMap<String, Vec<u8>>> = Mutex::default();
    Scripted::start(move |request| {
        let mut objects = objects.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
        match request.method.as_str() {
            "GET" if query.contains("list-type") || query.contains("uploads") => listable(request),
            "POST" if query.contains("uploads") => Answer::new(
                200,
                "<InitiateMultipartUploadResult><UploadId>U</UploadId></InitiateMultipartUploadResult>",
            ),
            "POST" if query.contains("delete") && deletes => {
                objects.clear();
                let body = String::from_utf8_lossy(&request.body).into_owned();
                let keys = body.split("<Key>").skip(1).filter_map(|rest| rest.split("</Key>").next());
                let deleted: String =
                    keys.map(|key| format!("<Deleted><Key>{key}</Key></Deleted>")).collect();
                Answer::new(200, format!("<DeleteResult>{deleted}</DeleteResult>"))
            }
            "DELETE" if query.contains("uploadId") => Answer::new(204, ""),
            "DELETE" if deletes => {
                objects.remove(path);
                Answer::new(204, "")
            }
            "PUT" if query.contains("partNumber") => Answer::new(200, "").with("etag", "\"p\""),
            "PUT" => {
                objects.insert(path.to_owned(), request.body.clone());
                Answer::new(200, "").with("etag", "\"e\"")
            }
            "POST" if query.contains("uploadId") => Answer::error(501, "NotImplemented"),
            "POST" if query.contains("delete") => {
                // As S3 has it: a success, and an error for each object.
                let body = String::from_utf8_lossy(&request.body).into_owned();
                let key = body.split("<Key>").nth(1).and_then(|rest| rest.split("</Key>").next());
                let key = key.unwrap_or_default();
                Answer::new(
                    200,
                    format!(
                        "<DeleteResult><Error><Key>{key}</Key><Code>AccessDenied</Code><Message>Access \
                         Denied.</Message></Error></DeleteResult>"
                    ),
                )
            }
            "POST" | "DELETE" => Answer::error(403, "AccessDenied"),
            _ => objects.get(path).map_or_else(|| Answer::error(404, "NoSuchKey"), |body| object(body)),
        }
    })
}

#[test]
fn a_server_without_conditional_writes_is_found_out() -> Result<()> {
    for client in CLIENTS {
        let server = simple(true);
        let diagnosis = doctor(&with_keys()?, &url(&server.url(), client), &["--write"])?;
        assert_eq!(diagnosis.finding("no-conditional-writes")?["level"], "warning");
        assert!(!diagnosis.codes().contains(&"probe-left"), "{:#}", diagnosis.report);
    }
    Ok(())
}

#[test]
fn who_may_not_delete_writes_nothing_that_stays() -> Result<()> {
    for client in CLIENTS {
        let server = simple(false);
        let diagnosis = doctor(&with_keys()?, &url(&server.url(), client), &["--write"])?;
        assert_eq!(diagnosis.is_well()?.codes(), ["cache-info-absent", "forbidden", "nothing-written"]);
        let puts = server.requests().into_iter().filter(|request| request.method == "PUT");
        assert!(puts.clone().count() == 1 && puts.clone().all(|put| put.target.contains("partNumber")));
    }
    Ok(())
}

#[test]
fn other_stores_are_not_its_business() -> Result<()> {
    let said = with_keys()?.run(["doctor", "--store", "file:///tmp"])?.refusal()?;
    assert!(said.contains("is no bucket") && said.contains("store info"), "{said}");
    Ok(())
}
