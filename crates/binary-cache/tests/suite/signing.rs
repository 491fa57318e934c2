//! Signatures come together, and what a repair replaces takes nothing along that was good.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use nars3_binary_cache::{BinaryCache, BinaryCacheOptions, DeleteOptions};
use nars3_compression::Compression;
use nars3_narinfo::MAX_SIGNATURES;
use nars3_store_api::{BuildRecords, StageOptions, Store};
use nars3_store_path::{AnyRealisation, DrvOutput, Realisation, Signature};
use object_store::ObjectStore;

use crate::support::*;

fn signature(number: usize) -> Signature {
    Signature::new(&format!("key-{number:04}:c2ln"))
}

async fn repair(cache: &Arc<BinaryCache>, sample: &Sample) {
    let staged = cache.stage(sample.info.clone(), sample.stream(), StageOptions::repairing()).await.unwrap();
    cache.publish(vec![staged]).await.unwrap();
}

async fn signatures(objects: &Arc<dyn ObjectStore>, sample: &Sample) -> usize {
    plain(objects).await.path_info(&sample.info.path).await.unwrap().unwrap().signatures.len()
}

/// Each has the directory opened by itself, as other processes have.
#[tokio::test(flavor = "multi_thread")]
async fn signers_of_one_directory_lose_nothing() {
    const SIGNERS: usize = 8;
    let (directory, objects) = files();
    let sample = Sample::file("sample", b"text");
    add(&plain(&objects).await, &sample).await;
    let open = async || {
        let locked = Some(directory.path().to_owned());
        BinaryCache::open(Arc::clone(&objects), BinaryCacheOptions { locked, ..options() }).await.unwrap()
    };
    for round in 0..10 {
        let signing = join_all((0..SIGNERS).map(async |signer| {
            let cache = open().await;
            let path = sample.info.path.clone();
            let signature = signature(round * SIGNERS + signer);
            tokio::spawn(async move { cache.add_signatures(&path, &[signature]).await })
                .await
                .unwrap()
                .unwrap();
        }));
        signing.await;
        assert_eq!(signatures(&objects, &sample).await, (round + 1) * SIGNERS);
    }
    assert_eq!(keys(&objects).await.len(), 3, "no lock is left");
}

/// What a signer has looked at stays as it is until it has written: neither deleted nor replaced in between.
#[tokio::test(flavor = "multi_thread")]
async fn who_deletes_or_repairs_waits_for_a_signer_of_the_same_directory() {
    let (directory, objects) = files();
    let sample = Sample::file("sample", b"text");
    add(&plain(&objects).await, &sample).await;
    let locked = Some(directory.path().to_owned());
    let cache =
        BinaryCache::open(Arc::clone(&objects), BinaryCacheOptions { locked, ..options() }).await.unwrap();
    let narinfo = format!("{}.narinfo", sample.info.path.hash_part());
    for delete in [false, true] {
        let before = raw_text(&objects, &narinfo).await;
        let signer = std::fs::File::open(directory.path()).unwrap();
        signer.lock().unwrap();
        let mut other = Sample::file("sample", b"other contents");
        other.info.signatures.insert(signature(1));
        let (cache, path) = (Arc::clone(&cache), sample.info.path.clone());
        let work = tokio::spawn(async move {
            if delete {
                cache.delete(&[path], DeleteOptions::default()).await.unwrap();
            } else {
                repair(&cache, &other).await;
            }
        });
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert!(!work.is_finished(), "delete: {delete}");
        assert_eq!(raw_text(&objects, &narinfo).await, before);
        drop(signer);
        work.await.unwrap();
    }
    assert!(!keys(&objects).await.contains(&narinfo));
}

