//! End to end: the real `nars3` command, real S3 servers, real Nix. One binary, one module for each promise, and a fresh
//! bucket for each test.

mod add;
mod budget;
mod cache_directory;
mod concurrent;
mod content_addressed;
mod copy_options;
mod delete;
mod doctor;
mod ends;
mod faults;
mod forged_ca;
mod incremental;
mod interrupt;
mod kill;
mod looking;
mod manual;
mod matrix;
mod memory;
mod midway;
mod nar_command;
mod nix_reads;
mod path_info;
mod policies;
mod pull;
mod push;
mod readme;
mod refuse;
mod refuse_everywhere;
mod remembered;
mod resume;
mod rules;
#[path = "../../../crates/s3-transport/tests/suite/support/scripted.rs"]
#[allow(dead_code, clippy::unwrap_used, reason = "shared with the tests of the S3 clients")]
mod scripted;
mod secret_key;
mod server;
mod setup;
mod store_settings;
mod this_machine;
mod upstream;
mod verify;
