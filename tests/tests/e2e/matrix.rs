//! Every kind of store to every other: the same closure, judged by real Nix at both ends.

use std::path::Path;

use anyhow::{Context, Result};
use nars3_tests::nix::Chroot;

use crate::ends::{End, Kind, World};
use crate::setup::small_tree;

/// One row of the matrix. Each row is a test, so that they run beside each other.
fn row(from: Kind) -> Result<()> {
    let Some(world) = World::new()? else { return Ok(()) };
    let source = world.filled(from)?;
    for to in Kind::FRESH {
        let destination = world.empty(to)?;
        let at = || format!("from {from:?} to {to:?}");
        world.copy(&source, &destination, &[&world.closure.app])?.success().with_context(at)?;
        world.judge(&destination).with_context(at)?;
    }
    world.judge(&source).with_context(|| format!("{from:?} after it was read"))
}

#[test]
fn from_the_machines_own_store() -> Result<()> {
    row(Kind::Local)
}

#[test]
fn from_a_chroot_store() -> Result<()> {
    row(Kind::Root)
}

#[test]
fn from_a_daemon() -> Result<()> {
    row(Kind::Daemon)
}

#[test]
fn from_a_cache_directory() -> Result<()> {
    row(Kind::File)
}

#[test]
fn from_a_web_server() -> Result<()> {
    row(Kind::Http)
}

#[test]
fn from_a_bucket() -> Result<()> {
    row(Kind::S3)
}

/// The last column: the machine's own store, which has the closure only because the test has not deleted it yet.
#[test]
fn into_the_machines_own_store() -> Result<()> {
    if !nars3_tests::require::is_root("only root may write the machine's own store") {
        return Ok(());
    }
    let Some(world) = World::new()? else { return Ok(()) };
    let sources = Kind::FRESH.map(|kind| world.filled(kind).map(|end| (kind, end)));
    std::fs::remove_file(&world.closure.link)?;
    for source in sources {
        let (kind, source) = source?;
        let delete = ["--delete"].into_iter().chain(world.closure.paths.iter().map(String::as_str));
        world.nix.run("nix-store", delete)?.success()?;
        assert!(!Path::new(&world.closure.app).exists());
        world
            .copy(&source, &End::Local, &[&world.closure.app])?
            .success()
            .with_context(|| format!("from {kind:?} to the machine's own store"))?;
        world.judge(&End::Local)?;
        assert_eq!(world.nix.closure(&world.closure.app)?, world.closure.paths);
    }
    Ok(())
}

/// Files stay as they are between caches, whatever their kinds, unless the destination asks for another compression.
#[test]
fn from_cache_to_cache_nothing_is_compressed_again() -> Result<()> {
    let Some(world) = World::new()? else { return Ok(()) };
    let source = world.filled(Kind::S3)?;
    let caches = tempfile::tempdir()?;
    let url = |name: &str, settings: &str| format!("file://{}{settings}", caches.path().join(name).display());
    let copy = |from: &str, to: &str| {
        world.setup.nars3.run(["copy", "--from", from, "--to", to, &world.closure.app])
    };
    copy(&source.url(), &url("same", ""))?.success()?;
    copy(&url("same", ""), &url("named", "?compression=xz"))?.success()?;
    let mut files = 0;
    crate::ends::each_file(world.cache(), |key, file| {
        for name in ["same", "named"] {
            assert_eq!(std::fs::read(file)?, std::fs::read(caches.path().join(name).join(key))?, "{key}");
        }
        files += 1;
        Ok(())
    })?;
    assert_eq!(
        files,
        1 + 2 * world.closure.paths.len(),
        "nix-cache-info, and a narinfo and a NAR of each path"
    );
    copy(&url("same", ""), &url("other", "?compression=zstd"))?.success()?;
    let other = std::fs::read_dir(caches.path().join("other/nar"))?;
    for file in other {
        let name = file?.file_name();
        assert!(name.to_string_lossy().ends_with(".nar.zst"), "{}", name.display());
    }
    Ok(())
}

