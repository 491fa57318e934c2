//! A process that is killed while it writes leaves a store that Nix accepts, and that the next copy completes.
//!
//! The process is this test binary again, running `child_that_writes`.

#![allow(clippy::expect_used, clippy::panic, clippy::print_stderr, reason = "tests say what they expect")]

mod support;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use nars3_store_api::Store;
use nars3_store_path::StorePath;
use support::nix::{self, Nix};
use support::{Sample, add, entries, nar_of, open};

const ROOT: &str = "NARS3_TEST_KILLED_ROOT";

fn samples() -> Vec<Sample> {
    let mut samples: Vec<Sample> = Vec::new();
    for number in 0..120 {
        let last: Option<StorePath> = samples.last().map(|sample| sample.path().clone());
        samples.push(Sample::new(&format!("path-{number}"), &last.iter().collect::<Vec<_>>(), |tree| {
            for file in 0..10 {
                std::fs::write(tree.join(file.to_string()), format!("{number} {file}").repeat(2000))
                    .expect("write");
            }
        }));
    }
    samples
}

/// Writes in batches, so that a kill hits staging, renames and commits alike.
async fn write_all(root: &Path) {
    let samples = samples();
    let store = open(root);
    for batch in samples.chunks(8) {
        add(&store, &batch.iter().collect::<Vec<_>>()).await.expect("published");
    }
}

#[tokio::test]
async fn child_that_writes() {
    // A test of its own only in the child.
    if let Some(root) = std::env::var_os(ROOT) {
        write_all(Path::new(&root)).await;
    }
}

#[tokio::test]
async fn a_killed_writer_leaves_a_store_that_nix_accepts() {
    if !nix::available("a_killed_writer_leaves_a_store_that_nix_accepts") {
        return;
    }
    let (nix, root) = (Nix::new(), tempfile::tempdir().expect("tempdir"));
    let samples = samples();
    let all: Vec<StorePath> = samples.iter().map(|sample| sample.path().clone()).collect();
    let mut progressed = 0;
    for round in 1..=12_u64 {
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .args(["--exact", "child_that_writes"])
            .env(ROOT, root.path())
            .stdout(Stdio::null())
            .spawn()
            .expect("the child runs");
        // Not a deadline: just another moment in each round.
        std::thread::sleep(Duration::from_millis(40 * round));
        child.kill().expect("killed");
        child.wait().expect("dead");

        let valid = open(root.path()).valid_paths(&all).await.expect("query").len();
        assert!(valid >= progressed, "what was valid stays valid");
        progressed = valid;
        if valid > 0 {
            nix.verify(root.path());
        }
        if round % 4 == 0 {
            // Begin again, so that later rounds, too, have something to interrupt.
            nix.store(root.path(), &["--gc"]);
            progressed = 0;
        }
    }
    write_all(root.path()).await;
    nix.verify(root.path());
    let store = open(root.path());
    for sample in &samples {
        let info = store.path_info(sample.path()).await.expect("query").expect("valid");
        assert_eq!(nar_of(&store, &info).await.expect("NAR"), sample.nar);
    }
    drop(store);
    let mut expected: Vec<String> = all.iter().map(ToString::to_string).collect();
    expected.sort();
    let found: Vec<String> =
        entries(root.path()).into_iter().filter(|name| !name.ends_with(".lock")).collect();
    assert_eq!(found, expected, "no staging directory is left");
}
