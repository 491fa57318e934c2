//! Memory through faults: what a client holds does not grow with what goes wrong, nor with what a server sends of it.
//!
//! The client is a process of its own, this one started anew, so that neither the proxy nor the object counts.

use std::process::Command;

use futures::stream::{FuturesUnordered, StreamExt};
use futures::{TryStreamExt, future};
use nars3_tests::memory::{Measured, measure};

use super::*;

/// Says to `the_client` what to do, and where.
const TASK: &str = "NARS3_S3_MEMORY_TASK";
const URL: &str = "NARS3_S3_MEMORY_URL";

const MIB: u64 = 1 << 20;

/// S3 takes no smaller part, and so many are on their way at once.
const PART: usize = 5 << 20;
const AT_ONCE: usize = 2;

/// What goes up, in bytes, and what comes down.
const UP: usize = 12 * PART;
const DOWN: usize = 24 << 20;

/// Runs `the_client` as a process, and gives the most that it held, in bytes.
fn client(rig: &Rig, task: &str) -> u64 {
    let name = match rig.settings.s3_client {
        Some(S3Client::Rusoto) => "rusoto",
        _ => "object_store",
    };
    let more = format!("s3-client={name}&retry-attempts={ATTEMPTS}&retry-delay=1&retry-delay-rate-limited=1");
    let keys = rig._server.settings();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "faults::memory::the_client", "--ignored", "--nocapture"]);
    command.env(TASK, task).env(URL, rig.bucket.url_at(rig.proxy.endpoint(), &more));
    command.env("AWS_ACCESS_KEY_ID", &keys.access_key).env("AWS_SECRET_ACCESS_KEY", &keys.secret_key);
    let Measured { finished, peak_resident, .. } = measure(&mut command).unwrap();
    let said = finished.success().unwrap();
    assert!(said.contains("1 passed"), "{said}");
    peak_resident
}

/// What it holds beyond a client that has done next to nothing.
fn more_than_idle(rig: &Rig, task: &str) -> u64 {
    let idle = client(rig, "idle");
    client(rig, task).saturating_sub(idle)
}

#[test]
fn a_download_that_breaks_off_again_and_again_holds_no_more_of_it() {
    with_each_client(|rig| {
        rig.bucket.put("object", &contents(DOWN)).unwrap();
        let kinds = [
            Fault::ResetAnswer { after: 1 << 20 },
            Fault::Truncate { after: 1 << 20, announced: false },
            Fault::Answer(Answer::error(503, "SlowDown")),
        ];
        for _ in 0..4 {
            for fault in &kinds {
                rig.proxy.inject(1, is_large, fault.clone());
            }
        }
        let held = more_than_idle(rig, "download");
        assert_eq!(rig.proxy.hurt(), 12);
        assert!(held < 6 * MIB, "{} MiB of {}", held / MIB, DOWN as u64 / MIB);
    });
}

fn is_large(request: &Request) -> bool {
    request.gets() && request.target.contains("/object")
}

#[test]
fn parts_that_are_sent_again_and_again_are_held_once() {
    with_each_client(|rig| {
        // Each part up to twice in vain, in one way or another.
        let mut faults = passing_faults().into_iter().map(|(_, fault)| fault).collect::<Vec<_>>();
        faults.push(Fault::ResetRequest { after: 3 << 20 });
        faults.push(Fault::CorruptRequest { at: 4 << 20 });
        let parts = UP / PART;
        for (number, fault) in faults.iter().cycle().take(2 * parts).enumerate() {
            let part = format!("partNumber={}&", number % parts + 1);
            rig.proxy.inject(1, move |request| request.target.contains(&part), fault.clone());
        }
        let held = more_than_idle(rig, "upload");
        assert!(rig.proxy.hurt() > parts);
        assert!(held < (2 * AT_ONCE * PART) as u64, "{} MiB of {}", held / MIB, UP as u64 / MIB);
        assert_eq!(rig.bucket.headers("object").unwrap()["content-length"], UP.to_string());
        rig.assert_no_upload_to("object");
    });
}

/// A part that comes in pieces, as the pipeline makes it, is not put together: that would be a second one, beyond what the
/// settings allow to uploads.
#[test]
fn parts_in_pieces_are_held_once() {
    with_each_client(|rig| {
        let held = more_than_idle(rig, "pieces");
        assert!(held < 14 * MIB, "{} MiB for {AT_ONCE} parts of {}", held / MIB, PART as u64 / MIB);
        assert_eq!(rig.bucket.headers("object").unwrap()["content-length"], UP.to_string());
        let whole = rig.bucket.get("object").unwrap();
        assert!(whole.iter().enumerate().all(|(at, found)| *found == byte(at)), "other bytes");
    });
}

#[test]
fn a_refusal_without_end_is_not_read_to_its_end() {
    with_each_client(|rig| {
        let words = "x".repeat(64 << 20);
        rig.proxy.inject(usize::MAX, is_large, Fault::Answer(Answer::new(503, &words)));
        rig.proxy.inject(usize::MAX, Request::lists, Fault::Answer(Answer::new(200, &words)));
        let held = more_than_idle(rig, "refused");
        assert!(held < 4 * MIB, "{} MiB for refusals of 64", held / MIB);
        // A page of a listing may be longer, but not for ever: 16 MiB.
        let held = more_than_idle(rig, "listing");
        assert!(held < 32 * MIB, "{} MiB for a listing of 64", held / MIB);
    });
}

/// The process that is measured.
#[test]
#[ignore = "started by the others here, as a process of its own"]
fn the_client() {
    let (Ok(task), Ok(url)) = (std::env::var(TASK), std::env::var(URL)) else { return };
    let StoreKind::S3(settings) = StoreUrl::parse(&url).unwrap().url.kind else { panic!("not an S3 URL") };
    run(async {
        let store = nars3_s3::open(&settings, &Environment::of_process()).await.unwrap();
        match task.as_str() {
            "idle" => {}
            "download" => download(&*store).await,
            "upload" => upload(&*store, PART).await,
            "pieces" => upload(&*store, 64 << 10).await,
            "refused" => {
                for _ in 0..3 {
                    store.get(&key("object")).await.unwrap_err();
                }
            }
            "listing" => {
                store.list(None).try_for_each(|_| future::ready(Ok(()))).await.unwrap_err();
            }
            other => panic!("no task '{other}'"),
        }
        store.put(&key("small"), "done".into()).await.unwrap();
    });
}

async fn download(store: &dyn ObjectStore) {
    let mut chunks = store.get(&key("object")).await.unwrap().into_stream();
    let mut at = 0;
    while let Some(chunk) = chunks.try_next().await.unwrap() {
        let right = chunk.iter().enumerate().all(|(offset, read)| *read == byte(at + offset));
        assert!(right, "other bytes after {at}");
        at += chunk.len();
    }
    assert_eq!(at, DOWN);
}

async fn upload(store: &dyn ObjectStore, piece: usize) {
    let mut upload = store.put_multipart(&key("object")).await.unwrap();
    let mut sending = FuturesUnordered::new();
    for start in (0..UP).step_by(PART) {
        if sending.len() == AT_ONCE {
            sending.next().await.map(Result::unwrap);
        }
        let piece_at = |at| bytes::Bytes::from((at..at + piece).map(byte).collect::<Vec<_>>());
        let part: PutPayload = (start..start + PART).step_by(piece).map(piece_at).collect();
        sending.push(upload.put_part(part));
    }
    sending.try_collect::<()>().await.unwrap();
    upload.complete().await.unwrap();
}
