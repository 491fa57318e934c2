//! The rules of the cache format, one row each: what is in a bucket that nars3 has written (keys, headers, bytes), what
//! it reads, and, where real Nix can do the same, that Nix does the same. Sections are those of the rules' collection:
//! 3.1 URLs, 3.2 the cache info, 3.3 objects, 3.4 narinfos, 3.5 signatures, 3.6 JSON, 3.7 the order of writes, 3.8 what
//! is missing, 3.10 NARs, and 6 what is new since Nix 2.29. (3.9, the cache on disk, has tests of its own.)

mod json;
mod narinfos;
mod newer;
mod objects;
mod opening;
mod writes;

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use nars3_tests::audit::field;
use nars3_tests::closure::{self, Closure, narinfo_key};
use nars3_tests::nix::Nix;
use nars3_tests::server::{Access, Bucket, ServerKind};

use crate::setup::{KEY, Setup, small_tree};

/// Section, rule, and how it is checked.
type Row = (&'static str, &'static str, fn(&World) -> Result<()>);

/// The same closure in three caches: written by us, by real Nix over HTTP, and by real Nix into a directory.
struct World {
    nix: Nix,
    setup: Setup,
    closure: Closure,
    public_key: String,
    theirs: Bucket,
    directory: PathBuf,
    /// A path with separate debug information, without deriver and references.
    debug: String,
}

const BUILD_ID: &str = "02623eda209c26a59b1a8638ff7752f6b945c26b";

/// The settings of all three.
const SETTINGS: &str = "compression=none&write-nar-listing=true&index-debug-info=true";

impl World {
    fn new() -> Result<Option<Self>> {
        let Some(nix) = Nix::find() else { return Ok(None) };
        let setup = Setup::new()?;
        let closure = closure::build(&nix)?;
        let (_, public_key) = setup.nars3.key_pair(KEY)?;
        let folder = setup.nars3.work().join("debug/lib/debug/.build-id").join(&BUILD_ID[..2]);
        std::fs::create_dir_all(&folder)?;
        // A tree that nobody else has, since it will be deleted from the store.
        std::fs::write(folder.join(format!("{}.debug", &BUILD_ID[2..])), setup.bucket.name())?;
        let debug = nix.add(&setup.nars3.work().join("debug"))?;

        let settings = format!("{SETTINGS}&secret-key={}", setup.nars3.secret_key_file(KEY).display());
        let url = setup.bucket.url(&settings);
        setup.nars3.run(["copy", "--to", &url, &closure.app, &debug])?.success()?;
        setup.bucket.allow_anonymous(Access::Read)?;
        let directory = nix.home().join("theirs");
        let theirs = setup.server.fresh_bucket()?;
        theirs.allow_anonymous(Access::ReadWrite)?;
        for url in [
            format!("file://{}?{settings}", directory.display()),
            format!("{}?{settings}", theirs.http_url()),
        ] {
            nix.run("nix", ["copy", "--to", &url, &closure.app, &debug])?.success()?;
        }
        Ok(Some(Self { nix, setup, closure, public_key, theirs, directory, debug }))
    }

    /// The bucket that we have written.
    fn ours(&self) -> &Bucket {
        &self.setup.bucket
    }

    /// A fresh bucket with a small tree in it, and the tree's path.
    fn fresh(&self, settings: &str) -> Result<(Bucket, String)> {
        let bucket = self.setup.server.fresh_bucket()?;
        let tree = self.setup.nars3.work().join("tree");
        if !tree.exists() {
            small_tree(&self.setup.nars3.work())?;
        }
        let url = bucket.url(settings);
        let path = self.setup.nars3.run(["add", "--to", &url, &tree.to_string_lossy()])?.success()?;
        Ok((bucket, path))
    }

    /// A copy of our bucket that may be damaged.
    fn copied(&self) -> Result<Bucket> {
        let copy = self.setup.server.fresh_bucket()?;
        for key in self.ours().keys()? {
            copy.put(&key, &self.ours().get(&key)?)?;
        }
        copy.allow_anonymous(Access::Read)?;
        Ok(copy)
    }

    /// Every path that the three caches have.
    fn paths(&self) -> impl Iterator<Item = &str> {
        self.closure.paths.iter().map(String::as_str).chain([self.debug.as_str()])
    }

    fn narinfo(&self, path: &str) -> Result<String> {
        self.ours().get_text(&narinfo_key(path))
    }

    /// What lies under a key: by us, by Nix over HTTP, by Nix in a directory.
    fn thrice(&self, key: &str) -> Result<[Vec<u8>; 3]> {
        let file =
            std::fs::read(self.directory.join(key)).with_context(|| format!("no {key} in the directory"))?;
        Ok([self.ours().get(key)?, self.theirs.get(key)?, file])
    }

    /// Checks that all three caches have the same bytes under a key.
    fn equal(&self, key: &str) -> Result<()> {
        let [ours, http, file] = self.thrice(key)?.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        ensure!(ours == file, "{key} is\n{ours}\nand in the directory of Nix\n{file}");
        ensure!(ours == http, "{key} is\n{ours}\nand in the bucket of Nix\n{http}");
        Ok(())
    }

    /// `nars3` with a store, which must work.
    fn nars3(&self, arguments: &[&str]) -> Result<String> {
        self.setup.nars3.run(arguments)?.success()
    }

    /// `nars3` that must refuse; what it said.
    fn refused(&self, arguments: &[&str]) -> Result<String> {
        self.setup.nars3.run(arguments)?.refusal()
    }
}

/// The URL of a path's NAR.
fn nar_of(narinfo: &str) -> Result<String> {
    Ok(field(narinfo, "URL").context("no URL")?.to_owned())
}

fn is_minio() -> Result<bool> {
    Ok(matches!(ServerKind::from_environment()?, ServerKind::Minio(_)))
}

/// Checks all rows, and fails with all that do not hold.
fn check(rows: &[Row]) -> Result<()> {
    let Some(world) = World::new()? else { return Ok(()) };
    let mut broken = Vec::new();
    for (section, rule, check) in rows {
        if let Err(error) = check(&world) {
            broken.push(format!("{section} {rule}: {error:#}"));
        }
    }
    ensure!(
        broken.is_empty(),
        "{} of {} rules do not hold:\n{}",
        broken.len(),
        rows.len(),
        broken.join("\n")
    );
    Ok(())
}
