//! The HTTP client under object_store's S3 client: ours, so that redirects, timeouts, authorities and errors are ours.

mod answer;
mod client;
mod operation;
mod service;
mod transport_error;

pub(crate) use answer::Answer;
pub(crate) use client::Connector;
pub use operation::Operation;
pub(crate) use transport_error::{TransportError, TransportErrorKind};
