//! The authority of a URL: host, port and, for HTTP, user information.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::error::{Problem, StoreUrlError};
use crate::text;

/// A host: a name, or an IP address.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Host {
    /// A name of letters, digits, `.`, `_` and `-`.
    Name(String),
    /// An IPv4 address.
    V4(Ipv4Addr),
    /// An IPv6 address.
    V6 {
        /// The address.
        address: Ipv6Addr,
        /// The zone (`eth0` in `[fe80::1%25eth0]`).
        zone: Option<String>,
    },
}

impl Host {
    /// The IP address, if this is not a name.
    pub fn ip_address(&self) -> Option<IpAddr> {
        match self {
            Host::Name(_) => None,
            Host::V4(address) => Some(IpAddr::V4(*address)),
            Host::V6 { address, .. } => Some(IpAddr::V6(*address)),
        }
    }

    /// Reads a host as it stands in a URL, `[…]` around an IPv6 address optional as in older versions of Nix.
    fn parse(text: &str) -> Result<Host, Problem> {
        if text.is_empty() {
            return Err(Problem::MissingHost);
        }
        let bracketed = text.strip_prefix('[').and_then(|inner| inner.strip_suffix(']'));
        if let Some(host) = parse_ipv6(bracketed.unwrap_or(text), bracketed.is_some()) {
            return Ok(host);
        }
        if let Ok(address) = text.parse() {
            return Ok(Host::V4(address));
        }
        if text.chars().all(is_name_char) {
            Ok(Host::Name(text.to_owned()))
        } else {
            Err(Problem::InvalidHost)
        }
    }
}

/// In brackets, a zone's `%` is written `%25`; without them Nix takes everything behind `%` as it stands.
fn parse_ipv6(text: &str, bracketed: bool) -> Option<Host> {
    let (address, zone) = match text.split_once('%') {
        Some((address, zone)) => (address, Some(zone)),
        None => (text, None),
    };
    let address = address.parse().ok()?;
    let zone = zone.map(|zone| match zone.strip_prefix("25") {
        Some(rest) if bracketed && !rest.is_empty() => rest,
        _ => zone,
    });
    if zone.is_some_and(|zone| zone.is_empty() || !zone.chars().all(is_name_char)) {
        return None;
    }
    Some(Host::V6 { address, zone: zone.map(str::to_owned) })
}

/// Whether a character can stand in a host name, a bucket name or a region.
pub(crate) fn is_name_char(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '.' | '_' | '-')
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Name(name) => f.write_str(name),
            Host::V4(address) => write!(f, "{address}"),
            Host::V6 { address, zone: None } => write!(f, "[{address}]"),
            Host::V6 { address, zone: Some(zone) } => write!(f, "[{address}%25{zone}]"),
        }
    }
}

/// A host and an optional port.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Authority {
    /// The host.
    pub host: Host,
    /// The port, if it is written; never 0.
    pub port: Option<u16>,
}

impl fmt::Display for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.host)?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

/// The user name and password of an HTTP URL. Nothing prints them: ask for them to send them.
#[derive(Clone, Eq, Hash, PartialEq)]
pub struct Credentials {
    user: String,
    password: Option<String>,
}

impl Credentials {
    /// The user name, percent-decoded.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The password, percent-decoded.
    pub fn password(&self) -> Option<&str> {
        self.password.as_deref()
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(concat!("Credentials(", "<redacted>", ")"))
    }
}

/// Splits `[user[:password]@]host[:port]`, which starts at byte `at` of the whole URL.
///
/// A password with a bare `/` ends the authority too early, and then even the port must not be quoted: `whole` is
/// the URL that `StoreUrlError::within` looks at.
pub(crate) fn parse_authority(
    text: &str,
    at: usize,
    whole: &str,
) -> Result<(Option<Credentials>, Authority), StoreUrlError> {
    let (user_information, host_port, host_at) = match text.rsplit_once('@') {
        Some((user_information, rest)) => (Some(user_information), rest, at + user_information.len() + 1),
        None => (None, text, at),
    };
    let credentials = user_information.map(|text| parse_credentials(text, at)).transpose()?;
    let fail =
        |offset: usize, piece: &str, problem| StoreUrlError::within(whole, host_at + offset, piece, problem);
    let (host, port) = split_port(host_port);
    let host = Host::parse(host).map_err(|problem| fail(0, host, problem))?;
    let port = match port {
        None | Some("") => None,
        Some(digits) => match digits.parse::<u16>() {
            Ok(port) if port != 0 && digits.bytes().all(|byte| byte.is_ascii_digit()) => Some(port),
            _ => return Err(fail(host_port.len() - digits.len(), digits, Problem::InvalidPort)),
        },
    };
    Ok((credentials, Authority { host, port }))
}

