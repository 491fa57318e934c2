//! Whom TLS trusts.

use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use nars3_s3::{Environment, S3Error, S3ErrorKind, S3OpenError};
use nars3_store_url::S3Settings;
use object_store::ObjectStoreExt;
use object_store::path::Path;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

use crate::support::{Answer, Scripted, keys, run, settings};

fn data(name: &str) -> PathBuf {
    FilePath::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

/// A server with a certificate for `localhost` from an authority of our own; with or without asking for the client's.
fn server(asks_for_client: bool) -> Scripted {
    nars3_s3::install_crypto_provider();
    let chain = vec![CertificateDer::from_pem_file(data("server.pem")).unwrap()];
    let key = PrivateKeyDer::from_pem_file(data("server.key")).unwrap();
    let builder = ServerConfig::builder();
    let builder = if asks_for_client {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(data("authority.pem")).unwrap()).unwrap();
        builder.with_client_cert_verifier(WebPkiClientVerifier::builder(Arc::new(roots)).build().unwrap())
    } else {
        builder.with_no_client_auth()
    };
    let config = builder.with_single_cert(chain, key).unwrap();
    Scripted::start_tls(config, |_| {
        let time = "Sun, 22 Nov 2026 00:00:00 GMT";
        Answer::new(200, "contents").with("etag", "\"e\"").with("last-modified", time)
    })
}

fn get(settings: &S3Settings, environment: &Environment) -> Result<(), S3Error> {
    run(async {
        let store = nars3_s3::open(settings, environment).await.unwrap();
        store.get(&Path::from("key")).await.map(drop).map_err(|error| S3Error::of(&error))
    })
}

fn environment() -> Environment {
    Environment::of_process().with_credentials(keys())
}

#[test]
fn an_unknown_authority_is_not_trusted() {
    let server = server(false);
    let settings = settings(&format!("https://localhost:{}", server.address.port()));
    assert_eq!(get(&settings, &environment()).unwrap_err().kind, S3ErrorKind::Tls);
    assert!(server.requests().is_empty());
}

#[test]
fn an_authority_is_trusted_by_setting_or_by_environment() {
    let server = server(false);
    let settings = settings(&format!("https://localhost:{}", server.address.port()));
    get(&settings, &environment().with_ca_bundle(data("authority.pem"))).unwrap();
    let mut by_setting = settings;
    by_setting.transfer.ssl_cert_file = Some(data("authority.pem"));
    get(&by_setting, &environment()).unwrap();
}

#[test]
fn a_client_certificate_is_shown_to_who_asks() {
    let server = server(true);
    let mut settings = settings(&format!("https://localhost:{}", server.address.port()));
    settings.transfer.ssl_cert_file = Some(data("authority.pem"));
    get(&settings, &environment()).unwrap_err();
    settings.transfer.tls_certificate = Some(data("server.pem"));
    settings.transfer.tls_private_key = Some(data("server.key"));
    get(&settings, &environment()).unwrap();
}

#[test]
fn files_that_are_no_certificates_are_named() {
    let open_error = |environment: Environment| {
        let settings = settings("https://localhost:1");
        run(async { nars3_s3::open(&settings, &environment).await.err().unwrap() })
    };
    let error = open_error(environment().with_ca_bundle(data("absent.pem")));
    assert!(matches!(error, S3OpenError::ReadPem { .. }), "{error}");
    let error = open_error(environment().with_ca_bundle(data("server.key")));
    assert!(matches!(error, S3OpenError::NoCertificates { .. }), "{error}");
}
