//! The licences of what we link: each must be one that `deny.toml` allows. The part of cargo-deny that needs no network.

use anyhow::{Context, Result, ensure};
use xshell::{Shell, cmd};

use crate::project;

/// A crate of somebody else's.
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: String,
    /// An SPDX expression.
    pub(crate) licence: String,
}

pub(super) fn check(shell: &Shell) -> Result<()> {
    let text = std::fs::read_to_string(project::root().join("deny.toml")).context("cannot read deny.toml")?;
    let allowed = quoted_list(&text, "allow")?;
    let packages = dependencies(shell, &["--workspace"])?;
    ensure!(packages.len() > 20, "cargo tree lists only {} packages", packages.len());
    let wrong: Vec<String> = packages
        .iter()
        .filter(|package| !is_allowed(&package.licence, &allowed))
        .map(|package| format!("{} {} is under '{}'", package.name, package.version, package.licence))
        .collect();
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

/// The dependencies of a selection of packages that are not ours, sorted.
pub(crate) fn dependencies(shell: &Shell, selection: &[&str]) -> Result<Vec<Package>> {
    let tree = cmd!(
        shell,
        "cargo tree --offline --locked {selection...} --edges normal,build --prefix none --format '{p}|{l}'"
    )
    .quiet()
    .read()?;
    // Our own packages show their directory; a package that stands in the tree twice has a mark the second time.
    let lines = tree.lines().map(|line| line.trim_end_matches(" (*)"));
    let mut lines: Vec<&str> = lines.filter(|line| !line.contains(" (/") && line.contains('|')).collect();
    lines.sort_unstable();
    lines.dedup();
    lines.into_iter().map(|line| package(line).with_context(|| format!("cargo tree said '{line}'"))).collect()
}

fn package(line: &str) -> Option<Package> {
    let (package, licence) = line.split_once('|')?;
    let mut words = package.split_whitespace();
    let (name, version) = (words.next()?.to_owned(), words.next()?.trim_start_matches('v').to_owned());
    Some(Package { name, version, licence: licence.trim().to_owned() })
}

/// The strings of `name = [ … ]` in a TOML file.
pub(super) fn quoted_list(text: &str, name: &str) -> Result<Vec<String>> {
    let start = format!("\n{name} = [");
    let (_, rest) = text.split_once(&start).with_context(|| format!("deny.toml has no list '{name}'"))?;
    let (list, _) =
        rest.split_once("\n]").with_context(|| format!("the list '{name}' of deny.toml has no end"))?;
    let code = list.lines().map(|line| line.split('#').next().unwrap_or_default());
    Ok(code.flat_map(|line| line.split('"').skip(1).step_by(2)).map(str::to_owned).collect())
}

/// Whether an SPDX expression can be met with these licences. `/` is an old way to write `OR`.
fn is_allowed(expression: &str, allowed: &[String]) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let mut words = spaced.split_whitespace().peekable();
    let met = any_of(&mut words, allowed);
    met && words.peek().is_none()
}

type Words<'a> = std::iter::Peekable<std::str::SplitWhitespace<'a>>;

fn any_of(words: &mut Words<'_>, allowed: &[String]) -> bool {
    let mut met = all_of(words, allowed);
    while words.next_if_eq(&"OR").is_some() {
        met |= all_of(words, allowed);
    }
    met
}

fn all_of(words: &mut Words<'_>, allowed: &[String]) -> bool {
    let mut met = single(words, allowed);
    while words.next_if_eq(&"AND").is_some() {
        met &= single(words, allowed);
    }
    met
}

fn single(words: &mut Words<'_>, allowed: &[String]) -> bool {
    if words.next_if_eq(&"(").is_some() {
        let met = any_of(words, allowed);
        return words.next_if_eq(&")").is_some() && met;
    }
    let Some(licence) = words.next() else { return false };
    let mut name = licence.to_owned();
    if words.next_if_eq(&"WITH").is_some() {
        name = format!("{name} WITH {}", words.next().unwrap_or_default());
    }
    allowed.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_read_as_spdx_means_them() {
        let allowed = ["MIT", "BSD-3-Clause", "Apache-2.0 WITH LLVM-exception"].map(str::to_owned);
        for good in [
            "MIT",
            "MIT/GPL-3.0",
            "GPL-3.0 OR MIT",
            "GPL-3.0 AND MIT OR MIT",
            "MIT AND (GPL-3.0 OR BSD-3-Clause)",
            "Apache-2.0 WITH LLVM-exception",
        ] {
            assert!(is_allowed(good, &allowed), "{good}");
        }
        for bad in
            ["", "GPL-3.0", "MIT AND GPL-3.0", "(MIT", "MIT)", "Apache-2.0", "MIT AND (GPL-3.0 OR LGPL-2.1)"]
        {
            assert!(!is_allowed(bad, &allowed), "{bad}");
        }
    }

    #[test]
    fn lists_are_read_without_their_comments() {
        let text = "[licenses]\nallow = [\n  \"MIT\", # not \"GPL\"\n  \"ISC\",\n]\n";
        assert_eq!(quoted_list(text, "allow").unwrap(), ["MIT", "ISC"]);
        assert!(quoted_list(text, "deny").is_err());
    }
}
