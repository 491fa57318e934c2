//! nars3 beside real Nix: the same closures, the same server, the same machine, the runs of both taking turns.
//!
//! Started by `cargo xtask bench`, which builds what it measures. Writes `docs/benchmarks.md` unless the run is a quick one.

#![expect(clippy::print_stdout, reason = "a program that reports")]

mod cases;
mod inputs;
mod machine;
mod report;

use std::path::Path;

use anyhow::{Context, Result, bail};
use nars3_tests::nix::Nix;

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
    println!("Building the inputs");
    let inputs = inputs::build(&nix, options.quick)?;
    let rows = cases::measure(&nix, &inputs, options.runs)?;
    let text = report::markdown(&nix, &inputs, &rows, options.runs)?;
    println!("\n{text}");
    if !options.quick {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/benchmarks.md");
        let page = std::fs::read_to_string(&file).unwrap_or_else(|_| "# Benchmarks\n\n".to_owned());
        std::fs::write(&file, with_section(&page, &text))
            .with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(())
}

/// Around the section that this program writes; the rest of the page is other benches' and people's.
const MARKS: [&str; 2] = ["<!-- cargo xtask bench: begin -->\n", "<!-- cargo xtask bench: end -->\n"];

/// The page with its section replaced, or added at its end.
fn with_section(page: &str, section: &str) -> String {
    let [begin, end] = MARKS;
    let (before, rest) = page.split_once(begin).unwrap_or((page, ""));
    let after = rest.split_once(end).map_or("", |(_, after)| after);
    format!("{before}{begin}{section}{end}{after}")
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
            other => bail!("unexpected argument '{other}' of task 'bench'"),
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
        let first = with_section("# Title\n\n", "old\n");
        let page = format!("{first}\nby hand\n");
        let again = with_section(&page, "new\n");
        assert_eq!(again, format!("# Title\n\n{}new\n{}\nby hand\n", MARKS[0], MARKS[1]));
    }
}
