//! Which store it is: the part in front of the settings.

use std::net::Ipv4Addr;
use std::path::PathBuf;

use super::reference::{Base, Reference};
use crate::authority::is_name_char;
use crate::error::{Problem, StoreUrlError};
use crate::http_url::{HttpUrl, Scheme, decode_path, decode_segment};
use crate::local_settings::{AutoSettings, DaemonSettings, LocalSettings};
use crate::nearest;
use crate::s3::S3Settings;
use crate::store_url::{FileCache, HttpSettings, StoreKind};
use crate::text;

/// The schemes of the stores here.
const SCHEMES: [&str; 6] = ["s3", "file", "http", "https", "local", "unix"];

/// Schemes that Nix has, or that its short names suggest, and why they are no stores here.
const UNSUPPORTED: [(&str, &str); 7] = [
    ("ssh", SSH),
    ("ssh-ng", SSH),
    ("mounted-ssh-ng", SSH),
    ("local-overlay", "it is an experiment of Nix; use `local`, or `daemon` where a daemon serves it"),
    ("dummy", "it holds nothing"),
    ("daemon", "the daemon is written `daemon`, or `unix:///path` with its socket"),
    ("auto", "it is written `auto`, without `://`"),
];

const SSH: &str = "it needs Nix on another machine; run the command there, or copy with `nix copy`";

/// The store that the base names, without its settings.
pub(super) fn kind(reference: &Reference<'_>, whole: &str) -> Result<StoreKind, StoreUrlError> {
    match reference.base {
        Base::Auto => Ok(StoreKind::Auto(AutoSettings::default())),
        Base::Daemon => Ok(StoreKind::Daemon(DaemonSettings::default())),
        Base::Local => Ok(StoreKind::Local(LocalSettings::default())),
        Base::Path(path) => bare_path(path),
        Base::Url { scheme, rest, at } => url(scheme, rest, at, whole),
    }
}

/// A path as it is, nothing in it decoded: a chroot store.
fn bare_path(path: &str) -> Result<StoreKind, StoreUrlError> {
    if let Some(at) = path.find('\0') {
        return Err(StoreUrlError::new(at, path, Problem::ZeroByte));
    }
    let root = if path.starts_with('/') { text::canonical_path(path) } else { path.to_owned() };
    Ok(StoreKind::Local(LocalSettings { root: Some(PathBuf::from(root)), ..LocalSettings::default() }))
}

fn url(scheme: &str, rest: &str, at: usize, whole: &str) -> Result<StoreKind, StoreUrlError> {
    let http = |scheme| {
        let url = HttpUrl::parse_rest(scheme, rest, at, whole)?;
        Ok(StoreKind::Http(HttpSettings::new(url)))
    };
    let lower = scheme.to_ascii_lowercase();
    match lower.as_str() {
        "s3" => s3(rest, at, whole),
        "http" => http(Scheme::Http),
        "https" => http(Scheme::Https),
        "file" => {
            let path = path("file", rest, at, whole)?.unwrap_or_default();
            let trimmed = path.trim_end_matches('/');
            let dir = PathBuf::from(if trimmed.is_empty() { "/" } else { trimmed });
            Ok(StoreKind::File(FileCache { dir }))
        }
        "local" => {
            let root = path("local", rest, at, whole)?;
            let root = root.map(|root| PathBuf::from(text::canonical_path(&root)));
            Ok(StoreKind::Local(LocalSettings { root, ..LocalSettings::default() }))
        }
        "unix" => {
            let socket = path("unix", rest, at, whole)?.map(PathBuf::from);
            Ok(StoreKind::Daemon(DaemonSettings { socket, ..DaemonSettings::default() }))
        }
        // What stands in front of `://` is meant as a scheme; in `user:password@host` it is not.
        _ if rest.starts_with("//") => Err(StoreUrlError::new(0, scheme, not_a_scheme(&lower, rest))),
        _ => Err(StoreUrlError::within(whole, 0, scheme, not_a_scheme(&lower, rest))),
    }
}

fn not_a_scheme(scheme: &str, rest: &str) -> Problem {
    if let Some((scheme, reason)) = UNSUPPORTED.into_iter().find(|(name, _)| *name == scheme) {
        return Problem::UnsupportedStore { scheme, reason };
    }
    if scheme.len() == 1 && rest.starts_with(['\\', '/']) && !rest.starts_with("//") {
        return Problem::WindowsPath;
    }
    Problem::UnknownScheme { nearest: nearest::nearest(scheme, SCHEMES) }
}

fn s3(rest: &str, at: usize, whole: &str) -> Result<StoreKind, StoreUrlError> {
    let (bucket, path, path_at) = bucket(rest, at, whole)?;
    let mut settings = S3Settings::new(bucket);
    settings.prefix = decode_path(path, path_at, whole)?.join("/");
    let odd = |part: &str| matches!(part, "" | "." | "..");
    if !settings.prefix.is_empty() && settings.prefix.split('/').any(odd) {
        return Err(StoreUrlError::within(whole, path_at, path, Problem::InvalidPrefix));
    }
    Ok(StoreKind::S3(settings))
}

/// The bucket of `//bucket[/…]`, which starts at byte `at`, and the rest with its position.
pub(crate) fn bucket<'a>(
    rest: &'a str,
    at: usize,
    whole: &str,
) -> Result<(String, &'a str, usize), StoreUrlError> {
    let fail = |piece: &str, problem| Err(StoreUrlError::within(whole, at + 2, piece, problem));
    let Some((host, path)) = text::split_authority(rest) else {
        return Err(StoreUrlError::within(whole, at, rest, Problem::MissingBucket));
    };
    if host.contains('@') {
        return fail(host, Problem::UnexpectedUserInformation);
    }
    let (name, port) = match host.rsplit_once(':') {
        Some((name, _)) if !host.starts_with('[') => (name, true),
        _ => (host, false),
    };
    if name.starts_with('[') || name.parse::<Ipv4Addr>().is_ok() {
        return fail(host, Problem::BucketIsIpAddress);
    }
    if port {
        return fail(host, Problem::BucketWithPort);
    }
    let bucket = match text::decode(host, at + 2) {
        Ok(bucket) => bucket,
        Err(error) => return Err(StoreUrlError::within(whole, error.at, &error.piece, error.problem)),
    };
    match bucket.len() {
        0 => fail(host, Problem::MissingBucket),
        1..=255 if bucket.chars().all(is_name_char) => Ok((bucket.into_owned(), path, at + 2 + host.len())),
        _ => fail(host, Problem::InvalidBucket),
    }
}

/// The path of `//path` or of a path alone, decoded; `None` if it is empty.
fn path(scheme: &'static str, rest: &str, at: usize, whole: &str) -> Result<Option<String>, StoreUrlError> {
    let (path, path_at) = match text::split_authority(rest) {
        Some(("", path)) => (path, at + 2),
        Some((host, _)) => {
            return Err(StoreUrlError::within(whole, at + 2, host, Problem::UnexpectedHost { scheme }));
        }
        None => (rest, at),
    };
    let decoded = decode_segment(path, path_at, whole)?;
    if decoded.is_empty() {
        Ok(None)
    } else if decoded.starts_with('/') {
        Ok(Some(decoded))
    } else {
        Err(StoreUrlError::within(whole, path_at, path, Problem::RelativeUrlPath { scheme }))
    }
}
