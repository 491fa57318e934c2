//! What a cache needs of a bucket and object_store's suite does not ask for: keys of every kind, more than a page of
//! them, parts in any order, conditions, and errors that say what is wrong. What was written is looked at with requests
//! of the test's own, not with the client under test.

use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{StreamExt, TryStreamExt};
use nars3_s3::{CredentialSource, Environment, S3Error, S3ErrorKind, StaticKeys};
use nars3_store_url::S3Client;
use nars3_tests::server::{Bucket, S3Server};
use object_store::path::Path;
use object_store::{
    Attribute, Attributes, GetOptions, GetRange, ObjectStore, ObjectStoreExt, PutMode, PutOptions,
    PutPayload, UpdateVersion,
};

use super::{environment, settings};
use crate::support::run;

/// S3 takes no smaller part, but for the last.
const PART: usize = 5 << 20;

/// Names that have to be encoded on the way, or look as if they were.
const KEYS: [&str; 9] = [
    "log/0c6pd-gtk+3-3.24.drv",
    "realisations/sha256:0123!out.doi",
    "with space/and+plus",
    "ä/é",
    "100%25",
    "a=b&c?d",
    "(parentheses)'quote",
    "nar/tilde~x.nar",
    // Words by which object_store's client finds errors in answers that look like successes.
    "log/SlowDown-InternalError.drv",
];

pub(super) async fn suite(store: &Arc<dyn ObjectStore>, bucket: &Bucket) {
    keys(store, bucket).await;
    conditions(store).await;
    ranges(store).await;
    attributes(store).await;
    parts(store, bucket).await;
    pages(store).await;
}

pub(super) async fn keys(store: &Arc<dyn ObjectStore>, bucket: &Bucket) {
    for key in KEYS {
        let path = Path::parse(key).unwrap();
        store.put(&path, key.into()).await.unwrap();
        assert_eq!(tokio::task::block_in_place(|| bucket.get(key)).unwrap(), key.as_bytes(), "{key}");
        assert_eq!(store.get(&path).await.unwrap().bytes().await.unwrap(), key.as_bytes(), "{key}");
        assert_eq!(store.head(&path).await.unwrap().size, key.len() as u64, "{key}");
    }
    let mut listed: Vec<String> =
        store.list(None).map_ok(|object| object.location.to_string()).try_collect().await.unwrap();
    listed.sort();
    let mut expected = KEYS.map(str::to_owned).to_vec();
    expected.sort();
    assert_eq!(listed, expected);
    let copy = Path::from("copy");
    store.copy(&Path::parse(KEYS[2]).unwrap(), &copy).await.unwrap();
    assert_eq!(store.get(&copy).await.unwrap().bytes().await.unwrap(), KEYS[2].as_bytes());
    // Those that were never there count as deleted.
    let all = expected.iter().map(String::as_str).chain(["copy", "never-there"]);
    let all: Vec<_> = all.map(|key| Ok(Path::parse(key).unwrap())).collect();
    let deleted: Vec<Path> =
        store.delete_stream(futures::stream::iter(all).boxed()).try_collect().await.unwrap();
    let deleted: Vec<_> = deleted.iter().map(Path::as_ref).collect();
    assert_eq!(deleted[..expected.len()], expected);
    assert_eq!(tokio::task::block_in_place(|| bucket.keys()).unwrap(), Vec::<String>::new());
}

pub(super) async fn conditions(store: &Arc<dyn ObjectStore>) {
    let path = Path::from("condition");
    let create = || PutOptions::from(PutMode::Create);
    let first = store.put_opts(&path, "first".into(), create()).await.unwrap();
    let error = store.put_opts(&path, "second".into(), create()).await.unwrap_err();
    assert!(matches!(error, object_store::Error::AlreadyExists { .. }), "{error:?}");
    let described = S3Error::of(&error);
    assert_eq!(described.kind, S3ErrorKind::AlreadyExists);
    assert_eq!(described.status, Some(412), "{described}");
    let update = |e_tag: &str| {
        PutOptions::from(PutMode::Update(UpdateVersion { e_tag: Some(e_tag.to_owned()), version: None }))
    };
    let error = store.put_opts(&path, "third".into(), update("\"another\"")).await.unwrap_err();
    assert!(matches!(error, object_store::Error::Precondition { .. }), "{error:?}");
    let e_tag = first.e_tag.unwrap();
    store.put_opts(&path, "fourth".into(), update(&e_tag)).await.unwrap();
    assert_eq!(store.get(&path).await.unwrap().bytes().await.unwrap(), "fourth");
    let e_tag = store.head(&path).await.unwrap().e_tag;
    let unless = GetOptions { if_none_match: e_tag, ..GetOptions::default() };
    let error = store.get_opts(&path, unless).await.unwrap_err();
    assert!(matches!(error, object_store::Error::NotModified { .. }), "{error:?}");
}

