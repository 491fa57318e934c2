//! The identities of Nix: store paths, hashes, content addresses, signatures and realisations, read and written
//! exactly as Nix does, computed as Nix computes them, and checked against hostile input. Nothing here touches a
//! file, a socket, the environment, the clock or a source of randomness.
//!
//! ```
//! use std::collections::BTreeSet;
//! use nars3_store_path::{Algorithm, ContentAddress, ContentAddressMethod, Hash, SecretKey, StoreDir};
//! use nars3_store_path::{path_fingerprint, store_path_for};
//!
//! // The path that `builtins.toFile "greeting" "hello"` makes.
//! let store_dir = StoreDir::default();
//! let ca = ContentAddress {
//!     method: ContentAddressMethod::Text,
//!     hash: Hash::digest(Algorithm::Sha256, b"hello"),
//! };
//! let no_references = BTreeSet::new();
//! let path = store_path_for(&store_dir, "greeting", &ca, &no_references, false)?;
//! assert_eq!(store_dir.print(&path), "/nix/store/5akl8zsmda0yrr63v4khwgskih2g2hsh-greeting");
//!
//! // Signing what a narinfo says of it, and checking the signature.
//! let nar_hash = "sha256:0sg9f58l1jj88w6pdrfdpj5x9b1zrwszk84j81zvby36q9whhhqa".parse()?;
//! let fingerprint = path_fingerprint(&store_dir, &path, &nar_hash, 120, &no_references)?;
//! let key = SecretKey::from_seed("cache.example.org-1", [7; 32])?;
//! let signature = key.sign(fingerprint.as_bytes());
//! assert!(key.public_key().verify(fingerprint.as_bytes(), &signature));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Where to find what
//!
//! - `StorePath`, `HashPart`, `StoreDir`: `<hash part>-<name>`, and full paths in any store directory.
//! - `Hash`, `Algorithm`, `HashFormat`, `Hasher`: md5, sha1, sha256, sha512 and blake3, in base16, Nix32, base64
//!   and SRI.
//! - `nix32`: the base-32 encoding of Nix by itself, without allocation where wanted.
//! - `ContentAddress` and `store_path_for`: `text:`, `fixed:` and `fixed:r:`, and the store path that follows.
//! - `Signature`, `SecretKey`, `PublicKey`, `PublicKeys`, `path_fingerprint`: what a signature signs, sign, verify.
//! - `DerivedPath`, `OutputsSpec`: store paths and outputs of derivations, as `….drv^out,dev` on a command line.
//! - `DrvOutput` and `Realisation` (Nix up to 2.34), `BuildTraceKey` and `BuildTraceEntry` (since 2.35):
//!   realisations, their fingerprints and their JSON.
//!
//! # What holds everywhere
//!
//! - A value of these types is valid: what can be wrong with a text is found when it is parsed, and the error
//!   names the text, the position and what was expected. The one exception is `Signature`, which keeps any text
//!   as it is, because a narinfo must print back as it was.
//! - Leniency is Nix's own, no more and no less, as Nix 2.29 has it. Where this crate is stricter, the item's
//!   documentation says so.
//! - Secrets have no `Display`, their `Debug` hides them, and their memory is wiped.

mod base64;
mod content_address;
mod derived_path;
mod fingerprint;
mod hash;
mod json;
mod make_path;
pub mod nix32;
mod realisation;
mod signature;
mod store_dir;
mod store_path;
mod text;

pub use content_address::{ContentAddress, ContentAddressError, ContentAddressMethod, UnknownMethod};
pub use derived_path::{DerivedPath, DerivedPathError, OutputsSpec};
pub use fingerprint::{FingerprintError, path_fingerprint};
pub use hash::{Algorithm, Hash, HashError, HashFormat, Hasher, UnknownAlgorithm, UnknownHashFormat};
pub use json::JsonShapeError;
pub use make_path::{MakePathError, store_path_for};
pub use nix32::Nix32Error;
pub use realisation::{
    AnyRealisation, BuildTraceEntry, BuildTraceKey, DrvOutput, DrvOutputError, MAX_SIGNATURES, Realisation,
    RealisationError, RealisedOutput,
};
pub use signature::{KeyError, PublicKey, PublicKeys, SecretKey, Signature};
pub use store_dir::{StoreDir, StoreDirError};
pub use store_path::{HashPart, MAX_NAME_LEN, NameError, StorePath, StorePathError, check_name};
