//! What can be asked for, and what became of it.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::time::Duration;

use nars3_store_path::{Realisation, StoreDir, StorePath};

use super::error::{WireError, excerpt};
use super::handshake::Agreement;
use super::realisation::{
    UnkeyedRealisation, read_text_map, read_unkeyed_realisation, write_unkeyed_realisation,
};
use super::wire::{
    read_bool, read_bytes, read_list, read_number, read_string, write_bool, write_list, write_number,
    write_string,
};

/// The minor version since which a derivation can be asked for as a file (Nix 2.4). Before, its name means its
/// outputs.
const DERIVATIONS_AS_FILES_SINCE: u64 = 30;
/// The minor version since which a result says how often and when something was built.
const TIMES_SINCE: u64 = 29;
/// The minor version since which a result names the outputs.
const OUTPUTS_SINCE: u64 = 28;
/// The minor version since which a result says how much processor time it took.
const PROCESSOR_TIME_SINCE: u64 = 37;

/// How thoroughly something is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BuildMode {
    /// If it is not there.
    Normal,
    /// If it is not there as it should be.
    Repair,
    /// Again, to compare.
    Check,
}

/// Reads how thoroughly something is built.
///
/// # Errors
///
/// When it is none of the three.
pub fn read_build_mode(from: &mut impl Read) -> Result<BuildMode, WireError> {
    match read_number(from)? {
        0 => Ok(BuildMode::Normal),
        1 => Ok(BuildMode::Repair),
        2 => Ok(BuildMode::Check),
        found => Err(WireError::BadNumber { what: "the build mode", expected: "0, 1 or 2", found }),
    }
}

/// Writes how thoroughly something is built.
///
/// # Errors
///
/// Those of `to`.
pub fn write_build_mode(to: &mut impl Write, mode: BuildMode) -> io::Result<()> {
    let number = match mode {
        BuildMode::Normal => 0,
        BuildMode::Repair => 1,
        BuildMode::Check => 2,
    };
    write_number(to, number)
}

/// Outputs of a derivation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outputs {
    /// All of them.
    All,
    /// Those of these names.
    Names(Vec<String>),
}

/// Something that can be asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DerivedPath {
    /// A store path, as it is.
    Opaque(StorePath),
    /// Outputs of a derivation.
    Built {
        /// The derivation.
        drv_path: StorePath,
        /// Which of its outputs.
        outputs: Outputs,
    },
}

/// Reads something that is asked for of a side that speaks 1.`minor`.
///
/// # Errors
///
/// [`WireError::BadPath`] when it does not begin with a store path.
pub fn read_derived_path(
    from: &mut impl Read,
    store_dir: &StoreDir,
    minor: u64,
) -> Result<DerivedPath, WireError> {
    let found = read_string(from, "a derived path")?;
    let (path, outputs) = match found.split_once('!') {
        Some((path, "*")) => (path, Some(Outputs::All)),
        Some((path, names)) => (path, Some(Outputs::Names(names.split(',').map(str::to_owned).collect()))),
        None => (found.as_str(), None),
    };
    let path =
        store_dir.parse(path).map_err(|source| WireError::BadPath { found: excerpt(&found), source })?;
    let outputs = match outputs {
        None if minor < DERIVATIONS_AS_FILES_SINCE && path.is_derivation() => Some(Outputs::All),
        outputs => outputs,
    };
    Ok(match outputs {
        Some(outputs) => DerivedPath::Built { drv_path: path, outputs },
        None => DerivedPath::Opaque(path),
    })
}

/// Writes something that is asked for of a side that speaks 1.`minor`.
///
/// # Errors
///
/// Those of `to`, and `InvalidInput` for a derivation as a file where the other side takes its name for its outputs.
pub fn write_derived_path(
    to: &mut impl Write,
    store_dir: &StoreDir,
    minor: u64,
    wanted: &DerivedPath,
) -> io::Result<()> {
    let names_mean_outputs = minor < DERIVATIONS_AS_FILES_SINCE;
    let text = match wanted {
        DerivedPath::Opaque(path) if names_mean_outputs && path.is_derivation() => {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("a nix-daemon older than Nix 2.4 cannot be asked for the derivation '{path}' itself"),
            ));
        }
        DerivedPath::Opaque(path) => store_dir.print(path),
        DerivedPath::Built { drv_path, outputs: Outputs::All } if names_mean_outputs => {
            store_dir.print(drv_path)
        }
        DerivedPath::Built { drv_path, outputs: Outputs::All } => format!("{}!*", store_dir.print(drv_path)),
        DerivedPath::Built { drv_path, outputs: Outputs::Names(names) } => {
            format!("{}!{}", store_dir.print(drv_path), names.join(","))
        }
    };
    write_string(to, text)
}

/// How something ended. The numbers are those of the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
#[expect(missing_docs, reason = "Nix's own words")]
pub enum BuildStatus {
    Built = 0,
    Substituted = 1,
    AlreadyValid = 2,
    PermanentFailure = 3,
    InputRejected = 4,
    OutputRejected = 5,
    TransientFailure = 6,
    CachedFailure = 7,
    TimedOut = 8,
    MiscFailure = 9,
    DependencyFailed = 10,
    LogLimitExceeded = 11,
    NotDeterministic = 12,
    ResolvesToAlreadyValid = 13,
    NoSubstituters = 14,
}

