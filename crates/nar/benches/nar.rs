//! Dump, hash and restore beside their peers: `nix-store`, the crate `nix-nar`, GNU `tar`, and SHA-256 alone.
//!
//! Prints a table of the best of several rounds, in which the candidates take turns, and of ratios to ours. Programs
//! are measured as programs, so ours is too: this program calls itself. Trees lie in `/dev/shm` where there is one, so
//! that no disk is measured. `NARS3_BENCH_ROUNDS` sets the rounds (default 5), `NARS3_BENCH_MIB` the size of the
//! large tree (default 1,024); words on the command line choose parts by name, as in `cargo bench -p nars3-nar -- hash`.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a program for the developer's terminal"
)]

use std::fs::{self, File};
use std::hint::black_box;
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nars3_nar::{
    ContentHasher, Decoder, DumpOptions, ListingSink, NarChecker, RestoreOptions, dump, hash_path, list,
    restore,
};
use nars3_store_path::{Algorithm, ContentAddressMethod, Hasher};

/// The variable by which this program tells itself what to do.
const ROLE: &str = "NARS3_BENCH_ROLE";

fn main() {
    if let Ok(role) = std::env::var(ROLE) {
        return play(&role, Path::new(&std::env::var_os("NARS3_BENCH_PATH").unwrap()));
    }
    let place = if Path::new("/dev/shm").is_dir() { Path::new("/dev/shm") } else { Path::new("/tmp") };
    let place = tempfile::tempdir_in(place).unwrap();
    let mib = number("NARS3_BENCH_MIB", 1024);
    let large = place.path().join("large");
    make_tree(&large, 10_000, mib << 20);
    println!("== {mib} MiB in 10,000 files");
    bench_tree(&large, place.path());
    fs::remove_dir_all(&large).unwrap();
    let small = place.path().join("small");
    make_tree(&small, 50_000, 200 << 20);
    println!("== 200 MiB in 50,000 files");
    bench_tree(&small, place.path());
    fs::remove_dir_all(&small).unwrap();
    bench_memory(place.path());
}

/// What this program does when it calls itself.
fn play(role: &str, path: &Path) {
    let sink = &mut io::sink();
    match role {
        "dump" => dump(path, &mut io::stdout().lock(), &DumpOptions::default()).unwrap(),
        "dump nix-nar" => {
            let mut encoder = nix_nar::Encoder::new(path).unwrap();
            io::copy(&mut encoder, &mut io::stdout().lock()).unwrap();
        }
        "restore" | "restore sparse" => {
            let options = RestoreOptions { sparse: role == "restore sparse", ..RestoreOptions::default() };
            restore(&mut io::stdin().lock(), path, &options).unwrap();
        }
        "restore canonical" => {
            let options = RestoreOptions { canonical: true, ..RestoreOptions::default() };
            restore(&mut io::stdin().lock(), path, &options).unwrap();
        }
        "restore nix-nar" => nix_nar::Decoder::new(io::stdin().lock()).unwrap().unpack(path).unwrap(),
        "memory dump" => dump(path, sink, &DumpOptions::default()).unwrap(),
        "memory hash" => drop(hash_path(path, &DumpOptions::default()).unwrap()),
        "memory list" => dump(path, &mut ListingSink::default(), &DumpOptions::default()).unwrap(),
        "memory check" => dump(path, &mut NarChecker::default(), &DumpOptions::default()).unwrap(),
        "memory content hash" => {
            let hash_part = "00bgd045z0d4icpbc2yyz4gx48ak44la".parse().unwrap();
            let method = ContentAddressMethod::NixArchive;
            let mut hasher = ContentHasher::new(method, Algorithm::Sha256, Some(hash_part));
            dump(path, &mut hasher, &DumpOptions::default()).unwrap();
        }
        "memory decode" => {
            let mut decoder = Decoder::new(io::stdin().lock());
            while decoder.next().unwrap().is_some() {
                io::copy(&mut decoder.contents(), sink).unwrap();
            }
        }
        "memory restore" => {
            let options = RestoreOptions { sparse: true, ..RestoreOptions::default() };
            restore(&mut io::stdin().lock(), path, &options).unwrap();
        }
        other => panic!("no role {other}"),
    }
    if role.starts_with("memory") {
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let peak = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
        println!("{}", peak.split_whitespace().nth(1).unwrap());
    }
}

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |text| text.parse().unwrap())
}

