//! The machines that people have: root without a daemon, somebody without rights beside one, a container without Nix.

use std::path::Path;

use anyhow::{Context, Result};
use nars3_tests::closure::base_name;
use nars3_tests::daemon::Daemon;
use nars3_tests::nix::Chroot;
use nars3_tests::process::Finished;
use nars3_tests::require;

use crate::ends::{End, Kind, World};

impl World {
    /// Deletes the closure from the machine's own store, where nothing holds it any more.
    fn delete_from_the_machine(&self) -> Result<()> {
        // That it is gone already is as good.
        let _ = std::fs::remove_file(&self.closure.link);
        let delete = || {
            let words = ["--delete"].into_iter().chain(self.closure.paths.iter().map(String::as_str));
            self.nix.run("nix-store", words)
        };
        // The processes of a daemon, and the roots that they hold, end some time after the copy that they served.
        while Path::new(&self.closure.app).exists() {
            let done = delete()?;
            anyhow::ensure!(done.status.success() || done.stderr.contains("alive"), "{done}");
        }
        Ok(())
    }
}

/// Nothing is named, so `auto` finds out: nobody listens, and root may write the store directly.
#[test]
fn root_without_a_daemon() -> Result<()> {
    if !require::is_root("only root may write the machine's own store") {
        return Ok(());
    }
    let Some(world) = World::new()? else { return Ok(()) };
    let source = world.filled(Kind::S3)?;
    world.delete_from_the_machine()?;
    let nobody_listens = world.nix.home().join("no-socket");
    let run = |arguments: &[&str]| {
        let mut command = world.setup.nars3.command();
        command.env("NIX_DAEMON_SOCKET_PATH", &nobody_listens).args(arguments);
        Finished::run(command.args(["--trusted-public-keys", &world.public_key, &world.closure.app]))
    };
    run(&["copy", "--from", &source.url()])?.success()?;
    world.judge(&End::Local)?;
    let destination = world.empty(Kind::S3)?;
    run(&["copy", "--to", &destination.url()])?.success()?;
    world.judge(&destination)
}

/// The store is the daemon's, who trusts this user in nothing: signatures count, and nothing else does.
#[test]
fn an_unprivileged_user_beside_the_daemon_of_the_machine() -> Result<()> {
    if !require::is_root("to run a daemon, and to become somebody else") {
        return Ok(());
    }
    let Some(world) = World::new()? else { return Ok(()) };
    let (source, destination) = (world.filled(Kind::S3)?, world.empty(Kind::S3)?);
    let daemon = Daemon::of_the_machine(&world.nix, Chroot::new()?, &world.public_key)?;
    let run = |arguments: &[&str]| {
        let mut command = world.setup.nars3.unprivileged()?;
        command.env("NIX_DAEMON_SOCKET_PATH", daemon.socket()).args(arguments);
        Finished::run(&mut command)
    };
    let app = world.closure.app.as_str();
    // `auto` reads the closure, which is there, and pushes it.
    run(&["copy", "--to", &destination.url(), app])?.success()?;
    world.judge(&destination)?;
    // Gone, it is brought back through the daemon.
    world.delete_from_the_machine()?;
    run(&["copy", "--from", &source.url(), "--trusted-public-keys", &world.public_key, app])?.success()?;
    world.judge(&End::Local)?;
    assert_eq!(world.nix.closure(app)?, world.closure.paths);
    Ok(())
}

/// A socket that the environment names may be that of any store: what the machine's own has is not there for that reason.
#[test]
fn a_daemon_of_another_store_is_not_taken_for_that_of_the_machine() -> Result<()> {
    let Some(world) = World::new()? else { return Ok(()) };
    let source = world.filled(Kind::S3)?;
    let destination = world.empty(Kind::Daemon)?;
    let End::Daemon(daemon) = &destination else { anyhow::bail!("no daemon") };
    let app = world.closure.app.as_str();
    let mut command = world.setup.nars3.command();
    command.env("NIX_DAEMON_SOCKET_PATH", daemon.socket());
    let words = ["copy", "--from", &source.url(), "--to", "auto", "--trusted-public-keys", &world.public_key];
    Finished::run(command.args(words).arg(app))?.success()?;
    world.judge(&destination)?;
    // It is read, too.
    let back = world.empty(Kind::S3)?;
    let mut command = world.setup.nars3.command();
    command.env("NIX_DAEMON_SOCKET_PATH", daemon.socket());
    world.delete_from_the_machine()?;
    Finished::run(command.args(["copy", "--from", "auto", "--to", &back.url(), app]))?.success()?;
    assert_eq!(world.paths(&back)?, world.closure.paths);
    Ok(())
}

