//! Gets what the end-to-end tests need beyond Rust: a real MinIO and real Nix.

use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};
use xshell::cmd;

use crate::project;

/// MinIO is not released any more; this is the last state of its source, as a Go module version.
const MINIO_VERSION: &str = "v0.0.0-20260212201848-7aac2a2c5b7c";

/// A MinIO binary: the one that `MINIO_BIN` names, the one in `PATH`, or a build of the pinned version, made once and kept.
pub(crate) fn minio() -> Result<Option<PathBuf>> {
    if let Some(named) = std::env::var_os("MINIO_BIN").filter(|value| !value.is_empty()) {
        let named = PathBuf::from(named);
        ensure!(named.is_file(), "MINIO_BIN is {}, and there is no such file", named.display());
        return Ok(Some(named));
    }
    if let Some(installed) = project::find_in_path("minio") {
        return Ok(Some(installed));
    }
    let directory = project::cache_directory()?.join(format!("minio-{MINIO_VERSION}"));
    let binary = directory.join("minio");
    if !binary.is_file() {
        build_minio(&directory)?;
    }
    Ok(Some(binary))
}

fn build_minio(directory: &std::path::Path) -> Result<()> {
    if project::find_in_path("go").is_none() {
        bail!("MinIO is not in PATH, and without Go it cannot be built: install either, or set MINIO_BIN");
    }
    println!("Building MinIO {MINIO_VERSION} once, into {}; this takes some minutes", directory.display());
    let shell = project::shell()?;
    // Beside its final place and renamed when whole, so that a second run at the same time sees all of it or nothing.
    let unfinished = directory.with_extension(format!("unfinished-{}", std::process::id()));
    shell.create_dir(&unfinished)?;
    let module = format!("github.com/minio/minio@{MINIO_VERSION}");
    let built =
        cmd!(shell, "go install -trimpath {module}").env("GOBIN", &unfinished).env("CGO_ENABLED", "0").run();
    if built.is_ok() && std::fs::rename(&unfinished, directory).is_ok() {
        return Ok(());
    }
    shell.remove_path(&unfinished)?;
    built.context("go install of MinIO failed")?;
    ensure!(directory.join("minio").is_file(), "cannot move the build of MinIO to {}", directory.display());
    Ok(())
}

/// The version of real Nix, installed with apt first where it is missing and this user may.
pub(crate) fn nix() -> Result<String> {
    let shell = project::shell()?;
    if project::find_in_path("nix-store").is_none() {
        let root = cmd!(shell, "id -u").quiet().ignore_stderr().read().is_ok_and(|user| user == "0");
        if !root || project::find_in_path("apt-get").is_none() {
            bail!("nix-store is not in PATH, and installing it takes apt-get and root");
        }
        println!("Installing nix-bin with apt-get");
        cmd!(shell, "apt-get update --quiet").run()?;
        cmd!(shell, "apt-get install --yes --quiet --no-install-recommends nix-bin")
            .env("DEBIAN_FRONTEND", "noninteractive")
            .run()?;
    }
    cmd!(shell, "nix --version").quiet().read().context("nix-store is there, but nix does not run")
}
