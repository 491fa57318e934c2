//! The same trees in our hands and in those of the real Nix.

#![cfg(test)]

mod support;

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use nars3_nar::{ContentHasher, DumpOptions, RestoreOptions, dump, restore};
use nars3_store_path::{ContentAddressMethod, StoreDir};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

fn dumped(path: &Path) -> Vec<u8> {
    let mut nar = Vec::new();
    dump(path, &mut nar, &DumpOptions::default()).unwrap();
    nar
}

fn for_trees(cases: u32, test: impl Fn(support::Tree) -> Result<(), TestCaseError>) {
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    TestRunner::new(config).run(&support::tree(), test).unwrap();
}

#[test]
fn random_trees_dump_as_with_nix() {
    if support::nix("random_trees_dump_as_with_nix").is_none() {
        return;
    }
    for_trees(150, |tree| {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("tree");
        tree.create(&path);
        prop_assert!(dumped(&path) == support::nix_dump(&path));
        Ok(())
    });
}

#[test]
fn random_trees_restore_as_with_nix() {
    if support::nix("random_trees_restore_as_with_nix").is_none() {
        return;
    }
    // Nix sets its own umask. All threads share ours, but no other test here looks at it.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    for_trees(60, |tree| {
        let directory = tempfile::tempdir().unwrap();
        let (source, ours, theirs) =
            (directory.path().join("source"), directory.path().join("ours"), directory.path().join("theirs"));
        tree.create(&source);
        let nar = support::nix_dump(&source);
        restore(&mut nar.as_slice(), &ours, &RestoreOptions::default()).unwrap();
        prop_assert!(support::nix_restore(&nar, &theirs));
        prop_assert_eq!(modes(&ours), modes(&theirs));
        prop_assert!(support::nix_dump(&ours) == nar);
        Ok(())
    });
}

/// The paths and modes of a tree.
fn modes(path: &Path) -> Vec<(std::path::PathBuf, u32)> {
    use std::os::unix::fs::MetadataExt as _;
    let mut found = Vec::new();
    let mut todo = vec![path.to_path_buf()];
    while let Some(next) = todo.pop() {
        let metadata = next.symlink_metadata().unwrap();
        found.push((next.strip_prefix(path).unwrap().to_path_buf(), metadata.mode()));
        if metadata.is_dir() {
            todo.extend(fs::read_dir(&next).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
    found.sort();
    found
}

/// A Nix with a store of its own, which may build.
struct Nix {
    directory: tempfile::TempDir,
}

impl Nix {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("etc")).unwrap();
        fs::write(
            directory.path().join("etc/nix.conf"),
            "build-users-group =\nsandbox = false\nsubstituters =\n\
             experimental-features = nix-command ca-derivations\n",
        )
        .unwrap();
        Self { directory }
    }

    /// Runs a command, and returns its output if it succeeds.
    fn run(&self, program: &str, arguments: &[&str]) -> Option<String> {
        let root = self.directory.path();
        let output = Command::new(program)
            .args(arguments)
            .env("NIX_STORE_DIR", root.join("store"))
            .env("NIX_STATE_DIR", root.join("var"))
            .env("NIX_LOG_DIR", root.join("log"))
            .env("NIX_CONF_DIR", root.join("etc"))
            .env("HOME", root)
            .env_remove("NIX_REMOTE")
            .env_remove("NIX_CONFIG")
            .stderr(Stdio::null())
            .output()
            .unwrap();
        output.status.success().then(|| String::from_utf8(output.stdout).unwrap().trim().to_owned())
    }

    fn store_dir(&self) -> StoreDir {
        StoreDir::new(self.directory.path().join("store").to_str().unwrap()).unwrap()
    }

    /// The content address of a path, as Nix has it.
    fn content_address(&self, path: &str) -> nars3_store_path::ContentAddress {
        let info = self.run("nix", &["path-info", "--json", path]).unwrap();
        let (_, ca) = info.split_once("\"ca\":\"").unwrap();
        ca.split_once('"').unwrap().0.parse().unwrap()
    }
}

impl Drop for Nix {
    fn drop(&mut self) {
        // Store paths are read-only, which stops all but the superuser from removing them.
        let _ = Command::new("chmod").arg("-R").arg("u+w").arg(self.directory.path()).status();
    }
}

/// Builds a path that refers to itself, in a file and in a symlink, and has Nix make it content-addressed.
#[test]
fn hashes_modulo_self_references_are_those_of_nix() {
    let name = "hashes_modulo_self_references_are_those_of_nix";
    if support::nix(name).is_none() {
        return;
    }
    let nix = Nix::new();
    let expression = r#"derivation {
        name = "selfish"; system = builtins.currentSystem; builder = "/bin/sh";
        args = [ "-c" "PATH=/bin:/usr/bin; mkdir $out; echo one $out, two $out > $out/a; ln -s $out/a $out/b; echo none > $out/c" ];
    }"#;
    let Some(built) = nix.run("nix-build", &["--no-out-link", "-E", expression]) else {
        return support::skip("nix that can build", "nix-build", name);
    };
    let Some(rewrites) = nix.run("nix", &["store", "make-content-addressed", "--json", &built]) else {
        return support::skip("nix that makes content-addressed paths", "nix-build", name);
    };
    let new = rewrites.rsplit('"').nth(1).unwrap().to_owned();
    let ca = nix.content_address(&new);
    assert!(matches!(ca.method, ContentAddressMethod::NixArchive));
    // The path before and the path after differ in nothing but the hash part, so they have the same hash.
    for path in [built, new] {
        let hash_part = nix.store_dir().parse(&path).unwrap().hash_part();
        let nar = dumped(Path::new(&path));
        let mut hasher = ContentHasher::new(ca.method, ca.hash.algorithm(), Some(hash_part));
        for chunk in nar.chunks(61) {
            hasher.write_all(chunk).unwrap();
        }
        assert_eq!(hasher.finish().unwrap(), ca.hash);
    }
}

