//! Trees that are dumped while they stay as they are, and while they do not.

use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use nars3_store_path::{Algorithm, Hash};

use super::*;
use crate::block::BLOCK;
use crate::{Decoder, Encoder, Event};

fn dumped(path: &Path) -> Result<Vec<u8>, DumpError> {
    let mut nar = Vec::new();
    dump(path, &mut nar, &DumpOptions::default())?;
    Ok(nar)
}

/// A writer that does something once, when the first block arrives.
struct Meanwhile<F>(Option<F>);

impl<F: FnOnce()> Write for Meanwhile<F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(action) = self.0.take() {
            action();
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Dumps a directory with a file `a` of three blocks and a small file `b`, while something happens to it.
fn change_meanwhile(action: impl FnOnce(&Path)) -> (PathBuf, Change) {
    let directory = tempfile::tempdir().unwrap();
    let tree = directory.path().join("tree");
    fs::create_dir(&tree).unwrap();
    fs::write(tree.join("a"), vec![b'x'; 3 * BLOCK]).unwrap();
    fs::write(tree.join("b"), "small").unwrap();
    let mut out = Meanwhile(Some(|| action(&tree)));
    match dump(&tree, &mut out, &DumpOptions::default()) {
        Err(DumpError::Changed { path, change }) => (path.strip_prefix(&tree).unwrap().to_path_buf(), change),
        other => panic!("the change was not noticed: {other:?}"),
    }
}

#[test]
fn a_file_that_grows_is_an_error() {
    let (path, change) = change_meanwhile(|tree| {
        let mut contents = fs::read(tree.join("a")).unwrap();
        contents.push(0);
        fs::write(tree.join("a"), contents).unwrap();
    });
    assert_eq!(path, Path::new("a"));
    assert!(matches!(change, Change::Size { opened, found } if found == opened + 1));
}

#[test]
fn a_file_that_shrinks_is_an_error() {
    let (path, change) = change_meanwhile(|tree| fs::write(tree.join("a"), "x").unwrap());
    assert_eq!(path, Path::new("a"));
    assert!(matches!(change, Change::Size { .. }));
}

#[test]
fn a_file_that_is_written_to_is_an_error_though_its_size_stays() {
    let (path, change) = change_meanwhile(|tree| {
        let file = fs::File::options().write(true).open(tree.join("a")).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(5)).unwrap();
    });
    assert_eq!((path.as_path(), change), (Path::new("a"), Change::Modified));
}

/// Waits until the file system's clock has moved on since the files were made.
fn let_time_pass() {
    std::thread::sleep(Duration::from_millis(50));
}

#[test]
fn a_file_that_is_written_to_is_an_error_though_its_time_is_set_back() {
    let (path, change) = change_meanwhile(|tree| {
        let_time_pass();
        let mut file = fs::File::options().write(true).open(tree.join("a")).unwrap();
        let before = file.metadata().unwrap().modified().unwrap();
        file.write_all(b"other contents").unwrap();
        file.set_modified(before).unwrap();
    });
    assert_eq!((path.as_path(), change), (Path::new("a"), Change::Modified));
}

#[test]
fn a_file_that_becomes_executable_is_an_error() {
    let (path, change) = change_meanwhile(|tree| {
        fs::set_permissions(tree.join("a"), fs::Permissions::from_mode(0o755)).unwrap();
    });
    assert_eq!((path.as_path(), change), (Path::new("a"), Change::Modified));
}

#[test]
fn a_file_that_gets_a_hard_link_is_the_same_file() {
    let directory = tempfile::tempdir().unwrap();
    let (file, link) = (directory.path().join("file"), directory.path().join("link"));
    fs::write(&file, vec![b'x'; 3 * BLOCK]).unwrap();
    let mut out = Meanwhile(Some(|| {
        let_time_pass();
        fs::hard_link(&file, &link).unwrap();
    }));
    dump(&file, &mut out, &DumpOptions::default()).unwrap();
    assert!(link.exists());
}

#[test]
fn a_file_that_comes_after_its_directory_was_listed_is_an_error() {
    let (path, change) = change_meanwhile(|tree| fs::write(tree.join("c"), "late").unwrap());
    assert_eq!(path, Path::new(""));
    assert!(matches!(change, Change::Modified));
}

