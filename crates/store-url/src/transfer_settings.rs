//! The settings of everything that speaks HTTP: timeouts, retries, TLS.

use std::path::PathBuf;
use std::time::Duration;

/// Timeouts, retries and TLS of an S3 or HTTP store.
///
/// In Nix the timeouts and `ssl-cert-file` are global options; a store URL may set them here for one store.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TransferSettings {
    /// `connect-timeout`; `None` waits as long as the system does.
    pub connect_timeout: Option<Duration>,
    /// `stalled-download-timeout`: without a byte for so long a transfer is given up; `None` never.
    pub stalled_download_timeout: Option<Duration>,
    /// `request-timeout`: of one attempt from its start to its last byte; `None` is no limit.
    pub request_timeout: Option<Duration>,
    /// `retry-attempts`: how often a request is tried in all.
    pub retry_attempts: u32,
    /// `retry-delay`: before the first retry; it doubles with each one.
    pub retry_delay: Duration,
    /// `retry-delay-rate-limited`: the same after the server said that it is asked too much.
    pub retry_delay_rate_limited: Duration,
    /// `retry-max-delay`: no delay is longer.
    pub retry_max_delay: Duration,
    /// `retry-timeout`: no retry starts so long after the first attempt; `None` is no limit.
    pub retry_timeout: Option<Duration>,
    /// `ssl-cert-file`: certificates of the authorities to trust, PEM, instead of the system's.
    pub ssl_cert_file: Option<PathBuf>,
    /// `tls-certificate`: a client certificate, PEM. It must go to the store's own authority only.
    pub tls_certificate: Option<PathBuf>,
    /// `tls-private-key`: its key, PEM.
    pub tls_private_key: Option<PathBuf>,
}

impl Default for TransferSettings {
    /// The defaults of Nix HEAD's `filetransfer.hh`.
    fn default() -> Self {
        TransferSettings {
            connect_timeout: Some(Duration::from_secs(15)),
            stalled_download_timeout: Some(Duration::from_secs(300)),
            request_timeout: None,
            retry_attempts: 5,
            retry_delay: Duration::from_millis(100),
            retry_delay_rate_limited: Duration::from_millis(5000),
            retry_max_delay: Duration::from_millis(60_000),
            retry_timeout: None,
            ssl_cert_file: None,
            tls_certificate: None,
            tls_private_key: None,
        }
    }
}