const STATUSES: [BuildStatus; 15] = {
    use BuildStatus::*;
    [
        Built,
        Substituted,
        AlreadyValid,
        PermanentFailure,
        InputRejected,
        OutputRejected,
        TransientFailure,
        CachedFailure,
        TimedOut,
        MiscFailure,
        DependencyFailed,
        LogLimitExceeded,
        NotDeterministic,
        ResolvesToAlreadyValid,
        NoSubstituters,
    ]
};

/// The outputs that a result names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BuiltOutputs {
    /// None, or the protocol is too old to say.
    Unknown,
    /// By the hash of the derivation.
    ByHash(Vec<Realisation>),
    /// By name, where both sides have the feature.
    ByName(BTreeMap<String, UnkeyedRealisation>),
}

/// What became of something that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildResult {
    /// How it ended.
    pub status: BuildStatus,
    /// Why, where it failed. As the daemon writes it.
    pub error_message: String,
    /// How often it was built.
    pub times_built: u64,
    /// Whether building it again gave something else.
    pub is_non_deterministic: bool,
    /// When building began, in seconds since 1970; 0 where nothing was built.
    pub start_time: u64,
    /// When building ended.
    pub stop_time: u64,
    /// Processor time in user mode, where it is known.
    pub cpu_user: Option<Duration>,
    /// Processor time in the kernel, where it is known.
    pub cpu_system: Option<Duration>,
    /// What was built.
    pub outputs: BuiltOutputs,
}

/// Reads what became of something.
///
/// # Errors
///
/// When a field has no value of the protocol.
pub fn read_build_result(
    from: &mut impl Read,
    store_dir: &StoreDir,
    agreement: &Agreement,
) -> Result<BuildResult, WireError> {
    let minor = agreement.minor;
    let number = read_number(from)?;
    let status = usize::try_from(number).ok().and_then(|place| STATUSES.get(place)).copied();
    let status = status.ok_or(WireError::BadNumber {
        what: "the status of a build",
        expected: "less than 15",
        found: number,
    })?;
    let error_message = String::from_utf8_lossy(&read_bytes(from, "an error")?).into_owned();
    let mut result = BuildResult {
        status,
        error_message,
        times_built: 0,
        is_non_deterministic: false,
        start_time: 0,
        stop_time: 0,
        cpu_user: None,
        cpu_system: None,
        outputs: BuiltOutputs::Unknown,
    };
    if minor >= TIMES_SINCE {
        result.times_built = read_number(from)?;
        result.is_non_deterministic = read_bool(from)?;
        result.start_time = read_number(from)?;
        result.stop_time = read_number(from)?;
    }
    if minor >= PROCESSOR_TIME_SINCE {
        result.cpu_user = read_optional_duration(from)?;
        result.cpu_system = read_optional_duration(from)?;
    }
    if agreement.features.realisation_with_path {
        result.outputs = BuiltOutputs::ByName(read_list(from, |from| {
            Ok((read_string(from, "the name of an output")?, read_unkeyed_realisation(from, store_dir)?))
        })?);
    } else if minor >= OUTPUTS_SINCE {
        let texts = read_text_map(from, "a realisation")?;
        let realisations: Result<_, _> = texts
            .iter()
            .map(|(_id, json)| {
                Realisation::from_json(json).map_err(|error| WireError::BadText {
                    what: "a realisation",
                    found: excerpt(json),
                    reason: error.to_string(),
                })
            })
            .collect();
        result.outputs = BuiltOutputs::ByHash(realisations?);
    }
    Ok(result)
}

/// Writes what became of something.
///
/// # Errors
///
/// Those of `to`.
pub fn write_build_result(
    to: &mut impl Write,
    store_dir: &StoreDir,
    agreement: &Agreement,
    result: &BuildResult,
) -> io::Result<()> {
    let minor = agreement.minor;
    write_number(to, result.status as u64)?;
    write_string(to, &result.error_message)?;
    if minor >= TIMES_SINCE {
        write_number(to, result.times_built)?;
        write_bool(to, result.is_non_deterministic)?;
        write_number(to, result.start_time)?;
        write_number(to, result.stop_time)?;
    }
    if minor >= PROCESSOR_TIME_SINCE {
        write_optional_duration(to, result.cpu_user)?;
        write_optional_duration(to, result.cpu_system)?;
    }
    match &result.outputs {
        _ if minor < OUTPUTS_SINCE => Ok(()),
        BuiltOutputs::Unknown => write_number(to, 0),
        BuiltOutputs::ByHash(realisations) => write_list(to, realisations.iter(), |to, realisation| {
            write_string(to, realisation.id.to_string())?;
            write_string(to, realisation.to_json())
        }),
        BuiltOutputs::ByName(outputs) => write_list(to, outputs.iter(), |to, (name, realisation)| {
            write_string(to, name)?;
            write_unkeyed_realisation(to, store_dir, realisation)
        }),
    }
}

fn read_optional_duration(from: &mut impl Read) -> Result<Option<Duration>, WireError> {
    match read_number(from)? {
        0 => Ok(None),
        1 => Ok(Some(Duration::from_micros(read_number(from)?))),
        found => Err(WireError::BadNumber { what: "whether there is a duration", expected: "0 or 1", found }),
    }
}

fn write_optional_duration(to: &mut impl Write, duration: Option<Duration>) -> io::Result<()> {
    write_bool(to, duration.is_some())?;
    match duration {
        Some(duration) => write_number(to, u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)),
        None => Ok(()),
    }
}
