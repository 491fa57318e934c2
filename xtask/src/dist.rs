//! `cargo xtask dist`: what a user downloads. The same commit gives the same file list, owners and times.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use xshell::{Shell, cmd};

use crate::{project, tidy};

const SHELLS: [(&str, &str); 5] = [
    ("bash", "nars3.bash"),
    ("elvish", "nars3.elv"),
    ("fish", "nars3.fish"),
    ("powershell", "_nars3.ps1"),
    ("zsh", "_nars3"),
];

const DOCUMENTS: [&str; 4] = ["README.md", "CHANGELOG.md", "LICENSE-MIT", "LICENSE-APACHE"];

pub(crate) fn run() -> Result<()> {
    let shell = project::shell()?;
    cmd!(shell, "cargo build --locked --release --package nars3-cli").run()?;
    let binary = project::target_directory().join("release/nars3");

    let name = format!("nars3-{}-{}", version(&shell, &binary)?, host(&shell)?);
    let output = project::root().join("dist");
    let stage = output.join(&name);
    shell.remove_path(&stage)?;
    shell.create_dir(stage.join("completions"))?;
    shell.create_dir(stage.join("man"))?;
    shell.copy_file(&binary, stage.join("nars3"))?;
    for document in DOCUMENTS {
        shell.copy_file(document, stage.join(document))?;
    }
    fs::write(stage.join("THIRD-PARTY.txt"), third_party(&shell)?)?;
    for (kind, file) in SHELLS {
        let script = cmd!(shell, "{binary} completions {kind}").quiet().read()?;
        fs::write(stage.join("completions").join(file), script + "\n")?;
    }
    let man = stage.join("man");
    cmd!(shell, "{binary} man {man}").quiet().run()?;

    let tarball = format!("{name}.tar.gz");
    pack(&shell, &output, &name, &tarball)?;
    shell.change_dir(&output);
    let sum = cmd!(shell, "sha256sum {tarball}").quiet().read()?;
    fs::write(output.join(format!("{tarball}.sha256")), format!("{sum}\n"))?;
    println!("{sum}\n{}", output.join(&tarball).display());
    Ok(())
}

/// The version that the binary says it has.
fn version(shell: &Shell, binary: &Path) -> Result<String> {
    let said = cmd!(shell, "{binary} --version").quiet().read()?;
    Ok(said.split_whitespace().nth(1).context("nars3 --version has no version")?.to_owned())
}

/// The target triple of this machine.
fn host(shell: &Shell) -> Result<String> {
    let said = cmd!(shell, "rustc --version --verbose").quiet().read()?;
    let host = said.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc does not say its host")?.to_owned())
}

/// Packs a directory with sorted names, no owner, and the time of the commit.
fn pack(shell: &Shell, output: &Path, name: &str, tarball: &str) -> Result<()> {
    let time = cmd!(shell, "git log -1 --format=@%ct").quiet().read().unwrap_or_else(|_| "@0".to_owned());
    let file = output.join(tarball);
    cmd!(shell, "tar --directory {output} --sort=name --owner=0 --group=0 --numeric-owner --mtime={time} --create --gzip --file {file} {name}")
        .quiet()
        .run()?;
    Ok(())
}

/// The crates that are linked into the binary, and their licences.
fn third_party(shell: &Shell) -> Result<String> {
    let packages = tidy::licences::dependencies(shell, &["--package", "nars3-cli"])?;
    let lines =
        packages.iter().map(|package| format!("{} {}: {}\n", package.name, package.version, package.licence));
    Ok(format!(
        "nars3 contains these Rust crates, each under its own licence:\n\n{}",
        lines.collect::<String>()
    ))
}
