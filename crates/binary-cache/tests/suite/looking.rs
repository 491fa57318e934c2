//! Looking into a path costs what is looked at, as far as its file allows.

use std::path::Path as FilePath;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use nars3_binary_cache::{BinaryCache, BinaryCacheOptions, Elsewhere, Finding, VerifyOptions};
use nars3_compression::Compression;
use nars3_store_api::{BoxError, Store, StoreError};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{Error, GetOptions, GetResult, ObjectStore, ObjectStoreExt, Result};

use crate::double::{Double, Standing};
use crate::faulty::{Fault, Faulty};
use crate::support::*;

const MIB: usize = 1 << 20;

/// A path with a small file between two large ones.
fn large() -> Sample {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("root");
    std::fs::create_dir(&root).unwrap();
    let noise = noise(41 * MIB);
    std::fs::write(root.join("a"), &noise[..20 * MIB]).unwrap();
    std::fs::write(root.join("b"), b"what is looked for").unwrap();
    std::fs::write(root.join("c"), &noise[20 * MIB..]).unwrap();
    std::fs::write(root.join("empty"), b"").unwrap();
    Sample::of("large", &root)
}

fn listed(method: Compression) -> BinaryCacheOptions {
    let mut options = compressed_by(method);
    options.cache.write_nar_listing = true;
    options
}

async fn read(
    cache: &Arc<BinaryCache>,
    sample: &Sample,
    member: &str,
) -> std::result::Result<Vec<u8>, StoreError> {
    let mut opened = cache.open_file(&sample.info.path, member).await?;
    let mut bytes = Vec::new();
    while let Some(chunk) = opened.contents.next().await? {
        bytes.extend_from_slice(&chunk);
    }
    assert!(opened.size.is_none_or(|size| size == bytes.len() as u64));
    Ok(bytes)
}

#[tokio::test]
async fn a_small_file_of_a_large_path_is_all_that_is_fetched() {
    let sample = large();
    // The cache's own info, the narinfo, the listing, and the file; of zstd the table as well, and a frame of 16 MiB.
    for (method, gets, most) in [(Compression::None, 4, 64 * 1024), (Compression::Zstd, 5, 17 * MIB as u64)] {
        let objects = memory();
        add(&open(&objects, listed(method.clone())).await, &sample).await;
        let reader = open(&objects, options()).await;
        assert_eq!(read(&reader, &sample, "b").await.unwrap(), b"what is looked for", "{method}");
        assert_eq!(reader.stats().gets(), gets, "{method}: {}", reader.stats());
        assert!(reader.stats().bytes_received() < most, "{method}: {}", reader.stats());
        // What spans frames, and what is in none.
        let noise = noise(41 * MIB);
        assert!(read(&reader, &sample, "c").await.unwrap() == noise[20 * MIB..], "{method}");
        assert!(read(&reader, &sample, "/a").await.unwrap() == noise[..20 * MIB], "{method}");
        assert_eq!(read(&reader, &sample, "empty").await.unwrap(), b"");
        assert!(read(&reader, &sample, "d").await.is_err());
    }
}

#[tokio::test]
async fn a_file_without_a_table_is_read_as_far_as_needed() {
    let sample = large();
    let objects = memory();
    add(&open(&objects, listed(Compression::Zstd)).await, &sample).await;
    // As another program writes it: one frame, and no size in its header.
    let key = nar_key(&objects).await;
    let file = zstd_of(&sample.nar);
    let narinfo = format!("{}.narinfo", sample.info.path.hash_part());
    let text = raw_text(&objects, &narinfo).await;
    let lines = text.lines().map(|line| match line.split_once(": ") {
        Some(("FileSize", _)) => format!("FileSize: {}\n", file.len()),
        Some(("FileHash", _)) => String::new(),
        _ => format!("{line}\n"),
    });
    put_raw(&objects, &narinfo, lines.collect::<String>()).await;
    put_raw(&objects, &key, file).await;
    let reader = open(&objects, options()).await;
    assert_eq!(read(&reader, &sample, "b").await.unwrap(), b"what is looked for");
}

fn zstd_of(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    // Frames of 16 MiB at most, joined without a table.
    let mut file = Vec::new();
    for piece in bytes.chunks(16 * MIB) {
        let mut writer = nars3_compression::encoder(
            &Compression::Zstd,
            &nars3_compression::EncoderOptions::default(),
            Vec::new(),
        )
        .unwrap();
        writer.write_all(piece).unwrap();
        file.extend(writer.finish().unwrap());
    }
    file
}

