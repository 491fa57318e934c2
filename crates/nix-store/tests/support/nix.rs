//! A real Nix with a private configuration, which never sees the store of this machine.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// Says whether `nix-store` is installed. If not, the test is skipped, or fails where `NARS3_REQUIRE` names `nix`.
pub fn available(test: &str) -> bool {
    let found = std::env::var_os("PATH").is_some_and(|path| {
        std::env::split_paths(&path).any(|directory| directory.join("nix-store").is_file())
    });
    if !found {
        super::skip("nix", test);
    }
    found
}

/// A configuration directory, and a home, for real Nix.
pub struct Nix {
    directory: TempDir,
}

impl Nix {
    pub fn new() -> Self {
        let directory = tempfile::tempdir().expect("tempdir");
        std::fs::write(
            directory.path().join("nix.conf"),
            "sandbox = false\nsubstitute = false\nbuild-users-group =\nexperimental-features = nix-command\n",
        )
        .expect("write");
        Self { directory }
    }

    /// Adds lines to the configuration.
    pub fn configure(&self, lines: &str) {
        let path = self.directory.path().join("nix.conf");
        let text = std::fs::read_to_string(&path).expect("read");
        std::fs::write(path, text + lines).expect("write");
    }

    /// A command that sees nothing of this machine's Nix.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env_remove("NIX_REMOTE")
            .env_remove("NIX_PATH")
            .env("NIX_CONF_DIR", self.directory.path())
            .env("HOME", self.directory.path())
            .env("XDG_CACHE_HOME", self.directory.path());
        command
    }

    /// Runs `nix-store --store ROOT …`, which must succeed, and gives what it prints.
    pub fn store(&self, root: &Path, arguments: &[&str]) -> String {
        succeed(self.command("nix-store").arg("--store").arg(root).args(arguments))
    }

    /// As `store`, without expecting anything.
    pub fn try_store(&self, root: &Path, arguments: &[&str]) -> Output {
        self.command("nix-store").arg("--store").arg(root).args(arguments).output().expect("nix-store runs")
    }

    /// Lets Nix verify the chroot store under `root`, contents and all.
    pub fn verify(&self, root: &Path) {
        let output = self.try_store(root, &["--verify", "--check-contents"]);
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{told}");
        for complaint in ["modified", "disappeared", "error"] {
            assert!(!told.contains(complaint), "{told}");
        }
    }

    /// A store whose logical directory is its real one, because only there can Nix build without a sandbox.
    pub fn own_store(&self) -> OwnStore<'_> {
        OwnStore { nix: self, root: std::fs::canonicalize(self.directory.path()).expect("there").join("own") }
    }
}

pub struct OwnStore<'a> {
    nix: &'a Nix,
    root: PathBuf,
}

impl OwnStore<'_> {
    pub fn store_dir(&self) -> PathBuf {
        self.root.join("store")
    }

    pub fn state_dir(&self) -> PathBuf {
        self.root.join("state")
    }

    pub fn log_dir(&self) -> PathBuf {
        self.root.join("log")
    }

    pub fn command(&self, program: &str) -> Command {
        let mut command = self.nix.command(program);
        command
            .env("NIX_STORE_DIR", self.store_dir())
            .env("NIX_STATE_DIR", self.state_dir())
            .env("NIX_LOG_DIR", self.log_dir());
        command
    }
}

/// Runs the command, which must succeed, and gives what it prints.
pub fn succeed(command: &mut Command) -> String {
    let output = command.output().expect("the command runs");
    assert!(
        output.status.success(),
        "{command:?}: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("UTF-8")
}
