//! What must not be linked, by `deny.toml`, how many packages the lock file may grow to, and which advisories are lived with.

use anyhow::{Context, Result, bail, ensure};
use xshell::Shell;

use super::licences::{Package, dependencies, quoted_list};
use crate::project;

/// Packages in `Cargo.lock`. Each one is somebody's code in our users' trust: raise this knowingly, in a commit of its own.
/// 28 of them are rusoto's (docs/decisions/0003-two-s3-clients.md).
const PACKAGE_BUDGET: usize = 450;

pub(super) fn check(shell: &Shell) -> Result<()> {
    let text = std::fs::read_to_string(project::root().join("deny.toml")).context("cannot read deny.toml")?;
    let banned = quoted_list(&text, "deny")?;
    let packages = dependencies(shell, &["--workspace"])?;
    let mut wrong = Vec::new();
    for ban in &banned {
        for package in &packages {
            if bans(ban, package)? {
                wrong.push(format!("{} {}", package.name, package.version));
            }
        }
    }
    ensure!(
        wrong.is_empty(),
        "banned crates are linked: {} (cargo tree --invert CRATE says by whom)",
        wrong.join(", ")
    );

    let lock =
        std::fs::read_to_string(project::root().join("Cargo.lock")).context("cannot read Cargo.lock")?;
    let count = lock.lines().filter(|line| *line == "[[package]]").count();
    ensure!(count <= PACKAGE_BUDGET, "Cargo.lock has {count} packages, and the budget is {PACKAGE_BUDGET}");
    advisories(&text, &lock)
}

/// Whether `name`, or `name@<1.2`, is this package.
fn bans(ban: &str, package: &Package) -> Result<bool> {
    let (name, requirement) = ban.split_once('@').unwrap_or((ban, ""));
    if name != package.name {
        return Ok(false);
    }
    let Some(limit) = requirement.strip_prefix('<') else {
        ensure!(
            requirement.is_empty(),
            "deny.toml bans '{ban}', and tidy understands NAME and NAME@<VERSION"
        );
        return Ok(true);
    };
    Ok(numbers(&package.version)? < numbers(limit)?)
}

fn numbers(version: &str) -> Result<Vec<u64>> {
    let core = version.split(['-', '+']).next().unwrap_or_default();
    core.split('.').map(|part| part.parse().with_context(|| format!("'{version}' is no version"))).collect()
}

/// An advisory may be lived with for a reason that somebody has looked at, and only while the crate is there.
fn advisories(deny: &str, lock: &str) -> Result<()> {
    let Some((_, section)) = deny.split_once("\n[advisories]\n") else {
        bail!("deny.toml has no [advisories]")
    };
    let section = section.split("\n[").next().unwrap_or_default();
    for line in section.lines().filter(|line| line.contains("id = ")) {
        let quoted: Vec<&str> = line.split('"').skip(1).step_by(2).collect();
        let [id, reason] = quoted.as_slice() else { bail!("deny.toml: expected an id and a reason: {line}") };
        let (subject, _) =
            reason.split_once(':').with_context(|| format!("{id}: the reason begins with the crate"))?;
        let name = subject.split(' ').next().unwrap_or_default();
        ensure!(
            lock.contains(&format!("\nname = \"{name}\"\n")),
            "{id} is ignored for the sake of {name}, which is not in Cargo.lock any more"
        );
        let date = reason.rsplit_once(" Looked at ").map_or("", |(_, date)| date.trim_end_matches('.'));
        let dated = date.len() == 10 && date.chars().all(|digit| digit.is_ascii_digit() || digit == '-');
        ensure!(dated, "{id} is ignored without the day on which somebody looked at it");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, version: &str) -> Package {
        Package { name: name.to_owned(), version: version.to_owned(), licence: "MIT".to_owned() }
    }

    #[test]
    fn bans_are_of_a_crate_or_of_its_old_versions() {
        assert!(bans("openssl-sys", &package("openssl-sys", "0.9.1")).unwrap());
        assert!(!bans("openssl-sys", &package("openssl", "0.9.1")).unwrap());
        assert!(bans("rustls@<0.23", &package("rustls", "0.20.9")).unwrap());
        assert!(bans("ring@<0.17", &package("ring", "0.16.20")).unwrap());
        assert!(!bans("rustls@<0.23", &package("rustls", "0.23.0-rc.1")).unwrap());
        assert!(!bans("rustls@<0.23", &package("rustls", "1.0.0")).unwrap());
        assert!(bans("rustls@=0.20", &package("rustls", "0.20.0")).is_err());
    }

    #[test]
    fn an_advisory_is_lived_with_for_a_dated_reason_and_a_crate_that_is_there() {
        let lock = "\nname = \"h2\"\n";
        let of = |reason: &str| {
            advisories(
                &format!("\n[advisories]\nignore = [\n{{ id = \"R-1\", reason = \"{reason}\" }},\n]\n"),
                lock,
            )
        };
        of("h2 0.3: opens no connection. Looked at 2026-11-25.").unwrap();
        of("hyper: opens no connection. Looked at 2026-11-25.").unwrap_err();
        of("h2 0.3: opens no connection.").unwrap_err();
        of("opens no connection").unwrap_err();
        advisories("\n[advisories]\nignore = []\n", lock).unwrap();
    }
}
