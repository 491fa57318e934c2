//! A real nix-daemon with a store of its own.

use std::process::{Child, Stdio};
use std::sync::Arc;
use std::time::Duration;

use nars3_nix_store::{DaemonStore, DaemonStoreOptions};
use nars3_store_api::{NarStream, StageOptions, Store, StoreError};
use nars3_store_path::StoreDir;

use super::Sample;
use super::nix::{OwnStore, succeed};

/// A daemon, which ends with the test.
pub struct Daemon {
    process: Child,
    pub options: DaemonStoreOptions,
}

impl Daemon {
    pub fn start(own: &OwnStore<'_>) -> Self {
        // Whatever starts first makes the store.
        succeed(own.command("nix-store").arg("--verify"));
        let socket = own.store_dir().with_file_name("socket");
        let process = own
            .command("nix-daemon")
            .env("NIX_DAEMON_SOCKET_PATH", &socket)
            .stdin(Stdio::null())
            .spawn()
            .expect("nix-daemon runs");
        let store_dir = StoreDir::new(own.store_dir().to_str().expect("UTF-8")).expect("a store directory");
        let log_dir = own.log_dir();
        let options = DaemonStoreOptions { socket, store_dir, log_dir, ..DaemonStoreOptions::default() };
        let daemon = Self { process, options };
        while std::os::unix::net::UnixStream::connect(&daemon.options.socket).is_err() {
            std::thread::sleep(Duration::from_millis(20));
        }
        daemon
    }

    pub fn open(&self, check_signatures: bool) -> Arc<DaemonStore> {
        DaemonStore::open(DaemonStoreOptions { check_signatures, ..self.options.clone() })
            .expect("it listens")
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub async fn add(store: &DaemonStore, sample: &Sample) -> Result<(), StoreError> {
    let staged = store.stage(sample.info.clone(), sample.stream(), StageOptions::default()).await?;
    store.publish(vec![staged]).await
}

pub async fn bytes(mut stream: NarStream) -> Result<Vec<u8>, StoreError> {
    let mut nar = Vec::new();
    while let Some(chunk) = stream.next().await? {
        nar.extend_from_slice(&chunk);
    }
    Ok(nar)
}

pub fn message(error: &StoreError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        text = format!("{text}: {inner}");
        source = inner.source();
    }
    text
}
