//! Keeps documents from rusoto that would make it panic, hang, or report a success that is none.
//!
//! rusoto's reader takes any root element for the right one, waits for ever for the end of a document that breaks off,
//! and unwraps numbers. So a document is read here first, by the same parser: to its end, with the right root, and with
//! numbers where numbers must be.

use xml::reader::{EventReader, ParserConfig, XmlEvent};

/// Elements that rusoto takes for numbers, in the documents of our operations.
const NUMBERS: [&str; 5] = ["Size", "KeyCount", "MaxKeys", "PartNumber", "PartsCount"];

/// Elements that rusoto takes for `true` or `false`.
const BOOLEANS: [&str; 4] = ["IsTruncated", "DeleteMarker", "BucketKeyEnabled", "Quiet"];

/// What rusoto will take an element's text for.
#[derive(Clone, Copy)]
enum Expected {
    Number,
    Boolean,
}

/// Reads a document to its end.
///
/// # Errors
/// What is wrong with it.
pub(super) fn check(document: &[u8], root: &str) -> Result<(), String> {
    if document.is_empty() {
        return Err(format!("the answer is empty, expected a {root}"));
    }
    // As rusoto reads it.
    let reader = EventReader::new_with_config(document, ParserConfig::new().trim_whitespace(false));
    let mut names: Vec<String> = Vec::new();
    let mut expected = None;
    let mut closed = false;
    for event in reader {
        let event = event.map_err(|error| format!("the answer is no whole XML document: {error}"))?;
        if matches!(event, XmlEvent::Whitespace(_)) {
            continue;
        }
        if let Some(kind) = expected.take() {
            check_text(kind, &event, names.last().map(String::as_str).unwrap_or_default())?;
        }
        match event {
            XmlEvent::StartElement { name, .. } => {
                let name = name.local_name;
                // This parser takes a second document behind the first.
                if closed {
                    return Err(format!("the answer is no whole XML document: a {name} follows its end"));
                }
                if names.is_empty() && name != root {
                    return Err(format!("the answer is a {name}, expected a {root}"));
                }
                expected = if NUMBERS.contains(&name.as_str()) {
                    Some(Expected::Number)
                } else if BOOLEANS.contains(&name.as_str()) {
                    Some(Expected::Boolean)
                } else {
                    None
                };
                names.push(name);
            }
            XmlEvent::EndElement { .. } => {
                names.pop();
                closed = names.is_empty();
            }
            _ => {}
        }
    }
    Ok(())
}

fn check_text(expected: Expected, event: &XmlEvent, name: &str) -> Result<(), String> {
    let text = match event {
        XmlEvent::Characters(text) | XmlEvent::CData(text) => text.as_str(),
        _ => "",
    };
    let (fits, what) = match expected {
        Expected::Number => (text.parse::<i64>().is_ok(), "a number"),
        Expected::Boolean => (text.parse::<bool>().is_ok(), "true or false"),
    };
    if fits { Ok(()) } else { Err(format!("{name} is '{}', expected {what}", shortened(text))) }
}

fn shortened(text: &str) -> String {
    text.chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_s3_says_passes() {
        let list = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
                    <ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\n  <KeyCount>1</KeyCount>\n  \
                    <IsTruncated>false</IsTruncated><Contents><Key>a &amp; b</Key><Size>12</Size></Contents>\n\
                    </ListBucketResult>\n";
        assert_eq!(check(list.as_bytes(), "ListBucketResult"), Ok(()));
    }

    #[test]
    fn what_would_hang_panic_or_deceive_does_not() {
        for (document, complaint) in [
            ("", "empty"),
            ("<html><body>login</body></html>", "is a html, expected a ListBucketResult"),
            ("<ListBucketResult><Contents><Key>a</Key>", "no whole XML document"),
            ("<ListBucketResult><Size>many</Size></ListBucketResult>", "Size is 'many', expected a number"),
            ("<ListBucketResult><Size/></ListBucketResult>", "Size is '', expected a number"),
            ("<ListBucketResult><Size>1<!-- -->x</Size></ListBucketResult>", "expected a number"),
            (
                "<ListBucketResult><IsTruncated>False</IsTruncated></ListBucketResult>",
                "expected true or false",
            ),
            ("<ListBucketResult/><ListBucketResult/>", "no whole XML document"),
            ("no document at all", "no whole XML document"),
        ] {
            let error = check(document.as_bytes(), "ListBucketResult").unwrap_err();
            assert!(error.contains(complaint), "{document}: {error}");
        }
    }
}
