//! A cache comes from strangers: what has been changed in it is refused, and the refusal names it.

use std::io::Write;
use std::sync::Arc;

use nars3_binary_cache::{BinaryCache, FileError, Finding, VerifyOptions};
use nars3_compression::{Compression, EncoderOptions, encoder};
use nars3_store_api::{Store, StoreError};
use nars3_store_path::{ContentAddress, PublicKeys};
use object_store::{ObjectStore, ObjectStoreExt};

use crate::support::*;

/// A cache with one path, and the text of its narinfo replaced.
async fn with_narinfo(
    sample: &Sample,
    change: impl Fn(String) -> String,
) -> (Arc<dyn ObjectStore>, Arc<BinaryCache>) {
    let objects = memory();
    add(&plain(&objects).await, sample).await;
    let key = format!("{}.narinfo", sample.info.path.hash_part());
    let text = change(raw_text(&objects, &key).await);
    put_raw(&objects, &key, text).await;
    let cache = plain(&objects).await;
    (objects, cache)
}

fn sample() -> Sample {
    Sample::file("sample", &noise(100_000))
}

#[tokio::test]
async fn a_changed_byte_is_found_by_the_file_hash() {
    let objects = memory();
    let sample = sample();
    let cache = plain(&objects).await;
    add(&cache, &sample).await;
    let key = nar_key(&objects).await;
    let mut bytes = raw(&objects, &key).await.to_vec();
    bytes[50_000] ^= 1;
    put_raw(&objects, &key, bytes).await;
    let error = fetch(&cache, &sample.info).await.unwrap_err();
    let StoreError::FileMismatch { location, field, .. } = &error else { panic!("{error}") };
    assert_eq!((location, *field), (&key, "FileHash"));
}

#[tokio::test]
async fn who_verifies_a_nar_himself_gets_it_as_it_is_but_no_larger() {
    for method in [Compression::None, Compression::Zstd] {
        let objects = memory();
        let cache = open(&objects, compressed_by(method.clone())).await;
        let (sample, mut other) = (sample(), sample().nar.to_vec());
        add(&cache, &sample).await;
        let key = nar_key(&objects).await;
        other[50_000] ^= 1;
        for (size, is_taken) in [(other.len(), true), (other.len() + 1, false)] {
            other.resize(size, 0);
            let mut packer = encoder(&method, &EncoderOptions::default(), Vec::new()).unwrap();
            packer.write_all(&other).unwrap();
            put_raw(&objects, &key, packer.finish().unwrap()).await;
            // The size of the file is compared before its first byte.
            let strip = |text: String| {
                text.lines()
                    .filter(|line| !line.starts_with("FileSize"))
                    .fold(String::new(), |all, line| all + line + "\n")
            };
            let narinfo = format!("{}.narinfo", sample.info.path.hash_part());
            let text = strip(raw_text(&objects, &narinfo).await);
            put_raw(&objects, &narinfo, text).await;
            let cache = plain(&objects).await;
            assert!(fetch(&cache, &sample.info).await.is_err(), "{method}: it is another one");
            let mut nar = cache.unverified_nar(&sample.info).await.unwrap();
            let mut bytes = Vec::new();
            let ended = loop {
                match nar.next().await {
                    Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
                    Ok(None) => break Ok(()),
                    Err(error) => break Err(error),
                }
            };
            assert_eq!(ended.is_ok(), is_taken, "{method}: {ended:?}");
            assert!(bytes.len() <= sample.nar.len() && (!is_taken || bytes == other), "{method}");
        }
    }
}

#[tokio::test]
async fn a_changed_byte_is_found_by_the_nar_hash_alone() {
    let sample = sample();
    let strip = |text: String| {
        let lines = text.lines().filter(|line| !line.starts_with("File"));
        lines.map(|line| format!("{line}\n")).collect::<String>()
    };
    let (objects, cache) = with_narinfo(&sample, strip).await;
    assert_eq!(fetch(&cache, &sample.info).await.unwrap(), sample.nar, "FileHash and FileSize are optional");
    let key = nar_key(&objects).await;
    let mut bytes = raw(&objects, &key).await.to_vec();
    bytes[50_000] ^= 1;
    put_raw(&objects, &key, bytes.clone()).await;
    let error = fetch(&cache, &sample.info).await.unwrap_err();
    assert!(
        matches!(error, StoreError::NarHashMismatch { expected, .. } if expected == sample.info.nar_hash)
    );
    bytes.truncate(60_000);
    put_raw(&objects, &key, bytes.clone()).await;
    let error = fetch(&cache, &sample.info).await.unwrap_err();
    assert!(matches!(error, StoreError::NarSizeMismatch { actual: 60_000, .. }), "{error}");
    bytes.resize(200_000, 0);
    put_raw(&objects, &key, bytes).await;
    let error = fetch(&cache, &sample.info).await.unwrap_err();
    assert!(matches!(error, StoreError::NarSizeMismatch { .. }), "{error}");
}

