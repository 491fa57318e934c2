//! The kinds of objects in a binary cache, and the headers each is written with.

use nars3_compression::Compression;
use nars3_store_url::{CacheSettings, HeaderSettings, ObjectHeaders};

/// What an object is. The content types are those of Nix 2.29 (`binary-cache-store.cc`, `nar-info.cc`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    CacheInfo,
    NarInfo,
    Nar,
    Listing,
    DebugInfo,
    Realisation,
    Log,
}

impl Kind {
    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::CacheInfo => "text/x-nix-cache-info",
            Self::NarInfo => "text/x-nix-narinfo",
            Self::Nar => "application/x-nix-nar",
            Self::Listing | Self::DebugInfo | Self::Realisation => "application/json",
            Self::Log => "text/plain; charset=utf-8",
        }
    }

    /// What the settings say about the headers of this kind.
    pub(crate) fn headers(self, settings: &HeaderSettings) -> &ObjectHeaders {
        match self {
            Self::CacheInfo => &settings.cache_info,
            Self::NarInfo => &settings.narinfo,
            Self::Nar => &settings.nar,
            Self::Listing => &settings.ls,
            Self::DebugInfo => &settings.debuginfo,
            Self::Realisation => &settings.realisation,
            Self::Log => &settings.log,
        }
    }
}

/// The Content-Encoding of each kind of document, as `narinfo-compression`, `ls-compression` and `log-compression`
/// ask for it. Everything else is stored as it is (Nix 2.29 `s3-binary-cache-store.cc`).
#[derive(Debug, Clone)]
pub(crate) struct Encodings {
    narinfo: Option<Compression>,
    listing: Option<Compression>,
    log: Option<Compression>,
}

impl Encodings {
    pub(crate) fn new(settings: &CacheSettings) -> Self {
        let wanted =
            |method: &Option<Compression>| method.clone().filter(|method| *method != Compression::None);
        Self {
            narinfo: wanted(&settings.narinfo_compression),
            listing: wanted(&settings.ls_compression),
            log: wanted(&settings.log_compression),
        }
    }

    pub(crate) fn of(&self, kind: Kind) -> Option<&Compression> {
        match kind {
            Kind::NarInfo => self.narinfo.as_ref(),
            Kind::Listing => self.listing.as_ref(),
            Kind::Log => self.log.as_ref(),
            Kind::CacheInfo | Kind::Nar | Kind::DebugInfo | Kind::Realisation => None,
        }
    }

    /// The setting, and its value, that Nix 2.34 and later cannot read back: they decode only what curl decodes.
    pub(crate) fn unreadable(&self) -> Option<(&'static str, &Compression)> {
        [
            ("narinfo-compression", &self.narinfo),
            ("ls-compression", &self.listing),
            ("log-compression", &self.log),
        ]
        .into_iter()
        .find_map(|(setting, method)| match method {
            None | Some(Compression::Gzip | Compression::Brotli | Compression::Zstd) => None,
            Some(method) => Some((setting, method)),
        })
    }
}
