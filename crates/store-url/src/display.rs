//! Printing: an equivalent URL in Nix's own form, settings sorted by name, secrets absent.

use std::fmt;
use std::path::Path;

use crate::setting::settings_table;
use crate::store_url::{StoreKind, StoreUrl};
use crate::text;

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&base(&self.kind))?;
        write_settings(f, self, None)
    }
}

/// Everything in front of the settings.
pub(crate) fn base(kind: &StoreKind) -> String {
    match kind {
        StoreKind::S3(s3) if s3.prefix.is_empty() => format!("s3://{}", s3.bucket),
        StoreKind::S3(s3) => format!("s3://{}/{}", s3.bucket, encode_path(&s3.prefix)),
        StoreKind::File(file) => format!("file://{}", path(&file.dir)),
        StoreKind::Http(http) => http.url.to_string(),
        StoreKind::Local(local) => match &local.root {
            // Only a bare path can be relative.
            Some(root) if root.is_relative() => bare_path(root),
            _ => "local".to_owned(),
        },
        StoreKind::Daemon(daemon) => match &daemon.socket {
            Some(socket) => format!("unix://{}", path(socket)),
            None => "daemon".to_owned(),
        },
        StoreKind::Auto(_) => "auto".to_owned(),
    }
}

/// A path as it was typed: it is no URL, and nothing in it is encoded.
fn bare_path(path: &Path) -> String {
    let path = path.to_string_lossy();
    if path.contains('/') { path.into_owned() } else { format!("./{path}") }
}

fn path(path: &Path) -> String {
    encode_path(&path.to_string_lossy())
}

fn encode_path(path: &str) -> String {
    path.split('/').map(|segment| text::encode_segment(segment).to_string()).collect::<Vec<_>>().join("/")
}

/// Writes `?name=value&…` for the settings that differ from their defaults, and for one more of an object URL.
pub(crate) fn write_settings(
    f: &mut fmt::Formatter<'_>,
    url: &StoreUrl,
    more: Option<(&'static str, String)>,
) -> fmt::Result {
    let mut settings: Vec<(&str, String)> = more.into_iter().collect();
    let store = url.kind.store_type();
    for setting in settings_table().filter(|setting| setting.applies_to(store)) {
        let value = (setting.slot.show)(url, setting).unwrap_or_default();
        let counts = value != setting.default || is_chosen(url, setting.name);
        if counts && !is_in_base(url, setting.name) {
            settings.push((setting.name, value));
        }
    }
    settings.sort_unstable_by_key(|(name, _)| *name);
    if !settings.is_empty()
        && matches!(&url.kind, StoreKind::Local(local) if base_is_short(local.root.as_deref()))
    {
        // `local?…` and `local://?…` mean the same; Nix prints the latter.
        f.write_str("://")?;
    }
    for (index, (name, value)) in settings.iter().enumerate() {
        let separator = if index == 0 { '?' } else { '&' };
        write!(f, "{separator}{}={}", text::encode_query(name), text::encode_query(value))?;
    }
    Ok(())
}

/// Whether the store is printed as the word `local`.
fn base_is_short(root: Option<&Path>) -> bool {
    root.is_none_or(Path::is_absolute)
}

/// The default compression means something else when it is given.
fn is_chosen(url: &StoreUrl, name: &str) -> bool {
    name == "compression" && url.cache.compression_is_chosen
}

/// A relative root is in front of the settings already.
fn is_in_base(url: &StoreUrl, name: &str) -> bool {
    name == "root" && matches!(&url.kind, StoreKind::Local(local) if !base_is_short(local.root.as_deref()))
}
