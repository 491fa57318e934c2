//! `cargo xtask tidy`: the house rules, checked. Works offline.

mod dependencies;
mod layers;
pub(crate) mod licences;
mod purity;
mod readmes;
mod sizes;

use anyhow::{Result, ensure};
use xshell::{Shell, cmd};

use crate::{fuzz, project};

/// A rule: what it is called, and how it is checked.
type Rule = (&'static str, fn(&Shell) -> Result<()>);

/// Cheap rules first.
const RULES: [Rule; 11] = [
    ("format", format),
    ("layers", layers::check),
    ("pure crates", purity::check),
    ("licences", licences::check),
    ("banned crates", dependencies::check),
    ("crate readmes", |_| readmes::check()),
    ("file sizes", |_| sizes::check()),
    ("fuzz lock file", fuzz::check_lock),
    ("packages", packages),
    ("lints", |shell| {
        Ok(cmd!(shell, "cargo clippy --locked --workspace --all-targets --quiet -- -D warnings")
            .quiet()
            .run()?)
    }),
    ("documentation", |shell| {
        Ok(cmd!(shell, "cargo doc --locked --workspace --no-deps --quiet")
            .env("RUSTDOCFLAGS", "-Dwarnings")
            .quiet()
            .run()?)
    }),
];

/// Checks every rule, also after one has failed.
pub(crate) fn run() -> Result<()> {
    let shell = project::shell()?;
    let mut broken = Vec::new();
    for (name, check) in RULES {
        match check(&shell) {
            Ok(()) => println!("tidy: {name}: ok"),
            Err(error) => {
                println!("tidy: {name}: BROKEN\n{error:#}\n");
                broken.push(name);
            }
        }
    }
    ensure!(broken.is_empty(), "not tidy: {}", broken.join(", "));
    Ok(())
}

/// Both workspaces: the fuzz targets are not members of the first.
fn format(shell: &Shell) -> Result<()> {
    cmd!(shell, "cargo fmt --all --check").quiet().run()?;
    cmd!(shell, "cargo fmt --manifest-path fuzz/Cargo.toml --check").quiet().run()?;
    Ok(())
}

/// Each published crate can be packaged: its manifest is complete, and its path dependencies have versions. Without a lock
/// file: one for a package alone knows nothing of our patch, and would want the real hyper-tls and OpenSSL from the network.
fn packages(shell: &Shell) -> Result<()> {
    cmd!(shell, "cargo package --locked --workspace --exclude xtask --exclude nars3-tests --exclude nars3-s3-client --no-verify --allow-dirty --offline --exclude-lockfile --quiet")
        .quiet()
        .run()?;
    Ok(())
}
