//! The cache over real object stores: what it writes, what it reads, and what it refuses.

mod faults;
mod layout;
mod round_trip;
mod support;
mod tampering;
