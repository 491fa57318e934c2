//! The bare client behind the floors: ready-made requests over plain sockets, in the order that a cache demands and
//! nothing else. No signature, no hashing, no compression; each connection is a thread.

use std::collections::{BinaryHeap, HashMap};
use std::fmt::Write as _;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use nars3_tests::server::Bucket;

/// A request that is ready to be sent.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    method: &'static str,
    /// With its leading slash, percent-encoded.
    target: String,
    body: Arc<Vec<u8>>,
    /// Requests that must have been answered before, by their numbers.
    after: Vec<usize>,
    /// The higher goes first.
    urgency: u64,
    /// The bytes that are asked for, as the header has them: the first and the last.
    range: Option<(u64, u64)>,
}

impl Request {
    /// A request for `target` (a path with its slash), after those with these numbers.
    pub(crate) fn new(method: &'static str, target: String, body: Arc<Vec<u8>>, after: Vec<usize>) -> Self {
        Self { method, target, body, after, urgency: 0, range: None }
    }

    /// The same for a part of an object: its first and its last byte.
    pub(crate) fn range(mut self, first: u64, last: u64) -> Self {
        self.range = Some((first, last));
        self
    }

    /// Whether it is about a narinfo.
    pub(crate) fn is_narinfo(&self) -> bool {
        self.target.ends_with(".narinfo")
    }
}

/// Sends all over `connections` connections, and gives the time that it took.
pub(crate) fn send(server: &str, requests: &[Request], connections: usize) -> Result<Duration> {
    let queue = Queue::new(requests);
    let sockets: Vec<Connection> =
        (0..connections).map(|_| Connection::open(server)).collect::<Result<_>>()?;
    let started = Instant::now();
    thread::scope(|scope| {
        let workers: Vec<_> = sockets
            .into_iter()
            .map(|mut socket| {
                let queue = &queue;
                scope.spawn(move || {
                    while let Some(number) = queue.next() {
                        let sent = requests.get(number).is_some_and(|it| socket.exchange(it).is_ok());
                        queue.done(number, sent);
                    }
                })
            })
            .collect();
        workers.into_iter().try_for_each(|worker| worker.join().map_err(|_| anyhow!("a connection panicked")))
    })?;
    let elapsed = started.elapsed();
    ensure!(!queue.lock().broken, "the server refused a ready-made request");
    Ok(elapsed)
}

/// What may be sent next.
struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    ready: BinaryHeap<(u64, std::cmp::Reverse<usize>)>,
    waits_for: Vec<usize>,
    unblocks: Vec<Vec<usize>>,
    urgency: Vec<u64>,
    left: usize,
    broken: bool,
}

impl Queue {
    fn new(requests: &[Request]) -> Self {
        let mut unblocks = vec![Vec::new(); requests.len()];
        for (number, request) in requests.iter().enumerate() {
            for before in &request.after {
                if let Some(list) = unblocks.get_mut(*before) {
                    list.push(number);
                }
            }
        }
        let urgency: Vec<u64> = requests.iter().map(|request| request.urgency).collect();
        let ready = requests.iter().enumerate().filter(|(_, request)| request.after.is_empty());
        let ready = ready.map(|(number, request)| (request.urgency, std::cmp::Reverse(number))).collect();
        let waits_for = requests.iter().map(|request| request.after.len()).collect();
        let state = State { ready, waits_for, unblocks, urgency, left: requests.len(), broken: false };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&self) -> Option<usize> {
        let mut state = self.lock();
        loop {
            if state.left == 0 || state.broken {
                return None;
            }
            if let Some((_, number)) = state.ready.pop() {
                return Some(number.0);
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn done(&self, number: usize, ok: bool) {
        let mut state = self.lock();
        state.left -= 1;
        state.broken |= !ok;
        for next in state.unblocks.get_mut(number).map(std::mem::take).unwrap_or_default() {
            let waits = state.waits_for.get_mut(next).map_or(1, |waits| {
                *waits -= 1;
                *waits
            });
            if waits == 0 {
                let urgency = state.urgency.get(next).copied().unwrap_or(0);
                state.ready.push((urgency, std::cmp::Reverse(next)));
            }
        }
        drop(state);
        self.changed.notify_all();
    }
}

/// One connection that stays open.
struct Connection {
    socket: TcpStream,
    host: String,
    buffer: Vec<u8>,
}

impl Connection {
    fn open(server: &str) -> Result<Self> {
        let socket = TcpStream::connect(server).with_context(|| format!("cannot reach {server}"))?;
        socket.set_nodelay(true)?;
        Ok(Self { socket, host: server.to_owned(), buffer: Vec::new() })
    }

    /// Sends one request and reads the whole answer, whose body it gives; an answer that is no success is an error.
    fn exchange(&mut self, request: &Request) -> io::Result<&[u8]> {
        let mut head = String::new();
        let (method, target, length) = (request.method, &request.target, request.body.len());
        let host = &self.host;
        let _ = write!(head, "{method} {target} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {length}\r\n");
        if let Some((first, last)) = request.range {
            let _ = write!(head, "Range: bytes={first}-{last}\r\n");
        }
        head.push_str("\r\n");
        if length <= 64 * 1024 {
            let mut whole = head.into_bytes();
            whole.extend_from_slice(&request.body);
            self.socket.write_all(&whole)?;
        } else {
            self.socket.write_all(head.as_bytes())?;
            self.socket.write_all(&request.body)?;
        }
        self.answer()
    }

    fn answer(&mut self) -> io::Result<&[u8]> {
        self.buffer.clear();
        let mut piece = [0; 64 * 1024];
        let (head_length, length) = loop {
            let count = self.socket.read(&mut piece)?;
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.buffer.extend_from_slice(piece.get(..count).unwrap_or_default());
            if let Some(end) = self.buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                break (end + 4, content_length(self.buffer.get(..end).unwrap_or_default())?);
            }
        };
        while self.buffer.len() < head_length + length {
            let count = self.socket.read(&mut piece)?;
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.buffer.extend_from_slice(piece.get(..count).unwrap_or_default());
        }
        Ok(self.buffer.get(head_length..).unwrap_or_default())
    }
}

fn content_length(head: &[u8]) -> io::Result<usize> {
    let head = String::from_utf8_lossy(head);
    if !head.starts_with("HTTP/1.1 2") {
        return Err(io::Error::other(head.lines().next().unwrap_or_default().to_owned()));
    }
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
    });
    Ok(length.unwrap_or(0))
}

