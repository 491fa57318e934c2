//! A NAR from a stranger, restored: nothing outside the target changes, and what was restored dumps to what came.
#![no_main]

use std::fs;
use std::path::Path;

use libfuzzer_sys::fuzz_target;
use nars3_nar::{Decoder, DumpOptions, RestoreOptions, dump, restore};

/// Everything beside the target, with its contents.
fn surroundings(directory: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found: Vec<_> = fs::read_dir(directory)
        .expect("the directory is ours")
        .map(|entry| entry.expect("the directory is ours").path())
        .filter(|path| !path.ends_with("target"))
        .map(|path| {
            let kind = fs::symlink_metadata(&path).expect("it is there").file_type();
            let contents = if kind.is_file() { fs::read(&path).expect("it is ours") } else { Vec::new() };
            (format!("{} {kind:?}", path.display()), contents)
        })
        .collect();
    found.sort();
    found
}

fuzz_target!(|bytes: &[u8]| {
    let directory = tempfile::tempdir_in(if Path::new("/dev/shm").exists() { "/dev/shm" } else { "/tmp" })
        .expect("a temporary directory");
    fs::write(directory.path().join("sibling"), "untouched").expect("the directory is ours");
    std::os::unix::fs::symlink("target", directory.path().join("link")).expect("the directory is ours");
    let before = surroundings(directory.path());
    let target = directory.path().join("target");
    let restored = restore(&mut &*bytes, &target, &RestoreOptions::default());
    assert_eq!(before, surroundings(directory.path()), "something beside the target changed");
    if restored.is_ok() {
        let mut decoder = Decoder::new(bytes);
        while decoder.next().expect("it was restored").is_some() {}
        let size = usize::try_from(decoder.offset()).expect("it is in memory");
        let mut dumped = Vec::new();
        dump(&target, &mut dumped, &DumpOptions::default()).expect("what was restored can be dumped");
        assert_eq!(dumped, bytes[..size]);
    }
});
