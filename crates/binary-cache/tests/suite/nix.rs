//! Real Nix at the other end of a `file://` cache, in both directions.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

use nars3_binary_cache::{BinaryCache, BinaryCacheOptions};
use nars3_compression::Compression;
use nars3_narinfo::NarInfo;
use nars3_store_api::Store;
use nars3_store_path::{SecretKey, StoreDir, StorePath};
use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use tempfile::TempDir;

use crate::support::*;

/// Says loudly that a test did nothing, unless `NARS3_REQUIRE` wants Nix: then it fails.
fn skip(test: &str) {
    let required = std::env::var("NARS3_REQUIRE").unwrap_or_default();
    assert!(!required.split(',').any(|name| name.trim() == "nix"), "{test} needs nix-store in PATH");
    eprintln!("SKIPPED (no nix): {test}");
}

fn has_nix() -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join("nix-store").is_file())
}

/// A Nix of its own: no configuration, no cache, no store of the machine's.
struct Nix {
    home: TempDir,
    key: SecretKey,
}

impl Nix {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let key = secret_key("test-1");
        std::fs::create_dir(home.path().join("etc")).unwrap();
        let configuration = format!(
            "experimental-features = nix-command\nsandbox = false\nbuild-users-group =\nsubstituters =\n\
             trusted-public-keys = {}\n",
            key.public_key()
        );
        std::fs::write(home.path().join("etc/nix.conf"), configuration).unwrap();
        std::fs::write(home.path().join("key"), &*key.to_secret_string()).unwrap();
        Self { home, key }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn output<S: AsRef<OsStr>>(&self, program: &str, arguments: impl IntoIterator<Item = S>) -> Output {
        Command::new(program)
            .args(arguments)
            .env("HOME", self.home.path())
            .env("XDG_CACHE_HOME", self.path("xdg"))
            .env("NIX_CONF_DIR", self.path("etc"))
            .env("NIX_STATE_DIR", self.path("state"))
            .env_remove("NIX_REMOTE")
            .env_remove("NIX_CONFIG")
            .output()
            .unwrap()
    }

