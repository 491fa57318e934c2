//! Whole copies between stores in memory that check what they are promised.

use std::sync::Arc;

use nars3_store_api::{NoProgress, Store, StoreError};
use nars3_store_path::{
    Algorithm, ContentAddress, ContentAddressMethod, Hash, PublicKeys, SecretKey, StoreDir, store_path_for,
};

use super::*;
use crate::test_store::{MemoryStore, info, nar_of, path};

fn key() -> SecretKey {
    SecretKey::from_seed("test-1", [7; 32]).unwrap()
}

fn keys() -> Option<Arc<PublicKeys>> {
    Some(Arc::new([key().public_key()].into_iter().collect()))
}

fn database() -> MemoryStore {
    let mut store = MemoryStore::new("database");
    store.behaviour = WriteBehaviour::database(None);
    store
}

/// `root` names every path, and the paths form a chain.
fn chain(length: usize) -> MemoryStore {
    let store = MemoryStore::new("source");
    let names: Vec<String> = (0..length).map(|index| format!("p{index}")).collect();
    for (index, name) in names.iter().enumerate() {
        let reference: Vec<&str> =
            index.checked_sub(1).map(|before| names[before].as_str()).into_iter().collect();
        store.insert(name, &reference);
    }
    store.insert("root", &names.iter().map(String::as_str).collect::<Vec<_>>());
    store
}

async fn run(
    from: MemoryStore,
    to: MemoryStore,
    root: &str,
    options: &CopyOptions,
) -> (Result<Report, CopyError>, Arc<MemoryStore>) {
    let to = Arc::new(to);
    let (from, dynamic): (Arc<dyn Store>, Arc<dyn Store>) = (Arc::new(from), Arc::clone(&to) as _);
    let roots = [path(root)];
    (copy(&from, &dynamic, &roots, options, Arc::new(NoProgress)).await, to)
}

#[tokio::test]
async fn a_chain_reaches_every_kind_of_store_whole() {
    let daemon = |except| {
        let mut daemon = MemoryStore::new("daemon");
        daemon.behaviour.nar_order = NarOrder::ReferencesFirst { except };
        daemon
    };
    // Some of the chain's NARs are larger than the others.
    let except = nar_of(b"p1").len() as u64;
    for destination in
        [MemoryStore::new("cache"), database(), daemon(0), daemon(except - 8), daemon(u64::MAX)]
    {
        let (report, destination) = run(chain(60), destination, "root", &CopyOptions::default()).await;
        let report = report.unwrap();
        assert_eq!(report.copied.len(), 61);
        assert_eq!(destination.names().len(), 61);
        assert_eq!(report.copied.last(), Some(&path("root")), "the root comes last");
    }
}

#[tokio::test]
async fn what_a_store_that_verifies_refuses_is_sent_once_more_verified_at_its_source() {
    let mut source = chain(3);
    source.torn = Some(path("p1"));
    let mut daemon = MemoryStore::new("daemon");
    daemon.behaviour.verifies_nars = true;
    let (report, daemon) = run(source, daemon, "root", &CopyOptions::default()).await;
    assert_eq!(report.unwrap().copied.len(), 4);
    assert_eq!(daemon.staged(), 5);
    assert!(daemon.names().contains("p1"));
}

#[tokio::test]
async fn paths_that_are_ready_at_about_the_same_time_are_published_together() {
    // The NARs arrive one by one, so each would be a batch by itself if it went as soon as it was ready.
    let options = CopyOptions { jobs: 1, ..CopyOptions::default() };
    let (report, destination) = run(chain(60), database(), "root", &options).await;
    report.unwrap();
    assert!(destination.batches() < 20, "{} batches", destination.batches());
}

#[tokio::test]
async fn a_path_that_is_ready_does_not_wait_for_one_that_takes_long() {
    let word = Arc::new(tokio::sync::Notify::new());
    let mut source = chain(2);
    // The last of the chain comes only after something has been published.
    source.held = Some((path("p1"), Arc::clone(&word)));
    let mut destination = database();
    destination.listener = Some(word);
    let options = CopyOptions::default();
    let copied = tokio::time::timeout(Duration::from_secs(60), run(source, destination, "root", &options));
    let (report, destination) = copied.await.expect("it waits for company that waits for it");
    assert_eq!(report.unwrap().copied.len(), 3);
    assert_eq!(destination.batches(), 2);
}

#[derive(Debug, Default)]
struct Counting(std::sync::atomic::AtomicU64);

#[async_trait::async_trait]
impl nars3_store_api::Pace for Counting {
    async fn wait_for(&self, bytes: u64) {
        self.0.fetch_add(bytes, std::sync::atomic::Ordering::Relaxed);
    }
}

#[tokio::test]
async fn every_nar_is_held_to_the_pace() {
    let pace = Arc::new(Counting::default());
    let options = CopyOptions { pace: Some(Arc::clone(&pace) as _), ..CopyOptions::default() };
    let (report, _) = run(chain(5), database(), "root", &options).await;
    let bytes = report.unwrap().nar_bytes;
    assert!(bytes > 0);
    assert_eq!(pace.0.load(std::sync::atomic::Ordering::Relaxed), bytes);
}

