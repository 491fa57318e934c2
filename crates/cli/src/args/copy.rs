//! `nars3 copy`, `nars3 add`, `nars3 path-info`.

use std::path::PathBuf;

use clap::{ArgAction, Args};

use super::TrustArgs;

#[derive(Debug, Args)]
pub(crate) struct CopyArgs {
    /// The store to read from [default: auto]
    #[arg(long, value_name = "STORE", required_unless_present = "to")]
    pub(crate) from: Option<String>,
    /// The store to write to [default: auto]
    #[arg(long, value_name = "STORE")]
    pub(crate) to: Option<String>,
    /// Store paths, or symlinks to them
    #[arg(value_name = "PATH", required_unless_present = "stdin")]
    pub(crate) paths: Vec<PathBuf>,
    /// Read more store paths from standard input, one a line
    #[arg(long)]
    pub(crate) stdin: bool,
    /// Copy only the paths themselves; what they refer to must be there
    #[arg(long)]
    pub(crate) no_recursive: bool,
    #[command(flatten)]
    pub(crate) trust: TrustArgs,
    /// Sign what is written to a cache with the key in this file, instead of the environment's; may be repeated
    #[arg(
        long,
        value_name = "FILE",
        long_help = "Sign what is written to a cache with the key in this file; may be \
        repeated. Without it, and without secret-key in the store URL, the first of these counts: NARS3_SECRET_KEY \
        (the key itself), NARS3_SECRET_KEY_FILE, $CREDENTIALS_DIRECTORY/nars3-secret-key, secret-key-files of nix.conf."
    )]
    pub(crate) secret_key_file: Vec<PathBuf>,
    /// Replace what the destination has
    #[arg(long)]
    pub(crate) repair: bool,
    /// Hard-link files that are equal to one that the destination has already
    #[arg(
        long,
        long_help = "Hard-link files that are equal to one that the destination has already, as nix-store --optimise \
        does it afterwards. For stores on this machine that are written to directly; auto-optimise-store of nix.conf \
        does the same for every copy."
    )]
    pub(crate) optimise: bool,
    /// Go on after a path has failed, with all that do not depend on it
    #[arg(long)]
    pub(crate) keep_going: bool,
    /// NARs under way at once
    #[arg(short, long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) jobs: u16,
    /// Only say what would be copied
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Print the result as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct AddArgs {
    /// The file or directory to add
    #[arg(value_name = "PATH")]
    pub(crate) path: PathBuf,
    /// The store to add it to
    #[arg(long, value_name = "STORE", default_value = "auto")]
    pub(crate) to: String,
    /// The name part of the store path [default: the last component of PATH]
    #[arg(long, short)]
    pub(crate) name: Option<String>,
    /// How the contents are hashed: nar, or flat for a single file
    #[arg(long, value_name = "MODE", default_value = "nar", value_parser = ["nar", "flat"])]
    pub(crate) mode: String,
    /// Store paths that the new path refers to; they must be in the store
    #[arg(long, value_name = "PATH", num_args = 1..)]
    pub(crate) references: Vec<PathBuf>,
    /// Sign with the key in this file, instead of the environment's; may be repeated
    #[arg(long, value_name = "FILE")]
    pub(crate) secret_key_file: Vec<PathBuf>,
    /// Only print the store path
    #[arg(long)]
    pub(crate) dry_run: bool,
}

// `-h` is Nix's letter for people's units here, so help has only its long form.
#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub(crate) struct PathInfoArgs {
    /// Print help
    #[arg(long, action = ArgAction::Help)]
    help: Option<bool>,
    /// The store to ask
    #[arg(long, value_name = "STORE", default_value = "auto")]
    pub(crate) store: String,
    /// Store paths, or symlinks to them
    #[arg(value_name = "PATH", required_unless_present = "all")]
    pub(crate) paths: Vec<PathBuf>,
    /// All paths of the store
    #[arg(long)]
    pub(crate) all: bool,
    /// Everything the paths refer to as well
    #[arg(short, long)]
    pub(crate) recursive: bool,
    /// Show the size of the NAR
    #[arg(short, long)]
    pub(crate) size: bool,
    /// Show the sum of the NARs of the closure
    #[arg(short = 'S', long)]
    pub(crate) closure_size: bool,
    /// Show sizes in units that people read
    #[arg(short = 'h', long)]
    pub(crate) human_readable: bool,
    /// Show signatures, and the content address
    #[arg(long)]
    pub(crate) sigs: bool,
    /// Print JSON in the shape of Nix 2.29
    #[arg(long)]
    pub(crate) json: bool,
}
