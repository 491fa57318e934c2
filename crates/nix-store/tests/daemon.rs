//! The store behind a real nix-daemon, as root and as somebody whom it does not trust.

#![allow(clippy::expect_used, clippy::panic, clippy::print_stderr, reason = "tests say what they expect")]

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use futures::TryStreamExt;
use nars3_nix_store::{AutoStore, DaemonStore, DaemonStoreOptions, LocalStoreOptions};
use nars3_store_api::{NarOrder, NarStream, StageOptions, Store, StoreError};
use nars3_store_path::{Algorithm, Hash, SecretKey, StoreDir};
use support::daemon::{Daemon, add, bytes, message};
use support::nix::{self, Nix, succeed};
use support::{Sample, store_path, stream_of};

#[tokio::test(flavor = "multi_thread")]
async fn a_trusted_client_reads_and_writes() {
    if !nix::available("a_trusted_client_reads_and_writes") {
        return;
    }
    let nix = Nix::new();
    let own = nix.own_store();
    let daemon = Daemon::start(&own);
    let store = daemon.open(false);
    assert!(store.daemon_version().is_some_and(|version| version.starts_with("2.")), "{store:?}");
    assert!(matches!(store.write_behaviour().nar_order, NarOrder::ReferencesFirst { except: 1.. }));

    let mut library = Sample::new("library", &[], |tree| {
        // Larger than one frame, and than the buffers of a socket.
        std::fs::write(tree.join("large"), "0123456789abcdef".repeat(1 << 17)).expect("write");
    });
    library.info.references.insert(library.info.path.clone());
    library.info.deriver = Some(store_path("x.drv", "x.drv"));
    let program = Sample::file("program", "program\n", &[library.path()]);

    let error = add(&store, &program).await.expect_err("its reference is missing");
    assert!(message(&error).contains("is not valid"), "{}", message(&error));
    add(&store, &library).await.expect("added");
    add(&store, &program).await.expect("added");

    let asked = [program.path().clone(), store_path("no", "no"), library.path().clone()];
    let infos = store.path_infos(&asked).await.expect("query");
    assert_eq!(infos.len(), 2);
    for sample in [&library, &program] {
        let info = &infos[sample.path()];
        assert_eq!(
            (info.nar_hash, info.nar_size, &info.references, &info.deriver),
            (sample.info.nar_hash, sample.info.nar_size, &sample.info.references, &sample.info.deriver)
        );
        let nar = bytes(store.nar(info).await.expect("NAR")).await.expect("whole");
        assert!(nar == sample.nar, "the NAR of {} differs", sample.path());
    }
    assert_eq!(
        store.valid_paths(&asked).await.expect("query"),
        [program.path().clone(), library.path().clone()]
    );
    let referrers = store.referrers(library.path()).await.expect("query");
    assert_eq!(referrers, [library.path().clone(), program.path().clone()].into());
    let listed: Vec<_> = store.list().try_collect().await.expect("list");
    assert_eq!(listed.len(), 2);
    let found = store.path_from_hash_part(&program.path().hash_part()).await.expect("query");
    assert_eq!(found.as_ref(), Some(program.path()));
    assert_eq!(store.path_from_hash_part(&asked[1].hash_part()).await.expect("query"), None);

    // What is held is not collected; what is not, is.
    succeed(own.command("nix-store").arg("--gc"));
    assert_eq!(store.valid_paths(&asked).await.expect("query").len(), 2);
    drop(store);
    // The daemon's processes end, and their roots with them, some time after we hang up.
    while own.store_dir().join(program.path().base_name()).exists() {
        succeed(own.command("nix-store").arg("--gc"));
    }
    succeed(own.command("nix-store").args(["--verify", "--check-contents"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_nar_is_noticed_before_the_daemon_has_it() {
    if !nix::available("a_wrong_nar_is_noticed_before_the_daemon_has_it") {
        return;
    }
    let nix = Nix::new();
    let own = nix.own_store();
    let daemon = Daemon::start(&own);
    let store = daemon.open(false);
    let sample = Sample::file("sample", "the true contents", &[]);
    let place = sample.nar.windows(4).position(|bytes| bytes == b"true").expect("in the NAR");
    let mut tampered = sample.nar.clone();
    tampered[place] = b'T';
    for _ in 0..3 {
        let error = store
            .stage(sample.info.clone(), stream_of(tampered.clone()), StageOptions::default())
            .await
            .expect_err("another hash");
        assert!(matches!(error, StoreError::NarHashMismatch { .. }), "{error:?}");
    }
    let (mut sender, stream) = NarStream::channel();
    let half = sample.nar[..64].to_vec();
    tokio::spawn(async move {
        sender.send(half.into()).await.expect("received");
    });
    let error =
        store.stage(sample.info.clone(), stream, StageOptions::default()).await.expect_err("half a NAR");
    assert!(matches!(error, StoreError::NarInterrupted), "{error:?}");
    assert!(store.path_info(sample.path()).await.expect("query").is_none());
    add(&store, &sample).await.expect("the true one");

    // Damaged in the store: the reader must not take it for whole.
    let file = own.store_dir().join(sample.path().base_name()).join("file");
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o644)).expect("chmod");
    std::fs::write(&file, "the same length..").expect("write");
    let stream = store.nar(&sample.info).await.expect("NAR");
    let error = bytes(stream).await.expect_err("damaged");
    assert!(matches!(error, StoreError::NarHashMismatch { .. }), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_wrong_nar_is_refused_by_the_daemon_and_the_refusal_is_understood() {
    if !nix::available("a_large_wrong_nar_is_refused_by_the_daemon_and_the_refusal_is_understood") {
        return;
    }
    let nix = Nix::new();
    let own = nix.own_store();
    let daemon = Daemon::start(&own);
    let store = daemon.open(false);
    assert!(store.write_behaviour().verifies_nars);
    let sample = Sample::file("large", &"0123456789abcdef".repeat(1 << 16), &[]);
    let mut tampered = sample.nar.clone();
    let middle = tampered.len() / 2;
    tampered[middle] = b'T';
    let truth = Hash::digest(Algorithm::Sha256, &tampered);
    let error = store
        .stage(sample.info.clone(), stream_of(tampered), StageOptions::default())
        .await
        .expect_err("another hash");
    let StoreError::NarHashMismatch { expected, actual, .. } = &error else { panic!("{error:?}") };
    assert_eq!((*expected, *actual), (sample.info.nar_hash, truth));
    assert!(store.path_info(sample.path()).await.expect("query").is_none());
    add(&store, &sample).await.expect("the true one");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_at_once() {
    if !nix::available("many_at_once") {
        return;
    }
    let nix = Nix::new();
    let own = nix.own_store();
    let daemon = Daemon::start(&own);
    let store = daemon.open(false);
    let samples: Vec<Sample> =
        (0..80).map(|number| Sample::file(&format!("path-{number}"), &number.to_string(), &[])).collect();
    let adding = samples.iter().cloned().map(|sample| {
        let store = Arc::clone(&store);
        tokio::spawn(async move { add(&store, &sample).await })
    });
    for added in futures::future::join_all(adding).await {
        added.expect("no panic").expect("added");
    }
    let paths: Vec<_> = samples.iter().map(|sample| sample.path().clone()).collect();
    assert_eq!(store.path_infos(&paths).await.expect("query").len(), samples.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn auto_reads_directly_and_writes_through_the_daemon() {
    if !nix::available("auto_reads_directly_and_writes_through_the_daemon") {
        return;
    }
    let nix = Nix::new();
    let own = nix.own_store();
    let daemon = Daemon::start(&own);
    let local = LocalStoreOptions {
        store_dir: daemon.options.store_dir.clone(),
        state_dir: Some(own.state_dir()),
        ..LocalStoreOptions::default()
    };
    let options = DaemonStoreOptions { check_signatures: false, ..daemon.options.clone() };
    let store = AutoStore::open(local.clone(), options.clone()).expect("both ways are open");
    assert!(store.reader().to_string().starts_with("local"), "{store:?}");
    assert!(store.writer().to_string().starts_with("unix"), "{store:?}");
    let sample = Sample::file("sample", "contents", &[]);
    let staged =
        store.stage(sample.info.clone(), sample.stream(), StageOptions::default()).await.expect("staged");
    store.publish(vec![staged]).await.expect("published");
    let info = store.path_info(sample.path()).await.expect("query").expect("valid");
    assert_eq!(bytes(store.nar(&info).await.expect("NAR")).await.expect("whole"), sample.nar);
    drop((store, daemon));

    // Without the daemon.
    let store = AutoStore::open(local.clone(), options.clone()).expect("one way is open");
    let other = Sample::file("other", "other", &[sample.path()]);
    let staged =
        store.stage(other.info.clone(), other.stream(), StageOptions::default()).await.expect("staged");
    store.publish(vec![staged]).await.expect("published");
    assert!(store.path_info(other.path()).await.expect("query").is_some());

    // Without either.
    let nowhere = tempfile::tempdir().expect("tempdir");
    let local = LocalStoreOptions { root: Some(nowhere.path().to_owned()), ..LocalStoreOptions::default() };
    let error = AutoStore::open(local, options).expect_err("no way is open");
    assert!(
        message(&error).contains("daemon") && message(&error).contains("database"),
        "{}",
        message(&error)
    );
    assert_eq!(std::fs::read_dir(nowhere.path()).expect("there").count(), 0, "nothing was created");
}

#[tokio::test]
async fn nobody_listens() {
    let directory = tempfile::tempdir().expect("tempdir");
    let options =
        DaemonStoreOptions { socket: directory.path().join("socket"), ..DaemonStoreOptions::default() };
    let error = DaemonStore::open(options).expect_err("nobody listens");
    assert!(matches!(error, StoreError::File { .. }), "{error:?}");
}

const CHILD_SOCKET: &str = "NARS3_TEST_DAEMON_SOCKET";
const CHILD_STORE_DIR: &str = "NARS3_TEST_DAEMON_STORE_DIR";

fn key() -> SecretKey {
    SecretKey::from_seed("test-1", [7; 32]).expect("a key")
}

/// Runs only in the child, as a user whom the daemon does not trust.
#[tokio::test(flavor = "multi_thread")]
async fn child_that_is_not_trusted() {
    let (Some(socket), Ok(store_dir)) = (std::env::var_os(CHILD_SOCKET), std::env::var(CHILD_STORE_DIR))
    else {
        return;
    };
    let store_dir = StoreDir::new(&store_dir).expect("a store directory");
    let store = DaemonStore::open(DaemonStoreOptions {
        socket: PathBuf::from(socket),
        store_dir: store_dir.clone(),
        // It may ask, but is not heard.
        check_signatures: false,
        connections: 1,
        ..DaemonStoreOptions::default()
    })
    .expect("it listens");
    let unsigned = Sample::file("unsigned", &"x".repeat(1 << 20), &[]);
    let error = add(&store, &unsigned).await.expect_err("nobody signed it");
    assert!(message(&error).contains("signature"), "{}", message(&error));
    // A small one goes with others, and keeps none of them out.
    let mut signed_too = Sample::file("signed-too", "y", &[]);
    signed_too.info.sign(&store_dir, &key()).expect("signed");
    let small_unsigned = Sample::file("small-unsigned", "x", &[]);
    let mut needs_it = Sample::file("needs-it", "z", &[small_unsigned.path()]);
    needs_it.info.sign(&store_dir, &key()).expect("signed");
    let mut batch = Vec::new();
    for sample in [&signed_too, &needs_it, &small_unsigned] {
        let options = StageOptions::default();
        batch.push(store.stage(sample.info.clone(), sample.stream(), options).await.expect("not sent yet"));
    }
    let error = store.publish(batch).await.expect_err("nobody signed one of them");
    assert!(message(&error).contains("signature"), "{}", message(&error));
    let StoreError::Refused { refused, .. } = error else { panic!("{error:?}") };
    let refused: Vec<_> = refused.iter().map(|(path, _)| path).collect();
    assert_eq!(refused, [small_unsigned.path(), needs_it.path()], "and not the others");
    assert!(store.path_info(signed_too.path()).await.expect("query").is_some());
    // The same connection goes on.
    let mut signed = Sample::file("signed", "x", &[]);
    signed.info.sign(&store_dir, &key()).expect("signed");
    add(&store, &signed).await.expect("added");
    let info = store.path_info(signed.path()).await.expect("query").expect("valid");
    assert_eq!(info.signatures, signed.info.signatures);
    assert_eq!(bytes(store.nar(&info).await.expect("NAR")).await.expect("whole"), signed.nar);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unprivileged_client_needs_signatures() {
    if !nix::available("an_unprivileged_client_needs_signatures") {
        return;
    }
    if !support::is_root("an_unprivileged_client_needs_signatures") {
        return;
    }
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;
    let nix = Nix::new();
    nix.configure(&format!("trusted-public-keys = {}\n", key().public_key()));
    let own = nix.own_store();
    let daemon = Daemon::start(&own);
    for directory in own.store_dir().ancestors().skip(1).take_while(|path| path.starts_with("/tmp/")) {
        let mode = std::fs::metadata(directory).expect("there").permissions().mode();
        std::fs::set_permissions(directory, PermissionsExt::from_mode(mode | 0o055)).expect("chmod");
    }
    let copy = tempfile::tempdir().expect("tempdir");
    std::fs::set_permissions(copy.path(), PermissionsExt::from_mode(0o755)).expect("chmod");
    let program = copy.path().join("test");
    std::fs::copy(std::env::current_exe().expect("this program"), &program).expect("copied");
    let output = Command::new(&program)
        .args(["--exact", "child_that_is_not_trusted"])
        .env(CHILD_SOCKET, &daemon.options.socket)
        .env(CHILD_STORE_DIR, daemon.options.store_dir.as_str())
        .current_dir(Path::new("/"))
        .uid(65_534)
        .gid(65_534)
        .output()
        .expect("the child runs");
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{told}");
    assert!(own.store_dir().join(Sample::file("signed", "x", &[]).path().base_name()).exists(), "{told}");

    // Root is trusted, but asks for the check.
    let store = daemon.open(true);
    let unsigned = Sample::file("unsigned", "y", &[]);
    let error = add(&store, &unsigned).await.expect_err("nobody signed it");
    assert!(message(&error).contains("signature"), "{}", message(&error));
}
