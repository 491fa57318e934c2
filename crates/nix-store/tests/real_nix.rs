//! The same stores, in the hands of real Nix: it reads and verifies what was written here, and the other way round.

#![allow(clippy::expect_used, clippy::panic, clippy::print_stderr, reason = "tests say what they expect")]

mod support;

use std::collections::BTreeSet;
use std::os::unix::fs::symlink;
use std::path::Path;

use futures::TryStreamExt;
use nars3_nix_store::{LocalStore, LocalStoreOptions};
use nars3_store_api::Store;
use nars3_store_path::{StoreDir, StorePath};
use support::nix::{self, Nix, succeed};
use support::{Sample, add, entries, nar_of, open};

/// A closure of three with a self-reference, and a path that nobody refers to.
fn closure() -> [Sample; 4] {
    let mut library = Sample::new("library", &[], |tree| {
        std::fs::create_dir_all(tree.join("lib/empty")).expect("mkdir");
        std::fs::write(tree.join("lib/odd name"), "library\n").expect("write");
        symlink("odd name", tree.join("lib/link")).expect("symlink");
    });
    library.info.references.insert(library.info.path.clone());
    let tool = Sample::file("tool", "tool\n", &[library.path()]);
    let program = Sample::file("program", "program\n", &[tool.path(), library.path()]);
    [library, tool, program, Sample::file("alone", "alone\n", &[])]
}

fn full(path: &StorePath) -> String {
    StoreDir::default().print(path)
}

