//! An HTTP URL in parts, printed without its secrets.

use std::fmt;

use crate::authority::{Authority, Credentials, parse_authority};
use crate::error::{Problem, StoreUrlError};
use crate::text;

/// `http` or `https`.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Scheme {
    /// Encrypted.
    #[default]
    Https,
    /// Not encrypted.
    Http,
}

impl Scheme {
    /// The name as it stands in front of `://`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Scheme::Https => "https",
            Scheme::Http => "http",
        }
    }

    /// The port that a URL without one means.
    pub const fn default_port(self) -> u16 {
        match self {
            Scheme::Https => 443,
            Scheme::Http => 80,
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An HTTP or HTTPS URL whose path segments are kept decoded.
///
/// `Display` prints it without user name and password; `credentials` gives them to whoever sends the request.
/// Nothing is normalised: an object key may contain `..` or `//`, and signing needs the exact path.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct HttpUrl {
    /// `http` or `https`.
    pub scheme: Scheme,
    /// Host and port.
    pub authority: Authority,
    /// Path segments behind the first `/`, decoded. Empty for a URL without a path.
    pub segments: Vec<String>,
    pub(crate) credentials: Option<Credentials>,
    pub(crate) query: Vec<(String, String)>,
}

impl HttpUrl {
    /// A URL without path, query and credentials.
    pub fn new(scheme: Scheme, authority: Authority) -> Self {
        HttpUrl { scheme, authority, segments: Vec::new(), credentials: None, query: Vec::new() }
    }

    /// The user name and password in the URL. They are not part of what `Display` prints.
    pub fn credentials(&self) -> Option<&Credentials> {
        self.credentials.as_ref()
    }

    /// The names and values behind `?`, decoded.
    pub fn query(&self) -> &[(String, String)] {
        &self.query
    }

    /// The path as it goes over the wire: `/` and the percent-encoded segments, or nothing.
    pub fn encoded_path(&self) -> String {
        self.segments.iter().map(|segment| format!("/{}", text::encode_segment(segment))).collect()
    }

    /// Adds the parts of an object key, which `/` separates, to the path.
    #[must_use]
    pub fn with_key(mut self, key: &str) -> Self {
        self.segments.extend(key.split('/').map(str::to_owned));
        self
    }

    /// Reads what stands behind `scheme:` (which starts at byte `at` of `whole`): `//host[:port][/path]`.
    pub(crate) fn parse_rest(
        scheme: Scheme,
        rest: &str,
        at: usize,
        whole: &str,
    ) -> Result<Self, StoreUrlError> {
        let Some((host, path)) = text::split_authority(rest) else {
            return Err(StoreUrlError::within(whole, at, rest, Problem::MissingHost));
        };
        let at = at + 2;
        let (credentials, authority) = parse_authority(host, at, whole)?;
        let segments = decode_path(path, at + host.len(), whole)?;
        Ok(HttpUrl { scheme, authority, segments, credentials, query: Vec::new() })
    }
}

/// Decodes the segments behind the leading `/`; trailing empty ones are dropped, as Nix does for a cache's URL.
pub(crate) fn decode_path(path: &str, at: usize, whole: &str) -> Result<Vec<String>, StoreUrlError> {
    let Some(path) = path.trim_end_matches('/').strip_prefix('/') else {
        return Ok(Vec::new());
    };
    let mut at = at + 1;
    let mut segments = Vec::new();
    for segment in path.split('/') {
        segments.push(decode_segment(segment, at, whole)?);
        at += segment.len() + 1;
    }
    Ok(segments)
}

/// Decodes one segment, or a whole path.
pub(crate) fn decode_segment(segment: &str, at: usize, whole: &str) -> Result<String, StoreUrlError> {
    check_path_characters(segment, at, whole)?;
    match text::decode(segment, at) {
        Ok(decoded) => Ok(decoded.into_owned()),
        Err(error) => Err(StoreUrlError::within(whole, error.at, &error.piece, error.problem)),
    }
}

/// Refuses the first character that RFC 3986 does not allow in a path, as Nix's URL grammar does.
fn check_path_characters(path: &str, at: usize, whole: &str) -> Result<(), StoreUrlError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-._~%!$&'()*+,;=:@/".contains(c);
    let Some((index, character)) = path.char_indices().find(|(_, character)| !allowed(*character)) else {
        return Ok(());
    };
    let problem = Problem::InvalidCharacter { place: "a path" };
    Err(StoreUrlError::within(whole, at + index, character.encode_utf8(&mut [0; 4]), problem))
}

impl fmt::Display for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.scheme, self.authority, self.encoded_path())?;
        for (index, (name, value)) in self.query.iter().enumerate() {
            let separator = if index == 0 { '?' } else { '&' };
            write!(f, "{separator}{}={}", text::encode_component(name), text::encode_component(value))?;
        }
        Ok(())
    }
}
