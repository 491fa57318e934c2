//! The HTTP headers that objects are stored with, per kind of object.

/// Headers of one kind of object. Content encodings are the `*-compression` settings.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ObjectHeaders {
    /// `Content-Type`; unset, Nix's own for this kind.
    pub content_type: Option<String>,
    /// `Cache-Control`; unset, none.
    pub cache_control: Option<String>,
}

/// The headers of each kind of object in a binary cache. The settings are called after the field:
/// `narinfo-content-type`, `narinfo-cache-control`, and so on.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct HeaderSettings {
    /// `nix-cache-info`.
    pub cache_info: ObjectHeaders,
    /// `<hash part>.narinfo`.
    pub narinfo: ObjectHeaders,
    /// `nar/…`.
    pub nar: ObjectHeaders,
    /// `<hash part>.ls`.
    pub ls: ObjectHeaders,
    /// `debuginfo/…`.
    pub debuginfo: ObjectHeaders,
    /// `realisations/…` and `build-trace-v2/…`.
    pub realisation: ObjectHeaders,
    /// `log/…`.
    pub log: ObjectHeaders,
}
