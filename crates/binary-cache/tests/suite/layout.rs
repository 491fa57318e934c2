//! What a cache looks like: keys, headers and bytes, rule by rule as Nix 2.29 writes them.

use std::sync::Arc;

use nars3_binary_cache::BinaryCache;
use nars3_compression::Compression;
use nars3_narinfo::CacheInfo;
use nars3_store_api::{NarStream, Store, StoreError};
use nars3_store_path::{Algorithm, BuildTraceEntry, BuildTraceKey, Hash, Realisation, Signature, StorePath};
use object_store::path::Path;
use object_store::{Attribute, ObjectStore, ObjectStoreExt};

use crate::support::*;

async fn header(objects: &Arc<dyn ObjectStore>, key: &str, attribute: Attribute) -> Option<String> {
    let found = objects.get(&Path::parse(key).unwrap()).await.unwrap();
    found.attributes.get(&attribute).map(|value| value.to_string())
}

async fn content_type(objects: &Arc<dyn ObjectStore>, key: &str) -> String {
    header(objects, key, Attribute::ContentType).await.unwrap()
}

async fn content_encoding(objects: &Arc<dyn ObjectStore>, key: &str) -> Option<String> {
    header(objects, key, Attribute::ContentEncoding).await
}

fn file_name(hash_of: &[u8]) -> String {
    Hash::digest(Algorithm::Sha256, hash_of).nix32_digest()
}

/// A path with everything that a narinfo can tell.
fn full_sample() -> Sample {
    let references = [Sample::file("zlib", b"z"), Sample::file("attr", b"a")];
    let mut sample = Sample::file("program", b"content").referring_to(&[&references[0], &references[1]]);
    sample.info.deriver = Some(Sample::file_path("program.drv"));
    sample.info.signatures.insert(Signature::new("other:c2lnbmF0dXJl"));
    sample
}

#[tokio::test]
async fn opening_a_cache_writes_nothing() {
    let objects = memory();
    let cache = plain(&objects).await;
    assert!(cache.info().is_none() && !cache.info_denied());
    assert!(cache.path_info(&Sample::file_path("x")).await.unwrap().is_none());
    assert_eq!(keys(&objects).await, Vec::<String>::new());
}

#[tokio::test]
async fn the_first_path_brings_the_cache_info() {
    let objects = memory();
    add(&plain(&objects).await, &Sample::file("x", b"")).await;
    assert_eq!(raw_text(&objects, "nix-cache-info").await, "StoreDir: /nix/store\n");
    assert_eq!(content_type(&objects, "nix-cache-info").await, "text/x-nix-cache-info");
}

#[tokio::test]
async fn a_cache_info_that_is_there_is_kept() {
    let objects = memory();
    let text = "StoreDir: /nix/store\nWantMassQuery: 1\nPriority: 30\n";
    put_raw(&objects, "nix-cache-info", text).await;
    let cache = plain(&objects).await;
    assert_eq!(cache.info().unwrap().priority, Some(30));
    add(&cache, &Sample::file("x", b"")).await;
    assert_eq!(raw_text(&objects, "nix-cache-info").await, text);
}

#[tokio::test]
async fn a_cache_can_be_initialised() {
    let objects = memory();
    let info = CacheInfo { want_mass_query: Some(true), priority: Some(10), ..CacheInfo::default() };
    plain(&objects).await.initialise(info).await.unwrap();
    let text = raw_text(&objects, "nix-cache-info").await;
    assert_eq!(text, "StoreDir: /nix/store\nWantMassQuery: 1\nPriority: 10\n");
}

#[tokio::test]
async fn a_cache_for_another_store_directory_is_refused() {
    let objects = memory();
    put_raw(&objects, "nix-cache-info", "StoreDir: /gnu/store\n").await;
    let error = BinaryCache::open(objects, options()).await.unwrap_err();
    assert_eq!(error.to_string(), "'s3://test-cache' is for Nix stores at '/gnu/store', not '/nix/store'");
}

