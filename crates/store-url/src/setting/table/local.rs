//! Settings of the stores on this machine.

use super::{Origin, Range, Setting, StoreType, UNSIGNED, Unit, row};
use crate::setting::Origin::{Nix2_29, NixHead};
use crate::setting::slot::{of_kind, slot};
use crate::store_url::StoreKind;

/// The local store itself, and `auto`, which may turn out to be it.
const LOCAL: &[StoreType] = &[StoreType::Local, StoreType::Auto];

const DAEMON: &[StoreType] = &[StoreType::Daemon, StoreType::Auto];

const BOTH: &[StoreType] = &[StoreType::Local, StoreType::Daemon, StoreType::Auto];

macro_rules! local {
    ($field:ident) => {
        of_kind!(local, local_mut, $field)
    };
}

/// A directory that all three have.
macro_rules! directory {
    ($name:literal, $origin:expr, $meaning:literal, $field:ident) => {
        row(
            $name,
            BOTH,
            $origin,
            Range::AbsolutePath,
            $meaning,
            slot!(
                url => match &url.kind {
                    StoreKind::Local(settings) => Some(&settings.$field),
                    StoreKind::Daemon(settings) => Some(&settings.$field),
                    StoreKind::Auto(settings) => Some(&settings.local.$field),
                    _ => None,
                },
                match &mut url.kind {
                    StoreKind::Local(settings) => Some(&mut settings.$field),
                    StoreKind::Daemon(settings) => Some(&mut settings.$field),
                    StoreKind::Auto(settings) => Some(&mut settings.local.$field),
                    _ => None,
                }
            ),
        )
    };
}

const fn flag(name: &'static str, origin: Origin, meaning: &'static str, slot: super::Slot) -> Setting {
    row(name, LOCAL, origin, Range::Boolean, meaning, slot).default("false")
}

pub(super) static ROWS: [Setting; 11] = [
    directory!("root", Nix2_29, "Directory in front of all others: a chroot store.", root),
    directory!("state", Nix2_29, "Directory of the database. Default: `/nix/var/nix` below `root`.", state),
    directory!("log", Nix2_29, "Directory of build logs. Default: `/nix/var/log/nix` below `root`.", log),
    directory!(
        "real",
        Nix2_29,
        "Where the store objects are. Default: `/nix/store` below `root`, else the store directory.",
        real
    ),
    row(
        "build-dir",
        LOCAL,
        NixHead,
        Range::AbsolutePath,
        "Directory where builds happen.",
        local!(build_dir),
    ),
    flag(
        "read-only",
        Nix2_29,
        "Open the database without locks, for a read-only file system.",
        local!(read_only),
    ),
    row(
        "require-sigs",
        LOCAL,
        Nix2_29,
        Range::Boolean,
        "Whether paths copied here need a trusted signature. Default: what `nix.conf` says, else true.",
        local!(require_sigs),
    ),
    flag(
        "ignore-gc-delete-failure",
        NixHead,
        "Let garbage collection go on where a file cannot be deleted.",
        local!(ignore_gc_delete_failure),
    ),
    flag("use-roots-daemon", NixHead, "Ask a daemon for garbage collector roots.", local!(use_roots_daemon)),
    row(
        "max-connections",
        DAEMON,
        Nix2_29,
        Range::Integer { minimum: 1, maximum: i32::MAX as u64 },
        "How many connections to the daemon there may be at once.",
        of_kind!(connections, connections_mut, max_connections),
    )
    .default("1")
    .unit(Unit::Connections),
    row(
        "max-connection-age",
        DAEMON,
        Nix2_29,
        UNSIGNED,
        "After how long a connection to the daemon is closed.",
        of_kind!(connections, connections_mut, max_connection_age),
    )
    .default("4294967295")
    .unit(Unit::Seconds),
];
