//! Values of Nix on the wire.

use std::collections::BTreeSet;
use std::io::{self, Read, Write};
use std::str::FromStr;

use nars3_narinfo::PathInfo;
use nars3_store_path::{Algorithm, ContentAddress, Hash, Signature, StoreDir, StorePath};

use super::error::WireError;
use super::wire::{
    read_bool, read_list, read_number, read_string, write_bool, write_list, write_number, write_string,
};

/// The minor version since which path infos have `ultimate`, signatures and a content address.
const SIGNATURES_SINCE: u64 = 16;

/// Reads a store path.
///
/// # Errors
///
/// When it is none, or not whole.
pub fn read_path(from: &mut impl Read, store_dir: &StoreDir) -> Result<StorePath, WireError> {
    let found = read_string(from, "a store path")?;
    store_dir.parse(&found).map_err(|source| WireError::BadPath { found, source })
}

/// Reads a store path, or an empty string for none.
///
/// # Errors
///
/// When it is none, or not whole.
pub fn read_optional_path(
    from: &mut impl Read,
    store_dir: &StoreDir,
) -> Result<Option<StorePath>, WireError> {
    let found = read_string(from, "a store path")?;
    if found.is_empty() {
        return Ok(None);
    }
    store_dir.parse(&found).map(Some).map_err(|source| WireError::BadPath { found, source })
}

/// Writes a store path, or an empty string for none.
///
/// # Errors
///
/// Those of `to`.
pub fn write_optional_path(
    to: &mut impl Write,
    store_dir: &StoreDir,
    path: Option<&StorePath>,
) -> io::Result<()> {
    write_string(to, path.map_or_else(String::new, |path| store_dir.print(path)))
}

/// Reads a set of store paths.
///
/// # Errors
///
/// When it is none, or not whole.
pub fn read_paths(from: &mut impl Read, store_dir: &StoreDir) -> Result<BTreeSet<StorePath>, WireError> {
    read_list(from, |from| read_path(from, store_dir))
}

/// Writes store paths.
///
/// # Errors
///
/// Those of `to`.
pub fn write_paths<'a>(
    to: &mut impl Write,
    store_dir: &StoreDir,
    paths: impl ExactSizeIterator<Item = &'a StorePath>,
) -> io::Result<()> {
    write_list(to, paths, |to, path| write_string(to, store_dir.print(path)))
}

/// Reads a content address, or an empty string for none.
///
/// # Errors
///
/// When it is none, or not whole.
pub fn read_content_address(from: &mut impl Read) -> Result<Option<ContentAddress>, WireError> {
    let found = read_string(from, "a content address")?;
    if found.is_empty() {
        return Ok(None);
    }
    ContentAddress::from_str(&found)
        .map(Some)
        .map_err(|source| WireError::BadContentAddress { found, source })
}

/// Writes a content address, or an empty string for none.
///
/// # Errors
///
/// Those of `to`.
pub fn write_content_address(to: &mut impl Write, ca: Option<&ContentAddress>) -> io::Result<()> {
    write_string(to, ca.map(ToString::to_string).unwrap_or_default())
}

/// Reads whether the daemon trusts us; it may not say.
///
/// # Errors
///
/// When it is none, or not whole.
pub fn read_trusted(from: &mut impl Read) -> Result<Option<bool>, WireError> {
    match read_number(from)? {
        0 => Ok(None),
        1 => Ok(Some(true)),
        2 => Ok(Some(false)),
        found => Err(WireError::BadNumber { what: "the trust", expected: "0, 1 or 2", found }),
    }
}

/// Reads what a daemon knows of `path`.
///
/// # Errors
///
/// When it is none, or not whole.
pub fn read_path_info(
    from: &mut impl Read,
    store_dir: &StoreDir,
    minor: u64,
    path: StorePath,
) -> Result<PathInfo, WireError> {
    let deriver = read_optional_path(from, store_dir)?;
    let found = read_string(from, "a NarHash")?;
    let nar_hash =
        Hash::parse_with(Algorithm::Sha256, &found).map_err(|source| WireError::BadHash { found, source })?;
    let references = read_paths(from, store_dir)?;
    let registration_time = read_number(from)?;
    let nar_size = read_number(from)?;
    let mut info = PathInfo::new(path, nar_hash, nar_size);
    info.deriver = deriver;
    info.references = references;
    info.registration_time = Some(i64::try_from(registration_time).map_err(|_| WireError::BadNumber {
        what: "the registration time",
        expected: "seconds since 1970",
        found: registration_time,
    })?);
    if minor >= SIGNATURES_SINCE {
        info.ultimate = read_bool(from)?;
        info.signatures = read_list(from, |from| Ok(Signature::new(&read_string(from, "a signature")?)))?;
        info.ca = read_content_address(from)?;
    }
    Ok(info)
}

/// Writes what is known of a path, without the path itself.
///
/// # Errors
///
/// Those of `to`.
pub fn write_path_info(
    to: &mut impl Write,
    store_dir: &StoreDir,
    minor: u64,
    info: &PathInfo,
) -> io::Result<()> {
    write_optional_path(to, store_dir, info.deriver.as_ref())?;
    write_string(to, info.nar_hash.base16_digest())?;
    write_paths(to, store_dir, info.references.iter())?;
    write_number(to, info.registration_time.and_then(|time| u64::try_from(time).ok()).unwrap_or(0))?;
    write_number(to, info.nar_size)?;
    if minor >= SIGNATURES_SINCE {
        write_bool(to, info.ultimate)?;
        write_list(to, info.signatures.iter(), |to, signature| write_string(to, signature.as_str()))?;
        write_content_address(to, info.ca.as_ref())?;
    }
    Ok(())
}