#[tokio::test]
async fn a_table_that_lies_does_no_harm() {
    let sample = large();
    let objects = memory();
    add(&open(&objects, listed(Compression::Zstd)).await, &sample).await;
    let key = nar_key(&objects).await;
    let mut file = raw(&objects, &key).await.to_vec();
    // The sizes of the first two frames change places with one another's bytes: the sums stay right.
    let table = file.len() - (8 + 3 * 8 + 9) + 8;
    file[table] = file[table].wrapping_add(1);
    file[table + 8] = file[table + 8].wrapping_sub(1);
    put_raw(&objects, &key, file).await;
    let reader = open(&objects, options()).await;
    let found = read(&reader, &sample, "b").await;
    assert!(found.is_err(), "{:?}", found.map(|bytes| bytes.len()));
}

#[tokio::test]
async fn a_nar_that_is_kept_is_fetched_once() {
    let objects = memory();
    let sample = Sample::tree("tree");
    add(&open(&objects, compressed_by(Compression::Xz)).await, &sample).await;
    let kept = tempfile::tempdir().unwrap();
    let directory = kept.path().join("new");
    let opened = |directory: &FilePath| {
        let mut options = options();
        options.cache.local_nar_cache = Some(directory.to_owned());
        options
    };
    let reader = open(&objects, opened(&directory)).await;
    assert_eq!(read(&reader, &sample, "share/readme").await.unwrap(), b"tree");
    let gets = reader.stats().gets();
    assert_eq!(read(&reader, &sample, "bin/hello").await.unwrap(), b"#!/bin/sh\necho hello\n");
    assert_eq!(reader.stats().gets(), gets);
    // As Nix names them.
    let file = |extension: &str| directory.join(format!("{}.{extension}", sample.info.path.hash_part()));
    assert_eq!(std::fs::read(file("nar")).unwrap(), sample.nar);
    assert!(std::fs::read_to_string(file("ls")).unwrap().contains("narOffset"));
    // One that is torn is fetched again.
    std::fs::write(file("nar"), b"torn").unwrap();
    assert_eq!(read(&reader, &sample, "share/readme").await.unwrap(), b"tree");
    assert_eq!(std::fs::read(file("nar")).unwrap(), sample.nar);
    // Where nothing can be kept, the answer is the same.
    std::fs::write(kept.path().join("file"), b"").unwrap();
    let reader = open(&objects, opened(&kept.path().join("file"))).await;
    assert_eq!(read(&reader, &sample, "share/readme").await.unwrap(), b"tree");
}

/// Memory, behind a web server that gives whole files only.
#[derive(Debug)]
struct Whole(InMemory);

#[async_trait]
impl Double for Whole {
    fn memory(&self) -> &InMemory {
        &self.0
    }

    async fn get(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        match options.range {
            Some(_) => Err(Error::NotSupported { source: "no ranges".into() }),
            None => self.0.get_opts(path, options).await,
        }
    }
}

#[tokio::test]
async fn a_server_without_ranges_gives_the_file_all_the_same() {
    let objects: Arc<dyn ObjectStore> = Arc::new(Standing(Whole(InMemory::new())));
    let sample = Sample::tree("tree");
    add(&open(&objects, listed(Compression::None)).await, &sample).await;
    let reader = open(&objects, options()).await;
    assert_eq!(read(&reader, &sample, "share/readme").await.unwrap(), b"tree");
    assert_eq!(read(&reader, &sample, "bin/hello").await.unwrap(), b"#!/bin/sh\necho hello\n");
}

/// Another server, that notes what it was asked.
#[derive(Debug)]
struct Other {
    objects: Arc<dyn ObjectStore>,
    asked: Mutex<Vec<String>>,
}

#[async_trait]
impl Elsewhere for Other {
    async fn open(&self, url: &str) -> std::result::Result<(Arc<dyn ObjectStore>, Path), BoxError> {
        self.asked.lock().unwrap().push(url.to_owned());
        Ok((Arc::clone(&self.objects), Path::from("file")))
    }
}

#[tokio::test]
async fn a_nar_on_another_server_is_fetched_only_where_that_is_allowed_and_checked_like_any() {
    let objects = memory();
    let sample = Sample::tree("tree");
    add(&plain(&objects).await, &sample).await;
    let key = nar_key(&objects).await;
    let narinfo = format!("{}.narinfo", sample.info.path.hash_part());
    let url = "https://elsewhere.example/x.nar?signature=secret";
    put_raw(&objects, &narinfo, raw_text(&objects, &narinfo).await.replace(&key, url)).await;

    let error = fetch(&plain(&objects).await, &sample.info).await.unwrap_err();
    let text = format!("{error:?}");
    assert!(matches!(error, StoreError::Corrupt { .. }) && text.contains("OtherOrigin"), "{text}");

    let other = Arc::new(Other { objects: memory(), asked: Mutex::default() });
    put_raw(&other.objects, "file", sample.nar.clone()).await;
    let following = || BinaryCacheOptions { elsewhere: Some(other.clone()), ..options() };
    let reader = open(&objects, following()).await;
    assert_eq!(fetch(&reader, &sample.info).await.unwrap(), sample.nar);
    assert_eq!(*other.asked.lock().unwrap(), [url]);

    let mut wrong = sample.nar.to_vec();
    wrong[100] ^= 1;
    put_raw(&other.objects, "file", wrong).await;
    let error = fetch(&open(&objects, following()).await, &sample.info).await.unwrap_err();
    assert!(
        matches!(error, StoreError::FileMismatch { .. }) && !error.to_string().contains("secret"),
        "{error}"
    );
    assert_eq!(reader.path_info(&sample.info.path).await.unwrap().as_deref(), Some(&sample.info));
}

