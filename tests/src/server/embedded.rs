//! An S3 server inside this process: `s3s-fs` on a loopback port, with anonymous access per bucket as MinIO's policies give it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{S3Result, s3_error};
use s3s_fs::FileSystem;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::task::{AbortHandle, JoinSet};

use super::{Access, Settings};

/// Who may do what without a signature, by bucket.
pub(super) type Policies = Arc<Mutex<HashMap<String, Access>>>;

/// A running embedded server; dropping it closes its port and its connections.
#[derive(Debug)]
pub(super) struct Service {
    policies: Policies,
    accepting: AbortHandle,
    _data: TempDir,
}

impl Service {
    /// Starts the server on `runtime` and returns it with its `host:port`.
    pub(super) fn start(settings: &Settings, runtime: &Handle) -> Result<(Self, String)> {
        let data = tempfile::Builder::new().prefix("nars3-embedded-s3-").tempdir()?;
        let files = FileSystem::new(data.path())
            .map_err(|error| anyhow::anyhow!("cannot open the embedded server's directory: {error:?}"))?;
        let policies = Policies::default();
        let mut builder = S3ServiceBuilder::new(files);
        builder.set_auth(SimpleAuth::from_single(settings.access_key.as_str(), settings.secret_key.as_str()));
        builder.set_access(AnonymousAccess(Arc::clone(&policies)));
        let listener =
            runtime.block_on(TcpListener::bind(("127.0.0.1", 0))).context("cannot bind a loopback port")?;
        let authority = listener.local_addr()?.to_string();
        let accepting = runtime.spawn(accept(listener, builder.build())).abort_handle();
        Ok((Self { policies, accepting, _data: data }, authority))
    }

    /// The table that decides about unsigned requests.
    pub(super) fn policies(&self) -> Policies {
        Arc::clone(&self.policies)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, service: S3Service) {
    let server = Builder::new(TokioExecutor::new());
    // Aborted with this task, when the server is dropped.
    let mut connections = JoinSet::new();
    while let Ok((socket, _)) = listener.accept().await {
        // A body that follows its headers in a second packet would otherwise wait for the peer's delayed acknowledgement.
        let _ = socket.set_nodelay(true);
        let connection = server.serve_connection(TokioIo::new(socket), service.clone()).into_owned();
        connections.spawn(async move {
            // The client sees a broken connection; here is nobody to tell.
            let _ = connection.await;
        });
        while connections.try_join_next().is_some() {}
    }
}

/// Signed requests may do everything, unsigned ones what the table says.
struct AnonymousAccess(Policies);

#[async_trait::async_trait]
impl S3Access for AnonymousAccess {
    async fn check(&self, context: &mut S3AccessContext<'_>) -> S3Result<()> {
        if context.credentials().is_some() {
            return Ok(());
        }
        let policies = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let access = context.s3_path().get_bucket_name().and_then(|bucket| policies.get(bucket));
        let allowed = match access {
            None => false,
            Some(Access::Read) => matches!(context.s3_op().name(), "GetObject" | "HeadObject"),
            Some(Access::ReadWrite) => {
                matches!(context.s3_op().name(), "GetObject" | "HeadObject" | "PutObject")
            }
        };
        if allowed {
            Ok(())
        } else {
            Err(s3_error!(AccessDenied, "no signature, and the bucket is not public"))
        }
    }
}
