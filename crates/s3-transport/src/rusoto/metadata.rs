//! Headers and attributes, dates and ranges: object_store's words and rusoto's.

use std::collections::HashMap;
use std::ops::Range;

use chrono::{DateTime, Utc};
use object_store::{Attribute, Attributes, Error, GetOptions, GetRange, Result};

use super::failure::Failure;
use crate::wire::Operation;

/// The attributes of an object, by the headers that they become.
#[derive(Default)]
pub(super) struct Headers {
    pub(super) cache_control: Option<String>,
    pub(super) content_disposition: Option<String>,
    pub(super) content_encoding: Option<String>,
    pub(super) content_language: Option<String>,
    pub(super) content_type: Option<String>,
    pub(super) storage_class: Option<String>,
    pub(super) metadata: Option<HashMap<String, String>>,
}

impl Headers {
    /// The headers for attributes.
    ///
    /// # Errors
    /// For an attribute that is younger than this code.
    pub(super) fn of(attributes: &Attributes) -> Result<Self> {
        let mut headers = Headers::default();
        for (attribute, value) in attributes {
            let value = value.to_string();
            match attribute {
                Attribute::CacheControl => headers.cache_control = Some(value),
                Attribute::ContentDisposition => headers.content_disposition = Some(value),
                Attribute::ContentEncoding => headers.content_encoding = Some(value),
                Attribute::ContentLanguage => headers.content_language = Some(value),
                Attribute::ContentType => headers.content_type = Some(value),
                Attribute::StorageClass => headers.storage_class = Some(value),
                Attribute::Metadata(name) => {
                    headers.metadata.get_or_insert_default().insert(name.to_string(), value);
                }
                other => {
                    let source = format!("the client on rusoto does not know the attribute {other:?}").into();
                    return Err(Error::NotSupported { source });
                }
            }
        }
        Ok(headers)
    }

    /// The attributes that headers stand for, as object_store's own client reads them.
    pub(super) fn into_attributes(self) -> Attributes {
        let mut attributes = Attributes::new();
        let named = [
            (Attribute::CacheControl, self.cache_control),
            (Attribute::ContentDisposition, self.content_disposition),
            (Attribute::ContentEncoding, self.content_encoding),
            (Attribute::ContentLanguage, self.content_language),
            (Attribute::ContentType, self.content_type),
        ];
        for (attribute, value) in named {
            if let Some(value) = value {
                attributes.insert(attribute, value.into());
            }
        }
        for (name, value) in self.metadata.into_iter().flatten() {
            attributes.insert(Attribute::Metadata(name.into()), value.into());
        }
        attributes
    }
}

/// A date of a header: `Sun, 22 Nov 2026 00:00:00 GMT`. Without one the object is as old as can be.
pub(super) fn header_date(text: Option<&str>, operation: Operation) -> Result<DateTime<Utc>, Failure> {
    let Some(text) = text else { return Ok(DateTime::UNIX_EPOCH) };
    let date = DateTime::parse_from_rfc2822(text);
    date.map(|date| date.to_utc())
        .map_err(|error| unreadable(operation, "Last-Modified", text, &error.to_string()))
}

/// A date of a listing: `2026-11-22T00:00:00.000Z`.
pub(super) fn list_date(text: Option<&str>) -> Result<DateTime<Utc>, Failure> {
    let operation = Operation::ListObjectsV2;
    let Some(text) = text else { return Ok(DateTime::UNIX_EPOCH) };
    let date = DateTime::parse_from_rfc3339(text);
    date.map(|date| date.to_utc())
        .map_err(|error| unreadable(operation, "LastModified", text, &error.to_string()))
}

/// A date for a condition.
pub(super) fn to_header(date: DateTime<Utc>) -> String {
    date.format("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// The value of the header `Range`.
pub(super) fn range_header(range: &GetRange) -> String {
    match range {
        GetRange::Bounded(range) => format!("bytes={}-{}", range.start, range.end.saturating_sub(1)),
        GetRange::Offset(start) => format!("bytes={start}-"),
        GetRange::Suffix(length) => format!("bytes=-{length}"),
    }
}

/// Reads `bytes 0-9/100`: the bytes that come, and the size of the object.
pub(super) fn content_range(text: &str) -> Option<(Range<u64>, u64)> {
    let (range, size) = text.trim().strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
    let size = size.parse().ok()?;
    let end = last.checked_add(1)?;
    (first < end && end <= size).then_some((first..end, size))
}

/// The bytes that options ask for, of an object of this size.
pub(super) fn wanted(options: &GetOptions, size: u64) -> Result<Range<u64>, String> {
    match &options.range {
        None => Ok(0..size),
        Some(range) => range.as_range(size).map_err(|error| error.to_string()),
    }
}

/// A header or element with a value that makes no sense.
pub(super) fn unreadable(operation: Operation, name: &str, value: &str, why: &str) -> Failure {
    let value: String = value.chars().take(60).collect();
    Failure::Unreadable { operation, status: None, reason: format!("{name} is '{value}': {why}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_answers_are_read_and_checked() {
        assert_eq!(content_range("bytes 0-9/100"), Some((0..10, 100)));
        assert_eq!(content_range(" bytes 99-99/100"), Some((99..100, 100)));
        for wrong in [
            "",
            "bytes 0-9/*",
            "bytes 9-0/100",
            "bytes 0-100/100",
            "0-9/100",
            "bytes 0-18446744073709551615/1",
        ] {
            assert_eq!(content_range(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn ranges_of_requests_are_written() {
        assert_eq!(range_header(&GetRange::Bounded(5..10)), "bytes=5-9");
        assert_eq!(range_header(&GetRange::Offset(5)), "bytes=5-");
        assert_eq!(range_header(&GetRange::Suffix(5)), "bytes=-5");
    }

    #[test]
    fn dates_go_both_ways() {
        let text = "Sun, 22 Nov 2026 01:02:03 GMT";
        let date = header_date(Some(text), Operation::GetObject).unwrap();
        assert_eq!(to_header(date), text);
        assert_eq!(list_date(Some("2026-11-22T01:02:03.000Z")).unwrap(), date);
        header_date(Some("yesterday"), Operation::GetObject).unwrap_err();
    }
}
