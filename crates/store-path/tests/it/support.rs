//! What the tests need from outside: a folder of test data, and a real Nix with a store of its own.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::{env, fs};

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use tempfile::TempDir;

/// Says that `test` cannot run for want of `what`, and fails if `NARS3_REQUIRE` lists `requirement`.
fn skip(requirement: &str, what: &str, test: &str) {
    let required = env::var("NARS3_REQUIRE").unwrap_or_default();
    assert!(!required.split(',').any(|name| name == requirement), "{what} is required: {test}");
    eprintln!("SKIPPED ({what}): {test}");
}

/// The folder of one version of Nix in the test data, or none if there is no test data.
pub(crate) fn upstream(version: &str, test: &str) -> Option<PathBuf> {
    let data = env::var_os("NARS3_TEST_DATA").map_or_else(
        || Path::new(&env::var_os("CARGO_MANIFEST_DIR").unwrap()).join("../../../shared/data"),
        PathBuf::from,
    );
    if data.is_dir() {
        return Some(data.join("upstream").join(version));
    }
    skip("data", "no test data", test);
    None
}

/// The names of the files in a folder, sorted.
pub(crate) fn file_names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// A value of a strategy, different in every run; a failing test shows it in its message.
pub(crate) fn random<T>(strategy: impl Strategy<Value = T>) -> T {
    strategy.new_tree(&mut TestRunner::default()).unwrap().current()
}

/// A real Nix, run by one user, with a store, a configuration and a home in a directory of its own.
pub(crate) struct Nix {
    dir: TempDir,
}

impl Nix {
    /// None if there is no Nix on this machine.
    pub(crate) fn new(test: &str) -> Option<Self> {
        let path = env::var_os("PATH").unwrap_or_default();
        if !env::split_paths(&path).any(|dir| dir.join("nix-store").is_file()) {
            skip("nix", "no nix-store", test);
            return None;
        }
        let nix = Nix { dir: tempfile::tempdir().unwrap() };
        fs::create_dir(nix.path("conf")).unwrap();
        nix.configure("");
        Some(nix)
    }

    /// Writes `nix.conf`, with `more` at its end.
    pub(crate) fn configure(&self, more: &str) {
        let text = format!(
            "sandbox = false\nsubstitute = false\nbuild-users-group =\n\
             experimental-features = nix-command ca-derivations\n{more}\n"
        );
        fs::write(self.path("conf/nix.conf"), text).unwrap();
    }

    /// A path in the directory of this Nix.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The store directory of this Nix.
    pub(crate) fn store_dir(&self) -> String {
        // Nix resolves symlinks in it.
        self.dir.path().canonicalize().unwrap().join("store").into_os_string().into_string().unwrap()
    }

    /// A command of Nix; `program` may be `nix`, with its sub-command in `args`.
    pub(crate) fn command(
        &self,
        program: &str,
        args: impl IntoIterator<Item = impl AsRef<OsStr>>,
    ) -> Command {
        let mut command = Command::new(program);
        command
            .args(args)
            .env_clear()
            .env("PATH", env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.path("home"))
            .env("NIX_CONF_DIR", self.path("conf"))
            .env("NIX_STORE_DIR", self.store_dir())
            .env("NIX_STATE_DIR", self.path("state"))
            .env("NIX_LOG_DIR", self.path("log"))
            .stdin(Stdio::null())
            .current_dir(self.dir.path());
        command
    }

    /// Runs a command to its end, however that is.
    pub(crate) fn output(&self, program: &str, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Output {
        self.command(program, args).output().unwrap()
    }

    /// What a command prints; it must succeed.
    pub(crate) fn run(&self, program: &str, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> String {
        let output = self.output(program, args);
        assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
}
