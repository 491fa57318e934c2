//! `cargo xtask fuzz`: the parsers that strangers can reach, fed with nonsense by libFuzzer.
//!
//! The targets are in `fuzz/`, a workspace of its own. Their committed corpus is only read; what a run finds goes to
//! `target/fuzz-corpus`. A target finds the words of its format in a dictionary.

mod coverage;

use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};
use xshell::{Shell, cmd};

use crate::flags::FuzzOptions;
use crate::project;

/// A smoke run replays the corpus and goes a little beyond.
const SMOKE_RUNS: &str = "-runs=2000";

/// Longer than any input of a few kilobytes may take, in seconds, even with the sanitizer on a busy machine.
const TIMEOUT: &str = "-timeout=25";

pub(crate) fn run(options: &FuzzOptions) -> Result<()> {
    let shell = project::shell()?;
    let targets = targets(options.target.as_deref())?;
    if cmd!(shell, "cargo fuzz --version").quiet().ignore_stdout().ignore_stderr().run().is_err() {
        bail!("cargo-fuzz is not installed: cargo install cargo-fuzz --version 0.13.2 --locked");
    }
    // cargo-fuzz would mend a stale lock file in silence.
    check_lock(&shell)?;
    if options.coverage {
        return coverage::compare(&shell, &targets);
    }
    let limit = options
        .minutes
        .map_or_else(|| SMOKE_RUNS.to_owned(), |minutes| format!("-max_total_time={}", minutes * 60));
    for target in &targets {
        let committed = committed_corpus(target);
        let found = project::target_directory().join("fuzz-corpus").join(target);
        shell.create_dir(&found)?;
        let corpora = std::iter::once(found).chain(committed.is_dir().then_some(committed));
        let dictionary = dictionary(target).map(|file| format!("-dict={}", file.display()));
        // The sanitizer and coverage options are unstable, and the project stays on a stable compiler.
        cmd!(shell, "cargo fuzz run {target} {corpora...} -- {limit} {TIMEOUT} {dictionary...}")
            .env("RUSTC_BOOTSTRAP", "1")
            .run()
            .with_context(|| format!("the fuzz target {target} failed"))?;
    }
    println!("{} fuzz targets ran without a finding: {}", targets.len(), targets.join(", "));
    Ok(())
}

/// The fuzz targets are a workspace of their own, so that no build of ours notices when a crate's new dependency is not in their
/// lock file.
pub(crate) fn check_lock(shell: &Shell) -> Result<()> {
    let manifest = project::root().join("fuzz/Cargo.toml");
    cmd!(shell, "cargo metadata --locked --quiet --format-version 1 --manifest-path {manifest}")
        .ignore_stdout()
        .quiet()
        .run()
        .context(
            "fuzz/Cargo.lock does not fit the crates: run `cargo update --workspace` in fuzz/, and commit it",
        )
}

/// Names of the targets, sorted.
fn targets(wanted: Option<&str>) -> Result<Vec<String>> {
    let directory = project::root().join("fuzz/fuzz_targets");
    ensure!(directory.is_dir(), "there are no fuzz targets: {} is missing", directory.display());
    let files = project::files(&directory, ".rs")?;
    let names = files.iter().filter_map(|file| Some(file.file_stem()?.to_str()?.to_owned()));
    let targets: Vec<String> = names.filter(|name| wanted.is_none_or(|wanted| wanted == name)).collect();
    ensure!(!targets.is_empty(), "no fuzz target is called '{}'", wanted.unwrap_or_default());
    Ok(targets)
}

/// The seeds of a target, which may be missing.
fn committed_corpus(target: &str) -> PathBuf {
    project::root().join("fuzz/corpus").join(target)
}

/// The dictionary of a target's own name, or of the format that its name begins with: `nar.dict` for `nar_decode`.
fn dictionary(target: &str) -> Option<PathBuf> {
    let directory = project::root().join("fuzz/dictionaries");
    let format = target.split('_').next().unwrap_or(target);
    [target, format].iter().map(|name| directory.join(format!("{name}.dict"))).find(|file| file.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_has_a_dictionary_and_seeds() {
        for target in targets(None).unwrap() {
            assert!(dictionary(&target).is_some(), "{target}");
            assert!(project::root().join("fuzz/corpus").join(&target).is_dir(), "{target}");
        }
        assert_eq!(dictionary("nar_decode").unwrap().file_name().unwrap(), "nar.dict");
        assert_eq!(dictionary("nothing"), None);
    }
}
