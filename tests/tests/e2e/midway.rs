//! What happens midway: a collector runs, a path vanishes, the copy is killed, another one is under way.
//!
//! A proxy before the S3 server holds everything back at a known byte, so that no test waits for a clock.

use std::process::{Child, Stdio};

use anyhow::{Context, Result};
use nars3_tests::audit::field;
use nars3_tests::closure::{base_name, narinfo_key};
use nars3_tests::process::Finished;
use nars3_tests::stall::StallingProxy;

use crate::ends::{End, Kind, World};

/// Bytes of requests of an upload that go through before everything stands still: in the middle of the largest NAR, which
/// comes first.
const MID_UPLOAD: u64 = 20_000;

/// The same of a download, whose requests are small, of some 450 bytes each: some narinfos, or some NARs, have come.
const MID_DOWNLOAD: [u64; 2] = [1500, 3000];

/// A copy that stands still.
struct Stalled {
    child: Child,
    proxy: StallingProxy,
}

impl Stalled {
    /// Starts to copy the closure, one NAR at a time, through a proxy before the one of both that is a bucket.
    fn start(world: &World, from: &End, to: &End, budget: u64) -> Result<Self> {
        let proxy = StallingProxy::start(world.setup.server.endpoint(), budget)?;
        let through = |end: &End| match end {
            End::S3(bucket) => bucket.url_at(proxy.endpoint(), ""),
            other => other.url(),
        };
        let (from, to) = match to {
            End::S3(_) => (from.url(), through(to)),
            _ => (through(from), to.url()),
        };
        let child = world
            .setup
            .nars3
            .command()
            .args(["copy", "--jobs", "1", "--from", &from, "--to", &to])
            .args(["--trusted-public-keys", &world.public_key, &world.closure.app])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        proxy.wait_until_stalled().with_context(|| format!("from {from} to {to}, {budget} bytes"))?;
        Ok(Self { child, proxy })
    }

    /// Lets it go on to its end.
    fn finish(self) -> Result<Finished> {
        let Self { child, proxy } = self;
        drop(proxy);
        Finished::of_child("nars3 copy", child)
    }

