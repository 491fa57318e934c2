//! Content-addressed derivations, built by real Nix: their outputs are found by what Nix has recorded of them, and that
//! record travels with them, as with Nix. So do build logs.

mod caches;

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use nars3_tests::closure::base_name;
use nars3_tests::daemon::Daemon;
use nars3_tests::nix::{Chroot, Nix};
use nars3_tests::process::Finished;
use nars3_tests::require;

use crate::setup::{KEY, Setup};

const FEATURE: &str = "extra-experimental-features = ca-derivations\n";

/// `app` has two outputs, and is made with a content-addressed `tool` and with a file whose hash was fixed before.
const EXPRESSION: &str = r#"
{ tag }:
let
  build = name: attributes: script: derivation ({
    name = "${tag}-${name}";
    system = builtins.currentSystem;
    builder = "/bin/sh";
    args = [ "-e" "-u" "-c" script ];
    PATH = "/usr/bin:/bin";
    __contentAddressed = true;
    outputHashMode = "recursive";
    outputHashAlgo = "sha256";
  } // attributes);
in rec {
  tool = build "tool" { } "echo a tool > $out";
  fixed = derivation {
    name = "${tag}-fixed";
    system = builtins.currentSystem;
    builder = "/bin/sh";
    args = [ "-c" "echo fixed > $out" ];
    outputHashMode = "flat";
    outputHashAlgo = "sha256";
    outputHash = builtins.hashString "sha256" "fixed\n";
  };
  app = build "app" { inherit tool fixed; outputs = [ "out" "dev" ]; note = "a \"b\" \\ \t"; } ''
    echo building the app
    echo uses $tool > $out
    mkdir $dev
    ln -s $out $dev/lib
    cat $fixed > $dev/fixed
  '';
}.app
"#;

/// What was built.
struct Built {
    setup: Setup,
    nix: Nix,
    tag: String,
    derivation: String,
    /// Both outputs of the application, and the tool.
    paths: Vec<String>,
}

impl Built {
    fn new() -> Result<Option<Self>> {
        if !require::is_root("to build in the machine's own store") {
            return Ok(None);
        }
        let Some(nix) = Nix::find() else { return Ok(None) };
        let setup = Setup::new()?;
        // As unique as the directory.
        let tag = nix.home().file_name().context("a directory has a name")?.to_string_lossy().into_owned();
        std::fs::write(nix.home().join("ca.nix"), EXPRESSION)?;
        let derivation =
            with_feature(&nix, "nix-instantiate", &["ca.nix", "--argstr", "tag", &tag])?.success()?;
        let built = with_feature(&nix, "nix-store", &["--realise", &derivation])?.success()?;
        let outputs: Vec<&str> = built.lines().collect();
        ensure!(outputs.len() == 2, "{built}");
        let words: Vec<&str> = ["--query", "--requisites"].into_iter().chain(outputs).collect();
        let mut paths: Vec<String> =
            nix.run("nix-store", words)?.success()?.lines().map(str::to_owned).collect();
        paths.sort();
        ensure!(paths.len() == 3, "{paths:?}");
        Ok(Some(Self { setup, nix, tag, derivation, paths }))
    }

    fn copy(&self, more: &[&str]) -> Result<Finished> {
        let outputs = format!("{}^*", self.derivation);
        self.setup.nars3.run(["copy"].iter().chain(more).chain(&[outputs.as_str()]))
    }

    /// What a cache directory records of outputs, by their keys: what `copy` brings there from `from`.
    fn records_in(&self, from: &str) -> Result<BTreeMap<String, String>> {
        let directory = tempfile::tempdir_in(self.nix.home())?;
        self.copy(&["--from", from, "--to", &format!("file://{}", directory.path().display())])?.success()?;
        records(directory.path())
    }
}

impl Drop for Built {
    fn drop(&mut self) {
        // What was built is deleted as far as nothing holds it.
        let derivations = self.nix.run("nix-store", ["--query", "--requisites", &self.derivation]);
        let derivations = derivations.and_then(Finished::success).unwrap_or_default();
        let doomed = self.paths.iter().map(String::as_str).chain(derivations.lines());
        let _ = self.nix.run("nix-store", ["--delete"].into_iter().chain(doomed));
    }
}

fn with_feature(nix: &Nix, program: &str, words: &[&str]) -> Result<Finished> {
    let mut command = nix.command(program);
    let usual = command.get_envs().find(|(name, _)| *name == "NIX_CONFIG").and_then(|(_, value)| value);
    let usual = usual.map(|value| value.to_string_lossy().into_owned()).unwrap_or_default();
    Finished::run(command.env("NIX_CONFIG", usual + FEATURE).args(words))
}

fn records(cache: &std::path::Path) -> Result<BTreeMap<String, String>> {
    let mut records = BTreeMap::new();
    for entry in std::fs::read_dir(cache.join("realisations")).into_iter().flatten() {
        let entry = entry?;
        records
            .insert(entry.file_name().to_string_lossy().into_owned(), std::fs::read_to_string(entry.path())?);
    }
    Ok(records)
}

#[test]
fn outputs_and_their_records_reach_a_cache_as_with_nix_and_come_back() -> Result<()> {
    let Some(built) = Built::new()? else { return Ok(()) };
    let Built { nix, tag, .. } = &built;
    // What Nix writes for one output.
    let theirs = nix.home().join("theirs");
    let to = format!("file://{}", theirs.display());
    with_feature(nix, "nix", &["copy", "--to", &to, "-f", "ca.nix", "--argstr", "tag", tag])?.success()?;
    let theirs = records(&theirs)?;
    ensure!(theirs.len() == 2, "{theirs:?}");
    let ours = built.records_in("local")?;
    ensure!(
        ours.len() == 3 && theirs.iter().all(|(key, text)| ours.get(key) == Some(text)),
        "{ours:?}\n{theirs:?}"
    );

    // From a bucket, where they are signed, into a store that keeps such records: real Nix finds no fault, and has no more
    // to build.
    let bucket = built.setup.bucket.url("");
    let key = built.setup.nars3.secret_key_file(KEY);
    let (_, public_key) = built.setup.nars3.key_pair(KEY)?;
    let key = key.to_string_lossy();
    built.copy(&["--from", "local", "--to", &bucket, "--secret-key-file", &key])?.success()?;
    let chroot = Chroot::new()?;
    with_feature(nix, "nix-store", &["--init", "--store", &chroot.store_url()])?.success()?;
    let into = ["--from", &bucket, "--to", &chroot.store_url(), "--trusted-public-keys", &public_key];
    built.copy(&into)?.success()?;
    nix.verify(&chroot)?;
    assert_eq!(nix.registered(&chroot)?, built.paths);
    let derivations = ["copy", "--from", "local", "--to", &chroot.store_url(), "--no-check-sigs"];
    let derivations = built.setup.nars3.run(derivations.iter().chain(&[built.derivation.as_str()]))?;
    derivations.success()?;
    let words = ["--store", &chroot.store_url(), "--realise", "--dry-run", &built.derivation];
    let said = with_feature(nix, "nix-store", &words)?;
    assert!(!said.stderr.contains("will be built"), "{said}");
    said.success()?;
    let back = built.records_in(&chroot.store_url())?;
    assert_eq!(back.keys().collect::<Vec<_>>(), ours.keys().collect::<Vec<_>>());
    assert!(back.values().all(|text| text.contains(KEY)), "{back:?}");
    Ok(())
}

#[test]
fn a_store_that_keeps_no_such_records_gets_the_paths() -> Result<()> {
    let Some(built) = Built::new()? else { return Ok(()) };
    let chroot = Chroot::new()?;
    let to = chroot.store_url();
    let done = built.copy(&["--from", "local", "--to", &to, "--no-check-sigs"])?;
    assert!(done.stderr.contains("the paths were copied, but not what records them as outputs"), "{done}");
    done.success()?;
    assert_eq!(built.nix.registered(&chroot)?, built.paths);
    // From there, the outputs cannot be found.
    let nowhere = format!("file://{}", built.nix.home().join("nowhere").display());
    let said = built.copy(&["--from", &to, "--to", &nowhere])?.refusal()?;
    assert!(said.contains("depends on its contents") && said.contains("hint: build it first"), "{said}");
    Ok(())
}

#[test]
fn records_go_through_a_daemon_that_knows_them() -> Result<()> {
    let Some(built) = Built::new()? else { return Ok(()) };
    let ours = built.records_in("local")?;
    for feature in [FEATURE, ""] {
        let daemon = Daemon::start_with(&built.nix, Chroot::new()?, "", feature)?;
        let done = built.copy(&["--from", "local", "--to", &daemon.url(), "--no-check-sigs"])?;
        let unknown = done.stderr.contains("but not what records them as outputs");
        assert_eq!(unknown, feature.is_empty(), "{done}");
        done.success()?;
        assert_eq!(built.nix.registered(daemon.store())?, built.paths);
        if !feature.is_empty() {
            assert_eq!(built.records_in(&daemon.url())?, ours);
        }
    }
    Ok(())
}

#[test]
fn logs_and_records_are_copied_between_stores_of_every_kind() -> Result<()> {
    let Some(built) = Built::new()? else { return Ok(()) };
    let nars3 = |words: &[&str]| built.setup.nars3.run(words);
    // Nix keeps the log by the derivation that it has really built, whose inputs are resolved.
    let (bucket, chroot) = (built.setup.bucket.url(""), Chroot::new()?);
    let log = resolved_log(&built)?;
    let expected = nars3(&["log", "--store", "local", &log])?.success()?;
    assert_eq!(expected, "building the app");
    let to_chroot = chroot.store_url();
    for (from, to) in [("local", bucket.as_str()), (&bucket, &to_chroot), (&to_chroot, &bucket)] {
        nars3(&["store", "copy-log", "--from", from, "--to", to, &log])?.success()?;
        assert_eq!(nars3(&["log", "--store", to, &log])?.success()?, expected);
    }
    let daemon = Daemon::start_with(&built.nix, Chroot::new()?, "", FEATURE)?;
    let remote = format!("{}?log={}", daemon.url(), daemon.store().root().join("nix/var/log/nix").display());
    nars3(&["store", "copy-log", "--from", &bucket, "--to", &remote, &log])?.success()?;
    assert_eq!(nars3(&["log", "--store", &remote, &log])?.success()?, expected);

    built.copy(&["--from", "local", "--to", &bucket])?.success()?;
    let other = format!("file://{}", built.nix.home().join("other").display());
    for path in &built.paths {
        nars3(&["copy", "--from", "local", "--to", &other, path])?.success()?;
    }
    let said =
        nars3(&["store", "copy-realisations", "--from", &bucket, "--to", &other, "--all"])?.success()?;
    assert_eq!(said, "copied 3 realisations");
    Ok(())
}

/// The derivation of the application that has a log.
fn resolved_log(built: &Built) -> Result<String> {
    let folder = std::path::Path::new("/nix/var/log/nix/drvs");
    let suffix = format!("{}.bz2", base_name(&built.derivation).get(32..).unwrap_or_default());
    for first in std::fs::read_dir(folder)?.flatten() {
        for log in std::fs::read_dir(first.path())?.flatten() {
            let name = log.file_name().to_string_lossy().into_owned();
            if name.ends_with(&suffix) {
                let first = first.file_name().to_string_lossy().into_owned();
                return Ok(format!("/nix/store/{first}{}", name.trim_end_matches(".bz2")));
            }
        }
    }
    None.context("there is no log")
}
