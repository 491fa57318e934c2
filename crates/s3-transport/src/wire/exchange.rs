//! One request over the HTTP client, one answer. A transfer that stands still, in either direction, is given up.

use std::convert::Infallible;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{Stream, StreamExt};
use http_body::{Body, Frame, SizeHint};
use object_store::HeaderMap;
use object_store::client::{HttpError, HttpErrorKind, HttpRequest, HttpRequestBody};
use reqwest::{Client, StatusCode, Url};
use tokio::time::Instant;

/// A request's body goes out in pieces of so many bytes, so that each one shows that the line is alive.
const PIECE: usize = 64 << 10;

/// So many bytes have to come in the time that a stall may take. Less is no transfer: a byte now and then would keep a
/// request alive for ever.
const LEAST: usize = 16 << 10;

/// The chunks of a body as they come.
pub(super) type Chunks = BoxStream<'static, Result<Bytes, HttpError>>;

/// An answer whose body is still to come.
pub(super) struct Exchanged {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) chunks: Chunks,
}

/// Makes a request. `stall` is how long it may go without a byte, in either direction; where the answer `streams`, `LEAST` bytes
/// have to come in so much time. While a server is at work, it may send single bytes that say no more than that.
pub(super) async fn exchange(
    client: &Client,
    request: HttpRequest,
    stall: Option<Duration>,
    streams: bool,
) -> Result<Exchanged, HttpError> {
    let (parts, body) = request.into_parts();
    let url = Url::parse(&parts.uri.to_string())
        .map_err(|error| HttpError::new(HttpErrorKind::Unknown, io::Error::other(error.to_string())))?;
    let mut request = reqwest::Request::new(parts.method, url);
    *request.headers_mut() = parts.headers;
    let progress = Arc::new(Progress::new());
    *request.body_mut() = Some(if body.content_length() == 0 {
        Bytes::new().into()
    } else {
        reqwest::Body::wrap(Sending { rest: pieces(body), progress: Arc::clone(&progress) })
    });
    let response = watched(client.execute(request), &progress, stall).await?.map_err(of_reqwest)?;
    let (status, headers) = (response.status(), response.headers().clone());
    let chunks = response.bytes_stream().map(|chunk| chunk.map_err(of_reqwest));
    Ok(Exchanged { status, headers, chunks: steady(chunks, stall, if streams { LEAST } else { 1 }) })
}

/// Waits for an answer for as long as the request's body moves, and `stall` longer.
pub(crate) async fn watched<T>(
    future: impl Future<Output = T>,
    progress: &Progress,
    stall: Option<Duration>,
) -> Result<T, HttpError> {
    let Some(stall) = stall else { return Ok(future.await) };
    let mut future = pin!(future);
    loop {
        let deadline = progress.last() + stall;
        match tokio::time::timeout_at(deadline, &mut future).await {
            Ok(done) => return Ok(done),
            Err(_) if progress.last() + stall > deadline => {}
            Err(_) => return Err(stalled(stall)),
        }
    }
}

/// The chunks, of which none may take longer than `stall`, and of which so much time of waiting has to bring `least` bytes, or
/// the end. The time that the reader takes does not count.
fn steady(
    chunks: impl Stream<Item = Result<Bytes, HttpError>> + Send + 'static,
    stall: Option<Duration>,
    least: usize,
) -> Chunks {
    let Some(stall) = stall else { return chunks.boxed() };
    let begun = Waited { time: Duration::ZERO, bytes: 0, least, too_little: None };
    futures::stream::unfold(Some((Box::pin(chunks), begun)), move |reading| async move {
        let (mut chunks, mut waited) = reading?;
        let asked = Instant::now();
        match (tokio::time::timeout(stall, chunks.next()).await, waited.too_little.take()) {
            (Ok(None), _) => None,
            // What came too slowly was not the end.
            (_, Some(error)) => Some((Err(error), None)),
            (answered, None) => match answered {
                Ok(None) => None,
                Ok(Some(Ok(chunk))) => {
                    waited.add(asked.elapsed(), chunk.len(), stall);
                    Some((Ok(chunk), Some((chunks, waited))))
                }
                Ok(Some(Err(error))) => Some((Err(error), None)),
                Err(_) => Some((Err(stalled(stall)), None)),
            },
        }
    })
    .boxed()
}

/// How long has been waited for how much, lately.
struct Waited {
    time: Duration,
    bytes: usize,
    least: usize,
    /// That it was too little.
    too_little: Option<HttpError>,
}

impl Waited {
    fn add(&mut self, time: Duration, bytes: usize, stall: Duration) {
        self.time += time;
        self.bytes += bytes;
        if self.time < stall {
            return;
        }
        if self.bytes < self.least {
            let Self { time, bytes, least, .. } = self;
            let message = format!("{bytes} bytes in {time:?}, expected at least {least}");
            let source = io::Error::new(io::ErrorKind::TimedOut, message);
            self.too_little = Some(HttpError::new(HttpErrorKind::Timeout, source));
        }
        (self.time, self.bytes) = (Duration::ZERO, 0);
    }
}

fn stalled(stall: Duration) -> HttpError {
    let message = format!("no byte for {stall:?}");
    HttpError::new(HttpErrorKind::Timeout, io::Error::new(io::ErrorKind::TimedOut, message))
}

/// When the last piece of a body went out.
#[derive(Debug)]
pub(crate) struct Progress {
    begun: Instant,
    /// Microseconds since then.
    last: AtomicU64,
}

