//! A page of a listing, without the names that no client can address.
//!
//! S3 takes any key; object_store's paths have no empty segments, and none that is `.` or `..`. One such key, of whoever
//! else writes into the bucket, would make a page unreadable, and with it the bucket.

use std::borrow::Cow;

use bytes::Bytes;
use object_store::path::Path;

use super::xml::element;

/// The page without entries that cannot be addressed, and without those that would come under another name than theirs
/// (`dir/`, which is how some programs mark a directory).
pub(super) fn addressable(page: Bytes) -> Bytes {
    let text = String::from_utf8_lossy(&page);
    if text.contains("<![CDATA[") || text.contains("<!--") {
        return page;
    }
    let is_key = |key: &str| !key.is_empty() && Path::parse(key).is_ok_and(|path| path.as_ref() == key);
    let is_prefix = |prefix: &str| prefix.strip_suffix('/').is_some_and(is_key);
    let objects = without(&text, "Contents", "Key", is_key);
    match without(&objects, "CommonPrefixes", "Prefix", is_prefix) {
        Cow::Borrowed(same) if same.len() == text.len() => page,
        kept => kept.into_owned().into(),
    }
}

/// A text without those elements whose `name` does not fit.
fn without<'a>(text: &'a str, entry: &str, name: &str, fits: impl Fn(&str) -> bool) -> Cow<'a, str> {
    let (begin, end) = (format!("<{entry}>"), format!("</{entry}>"));
    let mut kept = String::new();
    // Up to where the text has been copied, and up to where it has been looked at.
    let (mut copied, mut seen) = (0, 0);
    while let Some((before, rest)) = text.get(seen..).and_then(|rest| rest.split_once(&begin)) {
        let start = seen + before.len();
        let Some((inside, _)) = rest.split_once(&end) else { break };
        seen = start + begin.len() + inside.len() + end.len();
        match element(inside, name) {
            Some(found) if !fits(&found) => {
                tracing::debug!(
                    name = found,
                    "the bucket has a name that cannot be addressed, it is passed over"
                );
                kept.push_str(text.get(copied..start).unwrap_or_default());
                copied = seen;
            }
            // Without a name, or with one that fits: for the client to read.
            _ => {}
        }
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    kept.push_str(text.get(copied..).unwrap_or_default());
    Cow::Owned(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(keys: &[&str], prefixes: &[&str]) -> String {
        let keys: String =
            keys.iter().map(|key| format!("<Contents><Key>{key}</Key></Contents>\n")).collect();
        let prefixes = prefixes.iter();
        let prefixes: String =
            prefixes.map(|it| format!("<CommonPrefixes><Prefix>{it}</Prefix></CommonPrefixes>")).collect();
        format!("<ListBucketResult><Prefix>//</Prefix>{keys}{prefixes}</ListBucketResult>")
    }

    fn kept(keys: &[&str], prefixes: &[&str]) -> String {
        String::from_utf8(addressable(page(keys, prefixes).into()).to_vec()).unwrap()
    }

    #[test]
    fn foreign_names_are_left_out() {
        let keys = ["backup//x", "a", "/b", "a/../b", "b &amp; c/d", "dir/", "./a", "", "e"];
        let prefixes = ["backup/", "backup//", "/", "../", "nar/"];
        assert_eq!(kept(&keys, &prefixes).replace('\n', ""), {
            page(&["a", "b &amp; c/d", "", "e"], &["backup/", "nar/"]).replace('\n', "")
        });
    }

    #[test]
    fn other_pages_stay_as_they_are() {
        for same in [page(&["a", "b/c"], &["d/"]), "<ListBucketResult><Contents>".to_owned(), String::new()] {
            assert_eq!(addressable(same.clone().into()), same);
        }
    }
}
