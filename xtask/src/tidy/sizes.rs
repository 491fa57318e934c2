//! Small files with one job. Prints the figures, and refuses a file that has become a heap.

use anyhow::{Result, ensure};

use crate::project;

/// Lines that no hand-written file may exceed.
const LIMIT: usize = 1000;

/// Lines above which a file is worth a look.
const WORTH_A_LOOK: usize = 500;

pub(super) fn check() -> Result<()> {
    let mut sizes = Vec::new();
    for directory in ["crates", "xtask/src", "tests/src", "tests/tests", "tests/s3-client"] {
        for file in project::files(&project::root().join(directory), ".rs")? {
            sizes.push((std::fs::read_to_string(&file)?.lines().count(), file));
        }
    }
    sizes.sort();
    let at = |percent: usize| sizes.get(sizes.len() * percent / 100).map_or(0, |(lines, _)| *lines);
    println!("tidy: {} source files, median {} lines, 90% under {}", sizes.len(), at(50), at(90));
    for (lines, file) in sizes.iter().rev().take_while(|(lines, _)| *lines > WORTH_A_LOOK) {
        println!("tidy: worth a look: {lines} lines in {}", file.display());
    }
    let heaps: Vec<String> = sizes
        .iter()
        .filter(|(lines, _)| *lines > LIMIT)
        .map(|(lines, file)| format!("{} has {lines} lines", file.display()))
        .collect();
    ensure!(heaps.is_empty(), "{}", heaps.join("\n"));
    Ok(())
}