#[test]
fn hashes_of_text_and_flat_files_are_those_of_nix() {
    if support::nix("hashes_of_text_and_flat_files_are_those_of_nix").is_none() {
        return;
    }
    let nix = Nix::new();
    let file = nix.directory.path().join("file");
    fs::write(&file, "flat contents").unwrap();
    let file = file.to_str().unwrap();
    let expression = r#"builtins.toFile "text" "text contents""#;
    let text = nix.run("nix-instantiate", &["--eval", "--read-write-mode", "-E", expression]).unwrap();
    let flat = nix.run("nix-store", &["--add-fixed", "sha512", file]).unwrap();
    let recursive = nix.run("nix-store", &["--add-fixed", "--recursive", "sha1", file]).unwrap();
    for path in [text.trim_matches('"'), &flat, &recursive] {
        let ca = nix.content_address(path);
        let mut hasher = ContentHasher::new(ca.method, ca.hash.algorithm(), None);
        hasher.write_all(&dumped(Path::new(path))).unwrap();
        assert_eq!(hasher.finish().unwrap(), ca.hash, "{ca}");
    }
}

/// What Nix does to a path that it adds to its store is what `canonical` does.
#[test]
fn metadata_is_that_of_a_real_store_path() {
    if support::nix("metadata_is_that_of_a_real_store_path").is_none() {
        return;
    }
    for_trees(20, |tree| {
        use std::os::unix::fs::MetadataExt as _;
        let nix = Nix::new();
        let source = nix.directory.path().join("tree");
        tree.create(&source);
        let theirs = nix.run("nix-store", &["--add", source.to_str().unwrap()]).unwrap();
        let theirs = Path::new(&theirs);
        let ours = nix.directory.path().join("ours");
        let options = RestoreOptions { canonical: true, ..RestoreOptions::default() };
        restore(&mut dumped(&source).as_slice(), &ours, &options).unwrap();
        nars3_nar::canonicalise(&source).unwrap();
        for own in [&ours, &source] {
            prop_assert_eq!(modes(own), modes(theirs));
            for (path, _) in modes(theirs) {
                let time = |path: &Path| {
                    let metadata = path.symlink_metadata().unwrap();
                    (metadata.mtime(), metadata.mtime_nsec())
                };
                // `join` would add a slash, which a file does not bear.
                if path.as_os_str().is_empty() {
                    prop_assert_eq!(time(own), time(theirs));
                } else {
                    prop_assert_eq!(time(&own.join(&path)), time(&theirs.join(&path)));
                }
            }
        }
        Ok(())
    });
}
