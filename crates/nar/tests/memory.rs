//! Memory does not grow with files: each operation on 10 MiB, 1 GiB and 8 GiB, as its own process, by its own peak.

#![cfg(test)]
#![cfg(target_os = "linux")]

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;

use nars3_nar::{
    ContentHashError, ContentHasher, Decoder, DumpOptions, Encoder, Limits, ListingError, ListingSink,
    Member, NarChecker, RestoreOptions, RestoreSink, dump, hash_path, list, restore,
};
use nars3_narinfo::Node;
use nars3_store_path::{Algorithm, ContentAddressMethod};

/// The variables by which a test tells its own copy what to do.
const OPERATION: &str = "NARS3_TEST_MEMORY_OPERATION";
const PATH: &str = "NARS3_TEST_MEMORY_PATH";

/// What an operation may need beyond what it needs for 10 MiB, in KiB: the noise of the allocator, and a queue that
/// was full in one run and not in the other. A hundredth of the smallest difference between the files.
const NOISE: u64 = 10 * 1024;

fn operate(operation: &str, path: &Path) {
    let options = DumpOptions::default();
    match operation {
        "dump" => dump(path, &mut io::sink(), &options).unwrap(),
        "hash" => assert!(hash_path(path, &options).unwrap().1 > 0),
        "check" => dump(path, &mut NarChecker::default(), &options).unwrap(),
        "list" => dump(path, &mut ListingSink::default(), &options).unwrap(),
        "content hash" => {
            let hash_part = "00bgd045z0d4icpbc2yyz4gx48ak44la".parse().unwrap();
            let method = ContentAddressMethod::NixArchive;
            let mut hasher = ContentHasher::new(method, Algorithm::Sha256, Some(hash_part));
            dump(path, &mut hasher, &options).unwrap();
        }
        "decode" => {
            let (reader, mut writer) = io::pipe().unwrap();
            std::thread::scope(|scope| {
                scope.spawn(move || dump(path, &mut writer, &options).unwrap());
                let mut decoder = Decoder::new(reader);
                while decoder.next().unwrap().is_some() {}
            });
        }
        "member" => {
            // The NAR of one file: the contents stand between these words and padding, which a member does not read.
            let mut nar = Vec::new();
            let mut encoder = Encoder::new(&mut nar);
            encoder.regular(false, 8).unwrap();
            encoder.contents(&[0; 8]).unwrap();
            encoder.finish().unwrap();
            let offset = list(nar.as_slice(), Limits::nix()).unwrap();
            let Node::Regular { nar_offset: Some(offset), .. } = offset.root else { panic!("{offset:?}") };
            let size = path.metadata().unwrap().len() - offset;
            let node = Node::Regular { size, executable: false, nar_offset: Some(offset) };
            let file = File::options().read(true).write(true).open(path).unwrap();
            file.write_all_at(&size.to_le_bytes(), offset - 8).unwrap();
            let mut member = Member::open(&file, &node).unwrap();
            assert_eq!(io::copy(&mut member, &mut io::sink()).unwrap(), size);
            file.write_all_at(&[0; 8], offset - 8).unwrap();
        }
        "encode" => {
            let mut encoder = Encoder::new(io::sink());
            let size = path.metadata().unwrap().len();
            encoder.regular_from(false, size, File::open(path).unwrap()).unwrap();
            encoder.finish().unwrap();
        }
        "restore from a pipe" => {
            let target = path.with_extension("restored");
            let (mut reader, mut writer) = io::pipe().unwrap();
            std::thread::scope(|scope| {
                scope.spawn(move || dump(path, &mut writer, &options).unwrap());
                let restored = RestoreOptions { sparse: true, ..RestoreOptions::default() };
                restore(&mut reader, &target, &restored).unwrap();
            });
            assert_eq!(target.metadata().unwrap().len(), path.metadata().unwrap().len());
            fs::remove_file(target).unwrap();
        }
        "restore" => {
            let target = path.with_extension("restored");
            let restored = RestoreOptions { sparse: true, ..RestoreOptions::default() };
            let mut sink = RestoreSink::create(&target, &restored).unwrap();
            dump(path, &mut sink, &options).unwrap();
            sink.finish().unwrap();
            assert_eq!(target.metadata().unwrap().len(), path.metadata().unwrap().len());
            fs::remove_file(target).unwrap();
        }
        "too many self-references" => {
            let hash_part = "00bgd045z0d4icpbc2yyz4gx48ak44la";
            let method = ContentAddressMethod::NixArchive;
            let mut hasher = ContentHasher::new(method, Algorithm::Sha256, hash_part.parse().ok());
            let mut encoder = Encoder::new(&mut hasher);
            encoder.regular(false, 512 << 20).unwrap();
            let part = hash_part.repeat(32 << 10);
            for _ in 0..512 {
                encoder.contents(part.as_bytes()).unwrap();
            }
            encoder.finish().unwrap();
            let error = hasher.finish().unwrap_err();
            assert!(matches!(error, ContentHashError::TooManySelfReferences { .. }), "{error}");
        }
        "too many entries" => list_too_much(|encoder| {
            for number in 0..=ListingSink::MAX_ENTRIES {
                encoder.entry(format!("{number:07}").as_bytes()).unwrap();
                encoder.directory().unwrap();
                encoder.end_directory().unwrap();
            }
        }),
        // The dearest that an entry can be: alone in its directory.
        "too many directories" => list_too_much(|encoder| {
            const DEPTH: u64 = 60;
            for number in 0..ListingSink::MAX_ENTRIES / DEPTH + 1 {
                encoder.entry(format!("{number:07}").as_bytes()).unwrap();
                encoder.directory().unwrap();
                for _ in 1..DEPTH {
                    encoder.entry(b"d").unwrap();
                    encoder.directory().unwrap();
                }
                for _ in 0..DEPTH {
                    encoder.end_directory().unwrap();
                }
            }
        }),
        "too long targets" => list_too_much(|encoder| {
            for number in 0..100_000 {
                encoder.entry(format!("{number:07}").as_bytes()).unwrap();
                encoder.symlink(&[b't'; 4095]).unwrap();
            }
        }),
        other => panic!("no operation {other}"),
    }
}