#[test]
fn a_file_that_vanishes_is_an_error() {
    let (path, change) = change_meanwhile(|tree| fs::remove_file(tree.join("b")).unwrap());
    assert_eq!((path.as_path(), change), (Path::new("b"), Change::Vanished));
}

#[test]
fn a_file_that_becomes_a_symlink_is_not_followed() {
    let (path, change) = change_meanwhile(|tree| {
        fs::remove_file(tree.join("b")).unwrap();
        symlink("/etc/passwd", tree.join("b")).unwrap();
    });
    assert_eq!((path.as_path(), change), (Path::new("b"), Change::Replaced));
}

#[test]
fn a_file_that_becomes_a_pipe_does_not_block() {
    let (path, change) = change_meanwhile(|tree| {
        fs::remove_file(tree.join("b")).unwrap();
        make_pipe(&tree.join("b"));
    });
    assert_eq!((path.as_path(), change), (Path::new("b"), Change::Replaced));
}

fn make_pipe(path: &Path) {
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    mknodat(CWD, path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
}

#[test]
fn a_file_that_denies_its_size_is_an_error() {
    if !Path::new("/proc/version").exists() {
        return;
    }
    let error = dumped(Path::new("/proc/version")).unwrap_err();
    assert!(matches!(error, DumpError::Changed { change: Change::Size { opened: 0, .. }, .. }), "{error}");
}

#[test]
fn special_files_are_refused_by_name() {
    let directory = tempfile::tempdir().unwrap();
    make_pipe(&directory.path().join("pipe"));
    let error = dumped(directory.path()).unwrap_err();
    assert!(error.to_string().contains("/pipe` is a named pipe"), "{error}");

    let socket = directory.path().join("socket");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let error = dumped(&socket).unwrap_err();
    assert!(matches!(error, DumpError::UnsupportedType { path, found: "socket" } if path == socket));
    let error = dumped(Path::new("/dev/null")).unwrap_err();
    assert!(matches!(error, DumpError::UnsupportedType { found: "character device", .. }));
}

#[test]
fn a_missing_path_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("missing");
    let error = dumped(&missing).unwrap_err();
    assert!(matches!(error, DumpError::File { path, .. } if path == missing));
}

#[test]
fn the_root_may_be_a_file_or_a_symlink() {
    let directory = tempfile::tempdir().unwrap();
    let (file, link) = (directory.path().join("file"), directory.path().join("link"));
    fs::write(&file, "contents").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o700)).unwrap();
    symlink("file", &link).unwrap();

    let mut encoder = Encoder::new(Vec::new());
    encoder.regular_from(true, 8, &b"contents"[..]).unwrap();
    assert_eq!(dumped(&file).unwrap(), encoder.finish().unwrap());
    let mut encoder = Encoder::new(Vec::new());
    encoder.symlink(b"file").unwrap();
    let nar = encoder.finish().unwrap();
    assert_eq!(dumped(&link).unwrap(), nar);
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    assert_eq!(dumped(&link.join("")).unwrap(), nar);
}

#[test]
fn only_the_owner_makes_a_file_executable() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    for (mode, executable) in [(0o755, true), (0o100, true), (0o4500, true), (0o655, false), (0o411, false)] {
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        if !executable || mode & 0o400 != 0 || rustix::process::geteuid().is_root() {
            let nar = dumped(&file).unwrap();
            let event = Decoder::new(nar.as_slice()).next().unwrap().unwrap();
            assert!(
                matches!(event, Event::Regular { executable: found, .. } if found == executable),
                "{mode:o}"
            );
        }
    }
}

/// A chain of directories so that a file in the innermost is the `depth`th node.
fn nested(directory: &Path, depth: usize) -> PathBuf {
    let tree = directory.join("tree");
    let mut path = tree.clone();
    fs::create_dir(&path).unwrap();
    for _ in 2..depth {
        path.push("d");
        fs::create_dir(&path).unwrap();
    }
    fs::write(path.join("file"), "deep").unwrap();
    tree
}

#[test]
fn depth_is_bounded_so_that_every_nix_can_read_the_nar() {
    let directory = tempfile::tempdir().unwrap();
    let tree = nested(directory.path(), 65);
    let error = dumped(&tree).unwrap_err();
    assert!(matches!(&error, DumpError::TooDeep { path, limit: 64 } if path.ends_with("d/file")), "{error}");
    assert!(dumped(&tree.join("d")).is_ok());
}

