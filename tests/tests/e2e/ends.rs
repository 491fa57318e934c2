//! A closure, and stores of every kind to take it from and to bring it to: filled and judged by real Nix.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use nars3_tests::audit::audit;
use nars3_tests::closure::{self, Closure, base_name};
use nars3_tests::daemon::Daemon;
use nars3_tests::nix::{Chroot, Nix};
use nars3_tests::process::Finished;
use nars3_tests::server::{Access, Bucket};
use nars3_tests::tree;
use tempfile::TempDir;

use crate::setup::{KEY, Setup};

/// A kind of store.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    /// The machine's own store, its database read directly.
    Local,
    /// A store in a directory.
    Root,
    /// A nix-daemon.
    Daemon,
    /// A cache in a directory.
    File,
    /// A cache on a web server.
    Http,
    /// A cache in a bucket.
    S3,
}

impl Kind {
    /// All that a store can be made of for one test alone.
    pub(crate) const FRESH: [Self; 5] = [Self::Root, Self::Daemon, Self::File, Self::Http, Self::S3];
}

/// A store of some kind.
pub(crate) enum End {
    Local,
    Root(Chroot),
    Daemon(Daemon),
    File(TempDir),
    Http(Bucket),
    S3(Bucket),
}

impl End {
    /// The URL for nars3.
    pub(crate) fn url(&self) -> String {
        match self {
            Self::Local => "local".to_owned(),
            Self::Root(chroot) => chroot.store_url(),
            Self::Daemon(daemon) => daemon.url(),
            Self::File(directory) => format!("file://{}", directory.path().display()),
            Self::Http(bucket) => bucket.http_url(),
            Self::S3(bucket) => bucket.url(""),
        }
    }
}

/// Real Nix with a closure that it has built and signed, and a cache directory that it has written.
pub(crate) struct World {
    pub(crate) setup: Setup,
    pub(crate) nix: Nix,
    pub(crate) closure: Closure,
    pub(crate) public_key: String,
    cache: PathBuf,
}

impl World {
    /// `None` without real Nix.
    pub(crate) fn new() -> Result<Option<Self>> {
        let Some(nix) = Nix::find() else { return Ok(None) };
        let setup = Setup::new()?;
        let closure = closure::build(&nix)?;
        let (_, public_key) = setup.nars3.key_pair(KEY)?;
        let key = setup.nars3.secret_key_file(KEY);
        let sign = ["store", "sign", "--recursive", "--key-file", &key.to_string_lossy(), &closure.app];
        nix.run("nix", sign)?.success()?;
        let cache = nix.home().join("cache-of-nix");
        nix.push(&format!("file://{}?compression=xz", cache.display()), &closure.app)?.success()?;
        Ok(Some(Self { setup, nix, closure, public_key, cache }))
    }

    /// The cache directory that Nix has written.
    pub(crate) fn cache(&self) -> &Path {
        &self.cache
    }

    /// A store with nothing in it.
    pub(crate) fn empty(&self, kind: Kind) -> Result<End> {
        let bucket = || self.setup.server.fresh_bucket();
        Ok(match kind {
            Kind::Local => End::Local,
            Kind::Root => End::Root(Chroot::new()?),
            Kind::Daemon => End::Daemon(Daemon::start(&self.nix, Chroot::new()?, &self.public_key)?),
            Kind::File => End::File(tempfile::Builder::new().prefix("nars3-cache-").tempdir()?),
            Kind::Http => {
                let bucket = bucket()?;
                bucket.allow_anonymous(Access::ReadWrite)?;
                End::Http(bucket)
            }
            Kind::S3 => End::S3(bucket()?),
        })
    }

    /// A store that has the closure, as it was when Nix had written it.
    pub(crate) fn filled(&self, kind: Kind) -> Result<End> {
        let end = self.empty(kind)?;
        match &end {
            End::Local => {}
            End::Root(chroot) => self.fill(chroot)?,
            End::Daemon(daemon) => self.fill(daemon.store())?,
            End::File(directory) => each_file(&self.cache, |key, file| {
                let target = directory.path().join(key);
                std::fs::create_dir_all(target.parent().context("a key has a parent")?)?;
                std::fs::copy(file, target)?;
                Ok(())
            })?,
            End::Http(bucket) | End::S3(bucket) => {
                each_file(&self.cache, |key, file| bucket.put(key, &std::fs::read(file)?))?;
            }
        }
        Ok(end)
    }

