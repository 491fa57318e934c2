//! The body of an object on its way: counted, and taken up again where it broke off, from the very same object.

use std::ops::Range;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt, TryStreamExt};
use http_body::{Body, Frame};
use object_store::HeaderMap;
use object_store::client::{HttpError, HttpResponseBody};
use tracing::{Instrument, Span};

use super::TransportErrorKind;
use super::draft::{Draft, ReadMethod};
use super::exchange::{Chunks, Exchanged};
use super::policy::{self, Tries, Verdict};
use super::send::{Outcome, Wire};
use super::transport_error::Break;

/// An attempt that brought fewer bytes than this counts as fruitless: a line that drips must come to an end as well.
const FRUITFUL: u64 = 16 << 10;

/// Wraps the body of a GET's answer, of a request that was begun then and took so many attempts.
pub(super) fn resuming(
    wire: &Arc<Wire>,
    draft: &Arc<dyn Draft>,
    exchanged: &mut Exchanged,
    begun: Instant,
    attempts: u32,
) -> Chunks {
    let chunks = std::mem::replace(&mut exchanged.chunks, stream::empty().boxed());
    let mut tally = Tally { wire: Arc::clone(wire), span: Span::current(), bytes: 0 };
    let Some(rest) = announced(&exchanged.headers) else {
        return chunks.inspect_ok(move |chunk| tally.add(chunk)).boxed();
    };
    let e_tag = header(&exchanged.headers, "etag").filter(|tag| tag.starts_with('"')).map(str::to_owned);
    let reading = Reading {
        draft: Arc::clone(draft),
        begun,
        attempts,
        e_tag,
        fruitless: 0,
        taken_up_at: rest.start,
        rest,
        chunks,
        tally,
        wire: Arc::clone(wire),
    };
    stream::try_unfold(Some(reading), |reading| async move {
        let Some(mut reading) = reading else { return Ok(None) };
        match reading.next().await? {
            Some(chunk) => Ok(Some((chunk, Some(reading)))),
            None => Ok(None),
        }
    })
    .boxed()
}

/// Counts what comes, and keeps the request's span open until all has come, or nobody wants it any more.
struct Tally {
    wire: Arc<Wire>,
    span: Span,
    bytes: u64,
}

impl Tally {
    fn add(&mut self, chunk: &Bytes) {
        self.bytes += chunk.len() as u64;
        self.wire.stats.received(chunk.len() as u64);
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        self.span.record("bytes", self.bytes);
    }
}

/// The bytes that an answer announces, by their place in the object.
pub(super) fn announced(headers: &HeaderMap) -> Option<Range<u64>> {
    match header(headers, "content-range") {
        Some(text) => content_range(text).map(|(range, _)| range),
        None => header(headers, "content-length")?.parse().ok().map(|length| 0..length),
    }
}

