//! `cargo xtask bench`: builds the command as it is released, and runs the comparison with real Nix.
//!
//! The measuring is in `nars3-bench`, a program of the test crate, which knows how to start MinIO and real Nix.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use xshell::cmd;

use crate::project;
use crate::test::tools;

pub(crate) fn run(arguments: &[String]) -> Result<()> {
    if let Some((first, rest)) = arguments.split_first()
        && first == "--stores"
    {
        return stores(rest);
    }
    if let Some((first, rest)) = arguments.split_first()
        && first == "--formats"
    {
        return formats(rest);
    }
    let minio = tools::minio().context("the benchmark needs MinIO")?.context("the benchmark needs MinIO")?;
    let nix = tools::nix().context("the benchmark needs real Nix")?;
    println!("MinIO: {}\nReal Nix: {nix}", minio.display());
    let shell = project::shell()?;
    // The harness as well: its bare client is what nars3 is measured against.
    cmd!(shell, "cargo build --locked --release --workspace --lib --bins").run()?;
    let status = Command::new(project::target_directory().join("release/nars3-bench"))
        .args(arguments)
        .current_dir(project::root())
        .env("NARS3_BIN", project::target_directory().join("release/nars3"))
        .env("NARS3_TEST_SERVER", "minio")
        .env("MINIO_BIN", minio)
        .status()
        .context("cannot start nars3-bench")?;
    ensure!(status.success(), "the benchmark failed");
    Ok(())
}

/// The formats beside other crates and programs: the benches of their crates, which write nothing but their output.
fn formats(arguments: &[String]) -> Result<()> {
    let shell = project::shell()?;
    for (package, bench) in
        [("nars3-store-path", "store_path"), ("nars3-narinfo", "narinfo"), ("nars3-nar", "nar")]
    {
        cmd!(shell, "cargo bench --locked --package {package} --bench {bench} -- {arguments...}").run()?;
    }
    Ok(())
}

/// The stores of this machine, which need no server: `nars3-bench-stores`.
fn stores(arguments: &[String]) -> Result<()> {
    println!("Real Nix: {}", tools::nix().context("the benchmark needs real Nix")?);
    let shell = project::shell()?;
    cmd!(shell, "cargo build --locked --release --workspace --lib --bins").run()?;
    let release = project::target_directory().join("release");
    let status = Command::new(release.join("nars3-bench-stores"))
        .args(arguments)
        .current_dir(project::root())
        .env("NARS3_BIN", release.join("nars3"))
        .status()
        .context("cannot start nars3-bench-stores")?;
    ensure!(status.success(), "the benchmark failed");
    Ok(())
}
