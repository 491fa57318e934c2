//! What a real nix-daemon answers beyond path infos and NARs, compared with what Nix itself says.

#![allow(clippy::expect_used, clippy::panic, clippy::print_stderr, reason = "tests say what they expect")]

mod support;

use std::collections::BTreeSet;

use nars3_nix_store::{LocalStore, LocalStoreOptions};
use nars3_store_api::{NarStream, StageOptions, Store, StoreError};
use nars3_store_path::{BuildTraceEntry, BuildTraceKey, DrvOutput, StorePath};
use support::daemon::{Daemon, add, message};
use support::nix::{self, Nix, succeed};
use support::{Sample, store_path};

/// A derivation whose output's path depends on its contents, and one that uses it. Both say something.
const EXPRESSION: &str = r#"
let
  run = name: script: extra: derivation ({
    inherit name;
    system = builtins.currentSystem;
    builder = "/bin/sh";
    args = [ "-c" script ];
    PATH = "/usr/bin:/bin";
  } // extra);
  library = run "library" "echo building; echo contents > $out" {
    __contentAddressed = true;
    outputHashMode = "recursive";
    outputHashAlgo = "sha256";
  };
in run "program" "echo ${library} > $out; echo said" { }
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_knows_realisations_logs_and_closures() {
    if !nix::available("a_daemon_knows_realisations_logs_and_closures") {
        return;
    }
    let nix = Nix::new();
    nix.configure("extra-experimental-features = ca-derivations\n");
    let own = nix.own_store();
    let daemon = Daemon::start(&own);
    let program =
        succeed(own.command("nix-build").args(["--no-out-link", "--expr", EXPRESSION])).trim().to_owned();
    let store = daemon.open(false);
    let store_dir = &daemon.options.store_dir;
    let parse = |text: &str| store_dir.parse(text.trim()).expect("a store path");
    let program = parse(&program);

    let closure = store.closure(std::slice::from_ref(&program)).await.expect("query");
    let text = succeed(own.command("nix-store").args(["-q", "--requisites", &store_dir.print(&program)]));
    assert_eq!(closure, text.lines().map(parse).collect::<BTreeSet<StorePath>>());
    assert_eq!(closure.len(), 2);

    // The output of the content-addressed derivation, as Nix's own database has it.
    let direct = LocalStore::open(LocalStoreOptions {
        store_dir: store_dir.clone(),
        state_dir: Some(own.state_dir()),
        read_only: true,
        ..LocalStoreOptions::default()
    })
    .expect("opens");
    let database = rusqlite::Connection::open(own.state_dir().join("db/db.sqlite")).expect("opens");
    let ids: Vec<DrvOutput> = database
        .prepare("select drvPath || '!' || outputName from Realisations")
        .expect("prepares")
        .query_map([], |row| row.get::<_, String>(0))
        .expect("queries")
        .map(|id| id.expect("text").parse().expect("an id"))
        .collect();
    let known = direct.realisations(&ids).await.expect("query");
    assert!(!ids.is_empty() && known.len() == ids.len(), "{ids:?}");
    let mut outputs = BTreeSet::new();
    for id in &ids {
        let found = store.realisation(id).await.expect("query").expect("known");
        assert_eq!(Some(&found), known.get(id));
        store.register_realisation(&found).await.expect("what it knows already");
        outputs.insert(found.out_path);
    }
    assert!(outputs.iter().any(|path| closure.contains(path)), "{outputs:?}");
    let nowhere = format!("sha256:{}!out", "0".repeat(64)).parse().expect("well-formed");
    assert!(store.realisation(&nowhere).await.expect("query").is_none());
    // This daemon knows nothing of the newer form.
    let key = BuildTraceKey::new(store_path("x.drv", "x.drv"), "out").expect("a name");
    assert!(store.build_trace_entry(&key).await.expect("not asked").is_none());
    let entry = BuildTraceEntry::new(key, program.clone());
    let error = store.register_build_trace_entry(&entry).await.expect_err("not known");
    assert!(message(&error).contains("realisations"), "{}", message(&error));

    // The log of a build, and one that is added.
    let deriver = store.path_info(&program).await.expect("query").expect("valid").deriver.clone();
    let deriver = deriver.expect("built here");
    let log = store.build_log(&deriver).await.expect("read").expect("there is one");
    assert!(log.is_bzip2, "{log:?}");
    assert!(std::io::read_to_string(log.into_reader()).is_ok());
    let other = store_path("other.drv", "other.drv");
    assert!(store.build_log(&other).await.expect("read").is_none());
    let said = NarStream::from_blocking(|writer| {
        std::io::Write::write_all(writer, &b"said elsewhere\n".repeat(20_000))
            .map_err(|_| StoreError::NarInterrupted)
    });
    store.add_build_log(&other, said).await.expect("it trusts root");
    assert!(store.build_log(&other).await.expect("read").is_some());
    let said = succeed(own.command("nix-store").args(["--read-log", &store_dir.print(&other)]));
    assert_eq!(said.lines().count(), 20_000);
    assert!(said.starts_with("said elsewhere\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_says_what_is_missing() {
    if !nix::available("a_daemon_says_what_is_missing") {
        return;
    }
    let nix = Nix::new();
    let own = nix.own_store();
    let daemon = Daemon::start(&own);
    let store = daemon.open(false);
    let there = Sample::file("there", "x", &[]);
    add(&store, &there).await.expect("added");
    let absent = store_path("absent", "absent");
    let missing = store.missing(&[there.path().clone(), absent.clone()]).await.expect("query");
    assert_eq!(missing.unknown, [absent.clone()].into());
    assert!(missing.will_build.is_empty() && missing.will_substitute.is_empty(), "{missing:?}");
    let valid = store.substitute(&[absent, there.path().clone()]).await.expect("query");
    assert_eq!(valid, [there.path().clone()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn small_paths_go_together_and_large_ones_wait_for_them() {
    if !nix::available("small_paths_go_together_and_large_ones_wait_for_them") {
        return;
    }
    let nix = Nix::new();
    let own = nix.own_store();
    let daemon = Daemon::start(&own);
    let store = daemon.open(false);
    let small: Vec<Sample> = (0..30)
        .scan(None::<StorePath>, |last, number| {
            let references: Vec<&StorePath> = last.iter().collect();
            let sample = Sample::file(&format!("small-{number}"), &number.to_string(), &references);
            *last = Some(sample.path().clone());
            Some(sample)
        })
        .collect();
    let last = small.last().expect("thirty").path();
    let large = Sample::file("large", &"x".repeat(1 << 20), &[last]);

    // Referrers first: the batch is put in order.
    let mut batch = Vec::new();
    for sample in small.iter().rev() {
        let staged = store.stage(sample.info.clone(), sample.stream(), StageOptions::default()).await;
        batch.push(staged.expect("kept"));
    }
    assert!(store.path_info(last).await.expect("query").is_none(), "nothing has been sent");
    let sending = tokio::spawn({
        let (store, large) = (std::sync::Arc::clone(&store), large.clone());
        async move { add(&store, &large).await }
    });
    store.publish(batch).await.expect("sent");
    sending.await.expect("no panic").expect("its reference is valid by then");
    let all: Vec<StorePath> = small.iter().chain([&large]).map(|sample| sample.path().clone()).collect();
    assert_eq!(store.valid_paths(&all).await.expect("query").len(), all.len());

    // One of many is there already: Nix 2.8 stumbles over it, and then each goes by itself.
    let more: Vec<Sample> =
        (0..5).map(|number| Sample::file(&format!("more-{number}"), &number.to_string(), &[])).collect();
    let mut batch = Vec::new();
    for sample in more.iter().chain(&small[..1]) {
        let staged = store.stage(sample.info.clone(), sample.stream(), StageOptions::default()).await;
        batch.push(staged.expect("kept"));
    }
    add(&store, &more[2]).await.expect("somebody else was faster");
    store.publish(batch).await.expect("sent");
    let all: Vec<StorePath> = more.iter().map(|sample| sample.path().clone()).collect();
    assert_eq!(store.valid_paths(&all).await.expect("query").len(), all.len());
    succeed(own.command("nix-store").args(["--verify", "--check-contents"]));
}
