//! `nars3 store …`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::TrustArgs;

#[derive(Debug, Args)]
pub(crate) struct StoreArgs {
    #[command(subcommand)]
    pub(crate) command: StoreCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum StoreCommand {
    /// Show whether a store can be opened, and what it says of itself
    Info(StoreInfoArgs),
    /// Write the cache's nix-cache-info
    Init(StoreInitArgs),
    /// List what is inside a store path
    Ls(StoreLsArgs),
    /// Print a file that is inside a store path
    Cat(StoreCatArgs),
    /// Check a cache: contents, sizes, references, signatures, content addresses
    Verify(StoreVerifyArgs),
    /// Sign paths that are in a cache
    Sign(StoreSignArgs),
    /// Add the signatures that paths have in other stores
    CopySigs(StoreCopySigsArgs),
    /// Copy build logs from one cache to another
    CopyLog(StoreCopyLogArgs),
    /// Copy from one cache to another what outputs of content-addressed derivations were realised as
    CopyRealisations(StoreCopyRealisationsArgs),
    /// Delete paths from a cache
    Delete(StoreDeleteArgs),
}

#[derive(Debug, Args)]
pub(crate) struct StoreInfoArgs {
    /// The store [default: Nix's]
    #[arg(long, value_name = "STORE", default_value = "", hide_default_value = true)]
    pub(crate) store: String,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct StoreLsArgs {
    /// The store [default: Nix's]
    #[arg(long, value_name = "STORE", default_value = "", hide_default_value = true)]
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
    /// Print JSON, as Nix does: the node of a .ls file, with --recursive all that is below
    #[arg(long, conflicts_with = "directory")]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct StoreCatArgs {
    /// The store [default: Nix's]
    #[arg(long, value_name = "STORE", default_value = "", hide_default_value = true)]
    pub(crate) store: String,
    /// A file inside a store path
    #[arg(value_name = "PATH")]
    pub(crate) path: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct StoreInitArgs {
    /// The cache; its store directory is that of store= in the URL
    #[arg(long, value_name = "STORE")]
    pub(crate) store: String,
    /// Whether clients may ask for many paths at once without knowing that they are there
    #[arg(long, value_name = "BOOL")]
    pub(crate) want_mass_query: Option<bool>,
    /// The rank among substituters: the lower, the earlier it is asked
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    pub(crate) priority: Option<i64>,
}

#[derive(Debug, Args)]
pub(crate) struct StoreVerifyArgs {
    /// The cache
    #[arg(long, value_name = "STORE")]
    pub(crate) store: String,
    /// Store paths, or symlinks to them
    #[arg(value_name = "PATH", required_unless_present = "all", conflicts_with = "all")]
    pub(crate) paths: Vec<PathBuf>,
    /// Everything in the cache, and NARs that no path names
    #[arg(long)]
    pub(crate) all: bool,
    /// Everything the paths refer to as well
    #[arg(short, long)]
    pub(crate) recursive: bool,
    /// Do not download NARs; look only whether they are there and have the right size
    #[arg(long)]
    pub(crate) no_contents: bool,
    /// Do not look at signatures
    #[arg(long)]
    pub(crate) no_trust: bool,
    /// Signatures by different trusted keys that each path needs
    #[arg(short = 'n', long, value_name = "N", default_value_t = 1)]
    pub(crate) sigs_needed: usize,
    /// The trusted keys, as for 'nars3 copy'
    #[arg(long, value_name = "KEYS")]
    pub(crate) trusted_public_keys: Vec<String>,
    /// A store that may hold what paths refer to; may be repeated
    #[arg(long, value_name = "STORE")]
    pub(crate) upstream: Vec<String>,
    /// Replace what is damaged, and add what is missing, from this store
    #[arg(
        long,
        value_name = "STORE",
        long_help = "Replace what is damaged, and add what is missing, from this store; signatures of trusted keys that it \
        has are added. Only what a trusted key has signed, what proves itself by its content address, or what the cache's \
        own narinfo describes comes in, unless --no-trust is given. What is repaired is checked again, and the exit code \
        and the findings say what is wrong still."
    )]
    pub(crate) repair_from: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct StoreSignArgs {
    /// The cache
    #[arg(long, value_name = "STORE")]
    pub(crate) store: String,
    /// Store paths, or symlinks to them
    #[arg(value_name = "PATH", required_unless_present = "all", conflicts_with = "all")]
    pub(crate) paths: Vec<PathBuf>,
    /// Everything in the cache
    #[arg(long)]
    pub(crate) all: bool,
    /// Everything the paths refer to as well
    #[arg(short, long)]
    pub(crate) recursive: bool,
    /// The file of the key; may be repeated. Without it the environment's, as for 'nars3 copy'
    #[arg(short, long, value_name = "FILE")]
    pub(crate) key_file: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct StoreCopySigsArgs {
    /// The cache whose paths get the signatures
    #[arg(long, value_name = "STORE")]
    pub(crate) store: String,
    /// Store paths, or symlinks to them
    #[arg(value_name = "PATH", required_unless_present = "all", conflicts_with = "all")]
    pub(crate) paths: Vec<PathBuf>,
    /// Everything in the cache
    #[arg(long)]
    pub(crate) all: bool,
    /// Everything the paths refer to as well
    #[arg(short, long)]
    pub(crate) recursive: bool,
    /// A store that has signatures; may be repeated
    #[arg(short, long, value_name = "STORE", required = true)]
    pub(crate) substituter: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct StoreCopyLogArgs {
    /// The store that has the logs
    #[arg(long, value_name = "STORE")]
    pub(crate) from: String,
    /// The store that gets them
    #[arg(long, value_name = "STORE")]
    pub(crate) to: String,
    /// Derivations
    #[arg(value_name = "DRV", required = true)]
    pub(crate) paths: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct StoreCopyRealisationsArgs {
    /// The store that has the realisations
    #[arg(long, value_name = "STORE")]
    pub(crate) from: String,
    /// The store that gets them, and has the paths that they name
    #[arg(long, value_name = "STORE")]
    pub(crate) to: String,
    /// Outputs of derivations, as sha256:HASH!NAME (Nix 2.4 to 2.34) or DERIVATION^NAME (since)
    #[arg(value_name = "OUTPUT", required_unless_present = "all", conflicts_with = "all")]
    pub(crate) outputs: Vec<String>,
    /// All that the store has, in both forms
    #[arg(long)]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) trust: TrustArgs,
}

#[derive(Debug, Args)]
pub(crate) struct StoreDeleteArgs {
    /// The cache
    #[arg(long, value_name = "STORE")]
    pub(crate) store: String,
    /// Store paths, or symlinks to them
    #[arg(value_name = "PATH", required = true)]
    pub(crate) paths: Vec<PathBuf>,
    /// Delete what refers to the paths as well
    #[arg(long)]
    pub(crate) referrers: bool,
    /// Only say what would be deleted
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct LogArgs {
    /// The store
    #[arg(long, value_name = "STORE")]
    pub(crate) store: String,
    /// A derivation, or an output of one
    #[arg(value_name = "PATH")]
    pub(crate) path: PathBuf,
}
