//! A TCP proxy that lets a number of bytes through towards the server and then holds everything back.
//!
//! It stands between a client and an S3 server, so that a test can stop the client at a known point of its upload, without
//! a clock.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};

/// The proxy. It listens until the process ends; connections that it holds are let go when the value is dropped.
#[derive(Debug)]
pub struct StallingProxy {
    authority: String,
    gate: Arc<Gate>,
    stalled: Receiver<()>,
}

#[derive(Debug)]
struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    budget: u64,
    open: bool,
    told: Option<Sender<()>>,
}

impl StallingProxy {
    /// A proxy before `server` (`host:port`) that passes `budget` bytes of requests, all connections together, and stalls.
    ///
    /// # Errors
    /// When no loopback port can be bound.
    pub fn start(server: &str, budget: u64) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let authority = listener.local_addr()?.to_string();
        let (told, stalled) = channel();
        let state = State { budget, open: false, told: Some(told) };
        let gate = Arc::new(Gate { state: Mutex::new(state), changed: Condvar::new() });
        let (server, shared) = (server.to_owned(), Arc::clone(&gate));
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                // A connection that cannot be passed on is dropped, and the client sees that.
                let _ = pass_on(client, &server, &shared);
            }
        });
        Ok(Self { authority, gate, stalled })
    }

    /// `host:port` of the proxy.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.authority
    }

    /// Waits until the budget is used up and bytes are held back.
    ///
    /// # Errors
    /// When that does not happen within a minute: the client has less to say than the budget, or hangs.
    pub fn wait_until_stalled(&self) -> Result<()> {
        self.stalled
            .recv_timeout(Duration::from_secs(60))
            .context("the upload never reached the point where it should stall")
    }
}

impl Drop for StallingProxy {
    fn drop(&mut self) {
        self.gate.lock().open = true;
        self.gate.changed.notify_all();
    }
}

impl Gate {
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes `bytes` from the budget, or waits until the gate opens.
    fn pass(&self, bytes: u64) {
        let mut state = self.lock();
        if state.budget >= bytes {
            state.budget -= bytes;
            return;
        }
        state.budget = 0;
        if let Some(told) = state.told.take() {
            // Nobody listens any more once the test has moved on.
            let _ = told.send(());
        }
        while !state.open {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

fn pass_on(client: TcpStream, server: &str, gate: &Arc<Gate>) -> std::io::Result<()> {
    let upstream = TcpStream::connect(server)?;
    client.set_nodelay(true)?;
    upstream.set_nodelay(true)?;
    let (requests, answers) = (client.try_clone()?, upstream.try_clone()?);
    let gate = Arc::clone(gate);
    thread::spawn(move || pump(requests, upstream, |bytes| gate.pass(bytes)));
    thread::spawn(move || pump(answers, client, |_| ()));
    Ok(())
}

fn pump(mut from: TcpStream, mut to: TcpStream, before: impl Fn(u64)) {
    let mut buffer = vec![0_u8; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        before(count as u64);
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    // Pass the end of the stream on; a peer that is gone already needs no telling.
    let _ = to.shutdown(Shutdown::Write);
    let _ = from.shutdown(Shutdown::Read);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_within_the_budget_arrive_and_the_rest_waits() {
        let server = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let proxy = StallingProxy::start(&server.local_addr().unwrap().to_string(), 5).unwrap();
        let mut client = TcpStream::connect(proxy.endpoint()).unwrap();
        let (mut accepted, _) = server.accept().unwrap();
        client.write_all(b"hello").unwrap();
        let mut received = [0_u8; 5];
        accepted.read_exact(&mut received).unwrap();
        assert_eq!(&received, b"hello");
        client.write_all(b"world").unwrap();
        proxy.wait_until_stalled().unwrap();
        drop(proxy);
        accepted.read_exact(&mut received).unwrap();
        assert_eq!(&received, b"world");
    }
}