#[tokio::test]
async fn no_narinfo_gets_more_signatures_than_readers_take() {
    let objects = memory();
    let sample = Sample::file("sample", b"text");
    let cache = plain(&objects).await;
    add(&cache, &sample).await;
    let many: Vec<_> = (0..MAX_SIGNATURES).map(signature).collect();
    assert_eq!(cache.add_signatures(&sample.info.path, &many).await.unwrap(), MAX_SIGNATURES);
    let error = cache.add_signatures(&sample.info.path, &[signature(9999)]).await.unwrap_err();
    assert!(format!("{error:?}").contains("count: 1001"), "{error:?}");
    assert_eq!(signatures(&objects, &sample).await, MAX_SIGNATURES);
    let mut signed = Sample::file("signed", b"other");
    signed.info.signatures = (0..=MAX_SIGNATURES).map(signature).collect();
    stage_and_publish(&cache, &signed).await.unwrap_err();
    assert!(cache.path_info(&signed.info.path).await.unwrap().is_none());
}

#[tokio::test]
async fn no_realisation_gets_more_signatures_than_readers_take() {
    let cache = plain(&memory()).await;
    let out = Sample::file("out", b"out");
    add(&cache, &out).await;
    let id: DrvOutput = format!("sha256:{}!out", "ab".repeat(32)).parse().unwrap();
    let signed = |numbers: Range<usize>| {
        let mut realisation = Realisation::new(id.clone(), out.info.path.clone());
        realisation.signatures = numbers.map(signature).collect();
        AnyRealisation::ByHash(realisation)
    };
    assert!(cache.add_realised(signed(0..MAX_SIGNATURES)).await.unwrap());
    assert!(cache.add_realised(signed(5000..5001)).await.is_err());
    assert_eq!(cache.realisation(&id).await.unwrap().unwrap().signatures.len(), MAX_SIGNATURES);
}

#[tokio::test]
async fn what_only_newer_versions_understand_stays_in_a_narinfo_that_is_signed() {
    let objects = memory();
    let sample = Sample::file("sample", b"text");
    add(&plain(&objects).await, &sample).await;
    let key = format!("{}.narinfo", sample.info.path.hash_part());
    let text = raw_text(&objects, &key).await;
    let newer = text.replace("NarSize:", "Future: yes\nNarSize:") + "Later: too\nFuture: again\n";
    put_raw(&objects, &key, newer).await;
    let cache = plain(&objects).await;
    for number in [1, 2] {
        assert_eq!(cache.add_signatures(&sample.info.path, &[signature(number)]).await.unwrap(), 1);
    }
    let expected = text + "Sig: key-0001:c2ln\nSig: key-0002:c2ln\nFuture: yes\nLater: too\nFuture: again\n";
    assert_eq!(raw_text(&objects, &key).await, expected);
}

#[tokio::test]
async fn a_repair_keeps_the_signatures_of_equal_contents_only() {
    let objects = memory();
    let mut sample = Sample::file("sample", b"text");
    let cache = plain(&objects).await;
    add(&cache, &sample).await;
    cache.add_signatures(&sample.info.path, &[signature(1)]).await.unwrap();
    sample.info.signatures.insert(signature(2));
    repair(&cache, &sample).await;
    assert_eq!(signatures(&objects, &sample).await, 2);

    let mut other = Sample::file("sample", b"other contents");
    other.info.signatures.insert(signature(3));
    repair(&cache, &other).await;
    assert_eq!(signatures(&objects, &other).await, 1);
    assert_eq!(fetch(&plain(&objects).await, &other.info).await.unwrap(), other.nar);

    // One that cannot be read is what a repair is for.
    put_raw(&objects, &format!("{}.narinfo", other.info.path.hash_part()), "nonsense").await;
    repair(&cache, &sample).await;
    assert_eq!(signatures(&objects, &sample).await, 1);
}

#[tokio::test]
async fn a_repair_with_another_nar_leaves_no_listing_of_the_one_before() {
    let objects = memory();
    let sample = Sample::tree("sample");
    let mut listing = compressed_by(Compression::None);
    listing.cache.write_nar_listing = true;
    add(&open(&objects, listing).await, &sample).await;
    let key = format!("{}.ls", sample.info.path.hash_part());
    repair(&plain(&objects).await, &sample).await;
    assert!(keys(&objects).await.contains(&key), "it lists this NAR");
    repair(&plain(&objects).await, &Sample::file("sample", b"another")).await;
    assert!(!keys(&objects).await.contains(&key));
}
