//! Ctrl-C in the middle of a push: nars3 stops, and what lies in the bucket is a valid cache that the next push completes.

use std::collections::BTreeSet;
use std::process::{Child, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nars3_tests::audit::audit;
use nars3_tests::closure;
use nars3_tests::faults::{Answer, Fault, FaultProxy, Request};
use nars3_tests::nars3::Nars3;
use nars3_tests::nix::{Chroot, Nix};
use nars3_tests::stall::StallingProxy;
use rustix::process::{Pid, Signal, kill_process};

use crate::setup::{KEY, Setup};

/// How many bytes of requests go through before the network stands still: in the first requests, and among the uploads.
const STALL_AFTER: [u64; 3] = [3_000, 20_000, 250_000];

/// How long a word to a far-away server may take, with a new connection for it.
const FAR_AWAY: Duration = Duration::from_millis(1_500);

/// A process that has not ended by now will not end.
const PATIENCE: Duration = Duration::from_secs(30);

#[test]
fn a_push_that_is_interrupted_leaves_a_valid_cache() -> Result<()> {
    let Some(nix) = Nix::find() else { return Ok(()) };
    let closure = closure::build(&nix)?;
    for budget in STALL_AFTER {
        let setup = Setup::new()?;
        let (_, public_key) = setup.nars3.key_pair(KEY)?;
        let settings = format!("compression=none&secret-key={}", setup.nars3.secret_key_file(KEY).display());
        let proxy = StallingProxy::start(setup.server.endpoint(), budget)?;
        let mut child = setup
            .nars3
            .command()
            .args(["copy", "--to", &setup.bucket.url_at(proxy.endpoint(), &settings), &closure.app])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        proxy.wait_until_stalled().with_context(|| format!("budget {budget}"))?;
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).context("no process id")?;
        kill_process(pid, Signal::INT)?;
        let status = wait(&mut child)?;
        assert_eq!(status.code(), Some(130), "budget {budget}: {}", said(child)?);

        let found = audit(&setup.bucket)?;
        assert!(
            found.paths.len() < closure.paths.len(),
            "the push was over before the interrupt (budget {budget})"
        );
        let left: Vec<_> = std::fs::read_dir(setup.nars3.temporary())?.collect();
        assert!(left.is_empty(), "temporary files were left behind: {left:?}");

        setup.nars3.run(["copy", "--to", &setup.bucket.url(&settings), &closure.app])?.success()?;
        assert_eq!(audit(&setup.bucket)?.paths.len(), closure.paths.len());
        let chroot = Chroot::new()?;
        let from = setup.bucket.url("");
        setup
            .nars3
            .run([
                "copy",
                "--from",
                &from,
                "--to",
                &chroot.store_url(),
                "--trusted-public-keys",
                &public_key,
                &closure.app,
            ])?
            .success()?;
        nix.verify(&chroot)?;
    }
    Ok(())
}

