//! Where requests go: paths, hosts, prefixes.

use nars3_s3::{Environment, S3OpenError};
use nars3_store_url::{AddressingStyle, Endpoint};
use object_store::ObjectStoreExt;
use object_store::path::Path;

use crate::support::{Answer, Scripted, keys, open, run, settings};

fn object() -> Answer {
    Answer::new(200, "contents").with("etag", "\"e\"").with("last-modified", "Sun, 22 Nov 2026 00:00:00 GMT")
}

#[test]
fn an_endpoint_is_addressed_by_path() {
    let server = Scripted::start(|_| object());
    run(async { open(&settings(&server.url())).await.get(&Path::from("nar/x.nar.xz")).await.unwrap() });
    let requests = server.requests();
    assert_eq!(requests[0].target, "/bucket/nar/x.nar.xz");
    assert_eq!(requests[0].header("host"), Some(server.address.to_string().as_str()));
    assert_eq!(requests[0].signed_by(), Some("AKIDTEST"));
}

#[test]
fn an_endpoint_may_lack_the_scheme_or_have_a_path() {
    let server = Scripted::start(|_| object());
    let mut by_authority = settings(&server.address.to_string());
    by_authority.scheme = nars3_store_url::Scheme::Http;
    run(async { open(&by_authority).await.get(&Path::from("key")).await.unwrap() });
    let below = settings(&format!("{}/storage/v1", server.url()));
    run(async { open(&below).await.get(&Path::from("key")).await.unwrap() });
    let targets: Vec<_> = server.requests().into_iter().map(|request| request.target).collect();
    assert_eq!(targets, ["/bucket/key", "/storage/v1/bucket/key"]);
}

#[test]
fn a_bucket_may_be_a_host() {
    let server = Scripted::start(|_| object());
    let port = server.address.port();
    let mut hosted = settings(&format!("http://s3.nars3.test:{port}"));
    hosted.addressing_style = AddressingStyle::Virtual;
    let environment = Environment::of_process()
        .with_credentials(keys())
        .with_address("bucket.s3.nars3.test", server.address);
    run(async {
        let store = nars3_s3::open(&hosted, &environment).await.unwrap();
        store.get(&Path::from("log/x.drv")).await.unwrap()
    });
    let requests = server.requests();
    assert_eq!(requests[0].target, "/log/x.drv");
    assert_eq!(requests[0].header("host"), Some(format!("bucket.s3.nars3.test:{port}").as_str()));
}

#[test]
fn a_prefix_stands_in_front_of_every_key() {
    let server = Scripted::start(|_| object());
    let mut prefixed = settings(&server.url());
    prefixed.prefix = "caches/one".to_owned();
    run(async { open(&prefixed).await.get(&Path::from("nix-cache-info")).await.unwrap() });
    assert_eq!(server.requests()[0].target, "/bucket/caches/one/nix-cache-info");
}

#[test]
fn keys_of_realisations_arrive_as_they_are() {
    let server = Scripted::start(|_| object());
    let key = Path::parse("realisations/sha256:0123!out.doi").unwrap();
    run(async { open(&settings(&server.url())).await.get(&key).await.unwrap() });
    let target = server.requests()[0].target.clone();
    let decoded = target.replace("%3A", ":").replace("%21", "!");
    assert_eq!(decoded, "/bucket/realisations/sha256:0123!out.doi");
}

#[test]
fn impossible_settings_are_refused_before_any_request() {
    let environment = Environment::of_process().with_credentials(keys());
    let open_error = |change: fn(&mut nars3_store_url::S3Settings)| {
        let mut wrong = settings("http://127.0.0.1:1");
        change(&mut wrong);
        run(async { nars3_s3::open(&wrong, &environment).await.err().unwrap() })
    };
    let error = open_error(|settings| settings.prefix = "a//b".to_owned());
    assert!(matches!(error, S3OpenError::Prefix { .. }), "{error}");
    let error = open_error(|settings| settings.addressing_style = AddressingStyle::Virtual);
    assert!(matches!(error, S3OpenError::Addressing(_)), "{error}");
    #[cfg(not(feature = "rusoto"))]
    {
        let error = open_error(|settings| settings.s3_client = Some(nars3_store_url::S3Client::Rusoto));
        assert!(matches!(error, S3OpenError::ClientNotBuilt { client: "rusoto" }), "{error}");
    }
    let error =
        open_error(|settings| settings.endpoint = Some(Endpoint::parse("http://[fe80::1%25eth0]").unwrap()));
    assert!(matches!(error, S3OpenError::Endpoint { .. }), "{error}");
}