#[tokio::test]
async fn a_listing_that_makes_no_sense_is_as_good_as_none() {
    let sample = Sample::tree("tree");
    for nonsense in [&b"{"[..], b"\xff\xfe"] {
        let objects = memory();
        add(&open(&objects, listed(Compression::None)).await, &sample).await;
        let sound = open(&objects, options()).await.listing(&sample.info.path).await.unwrap();
        let key = format!("{}.ls", sample.info.path.hash_part());
        put_raw(&objects, &key, nonsense).await;
        let warnings = Arc::new(Warnings::default());
        let mut watched = options();
        watched.progress = warnings.clone();
        let reader = open(&objects, watched).await;
        assert_eq!(reader.listing(&sample.info.path).await.unwrap(), sound);
        assert_eq!(read(&reader, &sample, "share/readme").await.unwrap(), b"tree");
        let told = warnings.all();
        assert!(told.iter().all(|warning| warning.contains(&key)) && !told.is_empty(), "{told:?}");
    }
    // One that is larger than is believed.
    let objects = memory();
    add(&open(&objects, listed(Compression::None)).await, &sample).await;
    let mut small = options();
    small.limits.document_size = 10;
    let reader = open(&objects, small).await;
    assert_eq!(read(&reader, &sample, "share/readme").await.unwrap(), b"tree");
}

/// What is read of a NAR, and whatever for: the URL is followed, or it is not.
#[tokio::test]
async fn everything_that_reads_nars_follows_a_url_elsewhere() {
    let sample = large();
    for method in [Compression::None, Compression::Zstd] {
        let objects = memory();
        add(&open(&objects, listed(method.clone())).await, &sample).await;
        let key = nar_key(&objects).await;
        let narinfo = format!("{}.narinfo", sample.info.path.hash_part());
        let url = "https://elsewhere.example/x.nar?signature=secret";
        put_raw(&objects, &narinfo, raw_text(&objects, &narinfo).await.replace(&key, url)).await;
        let other = Arc::new(Other { objects: memory(), asked: Mutex::default() });
        put_raw(&other.objects, "file", raw(&objects, &key).await).await;
        objects.delete(&key.as_str().into()).await.unwrap();

        let following = BinaryCacheOptions { elsewhere: Some(other.clone()), ..options() };
        let reader = open(&objects, following).await;
        assert_eq!(read(&reader, &sample, "b").await.unwrap(), b"what is looked for", "{method}");
        assert!(reader.stats().bytes_received() < 17 * MIB as u64, "{method}: {}", reader.stats());
        for contents in [false, true] {
            let verify = VerifyOptions { contents, ..VerifyOptions::default() };
            let report = reader.verify(&verify).await.unwrap();
            assert!(report.findings.is_empty(), "{method}: {:?}", report.findings);
        }
        put_raw(&other.objects, "file", "torn").await;
        let found = reader.verify(&VerifyOptions::default()).await.unwrap().findings;
        assert!(matches!(found[..], [Finding::CorruptNar { .. }]), "{found:?}");
        // What the other server denies is not judged by what this one tells.
        let refusing: Arc<dyn ObjectStore> = Faulty::new(Fault::Denied("AccessDenied"));
        let other_asked = Arc::new(Other { objects: refusing, asked: Mutex::default() });
        let following = BinaryCacheOptions { elsewhere: Some(other_asked), ..options() };
        let denied = open(&objects, following).await;
        let found = denied.verify(&VerifyOptions::default()).await.unwrap().findings;
        assert!(matches!(found[..], [Finding::UnreadableNar { .. }]), "{found:?}");
        other.objects.delete(&"file".into()).await.unwrap();
        let found = reader.verify(&VerifyOptions::default()).await.unwrap().findings;
        let gone = "https://elsewhere.example/x.nar";
        assert!(
            matches!(&found[..], [Finding::MissingNar { location, .. }] if location == gone),
            "{found:?}"
        );
    }
}
