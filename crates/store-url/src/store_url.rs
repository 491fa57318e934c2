//! A store URL as typed settings.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::cache_settings::CacheSettings;
use crate::error::StoreUrlError;
use crate::http_url::HttpUrl;
use crate::local_settings::{AutoSettings, ConnectionSettings, DaemonSettings, LocalSettings};
use crate::parse;
use crate::s3::S3Settings;
use crate::setting::StoreType;
use crate::store_settings::StoreSettings;
use crate::transfer_settings::TransferSettings;
use crate::warning::Warning;

/// A store and its settings.
///
/// `Display` prints an equivalent URL in Nix's form, without user names and passwords and without settings that have
/// their default value.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StoreUrl {
    /// Which store, and the settings of its kind.
    pub kind: StoreKind,
    /// The settings of binary caches. They have no meaning for `Local`, `Daemon` and `Auto`.
    pub cache: CacheSettings,
    /// The settings of every store.
    pub store: StoreSettings,
}

/// The kinds of store. Exhaustive on purpose: whoever opens stores must handle each.
#[derive(Clone, Debug, Eq, PartialEq)]
#[allow(
    clippy::large_enum_variant,
    reason = "a program has a handful of these, and boxes would be in the way"
)]
pub enum StoreKind {
    /// `s3://bucket[/prefix]`, a binary cache in a bucket.
    S3(S3Settings),
    /// `file:///directory`, a binary cache in a directory.
    File(FileCache),
    /// `http://…` or `https://…`, a binary cache on a web server.
    Http(HttpSettings),
    /// `local`, `local?root=/directory` or a path: a store on this machine.
    Local(LocalSettings),
    /// `daemon` or `unix:///socket`, the Nix daemon.
    Daemon(DaemonSettings),
    /// `auto` or nothing: the local store or the daemon.
    Auto(AutoSettings),
}

/// A binary cache in a directory.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FileCache {
    /// The directory, an absolute path.
    pub dir: PathBuf,
}

/// A binary cache on a web server.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HttpSettings {
    /// The URL in front of every object's name, without a `/` at its end.
    pub url: HttpUrl,
    /// `bearer-token-file`: a file with the token that is sent with every request to this server.
    pub bearer_token_file: Option<PathBuf>,
    /// Timeouts, retries and TLS.
    pub transfer: TransferSettings,
}

impl HttpSettings {
    /// The cache at `url`, with default settings.
    pub fn new(url: HttpUrl) -> Self {
        HttpSettings { url, bearer_token_file: None, transfer: TransferSettings::default() }
    }
}

/// A store URL and what is odd about it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Parsed {
    /// The URL.
    pub url: StoreUrl,
    /// What is odd about it, in the order in which it stands in the URL as far as it stands there.
    pub warnings: Vec<Warning>,
}

impl StoreUrl {
    /// A store with the default settings of everything but its kind.
    pub fn new(kind: StoreKind) -> Self {
        StoreUrl { kind, cache: CacheSettings::default(), store: StoreSettings::default() }
    }

    /// Reads a store URL in any of the forms that Nix knows.
    ///
    /// # Errors
    /// If it is none, or a setting's value cannot be used; the error points at the piece that is wrong.
    pub fn parse(text: &str) -> Result<Parsed, StoreUrlError> {
        parse::store_url(text)
    }

    /// The URL without its settings, such as `s3://bucket/prefix`: what Nix keys its disk cache with.
    pub fn base(&self) -> String {
        crate::display::base(&self.kind)
    }

    /// Removes the user name and password, as printing does.
    #[must_use]
    pub fn without_secrets(mut self) -> Self {
        if let StoreKind::Http(http) = &mut self.kind {
            http.url.credentials = None;
        }
        self
    }

    /// Puts `directory`, the caller's working directory, in front of relative paths: of a chroot store that was given
    /// as a bare path, and of signing keys.
    pub fn resolve_relative(&mut self, directory: &Path) {
        let root = self.kind.local_mut().and_then(|local| local.root.as_mut());
        for path in root.into_iter().chain(&mut self.cache.secret_keys) {
            if path.is_relative() {
                let joined = directory.join(&path);
                *path = PathBuf::from(crate::text::canonical_path(&joined.to_string_lossy()));
            }
        }
    }
}

impl FromStr for StoreUrl {
    type Err = StoreUrlError;

    /// Like `StoreUrl::parse`, without the warnings.
    fn from_str(text: &str) -> Result<Self, StoreUrlError> {
        Self::parse(text).map(|parsed| parsed.url)
    }
}

impl StoreKind {
    /// The kind of store without its settings.
    pub fn store_type(&self) -> StoreType {
        match self {
            StoreKind::S3(_) => StoreType::S3,
            StoreKind::File(_) => StoreType::File,
            StoreKind::Http(_) => StoreType::Http,
            StoreKind::Local(_) => StoreType::Local,
            StoreKind::Daemon(_) => StoreType::Daemon,
            StoreKind::Auto(_) => StoreType::Auto,
        }
    }

    /// Whether the store is a binary cache, for which `StoreUrl::cache` holds.
    pub fn is_cache(&self) -> bool {
        matches!(self, StoreKind::S3(_) | StoreKind::File(_) | StoreKind::Http(_))
    }
}

/// A pair of accessors to the settings that some kinds of store have.
macro_rules! accessors {
    ($shared:ident, $exclusive:ident -> $type:ty { $($kind:ident($settings:ident) => $part:expr;)+ }) => {
        impl StoreKind {
            pub(crate) fn $shared(&self) -> Option<&$type> {
                match self {
                    $(StoreKind::$kind($settings) => Some(&$part),)+
                    _ => None,
                }
            }

            pub(crate) fn $exclusive(&mut self) -> Option<&mut $type> {
                match self {
                    $(StoreKind::$kind($settings) => Some(&mut $part),)+
                    _ => None,
                }
            }
        }
    };
}

accessors!(s3, s3_mut -> S3Settings { S3(settings) => *settings; });
accessors!(http, http_mut -> HttpSettings { Http(settings) => *settings; });
accessors!(transfer, transfer_mut -> TransferSettings {
    S3(settings) => settings.transfer;
    Http(settings) => settings.transfer;
});
accessors!(local, local_mut -> LocalSettings {
    Local(settings) => *settings;
    Auto(settings) => settings.local;
});
accessors!(connections, connections_mut -> ConnectionSettings {
    Daemon(settings) => settings.connections;
    Auto(settings) => settings.connections;
});