#[tokio::test]
async fn what_is_there_is_not_sent_again() {
    let destination = MemoryStore::new("cache");
    destination.insert("p0", &[]);
    let (report, _) = run(chain(3), destination, "root", &CopyOptions::default()).await;
    let report = report.unwrap();
    assert_eq!((report.copied.len(), report.present), (3, 1));
}

#[tokio::test]
async fn without_the_closure_a_missing_reference_is_refused() {
    let options = CopyOptions { recursive: false, ..CopyOptions::default() };
    let (result, destination) = run(chain(2), MemoryStore::new("cache"), "root", &options).await;
    assert!(matches!(result, Err(CopyError::Store(StoreError::MissingReference { .. }))), "{result:?}");
    assert!(destination.names().is_empty());
}

#[tokio::test]
async fn a_failure_stops_the_copy_and_leaves_no_hole() {
    let mut destination = MemoryStore::new("cache");
    destination.cursed.push(path("p1"));
    let (result, destination) = run(chain(4), destination, "root", &CopyOptions::default()).await;
    assert!(matches!(result, Err(CopyError::Store(StoreError::Unsupported { .. }))), "{result:?}");
    let names = destination.names();
    assert!(names.is_empty() || names.iter().eq(["p0"]), "{names:?}");
}

#[tokio::test]
async fn keep_going_copies_all_that_does_not_depend_on_the_failure() {
    for mut destination in [MemoryStore::new("cache"), database()] {
        destination.cursed.push(path("p1"));
        let options = CopyOptions { keep_going: true, jobs: 2, ..CopyOptions::default() };
        let (result, destination) = run(chain(4), destination, "root", &options).await;
        let Err(CopyError::Partial { attempted, failed, .. }) = result else { panic!("{result:?}") };
        assert_eq!(attempted, 5);
        let failed: Vec<_> = failed.iter().map(|one| one.path.name().to_owned()).collect();
        assert_eq!(failed.len(), 4, "{failed:?}");
        assert!(destination.names().iter().eq(["p0"]));
    }
}

#[tokio::test]
async fn of_a_batch_only_what_was_refused_has_failed() {
    let source = MemoryStore::new("source");
    source.insert("good", &[]);
    source.insert("bad", &[]);
    source.insert("needs-bad", &["bad"]);
    source.insert("fine", &["good"]);
    let roots = [path("needs-bad"), path("fine")];
    let source: Arc<dyn Store> = Arc::new(source);
    for keep_going in [true, false] {
        let mut destination = database();
        destination.refused.push(path("bad"));
        let destination = Arc::new(destination);
        let dynamic: Arc<dyn Store> = Arc::clone(&destination) as _;
        let options = CopyOptions { keep_going, ..CopyOptions::default() };
        let error = copy(&source, &dynamic, &roots, &options, Arc::new(NoProgress)).await.unwrap_err();
        match error {
            CopyError::Partial { attempted, failed, .. } => {
                assert!(keep_going);
                assert_eq!(attempted, 4);
                // What needs it was refused with it, or not sent at all: that depends on what else was ready.
                let (bad, rest): (Vec<_>, Vec<_>) = failed.iter().partition(|one| one.path.name() == "bad");
                assert!(matches!(bad.as_slice(), [one] if one.error.is_some()), "{failed:?}");
                assert!(matches!(rest.as_slice(), [one] if one.path.name() == "needs-bad"), "{failed:?}");
                assert!(destination.names().iter().eq(["fine", "good"]), "{:?}", destination.names());
            }
            error => {
                assert!(!keep_going);
                assert!(matches!(error, CopyError::Store(StoreError::NarInterrupted)), "{error:?}");
            }
        }
    }
}

#[tokio::test]
async fn paths_that_fail_at_once_are_counted_once() {
    let mut destination = MemoryStore::new("cache");
    destination.cursed.extend([path("p0"), path("p1"), path("root")]);
    let options = CopyOptions { keep_going: true, ..CopyOptions::default() };
    let (result, _) = run(chain(2), destination, "root", &options).await;
    let Err(CopyError::Partial { attempted, failed, .. }) = result else { panic!("{result:?}") };
    assert_eq!((attempted, failed.len()), (3, 3), "{failed:?}");
}

#[tokio::test]
async fn a_signature_that_does_not_fit_is_told_from_one_that_is_missing() {
    let source = MemoryStore::new("source");
    let (mut forged, nar) = info("forged", &[]);
    forged.signatures.insert(key().sign(b"something else"));
    source.insert_info(forged, nar);
    let mut destination = database();
    destination.behaviour.required_signatures = keys();
    let (result, _) = run(source, destination, "forged", &CopyOptions::default()).await;
    assert!(matches!(result, Err(CopyError::Store(StoreError::BadSignature { .. }))), "{result:?}");
}

