//! Reading through faults.

use futures::TryStreamExt;
use object_store::{GetOptions, GetRange};

use super::*;

const LENGTH: usize = 300_000;

pub(super) async fn read(store: &dyn ObjectStore, name: &str) -> object_store::Result<Vec<u8>> {
    Ok(store.get(&key(name)).await?.bytes().await?.to_vec())
}

#[test]
fn whatever_passes_is_survived() {
    with_each_client(|rig| {
        let whole = contents(LENGTH);
        rig.bucket.put("object", &whole).unwrap();
        let store = run_store(rig);
        for (name, fault) in passing_faults() {
            let before = rig.proxy.hurt();
            rig.proxy.heal();
            rig.proxy.inject(2, Request::gets, fault);
            let got = store.0.block_on(read(&*store.1, "object"));
            assert!(got.unwrap_or_else(|error| panic!("{name}: {error}")) == whole, "{name}: other bytes");
            assert!(rig.proxy.hurt() > before, "{name} did not happen");
        }
    });
}

/// A store with the runtime that its connections live on.
fn run_store(rig: &Rig) -> (tokio::runtime::Runtime, Arc<dyn ObjectStore>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let store = runtime.block_on(rig.store());
    (runtime, store)
}

#[test]
fn a_body_that_breaks_off_is_taken_up_again_as_often_as_it_moves() {
    with_each_client(|rig| {
        let whole = contents(2_000_000);
        rig.bucket.put("object", &whole).unwrap();
        // More breaks than there are attempts: each brings something.
        for fault in
            [Fault::ResetAnswer { after: 150_000 }, Fault::Truncate { after: 150_000, announced: false }]
        {
            let taken_up = rig.counts().resumed;
            rig.proxy.inject(8, Request::gets, fault);
            let got = run(async { read(&*rig.store().await, "object").await.unwrap() });
            assert!(got == whole);
            assert_eq!(rig.counts().resumed - taken_up, 8);
        }
        let ranged =
            rig.proxy.seen().into_iter().map(|seen| seen.request).filter(|it| it.header("range").is_some());
        assert!(ranged.into_iter().all(|request| request.header("if-match").is_some()));
    });
}

#[test]
fn a_range_is_taken_up_again_within_itself() {
    with_each_client(|rig| {
        let whole = contents(LENGTH);
        rig.bucket.put("object", &whole).unwrap();
        rig.proxy.inject(2, Request::gets, Fault::ResetAnswer { after: 70_000 });
        let options = GetOptions { range: Some(GetRange::Bounded(1000..250_000)), ..GetOptions::default() };
        let got = run(async {
            let found = rig.store().await.get_opts(&key("object"), options).await.unwrap();
            assert_eq!(found.range, 1000..250_000);
            found.bytes().await.unwrap()
        });
        assert!(got == whole[1000..250_000]);
    });
}

#[test]
fn a_body_that_stands_still_is_taken_up_again() {
    with_each_client(|rig| {
        let whole = contents(LENGTH);
        rig.bucket.put("object", &whole).unwrap();
        rig.proxy.inject(1, Request::gets, Fault::StallAnswer { after: 100_000 });
        rig.proxy.inject(1, Request::gets, Fault::Stall);
        let got = run(async { read(&*rig.impatient().await, "object").await.unwrap() });
        assert!(got == whole);
    });
}

#[test]
fn a_body_that_never_comes_is_given_up() {
    with_each_client(|rig| {
        rig.bucket.put("object", &contents(LENGTH)).unwrap();
        rig.proxy.inject(usize::MAX, Request::gets, Fault::ResetAnswer { after: 10 });
        let error = run(async { read(&*rig.store().await, "object").await.unwrap_err() });
        let error = described(&error);
        assert!(error.to_string().starts_with("connection lost"), "{error}");
        assert_eq!(
            (error.bucket.as_deref(), error.key.as_deref()),
            (Some(rig.bucket.name()), Some("object"))
        );
        assert_eq!(rig.proxy.hurt(), ATTEMPTS as usize);
    });
}

#[test]
fn an_object_that_is_replaced_meanwhile_is_not_mixed_with_the_new_one() {
    with_each_client(|rig| {
        // Too large to be read whole before anything is handed out.
        let (old, new) = (contents(2_000_000), vec![7; 2_000_000]);
        rig.bucket.put("object", &old).unwrap();
        rig.proxy.inject(1, Request::gets, Fault::ResetAnswer { after: 70_000 });
        let outcome = run(async {
            let mut chunks = rig.store().await.get(&key("object")).await.unwrap().into_stream();
            let first = chunks.try_next().await.unwrap().unwrap();
            tokio::task::block_in_place(|| rig.bucket.put("object", &new)).unwrap();
            let rest: object_store::Result<Vec<_>> = chunks.try_collect().await;
            (first, rest)
        });
        assert!(old.starts_with(&outcome.0));
        outcome.1.unwrap_err();
    });
}

