//! object_store's own conformance suite and ours, for every client, against MinIO (the strictest server there is),
//! SeaweedFS, and s3s-fs, as far as each goes.

mod ours;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::LocalBoxFuture;
use nars3_s3::{CredentialSource, Environment, StaticKeys};
use nars3_store_url::{S3Client, S3Settings, StoreKind, StoreUrl};
use nars3_tests::require::{Need, skip};
use nars3_tests::server::{Bucket, S3Server, ServerKind, Settings, find_minio, find_seaweedfs};
use object_store::{ObjectStore, integration};

use crate::support::run;

/// The settings of a URL, for a client.
fn settings(url: &str, client: S3Client) -> S3Settings {
    let StoreKind::S3(mut settings) = StoreUrl::parse(url).unwrap().url.kind else {
        panic!("not an S3 URL: {url}")
    };
    settings.s3_client = Some(client);
    settings
}

fn environment(server: &S3Server) -> Environment {
    let keys = server.settings();
    let keys = StaticKeys::new(keys.access_key.as_str(), keys.secret_key.as_str(), None);
    Environment::of_process().with_credentials(CredentialSource::Static(keys))
}

/// A store in a bucket of the server.
async fn open(server: &S3Server, url: &str, client: S3Client) -> Arc<dyn ObjectStore> {
    nars3_s3::open(&settings(url, client), &environment(server)).await.unwrap()
}

/// MinIO, in a region that it insists on.
fn minio() -> Option<Arc<S3Server>> {
    let Some(binary) = find_minio() else {
        skip(Need::Minio, "no binary");
        return None;
    };
    Some(S3Server::shared_kind(&ServerKind::Minio(binary)).unwrap())
}

fn seaweedfs() -> Option<Arc<S3Server>> {
    let Some(binary) = find_seaweedfs() else {
        skip(Need::SeaweedFs, "no binary");
        return None;
    };
    Some(S3Server::shared_kind(&ServerKind::SeaweedFs(binary)).unwrap())
}

/// All that a client claims to do.
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

/// Both suites, each in a bucket of its own.
fn both_suites(server: &S3Server, client: S3Client) {
    let (theirs, ours): (Bucket, Bucket) = (server.fresh_bucket().unwrap(), server.fresh_bucket().unwrap());
    run(async {
        whole_suite(&open(server, &theirs.url(""), client).await).await;
        ours::suite(&open(server, &ours.url(""), client).await, &ours).await;
    });
}

/// What SeaweedFS 4.48 does not do as S3 does it, whatever the client. Its keys are paths in a tree of directories, so that
/// everything below a directory comes before what stands beside it: a listing after `a` leaves out `a/b`.
const SEAWEEDFS_DEVIATES: [&str; 1] = ["put_get_delete_list"];

/// Both suites, step by step, each in a bucket of its own; which steps failed.
fn deviations(server: &S3Server, client: S3Client) -> Vec<&'static str> {
    let mut failed = Vec::new();
    macro_rules! steps {
        ($($name:ident => $step:expr;)*) => {$(
            let bucket = server.fresh_bucket().unwrap();
            let step = AssertUnwindSafe(|| run(async {
                let store = open(server, &bucket.url(""), client).await;
                let step: fn(Arc<dyn ObjectStore>, Bucket) -> LocalBoxFuture<'static, ()> = $step;
                step(store, bucket).await;
            }));
            if std::panic::catch_unwind(step).is_err() {
                failed.push(stringify!($name));
            }
        )*};
    }
    steps! {
        put_get_delete_list => |it, _| async move { integration::put_get_delete_list(&it).await }.boxed_local();
        list_with_offset => |it, _| async move { integration::list_with_offset_exclusivity(&it).await }.boxed_local();
        get_opts => |it, _| async move { integration::get_opts(&it).await }.boxed_local();
        directories => |it, _| async move { integration::list_uses_directories_correctly(&it).await }.boxed_local();
        list_with_delimiter => |it, _| async move { integration::list_with_delimiter(&it).await }.boxed_local();
        rename_and_copy => |it, _| async move { integration::rename_and_copy(&it).await }.boxed_local();
        stream_get => |it, _| async move { integration::stream_get(&it).await }.boxed_local();
        multipart_race => |it, _| async move { integration::multipart_race_condition(&it, true).await }.boxed_local();
        multipart_order => |it, _| async move { integration::multipart_out_of_order(&it).await }.boxed_local();
        put_get_attributes => |it, _| async move { integration::put_get_attributes(&it).await }.boxed_local();
        put_opts => |it, _| async move { integration::put_opts(&it, true).await }.boxed_local();
        keys => |it, bucket| async move { ours::keys(&it, &bucket).await }.boxed_local();
        conditions => |it, _| async move { ours::conditions(&it).await }.boxed_local();
        ranges => |it, _| async move { ours::ranges(&it).await }.boxed_local();
        attributes => |it, _| async move { ours::attributes(&it).await }.boxed_local();
        parts => |it, bucket| async move { ours::parts(&it, &bucket).await }.boxed_local();
        pages => |it, _| async move { ours::pages(&it).await }.boxed_local();
    }
    failed
}