#[test]
fn without_a_bound_depth_costs_no_descriptors() {
    let directory = tempfile::tempdir().unwrap();
    let tree = nested(directory.path(), 500);
    fs::write(tree.join("z"), "after the way back").unwrap();
    let mut nar = Vec::new();
    dump(&tree, &mut nar, &DumpOptions { limits: Limits::none(), ..DumpOptions::default() }).unwrap();
    let mut decoder = Decoder::with_limits(nar.as_slice(), Limits::none());
    let (mut deepest, mut depth) = (0, 0);
    while let Some(event) = decoder.next().unwrap() {
        match event {
            Event::Directory => depth += 1,
            Event::EndDirectory => depth -= 1,
            _ => deepest = deepest.max(depth),
        }
    }
    assert_eq!(deepest, 499);
    assert!(nar.windows(18).any(|window| window == b"after the way back"));
}

#[test]
fn holes_are_zeros() {
    use std::os::unix::fs::FileExt as _;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("sparse");
    let file = fs::File::create(&path).unwrap();
    let size = 5 * BLOCK as u64 + 123;
    file.set_len(size).unwrap();
    file.write_all_at(b"first", 1_000_000).unwrap();
    file.write_all_at(b"second", 1_200_001).unwrap();
    let mut encoder = Encoder::new(Vec::new());
    encoder.regular_from(false, size, fs::File::open(&path).unwrap()).unwrap();
    assert!(dumped(&path).unwrap() == encoder.finish().unwrap());
}

#[test]
fn entries_are_sorted_by_bytes() {
    let directory = tempfile::tempdir().unwrap();
    for name in ["b", "a", "B", "a.", "a-", "aa", "ä", "."] {
        if name != "." {
            fs::write(directory.path().join(name), name).unwrap();
        }
    }
    let nar = dumped(directory.path()).unwrap();
    let mut decoder = Decoder::new(nar.as_slice());
    let mut names = Vec::new();
    while let Some(event) = decoder.next().unwrap() {
        if let Event::Entry { name } = event {
            names.push(String::from_utf8(name).unwrap());
        }
    }
    assert_eq!(names, ["B", "a", "a-", "a.", "aa", "b", "ä"]);
}

#[test]
fn the_case_hack_is_undone() {
    let directory = tempfile::tempdir().unwrap();
    for name in ["README", "readme~nix~case~hack~1", "q"] {
        fs::write(directory.path().join(name), name).unwrap();
    }
    let options = DumpOptions { case_hack: true, ..DumpOptions::default() };
    let mut nar = Vec::new();
    dump(directory.path(), &mut nar, &options).unwrap();
    let text = String::from_utf8_lossy(&nar);
    assert!(text.find("README").unwrap() < text.find("readme").unwrap());
    let mut decoder = Decoder::new(nar.as_slice());
    let mut names = Vec::new();
    while let Some(event) = decoder.next().unwrap() {
        if let Event::Entry { name } = event {
            names.push(String::from_utf8(name).unwrap());
        }
    }
    assert_eq!(names, ["README", "q", "readme"]);

    fs::write(directory.path().join("q~nix~case~hack~7"), "").unwrap();
    let error = dump(directory.path(), &mut io::sink(), &options).unwrap_err();
    assert!(matches!(error, DumpError::NameCollision { .. }), "{error}");
}

#[test]
fn the_hash_is_that_of_the_dump_whatever_its_size() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    for size in [0, 1, BLOCK - 200, BLOCK - 96, BLOCK, 3 * BLOCK + 1, 20 * BLOCK] {
        fs::write(&path, vec![b'h'; size]).unwrap();
        let nar = dumped(&path).unwrap();
        let expected = (Hash::digest(Algorithm::Sha256, &nar), nar.len() as u64);
        assert_eq!(hash_path(&path, &DumpOptions::default()).unwrap(), expected, "{size}");
    }
    let nar = dumped(&path).unwrap();
    let (hash, _) = hash_path_with(&path, Algorithm::Sha512, &DumpOptions::default()).unwrap();
    assert_eq!(hash, Hash::digest(Algorithm::Sha512, &nar));
}

#[test]
fn a_writer_that_fails_ends_the_dump() {
    struct Full;
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let directory = tempfile::tempdir().unwrap();
    let error = dump(directory.path(), &mut Full, &DumpOptions::default()).unwrap_err();
    assert!(matches!(error, DumpError::Write(error) if error.kind() == io::ErrorKind::StorageFull));
}