/// Lists a directory with these entries, which are too many.
fn list_too_much(entries: impl FnOnce(&mut Encoder<&mut ListingSink>)) {
    let mut sink = ListingSink::default();
    let mut encoder = Encoder::new(&mut sink);
    encoder.directory().unwrap();
    entries(&mut encoder);
    encoder.end_directory().unwrap();
    encoder.finish().unwrap();
    let error = sink.finish().unwrap_err();
    assert!(matches!(error, ListingError::TooLarge { .. }), "{error}");
}

/// The copy of this program that a test starts ends up here; without the variables there is nothing to do.
#[test]
fn measured() {
    let (Ok(operation), Some(path)) = (std::env::var(OPERATION), std::env::var_os(PATH)) else {
        return;
    };
    operate(&operation, Path::new(&path));
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak = peak.split_whitespace().next().unwrap();
    fs::write(Path::new(&path).with_extension("peak"), peak).unwrap();
}

/// The most memory that the operation ever had, in KiB.
fn peak(operation: &str, path: &Path) -> u64 {
    let mut copy = Command::new(std::env::current_exe().unwrap());
    let status = copy
        .args(["--exact", "measured", "--quiet"])
        .env(OPERATION, operation)
        .env(PATH, path)
        .output()
        .unwrap();
    io::stderr().write_all(&status.stderr).unwrap();
    assert!(status.status.success());
    fs::read_to_string(path.with_extension("peak")).unwrap().parse().unwrap()
}

#[test]
fn memory_is_bounded_whatever_a_small_download_unpacks_to() {
    let directory = tempfile::tempdir().unwrap();
    for (operation, most) in [
        ("too many self-references", 32 << 10),
        ("too many entries", 256 << 10),
        ("too many directories", 1 << 20),
        ("too long targets", 256 << 10),
    ] {
        let peak = peak(operation, &directory.path().join("none"));
        assert!(peak < most, "{operation}: {peak} KiB");
    }
}

/// Whether the long forms are wanted.
fn full() -> bool {
    std::env::var_os("NARS3_FULL").is_some_and(|value| !value.is_empty() && value != "0")
}

/// A hole is not read like data. So there is data too, as much as fits into a CI machine's memory.
#[test]
fn memory_is_the_same_for_files_that_hold_something() {
    let shared = Path::new("/dev/shm");
    let directory = if shared.is_dir() { tempfile::tempdir_in(shared) } else { tempfile::tempdir() }.unwrap();
    let path = directory.path().join("file");
    let mut file = File::create(&path).unwrap();
    let block: Vec<u8> =
        (0..1 << 20).map(|number: u32| (number.wrapping_mul(0x9e37_79b9) >> 24) as u8).collect();
    let mut small = Vec::new();
    for size in [10, 512] {
        while file.metadata().unwrap().len() < size << 20 {
            file.write_all(&block).unwrap();
        }
        let peaks =
            ["dump", "hash", "restore from a pipe"].map(|operation| (operation, peak(operation, &path)));
        if small.is_empty() {
            small = peaks.to_vec();
        }
        for ((operation, large), (_, small)) in peaks.iter().zip(&small) {
            assert!(*large < small + NOISE, "{operation}: {large} KiB for {size} MiB, {small} for 10 MiB");
        }
    }
}

#[test]
fn memory_is_the_same_for_files_of_any_size() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    let file = File::create(&path).unwrap();
    // What the files hold is all the same to memory, so they are holes, which cost no disk.
    let measure = |operation: &str, size: u64| {
        file.set_len(size).unwrap();
        peak(operation, &path)
    };
    for operation in [
        "dump",
        "hash",
        "check",
        "list",
        "content hash",
        "decode",
        "member",
        "encode",
        "restore",
        "restore from a pipe",
    ] {
        let small = measure(operation, 10 << 20);
        // Those that look at every byte take long for the largest in an unoptimised build.
        let thorough = matches!(operation, "check" | "list" | "content hash") && !full();
        for size in [1_u64 << 30, 8 << 30].into_iter().take(if thorough { 1 } else { 2 }) {
            let large = measure(operation, size);
            assert!(large < small + NOISE, "{operation}: {large} KiB for {size} bytes, {small} for 10 MiB");
        }
    }
}