/// A tree of files of very different sizes, a hundred in a directory, with the total given. Their contents compress
/// badly and differ.
fn make_tree(path: &Path, files: u64, total: u64) {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    // Sizes in proportion to the square of a random number: many small files, few large ones.
    let weights: Vec<f64> = (0..files).map(|_| (random() as f64 / u64::MAX as f64).powi(2)).collect();
    let sum: f64 = weights.iter().sum();
    fs::create_dir(path).unwrap();
    for (index, weight) in weights.iter().enumerate() {
        let directory = path.join(format!("directory-{:03}", index / 100));
        if index % 100 == 0 {
            fs::create_dir(&directory).unwrap();
        }
        let mut out =
            BufWriter::new(File::create(directory.join(format!("file-{:02}", index % 100))).unwrap());
        for _ in 0..(weight / sum * total as f64) as u64 / 8 {
            out.write_all(&random().to_le_bytes()).unwrap();
        }
        out.flush().unwrap();
    }
}

/// Something to measure: its name, and what to do, with what to clean up afterwards.
struct Candidate<'c> {
    name: &'static str,
    run: Box<dyn FnMut() + 'c>,
    clean: Box<dyn FnMut() + 'c>,
}

impl<'c> Candidate<'c> {
    fn new(name: &'static str, run: impl FnMut() + 'c) -> Self {
        Self { name, run: Box::new(run), clean: Box::new(|| {}) }
    }

    /// A shell command, which may call this program as `$SELF`.
    fn shell(name: &'static str, role: &str, path: &Path, script: &str) -> Self {
        let mut command = Command::new("sh");
        command.args(["-c", script]).env(ROLE, role).env("NARS3_BENCH_PATH", path);
        command.env("SELF", std::env::current_exe().unwrap()).stderr(Stdio::null());
        Self::new(name, move || assert!(command.status().unwrap().success(), "{name}"))
    }

    fn cleaning(mut self, clean: impl FnMut() + 'c) -> Self {
        self.clean = Box::new(clean);
        self
    }
}

/// Whether a part is wanted: all are, unless the command line names some.
fn wanted(what: &str) -> bool {
    let mut filters = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).peekable();
    filters.peek().is_none() || filters.any(|filter| what.contains(&filter))
}

/// Measures candidates in turn and prints their best times; the first is ours.
fn compare(what: &str, mut candidates: Vec<Candidate<'_>>) {
    if !wanted(what) {
        return;
    }
    let mut best = vec![Duration::MAX; candidates.len()];
    for _ in 0..number("NARS3_BENCH_ROUNDS", 5) {
        for (candidate, best) in candidates.iter_mut().zip(&mut best) {
            let start = Instant::now();
            (candidate.run)();
            *best = start.elapsed().min(*best);
            (candidate.clean)();
        }
    }
    println!("{what}");
    for (candidate, time) in candidates.iter().zip(&best) {
        let ratio = time.as_secs_f64() / best[0].as_secs_f64();
        println!("  {:<34} {:>8.1} ms  {ratio:>6.2} x ours", candidate.name, time.as_secs_f64() * 1e3);
    }
}