pub(super) async fn ranges(store: &Arc<dyn ObjectStore>) {
    let path = Path::from("range");
    store.put(&path, "0123456789".into()).await.unwrap();
    for (range, expected) in [
        (GetRange::Bounded(2..5), "234"),
        (GetRange::Bounded(8..100), "89"),
        (GetRange::Offset(7), "789"),
        (GetRange::Suffix(2), "89"),
    ] {
        let options = GetOptions { range: Some(range.clone()), ..GetOptions::default() };
        let result = store.get_opts(&path, options).await.unwrap();
        assert_eq!(result.meta.size, 10, "{range:?}");
        assert_eq!(result.bytes().await.unwrap(), expected, "{range:?}");
    }
    let beyond = GetOptions { range: Some(GetRange::Offset(10)), ..GetOptions::default() };
    store.get_opts(&path, beyond).await.unwrap_err();
    let many = store.get_ranges(&path, &[0..1, 4..6, 9..10]).await.unwrap();
    assert_eq!(many, ["0", "45", "9"].map(Bytes::from));
}

pub(super) async fn attributes(store: &Arc<dyn ObjectStore>) {
    let path = Path::from("attributes");
    let attributes = Attributes::from_iter([
        (Attribute::ContentType, "text/x-nix-narinfo"),
        (Attribute::ContentEncoding, "zstd"),
        (Attribute::CacheControl, "max-age=31536000, immutable"),
        (Attribute::Metadata("deriver".into()), "some value"),
    ]);
    let options = PutOptions { attributes: attributes.clone(), ..PutOptions::default() };
    store.put_opts(&path, "whatever zstd made of it".into(), options).await.unwrap();
    let result = store.get(&path).await.unwrap();
    for (attribute, value) in &attributes {
        assert_eq!(result.attributes.get(attribute), Some(value), "{attribute:?}");
    }
    // What the header calls encoded is not decoded on the way.
    assert_eq!(result.bytes().await.unwrap(), "whatever zstd made of it");
}

pub(super) async fn parts(store: &Arc<dyn ObjectStore>, bucket: &Bucket) {
    // A name in which object_store's client would see an error of the server, in the answer that completes the upload.
    const KEY: &str = "parts/InternalError/SlowDown";
    let path = Path::from(KEY);
    let piece = |byte: u8, length: usize| PutPayload::from(vec![byte; length]);
    let mut upload = store.put_multipart(&path).await.unwrap();
    let first = upload.put_part(piece(1, PART));
    // A part may be a rope.
    let second = upload.put_part([vec![2; 7], vec![3; PART - 7]].into_iter().map(Bytes::from).collect());
    let last = upload.put_part(piece(4, 3));
    last.await.unwrap();
    second.await.unwrap();
    first.await.unwrap();
    upload.complete().await.unwrap();
    let whole = tokio::task::block_in_place(|| bucket.get(KEY)).unwrap();
    assert_eq!(whole.len(), 2 * PART + 3);
    assert!(
        whole[..PART].iter().all(|byte| *byte == 1) && whole[PART + 7..2 * PART].iter().all(|it| *it == 3)
    );
    assert!(whole[PART..PART + 7] == [2; 7] && whole[2 * PART..] == [4; 3]);
    assert!(store.get(&path).await.unwrap().bytes().await.unwrap() == whole);

    // A part that failed, or was never sent, must not be forgotten.
    let mut upload = store.put_multipart(&Path::from("gap")).await.unwrap();
    drop(upload.put_part(piece(1, PART)));
    upload.put_part(piece(2, 1)).await.unwrap();
    upload.complete().await.unwrap_err();
    upload.abort().await.unwrap();

    let mut upload = store.put_multipart(&Path::from("empty")).await.unwrap();
    upload.complete().await.unwrap();
    assert_eq!(tokio::task::block_in_place(|| bucket.get("empty")).unwrap(), b"");
    let keys = tokio::task::block_in_place(|| bucket.keys()).unwrap();
    assert!(!keys.contains(&"gap".to_owned()), "{keys:?}");
}

