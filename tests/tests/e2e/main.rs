//! End to end: the real `nars3` command, real S3 servers, real Nix. One binary, one module for each promise, and a fresh
//! bucket for each test.

mod add;
mod budget;
mod cache_directory;
mod concurrent;
mod copy_options;
mod ends;
mod faults;
mod incremental;
mod interrupt;
mod manual;
mod matrix;
mod memory;
mod midway;
mod pull;
mod push;
mod readme;
mod refuse;
mod refuse_everywhere;
mod resume;
mod secret_key;
mod server;
mod setup;
mod this_machine;
mod verify;
