//! Deletion while others publish: what they need by then stays.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use nars3_binary_cache::{DeleteOptions, Deletion};
use nars3_store_api::Store;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ListResult, ObjectStore, Result};

use crate::double::{Double, Standing};
use crate::support::{Sample, add, fetch, keys, plain};

/// Memory into which somebody publishes a path right before it is listed for the `when`th time.
#[derive(Debug)]
struct Meanwhile {
    inner: InMemory,
    newcomer: Sample,
    when: usize,
    listings: AtomicUsize,
}

#[async_trait]
impl Double for Meanwhile {
    fn memory(&self) -> &InMemory {
        &self.inner
    }

    async fn folder(&self, prefix: Option<&Path>) -> Result<ListResult> {
        if self.listings.fetch_add(1, Ordering::Relaxed) + 1 == self.when {
            let objects: Arc<dyn ObjectStore> = Arc::new(self.inner.clone());
            add(&plain(&objects).await, &self.newcomer).await;
        }
        self.inner.list_with_delimiter(prefix).await
    }
}

/// What becomes of the deletion of `library` when `newcomer` is published before the `when`th listing, and of the bucket.
async fn delete(library: &Sample, newcomer: &Sample, when: usize) -> (Deletion, Arc<dyn ObjectStore>) {
    let inner = InMemory::new();
    let objects: Arc<dyn ObjectStore> = Arc::new(inner.clone());
    add(&plain(&objects).await, library).await;
    let listings = AtomicUsize::new(0);
    let busy: Arc<dyn ObjectStore> =
        Arc::new(Standing(Meanwhile { inner, newcomer: newcomer.clone(), when, listings }));
    let deleted = plain(&busy)
        .await
        .delete(std::slice::from_ref(&library.info.path), DeleteOptions::default())
        .await
        .unwrap();
    (deleted, objects)
}

fn library() -> Sample {
    Sample::file("library", b"library")
}

#[tokio::test]
async fn who_refers_to_a_path_when_it_is_to_go_keeps_it() {
    let library = library();
    let program = Sample::file("program", b"program").referring_to(&[&library]);
    let (deleted, objects) = delete(&library, &program, 2).await;
    let pair = (program.info.path.clone(), library.info.path.clone());
    assert_eq!(deleted, Deletion::Refused { referrers: vec![pair] });
    let cache = plain(&objects).await;
    assert_eq!(fetch(&cache, &library.info).await.unwrap(), library.nar);
    assert_eq!(fetch(&cache, &program.info).await.unwrap(), program.nar);
}

#[tokio::test]
async fn a_nar_that_somebody_names_by_now_stays() {
    let library = library();
    let mut twin = library.clone();
    twin.info.path = Sample::file_path("twin");
    // Before the narinfo is deleted, and before the NAR is.
    for when in [2, 3] {
        let (deleted, objects) = delete(&library, &twin, when).await;
        assert!(matches!(deleted, Deletion::Done { nars, .. } if nars.is_empty()), "{when}");
        let cache = plain(&objects).await;
        assert_eq!(fetch(&cache, &twin.info).await.unwrap(), twin.nar, "{when}");
        assert!(cache.path_info(&library.info.path).await.unwrap().is_none(), "{when}");
    }
}

#[tokio::test]
async fn a_path_that_comes_back_meanwhile_stays() {
    let library = library();
    let (deleted, objects) = delete(&library, &library, 3).await;
    assert!(matches!(deleted, Deletion::Done { nars, .. } if nars.is_empty()));
    assert_eq!(fetch(&plain(&objects).await, &library.info).await.unwrap(), library.nar);
    assert_eq!(keys(&objects).await.len(), 3);
}
