//! A real Nix reads, refuses, signs and prints the same narinfos as this crate.
//!
//! Nix gets each narinfo in a `file://` cache and is asked for `nix path-info --json` of it.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr, reason = "helpers of tests are tests")]

mod support;

use std::path::Path;
use std::process::{Command, Output};

use nars3_narinfo::json::{NarFile, PathInfoDocument};
use nars3_narinfo::{CACHE_INFO_KEY, CacheInfo, Flags, NarInfo};
use nars3_store_path::{SecretKey, StoreDir, StorePath};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};
use support::made_up::{narinfo, spoilt};
use tempfile::TempDir;

/// A cache in a temporary folder, and a Nix that looks at nothing else.
struct Cache {
    folder: TempDir,
}

impl Cache {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let cache = Self { folder };
        for sub in ["cache", "conf", "home"] {
            std::fs::create_dir(cache.path().join(sub)).unwrap();
        }
        cache.write(CACHE_INFO_KEY, &CacheInfo::new(StoreDir::default()).to_text());
        cache
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn write(&self, key: &str, text: &str) {
        std::fs::write(self.path().join("cache").join(key), text).unwrap();
    }

    fn read(&self, key: &str) -> String {
        std::fs::read_to_string(self.path().join("cache").join(key)).unwrap()
    }

    fn nix(&self, arguments: &[&str]) -> Output {
        Command::new("nix")
            .args(arguments)
            .args(["--store", &format!("file://{}/cache", self.path().display())])
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.path().join("home"))
            .env("NIX_CONF_DIR", self.path().join("conf"))
            .env("NIX_CONFIG", "experimental-features = nix-command")
            .output()
            .unwrap()
    }

    /// What Nix says of the only path with this hash part, or its complaint.
    fn path_info(&self, path: &StorePath) -> Result<PathInfoDocument, String> {
        // The name `x` stands for any name.
        let asked = StorePath::from_parts(&path.hash_part(), "x").unwrap();
        let output = self.nix(&["path-info", "--json", &StoreDir::default().print(&asked)]);
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned());
        }
        let json = String::from_utf8(output.stdout).unwrap();
        Ok(PathInfoDocument::from_json(&StoreDir::default(), &json)
            .unwrap_or_else(|error| panic!("{error}\n{json}")))
    }
}

/// The same samples in every run.
fn samples<T: std::fmt::Debug>(strategy: &impl Strategy<Value = T>, count: usize) -> Vec<T> {
    let mut runner = TestRunner::new_with_rng(
        Config::default(),
        proptest::test_runner::TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha),
    );
    (0..count).map(|_| strategy.new_tree(&mut runner).unwrap().current()).collect()
}

/// What the JSON of Nix 2.8 can say of a narinfo: it leaves out the compression, and sizes of 0.
fn as_nix_says(narinfo: &NarInfo) -> NarFile {
    let file_size = narinfo.file_size.filter(|size| *size != 0);
    NarFile { compression: None, file_size, ..NarFile::from(narinfo) }
}

#[test]
fn nix_reads_what_is_printed_here() {
    if !support::has_nix("nix_reads_what_is_printed_here") {
        return;
    }
    let cache = Cache::new();
    for narinfo in samples(&narinfo(), 60) {
        let path = &narinfo.info.path;
        cache.write(&narinfo.key(), &narinfo.to_text(&StoreDir::default()));
        let document = cache.path_info(path).unwrap_or_else(|error| panic!("{error}\n{narinfo:?}"));
        let entry = document.entries[path].as_ref().unwrap();
        assert_eq!(entry.info, narinfo.info);
        assert_eq!(entry.file, Some(as_nix_says(&narinfo)));
    }
}

/// Good narinfos, spoilt: lines moved, doubled, left out, and every leniency put in somewhere.
#[test]
fn nix_reads_and_refuses_what_is_read_and_refused_here() {
    if !support::has_nix("nix_reads_and_refuses_what_is_read_and_refused_here") {
        return;
    }
    let (cache, store_dir) = (Cache::new(), StoreDir::default());
    let strategy = narinfo().prop_flat_map(|narinfo| {
        spoilt(&narinfo.to_text(&StoreDir::default())).prop_map(move |text| (narinfo.clone(), text))
    });
    let (mut read, mut refused, mut flags_seen) = (0, 0, Flags::NONE);
    for (original, text) in samples(&strategy, 250) {
        let path = &original.info.path;
        cache.write(&original.key(), &text);
        let theirs = cache.path_info(path);
        // Asked for a path, a store also refuses the narinfo of another one.
        let ours =
            NarInfo::parse(&store_dir, &original.key(), &text).map_err(|error| error.to_string()).and_then(
                |narinfo| {
                    if narinfo.key() == original.key() { Ok(narinfo) } else { Err("other path".into()) }
                },
            );
        match (ours, theirs) {
            (Ok(ours), Ok(theirs)) => {
                let entry = theirs.entries[&ours.info.path].as_ref().unwrap();
                assert_eq!(entry.info, ours.info, "{text}");
                assert_eq!(entry.file, Some(as_nix_says(&ours)), "{text}");
                flags_seen |= ours.flags;
                read += 1;
            }
            (Err(_), Err(_)) => refused += 1,
            (ours, theirs) => panic!("ours: {ours:?}\ntheirs: {theirs:?}\n{text}"),
        }
    }
    assert!(read > 100 && refused > 20, "read {read}, refused {refused}");
    assert!(flags_seen.names().count() > 10, "{flags_seen}");
}

#[test]
fn nix_signs_and_prints_the_same() {
    if !support::has_nix("nix_signs_and_prints_the_same") {
        return;
    }
    let (cache, store_dir) = (Cache::new(), StoreDir::default());
    let key = SecretKey::from_seed("test-1", [42; 32]).unwrap();
    let key_file = cache.path().join("key");
    std::fs::write(&key_file, key.to_secret_string().as_bytes()).unwrap();
    for mut narinfo in samples(&narinfo(), 40) {
        cache.write(&narinfo.key(), &narinfo.to_text(&store_dir));
        let path = store_dir.print(&narinfo.info.path);
        let output = cache.nix(&["store", "sign", "--key-file", key_file.to_str().unwrap(), &path]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        narinfo.info.sign(&store_dir, &key).unwrap();
        assert_eq!(cache.read(&narinfo.key()), narinfo.to_text(&store_dir));
    }
}
