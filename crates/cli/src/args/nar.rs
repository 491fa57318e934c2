//! `nars3 nar …`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use nars3_nar::Limits;

#[derive(Debug, Args)]
pub(crate) struct NarArgs {
    #[command(subcommand)]
    pub(crate) command: NarCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum NarCommand {
    /// Write the NAR of a file or directory to standard output
    #[command(alias = "pack")]
    DumpPath {
        /// The file or directory
        path: PathBuf,
        #[command(flatten)]
        limits: LimitsArgs,
        /// Take off the suffixes that tell names apart which differ only in case, as Nix does on macOS
        #[arg(long)]
        case_hack: bool,
    },
    /// Unpack a NAR from standard input
    Restore {
        /// Where to; must not exist
        path: PathBuf,
        #[command(flatten)]
        limits: LimitsArgs,
        /// Give names that differ only in case from another one a suffix, as Nix does on macOS
        #[arg(long)]
        case_hack: bool,
    },
    /// List what is inside a NAR
    Ls {
        /// The NAR, uncompressed
        nar: PathBuf,
        /// The path inside it
        #[arg(default_value = "/")]
        path: OsString,
        /// Show types, sizes and symlink targets
        #[arg(short, long)]
        long: bool,
        /// Show what is in sub-directories as well
        #[arg(short = 'R', long)]
        recursive: bool,
        /// Show a directory itself, not what is in it
        #[arg(short, long)]
        directory: bool,
        /// Print JSON, as Nix does: the node of a .ls file, with --recursive all that is below
        #[arg(long, conflicts_with = "directory")]
        json: bool,
        #[command(flatten)]
        limits: LimitsArgs,
    },
    /// Print a file that is inside a NAR, which is read to its end and checked
    Cat {
        /// The NAR, uncompressed
        nar: PathBuf,
        /// The path inside it
        path: OsString,
        #[command(flatten)]
        limits: LimitsArgs,
    },
}

/// What is accepted of a NAR.
#[derive(Copy, Clone, Debug, Args)]
pub(crate) struct LimitsArgs {
    /// Take directories deeper than 64 levels and longer names and symlink targets, which Nix refuses since 2026
    #[arg(long)]
    no_limits: bool,
}

impl LimitsArgs {
    pub(crate) fn limits(self) -> Limits {
        if self.no_limits { Limits::none() } else { Limits::nix() }
    }
}
