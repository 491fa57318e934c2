//! Writing a chroot store, and reading it back: what becomes visible, and what must not.

#![allow(clippy::expect_used, clippy::panic, clippy::print_stderr, reason = "tests say what they expect")]

mod support;

use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::sync::Arc;

use futures::TryStreamExt;
use nars3_nix_store::{Durability, LocalStore, LocalStoreOptions};
use nars3_store_api::{StageOptions, Store, StoreError};
use nars3_store_path::{
    Algorithm, ContentAddress, ContentAddressMethod, Hash, Signature, StoreDir, StorePath, store_path_for,
};
use support::{Sample, add, entries, nar_of, open, store_path, stream_of};

fn odd_tree(tree: &Path) {
    std::fs::create_dir(tree.join("empty")).expect("mkdir");
    std::fs::create_dir_all(tree.join("bin")).expect("mkdir");
    std::fs::write(tree.join("bin/run"), "#!/bin/sh\n").expect("write");
    std::fs::set_permissions(tree.join("bin/run"), PermissionsExt::from_mode(0o755)).expect("chmod");
    std::fs::write(tree.join("odd name \u{fc}"), "").expect("write");
    symlink("../nowhere", tree.join("link")).expect("symlink");
}

#[tokio::test]
async fn a_batch_comes_back_as_it_went_in() {
    let root = tempfile::tempdir().expect("tempdir");
    let store = open(root.path());
    let mut library = Sample::new("library", &[], odd_tree);
    library.info.references.insert(library.info.path.clone());
    library.info.signatures.insert(Signature::new("key-1:AAAA"));
    library.info.deriver = Some(store_path("deriver", "library.drv"));
    library.info.ultimate = true;
    library.info.registration_time = Some(1_234_567_890);
    let program = Sample::file("program", "x", &[library.path()]);

    // Referrer first: the batch is put in order.
    add(&store, &[&program, &library]).await.expect("published");

    let found = store.path_info(library.path()).await.expect("query").expect("valid");
    assert!(!found.ultimate, "what was copied was not built here");
    let mut expected = library.info.clone();
    expected.ultimate = false;
    assert_eq!(*found, expected);
    assert_eq!(nar_of(&store, &found).await.expect("NAR"), library.nar);

    let found = store.path_info(program.path()).await.expect("query").expect("valid");
    assert_eq!(found.references, program.info.references);
    assert!(found.registration_time.is_some_and(|time| time > 1_600_000_000), "{found:?}");

    let both = [program.path().clone(), store_path("no", "no"), library.path().clone()];
    let valid = store.valid_paths(&both).await.expect("query");
    assert_eq!(valid, [program.path().clone(), library.path().clone()]);
    let listed: Vec<_> = store.list().try_collect().await.expect("list");
    assert_eq!(listed.len(), 2);
    assert_eq!(
        store.path_from_hash_part(&library.path().hash_part()).await.expect("query"),
        Some(library.path().clone())
    );
    assert_eq!(store.path_from_hash_part(&store_path("no", "no").hash_part()).await.expect("query"), None);
}

#[tokio::test]
async fn files_have_the_metadata_of_a_store() {
    let root = tempfile::tempdir().expect("tempdir");
    let store = open(root.path());
    let sample = Sample::new("odd", &[], odd_tree);
    add(&store, &[&sample]).await.expect("published");
    let top = store.real_path(sample.path());
    for (name, mode) in
        [("", 0o40555), ("bin", 0o40555), ("bin/run", 0o100_555), ("odd name \u{fc}", 0o100_444)]
    {
        let metadata = std::fs::symlink_metadata(top.join(name)).expect("there");
        assert_eq!(metadata.permissions().mode(), mode, "{name}");
        assert_eq!(metadata.mtime(), 1, "{name}");
    }
}

#[tokio::test]
async fn a_missing_reference_keeps_the_whole_batch_out() {
    let root = tempfile::tempdir().expect("tempdir");
    let store = open(root.path());
    let absent = store_path("absent", "absent");
    let good = Sample::file("good", "good", &[]);
    let bad = Sample::file("bad", "bad", &[good.path(), &absent]);
    let error = add(&store, &[&good, &bad]).await.expect_err("a reference is missing");
    match error {
        StoreError::MissingReference { path, reference, .. } => {
            assert_eq!((path, reference), (bad.path().clone(), absent));
        }
        other => panic!("{other:?}"),
    }
    assert!(store.valid_paths(&[good.path().clone(), bad.path().clone()]).await.expect("query").is_empty());
    assert!(!store.real_path(good.path()).exists());
}

#[tokio::test]
async fn a_circle_of_references_is_refused() {
    let root = tempfile::tempdir().expect("tempdir");
    let store = open(root.path());
    let other = store_path("two", "two");
    let one = Sample::file("one", "1", &[&other]);
    let two = Sample::file("two", "2", &[one.path()]);
    let error = add(&store, &[&one, &two]).await.expect_err("a circle");
    assert!(format!("{error:?}").contains("ReferenceCycle"), "{error:?}");
}

