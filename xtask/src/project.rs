//! Where things are.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use xshell::Shell;

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new(".")).to_owned()
}

/// A shell in the root of the repository.
pub(crate) fn shell() -> Result<Shell> {
    let shell = Shell::new().context("cannot open a shell")?;
    shell.change_dir(root());
    Ok(shell)
}

/// Where cargo builds, as its environment says.
pub(crate) fn target_directory() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR").filter(|value| !value.is_empty()) {
        Some(directory) => root().join(directory),
        None => root().join("target"),
    }
}

/// A program that cargo built in the development profile.
pub(crate) fn built(program: &str) -> PathBuf {
    target_directory().join("debug").join(program)
}

/// The project's own cache directory, for what is expensive to get and outlives `target/`.
pub(crate) fn cache_directory() -> Result<PathBuf> {
    let directory = match std::env::var_os("XDG_CACHE_HOME").filter(|value| !value.is_empty()) {
        Some(cache) => PathBuf::from(cache),
        None => PathBuf::from(std::env::var_os("HOME").context("neither XDG_CACHE_HOME nor HOME is set")?)
            .join(".cache"),
    };
    Ok(directory.join("nars3"))
}

/// The first file of this name in `PATH`.
pub(crate) fn find_in_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|directory| directory.join(program)).find(|file| file.is_file())
}

/// All files below `directory` whose name ends in `suffix`, sorted.
pub(crate) fn files(directory: &Path, suffix: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut pending = vec![directory.to_owned()];
    while let Some(current) = pending.pop() {
        let entries =
            std::fs::read_dir(&current).with_context(|| format!("cannot list {}", current.display()))?;
        for entry in entries {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                pending.push(entry.path());
            } else if entry.file_name().to_string_lossy().ends_with(suffix) {
                found.push(entry.path());
            }
        }
    }
    found.sort();
    Ok(found)
}

/// The directories of the project's published crates, sorted.
pub(crate) fn crates() -> Result<Vec<PathBuf>> {
    let manifests = files(&root().join("crates"), "Cargo.toml")?;
    Ok(manifests.iter().filter_map(|manifest| manifest.parent().map(Path::to_owned)).collect())
}