#[tokio::test]
async fn a_truncated_file_is_found_before_it_is_read() {
    let objects = memory();
    let sample = sample();
    let cache = plain(&objects).await;
    add(&cache, &sample).await;
    let key = nar_key(&objects).await;
    let bytes = raw(&objects, &key).await;
    put_raw(&objects, &key, bytes.slice(..1000)).await;
    let error = cache.nar(&sample.info).await.unwrap_err();
    let expected = format!(
        "'{key}' of '{}' in 's3://test-cache' is damaged: FileSize should be {}, but is 1000",
        sample.info.path,
        bytes.len()
    );
    assert_eq!(error.to_string(), expected);
}

#[tokio::test]
async fn damaged_compression_is_corruption() {
    for name in ["xz", "zstd", "bzip2", "br"] {
        let objects = memory();
        let sample = sample();
        let cache = open(&objects, compressed_by(Compression::from(name))).await;
        add(&cache, &sample).await;
        let key = nar_key(&objects).await;
        let mut bytes = raw(&objects, &key).await.to_vec();
        let middle = bytes.len() / 2;
        bytes[middle..middle + 100].fill(0xff);
        put_raw(&objects, &key, bytes).await;
        let error = fetch(&cache, &sample.info).await.unwrap_err();
        let named = match &error {
            StoreError::Corrupt { location, .. } | StoreError::FileMismatch { location, .. } => {
                *location == key
            }
            _ => false,
        };
        assert!(named, "{name}: {error:?}");
    }
}

#[tokio::test]
async fn a_bomb_is_not_unpacked() {
    let objects = memory();
    let zeros = Sample::file("zeros", &vec![0; 10_000_000]);
    let cache = open(&objects, compressed_by(Compression::Zstd)).await;
    add(&cache, &zeros).await;
    let mut info = zeros.info.clone();
    info.nar_size = 1000;
    let error = fetch(&cache, &info).await.unwrap_err();
    let StoreError::NarSizeMismatch { expected: 1000, actual, .. } = error else { panic!("{error}") };
    assert!(actual < 1_000_000, "it stopped after {actual} bytes");
}

#[tokio::test]
async fn a_missing_nar_is_gone() {
    let objects = memory();
    let sample = sample();
    let cache = plain(&objects).await;
    add(&cache, &sample).await;
    let key = nar_key(&objects).await;
    objects.delete(&key.as_str().into()).await.unwrap();
    let error = cache.nar(&sample.info).await.unwrap_err();
    assert!(matches!(&error, StoreError::NarGone { location, .. } if *location == key), "{error}");
}

#[tokio::test]
async fn the_narinfo_of_another_path_is_refused() {
    let (original, other) = (sample(), Sample::file("other", b"evil"));
    let objects = memory();
    let cache = plain(&objects).await;
    add(&cache, &other).await;
    let stolen = raw(&objects, &format!("{}.narinfo", other.info.path.hash_part())).await;
    let key = format!("{}.narinfo", original.info.path.hash_part());
    put_raw(&objects, &key, stolen).await;
    let error = cache.path_info(&original.info.path).await.unwrap_err();
    assert_eq!(error.to_string(), format!("'{key}' in 's3://test-cache' is corrupt"));
    let reason = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(reason, format!("it is about '/nix/store/{}'", other.info.path));
}

#[tokio::test]
async fn a_path_of_another_name_is_another_path() {
    let sample = sample();
    let (_objects, cache) = with_narinfo(&sample, |text| text).await;
    let renamed = format!("{}-renamed", sample.info.path.hash_part()).parse().unwrap();
    assert!(cache.path_info(&renamed).await.unwrap().is_none());
    assert!(cache.valid_paths(&[renamed]).await.unwrap().is_empty());
}

