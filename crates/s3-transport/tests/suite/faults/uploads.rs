//! Writing through faults, at once and in parts.

use object_store::{PutMode, PutOptions};

use super::*;

/// Which requests a fault is for.
type About = fn(&Request) -> bool;

/// S3 takes no smaller part, but for the last.
pub(super) const PART: usize = 5 << 20;

/// Faults of requests with a body, beside those that any request survives.
fn faults_of_bodies() -> Vec<(&'static str, Fault)> {
    let mut faults = passing_faults();
    faults.push(("reset in the middle of the body", Fault::ResetRequest { after: 70_000 }));
    faults.push(("a byte changed on its way", Fault::CorruptRequest { at: 100_000 }));
    faults
}

#[test]
fn an_object_is_there_whole_after_whatever_passes() {
    with_each_client(|rig| {
        let whole = contents(300_000);
        run(async {
            let store = rig.store().await;
            let more = [("an error in a success", Fault::Answer(Answer::error(200, "InternalError")))];
            for (number, (name, fault)) in faults_of_bodies().into_iter().chain(more).enumerate() {
                let object = format!("object-{number}");
                rig.proxy.heal();
                rig.proxy.inject(2, Request::puts, fault);
                let put = store.put(&key(&object), whole.clone().into()).await;
                put.unwrap_or_else(|error| panic!("{name}: {error}"));
                assert!(tokio::task::block_in_place(|| rig.bucket.get(&object)).unwrap() == whole, "{name}");
            }
        });
    });
}

#[test]
fn a_body_in_pieces_is_sent_again_whole() {
    with_each_client(|rig| {
        let whole = contents(200_000);
        let rope: PutPayload = whole.chunks(7000).map(|piece| bytes::Bytes::from(piece.to_vec())).collect();
        rig.proxy.inject(1, Request::puts, Fault::ResetRequest { after: 50_000 });
        rig.proxy.inject(1, Request::puts, Fault::Answer(Answer::error(503, "SlowDown")));
        run(async { rig.store().await.put(&key("object"), rope).await.unwrap() });
        assert!(rig.bucket.get("object").unwrap() == whole);
    });
}

#[test]
fn an_upload_that_stands_still_is_begun_again() {
    with_each_client(|rig| {
        let whole = contents(300_000);
        rig.proxy.inject(1, Request::puts, Fault::Stall);
        run(async { rig.impatient().await.put(&key("object"), whole.clone().into()).await.unwrap() });
        assert!(rig.bucket.get("object").unwrap() == whole);
    });
}

#[test]
fn what_did_not_arrive_is_not_told_to_be_there() {
    with_each_client(|rig| {
        for fault in [
            Fault::Reset,
            Fault::ResetRequest { after: 10 },
            Fault::CorruptRequest { at: 10 },
            Fault::Answer(Answer::error(500, "InternalError")),
            Fault::Answer(Answer::error(200, "InternalError")),
            Fault::Answer(Answer::error(403, "AccessDenied")),
            // A success of nobody: S3's has an ETag.
            Fault::Answer(Answer::new(200, "")),
        ] {
            let rig = Rig::new(&rig._server, rig.settings.s3_client.unwrap());
            rig.proxy.inject(usize::MAX, Request::puts, fault.clone());
            let outcome = run(async { rig.store().await.put(&key("object"), contents(1000).into()).await });
            assert!(outcome.is_err(), "{fault:?}");
            rig.assert_nothing_at("object");
        }
    });
}

#[test]
fn a_condition_holds_through_faults() {
    with_each_client(|rig| {
        run(async {
            let store = rig.store().await;
            let create = || PutOptions::from(PutMode::Create);
            rig.proxy.inject(2, Request::puts, Fault::Answer(Answer::error(503, "SlowDown")));
            store.put_opts(&key("first"), "1".into(), create()).await.unwrap();
            rig.proxy.inject(1, Request::puts, Fault::Reset);
            let error = store.put_opts(&key("first"), "2".into(), create()).await.unwrap_err();
            assert!(matches!(error, object_store::Error::AlreadyExists { .. }), "{error:?}");
            // The object is there, and the news of it was lost: it is told to exist, which it does.
            rig.proxy.inject(1, Request::puts, Fault::LoseAnswer);
            let error = store.put_opts(&key("second"), "1".into(), create()).await.unwrap_err();
            assert!(matches!(error, object_store::Error::AlreadyExists { .. }), "{error:?}");
        });
        assert_eq!(rig.bucket.get("first").unwrap(), b"1");
        assert_eq!(rig.bucket.get("second").unwrap(), b"1");
    });
}

/// Two parts and a bit, sent at once; aborted if anything fails, as whoever uploads does.
pub(super) async fn upload(store: &dyn ObjectStore, name: &str, whole: &[u8]) -> object_store::Result<()> {
    let mut upload = store.put_multipart(&key(name)).await?;
    let outcome = send_parts(&mut *upload, whole).await;
    if outcome.is_err() {
        upload.abort().await?;
    }
    outcome
}

async fn send_parts(upload: &mut dyn MultipartUpload, whole: &[u8]) -> object_store::Result<()> {
    let parts: Vec<_> = whole.chunks(PART).map(|part| upload.put_part(part.to_vec().into())).collect();
    futures::future::try_join_all(parts).await?;
    upload.complete().await.map(|_| ())
}

