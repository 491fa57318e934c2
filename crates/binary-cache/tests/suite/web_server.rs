//! A cache on a web server: URLs with queries, large files, and conditions that may be passed over.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures::TryStreamExt;
use nars3_binary_cache::{BinaryCache, BinaryCacheOptions, FileToSend, VerifyOptions, WebPlace, WebServer};
use nars3_store_api::{BoxError, StoreError};
use nars3_store_path::Signature;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    Attributes, Error, GetOptions, GetResult, MultipartUpload, ObjectStore, ObjectStoreExt, PutMode,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

use crate::double::{Double, Standing};
use crate::support::*;

const URL: &str = "https://cache.example/some/cache";

/// Memory behind a server, which notes what it was asked.
#[derive(Debug, Default)]
struct Server {
    inner: InMemory,
    /// What `object` was asked for.
    urls: Mutex<Vec<String>>,
    /// What was written, under which condition, and what was streamed.
    writes: Mutex<Vec<(String, &'static str)>>,
    /// What is hidden is for GET alone, as behind a URL that is signed for it.
    only_gets: bool,
    /// Conditional writes break the first time, and unconditional ones of narinfos always.
    shaky: bool,
}

impl Server {
    fn note(&self, path: &Path, how: &'static str) -> bool {
        let write = (path.to_string(), how);
        let mut writes = self.writes.lock().unwrap();
        let first = !writes.contains(&write);
        writes.push(write);
        first
    }

    fn written(&self, suffix: &str) -> Vec<&'static str> {
        let writes = self.writes.lock().unwrap();
        writes.iter().filter(|(path, _)| path.ends_with(suffix)).map(|(_, how)| *how).collect()
    }
}

#[async_trait]
impl Double for Server {
    fn memory(&self) -> &InMemory {
        &self.inner
    }

    async fn put(&self, path: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let how = match &options.mode {
            PutMode::Overwrite => "always",
            PutMode::Create => "if absent",
            PutMode::Update(_) => "if unchanged",
        };
        let first = self.note(path, how);
        let fails = match how {
            "always" => path.as_ref().ends_with(".narinfo"),
            _ => first,
        };
        if self.shaky && fails {
            return Err(Error::Generic { store: "server", source: "connection reset".into() });
        }
        self.inner.put_opts(path, payload, options).await
    }

    async fn get(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        if self.only_gets && options.head && path.as_ref().starts_with("hidden/") {
            return Err(Error::PermissionDenied { path: path.to_string(), source: "403 Forbidden".into() });
        }
        self.inner.get_opts(path, options).await
    }

    async fn begin(&self, _: &Path, _: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        Err(Error::NotSupported { source: "no parts".into() })
    }
}

/// The server as its clients see it.
#[derive(Debug)]
struct Client(Arc<Standing<Server>>);

#[async_trait]
impl WebServer for Client {
    fn resolve(&self, url: &str) -> Option<WebPlace> {
        let origin = "https://cache.example";
        Some(match url {
            url if url.starts_with(origin) => WebPlace::Own(url.to_owned()),
            url if url.contains("://") => WebPlace::Other(url.to_owned()),
            url if url.starts_with('/') => WebPlace::Own(format!("{origin}{url}")),
            url => WebPlace::Own(format!("{URL}/{url}")),
        })
    }
    fn object(&self, url: &str) -> std::result::Result<(Arc<dyn ObjectStore>, Path), BoxError> {
        self.0.urls.lock().unwrap().push(url.to_owned());
        Ok((Arc::clone(&self.0) as _, Path::from("hidden/file")))
    }
    async fn put_file(&self, key: &Path, file: FileToSend, _: Attributes) -> Result<()> {
        self.0.note(key, "streamed");
        let chunks: Vec<_> = file.chunks().try_collect().await.unwrap();
        self.0.inner.put(key, PutPayload::from_iter(chunks)).await.map(drop)
    }
}

fn on(server: &Arc<Standing<Server>>) -> BinaryCacheOptions {
    let mut options = BinaryCacheOptions::new(URL);
    options.cache.compression = nars3_compression::Compression::None;
    options.web = Some(Arc::new(Client(Arc::clone(server))));
    options
}

async fn opened(server: &Arc<Standing<Server>>, options: BinaryCacheOptions) -> Arc<BinaryCache> {
    BinaryCache::open(Arc::clone(server) as _, options).await.unwrap()
}

