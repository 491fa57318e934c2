//! The second S3 client: an object store over `rusoto_s3`.
//!
//! rusoto makes the requests and reads the answers. All between is ours: requests go through a dispatcher of this crate,
//! on the same HTTP client as object_store's. What rusoto 0.48 cannot say (conditions on writes, checksums, hosts of
//! buckets, regions that are younger than it) is added there, and what would make it panic, hang or report a success
//! that is none is kept from it.
//!
//! - `bucket`: the object store.
//! - `call`: one operation, from the store's words to rusoto's and back.
//! - `dispatcher`: gives what rusoto made to the wire, and signs each attempt.
//! - `draft`: a request before it is signed, with what rusoto cannot say added.
//! - `credentials`: what signs, from the cache that all clients share.
//! - `response`, `document`: answers, made harmless for rusoto.
//! - `failure`: why there is no good answer.
//! - `read`, `write`, `multipart`, `list`, `delete`, `metadata`: the operations.

mod bucket;
mod call;
mod credentials;
mod delete;
mod dispatcher;
mod document;
mod draft;
mod failure;
mod list;
mod metadata;
mod multipart;
mod read;
mod response;
mod write;

pub(crate) use bucket::RusotoBucket;