fn below_a_prefix(server: &S3Server, client: S3Client) {
    let bucket = server.fresh_bucket().unwrap();
    bucket.put("outside", b"untouched").unwrap();
    let url = bucket.url("").replacen('?', "/some/prefix?", 1);
    run(async {
        whole_suite(&open(server, &url, client).await).await;
    });
    assert_eq!(bucket.get("outside").unwrap(), b"untouched");
}

/// What s3s-fs can show.
fn embedded(client: S3Client) {
    let server = S3Server::start_kind(&ServerKind::Embedded, &Settings::default()).unwrap();
    let bucket = server.fresh_bucket().unwrap();
    run(async {
        let store = open(&server, &bucket.url(""), client).await;
        // s3s-fs 0.14 ignores conditions on reads, fails where a key is also a directory, and does not order parts.
        integration::list_uses_directories_correctly(&store).await;
        integration::list_with_delimiter(&store).await;
        integration::rename_and_copy(&store).await;
        integration::stream_get(&store).await;
    });
}

#[test]
fn object_store_on_minio() {
    let Some(server) = minio() else { return };
    both_suites(&server, S3Client::ObjectStore);
    ours::mistakes(&server, S3Client::ObjectStore, true);
}

#[test]
fn object_store_on_minio_below_a_prefix() {
    let Some(server) = minio() else { return };
    below_a_prefix(&server, S3Client::ObjectStore);
}

#[test]
fn object_store_on_seaweedfs() {
    let Some(server) = seaweedfs() else { return };
    assert_eq!(deviations(&server, S3Client::ObjectStore), SEAWEEDFS_DEVIATES);
    ours::mistakes(&server, S3Client::ObjectStore, false);
}

#[test]
fn object_store_on_s3s_as_far_as_it_goes() {
    embedded(S3Client::ObjectStore);
}

#[cfg(feature = "rusoto")]
#[test]
fn rusoto_on_minio() {
    let Some(server) = minio() else { return };
    both_suites(&server, S3Client::Rusoto);
    ours::mistakes(&server, S3Client::Rusoto, true);
}

#[cfg(feature = "rusoto")]
#[test]
fn rusoto_on_minio_below_a_prefix() {
    let Some(server) = minio() else { return };
    below_a_prefix(&server, S3Client::Rusoto);
}

#[cfg(feature = "rusoto")]
#[test]
fn rusoto_on_seaweedfs() {
    let Some(server) = seaweedfs() else { return };
    assert_eq!(deviations(&server, S3Client::Rusoto), SEAWEEDFS_DEVIATES);
    ours::mistakes(&server, S3Client::Rusoto, false);
}

#[cfg(feature = "rusoto")]
#[test]
fn rusoto_on_s3s_as_far_as_it_goes() {
    embedded(S3Client::Rusoto);
}
