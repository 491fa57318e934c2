//! A server that has too much to do, or that stands still: the doctor says so, with little patience. Time is counted in
//! requests here, each of which the settings give an end.

use anyhow::{Context, Result};
use nars3_tests::faults::{Answer, Fault, FaultProxy, Request};

use super::{CLIENTS, Real, doctor, minio};

/// What a test's URL says of time: a second of silence is a stall, three are too long in all, and retries have no pauses.
const HASTE: &str =
    "retry-delay=1&retry-delay-rate-limited=1&stalled-download-timeout=1&connect-timeout=2&request-timeout=3";

/// The attempts at a request that a doctor makes at most, whatever the URL says.
const ATTEMPTS: usize = 2;

/// Which requests something happens to.
type About = fn(&Request) -> bool;

fn reads_cache_info(request: &Request) -> bool {
    request.method == "GET" && request.target.contains("nix-cache-info")
}

fn lists_uploads(request: &Request) -> bool {
    request.method == "GET" && request.target.contains("uploads")
}

fn deletes(request: &Request) -> bool {
    request.method == "DELETE" || (request.method == "POST" && request.target.contains("delete"))
}

/// The ways in which a server says that it is asked too much.
fn complaints() -> [Answer; 4] {
    [
        Answer::error(503, "SlowDown"),
        Answer::error(503, "ServiceUnavailable"),
        Answer::new(429, ""),
        // An hour is not waited for.
        Answer::error(503, "SlowDown").with("retry-after", "3600"),
    ]
}

/// Where the doctor may be stopped, what that is called, and whether only `--write` comes so far.
fn places() -> [(About, &'static str, bool); 5] {
    [
        (reads_cache_info, "reading", false),
        (Request::lists, "listing", false),
        (lists_uploads, "uploads", false),
        (deletes, "deleting", true),
        (Request::puts, "writing", true),
    ]
}

/// A MinIO behind a proxy, with a cache in a bucket.
fn behind_a_proxy() -> Result<Option<(Real, FaultProxy)>> {
    let Some(real) = minio()? else { return Ok(None) };
    real.bucket.put("nix-cache-info", b"StoreDir: /nix/store\n")?;
    let proxy = FaultProxy::start(real.server.endpoint())?;
    Ok(Some((real, proxy)))
}

#[test]
fn a_throttled_bucket_is_told_to_be_one_wherever_it_begins() -> Result<()> {
    let Some((Real { nars3, bucket, server: _server }, proxy)) = behind_a_proxy()? else { return Ok(()) };
    for client in CLIENTS {
        let url = bucket.url_at(proxy.endpoint(), &format!("s3-client={client}&{HASTE}&retry-attempts=50"));
        for (about, check, write) in places() {
            for complaint in complaints() {
                proxy.heal();
                let before = proxy.hurt();
                proxy.inject(usize::MAX, about, Fault::Answer(complaint.clone()));
                let diagnosis = doctor(&nars3, &url, if write { &["--write"] } else { &[] })?;
                let what = || format!("{check}, {complaint:?}, {client}");
                diagnosis.is_problem("throttled", "fewer requests").with_context(what)?;
                assert_eq!(diagnosis.finding("throttled")?["check"], check, "{}", what());
                assert_eq!(proxy.hurt() - before, ATTEMPTS, "{}", what());
            }
        }
    }
    assert_eq!(bucket.keys()?, ["nix-cache-info"]);
    assert_eq!(bucket.pending_uploads()?, Vec::<String>::new());
    Ok(())
}

#[test]
fn one_complaint_is_no_problem() -> Result<()> {
    let Some((Real { nars3, bucket, server: _server }, proxy)) = behind_a_proxy()? else { return Ok(()) };
    for client in CLIENTS {
        let url = bucket.url_at(proxy.endpoint(), &format!("s3-client={client}&{HASTE}"));
        for (about, ..) in places() {
            proxy.inject(1, about, Fault::Answer(Answer::error(503, "SlowDown")));
        }
        let before = proxy.hurt();
        assert_eq!(doctor(&nars3, &url, &["--write"])?.is_well()?.codes(), Vec::<&str>::new());
        assert_eq!(proxy.hurt() - before, places().len());
    }
    Ok(())
}

#[test]
fn a_server_that_stands_still_is_waited_for_twice_and_no_more() -> Result<()> {
    let Some((Real { nars3, bucket, server: _server }, proxy)) = behind_a_proxy()? else { return Ok(()) };
    for client in CLIENTS {
        let url = bucket.url_at(proxy.endpoint(), &format!("s3-client={client}&{HASTE}"));
        for (about, check, write) in places() {
            proxy.heal();
            let before = proxy.hurt();
            proxy.inject(usize::MAX, about, Fault::Stall);
            let diagnosis = doctor(&nars3, &url, if write { &["--write"] } else { &[] })?;
            let what = || format!("{check}, {client}");
            diagnosis.is_problem("timed-out", "check the network").with_context(what)?;
            assert_eq!(diagnosis.finding("timed-out")?["check"], check, "{}", what());
            assert_eq!(proxy.hurt() - before, ATTEMPTS, "{}", what());
        }
    }
    Ok(())
}

#[test]
fn a_server_that_answers_nothing_is_not_asked_anything_else() -> Result<()> {
    let Some((Real { nars3, bucket, server: _server }, proxy)) = behind_a_proxy()? else { return Ok(()) };
    proxy.inject(usize::MAX, |_| true, Fault::Stall);
    for client in CLIENTS {
        let before = proxy.seen().len();
        let url = bucket.url_at(proxy.endpoint(), &format!("s3-client={client}&{HASTE}"));
        let diagnosis = doctor(&nars3, &url, &["--write", "--abort-uploads-older-than", "0s"])?;
        diagnosis.is_problem("timed-out", "endpoint=")?;
        assert_eq!(proxy.seen().len() - before, ATTEMPTS);
    }
    Ok(())
}

#[test]
fn an_answer_that_stops_or_drips_is_given_up() -> Result<()> {
    let Some((Real { nars3, bucket, server: _server }, proxy)) = behind_a_proxy()? else { return Ok(()) };
    let pause = std::time::Duration::from_millis(500);
    for client in CLIENTS {
        let url = bucket.url_at(proxy.endpoint(), &format!("s3-client={client}&{HASTE}"));
        for fault in [Fault::StallAnswer { after: 5 }, Fault::Drip { piece: 1, pause }] {
            proxy.heal();
            proxy.inject(usize::MAX, reads_cache_info, fault.clone());
            let diagnosis = doctor(&nars3, &url, &[])?;
            diagnosis.is_problem("timed-out", "check the network").with_context(|| format!("{fault:?}"))?;
        }
    }
    Ok(())
}
