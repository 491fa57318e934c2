//! What outputs of content-addressed derivations turned out to be. Up to Nix 2.34 they are named by the hash of the
//! derivation and sent as JSON; since 2.35, where both sides have the feature, by its path and as plain values.

use std::collections::BTreeSet;
use std::io::{self, Read, Write};

use nars3_store_path::{
    BuildTraceEntry, BuildTraceKey, DrvOutput, Realisation, RealisationError, Signature, StoreDir, StorePath,
};

use super::error::{WireError, excerpt};
use super::value::read_path;
use super::wire::{read_list, read_list_of_up_to, read_number, read_string, write_list, write_string};

/// The minor version since which realisations are sent whole, instead of as the path of the output only (Nix 2.4).
const JSON_SINCE: u64 = 31;

/// Signatures that are believed. Each costs its reader a check.
const MAX_SIGNATURES: usize = 1000;

/// Reads an output that is named by the hash of its derivation.
///
/// # Errors
///
/// [`WireError::BadText`] when it is none.
pub fn read_drv_output(from: &mut impl Read) -> Result<DrvOutput, WireError> {
    let found = read_string(from, "a derivation output")?;
    found.parse().map_err(|error| bad_text("a derivation output", &found, &error))
}

/// Writes an output that is named by the hash of its derivation.
///
/// # Errors
///
/// Those of `to`.
pub fn write_drv_output(to: &mut impl Write, id: &DrvOutput) -> io::Result<()> {
    write_string(to, id.to_string())
}

/// Reads a realisation, as JSON.
///
/// # Errors
///
/// [`WireError::BadText`] when it is none.
pub fn read_realisation(from: &mut impl Read) -> Result<Realisation, WireError> {
    let found = read_string(from, "a realisation")?;
    Realisation::from_json(&found)
        .map_err(|error: RealisationError| bad_text("a realisation", &found, &error))
}

/// Writes a realisation, as JSON.
///
/// # Errors
///
/// Those of `to`.
pub fn write_realisation(to: &mut impl Write, realisation: &Realisation) -> io::Result<()> {
    write_string(to, realisation.to_json())
}

/// Reads the answer to a question for the realisation of `id`: none or one. Where it is only a path (before Nix 2.4),
/// the rest is not known.
///
/// # Errors
///
/// When it is none, or not whole.
pub fn read_realisations_of(
    from: &mut impl Read,
    store_dir: &StoreDir,
    minor: u64,
    id: &DrvOutput,
) -> Result<Option<Realisation>, WireError> {
    // Both forms are sets with at most one element.
    let found: Vec<Realisation> = if minor < JSON_SINCE {
        read_list_of_up_to(from, "realisations of one output", 1, |from| {
            Ok(Realisation::new(id.clone(), read_path(from, store_dir)?))
        })?
    } else {
        read_list_of_up_to(from, "realisations of one output", 1, |from| read_realisation(from))?
    };
    Ok(found.into_iter().next())
}

/// Writes a realisation as one that is to be registered.
///
/// # Errors
///
/// Those of `to`.
pub fn write_registration(to: &mut impl Write, minor: u64, realisation: &Realisation) -> io::Result<()> {
    if minor < JSON_SINCE {
        write_drv_output(to, &realisation.id)?;
        // Without the store directory, unlike everywhere else.
        write_string(to, realisation.out_path.base_name())
    } else {
        write_realisation(to, realisation)
    }
}

/// Reads an output that is named by the path of its derivation.
///
/// # Errors
///
/// When it is none.
pub fn read_build_trace_key(from: &mut impl Read, store_dir: &StoreDir) -> Result<BuildTraceKey, WireError> {
    let drv_path = read_path(from, store_dir)?;
    let name = read_string(from, "the name of an output")?;
    BuildTraceKey::new(drv_path, &name).map_err(|error| bad_text("the name of an output", &name, &error))
}

/// Writes an output that is named by the path of its derivation.
///
/// # Errors
///
/// Those of `to`.
pub fn write_build_trace_key(
    to: &mut impl Write,
    store_dir: &StoreDir,
    key: &BuildTraceKey,
) -> io::Result<()> {
    write_string(to, store_dir.print(&key.drv_path))?;
    write_string(to, key.output_name())
}

/// What an output is, without its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnkeyedRealisation {
    /// Where it is.
    pub out_path: StorePath,
    /// Who vouches for it.
    pub signatures: BTreeSet<Signature>,
}

/// Reads what an output is.
///
/// # Errors
///
/// When it is none.
pub fn read_unkeyed_realisation(
    from: &mut impl Read,
    store_dir: &StoreDir,
) -> Result<UnkeyedRealisation, WireError> {
    let out_path = read_path(from, store_dir)?;
    let signatures = read_list_of_up_to(from, "signatures", MAX_SIGNATURES, |from| {
        Ok(Signature::new(&read_string(from, "a signature")?))
    })?;
    Ok(UnkeyedRealisation { out_path, signatures })
}

/// Writes what an output is.
///
/// # Errors
///
/// Those of `to`.
pub fn write_unkeyed_realisation(
    to: &mut impl Write,
    store_dir: &StoreDir,
    realisation: &UnkeyedRealisation,
) -> io::Result<()> {
    write_string(to, store_dir.print(&realisation.out_path))?;
    write_list(to, realisation.signatures.iter(), |to, signature| write_string(to, signature.as_str()))
}

/// Reads the answer to a question for what `key` is.
///
/// # Errors
///
/// When it is none, or not whole.
pub fn read_build_trace_entry_of(
    from: &mut impl Read,
    store_dir: &StoreDir,
    key: &BuildTraceKey,
) -> Result<Option<BuildTraceEntry>, WireError> {
    match read_number(from)? {
        0 => Ok(None),
        1 => {
            let UnkeyedRealisation { out_path, signatures } = read_unkeyed_realisation(from, store_dir)?;
            let mut entry = BuildTraceEntry::new(key.clone(), out_path);
            entry.signatures = signatures;
            Ok(Some(entry))
        }
        found => Err(WireError::BadNumber { what: "whether there is an answer", expected: "0 or 1", found }),
    }
}

/// Reads an output and what it is.
///
/// # Errors
///
/// When it is none.
pub fn read_build_trace_entry(
    from: &mut impl Read,
    store_dir: &StoreDir,
) -> Result<BuildTraceEntry, WireError> {
    let key = read_build_trace_key(from, store_dir)?;
    let UnkeyedRealisation { out_path, signatures } = read_unkeyed_realisation(from, store_dir)?;
    let mut entry = BuildTraceEntry::new(key, out_path);
    entry.signatures = signatures;
    Ok(entry)
}

/// Writes an output and what it is.
///
/// # Errors
///
/// Those of `to`.
pub fn write_build_trace_entry(
    to: &mut impl Write,
    store_dir: &StoreDir,
    entry: &BuildTraceEntry,
) -> io::Result<()> {
    write_build_trace_key(to, store_dir, &entry.key)?;
    let unkeyed =
        UnkeyedRealisation { out_path: entry.out_path.clone(), signatures: entry.signatures.clone() };
    write_unkeyed_realisation(to, store_dir, &unkeyed)
}

/// Reads pairs of texts.
pub(crate) fn read_text_map(
    from: &mut impl Read,
    what: &'static str,
) -> Result<Vec<(String, String)>, WireError> {
    read_list(from, |from| Ok((read_string(from, what)?, read_string(from, what)?)))
}

fn bad_text(what: &'static str, found: &str, reason: &impl ToString) -> WireError {
    WireError::BadText { what, found: excerpt(found), reason: reason.to_string() }
}
