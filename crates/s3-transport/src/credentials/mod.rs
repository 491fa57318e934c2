//! Credentials: AWS's chain of providers, asked once at a time, remembered until shortly before they expire.
//!
//! - `chain`: the providers, in order, and what each of them said.
//! - `cache`: one result for all who ask, refreshed before it expires; an error is never remembered.
//! - `registry`: one cache per environment, profile and partition.
//! - `http`: the HTTP client that the providers use, on the same TLS as everything else.
//! - `adapter`: what object_store's client asks.

mod adapter;
mod cache;
mod chain;
mod error;
mod http;
mod registry;

pub(crate) use adapter::Adapter;
pub(crate) use cache::CredentialCache;
pub use cache::CredentialFacts;
#[cfg(feature = "rusoto")]
pub(crate) use cache::Found;
pub use error::{CredentialsError, ProviderAttempt, Refusal};
pub(crate) use registry::{Access, Registry};
