//! S3 servers to test against, all behind one value.
//!
//! `NARS3_TEST_SERVER` chooses: `minio`, `seaweedfs`, `embedded`, or the URL of a server that runs already. By default it is
//! MinIO where its binary is found, because it is the strictest, and the embedded server elsewhere.

mod bucket;
mod embedded;
mod minio;
mod seaweedfs;
mod sts;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use anyhow::{Context, Result, bail};
use tokio::runtime::Runtime;

pub use self::bucket::{Access, Bucket, Object};
pub use self::minio::find as find_minio;
pub use self::seaweedfs::find as find_seaweedfs;
pub use self::sts::TemporaryKeys;
use crate::http::Client;
use crate::sigv4::Signer;

/// Which server to start.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ServerKind {
    /// This MinIO binary, as a child process.
    Minio(PathBuf),
    /// This SeaweedFS binary, as a child process.
    SeaweedFs(PathBuf),
    /// `s3s-fs` on a loopback port of this process.
    Embedded,
    /// A server that someone else runs, at `http://host:port`, with the key pair of `AWS_ACCESS_KEY_ID` and
    /// `AWS_SECRET_ACCESS_KEY` and the region of `AWS_REGION`.
    Given(String),
}

/// Below this domain MinIO takes each host's name for that of a bucket.
pub const VIRTUAL_DOMAIN: &str = "minio.nars3.test";

impl ServerKind {
    /// The kind that `NARS3_TEST_SERVER` asks for, or the strictest that this machine has.
    ///
    /// # Errors
    /// When MinIO or SeaweedFS is asked for by name and there is no binary, or the value is none of these forms.
    pub fn from_environment() -> Result<Self> {
        match std::env::var("NARS3_TEST_SERVER").unwrap_or_default().as_str() {
            "" => Ok(find_minio().map_or(Self::Embedded, Self::Minio)),
            "minio" => {
                let binary = find_minio()
                    .context("no MinIO binary in MINIO_BIN, in PATH or in nars3's cache directory")?;
                Ok(Self::Minio(binary))
            }
            "seaweedfs" => {
                let binary = find_seaweedfs()
                    .context("no SeaweedFS binary in SEAWEEDFS_BIN, in PATH or in nars3's cache directory")?;
                Ok(Self::SeaweedFs(binary))
            }
            "embedded" => Ok(Self::Embedded),
            url if url.starts_with("http://") => Ok(Self::Given(url.to_owned())),
            other => bail!(
                "NARS3_TEST_SERVER is '{other}', expected 'minio', 'seaweedfs', 'embedded' or an http:// URL"
            ),
        }
    }
}

/// How a started server is set up.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The region that the server says it is in. MinIO then refuses requests that are signed for another.
    pub region: String,
    /// Access key of the one user, who may do everything.
    pub access_key: String,
    /// Secret of that user.
    pub secret_key: String,
    /// Where MinIO keeps its data, in a directory of its own. By default where the system has its temporary files.
    pub place: PathBuf,
}

impl Default for Settings {
    /// Not the default region of clients, so that a client that ignores the region of its URL is found out.
    fn default() -> Self {
        Self {
            region: "eu-central-1".to_owned(),
            access_key: "nars3-test-user".to_owned(),
            secret_key: format!("secret-{:016x}", random()),
            place: std::env::temp_dir(),
        }
    }
}

/// A running S3 server. One that was started here stops when the value is dropped.
#[derive(Debug)]
pub struct S3Server {
    // Dropped in this order: the server first, then the runtime that an embedded one runs on.
    running: Running,
    settings: Settings,
    authority: String,
    runtime: Arc<Runtime>,
}

#[derive(Debug)]
enum Running {
    Minio { process: minio::Process },
    SeaweedFs { _process: seaweedfs::Process },
    Embedded(embedded::Service),
    Given,
}

impl S3Server {
    /// The server that the tests of one process share: started by the first that needs it, stopped after the last.
    ///
    /// # Errors
    /// When it cannot be started, see `start`.
    pub fn shared() -> Result<Arc<Self>> {
        Self::shared_kind(&ServerKind::from_environment()?)
    }

