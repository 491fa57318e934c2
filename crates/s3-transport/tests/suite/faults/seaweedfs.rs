//! The same before SeaweedFS, in a short form: every fault that passes, once for each kind of request. A byte of a request that
//! is changed on its way is not among them: SeaweedFS does not check whether a body is the one that was signed.

use nars3_tests::server::find_seaweedfs;

use super::downloads::read;
use super::listings::{delete_through, names};
use super::uploads::{PART, upload};
use super::*;

fn on_seaweedfs(test: impl Fn(&Rig)) {
    let Some(binary) = find_seaweedfs() else { return skip(Need::SeaweedFs, "no binary") };
    with_each_client_of(&ServerKind::SeaweedFs(binary), test);
}

#[test]
fn reads_and_listings_survive_what_passes() {
    on_seaweedfs(|rig| {
        let whole = contents(100_000);
        rig.bucket.put("dir/object", &whole).unwrap();
        let more = [
            ("broken off", Fault::ResetAnswer { after: 200 }),
            ("half of it, as if that were all", Fault::Truncate { after: 200, announced: true }),
            ("half of it", Fault::Truncate { after: 200, announced: false }),
            ("a byte changed", Fault::Corrupt { at: 150 }),
        ];
        run(async {
            let store = rig.store().await;
            for (name, fault) in passing_faults().into_iter().chain(more) {
                rig.proxy.heal();
                let hurt = rig.proxy.hurt();
                rig.proxy.inject(2, Request::gets, fault.clone());
                let got = read(&*store, "dir/object").await;
                assert!(
                    got.unwrap_or_else(|error| panic!("{name}: {error}")) == whole,
                    "{name}: other bytes"
                );
                assert!(rig.proxy.hurt() > hurt, "{name} did not happen");
                if matches!(fault, Fault::Corrupt { .. }) {
                    // Nothing says what a listing should be.
                    continue;
                }
                rig.proxy.heal();
                rig.proxy.inject(2, Request::lists, fault);
                let listed = names(&*store).await.unwrap_or_else(|error| panic!("{name}: {error}"));
                assert_eq!(listed.into_iter().collect::<Vec<_>>(), ["dir/object"], "{name}");
            }
        });
    });
}

#[test]
fn writes_and_deletions_survive_what_passes() {
    on_seaweedfs(|rig| {
        let whole = contents(100_000);
        let more = [("reset in the middle of the body", Fault::ResetRequest { after: 70_000 })];
        run(async {
            let store = rig.store().await;
            for (name, fault) in passing_faults().into_iter().chain(more) {
                rig.proxy.heal();
                rig.proxy.inject(2, Request::puts, fault.clone());
                let put = store.put(&key("object"), whole.clone().into()).await;
                put.unwrap_or_else(|error| panic!("{name}: {error}"));
                assert!(tokio::task::block_in_place(|| rig.bucket.get("object")).unwrap() == whole, "{name}");
                delete_through(rig, &*store, name, fault).await;
            }
        });
    });
}

#[test]
fn parts_make_the_whole_after_what_passes() {
    on_seaweedfs(|rig| {
        let whole = contents(PART + 1000);
        run(async {
            let store = rig.store().await;
            for (name, fault) in passing_faults() {
                rig.proxy.heal();
                rig.proxy.inject(1, Request::sends_part, fault);
                let done = upload(&*store, "object", &whole).await;
                done.unwrap_or_else(|error| panic!("{name}: {error}"));
                tokio::task::block_in_place(|| {
                    assert!(rig.bucket.get("object").unwrap() == whole, "{name}");
                    rig.assert_no_upload_to("object");
                });
            }
        });
    });
}
