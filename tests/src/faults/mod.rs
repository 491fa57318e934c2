//! An HTTP proxy before an S3 server that does to requests and answers what networks, proxies and servers do to them.
//!
//! Without rules it passes everything on. A rule says which requests it is about, how many of them, and what happens to
//! these. The proxy reads whole requests and whole answers, so it can damage exactly the byte that a test names, and no
//! test has to wait for a clock.

mod fault;
mod http;
mod proxy;

pub use self::fault::{Answer, Fault};
pub use self::http::Request;
pub use self::proxy::{FaultProxy, Seen};
