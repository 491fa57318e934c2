//! Memory of a push, measured in a process of its own. Slow, so it runs only when asked for:
//! `cargo test -p nars3-binary-cache --test memory -- --ignored --nocapture`.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests, which clippy's settings do not see")]

use std::sync::Arc;

use nars3_binary_cache::{BinaryCache, BinaryCacheOptions};
use nars3_compression::Compression;
use nars3_narinfo::PathInfo;
use nars3_store_api::{NarStream, StageOptions, Store};
use nars3_store_path::{Algorithm, Hasher, StorePath};
use object_store::local::LocalFileSystem;

const MIB: u64 = 1024 * 1024;

/// A chunk that compresses to about half.
fn chunk(number: u64) -> Vec<u8> {
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut chunk = vec![0; MIB as usize];
    for word in chunk.chunks_exact_mut(16) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        word[..8].copy_from_slice(&state.to_le_bytes());
    }
    chunk
}

/// The most memory that this process has had, in bytes.
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes"]
async fn a_push_stays_below_a_quarter_of_a_gib() {
    let setting = |name: &str, default: &str| std::env::var(name).unwrap_or_else(|_| default.to_owned());
    let size = setting("NARS3_PUSH_MIB", "2048").parse::<u64>().unwrap();
    for method in setting("NARS3_PUSH_METHODS", "none,zstd,lz4,gzip,xz").split(',') {
        let directory = tempfile::tempdir().unwrap();
        let objects = Arc::new(LocalFileSystem::new_with_prefix(directory.path()).unwrap());
        let mut options = BinaryCacheOptions::new("file:///measured");
        options.cache.compression = Compression::from(method);
        options.cache.compression_level =
            std::env::var("NARS3_PUSH_LEVEL").ok().map(|level| level.parse().unwrap());
        let cache = BinaryCache::open(objects, options).await.unwrap();
        let mut hasher = Hasher::new(Algorithm::Sha256);
        (0..size).for_each(|number| hasher.update(&chunk(number)));
        let path = StorePath::from_base_name("0a3yijp35sygmy51cnrrz11vimwapz7c-large").unwrap();
        let info = PathInfo::new(path, hasher.finish(), size * MIB);
        let nar = NarStream::from_blocking(move |writer| {
            for number in 0..size {
                std::io::Write::write_all(writer, &chunk(number)).unwrap();
            }
            Ok(())
        });
        let staged = cache.stage(info, nar, StageOptions::default()).await.unwrap();
        cache.publish(vec![staged]).await.unwrap();
        eprintln!("{method}: peak {} MiB after {size} MiB", peak_memory() / MIB);
        assert!(peak_memory() < 256 * MIB, "{method}");
    }
}
