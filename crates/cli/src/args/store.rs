//! `nars3 store …`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Args)]
pub(crate) struct StoreArgs {
    #[command(subcommand)]
    pub(crate) command: StoreCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum StoreCommand {
    /// Show whether a store can be opened, and what it says of itself
    Info(StoreInfoArgs),
    /// List what is inside a store path
    Ls(StoreLsArgs),
    /// Print a file that is inside a store path
    Cat(StoreCatArgs),
}

#[derive(Debug, Args)]
pub(crate) struct StoreInfoArgs {
    /// The store
    #[arg(long, value_name = "STORE", default_value = "auto")]
    pub(crate) store: String,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct StoreLsArgs {
    /// The store
    #[arg(long, value_name = "STORE", default_value = "auto")]
    pub(crate) store: String,
    /// A store path, or a path inside one
    #[arg(value_name = "PATH")]
    pub(crate) path: PathBuf,
    /// Show types, sizes and symlink targets
    #[arg(short, long)]
    pub(crate) long: bool,
    /// Show what is in sub-directories as well
    #[arg(short = 'R', long)]
    pub(crate) recursive: bool,
    /// Show a directory itself, not what is in it
    #[arg(short, long)]
    pub(crate) directory: bool,
    /// Print JSON in the shape of a .ls file
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct StoreCatArgs {
    /// The store
    #[arg(long, value_name = "STORE", default_value = "auto")]
    pub(crate) store: String,
    /// A file inside a store path
    #[arg(value_name = "PATH")]
    pub(crate) path: PathBuf,
}
