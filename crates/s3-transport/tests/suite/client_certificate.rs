//! A client certificate says who asks, as a password does: both go to the cache's own scheme, host and port, and to nobody
//! else, wherever redirects and narinfos lead.

use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use nars3_s3::{Environment, WebAccess, open_elsewhere, open_web};
use nars3_store_url::{HttpSettings, StoreKind, StoreUrl};
use object_store::ObjectStoreExt;
use object_store::path::Path;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

use crate::support::{Answer, Request, Scripted, run};

fn data(name: &str) -> PathBuf {
    FilePath::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

/// Whether a server lets those in that show no certificate. It asks everybody for one.
#[derive(Clone, Copy)]
enum Without {
    Allowed,
    Refused,
}

/// A server for `localhost` that asks its clients for a certificate.
fn server(without: Without, script: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Scripted {
    nars3_s3::install_crypto_provider();
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(data("authority.pem")).unwrap()).unwrap();
    let verifier = WebPkiClientVerifier::builder(Arc::new(roots));
    let verifier = match without {
        Without::Allowed => verifier.allow_unauthenticated(),
        Without::Refused => verifier,
    };
    let chain = vec![CertificateDer::from_pem_file(data("server.pem")).unwrap()];
    let key = PrivateKeyDer::from_pem_file(data("server.key")).unwrap();
    let config = ServerConfig::builder().with_client_cert_verifier(verifier.build().unwrap());
    Scripted::start_tls(config.with_single_cert(chain, key).unwrap(), script)
}

fn url(server: &Scripted) -> String {
    format!("https://localhost:{}", server.address.port())
}

/// A cache whose clients have a certificate and a password.
fn settings(url: &str) -> HttpSettings {
    let url: StoreUrl = url.parse().unwrap();
    let StoreKind::Http(mut settings) = url.kind else { panic!("{url}") };
    settings.transfer.retry_attempts = 1;
    settings.transfer.ssl_cert_file = Some(data("authority.pem"));
    settings.transfer.tls_certificate = Some(data("server.pem"));
    settings.transfer.tls_private_key = Some(data("server.key"));
    settings
}

fn get(cache: &str, key: &str) -> Result<String, object_store::Error> {
    run(async {
        let access = WebAccess::Basic { user: "me".into(), password: "secret".into() };
        let store = open_web(&settings(cache), &access, &Environment::of_process()).await.unwrap();
        let bytes = store.get(&Path::from(key)).await?.bytes().await?;
        Ok(String::from_utf8(bytes.into()).unwrap())
    })
}

fn body(text: &str) -> Answer {
    Answer::new(200, text).with("last-modified", "Sun, 22 Nov 2026 00:00:00 GMT")
}

/// For each request, whether it came with the certificate, and with the password.
fn shown(server: &Scripted) -> Vec<(bool, bool)> {
    let requests = server.requests();
    requests.iter().map(|request| (request.certified, request.header("authorization").is_some())).collect()
}

#[test]
fn it_is_shown_to_the_caches_own_server() {
    let home = server(Without::Refused, |_| body("contents"));
    assert_eq!(get(&url(&home), "nar/x.nar").unwrap(), "contents");
    assert_eq!(shown(&home), [(true, true)]);
}

#[test]
fn a_redirect_takes_it_to_nobody_else_and_back_home_it_is_shown_again() {
    for status in [301, 302, 303, 307, 308] {
        let other = Arc::new(std::sync::OnceLock::<String>::new());
        let elsewhere = Arc::clone(&other);
        let home = server(Without::Refused, move |request| match request.target.as_str() {
            "/home" => body("home"),
            key => Answer::new(status, "").with("location", &format!("{}{key}", elsewhere.get().unwrap())),
        });
        let back = url(&home);
        let away = server(Without::Allowed, move |request| match request.target.as_str() {
            "/back" => Answer::new(status, "").with("location", &format!("{back}/home")),
            _ => body("away"),
        });
        other.set(url(&away)).unwrap();
        assert_eq!(get(&url(&home), "away").unwrap(), "away");
        assert_eq!(get(&url(&home), "back").unwrap(), "home");
        assert_eq!(shown(&away), [(false, false); 2], "{status}");
        assert_eq!(shown(&home), [(true, true); 3], "{status}");
    }
}

/// The name of the host counts, and not where it leads.
#[test]
fn another_name_of_the_same_server_is_somebody_else() {
    let home = server(Without::Allowed, |request| match (request.target.as_str(), request.header("host")) {
        ("/x", Some(host)) if host.starts_with("localhost:") => {
            let other = host.replace("localhost", "LOCALHOST");
            Answer::new(302, "").with("location", &format!("https://{other}/capitals"))
        }
        ("/y", Some(host)) if host.starts_with("localhost:") => {
            let other = host.replace("localhost", "127.0.0.1");
            Answer::new(302, "").with("location", &format!("https://{other}/address"))
        }
        _ => body("contents"),
    });
    // Capitals are the same name.
    assert_eq!(get(&url(&home), "x").unwrap(), "contents");
    assert_eq!(shown(&home), [(true, true); 2]);
    assert_eq!(get(&url(&home), "y").unwrap(), "contents");
    assert_eq!(shown(&home)[2..], [(true, true), (false, false)]);
}

/// Whoever insists on a certificate does not get this one.
#[test]
fn a_server_that_insists_is_refused() {
    let away = server(Without::Refused, |_| body("away"));
    let location = format!("{}/x", url(&away));
    let home = server(Without::Refused, move |_| Answer::new(302, "").with("location", &location));
    get(&url(&home), "x").unwrap_err();
    assert_eq!(shown(&away), []);
    assert_eq!(shown(&home), [(true, true)]);
}

#[test]
fn nothing_follows_to_where_it_could_be_read_on_the_way() {
    let open = Scripted::start(|_| body("in the open"));
    let location = format!("{}/x", open.url());
    let home = server(Without::Refused, move |_| Answer::new(302, "").with("location", &location));
    let error = get(&url(&home), "x").unwrap_err().to_string();
    assert!(error.contains("which is not encrypted"), "{error}");
    assert!(open.requests().is_empty());
}

/// A narinfo leads to whatever server it likes.
#[test]
fn what_a_narinfo_leads_to_elsewhere_sees_neither() {
    let away = server(Without::Allowed, |_| body("away"));
    let transfer = settings("https://localhost").transfer;
    let named = url(&away).replace("https://", "https://me:secret@");
    run(async {
        for url in [format!("{}/nar/x.nar?signature=y", url(&away)), format!("{named}/nar/x.nar?signature=y")]
        {
            let (store, place) = open_elsewhere(&url, &transfer, &Environment::of_process()).await.unwrap();
            assert_eq!(store.get(&place).await.unwrap().bytes().await.unwrap(), "away");
        }
    });
    assert_eq!(shown(&away), [(false, false); 2]);
    assert!(away.requests().iter().all(|request| request.target == "/nar/x.nar?signature=y"));
    // Nor do those that it is sent on to.
    let insisting = server(Without::Refused, |_| body("no"));
    let location = format!("{}/x", url(&insisting));
    let sends_on = server(Without::Allowed, move |_| Answer::new(302, "").with("location", &location));
    run(async {
        let url = format!("{}/x", url(&sends_on));
        let (store, place) = open_elsewhere(&url, &transfer, &Environment::of_process()).await.unwrap();
        store.get(&place).await.unwrap_err();
    });
    assert_eq!((shown(&sends_on), shown(&insisting)), (vec![(false, false)], vec![]));
}
