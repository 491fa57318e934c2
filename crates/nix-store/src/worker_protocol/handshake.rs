//! The agreement on a version of the protocol.

use std::collections::BTreeSet;
use std::io::{Read, Write};

use super::error::WireError;
use super::value::read_trusted;
use super::wire::{
    read_list_of_up_to, read_number, read_string, write_bool, write_list, write_number, write_string,
};

const CLIENT_MAGIC: u64 = 0x6e69_7863;
const DAEMON_MAGIC: u64 = 0x6478_696f;

const MAJOR: u64 = 1;

/// The newest minor version that is spoken here. Nix does not raise it any more: what is new is a feature.
const NEWEST: u64 = 38;

/// The oldest, that of Nix 2.3: from there on, a NAR can be sent at the daemon's own pace.
const OLDEST: u64 = 21;

/// The minor version since which both sides say which features they have.
const FEATURES_SINCE: u64 = 38;

/// The minor version since which the daemon says its own version.
const DAEMON_VERSION_SINCE: u64 = 33;

/// The minor version since which the daemon says whether it trusts us.
const TRUST_SINCE: u64 = 35;

/// Realisations are named by the path of the derivation, instead of by its hash (Nix since 2.35).
const REALISATION_WITH_PATH: &str = "realisation-with-path-not-hash";

/// The daemon takes no options from its clients (inside of a build).
const DISABLE_SET_OPTIONS: &str = "disable-set-options";

/// Features that a list may have, and bytes that a name may have. Nix has five, of at most 32 bytes.
const MAX_FEATURES: usize = 1000;

/// Which of the additions to the protocol both sides have. The others that Nix has published are for whoever deletes
/// paths (`delete-dead-specific-referrers`) or runs inside of a build (`add-to-store-scanning`, `submit-output`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Features {
    /// Realisations are named by the path of the derivation, instead of by its hash.
    pub realisation_with_path: bool,
    /// No options are to be sent.
    pub disable_set_options: bool,
}

impl Features {
    /// All that are known here, as a client offers them.
    pub const OFFERED: [&str; 2] = [DISABLE_SET_OPTIONS, REALISATION_WITH_PATH];

    /// Those that a daemon has, too.
    pub fn agreed(theirs: &BTreeSet<String>) -> Self {
        Self {
            realisation_with_path: theirs.contains(REALISATION_WITH_PATH),
            disable_set_options: theirs.contains(DISABLE_SET_OPTIONS),
        }
    }
}

/// What was agreed on, and what the daemon says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Agreement {
    /// The minor version that both sides speak; the major one is 1.
    pub minor: u64,
    /// The additions that both sides have.
    pub features: Features,
    /// The version of the daemon's Nix, which it says since protocol 1.33.
    pub daemon_version: Option<String>,
    /// Whether the daemon lets us do what it forbids to others, which it says since protocol 1.35.
    pub trusted: Option<bool>,
}

impl Agreement {
    /// An agreement on protocol 1.`minor`, with realisations named by path or not: what the form of values depends on.
    pub fn of(minor: u64, realisation_with_path: bool) -> Self {
        let features = Features { realisation_with_path, ..Features::default() };
        Self { minor, features, daemon_version: None, trusted: None }
    }
}

/// Shakes hands. What follows is the daemon's first message.
///
/// # Errors
///
/// [`WireError::BadNumber`] when the other side is no nix-daemon, [`WireError::Version`] when it is older than Nix 2.3.
pub fn shake_hands(from: &mut impl Read, to: &mut impl Write) -> Result<Agreement, WireError> {
    write_number(to, CLIENT_MAGIC)?;
    write_number(to, MAJOR << 8 | NEWEST)?;
    to.flush()?;
    let (major, minor) = read_greeting(from)?;
    if major != MAJOR || minor < OLDEST {
        return Err(WireError::Version { major, minor });
    }
    let minor = minor.min(NEWEST);
    let mut features = Features::default();
    if minor >= FEATURES_SINCE {
        write_list(to, Features::OFFERED.into_iter(), write_string)?;
        to.flush()?;
        features = Features::agreed(&read_features(from)?);
    }
    // A CPU to run on, and whether to reserve disk space: daemons no longer care.
    write_number(to, 0)?;
    write_bool(to, false)?;
    to.flush()?;
    let (daemon_version, trusted) = read_daemon_info(from, minor)?;
    Ok(Agreement { minor, features, daemon_version, trusted })
}

