//! Where the `URL` of a narinfo leads: to an object of the same cache, or nowhere.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use nars3_store_api::BoxError;
use object_store::ObjectStore;
use object_store::path::Path;

use crate::web::{WebPlace, WebServer};

/// Opens objects on other servers than the cache's own. It is given URLs that strangers wrote, and must not let any
/// credential go along.
#[async_trait]
pub trait Elsewhere: fmt::Debug + Send + Sync {
    /// The object store that the absolute `url` leads to, and the place there.
    async fn open(&self, url: &str) -> Result<(Arc<dyn ObjectStore>, Path), BoxError>;
}

/// A `URL` that is not followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LocationError {
    #[error("its URL '{}' leaves the cache", without_query(url))]
    OtherOrigin { url: String },
    #[error("its URL '{url}' is not the name of an object: {reason}")]
    NotAKey { url: String, reason: &'static str },
}

/// Where a `URL` leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Location {
    /// Where to ask for it: a key of the cache, or a whole URL of its web server.
    pub(crate) place: String,
    /// The key of the object in the cache; `None` for what lies beside it, on the same web server.
    pub(crate) key: Option<String>,
}

/// Where `url` leads in the cache at `uri`, which may be on a web server: that is asked for just what the URL says, query
/// and all, as long as it is its own.
pub(crate) fn location(uri: &str, url: &str, web: Option<&dyn WebServer>) -> Result<Location, LocationError> {
    let Some(web) = web else {
        let key = object_key(uri, url)?;
        return Ok(Location { place: key.clone(), key: Some(key) });
    };
    let whole = match web.resolve(url) {
        Some(WebPlace::Own(whole)) => whole,
        Some(WebPlace::Other(whole)) => return Err(LocationError::OtherOrigin { url: whole }),
        None => return Err(LocationError::OtherOrigin { url: url.to_owned() }),
    };
    // Compared as the server spells it: `uri` is as somebody has typed it.
    let base = match web.resolve("") {
        Some(WebPlace::Own(base)) => base,
        _ => uri.to_owned(),
    };
    let key = object_key(&base, &whole).ok();
    let place = match &key {
        // Where no character has to be spelt otherwise, the key says as much as the URL.
        Some(key) if whole.ends_with(&format!("/{key}")) && !key.contains('%') => key.clone(),
        _ => whole,
    };
    Ok(Location { place, key })
}

/// The key that `url` names in the cache at `uri`. A relative URL is relative to the narinfo, which is at the top of
/// the cache. An absolute one must lie under the cache's own URL: following it elsewhere would let whoever wrote the
/// narinfo choose whom this machine talks to.
pub(crate) fn object_key(uri: &str, url: &str) -> Result<String, LocationError> {
    let other_origin = || LocationError::OtherOrigin { url: url.to_owned() };
    let not_a_key = |reason| LocationError::NotAKey { url: without_query(url).to_owned(), reason };
    let base = uri.split(['?', '#']).next().unwrap_or(uri).trim_end_matches('/');
    let relative = if is_absolute(url) {
        url.strip_prefix(base).and_then(|rest| rest.strip_prefix('/')).ok_or_else(other_origin)?
    } else if url.starts_with('/') {
        return Err(other_origin());
    } else {
        url
    };
    // Newer Nix resolves the URL, which may carry a query for a gateway's use; objects have none.
    let key = relative.split(['?', '#']).next().unwrap_or(relative);
    let key = key.strip_prefix("./").unwrap_or(key);
    if key.is_empty() {
        return Err(not_a_key("it is empty"));
    }
    if key.chars().any(|character| character.is_control() || character == '\\') {
        return Err(not_a_key("it has a control character or a backslash"));
    }
    if key.split('/').any(|segment| matches!(segment, "" | "." | "..")) {
        return Err(not_a_key("it has an empty, '.' or '..' segment"));
    }
    Ok(key.to_owned())
}

/// A URL as messages show it: what stands behind `?` may be a signature.
pub(crate) fn without_query(url: &str) -> &str {
    url.split(['?', '#']).next().unwrap_or(url)
}

/// Whether a text begins with a scheme, as a URL does (RFC 3986: a letter, then letters, digits, `+`, `-`, `.`, up to a colon).
pub(crate) fn is_absolute(url: &str) -> bool {
    url.split_once(':').is_some_and(|(scheme, _)| {
        scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme.chars().all(|character| character.is_ascii_alphanumeric() || "+-.".contains(character))
    })
}

#[cfg(test)]
mod tests {
    use object_store::Attributes;

    use super::*;
    use crate::web::FileToSend;