pub(super) async fn pages(store: &Arc<dyn ObjectStore>) {
    let names: Vec<String> = (0..1100).map(|number| format!("pages/{number:04}")).collect();
    let puts = futures::stream::iter(&names).map(|name| async move {
        store.put(&Path::parse(name).unwrap(), PutPayload::new()).await.unwrap();
    });
    puts.buffer_unordered(32).collect::<Vec<()>>().await;
    let prefix = Path::from("pages");
    let mut listed: Vec<_> =
        store.list(Some(&prefix)).map_ok(|object| object.location.to_string()).try_collect().await.unwrap();
    listed.sort();
    assert_eq!(listed, names);
    let from = Path::from("pages/1090");
    let rest: Vec<_> = store.list_with_offset(Some(&prefix), &from).try_collect().await.unwrap();
    assert_eq!(rest.len(), 9);
    let level = store.list_with_delimiter(Some(&prefix)).await.unwrap();
    assert_eq!((level.objects.len(), level.common_prefixes.len()), (1100, 0));
    let paths = names.iter().map(|name| Ok(Path::parse(name).unwrap())).collect::<Vec<_>>();
    let deleted: Vec<Path> =
        store.delete_stream(futures::stream::iter(paths).boxed()).try_collect().await.unwrap();
    assert_eq!(deleted.len(), 1100);
    assert!(store.list(Some(&prefix)).next().await.is_none());
}

/// What settings that are wrong end in.
pub(super) fn mistakes(server: &S3Server, client: S3Client, checks_regions: bool) {
    let bucket = server.fresh_bucket().unwrap();
    let mut good = settings(&bucket.url(""), client);
    good.transfer.retry_attempts = 1;
    let kind = |settings: nars3_store_url::S3Settings, environment: Environment| {
        run(async {
            let store = nars3_s3::open(&settings, &environment).await.unwrap();
            let path = Path::from("missing");
            let get = S3Error::of(&store.get(&path).await.unwrap_err());
            let put = store.put(&path, "x".into()).await.map_err(|error| S3Error::of(&error).kind);
            (get, put.map(|_| ()))
        })
    };
    let (get, put) = kind(good.clone(), environment(server));
    assert_eq!((get.kind, get.status, put), (S3ErrorKind::KeyMissing, Some(404), Ok(())));

    let mut elsewhere = good.clone();
    // A name of its own: SeaweedFS makes a bucket of what is written to, and another test would find it.
    elsewhere.bucket = format!("{}-is-not-there", bucket.name());
    let (get, _) = kind(elsewhere, environment(server));
    assert_eq!(get.kind, S3ErrorKind::BucketMissing, "{get}");
    assert_eq!(get.code.as_deref(), Some("NoSuchBucket"));

    let keys = server.settings();
    for (id, secret) in [(keys.access_key.as_str(), "wrong"), ("unknown", keys.secret_key.as_str())] {
        let keys = CredentialSource::Static(StaticKeys::new(id, secret, None));
        let (get, put) = kind(good.clone(), Environment::of_process().with_credentials(keys));
        assert_eq!(
            (&get.kind, put),
            (&S3ErrorKind::BadCredentials, Err(S3ErrorKind::BadCredentials)),
            "{get}"
        );
    }

    let mut anonymous = good.clone();
    anonymous.anonymous = true;
    let (get, put) = kind(anonymous, environment(server));
    assert!(matches!(get.kind, S3ErrorKind::Forbidden { .. }), "{get}");
    assert!(matches!(put, Err(S3ErrorKind::Forbidden { .. })), "{put:?}");

    if checks_regions {
        let mut wrong = good;
        wrong.region = "mars-north-1".to_owned();
        let found = run(async {
            let store = nars3_s3::open(&wrong, &environment(server)).await.unwrap();
            store.put(&Path::from("found"), "x".into()).await.unwrap();
            store.get(&Path::from("missing")).await.unwrap().bytes().await.unwrap()
        });
        assert_eq!(found, "x", "the server said where the bucket is");
    }
}