    /// The same, of this kind.
    ///
    /// # Errors
    /// When it cannot be started, see `start_kind`.
    pub fn shared_kind(kind: &ServerKind) -> Result<Arc<Self>> {
        static SHARED: Mutex<Vec<(ServerKind, Weak<S3Server>)>> = Mutex::new(Vec::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        let running =
            shared.iter().filter(|(known, _)| known == kind).find_map(|(_, server)| server.upgrade());
        if let Some(server) = running {
            return Ok(server);
        }
        let server = Arc::new(Self::start_kind(kind, &Settings::default())?);
        shared.retain(|(known, _)| known != kind);
        shared.push((kind.clone(), Arc::downgrade(&server)));
        Ok(server)
    }

    /// A server of the kind that the environment asks for, for the caller alone.
    ///
    /// # Errors
    /// When that kind is not to be had, or does not become ready.
    pub fn start(settings: &Settings) -> Result<Self> {
        Self::start_kind(&ServerKind::from_environment()?, settings)
    }

    /// A server of this kind, for the caller alone.
    ///
    /// # Errors
    /// When it does not become ready; the error shows what it printed.
    pub fn start_kind(kind: &ServerKind, settings: &Settings) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let runtime = Arc::new(runtime);
        let mut settings = settings.clone();
        let (running, authority) = match kind {
            ServerKind::Minio(binary) => {
                let (process, authority) = minio::Process::start(binary, &settings, &runtime)?;
                (Running::Minio { process }, authority)
            }
            ServerKind::SeaweedFs(binary) => {
                let (process, authority) = seaweedfs::Process::start(binary, &settings, &runtime)?;
                (Running::SeaweedFs { _process: process }, authority)
            }
            ServerKind::Embedded => {
                let (service, authority) = embedded::Service::start(&settings, runtime.handle())?;
                (Running::Embedded(service), authority)
            }
            ServerKind::Given(url) => {
                settings = given_settings()?;
                let authority = url.trim_start_matches("http://").trim_end_matches('/').to_owned();
                (Running::Given, authority)
            }
        };
        Ok(Self { running, settings, authority, runtime })
    }

    /// Host and port, as the `endpoint` setting of a store URL wants them.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.authority
    }

    /// Region and key pair of the server.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The process of a MinIO that was started here, for whoever measures.
    #[must_use]
    pub fn minio_process(&self) -> Option<u32> {
        match &self.running {
            Running::Minio { process } => Some(process.id()),
            Running::SeaweedFs { .. } | Running::Embedded(_) | Running::Given => None,
        }
    }

    /// A new, empty bucket with a name that nobody has used before.
    ///
    /// # Errors
    /// When the server refuses it.
    pub fn fresh_bucket(&self) -> Result<Bucket> {
        self.bucket(&format!("nars3-{:016x}", random()))
    }

    /// A new, empty bucket of this name.
    ///
    /// # Errors
    /// When the server refuses it, for instance because it is there already.
    pub fn bucket(&self, name: &str) -> Result<Bucket> {
        let client = Client::new(Arc::clone(&self.runtime), &self.authority)?;
        let policies = match &self.running {
            Running::Embedded(service) => Some(service.policies()),
            Running::Minio { .. } | Running::SeaweedFs { .. } | Running::Given => None,
        };
        Bucket::create(name, client, self.signer(), policies)
    }

    fn signer(&self) -> Signer {
        Signer {
            service: "s3",
            access_key: self.settings.access_key.clone(),
            secret_key: self.settings.secret_key.clone(),
            region: self.settings.region.clone(),
        }
    }
}

/// A binary that `cargo xtask test` keeps in the cache directory, in a folder whose name begins with `prefix`; the newest.
fn cached_binary(prefix: &str, path: &str) -> Option<PathBuf> {
    let cache = std::env::var_os("XDG_CACHE_HOME")
        .filter(|value| !value.is_empty())
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")))?;
    let entries = std::fs::read_dir(cache.join("nars3")).ok()?.flatten();
    let mut builds: Vec<_> = entries
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix))
        .map(|entry| entry.path())
        .collect();
    builds.sort();
    builds.into_iter().rev().map(|build| build.join(path)).find(|binary| binary.is_file())
}

fn given_settings() -> Result<Settings> {
    let variable = |name: &str| {
        std::env::var(name).with_context(|| format!("{name} is not set, and a given server needs it"))
    };
    Ok(Settings {
        region: std::env::var("AWS_REGION").unwrap_or_else(|_| "us-east-1".to_owned()),
        access_key: variable("AWS_ACCESS_KEY_ID")?,
        secret_key: variable("AWS_SECRET_ACCESS_KEY")?,
        ..Settings::default()
    })
}

/// A number that differs between calls and between processes: the standard library seeds its hash maps at random.
pub(crate) fn random() -> u64 {
    use std::hash::{BuildHasher, Hasher, RandomState};
    RandomState::new().build_hasher().finish()
}
