//! A copy that was killed, without a word, is taken up again: what is there is valid, and with a state file nothing is asked
//! twice.

use std::process::Stdio;

use anyhow::{Context, Result};
use nars3_tests::audit::audit;
use nars3_tests::closure::{base_name, narinfo_key};
use nars3_tests::stall::StallingProxy;

use crate::ends::{End, Kind, World};

/// Bytes of requests that go through before the network stands still, and the copy is killed: in the middle of the
/// largest NAR, which comes first, and behind it.
const STALL_AFTER: [u64; 2] = [20_000, 308_000];

/// Copies from a cache directory to a bucket and kills the copy with SIGKILL on the way.
fn killed(world: &World, source: &End, destination: &End, budget: u64, more: &[&str]) -> Result<()> {
    let End::S3(bucket) = destination else { anyhow::bail!("no bucket") };
    let proxy = StallingProxy::start(world.setup.server.endpoint(), budget)?;
    let mut child = world
        .setup
        .nars3
        .command()
        .args(["copy", "--jobs", "1", "--from", &source.url(), "--to", &bucket.url_at(proxy.endpoint(), "")])
        .args(more)
        .arg(&world.closure.app)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    proxy.wait_until_stalled().with_context(|| format!("budget {budget}"))?;
    child.kill()?;
    child.wait()?;
    let found = audit(bucket)?.paths.len();
    assert!(found < world.closure.paths.len(), "the copy was over before it was killed (budget {budget})");
    Ok(())
}

#[test]
fn a_copy_that_was_killed_is_completed_by_the_next() -> Result<()> {
    let Some(world) = World::new()? else { return Ok(()) };
    let source = world.filled(Kind::File)?;
    for budget in STALL_AFTER {
        let destination = world.empty(Kind::S3)?;
        killed(&world, &source, &destination, budget, &[])?;
        world.copy(&source, &destination, &[&world.closure.app])?.success()?;
        world.judge(&destination)?;
    }
    Ok(())
}

#[test]
fn with_a_state_file_what_is_done_is_not_asked_for_again() -> Result<()> {
    let Some(world) = World::new()? else { return Ok(()) };
    let source = world.filled(Kind::File)?;
    let End::File(directory) = &source else { anyhow::bail!("no cache directory") };
    let destination = world.empty(Kind::S3)?;
    let file = world.setup.nars3.work().join("state");
    let state = ["--state", &file.to_string_lossy()].map(str::to_owned);
    let state = state.each_ref().map(String::as_str);

    // The first copy is of the library alone, so that something is known to be done.
    let first: Vec<&str> = state.into_iter().chain([world.closure.library.as_str()]).collect();
    world.copy(&source, &destination, &first)?.success()?;
    // Whoever asks the source for what is done gets no answer, and fails.
    let narinfo = directory.path().join(narinfo_key(&world.closure.library));
    let hidden = directory.path().join("hidden");
    std::fs::rename(&narinfo, &hidden)?;
    let app = world.closure.app.as_str();
    let said = world.copy(&source, &destination, &[app])?.refusal()?;
    assert!(said.contains(base_name(&world.closure.library)), "{said}");
    let second: Vec<&str> = state.into_iter().chain(["--json", app]).collect();
    let report: serde_json::Value =
        serde_json::from_str(&world.copy(&source, &destination, &second)?.success()?)?;
    assert_eq!(report["present"], 1, "{report}");
    assert_eq!(report["copied"].as_array().map(Vec::len), Some(world.closure.paths.len() - 1), "{report}");
    std::fs::rename(&hidden, &narinfo)?;
    world.judge(&destination)?;

    // A third copy has only one thing to ask: whether the bucket still has what was named.
    let third: Vec<&str> = state.into_iter().chain(["--stats", app]).collect();
    let said = world.copy(&source, &destination, &third)?;
    let stats = said.stderr.clone();
    said.success()?;
    // Each cache is opened with one look at its nix-cache-info.
    assert_eq!(stats.matches(": 1 requests (1 GET, 0 HEAD, 0 PUT").count(), 1, "{stats}");
    assert_eq!(stats.matches(": 2 requests (2 GET, 0 HEAD, 0 PUT").count(), 1, "{stats}");

    // When it has not, the file is believed nothing, and all is there again afterwards.
    let End::S3(bucket) = &destination else { anyhow::bail!("no bucket") };
    for path in [app, &world.closure.library] {
        bucket.delete(&narinfo_key(path))?;
    }
    world.copy(&source, &destination, &third)?.success()?;
    world.judge(&destination)
}

#[test]
fn a_state_file_survives_the_end_of_its_copy() -> Result<()> {
    let Some(world) = World::new()? else { return Ok(()) };
    let source = world.filled(Kind::File)?;
    for budget in STALL_AFTER {
        let destination = world.empty(Kind::S3)?;
        let End::S3(bucket) = &destination else { anyhow::bail!("no bucket") };
        let file = world.setup.nars3.work().join(format!("state-{budget}"));
        // The identity of a store has its endpoint in it, and the proxy is another one than the server.
        killed(&world, &source, &destination, budget, &["--state", &file.to_string_lossy()])?;
        let text = std::fs::read_to_string(&file)?;
        let done: Vec<&str> = text.lines().skip(3).collect();
        let published = audit(bucket)?.paths;
        assert!(done.iter().all(|path| published.contains(*path)), "{done:?} are not all in {published:?}");

        let said =
            world.copy(&source, &destination, &["--state", &file.to_string_lossy(), &world.closure.app])?;
        let said = said.refusal()?;
        assert!(said.contains("is about another copy"), "{said}");
        let own = text.replace(
            text.lines().nth(2).context("no third line")?,
            &format!("to s3://{}?endpoint=http://{}", bucket.name(), world.setup.server.endpoint()),
        );
        // Torn in the middle of a line, as by a crash of the machine.
        std::fs::write(&file, own + "4skgh1cs6ihm")?;
        world
            .copy(&source, &destination, &["--state", &file.to_string_lossy(), &world.closure.app])?
            .success()?;
        world.judge(&destination)?;
    }
    Ok(())
}

#[test]
fn a_file_that_is_no_state_file_is_refused_and_kept() -> Result<()> {
    let Some(world) = World::new()? else { return Ok(()) };
    let (source, destination) = (world.filled(Kind::File)?, world.empty(Kind::File)?);
    let file = world.setup.nars3.work().join("diary");
    std::fs::write(&file, "dear diary\n")?;
    let said = world
        .copy(&source, &destination, &["--state", &file.to_string_lossy(), &world.closure.app])?
        .refusal()?;
    assert!(said.contains("is not a state file") && said.contains("hint: "), "{said}");
    assert_eq!(std::fs::read_to_string(&file)?, "dear diary\n");
    Ok(())
}
