//! A store behind a nix-daemon, for those who may not touch the store themselves: the client side of the worker
//! protocol over a Unix socket.
//!
//! | module | job |
//! |---|---|
//! | `socket` | a socket that can be given up while somebody waits for it |
//! | `connection` | one connection: questions and their answers |
//! | `connection::add` | paths and logs towards the daemon |
//! | `pool` | several connections |
//! | `waiting` | small paths on their way, sent together |
//! | `options` | how the daemon is reached |
//! | `shared` | what all requests share: connections, temporary roots |
//! | `sending` | paths on their way to the daemon |
//! | `store` | `DaemonStore`: the `Store` trait |
//! | `queries` | what only a `DaemonStore` answers |

pub(crate) mod connection;
pub(crate) mod options;
pub(crate) mod pool;
pub(crate) mod queries;
pub(crate) mod sending;
pub(crate) mod shared;
pub(crate) mod socket;
pub(crate) mod store;
pub(crate) mod waiting;

pub use options::DaemonStoreOptions;
pub use queries::Missing;
pub use store::DaemonStore;
