//! NARs that become trees, and NARs that try to become something else.

mod atomic;
mod metadata;

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::PathBuf;

use super::*;
use crate::{DumpOptions, Encoder, FormatErrorKind, dump};

/// A directory to restore in, with something beside the target that must stay as it is.
struct Place {
    directory: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("outside")).unwrap();
        fs::write(directory.path().join("outside/precious"), "precious").unwrap();
        Self { directory }
    }

    fn target(&self) -> PathBuf {
        self.directory.path().join("target")
    }

    fn restore(&self, nar: &[u8], options: &RestoreOptions) -> Result<RestoreSummary, RestoreError> {
        restore(&mut &*nar, &self.target(), options)
    }

    /// Everything beside the target is as it was.
    fn check_outside(&self) {
        let names = |path: PathBuf| {
            let mut names: Vec<_> =
                fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            names.sort();
            names
        };
        let mut expected = vec!["outside"];
        if self.target().symlink_metadata().is_ok() {
            expected.push("target");
        }
        assert_eq!(names(self.directory.path().into()), expected);
        assert_eq!(names(self.directory.path().join("outside")), ["precious"]);
        assert_eq!(fs::read(self.directory.path().join("outside/precious")).unwrap(), b"precious");
    }
}

/// A tree with one of everything.
fn sample() -> Vec<u8> {
    let mut encoder = Encoder::new(Vec::new());
    encoder.directory().unwrap();
    encoder.entry(b"bin").unwrap();
    encoder.directory().unwrap();
    encoder.entry(b"run").unwrap();
    encoder.regular_from(true, 4, &b"#!sh"[..]).unwrap();
    encoder.end_directory().unwrap();
    encoder.entry(b"data").unwrap();
    encoder.regular_from(false, 5, &b"12345"[..]).unwrap();
    encoder.entry(b"empty").unwrap();
    encoder.directory().unwrap();
    encoder.end_directory().unwrap();
    encoder.entry(b"link").unwrap();
    encoder.symlink(b"../outside/precious").unwrap();
    encoder.end_directory().unwrap();
    encoder.finish().unwrap()
}

fn file(size: usize) -> Vec<u8> {
    let mut encoder = Encoder::new(Vec::new());
    encoder.regular_from(false, size as u64, vec![b'f'; size].as_slice()).unwrap();
    encoder.finish().unwrap()
}

fn dumped(path: &Path) -> Vec<u8> {
    let mut nar = Vec::new();
    dump(path, &mut nar, &DumpOptions { limits: Limits::none(), ..DumpOptions::default() }).unwrap();
    nar
}

#[test]
fn a_tree_comes_back_and_is_counted() {
    let place = Place::new();
    let nar = sample();
    let summary = place.restore(&nar, &RestoreOptions::default()).unwrap();
    assert_eq!(dumped(&place.target()), nar);
    let expected =
        RestoreSummary { nar_size: nar.len() as u64, files: 2, directories: 3, symlinks: 1, contents: 9 };
    assert_eq!(summary, expected);
    place.check_outside();
}

#[test]
fn chunks_of_any_size_make_the_same_tree() {
    let nar = sample();
    for size in [1, 7, 8, 100, nar.len()] {
        let place = Place::new();
        let mut sink = RestoreSink::create(&place.target(), &RestoreOptions::default()).unwrap();
        for chunk in nar.chunks(size) {
            assert_eq!(sink.push(chunk).unwrap(), chunk.len());
        }
        assert!(sink.is_finished());
        sink.finish().unwrap();
        assert_eq!(dumped(&place.target()), nar);
    }
}

#[test]
fn large_files_come_back_on_one_thread_and_on_two() {
    for overlap in [false, true] {
        for size in [BLOCK - 96, BLOCK, 2 * BLOCK - 96, 11 * BLOCK + 5] {
            let place = Place::new();
            let nar = file(size);
            place.restore(&nar, &RestoreOptions { overlap, ..RestoreOptions::default() }).unwrap();
            assert!(dumped(&place.target()) == nar, "{size}");
        }
    }
}

