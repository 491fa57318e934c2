//! 3.1 URLs, 3.2 opening a cache and its `nix-cache-info`, 3.8 what is missing and what is an error.

use anyhow::{Result, ensure};
use nars3_tests::audit::{field, without_field};
use nars3_tests::closure::narinfo_key;
use nars3_tests::nars3::Nars3;
use nars3_tests::nix::Chroot;
use nars3_tests::server::Access;
use serde_json::Value;

use super::{Row, check, is_minio, nar_of};

const INFO: &str = "nix-cache-info";

const ROWS: &[Row] = &[
    ("3.1", "a store URL without a bucket is refused", |world| {
        let said = world.refused(&["store", "info", "--store", "s3://"])?;
        ensure!(said.contains("bucket"), "{said}");
        Ok(())
    }),
    ("3.1", "an unknown setting is a warning", |world| {
        let url = world.ours().url("no-such-setting=1");
        let finished = world.setup.nars3.run(["store", "info", "--store", &url])?;
        ensure!(finished.status.success() && finished.stderr.contains("no-such-setting"), "{finished}");
        Ok(())
    }),
    ("3.1", "messages call a bucket s3://BUCKET, whatever its settings", |world| {
        let printed =
            world.nars3(&["store", "info", "--json", "--store", &world.ours().url("compression=zstd")])?;
        let info: Value = serde_json::from_str(&printed)?;
        ensure!(info["url"] == format!("s3://{}", world.ours().name()), "{info}");
        Ok(())
    }),
    ("3.1", "the region is us-east-1 unless given", |world| {
        if !is_minio()? {
            return Ok(());
        }
        let url =
            world.ours().url("").replace(&format!("region={}", world.setup.server.settings().region), "x=1");
        // The server says which region it is in, and a warning says that this one was not meant.
        let finished = world.setup.nars3.run(["path-info", "--store", &url, &world.closure.app])?;
        ensure!(finished.stderr.contains("us-east-1"), "{finished}");
        Ok(())
    }),
    ("3.2", "opening a cache to read it writes nothing", |world| {
        let bucket = world.setup.server.fresh_bucket()?;
        world.nars3(&["store", "info", "--store", &bucket.url("")])?;
        world.refused(&["path-info", "--store", &bucket.url(""), &world.closure.app])?;
        ensure!(bucket.keys()?.is_empty(), "{:?}", bucket.keys()?);
        Ok(())
    }),
    ("3.2", "the first path brings the cache info, with the store directory alone", |world| {
        world.equal(INFO)?;
        ensure!(world.ours().get_text(INFO)? == "StoreDir: /nix/store\n");
        ensure!(world.ours().headers(INFO)?["content-type"] == "text/x-nix-cache-info");
        Ok(())
    }),
    ("3.2", "lines without a colon are skipped, and values trimmed", |world| {
        let bucket = world.copied()?;
        bucket.put(INFO, b"garbage\nStoreDir:   /nix/store  \nWantMassQuery: 1\nPriority: 30\nNew: x\n")?;
        let info: Value =
            serde_json::from_str(&world.nars3(&["store", "info", "--json", "--store", &bucket.url("")])?)?;
        ensure!(info["wantMassQuery"] == "true" && info["priority"] == "30", "{info}");
        world.nix.run("nix", ["path-info", "--store", &bucket.http_url(), &world.closure.app])?.success()?;
        Ok(())
    }),
    ("3.2", "a cache for another store directory is refused, and both are named", |world| {
        let bucket = world.copied()?;
        bucket.put(INFO, b"StoreDir: /elsewhere\n")?;
        let theirs =
            world.nix.run("nix", ["path-info", "--store", &bucket.http_url(), &world.closure.app])?;
        let ours = world.refused(&["path-info", "--store", &bucket.url(""), &world.closure.app])?;
        for said in [theirs.refusal()?, ours] {
            ensure!(said.contains("/elsewhere") && said.contains("/nix/store"), "{said}");
        }
        Ok(())
    }),
    ("3.2", "what is there stays when paths are added", |world| {
        let bucket = world.setup.server.fresh_bucket()?;
        let url = bucket.url("");
        world.nars3(&["store", "init", "--store", &url, "--want-mass-query", "true", "--priority", "41"])?;
        let text = bucket.get_text(INFO)?;
        ensure!(text == "StoreDir: /nix/store\nWantMassQuery: 1\nPriority: 41\n", "{text}");
        world.nars3(&["copy", "--to", &url, &world.debug])?;
        ensure!(bucket.get_text(INFO)? == text);
        Ok(())
    }),
    ("3.8", "access denied means missing, with a warning, and a bad key is an error", |world| {
        let bucket = world.setup.server.fresh_bucket()?;
        let url = bucket.url("anonymous=true");
        let finished = world.setup.nars3.run(["path-info", "--store", &url, &world.closure.app])?;
        ensure!(finished.stderr.contains("denied"), "{finished}");
        finished.refusal()?;
        let nars3 =
            Nars3::anonymous()?.with("AWS_ACCESS_KEY_ID", "nobody").with("AWS_SECRET_ACCESS_KEY", "wrong");
        let said = nars3.run(["path-info", "--store", &bucket.url(""), &world.closure.app])?.refusal()?;
        ensure!(said.contains("access key") && !said.contains("is denied"), "{said}");
        Ok(())
    }),
    ("3.8", "a bucket that does not exist is an error, not an empty cache", |world| {
        let url = world.ours().url("").replace(world.ours().name(), "nars3-no-such-bucket");
        let said = world.refused(&["path-info", "--store", &url, &world.closure.app])?;
        ensure!(said.contains("bucket"), "{said}");
        Ok(())
    }),
    ("3.8", "a NAR that is missing is told by name, and nothing comes in", |world| {
        let bucket = world.copied()?;
        let nar = nar_of(&world.narinfo(&world.closure.library)?)?;
        bucket.delete(&nar)?;
        let chroot = Chroot::new()?;
        let to = chroot.store_url();
        let (ours, key) = (bucket.url(""), world.public_key.as_str());
        let library = &world.closure.library;
        let said =
            world.refused(&["copy", "--from", &ours, "--to", &to, "--trusted-public-keys", key, library])?;
        ensure!(said.contains(&nar), "{said}");
        world.nix.pull(&bucket.http_url(), &chroot, library, key)?.refusal()?;
        ensure!(chroot.objects().is_empty(), "{:?}", chroot.objects());
        Ok(())
    }),
    ("3.8", "a path or a log that is not there is no path and no log", |world| {
        let absent = "/nix/store/00000000000000000000000000000000-absent";
        for command in ["path-info", "log"] {
            let said = world.refused(&[command, "--store", &world.ours().url(""), absent])?;
            ensure!(said.contains("00000000000000000000000000000000-absent"), "{said}");
        }
        Ok(())
    }),
    ("3.8", "all paths are the objects of 40 bytes that end in .narinfo", |world| {
        let bucket = world.copied()?;
        for key in [&"x".repeat(40), &format!("{}.narinfo", "a".repeat(31)), "nar/x.narinfo", "x.narinfo"] {
            bucket.put(key, b"nothing")?;
        }
        let all = world.nars3(&["path-info", "--all", "--store", &bucket.url("")])?;
        let mut all: Vec<&str> = all.lines().collect();
        let mut expected: Vec<&str> = world.paths().collect();
        all.sort_unstable();
        expected.sort_unstable();
        ensure!(all == expected, "{all:?}");
        Ok(())
    }),
    ("3.8", "a narinfo without a file hash is read", |world| {
        let bucket = world.copied()?;
        let text = world.narinfo(&world.debug)?;
        let text = without_field(&without_field(&text, "FileHash"), "FileSize");
        ensure!(field(&text, "FileHash").is_none());
        bucket.put(&narinfo_key(&world.debug), text.as_bytes())?;
        bucket.allow_anonymous(Access::Read)?;
        let chroot = Chroot::new()?;
        world.nars3(&["copy", "--from", &bucket.url(""), "--to", &chroot.store_url(), &world.debug])?;
        world.nix.verify(&chroot)
    }),
];

#[test]
fn opening_and_what_is_missing() -> Result<()> {
    check(ROWS)
}