#[tokio::test]
async fn a_narinfo_has_the_bytes_of_nix() {
    let objects = memory();
    let sample = full_sample();
    let mut options = compressed_by(Compression::None);
    let key = secret_key("test-1");
    let mut signed = sample.info.clone();
    signed.sign(&options.store_dir, &key).unwrap();
    options.secret_keys.push(key);
    let cache = open(&objects, options).await;
    for reference in ["zlib", "attr"] {
        add(&cache, &Sample::file(reference, b"")).await;
    }
    add(&cache, &sample).await;

    let hash_part = sample.info.path.hash_part();
    let references: Vec<_> = sample.info.references.iter().map(ToString::to_string).collect();
    let mut sorted = references.clone();
    sorted.sort();
    assert_eq!(references, sorted);
    let signatures: String =
        signed.signatures.iter().map(|signature| format!("Sig: {signature}\n")).collect();
    assert_eq!(signatures.lines().count(), 2, "the signature that was given and ours");
    let expected = format!(
        "StorePath: /nix/store/{hash_part}-program\n\
         URL: nar/{file}.nar\n\
         Compression: none\n\
         FileHash: sha256:{file}\n\
         FileSize: {size}\n\
         NarHash: sha256:{file}\n\
         NarSize: {size}\n\
         References: {references}\n\
         Deriver: {deriver}\n\
         {signatures}",
        file = file_name(&sample.nar),
        size = sample.nar.len(),
        references = references.join(" "),
        deriver = sample.info.deriver.as_ref().unwrap(),
    );
    let key = format!("{hash_part}.narinfo");
    assert_eq!(raw_text(&objects, &key).await, expected);
    assert_eq!(content_type(&objects, &key).await, "text/x-nix-narinfo");
    assert_eq!(content_encoding(&objects, &key).await, None);
}

#[tokio::test]
async fn a_narinfo_without_references_keeps_the_space() {
    let objects = memory();
    let sample = Sample::file("x", b"");
    add(&plain(&objects).await, &sample).await;
    let text = raw_text(&objects, &format!("{}.narinfo", sample.info.path.hash_part())).await;
    assert!(text.ends_with("\nReferences: \n"), "{text:?}");
}

#[tokio::test]
async fn a_nar_is_named_after_its_file() {
    let extensions = [
        ("none", ""),
        ("xz", ".xz"),
        ("bzip2", ".bz2"),
        ("zstd", ".zst"),
        ("lzip", ".lzip"),
        ("lz4", ".lz4"),
        ("br", ".br"),
        ("gzip", ""),
    ];
    for (method, extension) in extensions {
        let objects = memory();
        add(&open(&objects, compressed_by(Compression::from(method))).await, &Sample::file("x", b"abc"))
            .await;
        let key = nar_key(&objects).await;
        let file = raw(&objects, &key).await;
        assert_eq!(key, format!("nar/{}.nar{extension}", file_name(&file)), "{method}");
        assert_eq!(content_type(&objects, &key).await, "application/x-nix-nar");
        assert_eq!(content_encoding(&objects, &key).await, None);
    }
}

#[tokio::test]
async fn a_nar_in_parts_has_its_headers_too() {
    let objects = memory();
    let mut options = compressed_by(Compression::None);
    options.limits.multipart_threshold = 1000;
    add(&open(&objects, options).await, &Sample::file("x", &noise(5000))).await;
    assert_eq!(content_type(&objects, &nar_key(&objects).await).await, "application/x-nix-nar");
}