/// Parts of an upload that nobody completes cost money for ever, and no listing of objects shows them.
#[test]
fn a_push_in_parts_that_is_interrupted_leaves_no_parts() -> Result<()> {
    for client in ["object_store", "rusoto"] {
        let setup = Setup::new()?;
        std::fs::write(setup.nars3.work().join("large"), incompressible(24 << 20))?;
        let cache = tempfile::tempdir()?;
        let from = format!("file://{}?compression=none", cache.path().display());
        let path = setup.nars3.run(["add", "--to", &from, "large"])?.success()?;
        let proxy = FaultProxy::start(setup.server.endpoint())?;
        proxy.inject(usize::MAX, Request::aborts, Fault::Slow { pause: FAR_AWAY });
        let to = setup.bucket.url_at(proxy.endpoint(), &in_parts(client));
        let mut child = setup
            .nars3
            .command()
            .args(["copy", "--from", &from, "--to", &to, "--no-check-sigs", "--limit-rate", "2M", &path])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let begun = Instant::now();
        while setup.bucket.pending_uploads()?.is_empty() {
            if begun.elapsed() > PATIENCE || child.try_wait()?.is_some() {
                child.kill()?;
                anyhow::bail!("{client}: no upload was ever under way: {}", said(child)?);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).context("no process id")?;
        kill_process(pid, Signal::INT)?;
        let status = wait(&mut child)?;
        assert_eq!(status.code(), Some(130), "{client}: {}", said(child)?);
        assert_eq!(setup.bucket.pending_uploads()?, Vec::<String>::new(), "{client}");
        assert_eq!(audit(&setup.bucket)?.paths.len(), 0, "{client}");
    }
    Ok(())
}

/// The same where nobody interrupts: one of two large paths fails, and the other is given up with it.
#[test]
fn a_push_in_parts_that_fails_leaves_no_parts() -> Result<()> {
    for client in ["object_store", "rusoto"] {
        let setup = Setup::new()?;
        let cache = tempfile::tempdir()?;
        let from = format!("file://{}?compression=none", cache.path().display());
        let large = incompressible(64 << 20);
        let mut paths = Vec::new();
        for name in ["one", "two"] {
            std::fs::write(setup.nars3.work().join(name), [name.as_bytes(), &large].concat())?;
            paths.push(setup.nars3.run(["add", "--to", &from, name])?.success()?);
        }
        let proxy = FaultProxy::start(setup.server.endpoint())?;
        proxy.inject(usize::MAX, Request::aborts, Fault::Slow { pause: FAR_AWAY });
        let under_way = Mutex::new(BTreeSet::new());
        let when_both_are = move |request: &Request| {
            let mut under_way = under_way.lock().unwrap_or_else(PoisonError::into_inner);
            if request.sends_part() {
                under_way.extend(request.target.split('?').next().map(str::to_owned));
            }
            request.sends_part() && under_way.len() == 2
        };
        proxy.inject(1, when_both_are, Fault::Answer(Answer::error(403, "AccessDenied")));
        let to = setup.bucket.url_at(proxy.endpoint(), &in_parts(client));
        let copy = ["copy", "--from", &from, "--to", &to, "--no-check-sigs", "--limit-rate", "8M"];
        let arguments = copy.into_iter().chain(paths.iter().map(String::as_str));
        let said = setup.nars3.run(arguments)?.refusal()?;
        ensure!(said.contains("403"), "{client}: {said}");
        assert_eq!(setup.bucket.pending_uploads()?, Vec::<String>::new(), "{client}");
        let aborted = proxy.seen().iter().filter(|seen| seen.request.aborts()).count();
        assert!(aborted >= 2, "{client}: {aborted} uploads were aborted");
    }
    Ok(())
}

/// Settings under which the paths of these tests go in parts.
fn in_parts(client: &str) -> String {
    format!(
        "compression=none&multipart-upload=true&multipart-threshold=5M&multipart-chunk-size=5M&s3-client={client}"
    )
}

/// Bytes without a pattern, the same every time.
fn incompressible(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let bytes = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    bytes.flatten().take(length).collect()
}

/// A copy that waits for somebody to type store paths must not wait for them at Ctrl-C as well.
#[test]
fn a_copy_that_waits_for_standard_input_ends() -> Result<()> {
    let nars3 = Nars3::anonymous()?;
    let cache = tempfile::tempdir()?;
    let url = format!("file://{}", cache.path().display());
    let mut child = nars3
        .command()
        .args(["copy", "--stdin", "--from", &url, "--to", &url])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).context("no process id")?;
    wait_until_it_catches_interrupts(child.id())?;
    kill_process(pid, Signal::INT)?;
    let status = wait(&mut child)?;
    assert_eq!(status.code(), Some(130), "{}", said(child)?);
    Ok(())
}

/// Before that, the signal would end any program.
fn wait_until_it_catches_interrupts(pid: u32) -> Result<()> {
    const INTERRUPT: u64 = 1 << 1;
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap_or_default();
        if u64::from_str_radix(caught.trim(), 16).unwrap_or(0) & INTERRUPT != 0 {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    anyhow::bail!("the process catches no interrupts")
}

/// A pull that is interrupted registers nothing that is not whole.
#[test]
fn a_pull_that_is_interrupted_leaves_a_valid_store() -> Result<()> {
    let Some(nix) = Nix::find() else { return Ok(()) };
    let closure = closure::build(&nix)?;
    let setup = Setup::new()?;
    let (_, public_key) = setup.nars3.key_pair(KEY)?;
    let settings = format!("compression=none&secret-key={}", setup.nars3.secret_key_file(KEY).display());
    setup.nars3.run(["copy", "--to", &setup.bucket.url(&settings), &closure.app])?.success()?;
    // The requests of a pull are small: this is after some narinfos, among the rest.
    let proxy = StallingProxy::start(setup.server.endpoint(), 4_000)?;
    let chroot = Chroot::new()?;
    let mut child = setup
        .nars3
        .command()
        .args(["copy", "--from", &setup.bucket.url_at(proxy.endpoint(), ""), "--to", &chroot.store_url()])
        .args(["--trusted-public-keys", &public_key, &closure.app])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    proxy.wait_until_stalled()?;
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).context("no process id")?;
    kill_process(pid, Signal::INT)?;
    let status = wait(&mut child)?;
    assert_eq!(status.code(), Some(130), "{}", said(child)?);
    let registered = nix.registered(&chroot)?;
    assert!(registered.len() < closure.paths.len(), "the pull was over before the interrupt");
    nix.verify(&chroot)?;
    setup
        .nars3
        .run([
            "copy",
            "--from",
            &setup.bucket.url(""),
            "--to",
            &chroot.store_url(),
            "--trusted-public-keys",
            &public_key,
            &closure.app,
        ])?
        .success()?;
    nix.verify(&chroot)?;
    assert_eq!(nix.registered(&chroot)?, closure.paths);
    Ok(())
}

fn wait(child: &mut Child) -> Result<std::process::ExitStatus> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if Instant::now() > deadline {
            child.kill()?;
            child.wait()?;
            anyhow::bail!("still running {} s after the interrupt", PATIENCE.as_secs());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn said(child: Child) -> Result<String> {
    Ok(String::from_utf8_lossy(&child.wait_with_output()?.stderr).into_owned())
}
