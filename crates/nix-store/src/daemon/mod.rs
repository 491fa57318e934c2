//! The client side of Nix's worker protocol: a store behind a nix-daemon, for those who may not touch the store
//! themselves.
//!
//! | module | job |
//! |---|---|
//! | `wire` | numbers, strings and lists as they are on the wire |
//! | `value` | path infos and other values of Nix |
//! | `message` | what a daemon says while it works: log lines, activities, errors, requests for data |
//! | `handshake` | the agreement on a version |
//! | `connection` | one connection: requests and their replies |
//! | `framed` | data of unknown length towards the daemon |
//! | `pool` | several connections |
//! | `store` | `DaemonStore`: the `Store` trait |
//!
//! Source: `worker-protocol*.cc`, `remote-store.cc` and `daemon.cc` of Nix 2.3 (protocol 1.21), 2.8 (1.34), 2.29 (1.38)
//! and of August 2026 (1.38, with features, none of which is needed here).

pub(crate) mod connection;
pub(crate) mod error;
pub(crate) mod framed;
pub(crate) mod handshake;
pub(crate) mod message;
pub(crate) mod pool;
pub(crate) mod store;
pub(crate) mod value;
pub(crate) mod wire;

#[cfg(test)]
mod hostile;
#[cfg(test)]
mod vectors;

pub use error::{DaemonError, RemoteError, WireError};
pub use store::{DaemonStore, DaemonStoreOptions};
