//! The stores of this machine beside real Nix: reading a database, and importing through a daemon and into a chroot store.
//!
//! Started by `cargo xtask bench --stores`, which builds what it measures. Writes its section of `docs/benchmarks.md` unless
//! the run is a quick one.

#![expect(clippy::print_stdout, reason = "a program that reports")]

mod database;
mod figures;
mod import;

use std::path::Path;

use anyhow::{Context, Result, bail};
use nars3_tests::nix::Nix;

use crate::figures::Row;

/// How much to measure.
#[derive(Clone, Copy, Debug)]
struct Options {
    /// Runs of each measurement; the median counts.
    runs: usize,
    /// Small inputs, to see that the benchmark itself works.
    quick: bool,
}

fn main() -> Result<()> {
    let options = parse(std::env::args().skip(1))?;
    let nix = Nix::find().context("the benchmark needs real Nix")?;
    let mut rows = database::measure(&nix, options)?;
    rows.extend(import::measure(&nix, options)?);
    let text = markdown(&rows, options.runs);
    println!("\n{text}");
    if !options.quick {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/benchmarks.md");
        let page = std::fs::read_to_string(&file).unwrap_or_else(|_| "# Benchmarks\n\n".to_owned());
        std::fs::write(&file, with_section(&page, &text))
            .with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(())
}

/// Around the section that this program writes.
const MARKS: [&str; 2] = ["<!-- nars3-bench-stores: begin -->\n", "<!-- nars3-bench-stores: end -->\n"];

/// The page with its section replaced, or added at its end.
fn with_section(page: &str, section: &str) -> String {
    let [begin, end] = MARKS;
    match page.split_once(begin) {
        Some((before, rest)) => {
            let after = rest.split_once(end).map_or("", |(_, after)| after);
            format!("{before}{begin}{section}{end}{after}")
        }
        None => format!("{}\n\n{begin}{section}{end}", page.trim_end()),
    }
}

fn markdown(rows: &[Row], runs: usize) -> String {
    let table: String = rows.iter().map(Row::line).collect();
    format!(
        "## The stores of this machine, beside real Nix\n\n\
         Written by `cargo xtask bench --stores`.\n\n\
         | what | Nix | nars3 | times as fast | daemon for Nix | for nars3 | Nix, peak | nars3, peak |\n\
         |---|--:|--:|--:|--:|--:|--:|--:|\n\
         {table}\n\
         Medians of {runs} runs, the tools taking turns, seconds of wall clock; the highest resident memory of the command \
         itself (that of a\ndaemon not counted), in MiB. *daemon for*: the processor seconds of the nix-daemon's process, which takes one \
         path after another: no\nclient can be done sooner by one connection. Stores and caches are in memory (`/dev/shm`), and empty each time; \
         signatures are checked.\n\n\
         ```text\n\
         read    nix path-info -r --store 'local?root=DIR' PATH\n        \
         nars3 path-info -r --store 'local?root=DIR' PATH\n\
         import  nix copy --from file://CACHE --to STORE PATH\n        \
         nars3 copy --from file://CACHE --to STORE --trusted-public-keys KEY PATH\n\
         STORE   local?root=DIR, or unix://SOCKET of a nix-daemon over one\n\
         ```\n"
    )
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Options> {
    let mut options = Options { runs: 3, quick: false };
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--quick" => options = Options { runs: 1, quick: true },
            "--runs" => {
                let value = arguments.next().context("--runs needs a number")?;
                options.runs =
                    value.parse().with_context(|| format!("--runs takes a number, not '{value}'"))?;
            }
            other => bail!("unexpected argument '{other}'"),
        }
    }
    anyhow::ensure!(options.runs > 0, "--runs must be at least 1");
    Ok(options)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_own_section_is_replaced() {
        let first = with_section("# Title\n\nby hand\n", "old\n");
        let page = format!("{first}\nmore by hand\n");
        let again = with_section(&page, "new\n");
        assert_eq!(again, format!("# Title\n\nby hand\n\n{}new\n{}\nmore by hand\n", MARKS[0], MARKS[1]));
    }
}
