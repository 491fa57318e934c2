//! `nars3 nar …`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

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
    },
    /// Unpack a NAR from standard input
    Restore {
        /// Where to; must not exist
        path: PathBuf,
    },
    /// List what is inside a NAR
    Ls {
        /// The NAR, uncompressed
        nar: PathBuf,
        /// The path inside it
        #[arg(default_value = "/")]
        path: String,
        /// Show types, sizes and symlink targets
        #[arg(short, long)]
        long: bool,
        /// Show what is in sub-directories as well
        #[arg(short = 'R', long)]
        recursive: bool,
        /// Show a directory itself, not what is in it
        #[arg(short, long)]
        directory: bool,
        /// Print JSON in the shape of a .ls file
        #[arg(long)]
        json: bool,
    },
    /// Print a file that is inside a NAR
    Cat {
        /// The NAR, uncompressed
        nar: PathBuf,
        /// The path inside it
        path: String,
    },
}
