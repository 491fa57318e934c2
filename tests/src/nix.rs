//! Real Nix with a configuration of its own, and chroot stores that it judges.
//!
//! Builds go to the machine's real store, so that paths have the usual store directory, under names that nobody else uses;
//! they are deleted again at the end. What is pulled goes into chroot stores in temporary directories.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::Result;
use tempfile::TempDir;

use crate::process::{Finished, find_in_path};
use crate::require::{Need, skip};

/// Real Nix, hermetic but for the store that it builds in.
#[derive(Debug)]
pub struct Nix {
    home: TempDir,
    built: Mutex<Vec<String>>,
}

impl Nix {
    /// Real Nix, or `None` (said loudly) where the machine has none that this user can build with.
    #[must_use]
    pub fn find() -> Option<Self> {
        match Self::usable() {
            Ok(nix) => Some(nix),
            Err(error) => {
                skip(Need::Nix, &format!("{error:#}"));
                None
            }
        }
    }

    fn usable() -> Result<Self> {
        for program in ["nix", "nix-store", "nix-build"] {
            anyhow::ensure!(find_in_path(program).is_some(), "{program} is not in PATH");
        }
        let nix =
            Self { home: tempfile::Builder::new().prefix("nars3-nix-").tempdir()?, built: Mutex::default() };
        nix.run("nix", ["store", "ping"])?.success()?;
        Ok(nix)
    }

    /// A directory for results and expressions.
    #[must_use]
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// One of Nix's programs, with no trusted key, no substituter and an empty narinfo cache.
    #[must_use]
    pub fn command(&self, program: &str) -> Command {
        self.command_trusting(program, "")
    }

    /// One of Nix's programs that trusts these public keys (separated by spaces).
    #[must_use]
    pub fn command_trusting(&self, program: &str, public_keys: &str) -> Command {
        let home = self.home.path();
        let cache = home.join(format!("cache-{:016x}", crate::server::random()));
        let configuration = format!(
            "experimental-features = nix-command\nsandbox = false\nbuild-users-group =\nsubstitute = false\n\
             substituters =\ntrusted-public-keys = {public_keys}\n"
        );
        let mut command = Command::new(program);
        command
            .current_dir(home)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", home)
            .env("XDG_CONFIG_HOME", home.join("config"))
            .env("XDG_DATA_HOME", home.join("data"))
            .env("XDG_STATE_HOME", home.join("state"))
            // Nix remembers narinfos here: a fresh directory for each command, or it answers from memory.
            .env("XDG_CACHE_HOME", cache)
            .env("NIX_CONF_DIR", home.join("etc"))
            .env("NIX_USER_CONF_FILES", "")
            .env("NIX_CONFIG", configuration);
        command
    }

    /// Runs one of Nix's programs to its end.
    ///
    /// # Errors
    /// Only when it cannot be started.
    pub fn run<I: IntoIterator<Item: AsRef<OsStr>>>(&self, program: &str, arguments: I) -> Result<Finished> {
        Finished::run(self.command(program).args(arguments))
    }

    /// Builds `expression` (a file of Nix code) with string arguments, and returns the symlink to the result and its path.
    ///
    /// # Errors
    /// When the build fails.
    pub fn build(&self, expression: &str, arguments: &[(&str, &str)]) -> Result<(PathBuf, String)> {
        let number = crate::server::random();
        let file = self.home.path().join(format!("{number:016x}.nix"));
        let link = self.home.path().join(format!("result-{number:016x}"));
        std::fs::write(&file, expression)?;
        let mut command = self.command("nix-build");
        command.arg(&file).arg("--out-link").arg(&link);
        for (name, value) in arguments {
            command.args(["--argstr", name, value]);
        }
        let path = Finished::run(&mut command)?.success()?;
        self.delete_later(&path)?;
        Ok((link, path))
    }

    /// Adds a file or directory of the machine to the store, by its contents.
    ///
    /// # Errors
    /// When Nix refuses it.
    pub fn add(&self, path: &Path) -> Result<String> {
        let path = Finished::run(self.command("nix-store").arg("--add").arg(path))?.success()?;
        self.built().push(path.clone());
        Ok(path)
    }

    /// Adds a file or directory of the machine to the store as a fixed output: `flat`, or by its NAR, with this
    /// algorithm.
    ///
    /// # Errors
    /// When Nix refuses it.
    pub fn add_fixed(&self, path: &Path, recursive: bool, algorithm: &str) -> Result<String> {
        let mut command = self.command("nix-store");
        command.args(recursive.then_some("--recursive")).args(["--add-fixed", algorithm]).arg(path);
        let path = Finished::run(&mut command)?.success()?;
        self.built().push(path.clone());
        Ok(path)
    }

    /// Evaluates `expression`, which gives a store path, and has it deleted at the end.
    ///
    /// # Errors
    /// When Nix cannot evaluate it.
    pub fn evaluate_path(&self, expression: &str) -> Result<String> {
        let printed =
            self.run("nix-instantiate", ["--read-write-mode", "--eval", "--expr", expression])?.success()?;
        let path = printed.trim_matches('"').to_owned();
        self.built().extend(self.closure(&path)?);
        Ok(path)
    }

    /// Brings a path and its closure from a cache into the store, signed or not; they are deleted at the end.
    ///
    /// # Errors
    /// When Nix refuses it.
    pub fn import(&self, cache: &str, root: &str) -> Result<()> {
        self.run("nix", ["copy", "--no-check-sigs", "--from", cache, root])?.success()?;
        let closure = self.closure(root)?;
        self.built().extend(closure);
        Ok(())
    }