#[tokio::test]
async fn no_narinfo_leads_out_of_the_cache() {
    for url in ["https://evil.example/x.nar", "../../etc/passwd", "/etc/passwd", "s3://other/nar/x.nar"] {
        let sample = sample();
        let replace = |text: String| {
            let lines = text.lines().map(|line| match line.starts_with("URL: ") {
                true => format!("URL: {url}\n"),
                false => format!("{line}\n"),
            });
            lines.collect::<String>()
        };
        let (_objects, cache) = with_narinfo(&sample, replace).await;
        let error = cache.nar(&sample.info).await.unwrap_err();
        let reason = std::error::Error::source(&error).unwrap().to_string();
        assert!(reason.contains(url), "{reason}");
    }
}

#[tokio::test]
async fn garbage_is_corrupt_and_not_absent() {
    let sample = sample();
    for garbage in ["", "garbage", "StorePath: x\n", "\u{0}\u{0}"] {
        let (_objects, cache) = with_narinfo(&sample, |_| garbage.to_owned()).await;
        let error = cache.path_info(&sample.info.path).await.unwrap_err();
        assert!(matches!(error, StoreError::Corrupt { .. }), "{garbage:?}: {error}");
    }
}

#[tokio::test]
async fn a_nar_that_is_not_what_its_info_says_never_becomes_visible() {
    let objects = memory();
    let cache = plain(&objects).await;
    let sample = sample();
    let mut wrong_hash = sample.clone();
    wrong_hash.info.nar_hash = Sample::file("other", b"").info.nar_hash;
    let error = stage_and_publish(&cache, &wrong_hash).await.unwrap_err();
    assert!(matches!(error, StoreError::NarHashMismatch { actual, .. } if actual == sample.info.nar_hash));
    for size in [sample.info.nar_size - 1, sample.info.nar_size + 1] {
        let mut wrong_size = sample.clone();
        wrong_size.info.nar_size = size;
        let error = stage_and_publish(&cache, &wrong_size).await.unwrap_err();
        assert!(matches!(error, StoreError::NarSizeMismatch { expected, .. } if expected == size), "{error}");
    }
    assert_eq!(keys(&objects).await, Vec::<String>::new());
}

#[tokio::test]
async fn verification_finds_what_is_wrong_and_nothing_else() {
    let objects = memory();
    let mut options = compressed_by(Compression::Zstd);
    let key = secret_key("test-1");
    let trusted: PublicKeys = [key.public_key()].into_iter().collect();
    options.secret_keys.push(key);
    let cache = open(&objects, options).await;
    let names = ["good", "nar-gone", "nar-torn", "nar-changed", "forged", "referred"];
    let samples: Vec<_> =
        names.iter().zip(1..).map(|(name, size)| Sample::file(name, &noise(5000 + size))).collect();
    for sample in &samples {
        add(&cache, sample).await;
    }
    let referring = Sample::file("referring", b"x").referring_to(&[&samples[5]]);
    add(&cache, &referring).await;
    let everything = VerifyOptions { contents: true, trusted: Some(trusted), ..VerifyOptions::default() };
    let report = open(&objects, compressed_by(Compression::None)).await.verify(&everything).await.unwrap();
    assert_eq!(report.paths, 7);
    assert!(report.findings.is_empty(), "{:?}", report.findings);

    let narinfo = |name: &str| format!("{}.narinfo", Sample::file_path(name).hash_part());
    let nar = async |name: &str| {
        let text = raw_text(&objects, &narinfo(name)).await;
        text.lines().find_map(|line| line.strip_prefix("URL: ")).unwrap().to_owned()
    };
    objects.delete(&nar("nar-gone").await.as_str().into()).await.unwrap();
    put_raw(&objects, &nar("nar-torn").await, "torn").await;
    let mut changed = raw(&objects, &nar("nar-changed").await).await.to_vec();
    changed[2500] ^= 1;
    put_raw(&objects, &nar("nar-changed").await, changed).await;
    let forged = raw_text(&objects, &narinfo("forged")).await;
    let claim: ContentAddress = format!("fixed:r:{}", samples[4].info.nar_hash).parse().unwrap();
    let unsigned: String =
        forged.lines().filter(|line| !line.starts_with("Sig")).map(|l| format!("{l}\n")).collect();
    put_raw(&objects, &narinfo("forged"), format!("{unsigned}CA: {claim}\n")).await;
    objects.delete(&narinfo("referred").as_str().into()).await.unwrap();
    put_raw(&objects, &narinfo("garbage"), "garbage").await;

    let fresh = plain(&objects).await;
    let report = fresh.verify(&everything).await.unwrap();
    let mut found: Vec<String> = report
        .findings
        .iter()
        .map(|finding| match finding {
            Finding::MissingNar { path, .. } => format!("missing {}", path.name()),
            Finding::CorruptNar { path, .. } => format!("corrupt {}", path.name()),
            Finding::DanglingReference { path, reference } => {
                format!("dangling {} {}", path.name(), reference.name())
            }
            Finding::FalseContentAddress { path, .. } => format!("ca {}", path.name()),
            Finding::Untrusted { path, .. } => format!("untrusted {}", path.name()),
            Finding::CorruptNarInfo { .. } => "narinfo".into(),
            Finding::OrphanNar { .. } => "orphan".into(),
            other => format!("{other:?}"),
        })
        .collect();
    found.sort();
    let expected = [
        "ca forged",
        "corrupt nar-changed",
        "corrupt nar-torn",
        "dangling referring referred",
        "missing nar-gone",
        "narinfo",
        "orphan",
        "untrusted forged",
    ];
    assert_eq!(found, expected);

    let gets = fresh.stats().gets();
    let quick = fresh.verify(&VerifyOptions::default()).await.unwrap();
    assert!(!quick.findings.iter().any(|finding| matches!(finding, Finding::Untrusted { .. })));
    assert_eq!(fresh.stats().gets() - gets, 8, "each narinfo, and the dangling reference");

    let upstream = plain(&memory()).await;
    add(&upstream, &samples[5]).await;
    let mut options = crate::support::options();
    options.upstreams.push(upstream);
    let named = VerifyOptions { paths: Some(vec![referring.info.path.clone()]), ..VerifyOptions::default() };
    let report = open(&objects, options).await.verify(&named).await.unwrap();
    assert!(report.findings.is_empty(), "the upstream has it: {:?}", report.findings);
}

