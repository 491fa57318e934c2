//! nars3 beside real Nix, and beside what the machine can do at all: the same closures, the same server, the same machine,
//! the runs of both taking turns.
//!
//! Started by `cargo xtask bench`, which builds what it measures. Writes `docs/benchmarks.md`, its figures beside it and its
//! plots, unless the run is a quick one.

#![expect(clippy::print_stdout, reason = "a program that reports")]

mod cache;
mod chapters;
mod delay;
mod floor;
mod growth;
mod inputs;
mod load;
mod machine;
mod measure;
mod niks3;
mod plot;
mod record;
mod report;
mod s3;
mod world;

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use nars3_tests::nix::Nix;

use crate::chapters::CHAPTERS;
use crate::inputs::Inputs;
use crate::record::Records;

/// How much to measure.
#[derive(Clone, Debug)]
struct Options {
    /// Runs of each measurement; the median counts.
    runs: usize,
    /// Small inputs, to see that the benchmark itself works.
    quick: bool,
    /// The forms that take long: the whole tree with xz, a hundred thousand paths.
    full: bool,
    /// Only chapters whose name holds one of these words.
    only: Vec<String>,
    /// Only name the chapters.
    list: bool,
}

/// The chapter that is no row of the table.
const GROWTH: &str = "growth";

/// The chapter about the S3 clients, which has a table of its own.
const S3: &str = "clients";

/// The chapter about pushes beside niks3, which has a table of its own.
const NIKS3: &str = "niks3";

/// The chapter about looking into caches and verifying them, which has a table of its own.
const CACHE: &str = "cache";

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [part, name, files @ ..] = arguments.as_slice()
        && part == "--part"
    {
        return floor::part(name, files);
    }
    let options = parse(arguments.into_iter())?;
    let wanted = |name: &str| options.only.is_empty() || options.only.iter().any(|word| name.contains(word));
    if options.list {
        for chapter in CHAPTERS.iter().filter(|chapter| wanted(chapter.name)) {
            println!("{:18} {} (target: {})", chapter.name, chapter.title, chapter.target);
        }
        for (name, title) in [
            (GROWTH, "time, memory and requests from 100 to 100,000 paths"),
            (S3, "both S3 clients beside boto3 and a bare client"),
            (NIKS3, "pushes beside niks3, where that and PostgreSQL are on this machine"),
            (
                CACHE,
                "path infos, single files and verification, beside Nix, and in buckets of 1,000 to 100,000 paths",
            ),
        ] {
            if wanted(name) {
                println!("{name:18} {title}");
            }
        }
        return Ok(());
    }
    let nix = Nix::find().context("the benchmark needs real Nix")?;
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    let mut records = Records::load(docs.join("benchmarks.json"))?;
    if options.quick {
        records.all.clear();
    }
    let inputs = Inputs::new(&nix, options.quick, options.full);
    let started = Instant::now();
    for chapter in CHAPTERS.iter().filter(|chapter| wanted(chapter.name)) {
        println!("{} ({} s)", chapter.name, started.elapsed().as_secs());
        let row = chapters::run(chapter, &inputs, options.runs)?;
        let (nix, nars3) = (row.nix.seconds(), row.nars3.seconds());
        println!("  Nix {nix:.2} s, nars3 {nars3:.2} s: {:.2} times as fast", nix / nars3);
        records.set_row(chapter.name, &row);
        // The whole takes the better part of an hour, and what is measured is measured.
        if !options.quick {
            records.save()?;
        }
    }
    if wanted(GROWTH) {
        println!("{GROWTH} ({} s)", started.elapsed().as_secs());
        let counts: &[usize] = match (options.quick, options.full) {
            (true, _) => &[10, 30],
            (false, false) => &[100, 1000, 10_000],
            (false, true) => &[100, 1000, 10_000, 100_000],
        };
        records.set(GROWTH, growth::run(&inputs, counts)?);
    }
    if wanted(S3) {
        println!("{S3} ({} s)", started.elapsed().as_secs());
        let sizes = if options.quick { s3::Sizes::QUICK } else { s3::Sizes::FULL };
        records.set(S3, s3::run(sizes, options.runs, machine::describe(&nix)?, options.quick)?);
    }
    if wanted(NIKS3) {
        println!("{NIKS3} ({} s)", started.elapsed().as_secs());
        match niks3::run(&inputs, options.runs, &machine::describe(&nix)?) {
            Ok(rows) => records.set(NIKS3, rows),
            Err(error) => println!("SKIPPED: pushes beside niks3: {error:#}"),
        }
    }
    if wanted(CACHE) {
        println!("{CACHE} ({} s)", started.elapsed().as_secs());
        let sizes = match (options.quick, options.full) {
            (true, _) => cache::Sizes::QUICK,
            (false, false) => cache::Sizes::USUAL,
            (false, true) => cache::Sizes::FULL,
        };
        records.set(CACHE, cache::run(&inputs, sizes, options.runs, &machine::describe(&nix)?)?);
    }
    // A chapter with a table of its own has its own lines about the machine.
    if wanted(GROWTH) || CHAPTERS.iter().any(|chapter| wanted(chapter.name)) {
        records.set("machine", machine::describe(&nix)?.into());
    }
    println!("\n{}", report::section(&records.all));
    if !options.quick {
        records.save()?;
        report::write(&docs, &records.all)?;
    }
    Ok(())
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Options> {
    let mut options = Options { runs: 3, quick: false, full: false, only: Vec::new(), list: false };
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--quick" => (options.quick, options.runs) = (true, 1),
            "--full" => options.full = true,
            "--list" => options.list = true,
            "--only" => options.only.push(arguments.next().context("--only needs a word")?),
            "--runs" => {
                let value = arguments.next().context("--runs needs a number")?;
                options.runs =
                    value.parse().with_context(|| format!("--runs takes a number, not '{value}'"))?;
            }
            other => bail!("unexpected argument '{other}' of task 'bench'"),
        }
    }
    anyhow::ensure!(options.runs > 0, "--runs must be at least 1");
    anyhow::ensure!(!(options.quick && options.full), "--quick and --full exclude each other");
    Ok(options)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_in_any_order() {
        let words = ["--only", "push", "--runs", "5", "--full", "--only", "pull"];
        let options = parse(words.into_iter().map(str::to_owned)).unwrap();
        assert_eq!((options.runs, options.full, options.only.len()), (5, true, 2));
        for wrong in [vec!["--runs"], vec!["--runs", "0"], vec!["x"], vec!["--quick", "--full"]] {
            parse(wrong.into_iter().map(str::to_owned)).unwrap_err();
        }
    }
}
