//! The proxy: connections, rules, and the deeds.

use std::fmt;
use std::io::{self, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::Result;
use socket2::SockRef;

use super::http::Answered;
use super::{Answer, Fault, Request};

/// A proxy before a server. It listens until the process ends; what it holds back is let go when the value is dropped.
#[derive(Debug)]
pub struct FaultProxy {
    authority: String,
    shared: Arc<Shared>,
}

/// A request that came by.
#[derive(Clone, Debug)]
pub struct Seen {
    /// What it was; without its body.
    pub request: Request,
    /// Whether something was done to it.
    pub hurt: bool,
}

#[derive(Debug)]
struct Shared {
    server: String,
    rules: Mutex<Vec<Rule>>,
    seen: Mutex<Vec<Seen>>,
    open: Mutex<bool>,
    opened: Condvar,
}

struct Rule {
    about: Box<dyn Fn(&Request) -> bool + Send>,
    times: usize,
    fault: Fault,
}

impl fmt::Debug for Rule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?}, {} times", self.fault, self.times)
    }
}

impl FaultProxy {
    /// A proxy before `server` (`host:port`).
    ///
    /// # Errors
    /// When no loopback port can be bound.
    pub fn start(server: &str) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let authority = listener.local_addr()?.to_string();
        let shared = Arc::new(Shared {
            server: server.to_owned(),
            rules: Mutex::default(),
            seen: Mutex::default(),
            open: Mutex::new(false),
            opened: Condvar::new(),
        });
        let serving = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let shared = Arc::clone(&serving);
                // A connection that breaks is what this is about.
                thread::spawn(move || shared.serve(&client));
            }
        });
        Ok(Self { authority, shared })
    }

    /// `host:port` of the proxy.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.authority
    }

    /// Does `fault` to the next `times` requests that `about` is true of. An earlier rule comes first.
    pub fn inject(&self, times: usize, about: impl Fn(&Request) -> bool + Send + 'static, fault: Fault) {
        lock(&self.shared.rules).push(Rule { about: Box::new(about), times, fault });
    }

    /// Forgets all rules that are not used up.
    pub fn heal(&self) {
        lock(&self.shared.rules).clear();
    }

    /// All requests so far.
    #[must_use]
    pub fn seen(&self) -> Vec<Seen> {
        lock(&self.shared.seen).clone()
    }

    /// How many requests something was done to.
    #[must_use]
    pub fn hurt(&self) -> usize {
        lock(&self.shared.seen).iter().filter(|seen| seen.hurt).count()
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        *lock(&self.shared.open) = true;
        self.shared.opened.notify_all();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether the connection goes on.
type GoesOn = bool;

impl Shared {
    fn serve(&self, client: &TcpStream) {
        let (Ok(()), Ok(reading)) = (client.set_nodelay(true), client.try_clone()) else { return };
        let mut reader = BufReader::new(reading);
        while let Ok(Some(request)) = Request::read_head(&mut reader) {
            if !self.handle(client, &mut reader, request).unwrap_or(false) {
                break;
            }
        }
    }

    fn fault_for(&self, request: &Request) -> Option<Fault> {
        let mut rules = lock(&self.rules);
        let rule = rules.iter_mut().find(|rule| rule.times > 0 && (rule.about)(request))?;
        rule.times -= 1;
        Some(rule.fault.clone())
    }

    fn handle(
        &self,
        client: &TcpStream,
        reader: &mut BufReader<TcpStream>,
        mut request: Request,
    ) -> io::Result<GoesOn> {
        let fault = self.fault_for(&request);
        lock(&self.seen).push(Seen { request: request.clone(), hurt: fault.is_some() });
        match &fault {
            Some(Fault::Reset) => return reset(client),
            Some(Fault::ResetRequest { after }) => {
                let mut beginning = vec![0; (*after).min(request.length)];
                reader.read_exact(&mut beginning)?;
                return reset(client);
            }
            Some(Fault::Stall) => return Ok(self.wait()),
            _ => request.read_body(reader)?,
        }
        let bodiless = request.method == "HEAD";
        match fault {
            None => send(client, &request.forward(&self.server)?, bodiless),
            Some(Fault::Answer(answer)) => send(client, &answer.into(), bodiless),
            Some(Fault::ReplaceAnswer(answer)) => {
                request.forward(&self.server)?;
                send(client, &answer.into(), bodiless)
            }
            Some(Fault::LoseAnswer) => {
                request.forward(&self.server)?;
                reset(client)
            }
            Some(Fault::CorruptRequest { at }) => {
                flip(&mut request.body, at);
                send(client, &request.forward(&self.server)?, bodiless)
            }
            Some(Fault::Slow { pause }) => {
                thread::sleep(pause);
                send(client, &request.forward(&self.server)?, bodiless)
            }
            Some(Fault::Duplicate) => {
                request.forward(&self.server)?;
                send(client, &request.forward(&self.server)?, bodiless)
            }
            Some(Fault::Late) => {
                for (name, value) in &mut request.headers {
                    if name == "x-amz-date" {
                        *value = an_hour_ago(value);
                    }
                }
                send(client, &request.forward(&self.server)?, bodiless)
            }
            Some(fault) => self.spoil(client, request.forward(&self.server)?, &fault, bodiless),
        }
    }

    /// Sends an answer that something happens to.
    fn spoil(
        &self,
        mut client: &TcpStream,
        mut answer: Answered,
        fault: &Fault,
        bodiless: bool,
    ) -> io::Result<GoesOn> {
        let whole = answer.body.len();
        let beginning = |after: usize| answer.body.get(..after.min(whole)).unwrap_or_default();
        match *fault {
            Fault::StallAnswer { after } => {
                client.write_all(answer.head(whole).as_bytes())?;
                client.write_all(beginning(after))?;
                Ok(self.wait())
            }
            Fault::ResetAnswer { after } => {
                client.write_all(answer.head(whole).as_bytes())?;
                client.write_all(beginning(after))?;
                // What is still on its way would be dropped together with the connection.
                thread::sleep(Duration::from_millis(20));
                reset(client)
            }
            Fault::Truncate { after, announced } => {
                let length = if announced { after.min(whole) } else { whole };
                client.write_all(answer.head(length).as_bytes())?;
                client.write_all(beginning(after))?;
                Ok(false)
            }
            Fault::Drip { piece, pause } => {
                client.write_all(answer.head(whole).as_bytes())?;
                for piece in answer.body.chunks(piece.max(1)) {
                    thread::sleep(pause);
                    client.write_all(piece)?;
                }
                Ok(true)
            }
            Fault::DenyAbsent if answer.status == 404 => {
                send(client, &Answer::error(403, "AccessDenied").into(), bodiless)
            }
            Fault::Corrupt { at } => {
                flip(&mut answer.body, at);
                send(client, &answer, bodiless)
            }
            _ => send(client, &answer, bodiless),
        }
    }

    /// Waits until the proxy is dropped.
    fn wait(&self) -> GoesOn {
        let mut open = lock(&self.open);
        while !*open {
            open = self.opened.wait(open).unwrap_or_else(PoisonError::into_inner);
        }
        false
    }
}

fn send(mut client: &TcpStream, answer: &Answered, bodiless: bool) -> io::Result<GoesOn> {
    client.write_all(answer.head(answer.body.len()).as_bytes())?;
    if !bodiless {
        client.write_all(&answer.body)?;
    }
    Ok(true)
}

/// Ends a connection as a crash does: the other side hears of a reset, not of an end.
fn reset(client: &TcpStream) -> io::Result<GoesOn> {
    SockRef::from(client).set_linger(Some(Duration::ZERO))?;
    Ok(false)
}

fn flip(body: &mut [u8], at: usize) {
    if let Some(byte) = body.get_mut(at) {
        *byte ^= 1;
    }
}

/// `20261122T101112Z`, one hour before; at midnight a few minutes are enough of a difference.
fn an_hour_ago(time: &str) -> String {
    let Some((day, clock)) = time.split_once('T') else { return time.to_owned() };
    let hour: u32 = clock.get(..2).and_then(|hour| hour.parse().ok()).unwrap_or_default();
    let rest = clock.get(2..).unwrap_or_default();
    let other = if hour == 0 { 1 } else { hour - 1 };
    format!("{day}T{other:02}{rest}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that says `answer` to everything.
    fn server(answer: &'static str) -> String {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let authority = listener.local_addr().unwrap().to_string();
        thread::spawn(move || {
            for mut client in listener.incoming().map_while(Result::ok) {
                let mut reader = BufReader::new(client.try_clone().unwrap());
                let Ok(Some(mut request)) = Request::read_head(&mut reader) else { continue };
                request.read_body(&mut reader).unwrap();
                client.write_all(answer.as_bytes()).unwrap();
            }
        });
        authority
    }

    fn ask(proxy: &FaultProxy) -> io::Result<String> {
        let mut client = TcpStream::connect(proxy.endpoint())?;
        client.write_all(b"PUT /a HTTP/1.1\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello")?;
        let mut answer = vec![0; 4096];
        let mut length = 0;
        // The proxy keeps the connection: the end of the body says that it is all.
        while !String::from_utf8_lossy(&answer[..length]).ends_with("world") {
            match client.read(&mut answer[length..])? {
                0 => break,
                count => length += count,
            }
        }
        Ok(String::from_utf8_lossy(&answer[..length]).into_owned())
    }

    #[test]
    fn rules_are_used_up_and_then_everything_passes() {
        let proxy = FaultProxy::start(&server("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nworld")).unwrap();
        proxy.inject(1, |request| request.method == "GET", Fault::Reset);
        proxy.inject(1, Request::puts, Fault::Reset);
        proxy.inject(1, Request::puts, Fault::Truncate { after: 2, announced: false });
        ask(&proxy).unwrap_err();
        let half = ask(&proxy).unwrap();
        assert!(half.contains("content-length: 5") && half.ends_with("\r\nwo"), "{half}");
        assert!(ask(&proxy).unwrap().ends_with("world"));
        assert_eq!((proxy.seen().len(), proxy.hurt()), (3, 2));
    }

    #[test]
    fn chunks_are_put_together() {
        let proxy = FaultProxy::start(&server(
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nwor\r\n2\r\nld\r\n0\r\n\r\n",
        ));
        let answer = ask(&proxy.unwrap()).unwrap();
        assert!(answer.contains("content-length: 5") && answer.ends_with("world"), "{answer}");
    }

    #[test]
    fn an_hour_is_taken_from_a_time() {
        assert_eq!(an_hour_ago("20261122T101112Z"), "20261122T091112Z");
        assert_eq!(an_hour_ago("20261122T001112Z"), "20261122T011112Z");
    }
}