/// Splits off `:port`; the colons of a bare IPv6 address are not one.
fn split_port(text: &str) -> (&str, Option<&str>) {
    if text.starts_with('[') {
        return match text.rsplit_once("]:") {
            Some((host, port)) => (text.get(..=host.len()).unwrap_or(text), Some(port)),
            None => (text, None),
        };
    }
    match text.split_once(':') {
        Some((host, port)) if !port.contains(':') => (host, Some(port)),
        _ => (text, None),
    }
}

fn parse_credentials(text: &str, at: usize) -> Result<Credentials, StoreUrlError> {
    let hidden = |error: StoreUrlError| StoreUrlError::unquoted(at, error.problem);
    let (user, password) = match text.split_once(':') {
        Some((user, password)) => (user, Some(password)),
        None => (text, None),
    };
    let user = text::decode(user, at).map_err(hidden)?.into_owned();
    let password = password.map(|password| text::decode(password, at)).transpose().map_err(hidden)?;
    Ok(Credentials { user, password: password.map(Into::into) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Authority, StoreUrlError> {
        parse_authority(text, 0, text).map(|(_, authority)| authority)
    }

    #[test]
    fn authorities_print_back() {
        for (text, printed) in [
            ("localhost:9000", "localhost:9000"),
            ("localhost:", "localhost"),
            ("127.0.0.1:1", "127.0.0.1:1"),
            ("[::1]:9000", "[::1]:9000"),
            ("::1", "[::1]"),
            ("[fe80::1%25eth0]:80", "[fe80::1%25eth0]:80"),
            ("[fe80::1%eth0]", "[fe80::1%25eth0]"),
            ("fe80::1%eth0", "[fe80::1%25eth0]"),
            // Without brackets `%25` is the zone 25, not an encoded `%`.
            ("fe80::1%25", "[fe80::1%2525]"),
            ("my_host.example-1", "my_host.example-1"),
            ("user:pass@host", "host"),
        ] {
            let authority = parse(text).unwrap();
            assert_eq!(authority.to_string(), printed, "{text}");
            assert_eq!(parse(printed).unwrap(), authority, "{text}");
        }
    }

    #[test]
    fn bad_authorities_are_pointed_at() {
        for (text, at, problem) in [
            ("", 0, Problem::MissingHost),
            (":9000", 0, Problem::MissingHost),
            ("host:0", 5, Problem::InvalidPort),
            ("host:65536", 5, Problem::InvalidPort),
            ("host:+80", 5, Problem::InvalidPort),
            ("ho st", 0, Problem::InvalidHost),
            ("[::1", 0, Problem::InvalidHost),
            ("[::1]x", 0, Problem::InvalidHost),
            ("fe80::1%", 0, Problem::InvalidHost),
            ("bücket", 0, Problem::InvalidHost),
            ("u%zz@host", 0, Problem::InvalidPercentEncoding),
        ] {
            let error = parse(text).unwrap_err();
            assert_eq!((error.at, error.problem), (at, problem), "{text}");
        }
    }

    #[test]
    fn credentials_are_decoded_and_never_printed() {
        let (credentials, _) = parse_authority("m%40e:pa:ss%3A@host", 0, "").unwrap();
        let credentials = credentials.unwrap();
        assert_eq!((credentials.user(), credentials.password()), ("m@e", Some("pa:ss:")));
        assert_eq!(format!("{credentials:?}"), "Credentials(<redacted>)");
    }
}