/// What nothing above the transport could check, such as a narinfo, is compared with what the server says of it.
#[test]
fn a_document_that_is_damaged_on_its_way_is_asked_for_again() {
    with_each_client(|rig| {
        for length in [1000, 100_000] {
            let whole = contents(length);
            rig.bucket.put("object", &whole).unwrap();
            let faults = [
                Fault::Corrupt { at: 500 },
                Fault::Truncate { after: 500, announced: true },
                Fault::Truncate { after: 0, announced: true },
            ];
            for fault in faults {
                rig.proxy.heal();
                rig.proxy.inject(2, Request::gets, fault.clone());
                let got = run(async { read(&*rig.store().await, "object").await.unwrap() });
                assert!(got == whole, "{fault:?}");
                rig.proxy.inject(usize::MAX, Request::gets, fault);
                let before = rig.proxy.hurt();
                let error = described(&run(async { read(&*rig.store().await, "object").await.unwrap_err() }));
                assert!(error.to_string().starts_with("body damaged on its way"), "{error}");
                assert_eq!(rig.proxy.hurt() - before, ATTEMPTS as usize);
            }
        }
    });
}

/// An end that looks like one is seen through where the answer says how much there is. (Where a large object's does not, the
/// hash in the narinfo tells: `tests/tests/e2e/faults.rs`.)
#[test]
fn a_part_that_is_shorter_than_it_says_is_no_part() {
    with_each_client(|rig| {
        let whole = contents(LENGTH);
        rig.bucket.put("object", &whole).unwrap();
        rig.proxy.inject(1, Request::gets, Fault::Truncate { after: 50_000, announced: true });
        let options = || GetOptions { range: Some(GetRange::Bounded(0..200_000)), ..GetOptions::default() };
        let got = run(async {
            rig.store().await.get_opts(&key("object"), options()).await.unwrap().bytes().await.unwrap()
        });
        assert!(got == whole[..200_000]);
    });
}

#[test]
fn what_drips_arrives() {
    with_each_client(|rig| {
        let whole = contents(1000);
        rig.bucket.put("object", &whole).unwrap();
        rig.proxy.inject(1, Request::gets, Fault::Drip { piece: 100, pause: Duration::from_millis(5) });
        assert!(run(async { read(&*rig.store().await, "object").await.unwrap() }) == whole);
    });
}

/// A server that keeps a connection alive with a byte now and then holds nobody for ever, where the settings say so.
#[test]
fn what_drips_for_ever_is_given_up() {
    with_each_client(|rig| {
        rig.bucket.put("object", &contents(LENGTH)).unwrap();
        rig.proxy.inject(
            usize::MAX,
            Request::gets,
            Fault::Drip { piece: 1, pause: Duration::from_millis(20) },
        );
        let mut settings = rig.settings.clone();
        settings.transfer.request_timeout = Some(Duration::from_millis(150));
        let error = run(async {
            let store = nars3_s3::open(&settings, &rig.environment).await.unwrap();
            read(&*store, "object").await.unwrap_err()
        });
        assert!(described(&error).to_string().starts_with("timed out"), "{error}");
    });
}

/// And where they say nothing about the time of a request, less than 16 KiB in the time of a stall is no transfer.
#[test]
fn what_drips_for_ever_is_given_up_without_a_timeout_too() {
    with_each_client(|rig| {
        rig.bucket.put("object", &contents(LENGTH)).unwrap();
        let pause = Duration::from_millis(20);
        rig.proxy.inject(usize::MAX, Request::gets, Fault::Drip { piece: 1, pause });
        let error = described(&run(async { read(&*rig.impatient().await, "object").await.unwrap_err() }));
        assert!(error.to_string().starts_with("timed out"), "{error}");
        assert_eq!(rig.proxy.hurt(), ATTEMPTS as usize);
    });
}

#[test]
fn refusals_that_last_are_told_at_once_and_for_what_they_are() {
    with_each_client(|rig| {
        rig.bucket.put("object", b"x").unwrap();
        for (answer, words) in lasting_refusals() {
            let before = rig.proxy.seen().len();
            rig.proxy.inject(1, Request::gets, Fault::Answer(answer));
            let error = described(&run(async { read(&*rig.store().await, "object").await.unwrap_err() }));
            assert!(error.to_string().starts_with(words), "{error}, expected {words}");
            assert_eq!((error.attempts, rig.proxy.seen().len() - before), (Some(1), 1), "{words}");
        }
    });
}

#[test]
fn a_request_of_an_hour_ago_is_one_of_a_wrong_clock() {
    with_each_client(|rig| {
        rig.bucket.put("object", b"x").unwrap();
        rig.proxy.inject(1, Request::gets, Fault::Late);
        let error = described(&run(async { read(&*rig.store().await, "object").await.unwrap_err() }));
        assert!(error.to_string().starts_with("clocks differ too much"), "{error}");
    });
}

#[test]
fn complaints_without_end_end_after_all_attempts() {
    with_each_client(|rig| {
        rig.bucket.put("object", b"x").unwrap();
        rig.proxy.inject(usize::MAX, Request::gets, Fault::Answer(Answer::error(503, "SlowDown")));
        let error = described(&run(async { read(&*rig.store().await, "object").await.unwrap_err() }));
        assert!(error.to_string().starts_with("too many requests"), "{error}");
        assert_eq!(error.attempts, Some(ATTEMPTS));
        assert_eq!(rig.proxy.hurt(), ATTEMPTS as usize);
        assert_eq!(rig.counts().throttled, u64::from(ATTEMPTS));
    });
}
