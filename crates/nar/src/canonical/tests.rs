//! Trees with all sorts of metadata, made canonical.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

use super::*;

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn modes_and_times_become_those_of_the_store() {
    let directory = tempfile::tempdir().unwrap();
    let tree = directory.path().join("tree");
    fs::create_dir_all(tree.join("sub/empty")).unwrap();
    let modes = [
        (0o644, 0o444),
        (0o444, 0o444),
        (0o600, 0o444),
        (0o755, 0o555),
        (0o555, 0o555),
        (0o500, 0o555),
        (0o4755, 0o555),
        (0o4555, 0o555),
        (0o1444, 0o444),
        (0o455, 0o444),
        (0o000, 0o444),
    ];
    for (mode, _) in modes {
        let path = tree.join(format!("sub/{mode:o}"));
        fs::write(&path, "").unwrap();
        set_mode(&path, mode);
    }
    symlink("/nowhere", tree.join("link")).unwrap();
    set_mode(&tree.join("sub/empty"), 0o444);

    let outside = directory.path().join("outside");
    fs::write(&outside, "").unwrap();
    symlink("../outside", tree.join("to-outside")).unwrap();
    let before = outside.metadata().unwrap();

    canonicalise(&tree).unwrap();
    for (mode, expected) in modes {
        let metadata = tree.join(format!("sub/{mode:o}")).metadata().unwrap();
        assert_eq!(metadata.mode() & 0o7777, expected, "{mode:o}");
    }
    for name in ["", "sub", "sub/empty", "link", "to-outside", "sub/644"] {
        let metadata = tree.join(name).symlink_metadata().unwrap();
        assert_eq!((metadata.mtime(), metadata.mtime_nsec()), (1, 0), "{name}");
        if metadata.is_dir() {
            assert_eq!(metadata.mode() & 0o7777, 0o555, "{name}");
        }
    }
    let after = outside.metadata().unwrap();
    assert_eq!((before.mode(), before.mtime_nsec()), (after.mode(), after.mtime_nsec()));
}

#[test]
fn a_single_file_and_a_single_symlink_are_trees_too() {
    let directory = tempfile::tempdir().unwrap();
    let (file, link) = (directory.path().join("file"), directory.path().join("link"));
    fs::write(&file, "").unwrap();
    symlink("file", &link).unwrap();
    canonicalise(&link).unwrap();
    assert_eq!(link.symlink_metadata().unwrap().mtime(), 1);
    assert_ne!(file.metadata().unwrap().mtime(), 1);
    canonicalise(&file).unwrap();
    assert_eq!(file.metadata().unwrap().mtime(), 1);
}

#[test]
fn special_files_are_refused_by_name() {
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir(directory.path().join("sub")).unwrap();
    let socket = directory.path().join("sub/socket");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let error = canonicalise(directory.path()).unwrap_err();
    assert!(matches!(&error, CanonicaliseError::UnsupportedType { path, .. } if *path == socket), "{error}");
}

#[test]
fn owners_change_only_when_asked() {
    if !crate::test_needs::is_root("owners_change_only_when_asked") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let tree = directory.path().join("tree");
    fs::create_dir(&tree).unwrap();
    symlink("x", tree.join("link")).unwrap();
    std::os::unix::fs::lchown(tree.join("link"), Some(7), Some(8)).unwrap();
    let owner = |name: &str| {
        let metadata = tree.join(name).symlink_metadata().unwrap();
        (metadata.uid(), metadata.gid())
    };
    canonicalise(&tree).unwrap();
    assert_eq!(owner("link"), (7, 8));
    canonicalise_with(&tree, &CanonicalOptions { owner: Some(Owner { uid: 5, gid: 6 }) }).unwrap();
    assert_eq!((owner(""), owner("link")), ((5, 6), (5, 6)));
}

#[test]
#[cfg(target_os = "linux")]
fn extended_attributes_go() {
    use rustix::fs::{XattrFlags, listxattr, setxattr};
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    for path in [directory.path(), &file] {
        match setxattr(path, "user.note", b"1", XattrFlags::empty()) {
            Ok(()) => {}
            // Not every file system keeps them.
            Err(Errno::NOTSUP) => return,
            Err(error) => panic!("{error}"),
        }
    }
    canonicalise(directory.path()).unwrap();
    for path in [directory.path(), &file] {
        assert_eq!(listxattr(path, &mut [0_u8; 100]), Ok(0), "{}", path.display());
    }
    set_mode(directory.path(), 0o755);
}
