//! A store in memory for this crate's tests: it checks every promise that the engine makes to a store.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt};
use nars3_narinfo::PathInfo;
use nars3_store_api::{
    NarOrder, NarStream, Publication, StageOptions, Staged, Store, StoreError, WriteBehaviour,
};
use nars3_store_path::{Algorithm, Hash, HashPart, StoreDir, StorePath};
use tokio::sync::Notify;

pub(crate) fn path(name: &str) -> StorePath {
    let digest = Hash::digest(Algorithm::Sha256, name.as_bytes()).nix32_digest();
    StorePath::from_base_name(&format!("{}-{name}", &digest[..32])).unwrap()
}

/// A NAR that holds one regular file with `contents`.
pub(crate) fn nar_of(contents: &[u8]) -> Vec<u8> {
    let mut nar = Vec::new();
    let tokens: [&[u8]; 7] = [b"nix-archive-1", b"(", b"type", b"regular", b"contents", contents, b")"];
    for token in tokens {
        nar.extend_from_slice(&(token.len() as u64).to_le_bytes());
        nar.extend_from_slice(token);
        nar.resize(nar.len().next_multiple_of(8), 0);
    }
    nar
}

/// The path info of a path whose only file holds its name, and its NAR.
pub(crate) fn info(name: &str, references: &[&str]) -> (PathInfo, Vec<u8>) {
    let nar = nar_of(name.as_bytes());
    let mut info = PathInfo::new(path(name), Hash::digest(Algorithm::Sha256, &nar), nar.len() as u64);
    info.references = references.iter().map(|name| path(name)).collect::<BTreeSet<_>>();
    (info, nar)
}

type Paths = HashMap<StorePath, (Arc<PathInfo>, Vec<u8>)>;

#[derive(Debug)]
pub(crate) struct MemoryStore {
    name: &'static str,
    store_dir: StoreDir,
    pub(crate) behaviour: WriteBehaviour,
    paths: Mutex<Paths>,
    /// What it says of paths unless it is asked for what is so now.
    remembered: Mutex<HashMap<StorePath, Arc<PathInfo>>>,
    /// How many paths it was asked for so.
    staged: AtomicUsize,
    batches: AtomicUsize,
    /// Its NAR is another, where nobody verifies it.
    pub(crate) torn: Option<StorePath>,
    /// Its NAR comes when somebody gives word.
    pub(crate) held: Option<(StorePath, Arc<Notify>)>,
    /// Is given word of each batch.
    pub(crate) listener: Option<Arc<Notify>>,
    asked_anew: AtomicUsize,
    /// Paths whose staging fails.
    pub(crate) cursed: Vec<StorePath>,
    /// Paths that are not taken when they are published, while others of their batch are.
    pub(crate) refused: Vec<StorePath>,
}

impl MemoryStore {
    pub(crate) fn new(name: &'static str) -> Self {
        Self {
            name,
            store_dir: StoreDir::default(),
            behaviour: WriteBehaviour::cache(),
            paths: Mutex::default(),
            remembered: Mutex::default(),
            asked_anew: AtomicUsize::new(0),
            staged: AtomicUsize::new(0),
            batches: AtomicUsize::new(0),
            torn: None,
            held: None,
            listener: None,
            cursed: Vec::new(),
            refused: Vec::new(),
        }
    }

    pub(crate) fn insert(&self, name: &str, references: &[&str]) {
        let (info, nar) = info(name, references);
        self.insert_info(info, nar);
    }

    pub(crate) fn insert_info(&self, info: PathInfo, nar: Vec<u8>) {
        self.paths.lock().unwrap().insert(info.path.clone(), (Arc::new(info), nar));
    }

    pub(crate) fn remember(&self, info: &PathInfo) {
        self.remembered.lock().unwrap().insert(info.path.clone(), Arc::new(info.clone()));
    }

    pub(crate) fn staged(&self) -> usize {
        self.staged.load(Ordering::Relaxed)
    }

    pub(crate) fn batches(&self) -> usize {
        self.batches.load(Ordering::Relaxed)
    }

    pub(crate) fn asked_anew(&self) -> usize {
        self.asked_anew.load(Ordering::Relaxed)
    }

    pub(crate) fn names(&self) -> BTreeSet<String> {
        self.paths.lock().unwrap().keys().map(|path| path.name().to_owned()).collect()
    }
}

impl fmt::Display for MemoryStore {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name)
    }
}

#[async_trait]
impl Store for MemoryStore {
    fn store_dir(&self) -> &StoreDir {
        &self.store_dir
    }

    async fn path_info(&self, path: &StorePath) -> Result<Option<Arc<PathInfo>>, StoreError> {
        if let Some(remembered) = self.remembered.lock().unwrap().get(path) {
            return Ok(Some(Arc::clone(remembered)));
        }
        Ok(self.paths.lock().unwrap().get(path).map(|(info, _)| Arc::clone(info)))
    }