#[test]
fn an_unprivileged_user_through_a_daemon_of_its_own_store() -> Result<()> {
    if !require::is_root("to become somebody else") {
        return Ok(());
    }
    let Some(world) = World::new()? else { return Ok(()) };
    let app = world.closure.app.as_str();
    let source = world.filled(Kind::S3)?;
    let run = |arguments: &[&str]| Finished::run(world.setup.nars3.unprivileged()?.args(arguments));

    let destination = world.empty(Kind::Daemon)?;
    run(&["copy", "--from", &source.url(), "--to", &destination.url(), app])?.success()?;
    world.judge(&destination)?;
    let back = world.empty(Kind::S3)?;
    run(&["copy", "--from", &destination.url(), "--to", &back.url(), app])?.success()?;
    world.judge(&back)?;

    // Without a signature, the daemon refuses, whatever the user asks for; and keeps what was signed.
    let End::S3(bucket) = &source else { anyhow::bail!("no bucket") };
    let key = nars3_tests::closure::narinfo_key(&world.closure.library);
    let unsigned = nars3_tests::audit::without_field(&bucket.get_text(&key)?, "Sig");
    bucket.put(&key, unsigned.as_bytes())?;
    for more in [None, Some("--no-check-sigs")] {
        let destination = world.empty(Kind::Daemon)?;
        let (from, to) = (source.url(), destination.url());
        let words = ["copy", "--refresh", "--from", &from, "--to", &to].into_iter().chain(more).chain([app]);
        let said = run(&words.collect::<Vec<_>>())?.refusal().with_context(|| format!("{more:?}"))?;
        assert!(said.contains(base_name(&world.closure.library)) && said.contains("signature"), "{said}");
        assert!(said.contains("hint:") && said.contains("trusted-public-keys in its nix.conf"), "{said}");
        let paths = world.paths(&destination)?;
        assert!(!paths.contains(&world.closure.library) && paths.iter().all(|path| path != app), "{paths:?}");
    }
    Ok(())
}

/// Whoever may not write the machine's store is told who may.
#[test]
fn an_unprivileged_user_who_names_the_store_itself() -> Result<()> {
    if !require::is_root("to become somebody else") {
        return Ok(());
    }
    let Some(world) = World::new()? else { return Ok(()) };
    let source = world.filled(Kind::S3)?;
    world.delete_from_the_machine()?;
    let source = source.url();
    let words = ["copy", "--from", &source, "--to", "local", "--trusted-public-keys", &world.public_key];
    let run = |more: &[&str]| {
        let mut command = world.setup.nars3.unprivileged()?;
        Finished::run(command.args(words).args(more).arg(&world.closure.app))
    };
    let said = run(&[])?.refusal()?;
    assert!(said.contains("hint:") && said.contains("use 'daemon', or 'auto'"), "{said}");
    assert!(!said.contains("copying"), "it was known before: {said}");
    // Who only asks is told as well, and gets the answer.
    let asked = run(&["--dry-run"])?;
    let said = asked.stderr.clone();
    asked.success()?;
    assert!(said.contains("a copy would fail, because the store may not be written"), "{said}");
    Ok(())
}

/// No Nix in PATH, no daemon, no rights: a chroot store is written and read all the same, and real Nix finds no fault.
#[test]
fn a_container_without_nix() -> Result<()> {
    let Some(world) = World::new()? else { return Ok(()) };
    let root = rustix::process::geteuid().is_root();
    let source = world.filled(Kind::S3)?;
    let chroot = world.setup.nars3.home().join("store");
    let store = format!("local?root={}", chroot.display());
    let run = |arguments: &[&str]| {
        let mut command = if root { world.setup.nars3.unprivileged()? } else { world.setup.nars3.command() };
        let nowhere = world.setup.nars3.home().join("no-programs");
        command.env("PATH", &nowhere).env("NIX_STATE_DIR", &nowhere).args(arguments);
        Finished::run(command.args(["--trusted-public-keys", &world.public_key, &world.closure.app]))
    };
    run(&["copy", "--from", &source.url(), "--to", &store])?.success()?;
    let back = world.empty(Kind::S3)?;
    run(&["copy", "--from", &store, "--to", &back.url()])?.success()?;
    world.judge(&back)?;
    world.nix.run("nix-store", ["--store", &store, "--verify", "--check-contents"])?.success()?;
    // Where there is no Nix at all, the error says what to name instead.
    let said = run(&["copy", "--from", &source.url()])?.refusal()?;
    assert!(said.contains("local?root=DIR"), "{said}");
    Ok(())
}
