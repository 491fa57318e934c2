//! What is written stays within the memory that the settings allow, or is refused.

use std::sync::Arc;

use nars3_compression::Compression;

use crate::support::*;

#[tokio::test]
async fn many_large_paths_at_once_share_little_memory() {
    let store = memory();
    let mut options = compressed_by(Compression::None);
    options.limits.compression_memory = 2 * 1024 * 1024;
    options.limits.upload_memory = 1024 * 1024;
    options.limits.spool_memory = 64 * 1024;
    options.limits.multipart_threshold = 128 * 1024;
    let cache = open(&store, options).await;
    let tasks = (0..40).map(|number| {
        let cache = Arc::clone(&cache);
        async move {
            let mut content = noise(300_000);
            content.push(number);
            add(&cache, &Sample::file(&format!("s{number}"), &content)).await;
        }
    });
    futures::future::join_all(tasks).await;
    assert_eq!(keys(&store).await.len(), 81);
}

#[tokio::test]
async fn a_part_that_memory_cannot_hold_is_refused_before_anything_is_sent() {
    let store = memory();
    let mut options = compressed_by(Compression::None);
    options.limits.upload_memory = 128 * 1024;
    options.limits.spool_memory = 64 * 1024;
    options.limits.multipart_threshold = 128 * 1024;
    let cache = open(&store, options).await;
    let sample = Sample::file("large", &noise(300_000));
    let error = stage_and_publish(&cache, &sample).await.unwrap_err();
    let needed = sample.nar.len() as u64;
    let words = error.with_causes();
    assert!(
        words.contains(&format!("{needed} bytes, and uploads may hold 131072 bytes of memory")),
        "{words}"
    );
    assert_eq!(keys(&store).await, Vec::<String>::new());
}

/// The settings say one request, and the file does not fit into the memory for it.
#[tokio::test]
async fn a_file_that_memory_cannot_hold_whole_is_refused_before_anything_is_sent() {
    let store = memory();
    let mut options = compressed_by(Compression::None);
    options.limits.upload_memory = 128 * 1024;
    options.limits.spool_memory = 64 * 1024;
    options.limits.multipart_threshold = u64::MAX;
    let cache = open(&store, options).await;
    let sample = Sample::file("large", &noise(300_000));
    let error = stage_and_publish(&cache, &sample).await.unwrap_err();
    let words = error.with_causes();
    let size = sample.nar.len();
    let expected =
        format!("{size} bytes are to go in one request, and uploads may hold 131072 bytes of memory");
    assert!(words.contains(&expected), "{words}");
    assert_eq!(keys(&store).await, Vec::<String>::new());
    // One that fits goes.
    add(&cache, &Sample::file("small", &noise(100_000))).await;
}

#[tokio::test]
async fn a_level_beyond_the_memory_is_lowered_with_one_warning() {
    let store = memory();
    let warnings = Arc::new(Warnings::default());
    let mut options = compressed_by(Compression::Xz);
    options.cache.compression_level = Some(4);
    options.limits.compression_memory = 16 * 1024 * 1024;
    options.progress = Arc::clone(&warnings) as _;
    let cache = open(&store, options).await;
    for name in ["a", "b"] {
        let sample = Sample::file(name, &noise(3_000_000));
        add(&cache, &sample).await;
        assert_eq!(fetch(&cache, &sample.info).await.unwrap(), sample.nar);
    }
    let warnings = warnings.all();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].starts_with("compression level 4 of 'xz' needs"), "{warnings:?}");
}
