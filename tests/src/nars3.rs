//! The command under test, in a home of its own: no configuration, no credentials and no cache of the user's leaks in.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::process::Finished;
use crate::server::S3Server;

/// A hermetic `nars3`: temporary home, configuration and temporary directory.
#[derive(Debug)]
pub struct Nars3 {
    home: TempDir,
    binary: PathBuf,
    environment: Vec<(OsString, OsString)>,
}

impl Nars3 {
    /// A `nars3` without any credentials.
    ///
    /// # Errors
    /// When there is no binary: neither in `NARS3_BIN` nor beside the running test.
    pub fn anonymous() -> Result<Self> {
        let home = tempfile::Builder::new().prefix("nars3-home-").tempdir()?;
        for directory in ["config", "cache", "data", "state", "tmp", "work"] {
            std::fs::create_dir(home.path().join(directory))?;
        }
        // Named by the environment, so they must be there: the AWS chain warns otherwise.
        for file in ["aws-config", "aws-credentials"] {
            std::fs::write(home.path().join(file), "")?;
        }
        Ok(Self { home, binary: binary()?, environment: Vec::new() })
    }

    /// A `nars3` that finds the key pair of `server` in its environment.
    ///
    /// # Errors
    /// As `anonymous`.
    pub fn for_server(server: &S3Server) -> Result<Self> {
        let settings = server.settings();
        Ok(Self::anonymous()?
            .with("AWS_ACCESS_KEY_ID", &settings.access_key)
            .with("AWS_SECRET_ACCESS_KEY", &settings.secret_key))
    }

    /// Adds an environment variable.
    #[must_use]
    pub fn with(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.environment.push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// The home directory, for files that a test puts there.
    #[must_use]
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// The directory that commands run in.
    #[must_use]
    pub fn work(&self) -> PathBuf {
        self.home.path().join("work")
    }

    /// The directory for temporary files.
    #[must_use]
    pub fn temporary(&self) -> PathBuf {
        self.home.path().join("tmp")
    }

    /// The command with its environment, ready for arguments.
    #[must_use]
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.binary);
        let home = self.home.path();
        command
            .current_dir(self.work())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", home)
            .env("TMPDIR", self.temporary())
            .env("XDG_CONFIG_HOME", home.join("config"))
            .env("XDG_CACHE_HOME", home.join("cache"))
            .env("XDG_DATA_HOME", home.join("data"))
            .env("XDG_STATE_HOME", home.join("state"))
            .env("NIX_CONF_DIR", home.join("config"))
            .env("NIX_USER_CONF_FILES", "")
            .env("AWS_CONFIG_FILE", home.join("aws-config"))
            .env("AWS_SHARED_CREDENTIALS_FILE", home.join("aws-credentials"))
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("RUST_BACKTRACE", "1");
        // Coverage of the command itself, where somebody collects it.
        if let Some(profile) = std::env::var_os("LLVM_PROFILE_FILE") {
            command.env("LLVM_PROFILE_FILE", profile);
        }
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// The command as somebody without any rights (user and group 65534), in the same home, which is theirs from now on.
    /// For root.
    ///
    /// # Errors
    /// When a copy of the binary, which they can get at, cannot be made.
    pub fn unprivileged(&self) -> Result<Command> {
        use std::os::unix::process::CommandExt;
        let copy = self.home.path().join("nars3");
        if !copy.exists() {
            // By another process: a child that some other thread starts meanwhile would hold a file of ours open for
            // writing, and nobody can run it until then.
            let copied = Command::new("cp").arg(&self.binary).arg(&copy).status()?;
            anyhow::ensure!(copied.success(), "cp of {} failed", self.binary.display());
        }
        give_away(self.home.path())?;
        let mut command = Command::new(copy);
        let usual = self.command();
        command.current_dir(self.work()).env_clear().uid(NOBODY).gid(NOBODY);
        command.envs(usual.get_envs().filter_map(|(name, value)| Some((name, value?))));
        Ok(command)
    }

    /// Runs the command with these arguments to its end.
    ///
    /// # Errors
    /// Only when it cannot be started.
    pub fn run<I: IntoIterator<Item: AsRef<OsStr>>>(&self, arguments: I) -> Result<Finished> {
        Finished::run(self.command().args(arguments))
    }

    /// A new key pair: the secret key text and the public key text.
    ///
    /// # Errors
    /// When `nars3 key` fails.
    pub fn key_pair(&self, name: &str) -> Result<(String, String)> {
        let secret = self.run(["key", "generate-secret", "--key-name", name])?.success()?;
        let file = self.home.path().join(format!("{name}.secret"));
        std::fs::write(&file, &secret)?;
        let mut convert = self.command();
        convert.args(["key", "convert-secret-to-public"]).stdin(std::fs::File::open(&file)?);
        let public = Finished::run(&mut convert)?.success()?;
        Ok((secret, public))
    }

    /// The file that `key_pair` left the secret key of this name in.
    #[must_use]
    pub fn secret_key_file(&self, name: &str) -> PathBuf {
        self.home.path().join(format!("{name}.secret"))
    }
}

/// A user and a group without any rights.
const NOBODY: u32 = 65_534;

fn give_away(directory: &Path) -> Result<()> {
    std::os::unix::fs::chown(directory, Some(NOBODY), Some(NOBODY))?;
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            give_away(&entry.path())?;
        } else {
            std::os::unix::fs::lchown(entry.path(), Some(NOBODY), Some(NOBODY))?;
        }
    }
    Ok(())
}

/// `NARS3_BIN`, or the `nars3` that cargo built beside the running program.
fn binary() -> Result<PathBuf> {
    if let Some(named) = std::env::var_os("NARS3_BIN").filter(|value| !value.is_empty()) {
        return Ok(PathBuf::from(named));
    }
    let program = std::env::current_exe()?;
    let beside = program
        .ancestors()
        .skip(1)
        .take(2)
        .map(|directory| directory.join("nars3"))
        .find(|file| file.is_file());
    beside.with_context(|| {
        format!(
            "no nars3 beside {} and NARS3_BIN is not set: run 'cargo xtask test', or build it first",
            program.display()
        )
    })
}
