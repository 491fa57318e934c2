//! Writers that meet, a reader among them, and writers that are killed: what is visible is whole at every moment.

use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nars3_tests::audit::audit;
use nars3_tests::nars3::Nars3;
use nars3_tests::nix::Nix;
use nars3_tests::server::Bucket;
use serde_json::Value;

use crate::setup::Setup;

/// Two programs that share a library and have one of their own each, with NARs of some hundred KiB.
const EXPRESSION: &str = r#"
{ tag }:
let
  build = name: attributes: derivation ({
    name = "${tag}-${name}";
    system = builtins.currentSystem;
    builder = "/bin/sh";
    args = [ "-e" "-u" "-c" "mkdir $out; head -c 700000 /dev/urandom > $out/noise; echo $uses > $out/uses" ];
    PATH = "/usr/bin:/bin";
    uses = "";
  } // attributes);
  shared = build "shared" { };
  deeper = build "deeper" { uses = shared; };
  program = name: build name { uses = [ deeper shared (build "${name}-own" { uses = shared; }) ]; };
in
build "both" { uses = [ (program "first") (program "second") ]; }
"#;

/// The paths of the two programs: full store paths.
struct Programs {
    first: String,
    second: String,
    /// Of both together.
    count: usize,
}

fn build(nix: &Nix) -> Result<Programs> {
    let tag =
        std::path::Path::new(nix.home()).file_name().context("no name")?.to_string_lossy().replace('.', "-");
    let (_, both) = nix.build(EXPRESSION, &[("tag", &tag)])?;
    let closure = nix.closure(&both)?;
    let named = |end: &str| closure.iter().find(|path| path.ends_with(end)).cloned().context("not built");
    Ok(Programs { first: named("-first")?, second: named("-second")?, count: closure.len() - 1 })
}

/// A number below `end` that nobody can foretell.
fn random_below(end: u64) -> u64 {
    use std::hash::{BuildHasher, Hasher, RandomState};
    RandomState::new().build_hasher().finish() % end
}

fn push(nars3: &Nars3, url: &str, path: &str) -> Result<Child> {
    let mut command = nars3.command();
    command.args(["copy", "--to", url, path]).stdout(Stdio::null()).stderr(Stdio::piped());
    command.spawn().context("cannot start a push")
}

fn finished(child: Child) -> Result<()> {
    let output = child.wait_with_output()?;
    ensure!(output.status.success(), "a push failed: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// Nothing but files that no narinfo names may be found, at any moment.
fn nothing_is_wrong(nars3: &Nars3, url: &str, more: &[&str]) -> Result<usize> {
    let verify = ["store", "verify", "--all", "--no-trust", "--json", "--store", url];
    let said = nars3.run(verify.iter().chain(more))?.success()?;
    let report: Value = serde_json::from_str(&said)?;
    for finding in report["findings"].as_array().context("no findings")? {
        ensure!(finding["kind"] == "orphan-nar", "{finding}");
    }
    Ok(usize::try_from(report["paths"].as_u64().context("no count")?)?)
}

/// A reader that comes now: what it sees of the programs, it gets as a whole. Gives how many of them it has got.
fn what_is_seen_can_be_had(reader: &Nars3, programs: &Programs, url: &str) -> Result<usize> {
    let scratch = tempfile::Builder::new().prefix("nars3-scratch-").tempdir()?;
    let target = format!("file://{}", scratch.path().display());
    let mut had = 0;
    for program in [&programs.first, &programs.second] {
        // Not what it remembers: it has looked before.
        if !reader.run(["path-info", "--refresh", "--store", url, program])?.status.success() {
            continue;
        }
        reader
            .run(["copy", "--refresh", "--from", url, "--to", &target, "--no-check-sigs", program])?
            .success()?;
        nothing_is_wrong(reader, &target, &[])?;
        had += 1;
    }
    Ok(had)
}

/// When the first of two writers is killed.
#[derive(Clone, Copy, Debug)]
enum Kill {
    Never,
    /// As soon as there is a NAR in the bucket: long before the end.
    AtTheFirstNar,
    After(Duration),
}

impl Kill {
    fn wait(self, bucket: &Bucket) -> Result<()> {
        match self {
            Self::Never => {}
            Self::AtTheFirstNar => {
                let begun = Instant::now();
                while !bucket.keys()?.iter().any(|key| key.starts_with("nar/")) {
                    ensure!(begun.elapsed() < Duration::from_secs(60), "two pushes have sent no NAR");
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
            Self::After(delay) => std::thread::sleep(delay),
        }
        Ok(())
    }
}

/// Two writers at once, of which one may be killed, and two readers all the while: one looks at everything, one takes what it
/// sees. Gives how many paths were visible when everything was over.
fn round(machines: &[Nars3; 4], programs: &Programs, bucket: &Bucket, kill: Kill) -> Result<usize> {
    let url = bucket.url("compression=zstd&write-nar-listing=true");
    let [first, second, reader, taker] = machines;
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reading = scope.spawn(|| -> Result<()> {
            while !over.load(Ordering::Relaxed) {
                nothing_is_wrong(reader, &url, &["--no-contents"])?;
            }
            Ok(())
        });
        let taking = scope.spawn(|| -> Result<()> {
            while !over.load(Ordering::Relaxed) {
                what_is_seen_can_be_had(taker, programs, &url)?;
            }
            // The second writer has come to its end.
            let had = what_is_seen_can_be_had(taker, programs, &url)?;
            ensure!(had > 0, "nothing of what was pushed can be had");
            Ok(())
        });
        let writing = || -> Result<()> {
            let mut killed = push(first, &url, &programs.first)?;
            let other = push(second, &url, &programs.second)?;
            if matches!(kill, Kill::Never) {
                finished(killed)?;
            } else {
                kill.wait(bucket)?;
                // SIGKILL: nothing can be tidied up.
                killed.kill()?;
                killed.wait()?;
            }
            finished(other)
        };
        let written = writing();
        over.store(true, Ordering::Relaxed);
        let read = reading.join().unwrap_or_else(|_| anyhow::bail!("the reader panicked"));
        let taken = taking.join().unwrap_or_else(|_| anyhow::bail!("the taker panicked"));
        written.and(read).and(taken)
    })?;
    audit(bucket)?;
    nothing_is_wrong(reader, &url, &[])
}

fn machines(setup: &Setup) -> Result<[Nars3; 4]> {
    let one = || Nars3::for_server(&setup.server);
    Ok([one()?, one()?, one()?, one()?])
}

#[test]
fn two_writers_of_overlapping_closures_and_a_reader_meet() -> Result<()> {
    let Some(nix) = Nix::find() else { return Ok(()) };
    let setup = Setup::new()?;
    let programs = build(&nix)?;
    assert_eq!(round(&machines(&setup)?, &programs, &setup.bucket, Kill::Never)?, programs.count);
    assert!(audit(&setup.bucket)?.orphans.is_empty());
    Ok(())
}

/// Five times, or a hundred with `NARS3_FULL=1`.
#[test]
fn a_writer_that_is_killed_at_any_moment_leaves_a_valid_cache() -> Result<()> {
    let Some(nix) = Nix::find() else { return Ok(()) };
    let setup = Setup::new()?;
    let (machines, programs) = (machines(&setup)?, build(&nix)?);
    let full = std::env::var("NARS3_FULL").is_ok_and(|value| value == "1");
    let mut unfinished = 0;
    for number in 0..if full { 100 } else { 5 } {
        let bucket = setup.server.fresh_bucket()?;
        let kill = match number {
            0 => Kill::AtTheFirstNar,
            _ => Kill::After(Duration::from_millis(random_below(1_500))),
        };
        let visible =
            round(&machines, &programs, &bucket, kill).with_context(|| format!("kill {number}, {kill:?}"))?;
        unfinished += usize::from(visible < programs.count);
        // The next push goes on from there.
        let url = bucket.url("compression=zstd&write-nar-listing=true");
        finished(push(&machines[0], &url, &programs.first)?)?;
        assert_eq!(nothing_is_wrong(&machines[2], &url, &[])?, programs.count, "kill {number}");
        for key in bucket.keys()? {
            bucket.delete(&key)?;
        }
    }
    println!("{unfinished} pushes were killed before their end");
    assert!(unfinished > 0, "no push was killed before its end: nothing was tested");
    Ok(())
}
