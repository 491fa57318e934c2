//! Reads the output of `cargo test -- --show-output`: counts results, collects skips, and decides what is worth showing.

use std::collections::BTreeMap;
use std::fmt;

/// What all test binaries together said.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Tests that ran and passed; skipped ones are not among them.
    passed: usize,
    pub(super) failed: usize,
    ignored: usize,
    /// By what was missing, the lines that say which test and why.
    skipped: BTreeMap<String, Vec<String>>,
    /// Inside the captured output of tests that passed.
    in_successes: bool,
}

impl Tally {
    /// Takes one line, and returns whether a person wants to see it.
    pub(super) fn feed(&mut self, line: &str) -> bool {
        if line.starts_with("successes:") {
            self.in_successes = true;
        } else if line.starts_with("failures:") {
            self.in_successes = false;
        } else if let Some(result) = line.strip_prefix("test result: ") {
            self.in_successes = false;
            self.count(result);
            return true;
        }
        if self.in_successes {
            self.note_skip(line);
            return false;
        }
        let passed =
            line.starts_with("test ") && (line.ends_with(" ... ok") || line.ends_with(" - compile ... ok"));
        !passed && !line.is_empty()
    }

    /// Forgets where in the output it was: a binary that crashed never prints its result.
    pub(super) fn end_of_command(&mut self) {
        self.in_successes = false;
    }

    fn count(&mut self, result: &str) {
        let number_before = |word: &str| {
            let part = result.split([';', '.']).find_map(|part| part.trim().strip_suffix(word))?;
            part.trim().parse::<usize>().ok()
        };
        self.passed += number_before("passed").unwrap_or(0);
        self.failed += number_before("failed").unwrap_or(0);
        self.ignored += number_before("ignored").unwrap_or(0);
    }

    /// A skipped test says `SKIPPED (no NEED): TEST…`, and passes.
    fn note_skip(&mut self, line: &str) {
        let Some((need, test)) = line.strip_prefix("SKIPPED (no ").and_then(|rest| rest.split_once("): "))
        else {
            return;
        };
        self.skipped.entry(need.to_owned()).or_default().push(test.to_owned());
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut skipped = 0;
        for (need, tests) in &self.skipped {
            skipped += tests.len();
            writeln!(f, "skipped for want of {need}: {}", tests.len())?;
            for test in tests {
                writeln!(f, "  {test}")?;
            }
        }
        if self.ignored > 0 {
            writeln!(f, "ignored: {}", self.ignored)?;
        }
        write!(f, "{} passed, {} failed", self.passed.saturating_sub(skipped), self.failed)?;
        if skipped > 0 {
            write!(f, ", {skipped} skipped")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "\
running 3 tests
test a ... ok
test b ... FAILED
test c ... ok

successes:

---- c stdout ----
SKIPPED (no nix): c: nix is not in PATH
more noise

successes:
    a
    c

failures:

---- b stdout ----
b broke
SKIPPED (no nix): what a failed test says is no skip

failures:
    b

test result: FAILED. 2 passed; 1 failed; 4 ignored; 0 measured; 0 filtered out; finished in 0.00s
";

    #[test]
    fn results_and_skips_are_counted_and_noise_is_hidden() {
        let mut tally = Tally::default();
        let shown: Vec<&str> = OUTPUT.lines().filter(|line| tally.feed(line)).collect();
        assert_eq!(
            tally.to_string(),
            "skipped for want of nix: 1\n  c: nix is not in PATH\nignored: 4\n1 passed, 1 failed, 1 skipped"
        );
        assert!(shown.contains(&"b broke") && shown.contains(&"test b ... FAILED"), "{shown:?}");
        assert!(!shown.contains(&"more noise") && !shown.contains(&"test a ... ok"), "{shown:?}");
    }
}
