//! Running a command to its end, and what it said.

use std::fmt;
use std::process::{Command, ExitStatus, Output};

use anyhow::{Context, Result, ensure};

/// A finished command: how it was called, how it ended, and what it printed.
#[derive(Clone, Debug)]
pub struct Finished {
    command: String,
    /// How the process ended.
    pub status: ExitStatus,
    /// Standard output, with anything that is not UTF-8 replaced.
    pub stdout: String,
    /// Standard error, with anything that is not UTF-8 replaced.
    pub stderr: String,
}

impl Finished {
    /// Runs `command` to its end with both outputs captured.
    ///
    /// # Errors
    /// Only when the program cannot be started: a failing exit code is for the caller to judge.
    pub fn run(command: &mut Command) -> Result<Self> {
        let name = describe(command);
        let output = command.output().with_context(|| format!("cannot start {name}"))?;
        Ok(Self::of(name, &output))
    }

    /// Waits for the end of a child that was started with both outputs piped; `command` is what to call it.
    ///
    /// # Errors
    /// Only when its outputs cannot be read.
    pub fn of_child(command: &str, child: std::process::Child) -> Result<Self> {
        let output = child.wait_with_output().with_context(|| format!("cannot wait for {command}"))?;
        Ok(Self::of(command.to_owned(), &output))
    }

    pub(crate) fn of(command: String, output: &Output) -> Self {
        Self {
            command,
            status: output.status,
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Standard output of a command that must have succeeded, without the final line break.
    ///
    /// # Errors
    /// When the exit code is not zero; the error shows the command and all it said.
    pub fn success(self) -> Result<String> {
        ensure!(self.status.success(), "a command failed that should have worked\n{self}");
        Ok(self.stdout.trim_end_matches('\n').to_owned())
    }

    /// Standard error of a command that must have failed by itself, not by a signal or a panic.
    ///
    /// # Errors
    /// When it succeeded, was killed, or panicked.
    pub fn refusal(self) -> Result<String> {
        ensure!(!self.status.success(), "a command worked that should have been refused\n{self}");
        ensure!(self.status.code().is_some(), "a command was killed, not refused\n{self}");
        ensure!(!self.stderr.contains("panicked at"), "a command panicked instead of refusing\n{self}");
        Ok(self.stderr)
    }
}

impl fmt::Display for Finished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "$ {}", self.command)?;
        writeln!(f, "{}", self.status)?;
        writeln!(f, "--- stdout\n{}", self.stdout.trim_end())?;
        write!(f, "--- stderr\n{}", self.stderr.trim_end())
    }
}

/// A command as a reader would type it, without its environment.
pub(crate) fn describe(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}

/// The first file called `program` in the directories of `PATH`.
#[must_use]
pub fn find_in_path(program: &str) -> Option<std::path::PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|directory| directory.join(program)).find(|file| file.is_file())
}
