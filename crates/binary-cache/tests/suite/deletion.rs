//! Deletion: what goes, what stays, and in which order.

use nars3_binary_cache::{DeleteOptions, Deletion};
use nars3_compression::Compression;
use nars3_store_api::{Store, StoreError};
use nars3_store_path::{Algorithm, Hash, StorePath};

use crate::support::{Sample, add, compressed_by, fetch, keys, memory, open, plain, put_raw, raw_text};

fn file_name(hash_of: &[u8]) -> String {
    Hash::digest(Algorithm::Sha256, hash_of).nix32_digest()
}

#[tokio::test]
async fn deletion_respects_referrers_and_shared_nars() {
    let objects = memory();
    let cache = plain(&objects).await;
    let library = Sample::file("library", b"library");
    let mut twin = library.clone();
    twin.info.path = Sample::file_path("twin");
    let program = Sample::file("program", b"program").referring_to(&[&library]);
    for sample in [&library, &twin, &program] {
        add(&cache, sample).await;
    }
    let delete = async |path: &StorePath, referrers, dry_run| {
        cache.delete(std::slice::from_ref(path), DeleteOptions { referrers, dry_run }).await
    };
    let refused = delete(&library.info.path, false, false).await.unwrap();
    let pair = (program.info.path.clone(), library.info.path.clone());
    assert_eq!(refused, Deletion::Refused { referrers: vec![pair] });

    let before = keys(&objects).await;
    let expected = Deletion::Done {
        paths: vec![program.info.path.clone(), library.info.path.clone()],
        nars: vec![format!("nar/{}.nar", file_name(&program.nar))],
        links: Vec::new(),
        realisations: Vec::new(),
    };
    assert_eq!(delete(&library.info.path, true, true).await.unwrap(), expected);
    assert_eq!(keys(&objects).await, before, "a dry run changes nothing");
    assert_eq!(delete(&library.info.path, true, false).await.unwrap(), expected);
    assert_eq!(fetch(&cache, &twin.info).await.unwrap(), twin.nar, "its NAR is the library's");
    assert!(cache.path_info(&library.info.path).await.unwrap().is_none());
    assert!(matches!(delete(&library.info.path, true, false).await, Err(StoreError::InvalidPath { .. })));
    delete(&twin.info.path, false, false).await.unwrap();
    assert_eq!(keys(&objects).await, ["nix-cache-info"]);
}

#[tokio::test]
async fn deletion_takes_the_links_into_its_nar_along() {
    for listings in [true, false] {
        let objects = memory();
        let mut options = compressed_by(Compression::None);
        options.cache.index_debug_info = true;
        options.cache.write_nar_listing = listings;
        let cache = open(&objects, options).await;
        let (mine, others) = ("ab".repeat(20), "cd".repeat(20));
        let doomed = with_debug_info("doomed", &[&mine]);
        let mut twin = doomed.clone();
        twin.info.path = Sample::file_path("twin");
        let stays = with_debug_info("stays", &[&others]);
        for sample in [&doomed, &twin, &stays] {
            add(&cache, sample).await;
        }
        let key = format!("debuginfo/{mine}.debug");
        let delete = async |path: &StorePath| {
            cache.delete(std::slice::from_ref(path), DeleteOptions::default()).await.unwrap()
        };
        let Deletion::Done { links, .. } = delete(&twin.info.path).await else { panic!("refused") };
        assert_eq!(links, Vec::<String>::new(), "the NAR is still there");
        let Deletion::Done { links, .. } = delete(&doomed.info.path).await else { panic!("refused") };
        assert_eq!(links, std::slice::from_ref(&key));
        let left = keys(&objects).await;
        assert!(!left.contains(&key) && left.contains(&format!("debuginfo/{others}.debug")), "{left:?}");
    }
}

/// What a narinfo names for its NAR goes along only if it can be one.
#[tokio::test]
async fn what_is_no_nar_stays_whatever_a_narinfo_names() {
    let narinfo = |sample: &Sample| format!("{}.narinfo", sample.info.path.hash_part());
    let other = Sample::file("other", b"other");
    for key in ["nix-cache-info", &narinfo(&other), "log/some.drv", "debuginfo/x.debug", "top.nar"] {
        let objects = memory();
        let doomed = Sample::file("doomed", b"doomed");
        for sample in [&doomed, &other] {
            add(&plain(&objects).await, sample).await;
        }
        for aside in ["log/some.drv", "debuginfo/x.debug", "top.nar"] {
            put_raw(&objects, aside, "x").await;
        }
        let nar = format!("nar/{}.nar", file_name(&doomed.nar));
        let text = raw_text(&objects, &narinfo(&doomed)).await.replace(&nar, key);
        put_raw(&objects, &narinfo(&doomed), text).await;
        let before = keys(&objects).await;
        let deleted = plain(&objects)
            .await
            .delete(std::slice::from_ref(&doomed.info.path), DeleteOptions::default())
            .await;
        assert!(matches!(deleted.unwrap(), Deletion::Done { nars, .. } if nars.is_empty()), "{key}");
        let left: Vec<_> = before.into_iter().filter(|key| *key != narinfo(&doomed)).collect();
        assert_eq!(keys(&objects).await, left, "{key}");
    }
}

/// Nobody could find what a listing of nonsense would tell; the links are found as without one.
#[tokio::test]
async fn a_listing_that_makes_no_sense_is_none() {
    let build_id = "ab".repeat(20);
    for nonsense in [&b"{"[..], b"\xff\xfe"] {
        let objects = memory();
        let mut options = compressed_by(Compression::None);
        options.cache.index_debug_info = true;
        let doomed = with_debug_info("doomed", &[&build_id]);
        add(&open(&objects, options).await, &doomed).await;
        put_raw(&objects, &format!("{}.ls", doomed.info.path.hash_part()), nonsense).await;
        put_raw(&objects, "debuginfo/nonsense.debug", nonsense).await;
        let deleted = plain(&objects)
            .await
            .delete(std::slice::from_ref(&doomed.info.path), DeleteOptions::default())
            .await;
        let Deletion::Done { links, .. } = deleted.unwrap() else { panic!("refused") };
        assert_eq!(links, [format!("debuginfo/{build_id}.debug")]);
        assert_eq!(keys(&objects).await, ["debuginfo/nonsense.debug", "nix-cache-info"]);
    }
}

/// A path with separate debug information for these build ids.
fn with_debug_info(name: &str, build_ids: &[&str]) -> Sample {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("root");
    for build_id in build_ids {
        let folder = root.join("lib/debug/.build-id").join(&build_id[..2]);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(format!("{}.debug", &build_id[2..])), name).unwrap();
    }
    Sample::of(name, &root)
}
