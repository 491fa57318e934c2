//! `cargo xtask fuzz --coverage`: how far the fuzzer comes without help, with a dictionary, and with seeds.

use std::path::Path;

use anyhow::{Context, Result};
use xshell::{Shell, cmd};

use super::{TIMEOUT, committed_corpus, dictionary};

/// As many inputs as make the difference plain, and take seconds.
const RUNS: &str = "-runs=20000";

/// Prints a row of the table for each target: what libFuzzer calls `cov`, the edges of the program that were reached.
pub(super) fn compare(shell: &Shell, targets: &[String]) -> Result<()> {
    println!("| target | nothing | dictionary | dictionary and seeds |\n|---|--:|--:|--:|");
    for target in targets {
        let words = dictionary(target).map(|file| format!("-dict={}", file.display()));
        let seeds = committed_corpus(target);
        let nothing = reached(shell, target, None, None)?;
        let with_words = reached(shell, target, words.as_deref(), None)?;
        let with_seeds = reached(shell, target, words.as_deref(), Some(&seeds))?;
        println!("| `{target}` | {nothing} | {with_words} | {with_seeds} |");
    }
    Ok(())
}

/// The edges that a run from a fixed beginning reaches. It begins with an empty corpus, which it fills.
fn reached(shell: &Shell, target: &str, dictionary: Option<&str>, seeds: Option<&Path>) -> Result<u64> {
    let fresh = shell.create_temp_dir()?;
    let fresh = fresh.path();
    let output =
        cmd!(shell, "cargo fuzz run {target} {fresh} {seeds...} -- -seed=1 {RUNS} {TIMEOUT} {dictionary...}")
            .env("RUSTC_BOOTSTRAP", "1")
            .quiet()
            .read_stderr()
            .with_context(|| format!("the fuzz target {target} failed"))?;
    last_coverage(&output).with_context(|| format!("libFuzzer did not say what {target} reached"))
}

/// The last `cov: N` of libFuzzer's log.
fn last_coverage(log: &str) -> Option<u64> {
    log.lines().rev().find_map(|line| line.split_once(" cov: ")?.1.split(' ').next()?.parse().ok())
}

#[cfg(test)]
mod tests {
    #[test]
    fn coverage_is_read_from_the_log() {
        let log =
            "#2\tINITED cov: 301 ft: 302 corp: 1/1b\n#9\tDONE   cov: 1322 ft: 9 corp: 3/4b\nDone 9 runs";
        assert_eq!(super::last_coverage(log), Some(1322));
        assert_eq!(super::last_coverage("nothing"), None);
    }
}
