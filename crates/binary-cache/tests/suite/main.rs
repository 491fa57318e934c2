//! The cache over real object stores: what it writes, what it reads, and what it refuses.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "helpers of tests are tests, which clippy's settings do not see"
)]

mod ahead;
mod deletion;
mod deletion_meanwhile;
mod double;
mod faults;
mod faulty;
mod layout;
mod listing;
mod looking;
mod memory;
mod nix;
mod packed;
mod realisations;
mod remembered;
mod round_trip;
mod server_copy;
mod signing;
mod support;
mod tampering;
mod unreadable;
mod web_server;
