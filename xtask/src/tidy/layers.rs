//! Arrows between crates run downward only. The table is the architecture; `cargo tree` says what is.

use anyhow::{Result, bail, ensure};
use xshell::{Shell, cmd};

use crate::project;

/// Every crate with the crates of ours that it may depend on. A crate stands below all that it may depend on.
const ARROWS: [(&str, &[&str]); 11] = [
    ("nars3-store-path", &[]),
    ("nars3-narinfo", &["nars3-store-path"]),
    ("nars3-store-url", &["nars3-store-path", "nars3-narinfo"]),
    ("nars3-nar", &["nars3-store-path", "nars3-narinfo"]),
    ("nars3-compression", &["nars3-narinfo"]),
    ("nars3-store-api", &["nars3-store-path", "nars3-narinfo"]),
    ("nars3-s3", &["nars3-store-path", "nars3-store-url"]),
    (
        "nars3-binary-cache",
        &[
            "nars3-store-path",
            "nars3-narinfo",
            "nars3-store-url",
            "nars3-nar",
            "nars3-compression",
            "nars3-store-api",
        ],
    ),
    (
        "nars3-nix-store",
        &["nars3-store-path", "nars3-narinfo", "nars3-store-url", "nars3-nar", "nars3-store-api"],
    ),
    // The engine knows two stores by their trait, and none of them by name.
    ("nars3-copy", &["nars3-store-path", "nars3-narinfo", "nars3-nar", "nars3-store-api"]),
    (
        "nars3-cli",
        &[
            "nars3-store-path",
            "nars3-narinfo",
            "nars3-store-url",
            "nars3-nar",
            "nars3-compression",
            "nars3-store-api",
            "nars3-s3",
            "nars3-binary-cache",
            "nars3-nix-store",
            "nars3-copy",
        ],
    ),
];

pub(super) fn check(shell: &Shell) -> Result<()> {
    let mut wrong = Vec::new();
    for (name, allowed) in ARROWS {
        // Tests may look upward; what is shipped may not.
        let tree = cmd!(shell, "cargo tree --offline --locked --package {name} --edges normal,build --depth 1 --prefix none --all-features")
            .quiet()
            .read()?;
        let ours = tree
            .lines()
            .skip(1)
            .filter_map(|line| line.split_whitespace().next())
            .filter(|name| name.starts_with("nars3-"));
        wrong.extend(ours.filter(|found| !allowed.contains(found)).map(|found| format!("{name} -> {found}")));
    }
    ensure!(wrong.is_empty(), "arrows that the architecture does not have: {}", wrong.join(", "));
    every_crate_has_its_place()
}

fn every_crate_has_its_place() -> Result<()> {
    for directory in project::crates()? {
        let manifest = std::fs::read_to_string(directory.join("Cargo.toml"))?;
        let name = manifest.lines().find_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"'));
        match name {
            Some(name) if ARROWS.iter().any(|(known, _)| *known == name) => {}
            _ => bail!("{} has no place among the layers", directory.display()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_arrow_of_the_table_runs_upward() {
        for (place, (name, allowed)) in ARROWS.iter().enumerate() {
            for target in *allowed {
                assert!(ARROWS[..place].iter().any(|(below, _)| below == target), "{name} -> {target}");
            }
        }
    }
}
