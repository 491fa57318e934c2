//! The endpoint of an S3 server: a URL, or a host with an optional port.

use std::fmt;

use crate::authority::{Authority, parse_authority};
use crate::error::{Problem, StoreUrlError, ValueProblem};
use crate::http_url::{HttpUrl, Scheme};

/// A server's address as `endpoint=` gives it. It never holds a user name or a password.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Endpoint {
    /// `https://host[:port][/path]`: its scheme counts, not the setting `scheme`.
    Url(EndpointUrl),
    /// `host[:port]`: the setting `scheme` counts.
    Authority(Authority),
}

/// An endpoint with a scheme.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct EndpointUrl {
    /// `http` or `https`.
    pub scheme: Scheme,
    /// Host and port.
    pub authority: Authority,
    /// Path segments in front of the bucket, decoded; mostly none.
    pub segments: Vec<String>,
}

impl Endpoint {
    /// Reads the value of `endpoint=`, already percent-decoded.
    ///
    /// As in Nix HEAD, a value with `://` is a URL and any other one an authority, so that `localhost:9000` is no
    /// URL of a scheme `localhost`.
    pub fn parse(text: &str) -> Result<Endpoint, ValueProblem> {
        if text.contains(['?', '#']) {
            return Err(ValueProblem::EndpointWithQuery);
        }
        let url = Self::parse_parts(text).map_err(|error| ValueProblem::Endpoint(Box::new(error.problem)))?;
        Ok(url)
    }

    fn parse_parts(text: &str) -> Result<Endpoint, StoreUrlError> {
        let without_credentials = |present: bool| match present {
            true => Err(StoreUrlError::unquoted(0, Problem::UnexpectedUserInformation)),
            false => Ok(()),
        };
        let Some((scheme, _)) = text.split_once("://") else {
            let (credentials, authority) = parse_authority(text, 0, text)?;
            without_credentials(credentials.is_some())?;
            return Ok(Endpoint::Authority(authority));
        };
        let at = scheme.len() + 1;
        let rest = text.get(at..).unwrap_or_default();
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            _ => {
                let problem = Problem::InvalidCharacter { place: "an endpoint's scheme, `http` or `https`" };
                return Err(StoreUrlError::unquoted(0, problem));
            }
        };
        let url = HttpUrl::parse_rest(scheme, rest, at, text)?;
        without_credentials(url.credentials.is_some())?;
        Ok(Endpoint::Url(EndpointUrl { scheme, authority: url.authority, segments: url.segments }))
    }

    /// Host and port.
    pub fn authority(&self) -> &Authority {
        match self {
            Endpoint::Url(url) => &url.authority,
            Endpoint::Authority(authority) => authority,
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Endpoint::Url(EndpointUrl { scheme, authority, segments }) => {
                let mut url = HttpUrl::new(*scheme, authority.clone());
                url.segments.clone_from(segments);
                write!(f, "{url}")
            }
            Endpoint::Authority(authority) => write!(f, "{authority}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_print_back() {
        for text in [
            "localhost:9000",
            "minio.local",
            "[::1]:9000",
            "http://server:9000",
            "https://minio.local",
            "https://host/a%20b/c",
        ] {
            assert_eq!(Endpoint::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Endpoint::parse("https://minio.local/").unwrap().to_string(), "https://minio.local");
    }

    #[test]
    fn unusable_endpoints_are_refused() {
        for text in
            ["", ":9000", "https://", "ftp://host", "file:///x", "https://me:secret@host", "me@host", "a?b"]
        {
            let problem = Endpoint::parse(text).unwrap_err();
            assert!(!problem.to_string().contains("secret"), "{problem}");
        }
    }
}
