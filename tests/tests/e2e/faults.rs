//! The command between faults: a flaky network, a damaged download, a bucket that may not be listed.

use anyhow::{Context, Result};
use nars3_tests::audit::audit;
use nars3_tests::closure::narinfo_key;
use nars3_tests::faults::{Answer, Fault, FaultProxy, Request};
use nars3_tests::nix::Chroot;
use nars3_tests::tree;

use crate::setup::{KEY, Pushed, Setup};

/// Both S3 clients. The command has them, whatever the tests' own crates have.
const CLIENTS: [&str; 2] = ["object_store", "rusoto"];

/// Retries without pauses: the tests are about their number, not about time.
const AT_ONCE: &str = "retry-delay=1&retry-delay-rate-limited=1";

#[test]
fn a_push_through_a_flaky_network_succeeds_and_verifies() -> Result<()> {
    let Some(Pushed { setup: first, nix, closure, public_key }) = Pushed::new("")? else { return Ok(()) };
    for client in CLIENTS {
        let setup = Setup::new()?;
        let proxy = FaultProxy::start(setup.server.endpoint())?;
        proxy.inject(1, Request::puts, Fault::Reset);
        proxy.inject(2, Request::puts, Fault::ResetRequest { after: 100 });
        proxy.inject(1, Request::puts, Fault::CorruptRequest { at: 10 });
        proxy.inject(1, Request::puts, Fault::LoseAnswer);
        proxy.inject(2, Request::gets, Fault::Answer(Answer::error(503, "SlowDown")));
        proxy.inject(1, Request::lists, Fault::ResetAnswer { after: 10 });
        let key = first.nars3.secret_key_file(KEY);
        let settings = format!("s3-client={client}&compression=zstd&secret-key={}&{AT_ONCE}", key.display());
        let url = setup.bucket.url_at(proxy.endpoint(), &settings);
        setup.nars3.run(["copy", "--to", &url, &closure.app])?.success()?;
        assert!(proxy.hurt() >= 5, "the network was not flaky");
        assert_eq!(audit(&setup.bucket)?.paths.len(), closure.paths.len());
        let url = setup.bucket.url("");
        let mut arguments = vec!["store", "verify", "--store", &url, "--trusted-public-keys", &public_key];
        arguments.extend(closure.paths.iter().map(String::as_str));
        setup.nars3.run(arguments)?.success()?;

        // And back, broken off again and again, but not so often that one file could have it all.
        let back = FaultProxy::start(setup.server.endpoint())?;
        back.inject(4, |request| request.target.contains("/nar/"), Fault::ResetAnswer { after: 90 });
        let chroot = Chroot::new()?;
        let from = setup.bucket.url_at(back.endpoint(), &format!("s3-client={client}&{AT_ONCE}"));
        let to = chroot.store_url();
        let arguments =
            ["copy", "--from", &from, "--to", &to, "--trusted-public-keys", &public_key, &closure.app];
        setup.nars3.run(arguments)?.success()?;
        assert!(back.hurt() >= 1);
        nix.verify(&chroot)?;
        for path in &closure.paths {
            tree::ensure_equal(path.as_ref(), &chroot.physical(path))?;
        }
    }
    Ok(())
}

#[test]
fn a_damaged_download_is_an_error_that_names_the_file() -> Result<()> {
    let Some(Pushed { setup, closure, public_key, .. }) = Pushed::new("compression=none")? else {
        return Ok(());
    };
    let narinfo = setup.bucket.get_text(&narinfo_key(&closure.library))?;
    let file = narinfo.lines().find_map(|line| line.strip_prefix("URL: ")).context("no URL")?.to_owned();
    for client in CLIENTS {
        // One bit; and an end too early, of which the length that is announced knows nothing.
        for fault in [Fault::Corrupt { at: 200 }, Fault::Truncate { after: 200, announced: true }] {
            let proxy = FaultProxy::start(setup.server.endpoint())?;
            let damaged = file.clone();
            proxy.inject(usize::MAX, move |request| request.target.contains(&damaged), fault.clone());
            let chroot = Chroot::new()?;
            let from = setup.bucket.url_at(proxy.endpoint(), &format!("s3-client={client}&{AT_ONCE}"));
            let to = chroot.store_url();
            let arguments = [
                "copy",
                "--from",
                &from,
                "--to",
                &to,
                "--trusted-public-keys",
                &public_key,
                &closure.library,
            ];
            let said = setup.nars3.run(arguments)?.refusal()?;
            assert!(said.contains(&file), "{fault:?}: {said}");
            assert!(!chroot.physical(&closure.library).exists(), "{fault:?}: it was put into the store");
        }
    }
    Ok(())
}

