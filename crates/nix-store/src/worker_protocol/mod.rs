//! Nix's worker protocol, as a client speaks it: what the bytes mean, over anything that reads and writes. It holds no
//! socket and asks for nothing by itself.
//!
//! | module | job |
//! |---|---|
//! | `wire` | numbers, strings and lists as they are on the wire |
//! | `value` | store paths, path infos and other values of Nix |
//! | `realisation` | what outputs of content-addressed derivations turned out to be, in both of Nix's forms |
//! | `build` | what can be asked to be built, and what became of it |
//! | `message` | what a daemon says while it works: log lines, activities, errors, requests for data |
//! | `handshake` | the agreement on a version and on features |
//! | `framed` | data of unknown length towards the daemon |
//! | `error` | what can go wrong |
//!
//! The other side is a stranger: whatever it sends is a value or an error, and memory is spent only on bytes that have
//! arrived.
//!
//! Source: `worker-protocol*.cc`, `remote-store.cc` and `daemon.cc` of Nix 2.3 (protocol 1.21), 2.8 (1.34), 2.29 (1.38)
//! and of August 2026 (1.38 with features). Nix raises the number no more: what is new is a feature.

pub mod build;
pub mod error;
pub mod framed;
pub mod handshake;
pub mod message;
pub mod realisation;
pub mod value;
pub mod wire;

#[cfg(test)]
mod hostile;
#[cfg(test)]
mod vectors;

pub use error::{DaemonError, RemoteError, WireError};
