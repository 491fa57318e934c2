//! What servers answer that MinIO does not: refusals, redirects, authorities, clocks.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::{CLIENTS, doctor, listable, url, with_keys};
use crate::scripted::{Answer, Scripted};

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

#[test]
fn other_stores_are_not_its_business() -> Result<()> {
    let said = with_keys()?.run(["doctor", "--store", "file:///tmp"])?.refusal()?;
    assert!(said.contains("is no bucket") && said.contains("store info"), "{said}");
    Ok(())
}
