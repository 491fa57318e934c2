//! object_store's own conformance suite, against MinIO (the strictest server there is) and s3s-fs, as far as each goes.

use std::sync::Arc;

use nars3_s3::{CredentialSource, Environment, StaticKeys};
use nars3_store_url::{StoreKind, StoreUrl};
use nars3_tests::require::{Need, skip};
use nars3_tests::server::{S3Server, ServerKind, Settings, find_minio};
use object_store::{ObjectStore, integration};

use crate::support::run;

/// A store in a new bucket of the server.
async fn open(server: &S3Server, url: &str) -> Arc<dyn ObjectStore> {
    let StoreKind::S3(settings) = StoreUrl::parse(url).unwrap().url.kind else {
        panic!("not an S3 URL: {url}")
    };
    let keys = server.settings();
    let keys = StaticKeys::new(keys.access_key.as_str(), keys.secret_key.as_str(), None);
    let environment = Environment::of_process().with_credentials(CredentialSource::Static(keys));
    nars3_s3::open(&settings, &environment).await.unwrap()
}

fn minio() -> Option<S3Server> {
    let Some(binary) = find_minio() else {
        skip(Need::Minio, "no binary");
        return None;
    };
    Some(S3Server::start_kind(&ServerKind::Minio(binary), &Settings::default()).unwrap())
}

/// All that this client claims to do.
async fn whole_suite(store: &Arc<dyn ObjectStore>) {
    // In the order of object_store's own tests: some want an empty store, and some leave objects behind.
    integration::put_get_delete_list(store).await;
    integration::list_with_offset_exclusivity(store).await;
    integration::get_opts(store).await;
    integration::list_uses_directories_correctly(store).await;
    integration::list_with_delimiter(store).await;
    integration::rename_and_copy(store).await;
    integration::stream_get(store).await;
    integration::multipart_race_condition(store, true).await;
    integration::multipart_out_of_order(store).await;
    integration::put_get_attributes(store).await;
    integration::put_opts(store, true).await;
    let missing = integration::get_nonexistent_object(store, None).await.unwrap_err();
    assert!(matches!(missing, object_store::Error::NotFound { .. }), "{missing}");
}

#[test]
fn minio_by_path() {
    let Some(server) = minio() else { return };
    let bucket = server.fresh_bucket().unwrap();
    run(async {
        let store = open(&server, &bucket.url("")).await;
        whole_suite(&store).await;
    });
}

#[test]
fn minio_below_a_prefix() {
    let Some(server) = minio() else { return };
    let bucket = server.fresh_bucket().unwrap();
    bucket.put("outside", b"untouched").unwrap();
    let url = bucket.url("").replacen('?', "/some/prefix?", 1);
    run(async {
        let store = open(&server, &url).await;
        whole_suite(&store).await;
    });
    assert_eq!(bucket.get("outside").unwrap(), b"untouched");
}

#[test]
fn embedded_as_far_as_it_goes() {
    let server = S3Server::start_kind(&ServerKind::Embedded, &Settings::default()).unwrap();
    let bucket = server.fresh_bucket().unwrap();
    run(async {
        let store = open(&server, &bucket.url("")).await;
        // s3s-fs 0.14 ignores conditions on reads, fails where a key is also a directory, and does not order parts.
        integration::list_uses_directories_correctly(&store).await;
        integration::list_with_delimiter(&store).await;
        integration::rename_and_copy(&store).await;
        integration::stream_get(&store).await;
    });
}