fn bench_tree(tree: &Path, place: &Path) {
    let (nar, tar) = (place.join("nar"), place.join("tar"));
    dump(tree, &mut File::create(&nar).unwrap(), &DumpOptions::default()).unwrap();
    let parent = tree.parent().unwrap();
    let mut packing = Command::new("tar");
    packing.arg("cf").arg(&tar).arg("-C").arg(parent).arg(tree.file_name().unwrap());
    assert!(packing.status().unwrap().success());
    let quoted = |path: &Path| format!("'{}'", path.display());
    let (tree_q, nar_q, tar_q) = (quoted(tree), quoted(&nar), quoted(&tar));

    compare(
        "dump through a pipe",
        vec![
            Candidate::shell("nars3", "dump", tree, "\"$SELF\" | cat >/dev/null"),
            Candidate::shell(
                "nix-store --dump",
                "",
                tree,
                &format!("nix-store --dump {tree_q} | cat >/dev/null"),
            ),
            Candidate::shell("nix-nar", "dump nix-nar", tree, "\"$SELF\" | cat >/dev/null"),
            Candidate::shell("tar cf -", "", tree, &format!("tar cf - {tree_q} | cat >/dev/null")),
        ],
    );
    compare(
        "dump to nowhere",
        vec![
            Candidate::new("nars3", || dump(tree, &mut io::sink(), &DumpOptions::default()).unwrap()),
            Candidate::shell(
                "nix-store --dump >/dev/null",
                "",
                tree,
                &format!("nix-store --dump {tree_q} >/dev/null"),
            ),
            Candidate::new("nix-nar", || {
                io::copy(&mut nix_nar::Encoder::new(tree).unwrap(), &mut io::sink()).map(drop).unwrap();
            }),
        ],
    );
    let bytes = fs::read(&nar).unwrap();
    compare(
        "hash",
        vec![
            Candidate::new("nars3 hash_path", || {
                black_box(hash_path(tree, &DumpOptions::default()).unwrap());
            }),
            Candidate::new("SHA-256 alone, NAR in memory", || {
                let mut hasher = Hasher::new(Algorithm::Sha256);
                hasher.update(&bytes);
                black_box(hasher.finish());
            }),
            Candidate::shell(
                "openssl dgst -sha256 NAR",
                "",
                tree,
                &format!("openssl dgst -sha256 {nar_q} >/dev/null"),
            ),
            Candidate::shell(
                "nix-hash --type sha256 TREE",
                "",
                tree,
                &format!("nix-hash --type sha256 {tree_q} >/dev/null"),
            ),
        ],
    );
    compare(
        "list",
        vec![
            Candidate::new("nars3 list, NAR in memory", || {
                drop(list(bytes.as_slice(), Default::default()).unwrap());
            }),
            Candidate::new("nars3 check, NAR in memory", || {
                NarChecker::default().push(&bytes).map(drop).unwrap();
            }),
        ],
    );
    drop(bytes);
    let target = place.join("target");
    let clean = || fs::remove_dir_all(&target).unwrap();
    let target_q = quoted(&target);
    compare(
        "restore",
        vec![
            Candidate::shell("nars3", "restore", &target, &format!("\"$SELF\" <{nar_q}")).cleaning(clean),
            Candidate::shell(
                "nars3, canonical",
                "restore canonical",
                &target,
                &format!("\"$SELF\" <{nar_q}"),
            )
            .cleaning(clean),
            Candidate::shell(
                "nix-store --restore",
                "",
                tree,
                &format!("nix-store --restore {target_q} <{nar_q}"),
            )
            .cleaning(clean),
            Candidate::shell("nix-nar", "restore nix-nar", &target, &format!("\"$SELF\" <{nar_q}"))
                .cleaning(clean),
            Candidate::shell(
                "tar xf",
                "",
                tree,
                &format!("mkdir {target_q} && tar xf {tar_q} -C {target_q}"),
            )
            .cleaning(clean),
        ],
    );
    fs::remove_file(&nar).unwrap();
    fs::remove_file(&tar).unwrap();
}

/// The most memory that each operation ever had, for files of very different sizes.
fn bench_memory(place: &Path) {
    if !wanted("memory") {
        return;
    }
    let sizes: [u64; 3] = [10 << 20, 1 << 30, 8 << 30];
    println!("== peak memory in KiB, for a sparse file of 10 MiB, 1 GiB and 8 GiB");
    let files: Vec<PathBuf> = sizes.iter().map(|size| place.join(format!("sparse-{size}"))).collect();
    for (size, path) in sizes.iter().zip(&files) {
        File::create(path).unwrap().set_len(*size).unwrap();
    }
    let executable = std::env::current_exe().unwrap();
    for role in ["dump", "hash", "list", "check", "content hash", "decode", "restore"] {
        let peaks: Vec<String> = files
            .iter()
            .map(|path| {
                let mut own = Command::new(&executable);
                own.env(ROLE, format!("memory {role}")).env("NARS3_BENCH_PATH", path);
                if !matches!(role, "decode" | "restore") {
                    let output = own.output().unwrap();
                    return String::from_utf8(output.stdout).unwrap().trim().to_owned();
                }
                let mut source = Command::new(&executable)
                    .env(ROLE, "dump")
                    .env("NARS3_BENCH_PATH", path)
                    .stdout(Stdio::piped())
                    .spawn()
                    .unwrap();
                let target = place.join("target");
                let own = own.env("NARS3_BENCH_PATH", &target).stdin(source.stdout.take().unwrap());
                let output = own.output().unwrap();
                assert!(source.wait().unwrap().success() && output.status.success());
                let _ = fs::remove_file(&target);
                String::from_utf8(output.stdout).unwrap().trim().to_owned()
            })
            .collect();
        println!("  {role:<34} {}", peaks.join("  "));
    }
}