/// Reads `bytes 0-9/100`: the bytes that come, and the size of the object.
pub(super) fn content_range(text: &str) -> Option<(Range<u64>, u64)> {
    let (range, size) = text.trim().strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
    let (size, end) = (size.parse().ok()?, last.checked_add(1)?);
    (first < end && end <= size).then_some((first..end, size))
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// A body under way.
struct Reading {
    wire: Arc<Wire>,
    draft: Arc<dyn Draft>,
    /// When the first attempt at the request began.
    begun: Instant,
    /// Attempts so far.
    attempts: u32,
    e_tag: Option<String>,
    /// The bytes that are still to come.
    rest: Range<u64>,
    chunks: Chunks,
    tally: Tally,
    /// Attempts that brought next to nothing.
    fruitless: u32,
    /// Where the chunks began.
    taken_up_at: u64,
}

impl Reading {
    async fn next(&mut self) -> Result<Option<Bytes>, HttpError> {
        loop {
            let broken = match self.chunks.next().await {
                Some(Ok(chunk)) if chunk.is_empty() => continue,
                Some(Ok(chunk)) => {
                    let length = chunk.len() as u64;
                    if length > self.rest.end - self.rest.start {
                        let reason = "the body is longer than the answer said".to_owned();
                        return Err(self.error(Break::of_answer(TransportErrorKind::Unreadable, reason)));
                    }
                    self.rest.start += length;
                    self.tally.add(&chunk);
                    return Ok(Some(chunk));
                }
                // What breaks behind the last byte breaks nothing.
                None | Some(Err(_)) if self.rest.is_empty() => return Ok(None),
                None => Break::of_answer(TransportErrorKind::Broken, "the body ended early".to_owned()),
                Some(Err(error)) => Break::of(error),
            };
            self.resume(broken).await?;
        }
    }

    fn error(&self, broken: Break) -> HttpError {
        self.wire.failed(broken, &*self.draft, self.attempts, self.begun.elapsed())
    }

    /// Asks for the rest, until it comes or has been asked for often enough without success.
    async fn resume(&mut self, mut broken: Break) -> Result<(), HttpError> {
        if self.rest.start - self.taken_up_at >= FRUITFUL {
            self.fruitless = 0;
        }
        let Some(e_tag) = self.e_tag.clone() else { return Err(self.error(broken)) };
        let wire = Arc::clone(&self.wire);
        let (mut verdict, mut retry_after, mut renewed) = (policy::of_break(broken.kind), None, false);
        loop {
            self.fruitless += 1;
            let tries = Tries::since(self.begun, self.fruitless, &wire.settings.transfer);
            let Some(delay) = tries.delay(verdict, retry_after) else {
                return Err(self.error(broken));
            };
            tracing::debug!(
                key = self.draft.key(),
                position = self.rest.start,
                "taking up a broken body again"
            );
            tokio::time::sleep(delay).await;
            self.attempts += 1;
            self.tally.span.record("attempts", self.attempts);
            wire.stats.resumed();
            let range = format!("bytes={}-{}", self.rest.start, self.rest.end - 1);
            let draft = self.draft.read(ReadMethod::Get, &[("range", range), ("if-match", e_tag.clone())]);
            let attempt = async { wire.attempt(&*draft, &wire.target()).await };
            match attempt.instrument(self.tally.span.clone()).await? {
                Outcome::Done(exchanged) => {
                    // A server that ignores conditions must not make one object out of two.
                    let same = header(&exchanged.headers, "etag") == Some(e_tag.as_str());
                    if !same
                        || exchanged.status.as_u16() != 206
                        || announced(&exchanged.headers).as_ref() != Some(&self.rest)
                    {
                        return Err(self.error(broken));
                    }
                    self.taken_up_at = self.rest.start;
                    self.chunks = exchanged.chunks;
                    return Ok(());
                }
                Outcome::Broken(error) => {
                    (verdict, retry_after) = (policy::of_break(error.kind), None);
                    broken = error;
                }
                Outcome::Refused(refusal) => {
                    // Replaced, gone or forbidden meanwhile, or not now.
                    let reason = format!("the rest was refused: {}", refusal.answer.in_words());
                    broken = Break::of_answer(TransportErrorKind::Broken, reason);
                    (verdict, retry_after) = (policy::of_refusal(&refusal.answer), refusal.retry_after);
                    if verdict == Verdict::Expired && !renewed {
                        // The cache has forgotten them.
                        (verdict, renewed) = (Verdict::Passing, true);
                    }
                }
            }
        }
    }
}

/// Chunks, as a response's body. Nobody polls it from two threads at once, which the lock makes plain.
struct Streamed(Mutex<BoxStream<'static, Result<Bytes, HttpError>>>);

/// A body of chunks.
pub(super) fn streamed(chunks: Chunks) -> HttpResponseBody {
    HttpResponseBody::new(Streamed(Mutex::new(chunks)))
}

impl Body for Streamed {
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, HttpError>>> {
        let chunks = self.0.get_mut().unwrap_or_else(std::sync::PoisonError::into_inner);
        Pin::new(chunks).poll_next(context).map(|chunk| chunk.map(|chunk| chunk.map(Frame::data)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn announcements_are_read_and_checked() {
        let read = |name: &'static str, value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, value.parse().unwrap());
            announced(&headers)
        };
        assert_eq!(read("content-length", "10"), Some(0..10));
        assert_eq!(read("content-range", "bytes 5-9/100"), Some(5..10));
        for wrong in ["bytes 9-5/100", "bytes 0-100/100", "bytes 0-9/*", "bytes 0-18446744073709551615/1"] {
            assert_eq!(read("content-range", wrong), None, "{wrong}");
        }
        assert_eq!(read("content-length", "many"), None);
    }
}
