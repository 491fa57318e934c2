//! The database as others may have left it: written by hand here.

#![allow(clippy::expect_used, clippy::panic, clippy::print_stderr, reason = "tests say what they expect")]

mod support;

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use nars3_nix_store::{LocalStore, LocalStoreOptions};
use nars3_store_api::{Store, StoreError};
use nars3_store_path::{BuildTraceKey, Hash, StorePath};
use support::{Sample, Warnings, add, open, store_path};

const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn database(root: &Path) -> rusqlite::Connection {
    rusqlite::Connection::open(root.join("nix/var/nix/db/db.sqlite")).expect("opens")
}

/// Inserts a row as it is given, and gives its path.
fn insert(root: &Path, name: &str, columns: &str, values: &str) -> StorePath {
    let path = store_path(name, name);
    database(root)
        .execute(
            &format!(
                "insert into ValidPaths (path, registrationTime, {columns}) values ('/nix/store/{path}', 1, {values})"
            ),
            [],
        )
        .expect("inserted");
    path
}

#[tokio::test]
async fn a_hash_may_have_any_form() {
    let root = tempfile::tempdir().expect("tempdir");
    let store = open(root.path());
    let hash = Hash::parse(&format!("sha256:{HEX}")).expect("a hash");
    let forms = [hash.to_base16(), hash.to_nix32(), hash.to_sri()];
    for (number, form) in forms.iter().enumerate() {
        let path = insert(root.path(), &format!("path-{number}"), "hash", &format!("'{form}'"));
        let info = store.path_info(&path).await.expect("query").expect("valid");
        assert_eq!(info.nar_hash, hash);
        assert_eq!(info.nar_size, 0, "not known");
    }
}

