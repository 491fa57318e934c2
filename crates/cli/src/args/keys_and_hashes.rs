//! `nars3 key …` and `nars3 hash …`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use nars3_store_path::{Algorithm, Hash};

#[derive(Debug, Args)]
pub(crate) struct KeyArgs {
    #[command(subcommand)]
    pub(crate) command: KeyCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// Print a new secret key
    GenerateSecret {
        /// The name that signatures will carry, by custom HOST-NUMBER
        #[arg(long, value_name = "NAME")]
        key_name: String,
    },
    /// Read a secret key from standard input and print its public key
    ConvertSecretToPublic,
}

#[derive(Debug, Args)]
pub(crate) struct HashArgs {
    #[command(subcommand)]
    pub(crate) command: HashCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum HashCommand {
    /// Print the hash of the NAR of a file or directory
    Path(HashPathArgs),
    /// Print the hash of the contents of a file
    File(HashPathArgs),
    /// Print hashes in another encoding
    Convert(HashConvertArgs),
}

#[derive(Debug, Args)]
pub(crate) struct HashPathArgs {
    /// The files or directories
    #[arg(required = true, value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    /// The algorithm
    #[arg(
        long = "algo",
        visible_alias = "type",
        value_enum,
        default_value = "sha256",
        value_name = "ALGORITHM"
    )]
    pub(crate) algorithm: AlgorithmArg,
    #[command(flatten)]
    pub(crate) format: HashFormatArgs,
}

#[derive(Debug, Args)]
pub(crate) struct HashFormatArgs {
    /// The encoding
    #[arg(long, value_enum, default_value = "sri", value_name = "ENCODING")]
    pub(crate) format: HashEncoding,
    /// Short for --format nix32
    #[arg(long, visible_alias = "nix32", conflicts_with = "format")]
    pub(crate) base32: bool,
    /// Short for --format base16
    #[arg(long, conflicts_with_all = ["format", "base32"])]
    pub(crate) base16: bool,
    /// Short for --format base64
    #[arg(long, conflicts_with_all = ["format", "base32", "base16"])]
    pub(crate) base64: bool,
}

impl HashFormatArgs {
    pub(crate) fn encoding(&self) -> HashEncoding {
        match self {
            Self { base32: true, .. } => HashEncoding::Nix32,
            Self { base16: true, .. } => HashEncoding::Base16,
            Self { base64: true, .. } => HashEncoding::Base64,
            _ => self.format,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct HashConvertArgs {
    /// The hashes, as SRI, ALGORITHM:DIGEST, or a digest alone with --hash-algo
    #[arg(required = true, value_name = "HASH")]
    pub(crate) hashes: Vec<String>,
    /// The algorithm of digests that do not say it
    #[arg(long, value_enum, value_name = "ALGORITHM")]
    pub(crate) hash_algo: Option<AlgorithmArg>,
    /// The encoding
    #[arg(long, value_enum, default_value = "sri", value_name = "ENCODING")]
    pub(crate) to: HashEncoding,
}

/// An encoding of hashes on the command line. As in Nix, only SRI names the algorithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum HashEncoding {
    /// Nix's own base 32.
    #[value(alias = "base32")]
    Nix32,
    /// Hexadecimal.
    Base16,
    /// Base 64.
    Base64,
    /// ALGORITHM-BASE64.
    Sri,
}

impl HashEncoding {
    pub(crate) fn print(self, hash: &Hash) -> String {
        match self {
            Self::Nix32 => hash.nix32_digest(),
            Self::Base16 => hash.base16_digest(),
            Self::Base64 => hash.base64_digest(),
            Self::Sri => hash.to_sri(),
        }
    }
}

/// A hash algorithm on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum AlgorithmArg {
    Md5,
    Sha1,
    Sha256,
    Sha512,
    Blake3,
}

impl From<AlgorithmArg> for Algorithm {
    fn from(algorithm: AlgorithmArg) -> Self {
        match algorithm {
            AlgorithmArg::Md5 => Self::Md5,
            AlgorithmArg::Sha1 => Self::Sha1,
            AlgorithmArg::Sha256 => Self::Sha256,
            AlgorithmArg::Sha512 => Self::Sha512,
            AlgorithmArg::Blake3 => Self::Blake3,
        }
    }
}
