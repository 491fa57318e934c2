//! What is below both S3 clients: the HTTP client, and all that happens to a request between the client that made it and the
//! network.
//!
//! - `client`: the HTTP client, from the settings.
//! - `service`: the seam of object_store's client. (rusoto's is its dispatcher.)
//! - `draft`: a request before it is signed.
//! - `target`: host and region of the bucket.
//! - `send`: a request, from its first attempt to its last.
//! - `policy`: which failures are worth another attempt, and when.
//! - `pace`: how fast to ask.
//! - `exchange`: one attempt, over the network.
//! - `body`: the body of an object, taken up again where it breaks off.
//! - `proof`: whether the contents of an object are what the answer says.
//! - `document`: XML documents of successes, which may be errors.
//! - `page`: pages of listings, without the names that cannot be addressed.
//! - `deletion`: many objects deleted with one request, and where there is no such request.
//! - `special`: refusals that are not the last word.
//! - `answer`, `transport_error`: what went wrong, as it travels through object_store's errors.
//! - `xml`: as much of XML as these documents have.
//! - `operation`: which operation of S3 a request is.

mod answer;
mod body;
mod client;
mod deletion;
mod document;
mod draft;
mod exchange;
mod operation;
mod pace;
mod page;
mod policy;
mod proof;
mod send;
mod service;
mod special;
mod target;
mod transport_error;
mod xml;

pub(crate) use answer::Answer;
pub(crate) use client::{Connector, client_builder, client_identity};
#[cfg(feature = "rusoto")]
pub(crate) use document::root_of;
#[cfg(feature = "rusoto")]
pub(crate) use draft::{CHECKSUM_MODE, Draft, HASH_INLINE, Headers, LIST_NOTHING, ReadMethod, is_of_reads};
pub(crate) use exchange::{Progress, watched};
pub use operation::Operation;
#[cfg(feature = "rusoto")]
pub(crate) use send::Wire;
pub(crate) use target::Target;
pub(crate) use transport_error::{TransportError, TransportErrorKind};
pub(crate) use xml::element;
