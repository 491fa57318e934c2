//! What the tests share: small store paths, caches over memory and files, and a look at raw objects.

use std::collections::BTreeSet;
use std::path::Path as FilePath;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use nars3_binary_cache::{BinaryCache, BinaryCacheOptions, ListingOrder};
use nars3_compression::Compression;
use nars3_nar::DumpOptions;
use nars3_narinfo::PathInfo;
use nars3_store_api::{Event, NarStream, Progress, StageOptions, Store, StoreError};
use nars3_store_path::{Algorithm, Hash, SecretKey, StorePath, nix32};
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use tempfile::TempDir;

pub(crate) const URI: &str = "s3://test-cache";

/// A store path with its NAR.
#[derive(Debug, Clone)]
pub(crate) struct Sample {
    pub(crate) info: PathInfo,
    pub(crate) nar: Bytes,
}

impl Sample {
    /// A path that is one file.
    pub(crate) fn file(name: &str, content: &[u8]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        std::fs::write(&file, content).unwrap();
        Self::of(name, &file)
    }

    /// A path that is a tree: a directory, an executable, a symlink, a file in a subdirectory.
    pub(crate) fn tree(name: &str) -> Self {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("root");
        std::fs::create_dir_all(root.join("bin")).unwrap();
        std::fs::create_dir_all(root.join("share/empty")).unwrap();
        std::fs::write(root.join("bin/hello"), "#!/bin/sh\necho hello\n").unwrap();
        std::fs::set_permissions(root.join("bin/hello"), std::fs::Permissions::from_mode(0o755)).unwrap();
        std::fs::write(root.join("share/readme"), name).unwrap();
        std::os::unix::fs::symlink("bin/hello", root.join("run")).unwrap();
        Self::of(name, &root)
    }

    /// What lies at `file`.
    pub(crate) fn of(name: &str, file: &FilePath) -> Self {
        let mut nar = Vec::new();
        nars3_nar::dump(file, &mut nar, &DumpOptions::default()).unwrap();
        Self::from_nar(name, nar)
    }

    /// The store path of a sample: any that follows from its name.
    pub(crate) fn file_path(name: &str) -> StorePath {
        let digest = Hash::digest(Algorithm::Sha256, name.as_bytes());
        let hash_part = nix32::encode(&digest.as_bytes()[..20]);
        StorePath::from_base_name(&format!("{hash_part}-{name}")).unwrap()
    }

    /// A path with these bytes for its NAR.
    pub(crate) fn from_nar(name: &str, nar: Vec<u8>) -> Self {
        let path = Self::file_path(name);
        let info = PathInfo::new(path, Hash::digest(Algorithm::Sha256, &nar), nar.len() as u64);
        Self { info, nar: nar.into() }
    }

    pub(crate) fn referring_to(mut self, others: &[&Sample]) -> Self {
        self.info.references = others.iter().map(|other| other.info.path.clone()).collect::<BTreeSet<_>>();
        self
    }

    pub(crate) fn stream(&self) -> NarStream {
        stream(self.nar.clone())
    }
}

/// The log of a build; `None` if there is none.
pub(crate) async fn log(cache: &BinaryCache, path: &StorePath) -> Result<Option<Vec<u8>>, StoreError> {
    let Some(mut log) = cache.build_log(path).await? else { return Ok(None) };
    let mut bytes = Vec::new();
    while let Some(chunk) = log.next().await? {
        bytes.extend_from_slice(&chunk);
    }
    Ok(Some(bytes))
}

/// The bytes as a NAR that arrives in pieces.
pub(crate) fn stream(bytes: Bytes) -> NarStream {
    let (mut sender, stream) = NarStream::channel();
    tokio::spawn(async move {
        let mut bytes = bytes;
        while !bytes.is_empty() {
            let piece = bytes.split_to(bytes.len().min(10_000));
            if sender.send(piece).await.is_err() {
                return;
            }
        }
        sender.finish().await;
    });
    stream
}