    async fn fresh_path_infos(
        &self,
        paths: &[StorePath],
    ) -> Result<HashMap<StorePath, Arc<PathInfo>>, StoreError> {
        self.asked_anew.fetch_add(paths.len(), Ordering::Relaxed);
        paths.iter().for_each(|path| drop(self.remembered.lock().unwrap().remove(path)));
        self.path_infos(paths).await
    }

    async fn path_from_hash_part(&self, hash_part: &HashPart) -> Result<Option<StorePath>, StoreError> {
        let paths = self.paths.lock().unwrap();
        Ok(paths.keys().find(|path| path.hash_part() == *hash_part).cloned())
    }

    fn list(&self) -> BoxStream<'_, Result<HashPart, StoreError>> {
        let all: Vec<_> = self.paths.lock().unwrap().keys().map(|path| Ok(path.hash_part())).collect();
        stream::iter(all).boxed()
    }

    async fn nar(&self, info: &PathInfo) -> Result<NarStream, StoreError> {
        let nar = self.paths.lock().unwrap().get(&info.path).map(|(_, nar)| nar.clone());
        let nar =
            nar.ok_or_else(|| StoreError::InvalidPath { store: self.to_string(), path: info.path.clone() })?;
        let (mut sender, stream) = NarStream::channel();
        let held =
            self.held.as_ref().filter(|(path, _)| *path == info.path).map(|(_, word)| Arc::clone(word));
        tokio::spawn(async move {
            if let Some(word) = held {
                word.notified().await;
            }
            for chunk in nar.chunks(7) {
                if sender.send(Bytes::copy_from_slice(chunk)).await.is_err() {
                    return;
                }
            }
            sender.finish().await;
        });
        Ok(stream)
    }

    async fn unverified_nar(&self, info: &PathInfo) -> Result<NarStream, StoreError> {
        if self.torn.as_ref() != Some(&info.path) {
            return self.nar(info).await;
        }
        let (mut sender, stream) = NarStream::channel();
        tokio::spawn(async move {
            if sender.send(Bytes::from_static(b"torn")).await.is_ok() {
                sender.finish().await;
            }
        });
        Ok(stream)
    }

    fn write_behaviour(&self) -> WriteBehaviour {
        self.behaviour.clone()
    }

    async fn stage(
        &self,
        info: PathInfo,
        mut nar: NarStream,
        _options: StageOptions,
    ) -> Result<Staged, StoreError> {
        if self.cursed.contains(&info.path) {
            return Err(StoreError::Unsupported { store: self.to_string(), operation: "take this one" });
        }
        if let NarOrder::ReferencesFirst { except } = self.behaviour.nar_order
            && info.nar_size > except
        {
            let paths = self.paths.lock().unwrap();
            let others = info.references.iter().filter(|reference| **reference != info.path);
            assert!(others.clone().all(|reference| paths.contains_key(reference)), "{} too early", info.path);
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = nar.next().await? {
            bytes.extend_from_slice(&chunk);
        }
        self.staged.fetch_add(1, Ordering::Relaxed);
        let actual = Hash::digest(Algorithm::Sha256, &bytes);
        if self.behaviour.verifies_nars && actual != info.nar_hash {
            let expected = info.nar_hash;
            return Err(StoreError::NarHashMismatch {
                store: self.to_string(),
                path: info.path,
                expected,
                actual,
            });
        }
        assert_eq!(actual, info.nar_hash);
        Ok(Staged::new(info, bytes))
    }

    async fn publish(&self, batch: Vec<Staged>) -> Result<(), StoreError> {
        self.batches.fetch_add(1, Ordering::Relaxed);
        self.listener.iter().for_each(|listener| listener.notify_one());
        if self.behaviour.publication == Publication::Singly {
            assert_eq!(batch.len(), 1);
        }
        let mut new = Vec::new();
        for staged in batch {
            new.push(staged.into_parts::<Vec<u8>>(self)?);
        }
        let batch: BTreeSet<StorePath> = new.iter().map(|(info, _)| info.path.clone()).collect();
        let mut paths = self.paths.lock().unwrap();
        let mut refused = Vec::new();
        new.retain(|(info, _)| {
            let missing = info.references.iter().find(|path| self.refused.contains(*path));
            let error = match missing {
                _ if self.refused.contains(&info.path) => StoreError::NarInterrupted,
                Some(reference) => StoreError::MissingReference {
                    store: self.to_string(),
                    path: info.path.clone(),
                    reference: reference.clone(),
                },
                None => return true,
            };
            refused.push((info.path.clone(), error));
            false
        });
        for (info, _) in &new {
            for reference in &info.references {
                if !batch.contains(reference) && !paths.contains_key(reference) {
                    return Err(StoreError::MissingReference {
                        store: self.to_string(),
                        path: info.path.clone(),
                        reference: reference.clone(),
                    });
                }
            }
        }
        paths.extend(new.into_iter().map(|(info, nar)| (info.path.clone(), (Arc::new(info), nar))));
        if !refused.is_empty() {
            return Err(StoreError::Refused { store: self.to_string(), refused });
        }
        Ok(())
    }
}