    /// Ends it without a word.
    fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

/// `nix-collect-garbage` on a store of this machine. Nothing of the closure has a root there.
fn collect_garbage(world: &World, end: &End) -> Result<String> {
    let store = match end {
        End::Root(chroot) => chroot.store_url(),
        // As the administrator of the machine would, beside the daemon.
        End::Daemon(daemon) => daemon.store().store_url(),
        _ => anyhow::bail!("{} collects no garbage", end.url()),
    };
    let mut command = world.nix.command("nix-collect-garbage");
    Finished::run(command.env("NIX_REMOTE", store))?.success()
}

#[test]
fn a_collector_takes_nothing_away_that_is_being_read() -> Result<()> {
    let Some(world) = World::new()? else { return Ok(()) };
    for from in [Kind::Root, Kind::Daemon] {
        let at = || format!("from {from:?}");
        let (source, destination) = (world.filled(from)?, world.empty(Kind::S3)?);
        let stalled = Stalled::start(&world, &source, &destination, MID_UPLOAD)?;
        collect_garbage(&world, &source).with_context(at)?;
        assert_eq!(world.paths(&source)?, world.closure.paths, "{}", at());
        stalled.finish()?.success().with_context(at)?;
        world.judge(&destination).with_context(at)?;
        // And afterwards it may; the processes of a daemon, and their roots, end some time after the copy.
        while !world.paths(&source)?.is_empty() {
            collect_garbage(&world, &source).with_context(at)?;
        }
    }
    Ok(())
}

#[test]
fn a_collector_takes_nothing_away_that_is_being_written() -> Result<()> {
    let Some(world) = World::new()? else { return Ok(()) };
    for to in [Kind::Root, Kind::Daemon] {
        for budget in MID_DOWNLOAD {
            let at = || format!("to {to:?} after {budget} bytes");
            let (source, destination) = (world.filled(Kind::S3)?, world.empty(to)?);
            let stalled = Stalled::start(&world, &source, &destination, budget)?;
            collect_garbage(&world, &destination).with_context(at)?;
            stalled.finish()?.success().with_context(at)?;
            world.judge(&destination).with_context(at)?;
        }
    }
    Ok(())
}

/// What is there already, and is only referred to, is held as well.
#[test]
fn a_collector_takes_nothing_away_that_was_found_there() -> Result<()> {
    let Some(world) = World::new()? else { return Ok(()) };
    for to in [Kind::Root, Kind::Daemon] {
        let at = || format!("to {to:?}");
        let (source, destination) = (world.filled(Kind::S3)?, world.empty(to)?);
        world.copy(&source, &destination, &[&world.closure.library])?.success().with_context(at)?;
        // Behind the narinfos, all of which are asked for first.
        let stalled = Stalled::start(&world, &source, &destination, 3000)?;
        collect_garbage(&world, &destination).with_context(at)?;
        stalled.finish()?.success().with_context(at)?;
        world.judge(&destination).with_context(at)?;
    }
    Ok(())
}

/// Takes the contents of a path away, under the feet of whoever has it registered.
fn vanish(world: &World, end: &End, path: &str) -> Result<()> {
    let remove = |chroot: &nars3_tests::nix::Chroot| {
        let place = chroot.physical(path);
        std::fs::rename(&place, place.with_file_name("gone"))
    };
    match end {
        End::Root(chroot) => remove(chroot)?,
        End::Daemon(daemon) => remove(daemon.store())?,
        End::File(directory) => {
            let narinfo = std::fs::read_to_string(directory.path().join(narinfo_key(path)))?;
            std::fs::remove_file(directory.path().join(field(&narinfo, "URL").context("no URL")?))?;
        }
        End::Http(bucket) | End::S3(bucket) => {
            let narinfo = bucket.get_text(&narinfo_key(path))?;
            bucket.delete(field(&narinfo, "URL").context("no URL")?)?;
        }
        End::Local => anyhow::bail!("not of {}", world.closure.app),
    }
    Ok(())
}

#[test]
fn a_path_that_vanishes_all_the_same_is_named() -> Result<()> {
    let Some(world) = World::new()? else { return Ok(()) };
    for from in Kind::FRESH {
        let (source, destination) = (world.filled(from)?, world.empty(Kind::S3)?);
        let stalled = Stalled::start(&world, &source, &destination, MID_UPLOAD)?;
        vanish(&world, &source, &world.closure.app)?;
        let said = stalled.finish()?.refusal().with_context(|| format!("from {from:?}"))?;
        assert!(said.contains(base_name(&world.closure.app)), "from {from:?}: {said}");
        assert!(!world.paths(&destination)?.contains(&world.closure.app), "from {from:?}");
    }
    Ok(())
}

#[test]
fn a_copy_that_was_killed_is_completed_by_the_next_in_every_kind_of_store() -> Result<()> {
    let Some(world) = World::new()? else { return Ok(()) };
    let source = world.filled(Kind::S3)?;
    for to in Kind::FRESH {
        for budget in MID_DOWNLOAD {
            let at = || format!("to {to:?} after {budget} bytes");
            let destination = world.empty(to)?;
            let from = match to {
                // The proxy is before the bucket that is written to.
                Kind::S3 => &world.filled(Kind::File)?,
                _ => &source,
            };
            Stalled::start(&world, from, &destination, budget).and_then(Stalled::kill).with_context(at)?;
            if let End::Root(chroot) = &destination {
                world.nix.verify(chroot).with_context(at)?;
            }
            world.copy(&source, &destination, &[&world.closure.app])?.success().with_context(at)?;
            world.judge(&destination).with_context(at)?;
        }
    }
    Ok(())
}

#[test]
fn two_copies_into_one_store_at_once() -> Result<()> {
    let Some(world) = World::new()? else { return Ok(()) };
    let sources = [world.filled(Kind::S3)?, world.filled(Kind::File)?];
    for to in Kind::FRESH {
        let destination = world.empty(to)?;
        std::thread::scope(|scope| {
            let copies: Vec<_> = sources
                .iter()
                .map(|source| {
                    scope.spawn(|| world.copy(source, &destination, &[&world.closure.app])?.success())
                })
                .collect();
            copies.into_iter().try_for_each(|copy| match copy.join() {
                Ok(finished) => finished.map(drop),
                Err(_) => anyhow::bail!("a copy panicked"),
            })
        })
        .with_context(|| format!("to {to:?}"))?;
        world.judge(&destination).with_context(|| format!("to {to:?}"))?;
    }
    Ok(())
}

/// Between two stores that are no caches, a rate holds for the NARs, in either direction. The library has 300 kB, which
/// cannot pass in less time, however fast or slow the machine is.
#[test]
fn a_limited_rate_holds_for_stores_that_are_no_caches() -> Result<()> {
    let Some(world) = World::new()? else { return Ok(()) };
    for (from, to) in [(Kind::Root, Kind::Daemon), (Kind::Daemon, Kind::Root)] {
        let (source, destination) = (world.filled(from)?, world.empty(to)?);
        let at = || format!("from {from:?} to {to:?}");
        let begun = std::time::Instant::now();
        let words = ["--limit-rate", "100K", &world.closure.app];
        world.copy(&source, &destination, &words)?.success().with_context(at)?;
        assert!(begun.elapsed().as_secs() >= 2, "{}: 300 kB in {:?}", at(), begun.elapsed());
        world.judge(&destination).with_context(at)?;
    }
    Ok(())
}

/// The advice fits the store: a store of this machine is repaired by Nix, not by pushing again.
#[test]
fn a_damaged_store_is_no_damaged_cache() -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let Some(world) = World::new()? else { return Ok(()) };
    let (source, destination) = (world.filled(Kind::Root)?, world.empty(Kind::File)?);
    let End::Root(chroot) = &source else { anyhow::bail!("no store in a directory") };
    let file = chroot.physical(&world.closure.library).join("lib/data");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644))?;
    let mut bytes = std::fs::read(&file)?;
    bytes[0] ^= 1;
    std::fs::write(&file, bytes)?;
    let said = world.copy(&source, &destination, &[&world.closure.app])?.refusal()?;
    assert!(
        said.contains(base_name(&world.closure.library)) && said.contains("nix-store --repair-path"),
        "{said}"
    );
    assert!(!said.contains("cache holds"), "{said}");
    Ok(())
}