#[tokio::test]
async fn a_nar_that_was_tampered_with_is_refused_and_leaves_nothing() {
    let root = tempfile::tempdir().expect("tempdir");
    let store = open(root.path());
    let sample = Sample::file("sample", "the true contents", &[]);

    let place = sample.nar.windows(4).position(|bytes| bytes == b"true").expect("in the NAR");
    let mut changed = sample.nar.clone();
    changed[place] = b'T';
    let mut broken = sample.nar.clone();
    broken[8] = b'?';
    for tampered in [changed, broken] {
        let error = store
            .stage(sample.info.clone(), stream_of(tampered), StageOptions::default())
            .await
            .expect_err("the hash differs");
        assert!(matches!(error, StoreError::NarHashMismatch { .. }), "{error:?}");
    }

    let short = sample.nar[..sample.nar.len() - 8].to_vec();
    let mut long = sample.nar.clone();
    long.extend([0; 8]);
    for tampered in [short, long] {
        let error = store
            .stage(sample.info.clone(), stream_of(tampered), StageOptions::default())
            .await
            .expect_err("the size differs");
        assert!(matches!(error, StoreError::NarSizeMismatch { .. }), "{error:?}");
    }
    drop(store);
    assert_eq!(entries(root.path()), Vec::<String>::new(), "even the staging directory is gone");
}

#[tokio::test]
async fn a_nar_whose_sender_dies_is_refused() {
    let root = tempfile::tempdir().expect("tempdir");
    let store = open(root.path());
    let sample = Sample::file("sample", "contents", &[]);
    let (mut sender, stream) = nars3_store_api::NarStream::channel();
    let half = sample.nar[..64].to_vec();
    tokio::spawn(async move {
        sender.send(half.into()).await.expect("received");
        drop(sender);
    });
    let error = store
        .stage(sample.info.clone(), stream, StageOptions::default())
        .await
        .expect_err("the sender went away");
    assert!(matches!(error, StoreError::NarInterrupted), "{error:?}");
}

/// A flat file with a content address, and the path that follows from it.
fn flat(contents: &str) -> Sample {
    let directory = tempfile::tempdir().expect("tempdir");
    let file = directory.path().join("file");
    std::fs::write(&file, contents).expect("write");
    let ca = ContentAddress {
        method: ContentAddressMethod::Flat,
        hash: Hash::digest(Algorithm::Sha256, contents.as_bytes()),
    };
    let path = store_path_for(&StoreDir::default(), "flat", &ca, &[].into(), false).expect("a path");
    let mut sample = Sample::of_tree(path, &[], &file);
    sample.info.ca = Some(ca);
    sample
}

#[tokio::test]
async fn a_content_address_is_a_claim() {
    let root = tempfile::tempdir().expect("tempdir");
    let store = open(root.path());
    let honest = flat("honest");
    add(&store, &[&honest]).await.expect("true");
    assert_eq!(store.path_info(honest.path()).await.expect("query").expect("valid").ca, honest.info.ca);

    // The path follows from the claim, but the contents are others.
    let mut forged = flat("other");
    forged.nar = flat("forged").nar;
    forged.info.nar_hash = Hash::digest(Algorithm::Sha256, &forged.nar);
    forged.info.nar_size = forged.nar.len() as u64;
    let error = forged.stage(&store).await.expect_err("the contents are not those");
    assert!(
        matches!(&error, StoreError::FalseContentAddress { reason, .. } if reason.contains("hash")),
        "{error:?}"
    );

    // The contents are those, but the path belongs to something else.
    let mut moved = flat("moved");
    moved.info.path = store_path("elsewhere", "flat");
    let error = moved.stage(&store).await.expect_err("the path is not that");
    assert!(
        matches!(&error, StoreError::FalseContentAddress { reason, .. } if reason.contains("path")),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_valid_path_is_left_alone_and_a_leftover_is_replaced() {
    let root = tempfile::tempdir().expect("tempdir");
    let store = open(root.path());
    let sample = Sample::file("sample", "contents", &[]);
    let target = store.real_path(sample.path());
    std::fs::create_dir_all(target.join("left/over")).expect("mkdir");
    std::fs::set_permissions(target.join("left"), PermissionsExt::from_mode(0o555)).expect("chmod");

    add(&store, &[&sample]).await.expect("published");
    assert!(!target.join("left").exists());
    let inode = std::fs::metadata(&target).expect("there").ino();

    let mut again = sample.clone();
    again.info.signatures.insert(Signature::new("late-1:AAAA"));
    add(&store, &[&again, &again]).await.expect("no harm");
    assert_eq!(std::fs::metadata(&target).expect("there").ino(), inode);
    let found = store.path_info(sample.path()).await.expect("query").expect("valid");
    assert!(found.signatures.is_empty());
    drop(store);
    assert_eq!(entries(root.path()), [sample.path().to_string()]);
}

#[tokio::test]
async fn a_repair_replaces_a_valid_path() {
    let root = tempfile::tempdir().expect("tempdir");
    let store = open(root.path());
    let sample = Sample::file("sample", "contents", &[]);
    add(&store, &[&sample]).await.expect("published");
    let file = store.real_path(sample.path()).join("file");
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o644)).expect("chmod");
    std::fs::write(&file, "damaged!").expect("write");
    let error = nar_of(&store, &sample.info).await.expect_err("it is damaged");
    assert!(matches!(error, StoreError::NarHashMismatch { .. }), "{error:?}");

    let staged =
        store.stage(sample.info.clone(), sample.stream(), StageOptions::repairing()).await.expect("staged");
    store.publish(vec![staged]).await.expect("repaired");
    assert_eq!(nar_of(&store, &sample.info).await.expect("NAR"), sample.nar);
}

