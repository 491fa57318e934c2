//! Modes, owners, times and access rules of what was restored.

use std::os::unix::fs::MetadataExt as _;

use super::{Place, sample};
use crate::restore::{Owner, RestoreOptions};

#[test]
fn canonical_metadata_is_that_of_the_store() {
    let place = Place::new();
    place.restore(&sample(), &RestoreOptions { canonical: true, ..RestoreOptions::default() }).unwrap();
    for (name, mode) in [
        ("", 0o40555),
        ("bin", 0o40555),
        ("bin/run", 0o100555),
        ("data", 0o100444),
        ("empty", 0o40555),
        ("link", 0o120777),
    ] {
        let metadata = place.target().join(name).symlink_metadata().unwrap();
        assert_eq!(metadata.mode(), mode, "{name}");
        assert_eq!((metadata.mtime(), metadata.mtime_nsec()), (1, 0), "{name}");
    }
}

/// In a process of its own, because all threads share one umask.
#[test]
fn without_canonical_metadata_the_umask_rules_but_not_over_executables() {
    const UMASK: &str = "NARS3_TEST_RESTORE_UMASK";
    if let Ok(umask) = std::env::var(UMASK) {
        rustix::process::umask(rustix::fs::Mode::from_raw_mode(u32::from_str_radix(&umask, 8).unwrap()));
        let place = Place::new();
        place.restore(&sample(), &RestoreOptions::default()).unwrap();
        let (directory, file, executable) =
            if umask == "022" { (0o755, 0o644, 0o755) } else { (0o700, 0o600, 0o711) };
        for (name, mode) in [
            ("", directory),
            ("bin", directory),
            ("bin/run", executable),
            ("data", file),
            ("empty", directory),
        ] {
            let found = place.target().join(name).metadata().unwrap().mode() & 0o7777;
            assert_eq!(found, mode, "{name} under {umask}: {found:o}");
        }
        return;
    }
    for umask in ["022", "077"] {
        let test =
            "restore::tests::metadata::without_canonical_metadata_the_umask_rules_but_not_over_executables";
        let output = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", test])
            .env(UMASK, umask)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && text.contains("1 passed"), "{text}");
    }
}

#[test]
fn owners_are_set_where_the_system_allows_it() {
    if !crate::test_needs::is_root("owners_are_set_where_the_system_allows_it") {
        return;
    }
    for canonical in [false, true] {
        let place = Place::new();
        let owner = Some(Owner { uid: 12, gid: 34 });
        place.restore(&sample(), &RestoreOptions { owner, canonical, ..RestoreOptions::default() }).unwrap();
        for name in ["", "bin", "bin/run", "data", "empty", "link"] {
            let metadata = place.target().join(name).symlink_metadata().unwrap();
            assert_eq!((metadata.uid(), metadata.gid()), (12, 34), "{name}");
        }
    }
}

/// The parent directory has rules of access for everything that is created in it.
#[test]
#[cfg(target_os = "linux")]
fn canonical_metadata_has_no_inherited_access_rules() {
    use rustix::fs::{XattrFlags, llistxattr, setxattr};
    // Version 2, then tag, permissions and user of each rule: owner, user 12, group, mask, others.
    let mut rules = 2_u32.to_le_bytes().to_vec();
    for (tag, user) in [(1_u16, u32::MAX), (2, 12), (4, u32::MAX), (16, u32::MAX), (32, u32::MAX)] {
        rules.extend_from_slice(&tag.to_le_bytes());
        rules.extend_from_slice(&7_u16.to_le_bytes());
        rules.extend_from_slice(&user.to_le_bytes());
    }
    let place = Place::new();
    let parent = place.directory.path();
    if setxattr(parent, "system.posix_acl_default", &rules, XattrFlags::empty()).is_err() {
        // Not every file system has such rules.
        return;
    }
    place.restore(&sample(), &RestoreOptions { canonical: true, ..RestoreOptions::default() }).unwrap();
    for (name, mode) in [("", 0o40555), ("bin", 0o40555), ("bin/run", 0o100555), ("data", 0o100444)] {
        let path = place.target().join(name);
        assert_eq!(path.metadata().unwrap().mode(), mode, "{name}");
        assert_eq!(llistxattr(&path, &mut [0_u8; 256]), Ok(0), "{name}");
        assert_eq!(path.metadata().unwrap().mtime(), 1, "{name}");
    }
}