#[test]
fn an_existing_target_is_left_alone() {
    for kind in ["file", "directory", "dangling symlink", "symlink to a directory"] {
        let place = Place::new();
        match kind {
            "file" => fs::write(place.target(), "old").unwrap(),
            "directory" => fs::create_dir(place.target()).unwrap(),
            "dangling symlink" => symlink("outside/new", place.target()).unwrap(),
            _ => symlink("outside", place.target()).unwrap(),
        }
        let before = place.target().symlink_metadata().unwrap();
        let mut link = Encoder::new(Vec::new());
        link.symlink(b"x").unwrap();
        for nar in [sample(), file(10), link.finish().unwrap()] {
            let error = place.restore(&nar, &RestoreOptions::default()).unwrap_err();
            assert!(matches!(error, RestoreError::TargetExists { .. }), "{kind}: {error}");
        }
        let after = place.target().symlink_metadata().unwrap();
        assert_eq!((before.ino(), before.len()), (after.ino(), after.len()), "{kind}");
        place.check_outside();
    }
}

#[test]
fn a_target_without_a_name_is_refused() {
    for target in ["/", "..", "a/..", ""] {
        let error = restore(&mut sample().as_slice(), Path::new(target), &RestoreOptions::default());
        assert!(matches!(error, Err(RestoreError::BadTarget { .. })), "{target}");
    }
}

/// Strings as they stand in a NAR.
fn strings(strings: &[&str]) -> Vec<u8> {
    let mut nar = Vec::new();
    for string in strings {
        nar.extend_from_slice(&(string.len() as u64).to_le_bytes());
        nar.extend_from_slice(string.as_bytes());
        nar.resize(nar.len().next_multiple_of(8), 0);
    }
    nar
}

#[test]
fn a_symlink_and_then_a_path_through_it_is_refused() {
    let place = Place::new();
    let mut words = vec!["nix-archive-1", "(", "type", "directory"];
    words.extend(["entry", "(", "name", "a", "node"]);
    words.extend(["(", "type", "symlink", "target", "../outside", ")", ")"]);
    words.extend(["entry", "(", "name", "a", "node", "(", "type", "directory"]);
    words.extend(["entry", "(", "name", "evil", "node", "(", "type", "regular", "contents", "", ")", ")"]);
    let error = place.restore(&strings(&words), &RestoreOptions::default()).unwrap_err();
    let RestoreError::Format(error) = error else { panic!("{error}") };
    assert_eq!(error.kind, FormatErrorKind::DuplicateName { name: b"a".to_vec() });
    place.check_outside();
}

#[test]
fn names_that_lead_elsewhere_are_refused() {
    for name in ["..", ".", "", "/etc", "../outside/evil", "outside/evil", "a\0b"] {
        let place = Place::new();
        let mut words = vec!["nix-archive-1", "(", "type", "directory", "entry", "(", "name", name, "node"];
        words.extend(["(", "type", "regular", "contents", "", ")", ")", ")"]);
        let error = place.restore(&strings(&words), &RestoreOptions::default()).unwrap_err();
        let RestoreError::Format(error) = error else { panic!("{error}") };
        assert!(matches!(error.kind, FormatErrorKind::InvalidName { .. }));
        place.check_outside();
    }
}

/// A file system that knows no case is played by somebody who is faster than the restore.
#[test]
fn a_name_that_exists_is_a_collision_and_named_itself() {
    let nar = sample();
    for (name, inside, place_of_name) in
        [("link", "", "link"), ("data", "", "data"), ("run", "bin", "bin/run")]
    {
        let place = Place::new();
        let before = nar.windows(name.len()).position(|window| window == name.as_bytes()).unwrap();
        let mut sink = RestoreSink::create(&place.target(), &RestoreOptions::default()).unwrap();
        sink.push(&nar[..before]).unwrap();
        fs::write(place.target().join(inside).join(name), "first").unwrap();
        let error = sink.push(&nar[before..]).unwrap_err();
        assert!(
            matches!(&error, RestoreError::NameCollision { path } if *path == place.target().join(place_of_name)),
            "{error}"
        );
    }
}