#[tokio::test]
async fn a_path_that_vanished_is_named() {
    let root = tempfile::tempdir().expect("tempdir");
    let store = open(root.path());
    let sample = Sample::file("sample", "contents", &[]);
    add(&store, &[&sample]).await.expect("published");
    let files = store.real_path(sample.path());
    std::fs::set_permissions(&files, PermissionsExt::from_mode(0o755)).expect("chmod");
    std::fs::remove_dir_all(files).expect("removed");
    match nar_of(&store, &sample.info).await.expect_err("it is gone") {
        StoreError::NarGone { path, .. } => assert_eq!(&path, sample.path()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_was_staged_and_not_published_goes_away() {
    let root = tempfile::tempdir().expect("tempdir");
    let store = open(root.path());
    let sample = Sample::file("sample", "contents", &[]);
    drop(sample.stage(&store).await.expect("staged"));
    assert!(store.path_info(sample.path()).await.expect("query").is_none());
    drop(store);
    assert_eq!(entries(root.path()), Vec::<String>::new());
}

#[tokio::test]
async fn another_store_cannot_publish_what_this_one_staged() {
    let (one, two) = (tempfile::tempdir().expect("tempdir"), tempfile::tempdir().expect("tempdir"));
    let (one, two) = (open(one.path()), open(two.path()));
    let staged = Sample::file("sample", "contents", &[]).stage(&one).await.expect("staged");
    let error = two.publish(vec![staged]).await.expect_err("not its own");
    assert!(matches!(error, StoreError::Unsupported { .. }), "{error:?}");
}

#[tokio::test]
async fn a_store_opened_read_only_is_not_written_to() {
    let root = tempfile::tempdir().expect("tempdir");
    let options = LocalStoreOptions {
        root: Some(root.path().to_owned()),
        read_only: true,
        ..LocalStoreOptions::default()
    };
    let error = LocalStore::open(options.clone()).expect_err("there is none");
    assert!(format!("{error:?}").contains("NoDatabase"), "{error:?}");
    assert_eq!(std::fs::read_dir(root.path()).expect("there").count(), 0, "nothing was created");

    drop(open(root.path()));
    let store = LocalStore::open(options).expect("there is one now");
    let error = Sample::file("sample", "contents", &[]).stage(&store).await.expect_err("read-only");
    assert!(matches!(error, StoreError::Unsupported { .. }), "{error:?}");
}

#[tokio::test]
async fn a_derivation_has_its_outputs_registered() {
    let root = tempfile::tempdir().expect("tempdir");
    let store = open(root.path());
    let output = Sample::file("output", "built", &[]);
    let directory = tempfile::tempdir().expect("tempdir");
    let file = directory.path().join("x.drv");
    let text = format!(r#"Derive([("out","/nix/store/{}","","")],[],[],"","",[],[])"#, output.path());
    std::fs::write(&file, text).expect("write");
    let derivation = Sample::of_tree(store_path("x.drv", "x.drv"), &[], &file);
    add(&store, &[&derivation, &output]).await.expect("published");

    let outputs = store.derivation_outputs(derivation.path()).await.expect("query");
    assert_eq!(outputs.get("out"), Some(output.path()));
    let derivers = store.valid_derivers(output.path()).await.expect("query");
    assert!(derivers.contains(derivation.path()));

    std::fs::write(&file, "no derivation").expect("write");
    let fake = Sample::of_tree(store_path("y.drv", "y.drv"), &[], &file);
    let error = fake.stage(&store).await.expect_err("not a derivation");
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error:?}");
}

#[tokio::test]
async fn closures_and_referrers_follow_the_references() {
    let root = tempfile::tempdir().expect("tempdir");
    let store = open(root.path());
    let one = Sample::file("one", "1", &[]);
    let two = Sample::file("two", "2", &[one.path()]);
    let mut three = Sample::file("three", "3", &[two.path()]);
    three.info.references.insert(three.info.path.clone());
    let alone = Sample::file("alone", "0", &[]);
    add(&store, &[&one, &two, &three, &alone]).await.expect("published");
    let closure = store.closure(&[three.path().clone()]).await.expect("query");
    assert_eq!(closure, [&one, &two, &three].map(|sample| sample.path().clone()).into());
    let referrers = store.referrers(two.path()).await.expect("query");
    assert_eq!(referrers, [three.path().clone()].into());
}

#[tokio::test]
async fn thousands_of_paths_become_valid_and_are_read_at_once() {
    let root = tempfile::tempdir().expect("tempdir");
    let store = open(root.path());
    let mut samples: Vec<Sample> = Vec::new();
    for number in 0..600 {
        let references: Vec<StorePath> =
            samples.iter().rev().take(3).map(|sample| sample.path().clone()).collect();
        let references: Vec<&StorePath> = references.iter().collect();
        samples.push(Sample::file(&format!("path-{number}"), &number.to_string(), &references));
    }
    // Last first, so that the order must be found.
    let batch: Vec<&Sample> = samples.iter().rev().collect();
    add(&store, &batch).await.expect("published");
    let mut asked: Vec<StorePath> = samples.iter().map(|sample| sample.path().clone()).collect();
    asked.extend((0..9000).map(|number| store_path(&format!("no-{number}"), "no")));
    let infos = store.path_infos(&asked).await.expect("query");
    assert_eq!(infos.len(), samples.len());
    for sample in &samples {
        assert_eq!(infos[sample.path()].references, sample.info.references);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_writers_agree() {
    let root = tempfile::tempdir().expect("tempdir");
    let samples: Arc<Vec<Sample>> = Arc::new(
        (0..40).map(|number| Sample::file(&format!("path-{number}"), &number.to_string(), &[])).collect(),
    );
    let writers: Vec<_> = (0..3)
        .map(|writer| {
            let samples = Arc::clone(&samples);
            let root = root.path().to_owned();
            tokio::spawn(async move {
                let store = open(&root);
                // Each in another order, in batches of another size.
                let mut mine: Vec<&Sample> = samples.iter().collect();
                mine.rotate_left(writer * 7);
                for batch in mine.chunks(3 + writer) {
                    add(&store, batch).await?;
                }
                Ok::<_, StoreError>(())
            })
        })
        .collect();
    for writer in writers {
        writer.await.expect("no panic").expect("published");
    }
    let store = open(root.path());
    for sample in samples.iter() {
        let info = store.path_info(sample.path()).await.expect("query").expect("valid");
        assert_eq!(nar_of(&store, &info).await.expect("NAR"), sample.nar);
    }
    drop(store);
    assert_eq!(entries(root.path()).len(), samples.len(), "no lock files, no staging directories");
}

#[tokio::test]
async fn every_durability_registers_the_same() {
    for durability in [Durability::Nothing, Durability::Metadata, Durability::Contents] {
        let root = tempfile::tempdir().expect("tempdir");
        let store = LocalStore::open(LocalStoreOptions {
            root: Some(root.path().to_owned()),
            durability,
            ..LocalStoreOptions::default()
        })
        .expect("opens");
        let sample = Sample::file("sample", "contents", &[]);
        add(&store, &[&sample]).await.expect("published");
        assert_eq!(nar_of(&store, &sample.info).await.expect("NAR"), sample.nar, "{durability:?}");
        assert!(store.path_info(sample.path()).await.expect("query").is_some(), "{durability:?}");
    }
}

#[tokio::test]
async fn equal_files_are_shared_where_that_is_wished() {
    let root = tempfile::tempdir().expect("tempdir");
    let store = LocalStore::open(LocalStoreOptions {
        root: Some(root.path().to_owned()),
        optimise: true,
        ..LocalStoreOptions::default()
    })
    .expect("opens");
    let one = Sample::file("one", "the same", &[]);
    let two = Sample::file("two", "the same", &[]);
    add(&store, &[&one]).await.expect("published");
    add(&store, &[&two]).await.expect("published");
    let [first, second] = [&one, &two]
        .map(|sample| std::fs::metadata(store.real_path(sample.path()).join("file")).expect("there"));
    assert_eq!(first.ino(), second.ino());
    assert_eq!(first.nlink(), 3, "the two files and the link");
    let directory = std::fs::metadata(store.real_path(two.path())).expect("there");
    assert_eq!((directory.mtime(), directory.permissions().mode() & 0o777), (1, 0o555));
    assert_eq!(nar_of(&store, &two.info).await.expect("NAR"), two.nar);
}
