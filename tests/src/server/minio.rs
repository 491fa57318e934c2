//! MinIO as a child process on a free loopback port, with its data in a temporary directory.

use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::{Settings, VIRTUAL_DOMAIN, cached_binary};
use crate::http::Client;
use crate::process::find_in_path;
use crate::sigv4::Signer;

/// Half a second is usual; a cold disk on a loaded machine has taken ten.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// Another process can take the free port before MinIO binds it.
const ATTEMPTS: usize = 5;

/// The MinIO binary of `MINIO_BIN`, of `PATH`, or of the build that `cargo xtask test` keeps in the cache directory.
#[must_use]
pub fn find() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("MINIO_BIN").filter(|value| !value.is_empty()) {
        return Some(PathBuf::from(named));
    }
    find_in_path("minio").or_else(|| cached_binary("minio-", "minio"))
}

/// A running MinIO, killed on drop.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    _data: TempDir,
}

impl Process {
    /// Starts `binary`, waits until it answers with the given key pair, and returns it with its `host:port`.
    pub(super) fn start(
        binary: &Path,
        settings: &Settings,
        runtime: &Arc<Runtime>,
    ) -> Result<(Self, String)> {
        for _ in 1..ATTEMPTS {
            if let Some(started) = Self::start_once(binary, settings, runtime)? {
                return Ok(started);
            }
        }
        Self::start_once(binary, settings, runtime)?.context("MinIO found its port taken every time")
    }

    /// `None` when another process took the port.
    fn start_once(
        binary: &Path,
        settings: &Settings,
        runtime: &Arc<Runtime>,
    ) -> Result<Option<(Self, String)>> {
        let data = tempfile::Builder::new().prefix("nars3-minio-").tempdir_in(&settings.place)?;
        let log_file = data.path().join("log");
        let log = File::create(&log_file)?;
        let authority = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.to_string();
        let child = Command::new(binary)
            .args(["server", "--quiet", "--address", &authority])
            .arg(data.path().join("drive"))
            .env_clear()
            .env("HOME", data.path())
            .env("MINIO_ROOT_USER", &settings.access_key)
            .env("MINIO_ROOT_PASSWORD", &settings.secret_key)
            .env("MINIO_SITE_REGION", &settings.region)
            .env("MINIO_BROWSER", "off")
            .env("MINIO_DOMAIN", VIRTUAL_DOMAIN)
            // Its own count of requests, for whoever measures; it listens on loopback only.
            .env("MINIO_PROMETHEUS_AUTH_TYPE", "public")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot start MinIO at {}", binary.display()))?;
        let mut process = Self { child, _data: data };
        let client = Client::new(Arc::clone(runtime), &authority)?;
        let signer = Signer {
            service: "s3",
            access_key: settings.access_key.clone(),
            secret_key: settings.secret_key.clone(),
            region: settings.region.clone(),
        };
        let deadline = Instant::now() + READY_WITHIN;
        loop {
            // Another server on the port would not know our key pair, so this answer can only be our own MinIO's.
            if client.send(Some(&signer), "GET", "/", "", b"").is_ok_and(|response| response.status == 200) {
                return Ok(Some((process, authority)));
            }
            if let Some(status) = process.child.try_wait()? {
                let said = std::fs::read_to_string(&log_file).unwrap_or_default();
                if said.contains("address already in use") || said.contains("port is already in use") {
                    return Ok(None);
                }
                bail!("MinIO ended with {status} before it was ready:\n{said}");
            }
            if Instant::now() > deadline {
                let said = std::fs::read_to_string(&log_file).unwrap_or_default();
                bail!("MinIO was not ready after {} s:\n{said}", READY_WITHIN.as_secs());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Process {
    /// The process id, for whoever measures.
    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // By its own process id, and at once: there is nothing in it to save.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
