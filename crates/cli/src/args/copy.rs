//! `nars3 copy`, `nars3 add`, `nars3 path-info`.

use std::path::PathBuf;

use clap::{ArgAction, ArgGroup, Args, ValueEnum};
use nars3_binary_cache::Limits;
use nars3_store_path::ContentAddressMethod;

use super::TrustArgs;
use super::keys_and_hashes::AlgorithmArg;

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("stores").args(["from", "to"]).required(true).multiple(true))]
pub(crate) struct CopyArgs {
    /// The store to read from [default: Nix's]
    #[arg(long, value_name = "STORE")]
    pub(crate) from: Option<String>,
    /// The store to write to [default: Nix's]
    #[arg(long, value_name = "STORE")]
    pub(crate) to: Option<String>,
    /// Store paths, links to them such as ./result or a profile, or outputs of a derivation (DERIVATION^out,dev)
    #[arg(value_name = "PATH", required_unless_present_any = ["stdin", "all"])]
    pub(crate) paths: Vec<PathBuf>,
    /// Read more store paths from standard input, one a line
    #[arg(long)]
    pub(crate) stdin: bool,
    /// Copy all paths of the source
    #[arg(long, conflicts_with_all = ["paths", "stdin", "derivation"])]
    pub(crate) all: bool,
    /// Copy the derivations that the paths were built from, instead of the paths
    #[arg(long)]
    pub(crate) derivation: bool,
    /// Copy only the paths themselves; what they refer to must be there
    #[arg(long)]
    pub(crate) no_recursive: bool,
    #[command(flatten)]
    pub(crate) trust: TrustArgs,
    /// Let the destination fetch from its own substituters what they have, before it is sent (only a daemon does)
    #[arg(short, long)]
    pub(crate) substitute_on_destination: bool,
    /// Sign what is written to a cache with the key in this file, instead of the environment's; may be repeated
    #[arg(
        long,
        value_name = "FILE",
        long_help = "Sign what is written to a cache with the key in this file; may be \
        repeated. Without it, and without secret-key in the store URL, the first of these counts: NARS3_SECRET_KEY \
        (the key itself), NARS3_SECRET_KEY_FILE, $CREDENTIALS_DIRECTORY/nars3-secret-key, secret-key-files of nix.conf."
    )]
    pub(crate) secret_key_file: Vec<PathBuf>,
    /// Leave out what this binary cache has; clients of the destination must use it, too; may be repeated
    #[arg(
        long,
        value_name = "STORE",
        long_help = "Leave out what this binary cache has. Clients of the destination must have it as a substituter, \
        too: together the two have everything. What refers to its paths is copied, and nothing else may be missing. May \
        be repeated."
    )]
    pub(crate) skip_in: Vec<String>,
    /// With --skip-in: look there only for paths signed by this key, a NAME or NAME:BASE64; may be repeated
    #[arg(
        long,
        value_name = "KEY",
        requires = "skip_in",
        long_help = "With --skip-in: look there only for paths that this key has signed, and do not ask for the others. \
        A NAME:BASE64 is a public key, and its signatures are verified; a NAME alone stands for every signature that \
        names it. That a path was signed does not say that the cache still has it, so it is asked. May be repeated."
    )]
    pub(crate) skip_signed_by: Vec<String>,
    /// Leave out paths that match this expression, and all that refer to them; may be repeated
    #[arg(
        long,
        value_name = "REGEX",
        // An expression may well begin with the dash before a name.
        allow_hyphen_values = true,
        long_help = "Leave out paths that match this regular expression, looked for anywhere in the full store path, \
        and all paths that refer to them, as these would be of no use without. What the destination or the cache of \
        --skip-in has already takes nothing along. May be repeated."
    )]
    pub(crate) exclude: Vec<String>,
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
    /// NARs under way at once; of those below 1 MiB four times as many, below 128 KiB sixteen times
    #[arg(short, long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) jobs: u16,
    /// Send and receive at most so many bytes a second, each; K, M and G stand for KiB, MiB and GiB
    #[arg(
        long,
        value_name = "BYTES",
        value_parser = bytes,
        long_help = "Send to caches, and receive from caches, at most so many bytes a second in each direction, \
        counted as they travel, compressed; between two stores that are no caches, NARs pass at that rate. K, M and G \
        stand for KiB, MiB and GiB. Requests are not split: parts go out whole, and wait for each other."
    )]
    pub(crate) limit_rate: Option<u64>,
    /// Hold at most so many bytes in memory for NARs under way, all together; K, M and G stand for KiB, MiB and GiB
    #[arg(
        long,
        value_name = "BYTES",
        value_parser = memory,
        long_help = "Hold at most so many bytes in memory for what is under way: compressors, decompressors, compressed \
        files and parts, all paths and both stores together. The program itself and its plan, some thousand bytes \
        for each path, come on top, and what the allocator keeps of memory that was given back. Levels of compression that take more are lowered, with a warning. At least 96M."
    )]
    pub(crate) memory: Option<u64>,
    /// Let temporary files of compressed NARs take at most so many bytes, all together
    #[arg(
        long,
        value_name = "BYTES",
        value_parser = bytes,
        long_help = "Let the temporary files in which compressed NARs wait for their upload take at most so many bytes, \
        all together, in TMPDIR. Paths wait for one another; one that needs more for itself alone fails. What is not \
        compressed needs none."
    )]
    pub(crate) spool: Option<u64>,
    /// Read every file on its way, also where one S3 server has both caches and could copy it by itself
    #[arg(
        long,
        long_help = "Where one S3 server has both caches, it copies the files by itself, and nobody reads them: only their \
        sizes are compared with what their narinfos say, and whoever downloads them compares the rest. With this option \
        each is read, unpacked and verified, and sent."
    )]
    pub(crate) read_files: bool,
    /// Remember in this file what is at the destination, and ask for it no more when the copy is taken up again
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with = "repair",
        long_help = "Remember in this file which paths are at the destination, and ask neither store for them when the \
        copy is taken up again. It holds for one destination. Delete it when paths were deleted there."
    )]
    pub(crate) state: Option<PathBuf>,
    /// Only say what would be copied, how much it is, and why
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Print the result as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// `500K`, `20M`, `1G`, or bytes.
fn bytes(text: &str) -> Result<u64, String> {
    let (digits, unit) = match text.trim_end_matches(['b', 'B']).trim_end_matches('i') {
        text if text.ends_with(['k', 'K']) => (text.get(..text.len() - 1), 1 << 10),
        text if text.ends_with(['m', 'M']) => (text.get(..text.len() - 1), 1 << 20),
        text if text.ends_with(['g', 'G']) => (text.get(..text.len() - 1), 1 << 30),
        text => (Some(text), 1),
    };
    let number: Option<u64> = digits.and_then(|digits| digits.parse().ok());
    number
        .and_then(|number| number.checked_mul(unit))
        .filter(|bytes| *bytes > 0)
        .ok_or_else(|| "expected a number of bytes above 0, such as 500K, 20M or 1G".to_owned())
}