    const BUCKET: &str = "s3://bucket?endpoint=127.0.0.1:9000";

    #[test]
    fn relative_urls_are_keys() {
        assert_eq!(object_key(BUCKET, "nar/abc.nar.xz").unwrap(), "nar/abc.nar.xz");
        assert_eq!(object_key(BUCKET, "./nar/abc.nar").unwrap(), "nar/abc.nar");
        assert_eq!(object_key(BUCKET, "nar/a..b+c=d.nar").unwrap(), "nar/a..b+c=d.nar");
        assert_eq!(object_key(BUCKET, "nar/abc.nar?hash=xyz").unwrap(), "nar/abc.nar");
    }

    #[test]
    fn absolute_urls_of_the_cache_itself_are_keys() {
        assert_eq!(object_key(BUCKET, "s3://bucket/nar/abc.nar").unwrap(), "nar/abc.nar");
        assert_eq!(object_key("https://c.example/p/", "https://c.example/p/nar/a").unwrap(), "nar/a");
    }

    #[test]
    fn other_origins_are_refused_by_name() {
        for url in [
            "https://elsewhere.example/nar/abc.nar",
            "s3://bucket-of-another/nar/abc.nar",
            "s3://bucketnar/abc.nar",
            "//elsewhere.example/nar/abc.nar",
            "/etc/passwd",
            "file:///etc/passwd",
        ] {
            assert_eq!(object_key(BUCKET, url), Err(LocationError::OtherOrigin { url: url.into() }), "{url}");
        }
        assert!(object_key("https://c.example/p", "https://c.example/other/nar/a").is_err());
    }

    /// A server that resolves URLs as far as these tests need it.
    #[derive(Debug)]
    struct Server;

    #[async_trait]
    impl WebServer for Server {
        fn resolve(&self, url: &str) -> Option<WebPlace> {
            let own = "https://c.example";
            Some(match url {
                url if url.starts_with(own) => WebPlace::Own(url.to_owned()),
                url if is_absolute(url) => WebPlace::Other(url.to_owned()),
                url if url.starts_with('/') => WebPlace::Own(format!("{own}{url}")),
                url => WebPlace::Own(format!("{own}/p/{url}")),
            })
        }
        fn object(&self, _: &str) -> Result<(Arc<dyn ObjectStore>, Path), BoxError> {
            Err("there is none".into())
        }
        async fn put_file(&self, _: &Path, _: FileToSend, _: Attributes) -> object_store::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_web_server_is_asked_for_what_the_url_says() {
        let at = |url: &str| location("https://c.example/p", url, Some(&Server)).unwrap();
        let found = |place: &str, key: Option<&str>| Location {
            place: place.to_owned(),
            key: key.map(str::to_owned),
        };
        assert_eq!(at("nar/a.nar"), found("nar/a.nar", Some("nar/a.nar")));
        // However somebody has typed the URL of the cache.
        let typed = location("https://C.example:443/p", "nar/a.nar", Some(&Server)).unwrap();
        assert_eq!(typed, at("nar/a.nar"));
        assert_eq!(at("/p/nar/a.nar"), found("nar/a.nar", Some("nar/a.nar")));
        let whole = "https://c.example/p/nar/a.nar?hash=b";
        assert_eq!(at("nar/a.nar?hash=b"), found(whole, Some("nar/a.nar")));
        assert_eq!(at("nar/a%20b"), found("https://c.example/p/nar/a%20b", Some("nar/a%20b")));
        assert_eq!(at("/nar/a.nar"), found("https://c.example/nar/a.nar", None));
        let error = location("https://c.example/p", "https://d.example/nar/a", Some(&Server)).unwrap_err();
        assert_eq!(error, LocationError::OtherOrigin { url: "https://d.example/nar/a".into() });
    }

    proptest::proptest! {
        #[test]
        fn whatever_the_url_its_key_stays_inside(url in ".*") {
            if let Ok(key) = object_key(BUCKET, &url) {
                proptest::prop_assert!(!key.starts_with('/') && !key.is_empty());
                proptest::prop_assert!(key.split('/').all(|segment| !["", ".", ".."].contains(&segment)));
            }
        }
    }

    #[test]
    fn no_key_climbs() {
        for url in ["", "..", "../x", "nar/../../x", "nar//x", "nar/", "nar/./x", "nar\\..\\x", "nar/\u{0}"] {
            assert!(matches!(object_key(BUCKET, url), Err(LocationError::NotAKey { .. })), "{url:?}");
        }
        assert!(object_key(BUCKET, "s3://bucket/../x").is_err());
    }
}
