//! The agreement on a version of the protocol.

use std::collections::BTreeSet;
use std::io::{Read, Write};

use super::error::WireError;
use super::value::read_trusted;
use super::wire::{read_list, read_number, read_string, write_bool, write_list, write_number, write_string};

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

/// What was agreed on, and what the daemon says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Agreement {
    /// The minor version that both sides speak; the major one is 1.
    pub(crate) minor: u64,
    /// The daemon's features. None is used here.
    pub(crate) features: BTreeSet<String>,
    /// The version of the daemon's Nix.
    pub(crate) daemon_version: Option<String>,
    /// Whether the daemon lets us do what it forbids to others.
    pub(crate) trusted: Option<bool>,
}

/// Shakes hands. What follows is the daemon's first message.
pub(crate) fn shake_hands(from: &mut impl Read, to: &mut impl Write) -> Result<Agreement, WireError> {
    write_number(to, CLIENT_MAGIC)?;
    write_number(to, MAJOR << 8 | NEWEST)?;
    to.flush()?;
    match read_number(from)? {
        DAEMON_MAGIC => {}
        found => {
            return Err(WireError::BadNumber {
                what: "the greeting",
                expected: "that of a nix-daemon",
                found,
            });
        }
    }
    let version = read_number(from)?;
    let (major, minor) = (version >> 8, version & 0xff);
    if major != MAJOR || minor < OLDEST {
        return Err(WireError::Version { major, minor });
    }
    let minor = minor.min(NEWEST);
    let mut features = BTreeSet::new();
    if minor >= FEATURES_SINCE {
        let ours: [&str; 0] = [];
        write_list(to, ours.into_iter(), write_string)?;
        to.flush()?;
        features = read_list(from, |from| read_string(from, "a feature"))?;
    }
    // A CPU to run on, and whether to reserve disk space: daemons no longer care.
    write_number(to, 0)?;
    write_bool(to, false)?;
    to.flush()?;
    let (daemon_version, trusted) = read_daemon_info(from, minor)?;
    Ok(Agreement { minor, features, daemon_version, trusted })
}

/// Reads what the daemon says of itself: its version, and whether it trusts us.
pub(crate) fn read_daemon_info(
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
            write_list(bytes, ["new"].into_iter(), write_string).expect("into memory");
            write_string(bytes, "9.9").expect("into memory");
            write_number(bytes, 2).expect("into memory");
        });
        let agreement = shake_hands(&mut from.as_slice(), &mut Vec::new()).expect("agreed");
        assert_eq!(agreement.minor, NEWEST);
        assert_eq!(agreement.features, ["new".to_owned()].into());
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