/// Reads the daemon's greeting: the major and the minor version that it speaks.
///
/// # Errors
///
/// When it does not begin as that of a nix-daemon.
pub fn read_greeting(from: &mut impl Read) -> Result<(u64, u64), WireError> {
    match read_number(from)? {
        DAEMON_MAGIC => {}
        found => {
            let (what, expected) = ("the greeting", "that of a nix-daemon");
            return Err(WireError::BadNumber { what, expected, found });
        }
    }
    let version = read_number(from)?;
    Ok((version >> 8, version & 0xff))
}

fn read_features(from: &mut impl Read) -> Result<BTreeSet<String>, WireError> {
    let features: BTreeSet<String> =
        read_list_of_up_to(from, "features", MAX_FEATURES, |from| read_string(from, "a feature"))?;
    Ok(features)
}

/// Reads what the daemon says of itself: its version, and whether it trusts us.
///
/// # Errors
///
/// When it is none of the values of the protocol.
pub fn read_daemon_info(
    from: &mut impl Read,
    minor: u64,
) -> Result<(Option<String>, Option<bool>), WireError> {
    let version = match minor {
        DAEMON_VERSION_SINCE.. => Some(read_string(from, "the version of the nix-daemon")?),
        _ => None,
    };
    let trusted = match minor {
        TRUST_SINCE.. => read_trusted(from)?,
        _ => None,
    };
    Ok((version, trusted))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn daemon(minor: u64, rest: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let mut bytes = Vec::new();
        write_number(&mut bytes, DAEMON_MAGIC).expect("into memory");
        write_number(&mut bytes, MAJOR << 8 | minor).expect("into memory");
        rest(&mut bytes);
        bytes
    }

    #[test]
    fn an_old_daemon_says_little() {
        let mut sent = Vec::new();
        let agreement = shake_hands(&mut daemon(21, |_| {}).as_slice(), &mut sent).expect("agreed");
        assert_eq!((agreement.minor, agreement.daemon_version, agreement.trusted), (21, None, None));
        assert_eq!(sent.len(), 32, "two greetings and two obsolete numbers");
    }

    #[test]
    fn a_daemon_newer_than_this_is_spoken_to_in_our_version() {
        let from = daemon(99, |bytes| {
            let features = ["new", "realisation-with-path-not-hash"];
            write_list(bytes, features.into_iter(), write_string).expect("into memory");
            write_string(bytes, "9.9").expect("into memory");
            write_number(bytes, 2).expect("into memory");
        });
        let mut sent = Vec::new();
        let agreement = shake_hands(&mut from.as_slice(), &mut sent).expect("agreed");
        assert_eq!(agreement.minor, NEWEST);
        let expected = Features { realisation_with_path: true, disable_set_options: false };
        assert_eq!(agreement.features, expected);
        let offered: Vec<String> =
            read_list_of_up_to(&mut &sent[16..], "features", 9, |from| read_string(from, "a feature"))
                .expect("as written");
        assert_eq!(offered, Features::OFFERED);
        assert_eq!((agreement.daemon_version.as_deref(), agreement.trusted), (Some("9.9"), Some(false)));
    }

    #[test]
    fn what_is_too_old_or_no_daemon_is_refused() {
        let error = shake_hands(&mut daemon(20, |_| {}).as_slice(), &mut Vec::new()).expect_err("too old");
        assert!(matches!(error, WireError::Version { major: 1, minor: 20 }));
        let error = shake_hands(&mut b"HTTP/1.1 400 Bad".as_slice(), &mut Vec::new()).expect_err("no daemon");
        assert!(matches!(error, WireError::BadNumber { what: "the greeting", .. }));
    }
}
