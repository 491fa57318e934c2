//! A real nix-daemon with a chroot store of its own, on a socket of its own.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::nix::{Chroot, Nix};

/// The unit of times in /proc: USER_HZ, a hundredth of a second wherever Nix runs.
const MILLISECONDS_PER_TICK: u64 = 10;

/// A daemon that does not listen by now will not listen.
const PATIENCE: Duration = Duration::from_secs(20);

/// The daemon. It ends when the value is dropped.
#[derive(Debug)]
pub struct Daemon {
    process: Child,
    socket: PathBuf,
    store: Chroot,
}

impl Daemon {
    /// A daemon over `store` that trusts these public keys, and runs as whoever runs the tests.
    ///
    /// # Errors
    /// When it cannot be started, or does not listen.
    pub fn start(nix: &Nix, store: Chroot, public_keys: &str) -> Result<Self> {
        Self::start_with(nix, store, public_keys, "")
    }

    /// As `start`, with lines that go behind those of the usual configuration.
    ///
    /// # Errors
    /// As `start`.
    pub fn start_with(nix: &Nix, store: Chroot, public_keys: &str, configuration: &str) -> Result<Self> {
        // Two connections at once to a store that is not there yet would both create its database, and one be dropped.
        nix.run("nix-store", ["--init", "--store", &store.store_url()])?.success()?;
        let remote = store.store_url();
        Self::listen(nix, store, &remote, public_keys, configuration)
    }

    /// A daemon over the machine's own store; its socket is in the directory of `place`, which is no store. For root.
    ///
    /// # Errors
    /// As `start`.
    pub fn of_the_machine(nix: &Nix, place: Chroot, public_keys: &str) -> Result<Self> {
        Self::listen(nix, place, "local", public_keys, "")
    }

    fn listen(
        nix: &Nix,
        store: Chroot,
        remote: &str,
        public_keys: &str,
        configuration: &str,
    ) -> Result<Self> {
        let socket = store.root().join("socket");
        let mut command = nix.command_trusting("nix-daemon", public_keys);
        let usual = command.get_envs().find(|(name, _)| *name == "NIX_CONFIG").and_then(|(_, value)| value);
        let usual = usual.map(|value| value.to_string_lossy().into_owned()).unwrap_or_default();
        command
            .env("NIX_CONFIG", usual + configuration)
            .env("NIX_REMOTE", remote)
            .env("NIX_DAEMON_SOCKET_PATH", &socket)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        // Whoever may not read the store may still talk to its daemon.
        std::fs::set_permissions(store.root(), std::fs::Permissions::from_mode(0o755))?;
        let daemon = Self { process: command.spawn()?, socket, store };
        let begun = Instant::now();
        while UnixStream::connect(&daemon.socket).is_err() {
            ensure!(begun.elapsed() < PATIENCE, "nix-daemon does not listen on {}", daemon.socket.display());
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(daemon)
    }

    /// The socket.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// The store URL, the same for Nix and nars3.
    #[must_use]
    pub fn url(&self) -> String {
        format!("unix://{}", self.socket.display())
    }

    /// The processor time that its processes for connections have taken, as far as they have ended.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn processor_time(&self) -> Result<Duration> {
        let text = std::fs::read_to_string(format!("/proc/{}/stat", self.process.id()))?;
        // The name may have spaces in it. Behind it come the state and numbers; `cutime` and `cstime` are fields 16 and 17 (proc(5)).
        let fields = text.rsplit_once(')').map_or("", |(_, fields)| fields);
        let ticks: u64 =
            fields.split_whitespace().skip(13).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
        Ok(Duration::from_millis(ticks * MILLISECONDS_PER_TICK))
    }

    /// The store behind it.
    #[must_use]
    pub fn store(&self) -> &Chroot {
        &self.store
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // That it has ended already is as good.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
