//! 3.7 what is written in which order, and what is not written.

use anyhow::{Context, Result, ensure};
use nars3_tests::audit::{audit, field};
use nars3_tests::closure::{base_name, narinfo_key};
use nars3_tests::server::Bucket;
use nars3_tests::stall::StallingProxy;

use super::{Row, check, nar_of};

/// When an object was written last.
fn written(bucket: &Bucket, key: &str) -> Result<String> {
    let objects = bucket.objects()?.into_iter();
    Ok(objects
        .map(|object| (object.key, object.last_modified))
        .find(|(found, _)| found == key)
        .context("gone")?
        .1)
}

const ROWS: &[Row] = &[
    ("3.7", "a path that is valid is not written again", |world| {
        let bucket = world.setup.server.fresh_bucket()?;
        let url = bucket.url("compression=zstd");
        world.nars3(&["copy", "--to", &url, &world.closure.app])?;
        let before = bucket.objects()?;
        world.nars3(&["copy", "--to", &url, &world.closure.app])?;
        ensure!(bucket.objects()? == before);
        Ok(())
    }),
    ("3.7", "a reference that is not valid is refused by name, and nothing is visible", |world| {
        let bucket = world.setup.server.fresh_bucket()?;
        let said = world.refused(&["copy", "--no-recursive", "--to", &bucket.url(""), &world.closure.app])?;
        let named = world
            .closure
            .paths
            .iter()
            .any(|path| *path != world.closure.app && said.contains(base_name(path)));
        ensure!(named, "{said}");
        ensure!(bucket.narinfo_keys()?.is_empty(), "{:?}", bucket.keys()?);
        Ok(())
    }),
    ("3.7", "a reference to itself needs nothing", |world| {
        let app = world.narinfo(&world.closure.app)?;
        ensure!(field(&app, "References").is_some_and(|paths| paths.contains(base_name(&world.closure.app))));
        Ok(())
    }),
    ("3.7", "a reference may be in an upstream that was named", |world| {
        let bucket = world.setup.server.fresh_bucket()?;
        let upstream = world.setup.server.fresh_bucket()?;
        world.nars3(&["copy", "--to", &upstream.url(""), &world.closure.library])?;
        let (url, skip) = (bucket.url(""), upstream.url(""));
        world.nars3(&["copy", "--to", &url, "--skip-in", &skip, &world.closure.app])?;
        let narinfos = bucket.narinfo_keys()?;
        ensure!(
            narinfos.len() == 3 && !narinfos.contains(&narinfo_key(&world.closure.library)),
            "{narinfos:?}"
        );
        Ok(())
    }),
    ("3.7", "a NAR that is there is not sent again", |world| {
        let bucket = world.setup.server.fresh_bucket()?;
        let url = bucket.url("compression=none");
        std::fs::write(world.setup.nars3.work().join("same"), "the same contents")?;
        let first = world.nars3(&["add", "--to", &url, "same", "--name", "first"])?;
        let nar = nar_of(&bucket.get_text(&narinfo_key(&first))?)?;
        let before = written(&bucket, &nar)?;
        let second = world.nars3(&["add", "--to", &url, "same", "--name", "second"])?;
        ensure!(nar_of(&bucket.get_text(&narinfo_key(&second))?)? == nar);
        ensure!(written(&bucket, &nar)? == before);
        Ok(())
    }),
    ("3.7", "with --repair NAR and narinfo are overwritten", |world| {
        let bucket = world.copied()?;
        let library = &world.closure.library;
        let nar = nar_of(&world.narinfo(library)?)?;
        let sound = bucket.get(&nar)?;
        bucket.put(&nar, b"damaged")?;
        let url = bucket.url("compression=none");
        world.nars3(&["copy", "--to", &url, library])?;
        ensure!(bucket.get(&nar)? == b"damaged", "without --repair what is there stays");
        world.nars3(&["copy", "--repair", "--to", &url, library])?;
        ensure!(bucket.get(&nar)? == sound);
        Ok(())
    }),
    ("3.7", "the narinfo comes after its NAR and its references", |world| {
        // At every point where the upload stands still, what is visible is whole.
        for budget in [2_000, 60_000, 200_000] {
            let bucket = world.setup.server.fresh_bucket()?;
            let proxy = StallingProxy::start(world.setup.server.endpoint(), budget)?;
            let url = bucket.url_at(proxy.endpoint(), "compression=none");
            let mut child = world
                .setup
                .nars3
                .command()
                .args(["copy", "--to", &url, &world.closure.app])
                .stdout(std::process::Stdio::null())
                .stderr(std::process::Stdio::null())
                .spawn()?;
            let stalled = proxy.wait_until_stalled();
            let found = audit(&bucket);
            child.kill()?;
            child.wait()?;
            stalled?;
            ensure!(found?.paths.len() < world.closure.paths.len());
        }
        Ok(())
    }),
    ("3.7", "what is damaged in the source never becomes visible", |world| {
        let source = world.copied()?;
        let nar = nar_of(&world.narinfo(&world.closure.library)?)?;
        let mut bytes = source.get(&nar)?;
        bytes[1000] ^= 1;
        source.put(&nar, &bytes)?;
        let bucket = world.setup.server.fresh_bucket()?;
        let (from, to) = (source.url(""), bucket.url("compression=xz"));
        world.refused(&["copy", "--from", &from, "--to", &to, &world.closure.library])?;
        ensure!(bucket.narinfo_keys()?.is_empty());
        Ok(())
    }),
];

#[test]
fn the_order_of_writes() -> Result<()> {
    check(ROWS)
}