#[tokio::test]
async fn a_listing_is_written_when_asked_for() {
    let objects = memory();
    let sample = Sample::tree("tree");
    add(&plain(&objects).await, &sample).await;
    assert!(!keys(&objects).await.iter().any(|key| key.ends_with(".ls")));

    let objects = memory();
    let mut options = compressed_by(Compression::Zstd);
    options.cache.write_nar_listing = true;
    add(&open(&objects, options).await, &sample).await;
    let key = format!("{}.ls", sample.info.path.hash_part());
    assert_eq!(content_type(&objects, &key).await, "application/json");
    let json = raw_text(&objects, &key).await;
    let listing = nars3_nar::list(sample.nar.as_ref(), nars3_nar::Limits::default()).unwrap();
    assert_eq!(json, listing.to_json());
    assert!(
        json.starts_with(r#"{"root":{"entries":{"bin":{"entries":{"hello":{"executable":true,"#),
        "{json}"
    );
    assert!(json.ends_with(r#","version":1}"#), "{json}");
}

#[tokio::test]
async fn debug_information_is_indexed_by_build_id() {
    let id = "02623eda209c26a59b1a8638ff7752f6b945c26b";
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path().join("out/lib/debug/.build-id/02");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(format!("{}.debug", &id[2..])), "elf").unwrap();
    std::fs::write(folder.join("not-an-id.debug"), "elf").unwrap();
    let sample = Sample::of("debug", &directory.path().join("out"));
    let objects = memory();
    let mut options = compressed_by(Compression::None);
    options.cache.index_debug_info = true;
    let cache = open(&objects, options).await;
    add(&cache, &sample).await;
    let found: Vec<_> =
        keys(&objects).await.into_iter().filter(|key| key.starts_with("debuginfo/")).collect();
    assert_eq!(found, [format!("debuginfo/{id}.debug")]);
    let expected = format!(
        r#"{{"archive":"../nar/{}.nar","member":"lib/debug/.build-id/02/{}.debug"}}"#,
        file_name(&sample.nar),
        &id[2..]
    );
    assert_eq!(raw_text(&objects, &found[0]).await, expected);
    assert_eq!(content_type(&objects, &found[0]).await, "application/json");
    assert!(!keys(&objects).await.iter().any(|key| key.ends_with(".ls")), "a listing was not asked for");

    put_raw(&objects, &found[0], "the first one stays").await;
    let mut twin = sample.clone();
    twin.info.path = Sample::file_path("twin");
    add(&cache, &twin).await;
    assert_eq!(raw_text(&objects, &found[0]).await, "the first one stays");
    assert!(cache.debug_info("x").await.is_err());
    assert!(cache.debug_info(&id.replace('0', "1")).await.unwrap().is_none());
}

#[tokio::test]
async fn documents_are_encoded_as_the_settings_say() {
    for name in ["gzip", "br", "zstd"] {
        let objects = memory();
        let mut options = compressed_by(Compression::None);
        options.cache.narinfo_compression = Some(Compression::from(name));
        options.cache.ls_compression = Some(Compression::from(name));
        options.cache.log_compression = Some(Compression::from(name));
        options.cache.write_nar_listing = true;
        options.cache.index_debug_info = true;
        let cache = open(&objects, options).await;
        let sample = Sample::tree("tree");
        add(&cache, &sample).await;
        let derivation = Sample::file_path("tree.drv");
        cache.put_build_log(&derivation, stream("line\n".into())).await.unwrap();

        let hash_part = sample.info.path.hash_part();
        for key in [format!("{hash_part}.narinfo"), format!("{hash_part}.ls"), format!("log/{derivation}")] {
            assert_eq!(content_encoding(&objects, &key).await.as_deref(), Some(name), "{key}");
        }
        for key in ["nix-cache-info", &nar_key(&objects).await] {
            assert_eq!(content_encoding(&objects, key).await, None, "{key}");
        }
        let reader = plain(&objects).await;
        assert_eq!(*reader.path_info(&sample.info.path).await.unwrap().unwrap(), sample.info);
        assert_eq!(log(&reader, &derivation).await.unwrap().unwrap(), b"line\n");
        assert!(reader.listing(&sample.info.path).await.unwrap().root.lookup("bin/hello").is_some());
    }
}

#[tokio::test]
async fn encodings_that_newer_nix_cannot_read_are_refused_unless_forced() {
    for name in ["xz", "bzip2"] {
        let objects = memory();
        let mut options = options();
        options.cache.narinfo_compression = Some(Compression::from(name));
        let sample = Sample::file("x", b"");
        let cache = open(&objects, options).await;
        let error = stage_and_publish(&cache, &sample).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("store 's3://test-cache': cannot write with narinfo-compression={name}")
        );
        assert_eq!(keys(&objects).await, Vec::<String>::new());

        let mut options = crate::support::options();
        options.cache.narinfo_compression = Some(Compression::from(name));
        options.force_encodings = true;
        add(&open(&objects, options).await, &sample).await;
        assert!(plain(&objects).await.path_info(&sample.info.path).await.unwrap().is_some());
    }
}

#[tokio::test]
async fn headers_can_be_set_by_kind() {
    let objects = memory();
    let mut options = compressed_by(Compression::None);
    options.headers.nar.cache_control = Some("max-age=31536000".into());
    options.headers.narinfo.content_type = Some("text/plain".into());
    let sample = Sample::file("x", b"");
    add(&open(&objects, options).await, &sample).await;
    let nar = nar_key(&objects).await;
    assert_eq!(header(&objects, &nar, Attribute::CacheControl).await.as_deref(), Some("max-age=31536000"));
    assert_eq!(content_type(&objects, &nar).await, "application/x-nix-nar");
    let narinfo = format!("{}.narinfo", sample.info.path.hash_part());
    assert_eq!(content_type(&objects, &narinfo).await, "text/plain");
}

#[tokio::test]
async fn a_log_lies_under_its_derivation() {
    let objects = memory();
    let cache = plain(&objects).await;
    let mut sample = Sample::file("program", b"");
    let derivation = Sample::file_path("program+x=1?.drv");
    sample.info.deriver = Some(derivation.clone());
    add(&cache, &sample).await;
    assert!(cache.build_log(&derivation).await.unwrap().is_none());
    cache.put_build_log(&derivation, stream("building\n".into())).await.unwrap();
    let key = format!("log/{derivation}");
    assert_eq!(raw_text(&objects, &key).await, "building\n");
    assert_eq!(content_type(&objects, &key).await, "text/plain; charset=utf-8");
    assert_eq!(log(&cache, &sample.info.path).await.unwrap().unwrap(), b"building\n");
    assert!(cache.put_build_log(&sample.info.path, stream("x".into())).await.is_err());
}

/// Its size is bounded by nothing, and what is in memory of it by the limits.
#[tokio::test]
async fn a_log_beyond_all_memory_passes_through_it() {
    let (_directory, files) = files();
    for (objects, encoding) in [(memory(), Some("br")), (files, None)] {
        let mut options = options();
        options.limits.document_size = 10_000;
        options.limits.spool_memory = 1000;
        options.cache.log_compression = Some(Compression::Brotli);
        let cache = open(&objects, options).await;
        let derivation = Sample::file_path("noisy.drv");
        let key = format!("log/{derivation}");
        let text = noise(300_000);
        cache.put_build_log(&derivation, stream(text.clone().into())).await.unwrap();
        assert_eq!(content_encoding(&objects, &key).await.as_deref(), encoding);
        assert!(log(&cache, &derivation).await.unwrap().unwrap() == text);

        // One that breaks off replaces none.
        let (mut sender, broken) = NarStream::channel();
        sender.send("begun".into()).await.unwrap();
        drop(sender);
        cache.put_build_log(&derivation, broken).await.unwrap_err();
        assert!(log(&cache, &derivation).await.unwrap().unwrap() == text);
    }
}

#[tokio::test]
async fn a_large_log_is_sent_in_parts_and_keeps_its_encoding() {
    let objects = memory();
    let mut options = options();
    options.limits.multipart_threshold = 1000;
    options.cache.log_compression = Some(Compression::Brotli);
    let cache = open(&objects, options).await;
    let derivation = Sample::file_path("noisy.drv");
    let text = noise(20_000);
    cache.put_build_log(&derivation, stream(text.clone().into())).await.unwrap();
    assert_eq!(cache.stats().parts(), 1);
    assert_eq!(content_encoding(&objects, &format!("log/{derivation}")).await.as_deref(), Some("br"));
    assert_eq!(log(&cache, &derivation).await.unwrap().unwrap(), text);
}

#[tokio::test]
async fn realisations_have_both_forms() {
    let objects = memory();
    let cache = plain(&objects).await;
    let id = format!("sha256:{}!out", "ab".repeat(32)).parse().unwrap();
    let path = Sample::file_path("out");
    let realisation = Realisation::new(id, path.clone());
    assert!(cache.realisation(&realisation.id).await.unwrap().is_none());
    cache.put_realisation(&realisation).await.unwrap();
    let key = format!("realisations/sha256:{}!out.doi", "ab".repeat(32));
    assert_eq!(
        raw_text(&objects, &key).await,
        format!(
            r#"{{"dependentRealisations":{{}},"id":"sha256:{}!out","outPath":"{path}","signatures":[]}}"#,
            "ab".repeat(32)
        )
    );
    assert_eq!(content_type(&objects, &key).await, "application/json");
    assert_eq!(cache.realisation(&realisation.id).await.unwrap(), Some(realisation));

    let drv_path: StorePath = Sample::file_path("x.drv");
    let key = BuildTraceKey::new(drv_path.clone(), "out").unwrap();
    let entry = BuildTraceEntry::new(key.clone(), path.clone());
    cache.put_build_trace(&entry).await.unwrap();
    assert_eq!(
        raw_text(&objects, &format!("build-trace-v2/{drv_path}/out.doi")).await,
        format!(r#"{{"outPath":"{path}","signatures":[]}}"#)
    );
    assert_eq!(cache.build_trace(&key).await.unwrap(), Some(entry));
}

#[tokio::test]
async fn a_directory_is_laid_out_as_nix_does() {
    let (directory, objects) = files();
    let mut options = compressed_by(Compression::Xz);
    options.uri = format!("file://{}", directory.path().display());
    options.cache.write_nar_listing = true;
    // Files have no headers, so there is nothing that could say that they are encoded.
    options.cache.narinfo_compression = Some(Compression::Gzip);
    let sample = Sample::tree("tree");
    let cache = open(&objects, options).await;
    add(&cache, &sample).await;
    cache.put_build_log(&Sample::file_path("tree.drv"), stream("log".into())).await.unwrap();
    let mut files = Vec::new();
    for folder in ["", "nar", "log"] {
        for file in std::fs::read_dir(directory.path().join(folder)).unwrap() {
            let file = file.unwrap();
            if file.file_type().unwrap().is_file() {
                files.push(format!("{folder}/{}", file.file_name().to_str().unwrap()));
            }
        }
    }
    files.sort();
    let hash_part = sample.info.path.hash_part();
    let mut expected = vec![
        format!("/{hash_part}.ls"),
        format!("/{hash_part}.narinfo"),
        "/nix-cache-info".to_owned(),
        format!("log/{}", Sample::file_path("tree.drv")),
        nar_key(&objects).await,
    ];
    expected.sort();
    assert_eq!(files, expected, "and no temporary file is left");
    let narinfo = std::fs::read_to_string(directory.path().join(format!("{hash_part}.narinfo"))).unwrap();
    assert!(narinfo.starts_with("StorePath: /nix/store/"));
}

#[tokio::test]
async fn signatures_are_added_to_what_is_there() {
    let (_directory, files) = files();
    for objects in [memory(), files] {
        let cache = plain(&objects).await;
        let sample = full_sample();
        for reference in ["zlib", "attr"] {
            add(&cache, &Sample::file(reference, b"")).await;
        }
        add(&cache, &sample).await;
        let signature = Signature::new("new:c2ln");
        let both = [signature.clone(), Signature::new("other:c2lnbmF0dXJl")];
        assert_eq!(cache.add_signatures(&sample.info.path, &both).await.unwrap(), 1);
        assert_eq!(cache.add_signatures(&sample.info.path, &both).await.unwrap(), 0);
        let info = plain(&objects).await.path_info(&sample.info.path).await.unwrap().unwrap();
        assert!(info.signatures.contains(&signature));
        assert_eq!(info.signatures.len(), 2);
        let absent = cache.add_signatures(&Sample::file_path("absent"), &both).await;
        assert!(matches!(absent, Err(StoreError::InvalidPath { .. })));
    }
}
