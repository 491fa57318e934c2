//! What must not be linked, by `deny.toml`, and how many packages the lock file may grow to.

use anyhow::{Context, Result, ensure};
use xshell::Shell;

use super::licences::{dependencies, quoted_list};
use crate::project;

/// Packages in `Cargo.lock`. Each one is somebody's code in our users' trust: raise this knowingly, in a commit of its own.
const PACKAGE_BUDGET: usize = 420;

pub(super) fn check(shell: &Shell) -> Result<()> {
    let text = std::fs::read_to_string(project::root().join("deny.toml")).context("cannot read deny.toml")?;
    let banned = quoted_list(&text, "deny")?;
    let packages = dependencies(shell, &["--workspace"])?;
    let wrong: Vec<&str> = packages
        .iter()
        .map(|package| package.name.as_str())
        .filter(|name| banned.iter().any(|ban| ban == name))
        .collect();
    ensure!(
        wrong.is_empty(),
        "banned crates are linked: {} (cargo tree --invert CRATE says by whom)",
        wrong.join(", ")
    );

    let lock =
        std::fs::read_to_string(project::root().join("Cargo.lock")).context("cannot read Cargo.lock")?;
    let count = lock.lines().filter(|line| *line == "[[package]]").count();
    ensure!(count <= PACKAGE_BUDGET, "Cargo.lock has {count} packages, and the budget is {PACKAGE_BUDGET}");
    Ok(())
}
