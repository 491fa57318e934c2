//! Two file trees compared as store objects are: names, kinds, contents, link targets and the executable bit.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

/// What a store object has at one place.
#[derive(Debug, Eq, PartialEq)]
enum Node {
    Directory,
    Symlink(PathBuf),
    File { executable: bool, contents: Vec<u8> },
}

/// Compares two trees of small files.
///
/// # Errors
/// When they differ; the error names the first difference.
pub fn ensure_equal(expected: &Path, found: &Path) -> Result<()> {
    let (left, right) = (read(expected)?, read(found)?);
    let names = |tree: &BTreeMap<OsString, Node>| tree.keys().cloned().collect::<Vec<_>>();
    ensure!(names(&left) == names(&right), "names differ: {:?} and {:?}", names(&left), names(&right));
    for (name, node) in &left {
        ensure!(
            right.get(name) == Some(node),
            "{} and {} differ at {name:?}",
            expected.display(),
            found.display()
        );
    }
    Ok(())
}

fn read(root: &Path) -> Result<BTreeMap<OsString, Node>> {
    let mut nodes = BTreeMap::new();
    let mut pending = vec![PathBuf::new()];
    while let Some(relative) = pending.pop() {
        let path = if relative.as_os_str().is_empty() { root.to_owned() } else { root.join(&relative) };
        let describe = || format!("cannot read {}", path.display());
        let metadata = fs::symlink_metadata(&path).with_context(describe)?;
        let node = if metadata.is_symlink() {
            Node::Symlink(fs::read_link(&path).with_context(describe)?)
        } else if metadata.is_dir() {
            for entry in fs::read_dir(&path).with_context(describe)? {
                pending.push(relative.join(entry?.file_name()));
            }
            Node::Directory
        } else {
            let executable = metadata.permissions().mode() & 0o111 != 0;
            Node::File { executable, contents: fs::read(&path).with_context(describe)? }
        };
        nodes.insert(relative.into_os_string(), node);
    }
    Ok(nodes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_difference_is_found() {
        let base = tempfile::tempdir().unwrap();
        let make = |name: &str, contents: &str, mode: u32, target: &str| {
            let root = base.path().join(name);
            fs::create_dir_all(root.join("empty")).unwrap();
            fs::write(root.join("file"), contents).unwrap();
            fs::set_permissions(root.join("file"), fs::Permissions::from_mode(mode)).unwrap();
            std::os::unix::fs::symlink(target, root.join("link")).unwrap();
            root
        };
        let original = make("original", "x", 0o644, "file");
        ensure_equal(&original, &make("same", "x", 0o444, "file")).unwrap();
        ensure_equal(&original, &make("contents", "y", 0o644, "file")).unwrap_err();
        ensure_equal(&original, &make("mode", "x", 0o755, "file")).unwrap_err();
        ensure_equal(&original, &make("target", "x", 0o644, "empty")).unwrap_err();
        let missing = make("missing", "x", 0o644, "file");
        fs::remove_dir(missing.join("empty")).unwrap();
        ensure_equal(&original, &missing).unwrap_err();
    }
}