/// From bucket to bucket on one server, no file is fetched: the requests are counted.
#[test]
fn one_server_copies_the_files_by_itself() -> Result<()> {
    let Some(world) = World::new()? else { return Ok(()) };
    let source = world.filled(Kind::S3)?;
    let paths = world.closure.paths.len();
    let copy = |destination: &End, more: &[&str]| -> Result<String> {
        let words = [more, &["--stats", &world.closure.app]].concat();
        let done = world.copy(&source, destination, &words)?;
        let stats = done.stderr.clone();
        done.success()?;
        Ok(stats)
    };
    let destination = world.empty(Kind::S3)?;
    let stats = copy(&destination, &[])?;
    // Of the source, nix-cache-info and each narinfo were fetched, and nothing else was asked for.
    let requests = 1 + paths;
    assert!(stats.contains(&format!(": {requests} requests ({requests} GET, 0 HEAD, 0 PUT")), "{stats}");
    assert!(stats.contains(&format!("CopyObject {paths}")), "{stats}");
    world.judge(&destination)?;

    let other = world.empty(Kind::S3)?;
    let stats = copy(&other, &["--read-files", "--refresh"])?;
    assert!(stats.contains(&format!(": {0} requests ({0} GET", requests + paths)), "{stats}");
    assert!(!stats.contains("CopyObject"), "{stats}");
    world.judge(&other)?;

    // Into another compression, the server cannot copy.
    let End::S3(bucket) = world.empty(Kind::S3)? else { anyhow::bail!("no bucket") };
    let to = bucket.url("compression=zstd");
    let words = ["copy", "--stats", "--from", &source.url(), "--to", &to, &world.closure.app];
    let done = world.setup.nars3.run(words)?;
    assert!(!done.stderr.contains("CopyObject"), "{}", done.stderr);
    done.success()?;
    Ok(())
}

/// Stores under another directory than `/nix/store` go together with each other, and with no others.
#[test]
fn a_foreign_store_directory() -> Result<()> {
    let Some(world) = World::new()? else { return Ok(()) };
    let (nars3, nix) = (&world.setup.nars3, &world.nix);
    let tree = small_tree(&nars3.work())?;
    let foreign = "store=/elsewhere/store";
    let directory = tempfile::tempdir()?;
    let cache = |name: &str| format!("file://{}?{foreign}", directory.path().join(name).display());
    let path = nars3.run(["add", "--to", &cache("a"), &tree.to_string_lossy()])?.success()?;
    assert!(path.starts_with("/elsewhere/store/"), "{path}");
    let bucket = world.setup.server.fresh_bucket()?;
    let chroot = Chroot::new()?;
    let root = format!("{}&{foreign}", chroot.store_url());
    let stations = [cache("a"), bucket.url(foreign), root.clone(), cache("b")];
    for pair in stations.windows(2) {
        let [from, to] = pair else { continue };
        nars3.run(["copy", "--from", from, "--to", to, &path])?.success()?;
    }
    // Real Nix reads what came out at the end, and the chroot store on the way.
    nix.run("nix-store", ["--store", &root, "--verify", "--check-contents"])?.success()?;
    let last = Chroot::new()?;
    let last = format!("{}&{foreign}", last.store_url());
    nix.run("nix", ["copy", "--from", &cache("b"), "--to", &last, &path])?.success()?;

    for to in Kind::FRESH {
        let destination = world.empty(to)?;
        let said =
            nars3.run(["copy", "--from", &cache("a"), "--to", &destination.url(), &path])?.refusal()?;
        assert!(said.contains("/elsewhere/store") && said.contains("/nix/store"), "{to:?}: {said}");
        assert_eq!(world.paths(&destination)?, Vec::<String>::new(), "{to:?}");
    }
    Ok(())
}
