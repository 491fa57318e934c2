//! What a person writes for a store path: the path itself, something inside it, or a symlink that leads there.

use std::path::{Component, Path, PathBuf};

use nars3_store_path::{StoreDir, StorePath};

use crate::error::{CliError, CliResult, ResultExt};

/// Symlinks that may follow one another.
const MAX_LINKS: usize = 64;

/// The store path that `text` stands for. Symlinks are followed until the store directory is reached, as
/// `Store::followLinksToStorePath` of Nix 2.29 does; the path itself need not exist on this machine.
pub(crate) fn store_path(text: &Path, store_dir: &StoreDir) -> CliResult<StorePath> {
    // Nix takes a path inside a store object for the object, too.
    store_path_and_inside(text, store_dir).map(|(path, _inside)| path)
}

/// As `store_path`, with what follows the store path: `""`, or `/` and a path inside it.
pub(crate) fn store_path_and_inside(text: &Path, store_dir: &StoreDir) -> CliResult<(StorePath, String)> {
    let mut path = absolute(text)?;
    for _ in 0..MAX_LINKS {
        if path == Path::new(store_dir.as_str()) {
            return Err(CliError::new(format!(
                "'{}' is the store directory itself, not a path in it",
                text.display()
            )));
        }
        if path.starts_with(store_dir.as_str()) {
            return split(&path, store_dir);
        }
        match std::fs::read_link(&path) {
            Ok(target) => {
                let parent = path.parent().unwrap_or(Path::new("/"));
                path = absolute(&parent.join(target))?;
            }
            Err(_) => return Err(not_a_store_path(text, store_dir)),
        }
    }
    Err(CliError::new(format!("'{}' is a symlink that leads through too many others", text.display())))
}

fn split(path: &Path, store_dir: &StoreDir) -> CliResult<(StorePath, String)> {
    let text = path
        .to_str()
        .ok_or_else(|| CliError::new(format!("'{}' is not UTF-8, as store paths are", path.display())))?;
    let (path, inside) = store_dir.parse_inside(text).context(|| format!("'{text}' is not a store path"))?;
    Ok((path, inside.to_owned()))
}

fn not_a_store_path(text: &Path, store_dir: &StoreDir) -> CliError {
    let shown = text.display();
    if text.exists() {
        return CliError::new(format!("'{shown}' is not in the store directory '{store_dir}'"))
            .hint("to put a file or directory into a store, use 'nars3 add'");
    }
    let error = CliError::new(format!("'{shown}' does not exist, and is no path in '{store_dir}'"));
    // A missing file of somebody who did mean a file is told from what Nix would evaluate by how it is written.
    let is_file = text.is_absolute() || text.starts_with(".") || text.starts_with("..");
    let written = shown.to_string();
    if is_file && !written.contains('#') {
        return error;
    }
    // `nixpkgs#hello` and `.#hello` are flake references, `hello` is an attribute path.
    let build = if written.contains(['#', ':', '/']) {
        format!("nix build {}", quoted(&written))
    } else {
        format!("nix build --file . {}", quoted(&written))
    };
    error.hint(format!(
        "what has to be evaluated first is Nix's to build: {build} --no-link --print-out-paths | nars3 copy --stdin …"
    ))
}

/// As a shell takes it.
fn quoted(text: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "._/:+-#@%,=".contains(letter);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// Absolute, without `.` and `..`, as written: symlinks are not resolved.
fn absolute(path: &Path) -> CliResult<PathBuf> {
    let path = std::path::absolute(path).context(|| format!("cannot make '{}' absolute", path.display()))?;
    let mut clean = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => {
                clean.pop();
            }
            Component::CurDir => {}
            other => clean.push(other),
        }
    }
    Ok(clean)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = "4skgh1cs6ihmnyyz1j0s8hvbx0mwf0qb-hello-2.12";

    #[test]
    fn a_result_link_leads_to_its_store_path() {
        let directory = tempfile::tempdir().unwrap();
        let link = directory.path().join("result");
        let through = directory.path().join("other");
        std::os::unix::fs::symlink(format!("/nix/store/{BASE}"), &link).unwrap();
        std::os::unix::fs::symlink("result", &through).unwrap();
        for start in [link, through] {
            assert_eq!(store_path(&start, &StoreDir::default()).unwrap().base_name(), BASE);
        }
    }

    #[test]
    fn a_path_inside_is_split() {
        let text = format!("/nix/store/{BASE}/bin/../bin/hello");
        let (path, inside) = store_path_and_inside(Path::new(&text), &StoreDir::default()).unwrap();
        assert_eq!((path.base_name(), inside.as_str()), (BASE, "/bin/hello"));
    }

    #[test]
    fn whatever_nix_would_evaluate_gets_the_command_that_builds_it() {
        for (text, command) in [
            (".#hello", "nix build .#hello --no-link"),
            ("github:NixOS/nixpkgs#hello", "nix build github:NixOS/nixpkgs#hello --no-link"),
            ("python3.pkgs.requests", "nix build --file . python3.pkgs.requests --no-link"),
            ("nixpkgs#legacyPackages.\"x y\"", "nix build 'nixpkgs#legacyPackages.\"x y\"' --no-link"),
        ] {
            let error = store_path(Path::new(text), &StoreDir::default()).unwrap_err().to_string();
            assert!(error.contains(command) && error.contains("| nars3 copy --stdin"), "{error}");
        }
        let error = store_path(Path::new("./no-such-link"), &StoreDir::default()).unwrap_err().to_string();
        assert!(error.contains("does not exist") && !error.contains("nix build"), "{error}");
    }

    #[test]
    fn a_profile_leads_through_its_generation_to_its_store_path() {
        let directory = tempfile::tempdir().unwrap();
        let profile = directory.path().join("profile");
        std::os::unix::fs::symlink(format!("/nix/store/{BASE}"), directory.path().join("profile-42-link"))
            .unwrap();
        std::os::unix::fs::symlink("profile-42-link", &profile).unwrap();
        assert_eq!(store_path(&profile, &StoreDir::default()).unwrap().base_name(), BASE);
    }

    #[test]
    fn a_flake_reference_gets_the_command_that_builds_it() {
        let error = store_path(Path::new("nixpkgs#hello"), &StoreDir::default()).unwrap_err().to_string();
        assert!(
            error.contains("nix build nixpkgs#hello --no-link --print-out-paths | nars3 copy --stdin"),
            "{error}"
        );
    }
}
