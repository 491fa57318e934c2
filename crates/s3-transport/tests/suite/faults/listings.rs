//! Listing, asking and deleting through faults.

use std::collections::BTreeSet;
use std::time::Instant;

use futures::{StreamExt, TryStreamExt};

use super::*;

pub(super) async fn names(store: &dyn ObjectStore) -> object_store::Result<BTreeSet<String>> {
    store.list(None).map_ok(|object| object.location.to_string()).try_collect().await
}

#[test]
fn a_listing_is_whole_or_an_error() {
    with_each_client(|rig| {
        let expected: BTreeSet<_> = ["a", "b", "c/d"].map(str::to_owned).into();
        for name in &expected {
            rig.bucket.put(name, b"x").unwrap();
        }
        run(async {
            let store = rig.store().await;
            let more = [
                ("broken off", Fault::ResetAnswer { after: 200 }),
                ("half of it, as if that were all", Fault::Truncate { after: 200, announced: true }),
                ("half of it", Fault::Truncate { after: 200, announced: false }),
                ("nothing", Fault::Truncate { after: 0, announced: true }),
                ("another page", Fault::Answer(Answer::new(200, "<html>log in</html>"))),
                ("an error in a success", Fault::Answer(Answer::error(200, "InternalError"))),
            ];
            for (name, fault) in passing_faults().into_iter().chain(more) {
                rig.proxy.heal();
                rig.proxy.inject(2, Request::lists, fault);
                let listed = names(&*store).await.unwrap_or_else(|error| panic!("{name}: {error}"));
                assert_eq!(listed, expected, "{name}");
            }
            rig.proxy.inject(usize::MAX, Request::lists, Fault::Truncate { after: 200, announced: true });
            let error = described(&names(&*store).await.unwrap_err());
            assert!(error.to_string().starts_with("answer not understood"), "{error}");
        });
    });
}

/// A server that is at work keeps the connection alive with a byte now and then, and that is enough for a document.
#[test]
fn a_document_may_come_byte_by_byte() {
    with_each_client(|rig| {
        rig.bucket.put("a", b"x").unwrap();
        rig.proxy.inject(
            usize::MAX,
            Request::lists,
            Fault::Drip { piece: 5, pause: Duration::from_millis(20) },
        );
        let begun = Instant::now();
        let listed = run(async { names(&*rig.impatient().await).await.unwrap() });
        assert_eq!(listed, BTreeSet::from(["a".to_owned()]));
        assert!(begun.elapsed() > STALL && rig.proxy.hurt() == 1);
    });
}

#[test]
fn a_question_gets_its_answer() {
    with_each_client(|rig| {
        rig.bucket.put("object", b"12345").unwrap();
        run(async {
            let store = rig.store().await;
            // The answer to HEAD has no body, and so no code.
            let faults = passing_faults().into_iter().filter(|(name, _)| *name != "request timeout");
            for (name, fault) in faults {
                rig.proxy.heal();
                rig.proxy.inject(2, |request| request.method == "HEAD", fault);
                let found =
                    store.head(&key("object")).await.unwrap_or_else(|error| panic!("{name}: {error}"));
                assert_eq!(found.size, 5, "{name}");
            }
            rig.proxy.inject(1, |request| request.method == "HEAD", Fault::Answer(Answer::new(503, "")));
            store.head(&key("absent")).await.unwrap_err();
        });
    });
}

#[test]
fn what_was_to_be_deleted_is_gone() {
    with_each_client(|rig| {
        run(async {
            let store = rig.store().await;
            let more = [("an error in a success", Fault::ReplaceAnswer(Answer::error(200, "SlowDown")))];
            for (name, fault) in passing_faults().into_iter().chain(more) {
                tokio::task::block_in_place(|| rig.bucket.put("object", b"x")).unwrap();
                delete_through(rig, &*store, name, fault).await;
            }
        });
    });
}

/// Deletes `object`, which the fault must not prevent.
pub(super) async fn delete_through(rig: &Rig, store: &dyn ObjectStore, name: &str, fault: Fault) {
    rig.proxy.heal();
    rig.proxy.inject(2, |request| request.method == "POST", fault);
    let keys = futures::stream::iter([Ok(key("object"))]).boxed();
    let deleted: object_store::Result<Vec<_>> = store.delete_stream(keys).try_collect().await;
    deleted.unwrap_or_else(|error| panic!("{name}: {error}"));
    tokio::task::block_in_place(|| rig.assert_nothing_at("object"));
}

#[test]
fn a_copy_is_there_or_an_error() {
    with_each_client(|rig| {
        rig.bucket.put("object", b"x").unwrap();
        run(async {
            let store = rig.store().await;
            let more = [("an error in a success", Fault::Answer(Answer::error(200, "InternalError")))];
            for (number, (name, fault)) in passing_faults().into_iter().chain(more).enumerate() {
                let copy = format!("copy-{number}");
                rig.proxy.heal();
                rig.proxy.inject(2, |request| request.header("x-amz-copy-source").is_some(), fault);
                let copied = store.copy(&key("object"), &key(&copy)).await;
                copied.unwrap_or_else(|error| panic!("{name}: {error}"));
                assert_eq!(tokio::task::block_in_place(|| rig.bucket.get(&copy)).unwrap(), b"x", "{name}");
            }
        });
    });
}

#[test]
fn nobody_there_is_told_after_all_attempts() {
    with_each_client(|rig| {
        let free = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
        let mut settings = rig.settings.clone();
        settings.endpoint = Some(nars3_store_url::Endpoint::parse(&format!("http://{free}")).unwrap());
        let error = described(&run(async {
            let store = nars3_s3::open(&settings, &rig.environment).await.unwrap();
            store.get(&key("object")).await.unwrap_err()
        }));
        assert!(error.to_string().starts_with("connection refused"), "{error}");
        assert_eq!(error.attempts, Some(ATTEMPTS));
    });
}
