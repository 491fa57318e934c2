//! Stores that are mounted read-only. The mounts are real ones, in a namespace of their own, which needs root.

#![allow(clippy::expect_used, clippy::panic, clippy::print_stderr, reason = "tests say what they expect")]

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use nars3_nix_store::{LocalStore, LocalStoreOptions, make_store_writable};
use nars3_store_api::Store;
use support::{Sample, Warnings, add, nar_of, open};

const READ_ROOT: &str = "NARS3_TEST_MOUNTED_ROOT";
const WRITE_ROOT: &str = "NARS3_TEST_REMOUNTED_ROOT";

/// Runs `script`, with `root` as `$1`, and then the test `child` of this program, in a mount namespace of its own.
/// False, said loudly, where that cannot be done.
fn run_child(test: &str, script: &str, root: &Path, child: &str, variable: &str) -> bool {
    let can = rustix::process::geteuid().is_root()
        && Command::new("unshare").args(["--mount", "true"]).status().is_ok_and(|status| status.success());
    if !can {
        support::skip("root", test);
        return false;
    }
    let script = format!("{script}\n\"$2\" --exact {child} --nocapture");
    let output = Command::new("unshare")
        .args(["--mount", "--propagation", "private", "sh", "-e", "-u", "-c", &script, "sh"])
        .arg(root)
        .arg(std::env::current_exe().expect("this program"))
        .env(variable, root)
        .output()
        .expect("unshare runs");
    let told = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&told));
    true
}

fn sample() -> Sample {
    Sample::file("sample", "contents", &[])
}

#[tokio::test]
async fn a_store_on_a_read_only_mount_is_read() {
    let root = tempfile::tempdir().expect("tempdir");
    let store = open(root.path());
    add(&store, &[&sample()]).await.expect("published");
    drop(store);
    let script = "mount --bind \"$1\" \"$1\"; mount -o remount,bind,ro \"$1\"; ! touch \"$1/x\" 2>/dev/null";
    let test = "a_store_on_a_read_only_mount_is_read";
    run_child(test, script, root.path(), "child_on_a_read_only_mount", READ_ROOT);
}

/// Runs only in the child.
#[tokio::test]
async fn child_on_a_read_only_mount() {
    let Some(root) = std::env::var_os(READ_ROOT) else { return };
    let warnings = Arc::new(Warnings::default());
    let store = LocalStore::open(LocalStoreOptions {
        root: Some(root.clone().into()),
        progress: Arc::clone(&warnings) as Arc<_>,
        ..LocalStoreOptions::default()
    })
    .expect("readable");
    let sample = sample();
    let info = store.path_info(sample.path()).await.expect("query").expect("valid");
    assert_eq!(nar_of(&store, &info).await.expect("NAR"), sample.nar);
    let told = warnings.all();
    assert!(told.len() == 1 && told[0].contains("cannot be locked"), "{told:?}");
    let other = Sample::file("other", "other", &[]);
    let failure = other.stage(&store).await.expect_err("not writable");
    assert!(format!("{failure:?}").contains("ReadOnlyMount"), "{failure:?}");
    let failure = store.check_writable().expect_err("known without trying");
    assert!(format!("{failure:?}").contains("ReadOnlyMount"), "{failure:?}");
}

#[tokio::test]
async fn root_remounts_the_store_directory_for_itself_alone() {
    let root = tempfile::tempdir().expect("tempdir");
    let store = open(root.path());
    add(&store, &[&sample()]).await.expect("published");
    drop(store);
    let script = "s=$1/nix/store; mount --bind \"$s\" \"$s\"; mount -o remount,bind,ro \"$s\"; \
                  trap 'if touch \"$s/x\" 2>/dev/null; then exit 9; fi' EXIT";
    let test = "root_remounts_the_store_directory_for_itself_alone";
    if run_child(test, script, root.path(), "child_that_remounts", WRITE_ROOT) {
        let store = open(root.path());
        let other = Sample::file("other", "other", &[sample().path()]);
        assert!(store.path_info(other.path()).await.expect("query").is_some(), "the child wrote it");
    }
}

/// Runs only in the child. Not a test of tokio's: the threads of the runtime must come after the remount.
#[test]
fn child_that_remounts() {
    let Some(root) = std::env::var_os(WRITE_ROOT).map(PathBuf::from) else { return };
    let options = LocalStoreOptions { root: Some(root.clone()), ..LocalStoreOptions::default() };
    let other = Sample::file("other", "other", &[sample().path()]);
    let runtime = || tokio::runtime::Runtime::new().expect("a runtime");
    let failure = runtime().block_on(other.stage(&open(&root))).expect_err("read-only");
    assert!(format!("{failure:?}").contains("ReadOnlyMount"), "{failure:?}");
    assert!(make_store_writable(&options).expect("root may"));
    assert!(!make_store_writable(&options).expect("nothing to do"), "it is writable now");
    runtime().block_on(add(&open(&root), &[&other])).expect("published");
}