fn lines(text: &str) -> BTreeSet<String> {
    text.lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn nix_verifies_queries_and_extends_what_we_wrote() {
    if !nix::available("nix_verifies_queries_and_extends_what_we_wrote") {
        return;
    }
    let (nix, root) = (Nix::new(), tempfile::tempdir().expect("tempdir"));
    let [library, tool, program, alone] = closure();
    let store = open(root.path());
    add(&store, &[&program, &alone, &tool, &library]).await.expect("published");
    drop(store);

    nix.verify(root.path());
    let requisites = nix.store(root.path(), &["-q", "--requisites", &full(program.path())]);
    assert_eq!(lines(&requisites), [&library, &tool, &program].map(|sample| full(sample.path())).into());
    let referrers = nix.store(root.path(), &["-q", "--referrers", &full(library.path())]);
    assert_eq!(lines(&referrers).len(), 3);
    let hash = nix.store(root.path(), &["-q", "--hash", &full(program.path())]);
    assert_eq!(hash.trim(), program.info.nar_hash.to_nix32());

    let extra = root.path().join("extra");
    std::fs::write(&extra, "added by Nix\n").expect("write");
    let added = nix.store(root.path(), &["--add", extra.to_str().expect("UTF-8")]);
    let added = StoreDir::default().parse(added.trim()).expect("a store path");
    let store = open(root.path());
    let info = store.path_info(&added).await.expect("query").expect("valid");
    assert!(info.ca.is_some());
    assert_eq!(nar_of(&store, &info).await.expect("NAR").len() as u64, info.nar_size);
}

#[tokio::test]
async fn the_schema_is_that_of_nix() {
    if !nix::available("the_schema_is_that_of_nix") {
        return;
    }
    let (nix, theirs, ours) =
        (Nix::new(), tempfile::tempdir().expect("tempdir"), tempfile::tempdir().expect("tempdir"));
    nix.store(theirs.path(), &["--verify"]);
    drop(open(ours.path()));
    let columns = |root: &Path| -> Vec<String> {
        let database = rusqlite::Connection::open(root.join("nix/var/nix/db/db.sqlite")).expect("opens");
        let mut statement = database
            .prepare(
                "select m.type || ' ' || m.name || ' ' || m.tbl_name || ' ' || coalesce(c.name || ' ' || c.type || ' ' \
                 || c.\"notnull\" || ' ' || c.pk, '') from sqlite_master m left join pragma_table_info(m.name) c \
                 union all select 'key ' || m.name || ' ' || f.\"from\" || ' ' || f.\"to\" || ' ' || f.on_delete \
                 from sqlite_master m join pragma_foreign_key_list(m.name) f order by 1",
            )
            .expect("prepares");
        let rows = statement.query_map([], |row| row.get(0)).expect("queries");
        rows.collect::<Result<_, _>>().expect("text")
    };
    assert_eq!(columns(ours.path()), columns(theirs.path()));

    // Every file and directory that both have, has the same mode. (Nix makes more, for its user.)
    use std::os::unix::fs::PermissionsExt;
    for name in [
        "",
        "nix",
        "nix/store",
        "nix/store/.links",
        "nix/var",
        "nix/var/nix",
        "nix/var/nix/db",
        "nix/var/nix/db/big-lock",
        "nix/var/nix/db/db.sqlite",
        "nix/var/nix/db/reserved",
        "nix/var/nix/db/schema",
        "nix/var/nix/gc.lock",
        "nix/var/nix/gcroots",
        "nix/var/nix/gcroots/per-user",
        "nix/var/nix/profiles",
        "nix/var/nix/profiles/per-user",
        "nix/var/nix/temproots",
    ] {
        if name.is_empty() {
            continue;
        }
        let [mine, its] = [&ours, &theirs].map(|root| {
            let path = root.path().join(name);
            let metadata =
                std::fs::metadata(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            (metadata.permissions().mode(), if metadata.is_file() { metadata.len() } else { 0 })
        });
        assert_eq!(mine.0, its.0, "{name}: {:o} and {:o}", mine.0, its.0);
        assert!(mine.1 == its.1 || name.ends_with("db.sqlite"), "{name}: {} and {} bytes", mine.1, its.1);
    }
    let link = std::fs::read_link(ours.path().join("nix/var/nix/gcroots/profiles")).expect("a link");
    assert_eq!(link, ours.path().join("nix/var/nix/profiles"));
}

/// Two derivations, one with two outputs and a self-reference, the other referring to it.
const EXPRESSION: &str = r##"
let
  run = name: script: extra: derivation ({
    inherit name;
    system = builtins.currentSystem;
    builder = "/bin/sh";
    args = [ "-c" script ];
    PATH = "/usr/bin:/bin";
  } // extra);
  library = run "library" ''
    mkdir -p $out/lib/empty $dev
    echo "$out" > $out/lib/self; echo "#!/bin/sh" > $out/run; chmod +x $out/run
    ln -s lib/self "$out/a link"; echo "$out" > $dev/name
  '' { outputs = [ "out" "dev" ]; };
in run "program" ''mkdir $out; echo "${library.dev}" > $out/uses; seq 100000 > $out/numbers'' { }
"##;

#[tokio::test]
async fn we_read_what_nix_built() {
    if !nix::available("we_read_what_nix_built") {
        return;
    }
    let nix = Nix::new();
    let own = nix.own_store();
    let program =
        succeed(own.command("nix-build").args(["--no-out-link", "--expr", EXPRESSION])).trim().to_owned();
    let key = own.store_dir().with_file_name("key");
    let secret = succeed(own.command("nix").args(["key", "generate-secret", "--key-name", "test-1"]));
    std::fs::write(&key, secret).expect("write");
    succeed(own.command("nix").args(["store", "sign", "-r", "-k"]).arg(&key).arg(&program));

    let store_dir = StoreDir::new(own.store_dir().to_str().expect("UTF-8")).expect("a store directory");
    let store = LocalStore::open(LocalStoreOptions {
        store_dir: store_dir.clone(),
        state_dir: Some(own.state_dir()),
        read_only: true,
        ..LocalStoreOptions::default()
    })
    .expect("opens");
    let parse = |text: &str| store_dir.parse(text).expect("a store path");

    let json = succeed(own.command("nix").args(["path-info", "--json", "-r", &program]));
    let expected: Vec<serde_json::Value> = serde_json::from_str(&json).expect("JSON");
    assert!(expected.len() >= 3, "{json}");
    let closure = store.closure(&[parse(&program)]).await.expect("query");
    assert_eq!(closure.len(), expected.len());
    let infos = store.path_infos(&closure.into_iter().collect::<Vec<_>>()).await.expect("query");
    for value in &expected {
        let text = |key: &str| value[key].as_str().unwrap_or_else(|| panic!("{key} in {value}"));
        let list = |key: &str| -> BTreeSet<String> {
            value[key]
                .as_array()
                .into_iter()
                .flatten()
                .map(|item| item.as_str().expect("text").to_owned())
                .collect()
        };
        let info = &infos[&parse(text("path"))];
        assert_eq!(info.nar_hash.to_sri(), text("narHash"));
        assert_eq!(Some(info.nar_size), value["narSize"].as_u64());
        assert_eq!(info.registration_time, value["registrationTime"].as_i64());
        assert_eq!(info.ultimate, value["ultimate"].as_bool().unwrap_or(false));
        assert_eq!(info.deriver, value["deriver"].as_str().map(parse));
        let references: BTreeSet<_> = info.references.iter().map(|path| store_dir.print(path)).collect();
        assert_eq!(references, list("references"));
        let signatures: BTreeSet<_> = info.signatures.iter().map(ToString::to_string).collect();
        assert_eq!(signatures, list("signatures"));
        assert_eq!(signatures.len(), 1);

        let dumped = own.command("nix-store").args(["--dump", text("path")]).output().expect("runs").stdout;
        assert!(nar_of(&store, info).await.expect("NAR") == dumped, "the NAR of {} differs", info.path);
    }

    let deriver = infos[&parse(&program)].deriver.clone().expect("built here");
    let outputs = store.derivation_outputs(&deriver).await.expect("query");
    assert_eq!(outputs.into_iter().collect::<Vec<_>>(), [("out".to_owned(), parse(&program))]);
    let derivers = store.valid_derivers(&parse(&program)).await.expect("query");
    assert_eq!(derivers, [deriver.clone()].into());
    let referrers = succeed(own.command("nix-store").args(["-q", "--referrers", &store_dir.print(&deriver)]));
    let found = store.referrers(&deriver).await.expect("query");
    assert_eq!(found.iter().map(|path| store_dir.print(path)).collect::<BTreeSet<_>>(), lines(&referrers));

    // A copy of the whole store, derivations and all, to a chroot store that Nix accepts.
    let copy = tempfile::tempdir().expect("tempdir");
    let destination = LocalStore::open(LocalStoreOptions {
        root: Some(copy.path().to_owned()),
        store_dir: store_dir.clone(),
        ..LocalStoreOptions::default()
    })
    .expect("opens");
    let hash_parts: Vec<_> = store.list().try_collect().await.expect("list");
    let mut batch = Vec::new();
    for hash_part in hash_parts {
        let path = store.path_from_hash_part(&hash_part).await.expect("query").expect("valid");
        let info = store.path_info(&path).await.expect("query").expect("valid");
        let nar = store.nar(&info).await.expect("NAR");
        batch.push(destination.stage((*info).clone(), nar, Default::default()).await.expect("staged"));
    }
    destination.publish(batch).await.expect("published");
    let outputs = destination.derivation_outputs(&deriver).await.expect("query");
    assert_eq!(outputs.get("out"), Some(&parse(&program)));
    drop(destination);
    let address = format!("local?root={}&store={store_dir}", copy.path().display());
    succeed(nix.command("nix-store").args(["--store", &address, "--verify", "--check-contents"]));
}

#[tokio::test]
async fn a_collector_spares_what_we_hold_and_takes_the_rest() {
    if !nix::available("a_collector_spares_what_we_hold_and_takes_the_rest") {
        return;
    }
    let (nix, root) = (Nix::new(), tempfile::tempdir().expect("tempdir"));
    let [library, tool, program, alone] = closure();
    let store = open(root.path());
    add(&store, &[&program, &alone, &tool, &library]).await.expect("published");
    let late = Sample::file("late", "late\n", &[alone.path()]);
    let staged = late.stage(&store).await.expect("staged");
    // While the store is open, everything that it wrote is rooted, and so is what it has not published yet.
    nix.store(root.path(), &["--gc"]);
    store.publish(vec![staged]).await.expect("published");
    drop(store);
    nix.verify(root.path());
    assert_eq!(entries(root.path()).len(), 5);

    // Reading roots as well.
    let store = open(root.path());
    assert!(store.path_info(late.path()).await.expect("query").is_some());
    nix.store(root.path(), &["--gc"]);
    let info = store.path_info(late.path()).await.expect("query").expect("still valid");
    assert_eq!(nar_of(&store, &info).await.expect("NAR"), late.nar);
    assert!(store.path_info(program.path()).await.expect("query").is_none(), "nobody held this one");
    drop(store);

    nix.store(root.path(), &["--gc"]);
    assert_eq!(entries(root.path()), Vec::<String>::new());
    nix.verify(root.path());
}

#[tokio::test]
async fn nix_accepts_shared_files() {
    if !nix::available("nix_accepts_shared_files") {
        return;
    }
    let (nix, root) = (Nix::new(), tempfile::tempdir().expect("tempdir"));
    let store = LocalStore::open(LocalStoreOptions {
        root: Some(root.path().to_owned()),
        optimise: true,
        ..LocalStoreOptions::default()
    })
    .expect("opens");
    let [library, tool, program, alone] = closure();
    let twin = Sample::file("twin", "alone\n", &[]);
    add(&store, &[&program, &alone, &tool, &library, &twin]).await.expect("published");
    drop(store);
    nix.verify(root.path());
    let links = || std::fs::read_dir(root.path().join("nix/store/.links")).expect("there").count();
    let before = links();
    nix.store(root.path(), &["--optimise"]);
    assert_eq!(links(), before, "Nix finds nothing left to share, and the same names");
    nix.verify(root.path());
}

#[tokio::test(flavor = "multi_thread")]
async fn nix_and_we_write_into_one_store_at_once() {
    if !nix::available("nix_and_we_write_into_one_store_at_once") {
        return;
    }
    let (nix, from, to) =
        (Nix::new(), tempfile::tempdir().expect("tempdir"), tempfile::tempdir().expect("tempdir"));
    let samples: Vec<Sample> =
        (0..40).map(|number| Sample::file(&format!("path-{number}"), &number.to_string(), &[])).collect();
    let source = open(from.path());
    add(&source, &samples.iter().collect::<Vec<_>>()).await.expect("published");
    drop(source);

    let address = |root: &Path| format!("local?root={}", root.display());
    // One command for each path: Nix 2.8 stumbles when one of many becomes valid under its hands.
    let mut commands: Vec<_> = samples
        .iter()
        .map(|sample| {
            let mut command = nix.command("nix");
            command
                .args([
                    "copy",
                    "--no-check-sigs",
                    "--from",
                    &address(from.path()),
                    "--to",
                    &address(to.path()),
                ])
                .arg(full(sample.path()));
            command
        })
        .collect();
    let copies = std::thread::spawn(move || commands.iter_mut().map(succeed).count());
    let store = open(to.path());
    for batch in samples.chunks(3) {
        let batch: Vec<&Sample> = batch.iter().collect();
        add(&store, &batch).await.expect("published");
        // What is valid is whole, whoever wrote it.
        let infos = store
            .path_infos(&samples.iter().map(|sample| sample.path().clone()).collect::<Vec<_>>())
            .await
            .expect("query");
        for sample in samples.iter().filter(|sample| infos.contains_key(sample.path())) {
            assert_eq!(nar_of(&store, &infos[sample.path()]).await.expect("NAR"), sample.nar);
        }
    }
    assert_eq!(copies.join().expect("no copy of Nix's failed"), samples.len());
    drop(store);
    nix.verify(to.path());
    assert_eq!(entries(to.path()).len(), samples.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn collectors_run_while_we_write() {
    if !nix::available("collectors_run_while_we_write") {
        return;
    }
    let (nix, root) = (Nix::new(), tempfile::tempdir().expect("tempdir"));
    let store = open(root.path());
    let garbage: Vec<Sample> =
        (0..50).map(|number| Sample::file(&format!("garbage-{number}"), "x", &[])).collect();
    {
        // Another process's leavings: valid, and held by nobody.
        let other = tempfile::tempdir().expect("tempdir");
        let source = open(other.path());
        add(&source, &garbage.iter().collect::<Vec<_>>()).await.expect("published");
        drop(source);
        let (from, to) = (
            format!("local?root={}", other.path().display()),
            format!("local?root={}", root.path().display()),
        );
        succeed(nix.command("nix").args(["copy", "--all", "--no-check-sigs", "--from", &from, "--to", &to]));
    }
    let collect = {
        let mut command = nix.command("nix-store");
        command.arg("--store").arg(root.path()).arg("--gc");
        std::thread::spawn(move || {
            (0..6).all(|_| command.output().is_ok_and(|output| output.status.success()))
        })
    };
    let mut samples: Vec<Sample> = Vec::new();
    for number in 0..60 {
        // Some refer to what the collector is about to delete.
        let target = &garbage[number % garbage.len()];
        let references: Vec<&StorePath> = if number % 3 == 0 { vec![target.path()] } else { Vec::new() };
        let sample = Sample::file(&format!("path-{number}"), &number.to_string(), &references);
        match add(&store, &[&sample]).await {
            Ok(()) => samples.push(sample),
            Err(nars3_store_api::StoreError::MissingReference { reference, .. }) => {
                assert_eq!(&reference, target.path(), "only what the collector took can be missing");
            }
            Err(other) => panic!("{other:?}"),
        }
    }
    assert!(collect.join().expect("no panic"), "a collection failed");
    for sample in &samples {
        let info = store.path_info(sample.path()).await.expect("query").expect("spared");
        assert_eq!(nar_of(&store, &info).await.expect("NAR"), sample.nar);
    }
    drop(store);
    nix.verify(root.path());
}