#[tokio::test]
async fn a_nar_is_asked_for_as_its_url_says() {
    let server = Arc::new(Standing(Server { only_gets: true, ..Server::default() }));
    let objects: Arc<dyn ObjectStore> = Arc::clone(&server) as _;
    let sample = Sample::tree("tree");
    add(&opened(&server, on(&server)).await, &sample).await;
    let key = nar_key(&objects).await;
    let narinfo = format!("{}.narinfo", sample.info.path.hash_part());
    let text = raw_text(&objects, &narinfo).await;
    let body = raw(&objects, &key).await;
    objects.delete(&Path::from(key.clone())).await.unwrap();
    put_raw(&objects, "hidden/file", body).await;
    for (url, asked) in [
        (format!("{key}?hash=x"), format!("{URL}/{key}?hash=x")),
        ("/nar/elsewhere".to_owned(), "https://cache.example/nar/elsewhere".to_owned()),
        ("https://cache.example/x?y".to_owned(), "https://cache.example/x?y".to_owned()),
    ] {
        put_raw(&objects, &narinfo, text.replace(&key, &url)).await;
        let cache = opened(&server, on(&server)).await;
        assert_eq!(fetch(&cache, &sample.info).await.unwrap(), sample.nar);
        let report = cache.verify(&VerifyOptions::default()).await.unwrap();
        assert!(report.findings.is_empty(), "{url}");
        let urls = std::mem::take(&mut *server.urls.lock().unwrap());
        assert!(!urls.is_empty() && urls.iter().all(|seen| *seen == asked), "{urls:?}");
    }
    put_raw(&objects, &narinfo, text.replace(&key, "https://other.example/x")).await;
    let error = fetch(&opened(&server, on(&server)).await, &sample.info).await.unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
    assert!(server.urls.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_large_file_is_read_while_it_is_sent() {
    let server = Arc::new(Standing(Server::default()));
    let sample = Sample::file("sample", &noise(300_000));
    let mut options = on(&server);
    options.limits.multipart_threshold = 100_000;
    options.limits.spool_memory = 1000;
    options.limits.upload_memory = 1000;
    add(&opened(&server, options).await, &sample).await;
    assert_eq!(server.written(".nar"), ["streamed"]);
    assert_eq!(fetch(&opened(&server, on(&server)).await, &sample.info).await.unwrap(), sample.nar);
}

#[tokio::test]
async fn a_store_without_parts_is_given_no_file_beyond_memory() {
    let server = Arc::new(Standing(Server::default()));
    let mut options = BinaryCacheOptions { web: None, ..on(&server) };
    options.limits.multipart_threshold = 100_000;
    options.limits.spool_memory = 1000;
    options.limits.upload_memory = 6 << 20;
    options.limits.part_size = 5 << 20;
    let cache = opened(&server, options).await;
    let error = stage_and_publish(&cache, &Sample::file("sample", &noise(7 << 20))).await.unwrap_err();
    assert!(format!("{error:?}").contains("Whole"), "{error:?}");
    add(&cache, &Sample::file("smaller", &noise(5 << 20))).await;
}

#[tokio::test]
async fn a_server_is_asked_first_and_told_the_condition_as_well() {
    let server = Arc::new(Standing(Server::default()));
    let sample = Sample::file("sample", b"text");
    let cache = opened(&server, on(&server)).await;
    add(&cache, &sample).await;
    let objects: Arc<dyn ObjectStore> = Arc::clone(&server) as _;
    cache.add_signatures(&sample.info.path, &[Signature::new("one:c2ln")]).await.unwrap();
    assert_eq!(server.written(".narinfo"), ["if absent", "if unchanged"]);
    add(&opened(&server, on(&server)).await, &sample).await;
    assert_eq!(server.written(".narinfo").len(), 2, "it is there");
    assert!(raw_text(&objects, &format!("{}.narinfo", sample.info.path.hash_part())).await.contains("one:"));
}

#[tokio::test]
async fn a_write_that_broke_keeps_its_condition() {
    let server = Arc::new(Standing(Server { shaky: true, ..Server::default() }));
    let cache = opened(&server, BinaryCacheOptions { web: None, ..on(&server) }).await;
    let sample = Sample::file("sample", b"text");
    add(&cache, &sample).await;
    cache.add_signatures(&sample.info.path, &[Signature::new("one:c2ln")]).await.unwrap();
    assert_eq!(server.written(".narinfo"), ["if absent", "if absent", "if unchanged", "if unchanged"]);
}
