//! What can go wrong: when a store is opened, and when it is used.

mod classify;
mod open;
mod request;

pub use open::S3OpenError;
pub use request::{S3Error, S3ErrorKind};