#[tokio::test]
async fn files_are_read_from_inside_with_no_more_than_needed() {
    for (method, listing) in [("none", true), ("none", false), ("zstd", true), ("zstd", false), ("xz", true)]
    {
        let objects = memory();
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("root")).unwrap();
        std::fs::write(directory.path().join("root/a"), noise(3_000_000)).unwrap();
        std::fs::write(directory.path().join("root/small"), "small file").unwrap();
        std::os::unix::fs::symlink("a", directory.path().join("root/link")).unwrap();
        let sample = Sample::of("tree", &directory.path().join("root"));
        let mut options = compressed_by(Compression::from(method));
        options.cache.write_nar_listing = listing;
        add(&open(&objects, options).await, &sample).await;
        let cache = plain(&objects).await;
        let read = async |member: &str| {
            let mut contents = cache.open_file(&sample.info.path, member).await?.contents;
            let mut bytes = Vec::new();
            while let Some(chunk) = contents.next().await? {
                bytes.extend_from_slice(&chunk);
            }
            Ok::<_, StoreError>(bytes)
        };
        assert_eq!(read("small").await.unwrap(), b"small file");
        if listing && method == "none" {
            assert!(cache.stats().bytes_received() < 5000, "{}", cache.stats());
        }
        assert_eq!(read("a").await.unwrap(), noise(3_000_000));
        for (member, expected) in [
            ("absent", FileError::Missing { member: "absent".into() }),
            ("link", FileError::NotRegular { member: "link".into(), found: "symlink" }),
            ("", FileError::NotRegular { member: String::new(), found: "directory" }),
        ] {
            let error = read(member).await.unwrap_err();
            let source =
                std::error::Error::source(&error).and_then(|source| source.downcast_ref::<FileError>());
            assert_eq!(source, Some(&expected), "{method} {listing}: {error:?}");
        }
        let root = cache.listing(&sample.info.path).await.unwrap().root;
        assert!(root.lookup("small").is_some() && root.lookup("nothing").is_none());
    }
}

#[tokio::test]
async fn a_listing_of_another_nar_shows() {
    let objects = memory();
    let mut options = compressed_by(Compression::None);
    options.cache.write_nar_listing = true;
    let cache = open(&objects, options).await;
    let sample = Sample::tree("tree");
    add(&cache, &sample).await;
    let key = format!("{}.ls", sample.info.path.hash_part());
    let text = raw_text(&objects, &key).await.replace("\"size\":21", "\"size\":20");
    put_raw(&objects, &key, text).await;
    let mut contents = cache.open_file(&sample.info.path, "bin/hello").await.unwrap().contents;
    let error = contents.next().await.unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
}
