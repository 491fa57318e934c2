//! What can go wrong on the way.

use std::time::Duration;

/// What happens to one request.
#[derive(Clone, Debug)]
pub enum Fault {
    /// The connection is reset before anybody has read the request.
    Reset,
    /// The connection is reset after so many bytes of the request's body.
    ResetRequest {
        /// Bytes of the body that are read.
        after: usize,
    },
    /// The server does its work, and the connection is reset before the answer.
    LoseAnswer,
    /// The server does its work, and this is what the client hears instead.
    ReplaceAnswer(Answer),
    /// The server is not asked; this is the answer.
    Answer(Answer),
    /// Nobody answers, until the proxy is dropped.
    Stall,
    /// So many bytes of the answer's body come, and nothing more, until the proxy is dropped.
    StallAnswer {
        /// Bytes of the body that come.
        after: usize,
    },
    /// So many bytes of the answer's body come, then the connection is reset.
    ResetAnswer {
        /// Bytes of the body that come.
        after: usize,
    },
    /// So many bytes of the answer's body come, then the connection ends as if that were all.
    Truncate {
        /// Bytes of the body that come.
        after: usize,
        /// Whether the header says that there are no more.
        announced: bool,
    },
    /// A byte of the answer's body is changed.
    Corrupt {
        /// Its place.
        at: usize,
    },
    /// A byte of the request's body is changed before it reaches the server.
    CorruptRequest {
        /// Its place.
        at: usize,
    },
    /// The request reaches the server after a pause.
    Slow {
        /// The pause.
        pause: Duration,
    },
    /// The request reaches the server twice; the second answer counts.
    Duplicate,
    /// The server sees the request as one of an hour ago.
    Late,
    /// That an object is not there is answered as AWS answers whom it does not let list the bucket: access denied.
    DenyAbsent,
    /// The answer's body comes in pieces, with a pause before each.
    Drip {
        /// Bytes of a piece.
        piece: usize,
        /// The pause.
        pause: Duration,
    },
}

/// An answer that no server gave.
#[derive(Clone, Debug)]
pub struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Answer {
    /// An answer with this body.
    #[must_use]
    pub fn new(status: u16, body: &str) -> Self {
        Self { status, headers: Vec::new(), body: body.as_bytes().to_vec() }
    }

    /// S3's document for an error; with 200 it is one of those that began well.
    #[must_use]
    pub fn error(status: u16, code: &str) -> Self {
        let xml = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>injected</Message></Error>"
        );
        Self::new(status, &xml).with("x-amz-request-id", "INJECTED")
    }

    /// The same with a header.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }
}