/// AWS says "access denied" of what is not there to whom it does not let list the bucket. MinIO says 404, so the proxy
/// makes one of the other.
#[test]
fn a_bucket_that_may_not_be_listed_can_be_pushed_to_and_pulled_from() -> Result<()> {
    let Some(Pushed { setup: first, nix: _nix, closure, public_key }) = Pushed::new("")? else {
        return Ok(());
    };
    for client in CLIENTS {
        let setup = Setup::new()?;
        let proxy = FaultProxy::start(setup.server.endpoint())?;
        proxy.inject(usize::MAX, Request::lists, Fault::Answer(Answer::error(403, "AccessDenied")));
        proxy.inject(usize::MAX, |_| true, Fault::DenyAbsent);
        let key = first.nars3.secret_key_file(KEY);
        let url = setup
            .bucket
            .url_at(proxy.endpoint(), &format!("s3-client={client}&secret-key={}", key.display()));
        setup.nars3.run(["copy", "--to", &url, &closure.app])?.success()?;
        assert_eq!(audit(&setup.bucket)?.paths.len(), closure.paths.len());
        // What is there already is not sent again.
        let before = proxy.seen().len();
        setup.nars3.run(["copy", "--to", &url, &closure.app])?.success()?;
        let after = proxy.seen().into_iter().skip(before).filter(|seen| seen.request.puts()).count();
        assert_eq!(after, 0, "sent again");
        let chroot = Chroot::new()?;
        let to = chroot.store_url();
        let arguments =
            ["copy", "--from", &url, "--to", &to, "--trusted-public-keys", &public_key, &closure.app];
        setup.nars3.run(arguments)?.success()?;
        let absent = "/nix/store/00000000000000000000000000000000-absent";
        let said = setup.nars3.run(["path-info", "--store", &url, absent])?.refusal()?;
        assert!(said.contains("absent"), "{said}");
    }
    Ok(())
}

#[test]
fn access_denied_to_the_whole_bucket_is_not_an_empty_cache() -> Result<()> {
    let Some(Pushed { setup, nix: _nix, closure, .. }) = Pushed::new("")? else { return Ok(()) };
    for client in CLIENTS {
        for (code, words) in
            [("AccessDenied", "s3:GetObject"), ("SignatureDoesNotMatch", "SignatureDoesNotMatch")]
        {
            let proxy = FaultProxy::start(setup.server.endpoint())?;
            proxy.inject(
                usize::MAX,
                |request| request.method == "GET",
                Fault::Answer(Answer::error(403, code)),
            );
            proxy.inject(usize::MAX, |request| request.method == "HEAD", Fault::Answer(Answer::new(403, "")));
            let url = setup.bucket.url_at(proxy.endpoint(), &format!("s3-client={client}"));
            let chroot = Chroot::new()?;
            let to = chroot.store_url();
            let said = setup.nars3.run(["copy", "--from", &url, "--to", &to, &closure.app])?.refusal()?;
            assert!(said.contains(words), "{code}: {said}");
            // The cache is there, so writing to it proves nothing.
            let said = setup.nars3.run(["copy", "--to", &url, &closure.app])?.refusal()?;
            assert!(said.contains(words), "{code}: {said}");
        }
    }
    Ok(())
}