#[test]
fn a_symlink_that_cannot_be_created_is_named() {
    let place = Place::new();
    let mut encoder = Encoder::new(Vec::new());
    encoder.directory().unwrap();
    encoder.entry(b"d").unwrap();
    encoder.directory().unwrap();
    encoder.entry(b"link").unwrap();
    encoder.symlink(b"target").unwrap();
    encoder.end_directory().unwrap();
    encoder.end_directory().unwrap();
    let nar = encoder.finish().unwrap();
    let before = nar.windows(4).position(|window| window == b"link").unwrap();
    let mut sink = RestoreSink::create(&place.target(), &RestoreOptions::default()).unwrap();
    sink.push(&nar[..before]).unwrap();
    // Nothing can be created in a directory that is gone.
    fs::remove_dir(place.target().join("d")).unwrap();
    let error = sink.push(&nar[before..]).unwrap_err();
    let expected = place.target().join("d/link");
    assert!(matches!(&error, RestoreError::File { path, .. } if *path == expected), "{error}");
}

/// Somebody swaps a directory for a symlink to elsewhere while the restore is in it.
#[test]
fn a_directory_that_is_swapped_for_a_symlink_leads_nowhere() {
    let place = Place::new();
    let nar = sample();
    let middle = nar.windows(3).position(|window| window == b"run").unwrap();
    let mut sink = RestoreSink::create(&place.target(), &RestoreOptions::default()).unwrap();
    sink.push(&nar[..middle]).unwrap();
    let (bin, moved) = (place.target().join("bin"), place.target().join("moved"));
    fs::rename(&bin, &moved).unwrap();
    symlink(place.directory.path().join("outside"), &bin).unwrap();
    sink.push(&nar[middle..]).unwrap();
    sink.finish().unwrap();
    assert!(moved.join("run").exists());
    place.check_outside();
}

#[test]
fn a_new_directory_that_is_swapped_for_a_symlink_is_not_entered() {
    // Between `mkdir` and `open` nobody can be put by a test; that the way in refuses a symlink, can be tested.
    let place = Place::new();
    symlink("outside", place.target()).unwrap();
    let parent = fs::File::open(place.directory.path()).unwrap();
    use std::os::fd::AsFd as _;
    assert!(crate::directory::open_directory(parent.as_fd(), "target").is_err());
    assert!(crate::directory::open_directory(parent.as_fd(), "outside").is_ok());
}

#[test]
fn half_a_nar_is_an_error() {
    let nar = sample();
    for length in (0..nar.len()).step_by(8) {
        let place = Place::new();
        let error = place.restore(&nar[..length], &RestoreOptions::default()).unwrap_err();
        let RestoreError::Format(error) = error else { panic!("{error}") };
        assert!(matches!(error.kind, FormatErrorKind::UnexpectedEnd { .. }));
        place.check_outside();
    }
    for overlap in [false, true] {
        let place = Place::new();
        let nar = file(5 * BLOCK);
        let error = place
            .restore(&nar[..4 * BLOCK], &RestoreOptions { overlap, ..RestoreOptions::default() })
            .unwrap_err();
        assert!(matches!(error, RestoreError::Format(_)), "{error}");
    }
}

#[test]
fn a_huge_claim_costs_nothing() {
    let place = Place::new();
    let mut nar = strings(&["nix-archive-1", "(", "type", "regular", "contents"]);
    nar.extend_from_slice(&(1_u64 << 62).to_le_bytes());
    nar.extend_from_slice(b"little");
    assert!(matches!(place.restore(&nar, &RestoreOptions::default()), Err(RestoreError::Format(_))));
    assert_eq!(fs::read(place.target()).unwrap(), b"little");
}

#[test]
fn bytes_after_the_nar_are_refused_or_left_unread() {
    let stream = [sample(), b"rest".to_vec()].concat();
    let place = Place::new();
    let error = place.restore(&stream, &RestoreOptions::default()).unwrap_err();
    assert!(matches!(&error, RestoreError::Format(error) if error.kind == FormatErrorKind::TrailingData));

    let place = Place::new();
    let mut reader = stream.as_slice();
    let options = RestoreOptions { trailing: Trailing::LeaveUnread, ..RestoreOptions::default() };
    restore(&mut reader, &place.target(), &options).unwrap();
    assert_eq!(reader, b"rest");

    for overlap in [false, true] {
        let place = Place::new();
        let stream = [file(4 * BLOCK), b"rest".to_vec()].concat();
        let error = place.restore(&stream, &RestoreOptions { overlap, ..RestoreOptions::default() });
        assert!(
            matches!(error, Err(RestoreError::Format(error)) if error.kind == FormatErrorKind::TrailingData)
        );
    }
}

