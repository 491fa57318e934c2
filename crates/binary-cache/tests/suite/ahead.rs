//! What goes with the upload of a NAR: its hash, which its name tells; and its turn, where NARs are far ahead of narinfos.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures::future::join_all;
use nars3_binary_cache::BinaryCache;
use nars3_compression::Compression;
use nars3_store_api::{StageOptions, Staged, Store};
use nars3_store_path::{Algorithm, Hash};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, PutOptions, PutPayload, PutResult, Result};

use crate::double::{Double, Standing};
use crate::support::*;

/// Enough NARs without narinfos for those that follow to wait for one another, and then some.
const FAR_AHEAD: usize = 40;

/// Takes its time with NARs when it is told to, and watches how many are on their way and which hashes come with objects.
#[derive(Debug, Default)]
struct Watching {
    memory: InMemory,
    pause: Mutex<Duration>,
    under_way: AtomicUsize,
    most: AtomicUsize,
    hashes: Mutex<Vec<(String, Option<Hash>, Hash)>>,
}

#[async_trait]
impl Double for Watching {
    fn memory(&self) -> &InMemory {
        &self.memory
    }

    async fn put(&self, path: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let actual = Hash::digest(Algorithm::Sha256, &payload.iter().flatten().copied().collect::<Vec<u8>>());
        let told = options.extensions.get::<Hash>().copied();
        self.hashes.lock().unwrap().push((path.to_string(), told, actual));
        let pause = *self.pause.lock().unwrap();
        if path.as_ref().starts_with("nar/") && !pause.is_zero() {
            let now = self.under_way.fetch_add(1, Ordering::SeqCst) + 1;
            self.most.fetch_max(now, Ordering::SeqCst);
            tokio::time::sleep(pause).await;
            self.under_way.fetch_sub(1, Ordering::SeqCst);
        }
        self.memory.put_opts(path, payload, options).await
    }
}

fn watched() -> (Arc<Standing<Watching>>, Arc<dyn ObjectStore>) {
    let watching = Arc::new(Standing(Watching::default()));
    (Arc::clone(&watching), watching)
}

async fn stage(cache: &Arc<BinaryCache>, name: String) -> Staged {
    let sample = Sample::file(&name, name.as_bytes());
    cache.stage(sample.info.clone(), sample.stream(), StageOptions::default()).await.unwrap()
}

#[tokio::test]
async fn nars_far_ahead_of_their_narinfos_go_a_few_at_a_time_until_those_have_followed() {
    let (watching, objects) = watched();
    let cache = plain(&objects).await;
    let mut ahead = Vec::new();
    for number in 0..FAR_AHEAD {
        ahead.push(stage(&cache, format!("ahead-{number}")).await);
    }
    *watching.pause.lock().unwrap() = Duration::from_millis(20);
    let more = join_all((0..10).map(|number| stage(&cache, format!("more-{number}")))).await;
    assert!((1..=2).contains(&watching.most.swap(0, Ordering::SeqCst)));
    for staged in ahead.into_iter().chain(more) {
        cache.publish(vec![staged]).await.unwrap();
    }
    join_all((0..10).map(|number| stage(&cache, format!("later-{number}")))).await;
    assert!(watching.most.load(Ordering::SeqCst) > 2, "the narinfos have followed");
}

#[tokio::test]
async fn the_hash_of_the_file_of_a_nar_goes_with_it_and_with_nothing_else() {
    for method in [Compression::None, Compression::Zstd] {
        let (watching, objects) = watched();
        add(&open(&objects, compressed_by(method)).await, &Sample::tree("sample")).await;
        let hashes = watching.hashes.lock().unwrap();
        assert_eq!(hashes.len(), 3, "{hashes:?}");
        for (key, told, actual) in hashes.iter() {
            assert_eq!(*told, key.starts_with("nar/").then_some(*actual), "{key}");
        }
    }
}
