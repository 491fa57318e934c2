//! What the tests of this crate share: small paths, stores in temporary directories, and a private real Nix.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part of this")]

pub mod daemon;
pub mod nix;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use nars3_nar::{DumpOptions, dump};
use nars3_narinfo::PathInfo;
use nars3_nix_store::{LocalStore, LocalStoreOptions};
use nars3_store_api::{Event, NarStream, Progress, StageOptions, Staged, Store, StoreError};
use nars3_store_path::{Algorithm, Hash, StorePath};

/// Says that `test` is skipped for want of `need`, or fails where `NARS3_REQUIRE` names that.
pub fn skip(need: &str, test: &str) {
    let required = std::env::var("NARS3_REQUIRE").unwrap_or_default();
    assert!(!required.split(',').any(|name| name.trim() == need), "{test} needs {need}");
    eprintln!("SKIPPED (no {need}): {test}");
}

/// Whether this is root. If not, `test` is skipped.
pub fn is_root(test: &str) -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        skip("root", test);
    }
    root
}

/// Remembers the warnings.
#[derive(Debug, Default)]
pub struct Warnings(Mutex<Vec<String>>);

impl Warnings {
    pub fn all(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Progress for Warnings {
    fn report(&self, event: Event<'_>) {
        if let Event::Warning { message } = event {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push(message.to_owned());
        }
    }
}

/// Opens the chroot store under `root`.
pub fn open(root: &Path) -> Arc<LocalStore> {
    LocalStore::open(LocalStoreOptions { root: Some(root.to_owned()), ..LocalStoreOptions::default() })
        .expect("the store opens")
}

/// A store path whose hash part is made from `seed`.
pub fn store_path(seed: &str, name: &str) -> StorePath {
    let digest = Hash::digest(Algorithm::Sha256, seed.as_bytes());
    let hash_part = nars3_store_path::nix32::encode(&digest.as_bytes()[..20]);
    StorePath::from_base_name(&format!("{hash_part}-{name}")).expect("well-formed")
}

/// A store path with its NAR, not in any store.
#[derive(Debug, Clone)]
pub struct Sample {
    pub info: PathInfo,
    pub nar: Vec<u8>,
}

impl Sample {
    /// The path `name`, whose contents are made by `fill` in an empty directory.
    pub fn new(name: &str, references: &[&StorePath], fill: impl FnOnce(&Path)) -> Self {
        let directory = tempfile::tempdir().expect("tempdir");
        let tree = directory.path().join("tree");
        std::fs::create_dir(&tree).expect("mkdir");
        fill(&tree);
        Self::of_tree(store_path(name, name), references, &tree)
    }

    /// A path with one file.
    pub fn file(name: &str, contents: &str, references: &[&StorePath]) -> Self {
        Self::new(name, references, |tree| std::fs::write(tree.join("file"), contents).expect("write"))
    }

    pub fn of_tree(path: StorePath, references: &[&StorePath], tree: &Path) -> Self {
        let mut nar = Vec::new();
        dump(tree, &mut nar, &DumpOptions::default()).expect("dump");
        let mut info = PathInfo::new(path, Hash::digest(Algorithm::Sha256, &nar), nar.len() as u64);
        info.references = references.iter().map(|path| (*path).clone()).collect();
        Self { info, nar }
    }

    pub fn path(&self) -> &StorePath {
        &self.info.path
    }

    pub fn stream(&self) -> NarStream {
        stream_of(self.nar.clone())
    }

    pub async fn stage(&self, store: &LocalStore) -> Result<Staged, StoreError> {
        store.stage(self.info.clone(), self.stream(), StageOptions::default()).await
    }
}

/// A stream of these bytes.
pub fn stream_of(nar: Vec<u8>) -> NarStream {
    NarStream::from_blocking(move |writer| {
        std::io::Write::write_all(writer, &nar).map_err(|error| StoreError::File {
            action: "send",
            path: "sample".into(),
            source: error,
        })
    })
}

/// Stages and publishes `samples` in one batch.
pub async fn add(store: &LocalStore, samples: &[&Sample]) -> Result<(), StoreError> {
    let mut batch = Vec::new();
    for sample in samples {
        batch.push(sample.stage(store).await?);
    }
    store.publish(batch).await
}

/// The whole NAR of a path.
pub async fn nar_of(store: &LocalStore, info: &PathInfo) -> Result<Vec<u8>, StoreError> {
    let mut stream = store.nar(info).await?;
    let mut nar = Vec::new();
    while let Some(chunk) = stream.next().await? {
        nar.extend_from_slice(&chunk);
    }
    Ok(nar)
}

/// Names in the store directory other than `.links`.
pub fn entries(root: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(root.join("nix/store"))
        .expect("the store directory")
        .map(|entry| entry.expect("entry").file_name().to_string_lossy().into_owned())
        .filter(|name| name != ".links")
        .collect();
    names.sort();
    names
}