#[test]
fn a_reader_that_fails_is_the_cause_to_name() {
    struct Failing(u64);
    impl Read for Failing {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            if self.0 == 0 {
                return Err(io::ErrorKind::ConnectionReset.into());
            }
            self.0 -= 1;
            out.fill(b'f');
            Ok(out.len())
        }
    }
    for blocks in [0, 1, 8] {
        let place = Place::new();
        let nar = file(100 * BLOCK);
        let mut reader = Read::chain(&nar[..96], Failing(blocks));
        let error = restore(&mut reader, &place.target(), &RestoreOptions::default()).unwrap_err();
        assert!(
            matches!(&error, RestoreError::Read(error) if error.kind() == io::ErrorKind::ConnectionReset),
            "{error}"
        );
    }
}

#[test]
fn names_that_differ_only_in_case_can_be_kept_apart() {
    let mut encoder = Encoder::new(Vec::new());
    encoder.directory().unwrap();
    for name in ["FOO", "Foo", "bar", "foo"] {
        encoder.entry(name.as_bytes()).unwrap();
        encoder.regular_from(false, 3, name.as_bytes()).unwrap();
    }
    encoder.end_directory().unwrap();
    let nar = encoder.finish().unwrap();

    let place = Place::new();
    place.restore(&nar, &RestoreOptions { case_hack: true, ..RestoreOptions::default() }).unwrap();
    for (name, contents) in
        [("FOO", "FOO"), ("Foo~nix~case~hack~1", "Foo"), ("foo~nix~case~hack~2", "foo"), ("bar", "bar")]
    {
        assert_eq!(fs::read_to_string(place.target().join(name)).unwrap(), contents);
    }
    let mut back = Vec::new();
    dump(&place.target(), &mut back, &DumpOptions { case_hack: true, ..DumpOptions::default() }).unwrap();
    assert_eq!(back, nar);
}

#[test]
fn holes_can_be_left() {
    use std::os::unix::fs::FileExt as _;
    let place = Place::new();
    let source = place.directory.path().join("outside/sparse");
    let sparse = fs::File::create(&source).unwrap();
    sparse.set_len(20 * BLOCK as u64 + 7).unwrap();
    sparse.write_all_at(b"data", 3_000_000).unwrap();
    let nar = dumped(&source);
    for (sparse, most) in [(true, 2 * BLOCK as u64), (false, u64::MAX)] {
        let place = Place::new();
        place.restore(&nar, &RestoreOptions { sparse, ..RestoreOptions::default() }).unwrap();
        assert!(dumped(&place.target()) == nar);
        let allocated = place.target().metadata().unwrap().blocks() * 512;
        assert!(allocated <= most, "{allocated}");
    }
}

#[test]
fn without_a_bound_depth_costs_no_descriptors() {
    let mut encoder = Encoder::with_limits(Vec::new(), Limits::none());
    encoder.directory().unwrap();
    for _ in 0..400 {
        encoder.entry(b"d").unwrap();
        encoder.directory().unwrap();
    }
    for _ in 0..400 {
        encoder.end_directory().unwrap();
        encoder.entry(b"e").unwrap();
        encoder.symlink(b"x").unwrap();
    }
    encoder.end_directory().unwrap();
    let nar = encoder.finish().unwrap();
    let place = Place::new();
    assert!(matches!(place.restore(&nar, &RestoreOptions::default()), Err(RestoreError::Format(_))));
    let place = Place::new();
    let options = RestoreOptions { limits: Limits::none(), canonical: true, ..RestoreOptions::default() };
    place.restore(&nar, &options).unwrap();
    assert!(dumped(&place.target()) == nar);
    assert_eq!(place.target().join("d/d/d").metadata().unwrap().mtime(), 1);
}

#[test]
fn a_sink_that_failed_stays_failed() {
    let place = Place::new();
    let mut sink = RestoreSink::create(&place.target(), &RestoreOptions::default()).unwrap();
    let nar = sample();
    sink.write_all(&nar[..200]).unwrap();
    assert!(sink.write_all(&[b'x'; 64]).is_err());
    assert!(sink.write_all(&nar[200..]).is_err());
    assert!(sink.finish().is_err());
}
