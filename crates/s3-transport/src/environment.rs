//! What opening a store takes from the process: where credentials come from, and whom TLS trusts.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use crate::credentials::Registry;
use crate::stats::RequestStats;

/// Where credentials come from.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum CredentialSource {
    /// AWS's usual chain: environment variables, profiles, web identity, container, instance metadata.
    #[default]
    Chain,
    /// Only the profiles in these files, whatever the environment says.
    Files {
        /// In the form of `~/.aws/config`.
        config: PathBuf,
        /// In the form of `~/.aws/credentials`.
        credentials: PathBuf,
    },
    /// These keys.
    Static(StaticKeys),
    /// No credentials: requests are not signed.
    Anonymous,
}

/// An access key, kept out of what is printed.
#[derive(Clone)]
pub struct StaticKeys {
    pub(crate) access_key_id: String,
    pub(crate) secret_access_key: String,
    pub(crate) session_token: Option<String>,
}

impl StaticKeys {
    /// A key, with the session token that comes with temporary ones.
    pub fn new(
        access_key_id: impl Into<String>,
        secret_access_key: impl Into<String>,
        session_token: Option<String>,
    ) -> Self {
        StaticKeys {
            access_key_id: access_key_id.into(),
            secret_access_key: secret_access_key.into(),
            session_token,
        }
    }
}

impl fmt::Debug for StaticKeys {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("StaticKeys").finish_non_exhaustive()
    }
}

/// What opening a store takes from the process.
///
/// Clones share their credentials and counters, so that stores opened with one environment ask each provider once.
/// The library reads no environment variable itself: AWS's chain does, and so does the HTTP client for proxies.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// Where credentials come from.
    pub(crate) credentials: CredentialSource,
    /// Certificates of the authorities to trust instead of the system's (PEM), unless the store's settings name others.
    pub(crate) ca_bundle: Option<PathBuf>,
    /// Addresses of hosts, instead of what the resolver says; for servers that no name service knows.
    pub(crate) addresses: Vec<(String, SocketAddr)>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) stats: Arc<RequestStats>,
}

impl Environment {
    /// The environment of an ordinary program: AWS's credential chain and the system's authorities.
    pub fn of_process() -> Self {
        Environment::default()
    }

    /// An environment with another source of credentials.
    #[must_use]
    pub fn with_credentials(mut self, credentials: CredentialSource) -> Self {
        self.credentials = credentials;
        self.registry = Arc::default();
        self
    }

    /// An environment that trusts the authorities in a PEM file instead of the system's.
    #[must_use]
    pub fn with_ca_bundle(mut self, path: impl Into<PathBuf>) -> Self {
        self.ca_bundle = Some(path.into());
        self
    }

    /// An environment in which a host has this address.
    #[must_use]
    pub fn with_address(mut self, host: impl Into<String>, address: SocketAddr) -> Self {
        self.addresses.push((host.into(), address));
        self
    }

    /// Counters of the requests of all stores opened with this environment and its clones.
    pub fn stats(&self) -> &Arc<RequestStats> {
        &self.stats
    }
}