#[tokio::test]
async fn a_circle_of_references_is_refused_before_anything_is_sent() {
    let source = MemoryStore::new("source");
    source.insert("a", &["b"]);
    source.insert("b", &["a"]);
    let (result, destination) = run(source, MemoryStore::new("cache"), "a", &CopyOptions::default()).await;
    assert!(matches!(result, Err(CopyError::Cycle { .. })), "{result:?}");
    assert!(destination.names().is_empty());
}

#[tokio::test]
async fn a_signature_is_required_where_the_destination_says_so() {
    let mut destination = database();
    destination.behaviour.required_signatures = keys();
    let (result, destination) = run(chain(1), destination, "root", &CopyOptions::default()).await;
    assert!(matches!(result, Err(CopyError::Store(StoreError::Untrusted { .. }))), "{result:?}");
    assert!(destination.names().is_empty());

    let mut destination = database();
    destination.behaviour.required_signatures = keys();
    let options = CopyOptions { check_signatures: false, ..CopyOptions::default() };
    let (result, _) = run(chain(1), destination, "root", &options).await;
    result.unwrap();

    let source = MemoryStore::new("source");
    let (mut signed, nar) = info("signed", &[]);
    signed.sign(source.store_dir(), &key()).unwrap();
    source.insert_info(signed, nar);
    let mut destination = database();
    destination.behaviour.required_signatures = keys();
    let (result, destination) = run(source, destination, "signed", &CopyOptions::default()).await;
    result.unwrap();
    assert!(destination.names().contains("signed"));
}

/// A path whose content address is honest; `lie` may spoil it.
fn content_addressed(
    method: ContentAddressMethod,
    lie: impl FnOnce(&mut PathInfo),
) -> (MemoryStore, StorePath) {
    let store = MemoryStore::new("source");
    let nar = nar_of(b"contents");
    let hash = match method {
        ContentAddressMethod::NixArchive => Hash::digest(Algorithm::Sha256, &nar),
        _ => Hash::digest(Algorithm::Sha256, b"contents"),
    };
    let ca = ContentAddress { method, hash };
    let path = store_path_for(store.store_dir(), "addressed", &ca, &Default::default(), false).unwrap();
    let mut info = PathInfo::new(path.clone(), Hash::digest(Algorithm::Sha256, &nar), nar.len() as u64);
    info.ca = Some(ca);
    lie(&mut info);
    let path = info.path.clone();
    store.insert_info(info, nar);
    (store, path)
}

async fn import(source: MemoryStore, root: StorePath) -> Result<Report, CopyError> {
    let mut destination = database();
    destination.behaviour.required_signatures = keys();
    let (from, to): (Arc<dyn Store>, Arc<dyn Store>) = (Arc::new(source), Arc::new(destination));
    copy(&from, &to, &[root], &CopyOptions::default(), Arc::new(NoProgress)).await
}

#[tokio::test]
async fn a_content_address_that_holds_needs_no_signature() {
    for method in [ContentAddressMethod::NixArchive, ContentAddressMethod::Flat, ContentAddressMethod::Text] {
        let (source, root) = content_addressed(method, |_| {});
        import(source, root).await.unwrap();
    }
}

#[tokio::test]
async fn what_only_the_contents_prove_is_verified_at_its_source_also_for_a_store_that_verifies() {
    for (method, at_the_source) in
        [(ContentAddressMethod::Flat, true), (ContentAddressMethod::NixArchive, false)]
    {
        let (mut source, root) = content_addressed(method, |_| {});
        // Where nobody verifies it, its NAR is another one: the proof would fail, and hide why.
        source.torn = Some(root.clone());
        let mut daemon = MemoryStore::new("daemon");
        daemon.behaviour.verifies_nars = true;
        let daemon = Arc::new(daemon);
        let (from, to): (Arc<dyn Store>, Arc<dyn Store>) = (Arc::new(source), Arc::clone(&daemon) as _);
        copy(&from, &to, &[root], &CopyOptions::default(), Arc::new(NoProgress)).await.unwrap();
        assert_eq!(daemon.staged(), if at_the_source { 1 } else { 2 });
    }
}

#[tokio::test]
async fn a_content_address_that_the_path_does_not_follow_from_is_refused() {
    let (source, root) = content_addressed(ContentAddressMethod::NixArchive, |info| {
        info.path = path("another");
    });
    let error = import(source, root).await.unwrap_err();
    assert!(matches!(error, CopyError::Store(StoreError::FalseContentAddress { .. })), "{error}");
}

#[tokio::test]
async fn a_content_address_that_the_contents_do_not_have_is_refused() {
    for method in [ContentAddressMethod::NixArchive, ContentAddressMethod::Flat, ContentAddressMethod::Text] {
        let (source, root) = content_addressed(method, |info| {
            // The path follows from the claim, but the contents are others.
            let ca = ContentAddress { method, hash: Hash::digest(Algorithm::Sha256, b"something else") };
            info.path =
                store_path_for(&StoreDir::default(), "addressed", &ca, &Default::default(), false).unwrap();
            info.ca = Some(ca);
        });
        let error = import(source, root).await.unwrap_err();
        assert!(matches!(error, CopyError::Store(StoreError::FalseContentAddress { .. })), "{error}");
    }
}
