//! Who a request to a web server comes from.

use std::fmt;

use data_encoding::BASE64;
use object_store::HeaderValue;

/// What a request to the cache's own server says of who sends it.
#[derive(Clone, Default)]
#[non_exhaustive]
pub enum WebAccess {
    /// Nothing.
    #[default]
    Anonymous,
    /// A name and a password (RFC 7617).
    Basic {
        /// The name.
        user: String,
        /// The password.
        password: String,
    },
    /// A token (RFC 6750).
    Bearer {
        /// The token.
        token: String,
    },
}

/// A token with characters that no header can hold.
#[derive(Debug, thiserror::Error)]
#[error("it has characters that no HTTP header can hold")]
pub struct UnfitToken;

impl WebAccess {
    /// The value of the `Authorization` header, which reqwest keeps out of its own logs.
    pub(super) fn header(&self) -> Result<Option<HeaderValue>, UnfitToken> {
        let text = match self {
            Self::Anonymous => return Ok(None),
            Self::Basic { user, password } => {
                format!("Basic {}", BASE64.encode(format!("{user}:{password}").as_bytes()))
            }
            Self::Bearer { token } => format!("Bearer {token}"),
        };
        let mut value = HeaderValue::from_str(&text).map_err(|_| UnfitToken)?;
        value.set_sensitive(true);
        Ok(Some(value))
    }
}

impl fmt::Debug for WebAccess {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Anonymous => "Anonymous",
            Self::Basic { .. } => "Basic(<redacted>)",
            Self::Bearer { .. } => "Bearer(<redacted>)",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_those_of_the_standards_and_nothing_prints_them() {
        let basic = WebAccess::Basic { user: "Aladdin".into(), password: "open sesame".into() };
        let header = basic.header().unwrap().unwrap();
        assert_eq!(header, "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        let bearer = WebAccess::Bearer { token: "mF_9.B5f-4.1JqM".into() };
        assert_eq!(bearer.header().unwrap().unwrap(), "Bearer mF_9.B5f-4.1JqM");
        for access in [basic, bearer] {
            let printed = format!("{access:?} {:?}", access.header());
            assert!(!["sesame", "QWxh", "mF_9"].iter().any(|secret| printed.contains(secret)), "{printed}");
        }
        assert!(WebAccess::Anonymous.header().unwrap().is_none());
        assert!(WebAccess::Bearer { token: "two\nlines".into() }.header().is_err());
    }
}