    /// The closure of a path, sorted.
    ///
    /// # Errors
    /// When Nix does not know the path.
    pub fn closure(&self, path: &str) -> Result<Vec<String>> {
        let paths = self.run("nix-store", ["--query", "--requisites", path])?.success()?;
        let mut paths: Vec<String> = paths.lines().map(str::to_owned).collect();
        paths.sort();
        Ok(paths)
    }

    /// `nix copy` from a cache into a chroot store, trusting these keys.
    ///
    /// # Errors
    /// Only when Nix cannot be started.
    pub fn pull(&self, from: &str, into: &Chroot, path: &str, public_keys: &str) -> Result<Finished> {
        let mut command = self.command_trusting("nix", public_keys);
        Finished::run(command.args(["copy", "--from", from, "--to", &into.store_url(), path]))
    }

    /// `nix copy` from the machine's store to a cache.
    ///
    /// # Errors
    /// Only when Nix cannot be started.
    pub fn push(&self, to: &str, path: &str) -> Result<Finished> {
        self.run("nix", ["copy", "--to", to, path])
    }

    /// Has Nix check a chroot store: its database, and the hash of every path's contents.
    ///
    /// # Errors
    /// When Nix finds anything wrong.
    pub fn verify(&self, store: &Chroot) -> Result<()> {
        let checked = self.run(
            "nix-store",
            [
                OsStr::new("--store"),
                store.root().as_os_str(),
                OsStr::new("--verify"),
                OsStr::new("--check-contents"),
            ],
        )?;
        anyhow::ensure!(!checked.stderr.contains("is modified"), "Nix found modified paths\n{checked}");
        checked.success()?;
        Ok(())
    }

    /// The paths that are registered in a chroot store, as full store paths, sorted.
    ///
    /// # Errors
    /// When Nix cannot open the store.
    pub fn registered(&self, store: &Chroot) -> Result<Vec<String>> {
        let paths = self.run("nix", ["path-info", "--all", "--store", &store.store_url()])?.success()?;
        let mut paths: Vec<String> = paths.lines().map(str::to_owned).collect();
        paths.sort();
        Ok(paths)
    }

    fn built(&self) -> MutexGuard<'_, Vec<String>> {
        self.built.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers a build, its closure and their derivations, for the end.
    fn delete_later(&self, path: &str) -> Result<()> {
        let mut doomed = self.closure(path)?;
        for output in doomed.clone() {
            let deriver = self.run("nix-store", ["--query", "--deriver", &output])?.success()?;
            if deriver.ends_with(".drv") {
                doomed.push(deriver);
            }
        }
        self.built().extend(doomed);
        Ok(())
    }
}

impl Drop for Nix {
    fn drop(&mut self) {
        let built = std::mem::take(&mut *self.built());
        if built.is_empty() {
            return;
        }
        // The links are what keeps the paths alive. Failing to clean up is no failure of a test.
        for entry in std::fs::read_dir(self.home.path()).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with("result-") {
                let _ = std::fs::remove_file(entry.path());
            }
        }
        let _ = self.run("nix-store", std::iter::once("--delete").chain(built.iter().map(String::as_str)));
    }
}

/// A store in a directory of its own, whose paths still begin with `/nix/store`.
#[derive(Debug)]
pub struct Chroot(TempDir);

impl Chroot {
    /// An empty directory that will become a store.
    ///
    /// # Errors
    /// When the directory cannot be made.
    pub fn new() -> Result<Self> {
        Ok(Self(tempfile::Builder::new().prefix("nars3-chroot-").tempdir()?))
    }

    /// An empty directory in memory where the machine has `/dev/shm`, so that the disk is not what is measured.
    ///
    /// # Errors
    /// When the directory cannot be made.
    pub fn new_in_memory() -> Result<Self> {
        let memory = Path::new("/dev/shm");
        if !memory.is_dir() {
            return Self::new();
        }
        Ok(Self(tempfile::Builder::new().prefix("nars3-chroot-").tempdir_in(memory)?))
    }

    /// The directory.
    #[must_use]
    pub fn root(&self) -> &Path {
        self.0.path()
    }

    /// The store URL, the same for Nix and nars3.
    #[must_use]
    pub fn store_url(&self) -> String {
        format!("local?root={}", self.0.path().display())
    }

    /// Where a full store path lies in the file system.
    #[must_use]
    pub fn physical(&self, path: &str) -> PathBuf {
        self.0.path().join(path.trim_start_matches('/'))
    }

    /// Names of the store objects that lie in the store, registered or not, sorted.
    #[must_use]
    pub fn objects(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.0.path().join("nix/store")).into_iter().flatten().flatten();
        let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        let mut names: Vec<String> =
            names.filter(|name| !name.starts_with('.') && !name.ends_with(".lock")).collect();
        names.sort();
        names
    }
}

impl Drop for Chroot {
    fn drop(&mut self) {
        make_deletable(self.0.path());
    }
}

/// Store objects are read-only, and a directory without the write bit cannot be emptied by its owner.
fn make_deletable(directory: &Path) {
    use std::os::unix::fs::PermissionsExt;
    let _ = std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o755));
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            make_deletable(&entry.path());
        }
    }
}
