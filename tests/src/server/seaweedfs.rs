//! SeaweedFS as a child process on free loopback ports, with its data in a temporary directory: master, volume server,
//! filer and S3 gateway in one.

use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::{Settings, cached_binary};
use crate::http::Client;
use crate::process::find_in_path;
use crate::sigv4::Signer;

/// Three to four seconds are usual.
const READY_WITHIN: Duration = Duration::from_secs(90);

/// Another process can take one of the free ports before SeaweedFS binds it.
const ATTEMPTS: usize = 5;

/// The parts of it that listen, each on a port for HTTP and one for gRPC. The gateway is last.
const PARTS: [&str; 4] = ["master", "volume", "filer", "s3"];

/// The binary of `SEAWEEDFS_BIN`, of `PATH` (`weed`), or of the copy that `cargo xtask test` keeps in the cache directory.
#[must_use]
pub fn find() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("SEAWEEDFS_BIN").filter(|value| !value.is_empty()) {
        return Some(PathBuf::from(named));
    }
    find_in_path("weed").or_else(|| cached_binary("seaweedfs-", "bin/weed"))
}

/// A running SeaweedFS, killed on drop.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    ports: Vec<u16>,
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
        Self::start_once(binary, settings, runtime)?.context("SeaweedFS found a port taken every time")
    }

    /// `None` when another process took a port.
    fn start_once(
        binary: &Path,
        settings: &Settings,
        runtime: &Arc<Runtime>,
    ) -> Result<Option<(Self, String)>> {
        let data = tempfile::Builder::new().prefix("nars3-seaweedfs-").tempdir()?;
        std::fs::create_dir(data.path().join("drive"))?;
        let identities = data.path().join("s3.json");
        std::fs::write(&identities, identities_of(settings))?;
        let log_file = data.path().join("log");
        let log = File::create(&log_file)?;
        let ports = free_ports(2 * PARTS.len())?;
        let mut command = Command::new(binary);
        // Loopback only; no telemetry; volumes small and many, for every bucket takes several.
        command
            .args([
                "server",
                "-ip=127.0.0.1",
                "-ip.bind=127.0.0.1",
                "-master.telemetry=false",
                "-filer",
                "-s3",
            ])
            .args([
                "-s3.iam=false",
                "-s3.port.iceberg=0",
                "-s3.port.lance=0",
                "-s3.allowDeleteBucketNotEmpty=true",
            ])
            .args(["-master.volumeSizeLimitMB=64", "-volume.max=2000"])
            .arg(format!("-dir={}", data.path().join("drive").display()))
            .arg(format!("-s3.config={}", identities.display()));
        for (part, pair) in PARTS.iter().zip(ports.chunks(2)) {
            command.arg(format!("-{part}.port={}", pair[0])).arg(format!("-{part}.port.grpc={}", pair[1]));
        }
        let child = command
            .current_dir(data.path())
            .env_clear()
            .env("HOME", data.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot start SeaweedFS at {}", binary.display()))?;
        let authority = format!("127.0.0.1:{}", ports[ports.len() - 2]);
        let mut process = Self { child, ports, _data: data };
        let client = Client::new(Arc::clone(runtime), &authority)?;
        let signer = Signer {
            service: "s3",
            access_key: settings.access_key.clone(),
            secret_key: settings.secret_key.clone(),
            region: settings.region.clone(),
        };
        let deadline = Instant::now() + READY_WITHIN;
        loop {
            // Another server on the port would not know our key pair, so this answer can only be our own SeaweedFS's.
            if client.send(Some(&signer), "GET", "/", "", b"").is_ok_and(|response| response.status == 200) {
                return Ok(Some((process, authority)));
            }
            let said = || std::fs::read_to_string(&log_file).unwrap_or_default();
            if let Some(status) = process.child.try_wait()? {
                if said().contains("address already in use") {
                    return Ok(None);
                }
                bail!("SeaweedFS ended with {status} before it was ready:\n{}", said());
            }
            if Instant::now() > deadline {
                bail!("SeaweedFS was not ready after {} s:\n{}", READY_WITHIN.as_secs(), said());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// One user, who may do everything.
fn identities_of(settings: &Settings) -> String {
    let keys = serde_json::json!({ "accessKey": settings.access_key, "secretKey": settings.secret_key });
    let actions = ["Admin", "Read", "Write", "List", "Tagging"];
    serde_json::json!({ "identities": [{ "name": "tests", "credentials": [keys], "actions": actions }] })
        .to_string()
}

/// Ports that nobody listens on, all different: each is held until the last is found.
fn free_ports(count: usize) -> Result<Vec<u16>> {
    let listeners: Vec<TcpListener> =
        (0..count).map(|_| TcpListener::bind(("127.0.0.1", 0))).collect::<Result<_, _>>()?;
    listeners.iter().map(|listener| Ok(listener.local_addr()?.port())).collect()
}

impl Drop for Process {
    fn drop(&mut self) {
        // By its own process id, and at once: asked politely, it takes half a minute.
        let _ = self.child.kill();
        let _ = self.child.wait();
        // It leaves its sockets behind, named after our ports.
        for port in &self.ports {
            for part in PARTS {
                for kind in ["", "-grpc"] {
                    let _ = std::fs::remove_file(format!("/tmp/seaweedfs-{part}{kind}-{port}.sock"));
                }
            }
        }
    }
}