    /// What the program prints, without white space around it; it must succeed.
    fn run<S: AsRef<OsStr>>(&self, program: &str, arguments: impl IntoIterator<Item = S>) -> String {
        let output = self.output(program, arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program}: {errors}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    fn root(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    fn url(&self, cache: &str, settings: &str) -> String {
        format!("file://{}{settings}", self.path(cache).display())
    }

    /// A small closure in the chroot store `root`: a tree, and a text that refers to another text.
    fn closure(&self) -> Vec<StorePath> {
        let root = self.root("root");
        let tree = self.path("tree");
        std::fs::create_dir_all(tree.join("bin/empty")).unwrap();
        std::fs::write(tree.join("bin/hello"), "#!/bin/sh\necho hello\n").unwrap();
        std::fs::write(tree.join("data"), noise(200_000)).unwrap();
        std::os::unix::fs::symlink("bin/hello", tree.join("link")).unwrap();
        let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(tree.join("bin/hello"), executable).unwrap();
        let added = self.run("nix-store", ["--store", &root, "--add", tree.to_str().unwrap()]);
        let expression = r#"builtins.toFile "outer" "see ${builtins.toFile "inner" "text"}""#;
        let outer =
            self.run("nix-instantiate", ["--store", &root, "--read-write-mode", "--eval", "-E", expression]);
        let outer = outer.trim_matches('"');
        let closure = self.run("nix-store", ["--store", &root, "--query", "--requisites", &added, outer]);
        closure.lines().map(|line| StoreDir::default().parse(line).unwrap()).collect()
    }

    /// What lies at a path of the chroot store `root`.
    fn sample(&self, root: &str, path: &StorePath) -> Sample {
        let file = self.path(root).join("nix/store").join(path.base_name());
        Sample::of("any", &file)
    }

    async fn cache(
        &self,
        name: &str,
        adjust: impl Fn(&mut BinaryCacheOptions),
    ) -> (Arc<BinaryCache>, PathBuf) {
        let directory = self.path(name);
        std::fs::create_dir_all(&directory).unwrap();
        let objects: Arc<dyn ObjectStore> = Arc::new(LocalFileSystem::new_with_prefix(&directory).unwrap());
        let mut options = BinaryCacheOptions::new(self.url(name, ""));
        options.cache.compression = Compression::None;
        options.secret_keys.push(secret_key("test-1"));
        adjust(&mut options);
        (open(&objects, options).await, directory)
    }

    fn copy(&self, from: &str, to: &str, paths: &[String]) -> Output {
        let arguments = ["copy", "--from", from, "--to", to].into_iter();
        self.output("nix", arguments.chain(paths.iter().map(String::as_str)))
    }
}

fn full(paths: &[StorePath]) -> Vec<String> {
    paths.iter().map(|path| StoreDir::default().print(path)).collect()
}

fn succeeded(output: &Output) {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// The files of a directory and its folders, and their bytes.
fn files_of(directory: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    let mut folders = vec![directory.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(directory).unwrap().to_str().unwrap().to_owned();
                files.push((name, std::fs::read(&path).unwrap()));
            }
        }
    }
    files.sort();
    files
}

#[tokio::test]
async fn nix_and_we_write_the_same_files() {
    if !has_nix() {
        return skip("nix_and_we_write_the_same_files");
    }
    let nix = Nix::new();
    let paths = nix.closure();
    assert_eq!(paths.len(), 3);
    let settings = format!("?compression=none&write-nar-listing=true&secret-key={}", nix.root("key"));
    succeeded(&nix.copy(&nix.root("root"), &nix.url("theirs", &settings), &full(&paths)));

    let (theirs, their_files) = nix.cache("theirs", |_| ()).await;
    let (ours, our_files) = nix.cache("ours", |options| options.cache.write_nar_listing = true).await;
    for path in &paths {
        let mut sample = nix.sample("root", path);
        let info = theirs.path_info(path).await.unwrap().unwrap();
        assert_eq!(fetch(&theirs, &info).await.unwrap(), sample.nar);
        sample.info = (*info).clone();
        sample.info.signatures.clear();
        add(&ours, &sample).await;
    }
    let (theirs, ours) = (files_of(&their_files), files_of(&our_files));
    let names = |files: &[(String, Vec<u8>)]| files.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&ours), names(&theirs));
    for ((name, ours), (_, theirs)) in ours.iter().zip(&theirs) {
        if name.ends_with(".ls") {
            // The members of its objects are not sorted in old versions of Nix, as they are since.
            let value = |bytes: &[u8]| serde_json::from_slice::<serde_json::Value>(bytes).unwrap();
            assert_eq!(value(ours), value(theirs), "{name}");
        } else {
            assert_eq!(String::from_utf8_lossy(ours), String::from_utf8_lossy(theirs), "{name}");
        }
    }
}

#[tokio::test]
async fn what_nix_writes_by_any_method_we_read() {
    if !has_nix() {
        return skip("what_nix_writes_by_any_method_we_read");
    }
    let nix = Nix::new();
    let paths = nix.closure();
    for method in ["none", "xz", "bzip2", "gzip", "zstd", "br", "lz4", "lzip", "lzma"] {
        let cache = format!("theirs-{method}");
        let settings = format!("?compression={method}");
        succeeded(&nix.copy(&nix.root("root"), &nix.url(&cache, &settings), &full(&paths)));
        let (cache, _) = nix.cache(&cache, |_| ()).await;
        for path in &paths {
            let info = cache.path_info(path).await.unwrap().unwrap();
            assert_eq!(fetch(&cache, &info).await.unwrap(), nix.sample("root", path).nar, "{method}");
        }
        let valid = cache.valid_paths(&paths).await.unwrap();
        assert_eq!(valid.len(), paths.len());
    }
}

