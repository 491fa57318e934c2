//! Stores as programs open them: against real S3 servers, and against scripted ones that show what AWS does and what
//! breaks.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may panic")]

mod addressing;
mod bodies;
mod client_certificate;
mod conformance;
mod credentials;
mod deletion;
mod errors;
mod faults;
mod heads;
mod listings;
mod needs;
mod requests;
mod retries;
#[cfg(feature = "rusoto")]
mod rusoto;
mod server_copy;
mod support;
mod tls;
mod web;
