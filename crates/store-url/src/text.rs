//! Text helpers that every part shares: percent-coding with positions, redaction, lexical paths.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::error::{Problem, StoreUrlError};

/// What stands in place of a secret.
pub(crate) const REDACTED: &str = "<redacted>";

/// The longest piece that an error quotes, in characters: enough to recognise it, short enough for one line.
const QUOTE_LIMIT: usize = 80;

/// RFC 3986 "unreserved" stays as it is everywhere.
const COMPONENT: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What Nix keeps unencoded in a path segment (`url.cc`, `allowedInPath`).
const SEGMENT: AsciiSet = COMPONENT.remove(b':').remove(b'@');

/// What Nix keeps unencoded in the name or value of a query (`url.cc`, `allowedInQuery`).
const QUERY: AsciiSet = SEGMENT.remove(b'/').remove(b'?');

/// Encodes everything but letters, digits and `-._~`.
pub(crate) fn encode_component(text: &str) -> impl std::fmt::Display + '_ {
    utf8_percent_encode(text, &COMPONENT)
}

/// Encodes one path segment as Nix prints it.
pub(crate) fn encode_segment(text: &str) -> impl std::fmt::Display + '_ {
    utf8_percent_encode(text, &SEGMENT)
}

/// Encodes the name or the value of a setting as Nix prints it.
pub(crate) fn encode_query(text: &str) -> impl std::fmt::Display + '_ {
    utf8_percent_encode(text, &QUERY)
}

/// Percent-decodes `piece`, which starts at byte `at` of the URL.
///
/// A `+` stays a `+`: Nix does not read it as a space.
pub(crate) fn decode(piece: &str, at: usize) -> Result<Cow<'_, str>, StoreUrlError> {
    for (index, _) in piece.match_indices('%') {
        let escape = piece.as_bytes().get(index + 1..index + 3);
        if !escape.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)) {
            let quote: String = piece.chars().skip(piece[..index].chars().count()).take(3).collect();
            return Err(StoreUrlError::new(at + index, &quote, Problem::InvalidPercentEncoding));
        }
    }
    let decoded = percent_decode_str(piece)
        .decode_utf8()
        .map_err(|_| StoreUrlError::new(at, piece, Problem::NotUtf8))?;
    if decoded.contains('\0') {
        return Err(StoreUrlError::new(at, piece, Problem::ZeroByte));
    }
    Ok(decoded)
}

/// A piece of a URL as an error may quote it: shortened, and with everything in front of an `@` replaced.
pub(crate) fn quotable(piece: &str) -> String {
    let decoded = percent_decode_str(piece).decode_utf8_lossy();
    let safe = match decoded.rsplit_once('@') {
        Some((_, behind)) => Cow::Owned(format!("{REDACTED}@{behind}")),
        None => decoded,
    };
    match safe.char_indices().nth(QUOTE_LIMIT) {
        Some((end, _)) => format!("{}…", safe.get(..end).unwrap_or_default()),
        None => safe.into_owned(),
    }
}

/// Whether a piece may hold user information: an `@`, plain or percent-encoded.
pub(crate) fn may_hold_user_information(text: &str) -> bool {
    text.contains('@') || text.contains("%40")
}

/// Splits `//authority/path` into the authority and the path with its `/`; `None` without `//`.
pub(crate) fn split_authority(rest: &str) -> Option<(&str, &str)> {
    let hierarchy = rest.strip_prefix("//")?;
    Some(hierarchy.split_at(hierarchy.find('/').unwrap_or(hierarchy.len())))
}

/// A path with `.`, `..` and doubled or trailing slashes removed by the text alone, as Nix's `canonPath` does.
///
/// Symlinks are not looked at: `/a/../b` is `/b` even where `/a` is a symlink.
pub(crate) fn canonical_path(path: &str) -> String {
    let mut segments: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            name => segments.push(name),
        }
    }
    format!("/{}", segments.join("/"))
}

/// `, did you mean `x`?` or nothing: the end of an error message.
pub(crate) fn did_you_mean(nearest: Option<&str>) -> String {
    nearest.map(|name| format!("; did you mean `{name}`?")).unwrap_or_default()
}

/// `` `a`, `b`, `c` ``.
pub(crate) fn list(words: &[&str]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decoding_points_at_the_bad_escape() {
        assert_eq!(decode("a%20b+c", 0).unwrap(), "a b+c");
        for (piece, at, quote) in [("ab%zz", 12, "%zz"), ("%", 10, "%"), ("a%4", 11, "%4"), ("ü%ü", 12, "%ü")]
        {
            let error = decode(piece, 10).unwrap_err();
            assert_eq!((error.at, error.piece.as_str()), (at, quote), "{piece}");
            assert_eq!(error.problem, Problem::InvalidPercentEncoding);
        }
        assert_eq!(decode("%ff", 0).unwrap_err().problem, Problem::NotUtf8);
        assert_eq!(decode("a%00", 0).unwrap_err().problem, Problem::ZeroByte);
    }

    #[test]
    fn quotes_are_short_and_hold_no_user_information() {
        assert_eq!(quotable("me:secret@host"), "<redacted>@host");
        assert_eq!(quotable("me%3Asecret%40host"), "<redacted>@host");
        assert_eq!(quotable(&"ü".repeat(100)).chars().count(), QUOTE_LIMIT + 1);
    }

    #[test]
    fn paths_become_canonical_by_text_alone() {
        for (path, expected) in
            [("/", "/"), ("//a//b/", "/a/b"), ("/a/./b/../c", "/a/c"), ("/..", "/"), ("/a/../../b", "/b")]
        {
            assert_eq!(canonical_path(path), expected);
        }
    }
}
