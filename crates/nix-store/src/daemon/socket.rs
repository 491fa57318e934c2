//! A socket that can be given up while somebody waits for it.
//!
//! What happens on the blocking pool does not end when the future that waits for it is dropped. So every wait for a
//! daemon looks up from time to time, whether it is still wanted.

use std::io::{self, IoSlice, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// How often a wait looks up.
const LOOK_UP: Duration = Duration::from_millis(100);

/// How long a daemon may still take to end what it was doing, after nobody wants it any more: within a NAR it should be
/// told the end of it, because the daemon of Nix 2.8 crashes when it is cut off there.
const GRACE: Duration = Duration::from_secs(1);

/// Says whether a request is still wanted.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wanted {
    given_up: Arc<OnceLock<Instant>>,
}

impl Wanted {
    /// From now on it is not.
    pub(crate) fn give_up(&self) {
        self.given_up.get_or_init(Instant::now);
    }

    /// Whether it was given up.
    pub(crate) fn is_given_up(&self) -> bool {
        self.given_up.get().is_some()
    }

    fn is_overdue(&self) -> bool {
        self.given_up.get().is_some_and(|since| since.elapsed() >= GRACE)
    }

    /// Gives up when it is dropped: to be held by the future that waits.
    pub(crate) fn guard(&self) -> WantedGuard {
        WantedGuard(self.clone())
    }
}

/// Gives up its request when it is dropped.
#[derive(Debug)]
pub(crate) struct WantedGuard(Wanted);

impl Drop for WantedGuard {
    fn drop(&mut self) {
        self.0.give_up();
    }
}

/// One direction of a socket.
#[derive(Debug)]
pub(crate) struct Socket {
    stream: UnixStream,
    wanted: Wanted,
}

impl Socket {
    /// The two directions of `stream`.
    pub(crate) fn pair(stream: UnixStream) -> io::Result<(Self, Self)> {
        stream.set_read_timeout(Some(LOOK_UP))?;
        stream.set_write_timeout(Some(LOOK_UP))?;
        let wanted = Wanted::default();
        let from = Self { stream: stream.try_clone()?, wanted: wanted.clone() };
        Ok((from, Self { stream, wanted }))
    }

    /// What is read and written from now on is for this request.
    pub(crate) fn serve(&mut self, wanted: Wanted) {
        self.wanted = wanted;
    }

    fn patiently<T>(&mut self, mut attempt: impl FnMut(&mut UnixStream) -> io::Result<T>) -> io::Result<T> {
        loop {
            match attempt(&mut self.stream) {
                // Some systems say one, some the other.
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                    if self.wanted.is_overdue() {
                        return Err(io::Error::new(io::ErrorKind::ConnectionAborted, "it was given up"));
                    }
                }
                other => return other,
            }
        }
    }
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.patiently(|stream| stream.read(buffer))
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.patiently(|stream| stream.write(bytes))
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.patiently(|stream| stream.write_vectored(slices))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}
