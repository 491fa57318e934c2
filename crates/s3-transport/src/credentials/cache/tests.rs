//! The cache against a scripted provider and a clock that stands still until it is moved.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::UNIX_EPOCH;

use tokio::sync::Notify;

use super::*;
use crate::credentials::{CredentialsError, ProviderAttempt, Refusal};

/// Seconds since the epoch, one clock for each test thread.
fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(NOW.with(|now| now.load(Ordering::Relaxed)))
}

thread_local! {
    static NOW: AtomicU64 = const { AtomicU64::new(1_000_000) };
}

fn pass(seconds: u64) {
    NOW.with(|now| now.fetch_add(seconds, Ordering::Relaxed));
}

fn expiring_in(key: &str, seconds: u64) -> Outcome {
    let expiry = now() + Duration::from_secs(seconds);
    Outcome::Credentials(Credentials::new(key, "secret", None, Some(expiry), "test"), "test")
}

fn failed() -> Outcome {
    let attempt =
        ProviderAttempt { provider: "profile", refusal: Refusal::Failed, reason: "STS is down".to_owned() };
    Outcome::Failed(CredentialsError { profile: None, attempts: Arc::new([attempt]) })
}

/// A cache over scripted outcomes, and the number of lookups so far.
fn scripted(outcomes: impl IntoIterator<Item = Outcome>) -> (Arc<CredentialCache>, Arc<AtomicUsize>) {
    let outcomes = Arc::new(Mutex::new(outcomes.into_iter().collect::<VecDeque<_>>()));
    let lookups = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&lookups);
    let lookup: Lookup = Arc::new(move || {
        count.fetch_add(1, Ordering::Relaxed);
        let outcome = outcomes.lock().unwrap().pop_front().expect("a scripted outcome");
        async move {
            // Whatever is ready to run runs before a timer does.
            tokio::time::sleep(Duration::from_millis(1)).await;
            outcome
        }
        .boxed()
    });
    (CredentialCache::with_clock(lookup, now), lookups)
}

fn key(found: &Found) -> &str {
    match found {
        Found::Credentials(credentials) => &credentials.key_id,
        Found::Nothing(_) => "nothing",
        Found::Failed(_) => "failed",
    }
}

#[tokio::test]
async fn credentials_are_kept_until_shortly_before_they_expire() {
    let (cache, lookups) = scripted([expiring_in("one", 3600), expiring_in("two", 7200)]);
    assert_eq!(key(&cache.get().await), "one");
    pass(3600 - 301);
    assert_eq!(key(&cache.get().await), "one");
    assert_eq!(lookups.load(Ordering::Relaxed), 1);
    pass(2);
    assert_eq!(key(&cache.get().await), "two");
    assert_eq!(lookups.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn credentials_without_expiry_are_kept_for_good() {
    let forever = Outcome::Credentials(Credentials::new("forever", "secret", None, None, "test"), "test");
    let (cache, lookups) = scripted([forever]);
    cache.get().await;
    pass(1_000_000_000);
    assert_eq!(key(&cache.get().await), "forever");
    assert_eq!(lookups.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn short_lives_are_not_renewed_at_every_request() {
    let (cache, lookups) = scripted([expiring_in("short", 100), expiring_in("next", 1000)]);
    cache.get().await;
    pass(74);
    assert_eq!(key(&cache.get().await), "short");
    pass(2);
    assert_eq!(key(&cache.get().await), "next");
    assert_eq!(lookups.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn all_who_ask_at_once_share_one_lookup() {
    let (cache, lookups) = scripted([expiring_in("shared", 3600)]);
    let answers = futures::future::join_all((0..20).map(|_| cache.get())).await;
    assert!(answers.iter().all(|found| key(found) == "shared"));
    assert_eq!(lookups.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn all_who_wait_share_an_error_and_the_next_one_asks_again() {
    let (cache, lookups) = scripted([failed(), expiring_in("recovered", 3600)]);
    let answers = futures::future::join_all((0..20).map(|_| cache.get())).await;
    assert!(answers.iter().all(|found| key(found) == "failed"));
    assert_eq!(lookups.load(Ordering::Relaxed), 1);
    assert_eq!(key(&cache.get().await), "recovered");
}

#[tokio::test]
async fn a_failed_renewal_leaves_what_is_still_valid() {
    let (cache, lookups) =
        scripted([expiring_in("old", 3600), failed(), failed(), failed(), expiring_in("new", 7200)]);
    cache.get().await;
    pass(3600 - 100);
    assert_eq!(key(&cache.get().await), "old");
    assert_eq!(key(&cache.get().await), "old");
    assert_eq!(lookups.load(Ordering::Relaxed), 2, "a pause before the next attempt");
    pass(11);
    assert_eq!(key(&cache.get().await), "old");
    assert_eq!(lookups.load(Ordering::Relaxed), 3);
    pass(100);
    assert_eq!(key(&cache.get().await), "failed", "expired credentials are not used");
    assert_eq!(key(&cache.get().await), "new");
}

#[tokio::test]
async fn what_the_server_refuses_is_asked_for_anew() {
    let (cache, _) = scripted([expiring_in("revoked", 3600), expiring_in("fresh", 3600)]);
    cache.get().await;
    cache.forget("revoked");
    assert_eq!(key(&cache.get().await), "fresh");
}

#[tokio::test]
async fn what_the_server_refuses_of_the_old_credentials_leaves_the_new_ones() {
    let (cache, lookups) = scripted([expiring_in("revoked", 3600), expiring_in("fresh", 3600)]);
    cache.get().await;
    // Requests that were under way at once hear of it one after the other.
    for _ in 0..64 {
        cache.forget("revoked");
        assert_eq!(key(&cache.get().await), "fresh");
    }
    assert_eq!(lookups.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn a_lookup_survives_the_one_who_began_it() {
    let gate = Arc::new(Notify::new());
    let waiting = Arc::clone(&gate);
    let outcome = expiring_in("late", 3600);
    let lookup: Lookup = Arc::new(move || {
        let (waiting, outcome) = (Arc::clone(&waiting), outcome.clone());
        async move {
            waiting.notified().await;
            outcome
        }
        .boxed()
    });
    let cache = CredentialCache::with_clock(lookup, now);
    let first = tokio::time::timeout(Duration::from_millis(5), cache.get()).await;
    assert!(first.is_err());
    gate.notify_one();
    assert_eq!(key(&cache.get().await), "late");
}
