//! Reading a hash in every form that Nix reads.
//!
//! The rules are those of Nix 2.29 `hash.cc`: what stands before the first `:` is the algorithm; without `:` it is
//! what stands before the first `-`, and then the rest is base64 (SRI). After `:`, or with no algorithm at all, the
//! length of the digest alone tells base16 from Nix32 from base64.

use data_encoding::HEXLOWER_PERMISSIVE;

use super::{Algorithm, Hash, HashError, HashFormat};
use crate::base64::{self, Base64Error};
use crate::nix32::{self, Nix32Error};
use crate::text::excerpt;

/// Reads `value`, with `expected` as the algorithm where the text names none.
pub(super) fn parse_any(value: &str, expected: Option<Algorithm>) -> Result<(Hash, HashFormat), HashError> {
    let (name, digest, sri) = if let Some((name, digest)) = value.split_once(':') {
        (Some(name), digest, false)
    } else if let Some((name, digest)) = value.split_once('-') {
        (Some(name), digest, true)
    } else {
        (None, value, false)
    };
    let found = name.map(|name| parse_algorithm(value, name)).transpose()?;
    let algorithm = match (found, expected) {
        (None, None) => return Err(HashError::MissingAlgorithm { value: excerpt(value) }),
        (Some(found), Some(expected)) if found != expected => {
            return Err(HashError::AlgorithmMismatch { value: excerpt(value), found, expected });
        }
        (Some(algorithm), _) | (None, Some(algorithm)) => algorithm,
    };
    let format = if sri { HashFormat::Sri } else { format_of_length(value, algorithm, digest)? };
    Ok((decode(value, algorithm, digest, format)?, format))
}

/// Reads an SRI hash and nothing else.
pub(super) fn parse_sri(value: &str) -> Result<Hash, HashError> {
    let (name, digest) = value.split_once('-').ok_or_else(|| HashError::NotSri { value: excerpt(value) })?;
    decode(value, parse_algorithm(value, name)?, digest, HashFormat::Sri)
}

/// Reads a digest that has no prefix.
pub(super) fn parse_digest(algorithm: Algorithm, digest: &str) -> Result<Hash, HashError> {
    let format = format_of_length(digest, algorithm, digest)?;
    decode(digest, algorithm, digest, format)
}

fn parse_algorithm(value: &str, name: &str) -> Result<Algorithm, HashError> {
    name.parse().map_err(|reason| HashError::UnknownAlgorithm { value: excerpt(value), reason })
}

fn format_of_length(value: &str, algorithm: Algorithm, digest: &str) -> Result<HashFormat, HashError> {
    [HashFormat::Base16, HashFormat::Nix32, HashFormat::Base64]
        .into_iter()
        .find(|format| format.digest_len(algorithm) == digest.len())
        .ok_or_else(|| HashError::WrongLength { value: excerpt(value), algorithm, found: digest.len() })
}

/// Decodes `digest`, which ends `value`.
fn decode(value: &str, algorithm: Algorithm, digest: &str, format: HashFormat) -> Result<Hash, HashError> {
    let mut hash = Hash::filled(algorithm, &[]);
    let bytes = hash.as_mut_bytes();
    let offset = value.len() - digest.len();
    let invalid = |position: usize, byte: u8| HashError::InvalidCharacter {
        value: excerpt(value),
        position: offset + position,
        byte,
        format,
    };
    let wrong_size = |found| HashError::WrongSize { value: excerpt(value), algorithm, found };
    match format {
        HashFormat::Base16 => {
            HEXLOWER_PERMISSIVE.decode_mut(digest.as_bytes(), bytes).map_err(|partial| {
                let position = partial.error.position;
                invalid(position, digest.as_bytes().get(position).copied().unwrap_or_default())
            })?;
        }
        HashFormat::Nix32 => nix32::decode_into(digest.as_bytes(), bytes).map_err(|error| match error {
            Nix32Error::InvalidCharacter { position, byte } => invalid(position, byte),
            Nix32Error::WrongLength { found, .. } => {
                HashError::WrongLength { value: excerpt(value), algorithm, found }
            }
            Nix32Error::TrailingBits { .. } => HashError::TrailingBits {
                value: excerpt(value),
                character: digest.chars().next().unwrap_or_default(),
            },
        })?,
        HashFormat::Base64 | HashFormat::Sri => {
            base64::decode_into(digest.as_bytes(), bytes).map_err(|error| match error {
                Base64Error::InvalidCharacter { position, byte } => invalid(position, byte),
                Base64Error::WrongLength { found } => wrong_size(found),
            })?;
        }
    }
    Ok(hash)
}