/// As `bytes`, and no less than what compressing takes.
fn memory(text: &str) -> Result<u64, String> {
    let memory = bytes(text)?;
    if memory < Limits::LEAST_MEMORY {
        return Err(format!("expected {}M or more", Limits::LEAST_MEMORY >> 20));
    }
    Ok(memory)
}

#[derive(Debug, Args)]
pub(crate) struct AddArgs {
    /// The file or directory to add
    #[arg(value_name = "PATH")]
    pub(crate) path: PathBuf,
    /// The store to add it to [default: Nix's]
    #[arg(long, value_name = "STORE", default_value = "", hide_default_value = true)]
    pub(crate) to: String,
    /// The name part of the store path [default: the last component of PATH]
    #[arg(long, short)]
    pub(crate) name: Option<String>,
    /// What is hashed: the NAR, or the bytes of a single file, as such (flat) or as text that may have references
    #[arg(long, value_enum, value_name = "MODE", default_value = "nar")]
    pub(crate) mode: AddMode,
    /// The algorithm
    #[arg(long, value_enum, value_name = "ALGORITHM", default_value = "sha256")]
    pub(crate) hash_algo: AlgorithmArg,
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

/// How a content address is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum AddMode {
    Nar,
    Flat,
    Text,
}

impl From<AddMode> for ContentAddressMethod {
    fn from(mode: AddMode) -> Self {
        match mode {
            AddMode::Nar => Self::NixArchive,
            AddMode::Flat => Self::Flat,
            AddMode::Text => Self::Text,
        }
    }
}

// `-h` is Nix's letter for people's units here, so help has only its long form.
#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub(crate) struct PathInfoArgs {
    /// Print help
    #[arg(long, action = ArgAction::Help)]
    help: Option<bool>,
    /// The store to ask [default: Nix's]
    #[arg(long, value_name = "STORE", default_value = "", hide_default_value = true)]
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

#[cfg(test)]
mod tests {
    use super::bytes;

    #[test]
    fn sizes_have_units() {
        for (text, expected) in
            [("1", 1), ("500K", 512_000), ("20m", 20 << 20), ("1GiB", 1 << 30), ("3MB", 3 << 20)]
        {
            assert_eq!(bytes(text), Ok(expected), "{text}");
        }
        for text in ["", "0", "K", "-1", "1.5M", "20000000000G", "10X"] {
            assert!(bytes(text).is_err(), "{text}");
        }
    }
}