/// Bytes that no method compresses, the same in every run.
pub(crate) fn noise(size: usize) -> Vec<u8> {
    let mut state: u64 = 0x9e37_79b9_7f4a_7c15;
    let next = std::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    });
    next.flat_map(u64::to_le_bytes).take(size).collect()
}

pub(crate) fn options() -> BinaryCacheOptions {
    BinaryCacheOptions::new(URI)
}

pub(crate) fn compressed_by(method: Compression) -> BinaryCacheOptions {
    let mut options = options();
    options.cache.compression = method;
    options
}

pub(crate) fn secret_key(name: &str) -> SecretKey {
    SecretKey::from_seed(name, [7; 32]).unwrap()
}

/// A cache over `objects` that writes NARs as they are.
pub(crate) async fn plain(objects: &Arc<dyn ObjectStore>) -> Arc<BinaryCache> {
    open(objects, compressed_by(Compression::None)).await
}

pub(crate) async fn open(objects: &Arc<dyn ObjectStore>, options: BinaryCacheOptions) -> Arc<BinaryCache> {
    BinaryCache::open(Arc::clone(objects), options).await.unwrap()
}

pub(crate) fn memory() -> Arc<dyn ObjectStore> {
    Arc::new(InMemory::new())
}

pub(crate) fn ascending(mut options: BinaryCacheOptions) -> BinaryCacheOptions {
    options.listing = ListingOrder::Ascending;
    options
}

pub(crate) fn files() -> (TempDir, Arc<dyn ObjectStore>) {
    let directory = tempfile::tempdir().unwrap();
    let objects = LocalFileSystem::new_with_prefix(directory.path()).unwrap();
    (directory, Arc::new(objects))
}

pub(crate) async fn stage_and_publish(cache: &Arc<BinaryCache>, sample: &Sample) -> Result<(), StoreError> {
    let staged = cache.stage(sample.info.clone(), sample.stream(), StageOptions::default()).await?;
    cache.publish(vec![staged]).await
}

pub(crate) async fn add(cache: &Arc<BinaryCache>, sample: &Sample) {
    stage_and_publish(cache, sample).await.unwrap();
}

/// The whole NAR, or why there is none.
pub(crate) async fn fetch(cache: &Arc<BinaryCache>, info: &PathInfo) -> Result<Vec<u8>, StoreError> {
    let mut nar = cache.nar(info).await?;
    let mut bytes = Vec::new();
    while let Some(chunk) = nar.next().await? {
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

pub(crate) async fn raw(objects: &Arc<dyn ObjectStore>, key: &str) -> Bytes {
    objects.get(&Path::parse(key).unwrap()).await.unwrap().bytes().await.unwrap()
}

pub(crate) async fn put_raw(objects: &Arc<dyn ObjectStore>, key: &str, body: impl Into<Bytes>) {
    objects.put(&Path::parse(key).unwrap(), body.into().into()).await.unwrap();
}

pub(crate) async fn raw_text(objects: &Arc<dyn ObjectStore>, key: &str) -> String {
    String::from_utf8(raw(objects, key).await.into()).unwrap()
}

/// All keys, sorted.
pub(crate) async fn keys(objects: &Arc<dyn ObjectStore>) -> Vec<String> {
    use futures::TryStreamExt;
    let mut keys: Vec<String> =
        objects.list(None).map_ok(|meta| meta.location.to_string()).try_collect().await.unwrap();
    keys.sort();
    keys
}

/// The key of the only NAR.
pub(crate) async fn nar_key(objects: &Arc<dyn ObjectStore>) -> String {
    let nars: Vec<_> = keys(objects).await.into_iter().filter(|key| key.starts_with("nar/")).collect();
    assert_eq!(nars.len(), 1, "{nars:?}");
    nars.into_iter().next().unwrap()
}

/// Remembers warnings.
#[derive(Debug, Default)]
pub(crate) struct Warnings(Mutex<Vec<String>>);

impl Warnings {
    pub(crate) fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

impl Progress for Warnings {
    fn report(&self, event: Event<'_>) {
        if let Event::Warning { message } = event {
            self.0.lock().unwrap().push(message.to_owned());
        }
    }
}