    fn fill(&self, chroot: &Chroot) -> Result<()> {
        let url = format!("file://{}", self.cache.display());
        self.nix.pull(&url, chroot, &self.closure.app, &self.public_key)?.success()?;
        Ok(())
    }

    /// `nars3 copy` with these arguments, trusting the key of the closure.
    pub(crate) fn copy(&self, from: &End, to: &End, more: &[&str]) -> Result<Finished> {
        let (from, to) = (from.url(), to.url());
        let arguments = ["copy", "--from", &from, "--to", &to, "--trusted-public-keys", &self.public_key];
        self.setup.nars3.run(arguments.iter().chain(more))
    }

    /// The paths that a store has, as full store paths, sorted.
    pub(crate) fn paths(&self, end: &End) -> Result<Vec<String>> {
        match end {
            End::Local => anyhow::bail!("the machine's own store has more than a test knows"),
            End::Root(chroot) => self.nix.registered(chroot),
            End::Daemon(daemon) => self.nix.registered(daemon.store()),
            End::File(directory) => {
                let entries = std::fs::read_dir(directory.path())?;
                let names = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
                let narinfos =
                    names.iter().filter(|name| name.extension().is_some_and(|end| end == "narinfo"));
                let mut paths = narinfos
                    .map(|file| {
                        let text = std::fs::read_to_string(file)?;
                        let path = nars3_tests::audit::field(&text, "StorePath").map(str::to_owned);
                        path.with_context(|| format!("no StorePath in {}", file.display()))
                    })
                    .collect::<Result<Vec<_>>>()?;
                paths.sort();
                Ok(paths)
            }
            End::Http(bucket) | End::S3(bucket) => {
                Ok(audit(bucket)?.paths.iter().map(|path| format!("/nix/store/{path}")).collect())
            }
        }
    }

    /// Real Nix finds the whole closure there, contents and signatures in order, and nothing else.
    pub(crate) fn judge(&self, end: &End) -> Result<()> {
        match end {
            End::Local => {
                for path in &self.closure.paths {
                    self.nix.run("nix-store", ["--verify-path", path])?.success()?;
                }
                Ok(())
            }
            End::Root(chroot) => self.judge_store(chroot),
            End::Daemon(daemon) => self.judge_store(daemon.store()),
            End::File(_) => self.judge_cache(end, &end.url()),
            End::Http(bucket) | End::S3(bucket) => {
                bucket.allow_anonymous(Access::Read)?;
                self.judge_cache(end, &bucket.http_url())
            }
        }
    }

    fn judge_store(&self, chroot: &Chroot) -> Result<()> {
        self.nix.verify(chroot)?;
        ensure!(self.nix.registered(chroot)? == self.closure.paths, "other paths are registered");
        for path in &self.closure.paths {
            tree::ensure_equal(path.as_ref(), &chroot.physical(path))?;
        }
        let arguments =
            ["path-info", "--recursive", "--sigs", "--store", &chroot.store_url(), &self.closure.app];
        let lines = self.nix.run("nix", arguments)?.success()?;
        let signed = lines.lines().filter(|line| line.contains(&format!("{KEY}:"))).count();
        ensure!(signed == self.closure.paths.len(), "signatures were lost:\n{lines}");
        Ok(())
    }

    fn judge_cache(&self, end: &End, url: &str) -> Result<()> {
        let expected: BTreeSet<_> =
            self.closure.paths.iter().map(|path| base_name(path).to_owned()).collect();
        let found: BTreeSet<_> = self.paths(end)?.iter().map(|path| base_name(path).to_owned()).collect();
        ensure!(found == expected, "the cache has other paths: {found:?}");
        let chroot = Chroot::new()?;
        self.nix.pull(url, &chroot, &self.closure.app, &self.public_key)?.success()?;
        self.judge_store(&chroot)
    }
}

/// Calls `visit` with the key and the place of each file in a cache directory.
pub(crate) fn each_file(directory: &Path, mut visit: impl FnMut(&str, &Path) -> Result<()>) -> Result<()> {
    let mut pending = vec![directory.to_owned()];
    while let Some(current) = pending.pop() {
        for entry in std::fs::read_dir(&current)? {
            let path = entry?.path();
            if path.is_dir() {
                pending.push(path);
            } else {
                visit(&path.strip_prefix(directory)?.to_string_lossy(), &path)?;
            }
        }
    }
    Ok(())
}