#[tokio::test]
async fn a_row_that_makes_no_sense_is_named() {
    let root = tempfile::tempdir().expect("tempdir");
    let store = open(root.path());
    for (number, (columns, values, complaint)) in [
        ("hash", "'sha256:xyz'".to_owned(), "hash 'sha256:xyz'"),
        ("hash, deriver", format!("'sha256:{HEX}', '/etc/passwd'"), "deriver '/etc/passwd'"),
        ("hash, ca", format!("'sha256:{HEX}', 'made:up'"), "ca 'made:up'"),
        ("hash, narSize", format!("'sha256:{HEX}', -1"), "narSize '-1'"),
    ]
    .into_iter()
    .enumerate()
    {
        let path = insert(root.path(), &format!("bad-{number}"), columns, &values);
        match store.path_info(&path).await.expect_err("it makes no sense") {
            StoreError::Corrupt { location, .. } => assert!(location.contains(complaint), "{location}"),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_reader_sees_what_a_writer_commits() {
    let root = tempfile::tempdir().expect("tempdir");
    drop(open(root.path()));
    let reader = LocalStore::open(LocalStoreOptions {
        root: Some(root.path().to_owned()),
        read_only: true,
        ..LocalStoreOptions::default()
    })
    .expect("opens");
    let writer = open(root.path());
    for number in 0..5 {
        let sample = Sample::file(&format!("path-{number}"), "x", &[]);
        assert!(reader.path_info(sample.path()).await.expect("query").is_none());
        add(&writer, &[&sample]).await.expect("published");
        assert!(reader.path_info(sample.path()).await.expect("query").is_some());
    }
}

#[tokio::test]
async fn an_open_transaction_of_a_writer_keeps_no_reader_waiting() {
    let root = tempfile::tempdir().expect("tempdir");
    let store = open(root.path());
    let mut writer = database(root.path());
    let transaction =
        writer.transaction_with_behavior(rusqlite::TransactionBehavior::Exclusive).expect("begins");
    let path = store_path("a", "a");
    transaction
        .execute(
            "insert into ValidPaths (path, hash, registrationTime) values (?1, ?2, 1)",
            (format!("/nix/store/{path}"), format!("sha256:{HEX}")),
        )
        .expect("inserted");
    assert!(store.path_info(&path).await.expect("query").is_none(), "not committed");
    transaction.commit().expect("committed");
    assert!(store.path_info(&path).await.expect("query").is_some());
}

#[tokio::test]
async fn other_versions_of_the_schema_are_told_apart() {
    let root = tempfile::tempdir().expect("tempdir");
    drop(open(root.path()));
    let schema = root.path().join("nix/var/nix/db/schema");
    let options = LocalStoreOptions { root: Some(root.path().to_owned()), ..LocalStoreOptions::default() };
    for (version, error) in [("9", "SchemaTooOld"), ("ten", "SchemaNotANumber")] {
        std::fs::write(&schema, version).expect("write");
        let failure = LocalStore::open(options.clone()).expect_err("not readable");
        assert!(format!("{failure:?}").contains(error), "{failure:?}");
    }
    // A newer one may still be read, and is not written.
    std::fs::write(&schema, "11").expect("write");
    let store = LocalStore::open(options).expect("readable");
    let sample = Sample::file("sample", "x", &[]);
    assert!(store.path_info(sample.path()).await.expect("query").is_none());
    let failure = sample.stage(&store).await.expect_err("not writable");
    assert!(format!("{failure:?}").contains("SchemaTooNew"), "{failure:?}");
}

#[tokio::test]
async fn realisations_are_found_in_either_form() {
    let root = tempfile::tempdir().expect("tempdir");
    let store = open(root.path());
    let output = insert(root.path(), "output", "hash", &format!("'sha256:{HEX}'"));
    let id = format!("sha256:{HEX}!out").parse().expect("an id");
    assert!(store.realisation(&id).await.expect("query").is_none(), "no such table");
    let derivation = store_path("x.drv", "x.drv");
    let key = BuildTraceKey::new(derivation.clone(), "out").expect("a name");
    assert!(store.build_trace_entry(&key).await.expect("query").is_none());

    database(root.path())
        .execute_batch(&format!(
            "create table Realisations (id integer primary key, drvPath text, outputName text, outputPath integer, \
               signatures text);
             create table RealisationsRefs (referrer integer, realisationReference integer);
             create table BuildTraceV3 (id integer primary key, drvPath text, outputName text, outputPath text, \
               signatures text);
             insert into Realisations select 1, 'sha256:{HEX}', 'out', id, 'k:b k:a' from ValidPaths;
             insert into Realisations select 2, 'sha256:{HEX}', 'dev', id, null from ValidPaths;
             insert into RealisationsRefs values (1, 2);
             insert into BuildTraceV3 values (1, '{derivation}', 'out', '/nix/store/{output}', 'k:a');"
        ))
        .expect("created");
    let realisation = store.realisation(&id).await.expect("query").expect("known");
    assert_eq!(realisation.out_path, output);
    assert_eq!(realisation.signatures.len(), 2);
    let dependencies: Vec<_> = realisation.dependent_realisations.into_iter().collect();
    assert_eq!(dependencies, [(format!("sha256:{HEX}!dev").parse().expect("an id"), output.clone())]);
    let entry = store.build_trace_entry(&key).await.expect("query").expect("known");
    assert_eq!((entry.out_path, entry.signatures.len()), (output, 1));
}

#[tokio::test]
async fn thousands_of_paths_are_asked_about_at_once() {
    let root = tempfile::tempdir().expect("tempdir");
    let store = open(root.path());
    let mut writer = database(root.path());
    let transaction = writer.transaction().expect("begins");
    let name = |number: usize| store_path(&format!("{number}"), &format!("{number}.drv"));
    let output = |number: usize| store_path(&format!("out-{number}"), "out");
    for number in 0..9000 {
        let row = i64::try_from(number).expect("small") + 1;
        let (path, output) =
            (format!("/nix/store/{}", name(number)), format!("/nix/store/{}", output(number)));
        transaction
            .execute(
                "insert into ValidPaths (id, path, hash, registrationTime) values (?1, ?2, ?3, 1)",
                (row, &path, format!("sha256:{HEX}")),
            )
            .expect("inserted");
        // Each refers to the first.
        transaction.execute("insert into Refs values (?1, 1)", [row]).expect("inserted");
        transaction
            .execute("insert into DerivationOutputs values (?1, 'out', ?2)", (row, output))
            .expect("inserted");
    }
    transaction.commit().expect("committed");

    let derivations: Vec<StorePath> = (0..9001).map(name).collect();
    let outputs: Vec<StorePath> = (0..9001).map(output).collect();
    let referrers = store.referrers_of(&derivations).await.expect("query");
    assert_eq!(referrers.keys().collect::<Vec<_>>(), [&name(0)], "nobody refers to the others");
    assert_eq!(referrers[&name(0)].len(), 9000);
    let derivers = store.valid_derivers_of(&outputs).await.expect("query");
    assert_eq!(derivers.len(), 9000);
    let found = store.derivation_outputs_of(&derivations).await.expect("query");
    assert_eq!(found.len(), 9000);
    for number in [0, 4095, 4096, 8999] {
        assert_eq!(derivers[&output(number)], [name(number)].into());
        assert_eq!(found[&name(number)]["out"], output(number));
    }
}

const CHILD_ROOT: &str = "NARS3_TEST_UNPRIVILEGED_ROOT";

/// Runs only in the child, as a user who may not write.
#[tokio::test]
async fn child_that_may_not_write() {
    let Some(root) = std::env::var_os(CHILD_ROOT) else { return };
    let warnings = Arc::new(Warnings::default());
    let store = LocalStore::open(LocalStoreOptions {
        root: Some(root.into()),
        progress: Arc::clone(&warnings) as Arc<_>,
        ..LocalStoreOptions::default()
    })
    .expect("readable");
    let sample = Sample::file("sample", "contents", &[]);
    let info = store.path_info(sample.path()).await.expect("query").expect("valid");
    assert_eq!(support::nar_of(&store, &info).await.expect("NAR"), sample.nar);
    let told = warnings.all();
    assert!(told.len() == 1 && told.iter().all(|text| text.contains("cannot be locked")), "{told:?}");
    let other = Sample::file("other", "other", &[]);
    let failure = other.stage(&store).await.expect_err("not writable");
    assert!(matches!(failure, StoreError::File { .. } | StoreError::Backend { .. }), "{failure:?}");
}

#[tokio::test]
async fn without_permission_to_write_the_store_is_read_and_a_warning_says_how() {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;
    let root = tempfile::tempdir().expect("tempdir");
    let store = open(root.path());
    add(&store, &[&Sample::file("sample", "contents", &[])]).await.expect("published");
    drop(store);
    let program = std::env::current_exe().expect("this program");
    let mut child = Command::new(&program);
    child.args(["--exact", "child_that_may_not_write"]).env(CHILD_ROOT, root.path()).current_dir("/");
    let copy = tempfile::tempdir().expect("tempdir");
    if rustix::process::geteuid().is_root() {
        // Nobody may write, but must get at the store, and at the program.
        std::fs::set_permissions(root.path(), PermissionsExt::from_mode(0o755)).expect("chmod");
        std::fs::set_permissions(copy.path(), PermissionsExt::from_mode(0o755)).expect("chmod");
        std::fs::copy(&program, copy.path().join("test")).expect("copied");
        child = Command::new(copy.path().join("test"));
        child.args(["--exact", "child_that_may_not_write"]).env(CHILD_ROOT, root.path()).current_dir("/");
        child.uid(65_534).gid(65_534);
    } else {
        for directory in ["nix/var/nix/db", "nix/var/nix", "nix/store"] {
            std::fs::set_permissions(root.path().join(directory), PermissionsExt::from_mode(0o555))
                .expect("chmod");
        }
    }
    let output = child.output().expect("the child runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}