#[tokio::test]
async fn what_we_write_by_any_method_nix_reads() {
    if !has_nix() {
        return skip("what_we_write_by_any_method_nix_reads");
    }
    let nix = Nix::new();
    let library = Sample::tree("library");
    let mut program = Sample::file("program", &noise(300_000)).referring_to(&[&library]);
    program.info.references.insert(program.info.path.clone());
    program.info.deriver = Some(Sample::file_path("program.drv"));
    let path = full(&[program.info.path.clone()]);
    for method in ["none", "xz", "bzip2", "gzip", "zstd", "br", "lz4", "lzip"] {
        let name = format!("ours-{method}");
        let (cache, _) =
            nix.cache(&name, |options| options.cache.compression = Compression::from(method)).await;
        add(&cache, &library).await;
        add(&cache, &program).await;
        let root = nix.root(&format!("root-{method}"));
        succeeded(&nix.copy(&nix.url(&name, ""), &root, &path));
        nix.run("nix-store", ["--store", &root, "--verify", "--check-contents"]);
        let file = nix.path(&format!("root-{method}/nix/store")).join(program.info.path.base_name());
        assert_eq!(Sample::of("any", &file).nar, program.nar, "{method}");
    }
}

#[tokio::test]
async fn nix_refuses_what_another_key_signed() {
    if !has_nix() {
        return skip("nix_refuses_what_another_key_signed");
    }
    let nix = Nix::new();
    let stranger = SecretKey::from_seed("test-1", [9; 32]).unwrap();
    assert_ne!(stranger.public_key().to_string(), nix.key.public_key().to_string());
    let (cache, _) = nix.cache("ours", |options| options.secret_keys.clear()).await;
    let mut sample = Sample::file("sample", b"text");
    sample.info.sign(&StoreDir::default(), &stranger).unwrap();
    add(&cache, &sample).await;
    let path = full(&[sample.info.path.clone()]);
    let output = nix.copy(&nix.url("ours", ""), &nix.root("root"), &path);
    assert!(!output.status.success());
    let (cache, _) = nix.cache("ours", |_| ()).await;
    let mut signed = sample.info.clone();
    signed.sign(&StoreDir::default(), &nix.key).unwrap();
    let signatures: Vec<_> = signed.signatures.iter().cloned().collect();
    assert_eq!(cache.add_signatures(&sample.info.path, &signatures).await.unwrap(), 1);
    // Nix remembers narinfos of a cache by its URL; this is another URL for the same one.
    succeeded(&nix.copy(&nix.url("ours", "/"), &nix.root("root"), &path));
}

#[tokio::test]
async fn nix_reads_our_listings_and_logs() {
    if !has_nix() {
        return skip("nix_reads_our_listings_and_logs");
    }
    let nix = Nix::new();
    let (cache, _) = nix.cache("ours", |options| options.cache.write_nar_listing = true).await;
    let mut sample = Sample::tree("tree");
    let derivation = Sample::file_path("tree.drv");
    sample.info.deriver = Some(derivation.clone());
    add(&cache, &sample).await;
    let url = nix.url("ours", "");
    let path = StoreDir::default().print(&sample.info.path);
    let listed = nix.run("nix", ["store", "ls", "--store", &url, "--recursive", "--json", &path]);
    let listing = cache.listing(&sample.info.path).await.unwrap();
    let ours: serde_json::Value = serde_json::from_str(&listing.to_json()).unwrap();
    let theirs: serde_json::Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(theirs, ours["root"]);
    let hello = nix.run("nix", ["store", "cat", "--store", &url, &format!("{path}/bin/hello")]);
    assert_eq!(hello, "#!/bin/sh\necho hello");
    cache.put_build_log(&derivation, stream("line one\nline two\n".into())).await.unwrap();
    let log = nix.run("nix", ["log", "--store", &url, &path]);
    assert_eq!(log, "line one\nline two");
}

#[tokio::test]
async fn a_narinfo_of_nix_prints_as_it_was() {
    if !has_nix() {
        return skip("a_narinfo_of_nix_prints_as_it_was");
    }
    let nix = Nix::new();
    let paths = nix.closure();
    let settings = format!("?compression=xz&secret-key={}", nix.root("key"));
    succeeded(&nix.copy(&nix.root("root"), &nix.url("theirs", &settings), &full(&paths)));
    for path in &paths {
        let key = format!("{}.narinfo", path.hash_part());
        let text = std::fs::read_to_string(nix.path("theirs").join(&key)).unwrap();
        let narinfo = NarInfo::parse(&StoreDir::default(), &key, &text).unwrap();
        assert_eq!(narinfo.to_text(&StoreDir::default()), text);
    }
}
