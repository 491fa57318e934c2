//! Reading a closure from a database that holds nothing else: paths that are registered, and have no files.

use std::fmt::Write;
use std::process::Stdio;

use anyhow::{Result, ensure};
use nars3_tests::memory;
use nars3_tests::nars3::Nars3;
use nars3_tests::nix::{Chroot, Nix};
use nars3_tests::process::Finished;

use crate::Options;
use crate::figures::Row;

/// A store path for each number: its digits are digits of Nix's base 32, too.
fn path(number: usize) -> String {
    format!("/nix/store/{number:032}-path-{number}")
}

/// What path `number` of `count` refers to: itself, and later ones, so that path 0 leads to all of them and the longest way
/// is some seventy references long, as in the closure of a system.
fn references(number: usize, count: usize) -> Vec<usize> {
    let tree = (1..=3).map(|child| 3 * number + child);
    let chain = [number * 8 / 7 + 1, number * 5 / 4 + 2, number * 2 + 5];
    let mut references: Vec<usize> = std::iter::once(number).chain(tree).chain(chain).collect();
    references.retain(|reference| *reference < count);
    references.sort_unstable();
    references.dedup();
    references
}

/// `nix-store --load-db` of `count` paths. Gives the root.
fn fill(nix: &Nix, chroot: &Chroot, count: usize) -> Result<String> {
    let mut text = String::new();
    for number in 0..count {
        let references = references(number, count);
        write!(text, "{}\n{number:064x}\n{}\n\n{}\n", path(number), 1000 + number, references.len())?;
        for reference in references {
            writeln!(text, "{}", path(reference))?;
        }
    }
    let file = nix.home().join("registration");
    std::fs::write(&file, text)?;
    let mut command = nix.command("nix-store");
    command.args(["--load-db", "--store", &chroot.store_url()]);
    Finished::run(command.stdin(Stdio::from(std::fs::File::open(&file)?)))?.success()?;
    Ok(path(0))
}

pub(crate) fn measure(nix: &Nix, options: Options) -> Result<Vec<Row>> {
    let count = if options.quick { 500 } else { 10_000 };
    let chroot = Chroot::new_in_memory()?;
    let root = fill(nix, &chroot, count)?;
    let nars3 = Nars3::anonymous()?;
    let mut rows = Vec::new();
    for (what, more) in [("", None), (" as JSON", Some("--json"))] {
        let mut row = Row::new(format!("read a closure of {count} paths from the database{what}"));
        for run in 0..options.runs {
            println!("{}, run {} of {}", row.what, run + 1, options.runs);
            let url = chroot.store_url();
            let arguments =
                ["path-info", "-r", "--store", &url].into_iter().chain(more).chain([root.as_str()]);
            let arguments: Vec<&str> = arguments.collect();
            let by_nix = row.nix.add(memory::measure(nix.command("nix").args(&arguments))?)?;
            let by_nars3 = row.nars3.add(memory::measure(nars3.command().args(&arguments))?)?;
            if more.is_none() {
                let sorted = |text: &str| {
                    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
                    lines.sort();
                    lines
                };
                let lines = sorted(&by_nix);
                ensure!(lines.len() == count && lines == sorted(&by_nars3), "the two disagree");
            }
        }
        rows.push(row);
    }
    Ok(rows)
}
