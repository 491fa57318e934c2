//! A NAR from a stranger, restored: nothing outside the target changes, an existing target neither, and what was
//! restored dumps to what came.
#![no_main]

use std::fs;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use libfuzzer_sys::fuzz_target;
use nars3_nar::{DumpOptions, Encoder, NarChecker, RestoreOptions, Trailing, dump, restore};

const HACK: &[u8] = b"~nix~case~hack~";

/// Everything below `directory` but for the target and its parent's own times: path, metadata and contents.
fn surroundings(directory: &Path, target: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut pending = vec![directory.to_owned()];
    while let Some(path) = pending.pop() {
        let metadata = fs::symlink_metadata(&path).expect("it is there");
        let mut description = format!("{path:?} {:o} {}", metadata.mode(), metadata.uid());
        if metadata.is_dir() {
            let entries = fs::read_dir(&path).expect("it is ours");
            let paths = entries.map(|entry| entry.expect("it is ours").path());
            pending.extend(paths.filter(|path| path != target));
        } else {
            description += &format!(" {} {} {}", metadata.nlink(), metadata.mtime(), metadata.mtime_nsec());
            description += &match fs::read_link(&path) {
                Ok(target) => format!(" -> {target:?}"),
                Err(_) => format!(": {:?}", fs::read(&path).expect("it is ours")),
            };
        }
        found.push(description);
    }
    found.sort();
    found
}

fn dumped(target: &Path, case_hack: bool) -> Vec<u8> {
    let mut nar = Vec::new();
    let options = DumpOptions { case_hack, ..DumpOptions::default() };
    dump(target, &mut nar, &options).expect("what was restored can be dumped");
    nar
}

/// The part of `bytes` that is a NAR, if it begins with one.
fn nar(bytes: &[u8]) -> Option<&[u8]> {
    let mut checker = NarChecker::default();
    let size = checker.push(bytes).ok()?;
    checker.is_finished().then(|| &bytes[..size])
}

/// The NAR's root in a directory behind a file so long that the rest is written by another thread than reads it.
fn behind_a_long_file(nar: &[u8]) -> Vec<u8> {
    const ROOT: usize = 24;
    let mut encoder = Encoder::new(Vec::new());
    encoder.directory().expect("a vector takes everything");
    encoder.entry(b"a").expect("a vector takes everything");
    encoder
        .regular_from(false, 300 << 10, std::io::repeat(7).take(300 << 10))
        .expect("a vector takes everything");
    encoder.entry(b"b").expect("a vector takes everything");
    encoder.symlink(b"x").expect("a vector takes everything");
    encoder.end_directory().expect("a vector takes everything");
    let whole = encoder.finish().expect("a vector takes everything");
    // The symlink's own node, and what closes entry and directory after it.
    let mut link = Encoder::new(Vec::new());
    link.symlink(b"x").expect("a vector takes everything");
    let link = link.finish().expect("a vector takes everything");
    let node = &link[ROOT..];
    let at = whole.windows(node.len()).rposition(|window| window == node).expect("it was just put there");
    [&whole[..at], nar.get(ROOT..).unwrap_or_default(), &whole[at + node.len()..]].concat()
}

fuzz_target!(|bytes: &[u8]| {
    let directory = tempfile::tempdir_in(if Path::new("/dev/shm").exists() { "/dev/shm" } else { "/tmp" })
        .expect("a temporary directory");
    // Somewhere to escape to: beside the target, above it, and through a symlink that leads to the target.
    let inner = directory.path().join("inner");
    let target = inner.join("target");
    fs::create_dir(&inner).expect("the directory is ours");
    for sibling in [inner.join("sibling"), directory.path().join("sibling"), directory.path().join("a")] {
        fs::write(sibling, "untouched").expect("the directory is ours");
    }
    std::os::unix::fs::symlink("target", inner.join("link")).expect("the directory is ours");
    let before = surroundings(directory.path(), &target);
    let unchanged =
        || assert_eq!(before, surroundings(directory.path(), &target), "something beside the target changed");

    // Read and written by two threads at once. Seldom: it is long.
    if bytes.len() % 16 == 0 && bytes.starts_with(b"\x0d\0\0\0\0\0\0\0nix-archive-1\0\0\0") {
        let long = behind_a_long_file(bytes);
        let restored = restore(&mut long.as_slice(), &target, &RestoreOptions::default());
        unchanged();
        match (&restored, nar(&long)) {
            (Ok(_), Some(nar)) => {
                assert!(nar.len() == long.len(), "bytes after the NAR");
                assert!(dumped(&target, false) == nar, "another NAR comes back");
            }
            (Ok(_), None) => panic!("restored what is no NAR"),
            (Err(error), whole) => {
                assert!(whole.is_none_or(|nar| nar.len() < long.len()), "refused: {error}")
            }
        }
        if target.is_dir() {
            fs::remove_dir_all(&target).expect("the directory is ours");
        }
    }

    // As it comes, and with everything that changes how files come to be.
    let plain = RestoreOptions { trailing: Trailing::LeaveUnread, ..RestoreOptions::default() };
    let all = RestoreOptions { canonical: true, case_hack: true, sparse: true, ..RestoreOptions::default() };
    for options in [plain, all] {
        let exact = matches!(options.trailing, Trailing::LeaveUnread);
        let restored = restore(&mut &*bytes, &target, &options);
        unchanged();
        match (&restored, nar(bytes)) {
            (Ok(summary), Some(nar)) => {
                assert_eq!(summary.nar_size, nar.len() as u64);
                assert!(exact || nar.len() == bytes.len(), "bytes after the NAR");
                assert!(restore(&mut &*bytes, &target, &options).is_err(), "an existing target is taken");
                unchanged();
                // A name that looks hacked already is taken as it is, and loses its suffix in dumping, in Nix too.
                let looks_hacked = nar.windows(HACK.len()).any(|window| window == HACK);
                if !(options.case_hack && looks_hacked) {
                    assert!(dumped(&target, options.case_hack) == nar, "another NAR comes back");
                }
            }
            (Ok(_), None) => panic!("restored what is no NAR"),
            (Err(error), Some(_)) if exact => panic!("a NAR is refused: {error}"),
            // Names can collide by the case hack, and bytes after the NAR are refused.
            (Err(error), _) => drop(error.to_string()),
        }
        if let Ok(metadata) = fs::symlink_metadata(&target) {
            let removed =
                if metadata.is_dir() { fs::remove_dir_all(&target) } else { fs::remove_file(&target) };
            if removed.is_err() {
                // Canonical directories cannot be changed by their owner, unless it is root.
                return;
            }
        }
    }
});