impl Progress {
    pub(crate) fn new() -> Self {
        Progress { begun: Instant::now(), last: AtomicU64::new(0) }
    }

    pub(crate) fn advance(&self) {
        let micros = u64::try_from(self.begun.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.last.store(micros, Ordering::Relaxed);
    }

    fn last(&self) -> Instant {
        self.begun + Duration::from_micros(self.last.load(Ordering::Relaxed))
    }
}

/// A request's body on its way.
struct Sending {
    /// What is still to go, the next piece last.
    rest: Vec<Bytes>,
    progress: Arc<Progress>,
}

/// The bytes of a body, in its own pieces, the first one last.
pub(super) fn pieces(mut body: HttpRequestBody) -> Vec<Bytes> {
    let mut context = Context::from_waker(std::task::Waker::noop());
    let mut pieces = Vec::new();
    // It is in memory: every frame is there at once.
    while let Poll::Ready(Some(Ok(frame))) = Pin::new(&mut body).poll_frame(&mut context) {
        pieces.extend(frame.into_data().ok().filter(|piece| !piece.is_empty()));
    }
    pieces.reverse();
    pieces
}

impl Body for Sending {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.progress.advance();
        let Some(mut piece) = self.rest.pop() else { return Poll::Ready(None) };
        if piece.len() > PIECE {
            let next = piece.split_to(PIECE);
            self.rest.push(piece);
            piece = next;
        }
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.iter().map(|piece| piece.len() as u64).sum())
    }
}

/// The HTTP client's error, without the URL: who reports it knows what it was about.
fn of_reqwest(error: reqwest::Error) -> HttpError {
    let kind = if error.is_timeout() {
        HttpErrorKind::Timeout
    } else if error.is_connect() {
        HttpErrorKind::Connect
    } else {
        HttpErrorKind::Interrupted
    };
    HttpError::new(kind, error.without_url())
}

#[cfg(test)]
mod tests {
    use object_store::PutPayload;

    use super::*;

    #[test]
    fn a_body_goes_out_whole_in_pieces_that_are_small() {
        let rope: PutPayload =
            [vec![1; 3], Vec::new(), vec![2; PIECE + 5]].into_iter().map(Bytes::from).collect();
        let mut body = Sending { rest: pieces(rope.into()), progress: Arc::new(Progress::new()) };
        assert_eq!(body.size_hint().exact(), Some(PIECE as u64 + 8));
        let mut context = Context::from_waker(std::task::Waker::noop());
        let mut sizes = Vec::new();
        while let Poll::Ready(Some(Ok(frame))) = Pin::new(&mut body).poll_frame(&mut context) {
            sizes.push(frame.into_data().unwrap().len());
        }
        assert_eq!(sizes, [3, PIECE, 5]);
        assert!(body.is_end_stream());
    }

    /// A body whose first byte was to go out ten seconds ago.
    fn begun_long_ago() -> Option<Progress> {
        let begun = Instant::now().checked_sub(Duration::from_secs(10))?;
        Some(Progress { begun, last: AtomicU64::new(0) })
    }

    #[tokio::test]
    async fn a_request_is_given_up_when_its_body_stands_still_and_not_while_it_moves() {
        let Some(progress) = begun_long_ago() else { return };
        let stall = Some(Duration::from_secs(5));
        let error = watched(std::future::pending::<()>(), &progress, stall).await.unwrap_err();
        assert_eq!(error.kind(), HttpErrorKind::Timeout);
        progress.advance();
        watched(tokio::time::sleep(Duration::from_millis(1)), &progress, stall).await.unwrap();
    }

    #[tokio::test]
    async fn an_answer_that_stands_still_is_given_up() {
        let chunks = futures::stream::iter([Ok(Bytes::from_static(b"x"))]).chain(futures::stream::pending());
        let got: Vec<_> = steady(chunks, Some(Duration::from_millis(10)), LEAST).collect().await;
        assert!(got[0].is_ok() && got[1].as_ref().is_err_and(|it| it.kind() == HttpErrorKind::Timeout));
        assert_eq!(got.len(), 2);
    }

    #[test]
    fn a_drip_is_no_transfer_and_a_slow_line_is_one() {
        let (second, stall) = (Duration::from_secs(1), Duration::from_secs(10));
        let tries = |least: usize, bytes: usize| {
            let mut waited = Waited { time: Duration::ZERO, bytes: 0, least, too_little: None };
            (0..100).position(|_| {
                waited.add(second, bytes, stall);
                waited.too_little.is_some()
            })
        };
        assert_eq!(tries(LEAST, 1), Some(9));
        assert_eq!(tries(LEAST, LEAST / 10 + 1), None);
        // A server that is at work says so byte by byte.
        assert_eq!(tries(1, 1), None);
    }

    /// Who ends has sent all there is, however little that was.
    #[tokio::test]
    async fn the_last_chunk_may_be_small() {
        let stall = Duration::from_millis(200);
        let slow = |count: usize| {
            futures::stream::iter(0..count).then(async |_| {
                tokio::time::sleep(Duration::from_millis(120)).await;
                Ok(Bytes::from_static(b"x"))
            })
        };
        let got: Vec<_> = steady(slow(2), Some(stall), LEAST).collect().await;
        assert!(got.len() == 2 && got.iter().all(Result::is_ok), "{got:?}");
        let got: Vec<_> = steady(slow(3), Some(stall), LEAST).collect().await;
        assert!(got.len() == 3 && got.iter().take(2).all(Result::is_ok) && got[2].is_err(), "{got:?}");
    }
}