#[test]
fn parts_make_the_whole_after_whatever_passes() {
    with_each_client(|rig| {
        let whole = contents(2 * PART + 1000);
        run(async {
            let store = rig.store().await;
            for (number, (name, fault)) in faults_of_bodies().into_iter().enumerate() {
                let object = format!("object-{number}");
                rig.proxy.heal();
                rig.proxy.inject(2, Request::sends_part, fault);
                let done = upload(&*store, &object, &whole).await;
                done.unwrap_or_else(|error| panic!("{name}: {error}"));
                tokio::task::block_in_place(|| {
                    assert!(rig.bucket.get(&object).unwrap() == whole, "{name}");
                    rig.assert_no_upload_to(&object);
                    rig.bucket.delete(&object).unwrap();
                });
            }
        });
    });
}

#[test]
fn a_completion_is_done_once_whatever_passes() {
    with_each_client(|rig| {
        let whole = contents(PART + 1000);
        run(async {
            let store = rig.store().await;
            let more = [
                ("an error in a success", Fault::Answer(Answer::error(200, "InternalError"))),
                (
                    "an error in a success after the work",
                    Fault::ReplaceAnswer(Answer::error(200, "InternalError")),
                ),
                ("half an answer", Fault::Truncate { after: 100, announced: true }),
                ("an empty answer", Fault::Truncate { after: 0, announced: true }),
            ];
            for (number, (name, fault)) in passing_faults().into_iter().chain(more).enumerate() {
                let object = format!("object-{number}");
                rig.proxy.heal();
                rig.proxy.inject(1, Request::completes, fault);
                let done = upload(&*store, &object, &whole).await;
                done.unwrap_or_else(|error| panic!("{name}: {error}"));
                tokio::task::block_in_place(|| {
                    assert!(rig.bucket.get(&object).unwrap() == whole, "{name}");
                    rig.assert_no_upload_to(&object);
                });
            }
        });
    });
}

/// Faults that lose the name of an upload that was begun: it stays, because nobody can tell it from that of another writer
/// (docs/decisions/0006).
const UNHEARD_OF: [&str; 4] =
    ["answer lost", "internal error after the work", "gateway timeout of a proxy", "delivered twice"];

#[test]
fn an_upload_begins_after_whatever_passes() {
    with_each_client(|rig| {
        let whole = contents(1000);
        run(async {
            let store = rig.store().await;
            for (number, (name, fault)) in passing_faults().into_iter().enumerate() {
                let object = format!("object-{number}");
                rig.proxy.heal();
                rig.proxy.inject(1, Request::begins, fault);
                upload(&*store, &object, &whole).await.unwrap_or_else(|error| panic!("{name}: {error}"));
                tokio::task::block_in_place(|| {
                    assert!(rig.bucket.get(&object).unwrap() == whole, "{name}");
                    let expected = if UNHEARD_OF.contains(&name) { [0].as_slice() } else { &[] };
                    assert_eq!(parts_left(rig, &object), expected, "{name}");
                });
            }
        });
    });
}

/// The parts of each upload that stayed.
fn parts_left(rig: &Rig, key: &str) -> Vec<usize> {
    let uploads = rig.bucket.uploads(key).unwrap();
    uploads.iter().map(|upload| rig.bucket.parts(key, upload).unwrap()).collect()
}

#[test]
fn uploads_that_nobody_heard_of_are_as_many_as_attempts_and_hold_nothing() {
    with_each_client(|rig| {
        rig.proxy.inject(usize::MAX, Request::begins, Fault::LoseAnswer);
        run(async { upload(&*rig.store().await, "object", &contents(1000)).await.unwrap_err() });
        assert_eq!(parts_left(rig, "object"), [0; ATTEMPTS as usize]);
    });
}

/// Another writer's upload to the same key looks just like one that nobody heard of, and must outlive it.
#[test]
fn the_upload_of_another_writer_goes_on() {
    with_each_client(|rig| {
        let (ours, theirs) = (contents(1000), contents(2000));
        run(async {
            let (one, other) = (rig.store().await, rig.store().await);
            for fault in [Fault::LoseAnswer, Fault::Duplicate, Fault::Reset] {
                // Begun before ours, with nothing in it yet; and one with a part.
                let mut empty = other.put_multipart(&key("object")).await.unwrap();
                let mut begun = other.put_multipart(&key("object")).await.unwrap();
                begun.put_part(theirs.clone().into()).await.unwrap();
                rig.proxy.inject(1, Request::begins, fault);
                upload(&*one, "object", &ours).await.unwrap();
                begun.complete().await.unwrap();
                empty.put_part(theirs.clone().into()).await.unwrap();
                empty.complete().await.unwrap();
                assert!(tokio::task::block_in_place(|| rig.bucket.get("object")).unwrap() == theirs);
            }
        });
    });
}

#[test]
fn an_upload_that_fails_leaves_nothing_behind() {
    with_each_client(|rig| {
        let whole = contents(PART + 1000);
        let denied = || Fault::Answer(Answer::error(403, "AccessDenied"));
        let faults: [(About, Fault); 6] = [
            (Request::sends_part, Fault::Reset),
            (Request::sends_part, Fault::CorruptRequest { at: 10 }),
            (Request::sends_part, denied()),
            (Request::sends_part, Fault::Answer(Answer::new(200, ""))),
            (Request::completes, Fault::Answer(Answer::error(200, "AccessDenied"))),
            (Request::completes, Fault::Answer(Answer::error(503, "SlowDown"))),
        ];
        for (about, fault) in faults {
            let rig = Rig::new(&rig._server, rig.settings.s3_client.unwrap());
            rig.proxy.inject(usize::MAX, about, fault.clone());
            // Even where the end of it is disturbed.
            rig.proxy.inject(2, |request| request.method == "DELETE", Fault::LoseAnswer);
            let outcome = run(async { upload(&*rig.store().await, "object", &whole).await });
            assert!(outcome.is_err(), "{fault:?}");
            rig.assert_nothing_at("object");
        }
    });
}