/// One request without a signature and without a body.
pub(crate) fn ask(server: &str, method: &'static str, target: &str) -> Result<String> {
    let request = Request::new(method, target.to_owned(), Arc::default(), Vec::new());
    let mut connection = Connection::open(server)?;
    let body = connection.exchange(&request).with_context(|| format!("{method} {target}"))?;
    Ok(String::from_utf8(body.to_vec())?)
}

/// The requests that MinIO has counted for S3 since it started.
pub(crate) fn requests_counted(server: &str) -> Result<u64> {
    let text = ask(server, "GET", "/minio/metrics/v3/api/requests")?;
    let counts = text.lines().filter(|line| line.starts_with("minio_api_requests_total{"));
    Ok(counts.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum::<f64>() as u64)
}

/// The PUTs that make the objects of `full` anew in a bucket that anybody may write: each NAR at once, each narinfo after
/// its NAR and the narinfos of its references.
pub(crate) fn pushes(full: &Bucket, empty: &Bucket) -> Result<Vec<Request>> {
    let mut requests = Vec::new();
    let mut numbers = HashMap::new();
    let put = |key: &str, body, after| Request::new("PUT", format!("/{}/{key}", empty.name()), body, after);
    let keys = full.keys()?;
    for key in keys.iter().filter(|key| !key.ends_with(".narinfo")) {
        numbers.insert(key.clone(), requests.len());
        requests.push(put(key, Arc::new(full.get(key)?), Vec::new()));
    }
    let first = requests.len();
    let mut narinfos = Vec::new();
    for key in keys.iter().filter(|key| key.ends_with(".narinfo")) {
        numbers.insert(key.clone(), first + narinfos.len());
        narinfos.push((key, full.get_text(key)?));
    }
    for (key, text) in narinfos {
        let own = requests.len();
        let mut after: Vec<usize> =
            needed(&text).iter().filter_map(|key| numbers.get(key).copied()).collect();
        after.retain(|number| *number != own);
        requests.push(put(key, Arc::new(text.into_bytes()), after));
    }
    set_urgency(&mut requests);
    Ok(requests)
}

/// The keys that a narinfo needs: its NAR, and the narinfos of its references.
fn needed(narinfo: &str) -> Vec<String> {
    let field = |name: &str| narinfo.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    let narinfos = field("References: ").split_whitespace();
    let narinfos = narinfos.map(|name| format!("{}.narinfo", name.get(..32).unwrap_or(name)));
    narinfos.chain([field("URL: ").to_owned()]).collect()
}

/// What the longest chain of others waits for goes first: no order ends sooner by much.
fn set_urgency(requests: &mut [Request]) {
    let mut heights = vec![0_u64; requests.len()];
    loop {
        let mut changed = false;
        for (number, request) in requests.iter().enumerate() {
            let height = heights.get(number).copied().unwrap_or(0) + 1;
            for before in &request.after {
                if let Some(other) = heights.get_mut(*before).filter(|other| **other < height) {
                    *other = height;
                    changed = true;
                }
            }
        }
        if !changed {
            break;
        }
    }
    for (request, height) in requests.iter_mut().zip(heights) {
        request.urgency = height;
    }
}

/// The GETs of all objects of a bucket that anybody may read.
pub(crate) fn pulls(full: &Bucket) -> Result<Vec<Request>> {
    let get =
        |key: String| Request::new("GET", format!("/{}/{key}", full.name()), Arc::default(), Vec::new());
    Ok(full.keys()?.into_iter().map(get).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_must_come_before_does() {
        let request = |after: &[usize]| Request::new("PUT", String::new(), Arc::default(), after.to_vec());
        let mut requests = vec![request(&[1]), request(&[2]), request(&[])];
        set_urgency(&mut requests);
        assert_eq!(requests.iter().map(|request| request.urgency).collect::<Vec<_>>(), [0, 1, 2]);
        let queue = Queue::new(&requests);
        let order: Vec<usize> = std::iter::from_fn(|| {
            let number = queue.next()?;
            queue.done(number, true);
            Some(number)
        })
        .collect();
        assert_eq!(order, [2, 1, 0]);
    }

    #[test]
    fn a_narinfo_names_what_it_needs() {
        let text =
            "StorePath: /nix/store/x\nURL: nar/a.nar\nReferences: 00000000000000000000000000000000-b\n";
        assert_eq!(needed(text), ["00000000000000000000000000000000.narinfo", "nar/a.nar"]);
        assert_eq!(content_length(b"HTTP/1.1 200 OK\r\ncontent-LENGTH: 12").unwrap(), 12);
        content_length(b"HTTP/1.1 403 Forbidden").unwrap_err();
    }
}
