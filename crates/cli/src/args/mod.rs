//! The command line as types. Names follow Nix's own commands, so that hands already know them.

mod copy;
mod doctor;
mod keys_and_hashes;
mod nar;
mod store;

pub(crate) use copy::{AddArgs, CopyArgs, PathInfoArgs};
pub(crate) use doctor::DoctorArgs;
pub(crate) use keys_and_hashes::{HashArgs, HashCommand, HashConvertArgs, HashPathArgs, KeyArgs, KeyCommand};
pub(crate) use nar::{LimitsArgs, NarArgs, NarCommand};
pub(crate) use store::{
    LogArgs, StoreArgs, StoreCatArgs, StoreCommand, StoreCopyLogArgs, StoreCopyRealisationsArgs,
    StoreCopySigsArgs, StoreDeleteArgs, StoreInfoArgs, StoreInitArgs, StoreLsArgs, StoreSignArgs,
    StoreVerifyArgs,
};

use std::path::PathBuf;

use clap::{ArgAction, Args, CommandFactory, Parser, Subcommand};

use crate::logging::LogFormat;
use crate::progress::ProgressMode;

/// The whole command line, for man pages and completions.
pub fn command() -> clap::Command {
    Cli::command()
}

/// Nix binary caches on S3: push store paths to a bucket, and pull them back.
///
/// A STORE is s3://BUCKET?OPTIONS, file:///DIR?OPTIONS, http(s)://HOST/…, local (Nix's own store), local?root=DIR (a
/// chroot store) or auto. Where none is named, it is the one that Nix would take: store of nix.conf, NIX_REMOTE, or auto. A
/// PATH is a full store path or a symlink that leads to one, such as ./result.
#[derive(Debug, Parser)]
#[command(name = "nars3", version, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: GlobalArgs,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Args)]
pub(crate) struct GlobalArgs {
    /// Say more on standard error; repeat for more still
    #[arg(short, long, action = ArgAction::Count, global = true)]
    pub(crate) verbose: u8,
    /// Say nothing but errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// The form of log lines
    #[arg(long, value_enum, default_value = "text", global = true, value_name = "FORMAT")]
    pub(crate) log_format: LogFormat,
    /// How progress is shown
    #[arg(long, value_enum, default_value = "auto", global = true, value_name = "HOW")]
    pub(crate) progress: ProgressMode,
    /// Say at the end how many requests and bytes it took, and which stage took the time
    #[arg(
        long,
        global = true,
        long_help = "Say at the end how many requests and bytes it took. After a copy also, for each stage, how long it \
        was busy, and how long it waited for what it works on and for whoever takes what it makes, all paths added up; \
        the busiest stage is the bottleneck."
    )]
    pub(crate) stats: bool,
    /// Ask caches anew, whatever they said to earlier commands
    #[arg(
        long,
        global = true,
        long_help = "Ask caches anew, whatever they said to earlier commands. Answers are remembered in \
        $XDG_CACHE_HOME/nars3, for as long as Nix's narinfo-cache-positive-ttl (30 days) and narinfo-cache-negative-ttl \
        (an hour) say. A push never believes them."
    )]
    pub(crate) refresh: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Copy store paths, with all they refer to, from one store to another
    Copy(Box<CopyArgs>),
    /// Add a file or directory to a store and print its store path
    Add(AddArgs),
    /// Show what a store knows of store paths
    PathInfo(PathInfoArgs),
    /// Look into a store, and look after a cache
    Store(StoreArgs),
    /// Find out why a bucket does not work, and what to change
    Doctor(DoctorArgs),
    /// Print the log of a build
    Log(LogArgs),
    /// Make and convert signing keys
    Key(KeyArgs),
    /// Make, unpack and look into Nix archives
    Nar(NarArgs),
    /// Hash files and directories, convert hashes
    Hash(HashArgs),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page, or write one page for each command
    Man {
        /// Write a page for each command into this directory
        directory: Option<PathBuf>,
    },
}

/// Which keys a destination trusts.
#[derive(Debug, Args)]
pub(crate) struct TrustArgs {
    /// Keys whose signatures admit a path, as NAME:BASE64; may be repeated or hold several, separated by spaces
    #[arg(
        long,
        value_name = "KEYS",
        long_help = "Keys whose signatures admit a path, as NAME:BASE64; may be \
        repeated or hold several, separated by spaces. Without it NARS3_TRUSTED_PUBLIC_KEYS counts, then the \
        trusted-public-keys of nix.conf."
    )]
    pub(crate) trusted_public_keys: Vec<String>,
    /// Take paths without a trusted signature
    #[arg(long)]
    pub(crate) no_check_sigs: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_holds_together() {
        command().debug_assert();
    }

    #[test]
    fn nixs_own_spelling_of_a_copy_is_understood() {
        let url = "s3://example-nix-cache?profile=cache-upload&region=eu-west-2";
        let cli = Cli::try_parse_from(["nars3", "copy", "./result", "--to", url]).unwrap();
        let Command::Copy(args) = cli.command else { panic!("not a copy") };
        assert_eq!(args.to.as_deref(), Some(url));
        assert_eq!(args.paths, [PathBuf::from("./result")]);
    }

    #[test]
    fn a_copy_needs_a_destination_or_a_source() {
        assert!(Cli::try_parse_from(["nars3", "copy", "./result"]).is_err());
    }
}
