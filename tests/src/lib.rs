//! Support for the end-to-end tests of nars3: S3 servers, real Nix, and the `nars3` command itself, each in a clean room.
//!
//! The tests are in `tests/e2e`, one binary with a module for each promise. Two small programs share this library:
//! `nars3-demo-server` (the in-process S3 server behind `cargo xtask demo`) and `nars3-bench` (behind `cargo xtask bench`).
//!
//! ```
//! use nars3_tests::server::{Access, S3Server, ServerKind, Settings};
//!
//! let server = S3Server::start_kind(&ServerKind::Embedded, &Settings::default())?;
//! let bucket = server.fresh_bucket()?;
//! bucket.put("nix-cache-info", b"StoreDir: /nix/store\n")?;
//! bucket.allow_anonymous(Access::Read)?;
//! assert_eq!(bucket.keys()?, ["nix-cache-info"]);
//! # anyhow::Ok(())
//! ```
//!
//! - `require`: skip loudly, or fail where `NARS3_REQUIRE` says so
//! - `server`: MinIO, SeaweedFS, an embedded server, or one that is given by URL; buckets with raw objects and anonymous access
//! - `nix`: real Nix with its own configuration, and chroot stores
//! - `daemon`: a real nix-daemon over a chroot store
//! - `closure`: the closure that the tests send around
//! - `nars3`: the command under test, in a home of its own
//! - `audit`: is what lies in a bucket a valid binary cache?
//! - `faults`: an HTTP proxy that does to requests and answers what networks do
//! - `stall`: a TCP proxy that stops in the middle of an upload
//! - `synthetic`: closures made out of nothing, as caches in a directory
//! - `memory`: the peak resident memory of a child process
//! - `tree`: two file trees, compared byte by byte

pub mod audit;
pub mod closure;
pub mod daemon;
pub mod faults;
mod http;
pub mod memory;
pub mod nars3;
pub mod nix;
pub mod process;
pub mod require;
pub mod server;
mod sigv4;
pub mod stall;
pub mod synthetic;
pub mod tree;
