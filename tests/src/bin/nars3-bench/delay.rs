//! A TCP relay that holds every answer back for a while, as a server far away does. It delays, and does not slow down: any
//! number of bytes may be on the way.

use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::time::{Duration, Instant};
use std::{io, thread};

use std::io::{Read, Write};
use std::net::Shutdown;

/// The relay; it listens until the process ends.
#[derive(Debug)]
pub(crate) struct DelayingRelay {
    authority: String,
}

impl DelayingRelay {
    /// A relay before `server` (`host:port`) whose answers come `delay` later.
    pub(crate) fn start(server: &str, delay: Duration) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let authority = listener.local_addr()?.to_string();
        let server = server.to_owned();
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                // A connection that cannot be passed on is dropped, and the client sees that.
                let _ = relay(client, &server, delay);
            }
        });
        Ok(Self { authority })
    }

    /// `host:port` of the relay.
    pub(crate) fn endpoint(&self) -> &str {
        &self.authority
    }
}

fn relay(client: TcpStream, server: &str, delay: Duration) -> io::Result<()> {
    let upstream = TcpStream::connect(server)?;
    client.set_nodelay(true)?;
    upstream.set_nodelay(true)?;
    let (requests, answers) = (client.try_clone()?, upstream.try_clone()?);
    thread::spawn(move || forward(requests, upstream));
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || take(answers, &sender, delay));
    thread::spawn(move || give(client, &receiver));
    Ok(())
}

fn forward(mut from: TcpStream, mut to: TcpStream) {
    // Either end may go away at any time; the other is told.
    let _ = io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Write);
}

fn take(mut from: TcpStream, to: &mpsc::Sender<(Instant, Vec<u8>)>, delay: Duration) {
    let mut buffer = vec![0_u8; 64 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        let bytes = buffer.get(..count).unwrap_or_default().to_vec();
        if to.send((Instant::now() + delay, bytes)).is_err() {
            break;
        }
    }
}

fn give(mut to: TcpStream, from: &mpsc::Receiver<(Instant, Vec<u8>)>) {
    while let Ok((due, bytes)) = from.recv() {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        if to.write_all(&bytes).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_arrive_whole_and_not_before_their_time() {
        let server = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let delay = Duration::from_millis(30);
        let relay = DelayingRelay::start(&server.local_addr().unwrap().to_string(), delay).unwrap();
        let started = Instant::now();
        let mut client = TcpStream::connect(relay.endpoint()).unwrap();
        let (mut accepted, _) = server.accept().unwrap();
        accepted.write_all(b"hello").unwrap();
        drop(accepted);
        let mut received = Vec::new();
        client.read_to_end(&mut received).unwrap();
        assert_eq!(received, b"hello");
        assert!(started.elapsed() >= delay);
    }
}
