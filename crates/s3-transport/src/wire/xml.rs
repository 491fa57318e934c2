//! As much of XML as S3's documents have: elements without attributes, and escapes. What a server writes between the tags is
//! escaped, so that no name can pose as a tag.

/// The text of the first element with this name; nothing where it is empty.
pub(crate) fn element(xml: &str, name: &str) -> Option<String> {
    let text = raw(xml, name)?;
    Some(unescaped(text)).filter(|text| !text.is_empty())
}

/// What is between the tags of the first element with this name.
fn raw<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    Some(text)
}

/// What is between the tags of every element with this name.
pub(super) fn elements<'a>(xml: &'a str, name: &str) -> Vec<&'a str> {
    let end = format!("</{name}>");
    let begun = xml.split(&format!("<{name}>")).skip(1).map(|rest| rest.split_once(&end)).collect::<Vec<_>>();
    begun.into_iter().flatten().map(|(inside, _)| inside).collect()
}

/// A text as the text of an element. Control characters, and white space at its ends, are written as numbers: readers of XML
/// take away or change what is plain.
pub(super) fn escaped(text: &str) -> String {
    let inside = text.trim();
    let begun = text.len() - text.trim_start().len();
    let mut escaped = String::with_capacity(text.len());
    for (at, character) in text.char_indices() {
        let is_inside = (begun..begun + inside.len()).contains(&at);
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            plain if is_inside && !plain.is_control() => escaped.push(plain),
            other => escaped.push_str(&format!("&#{};", u32::from(other))),
        }
    }
    escaped
}

/// Undoes XML's escapes; one that is unknown stays as it is.
pub(crate) fn unescaped(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, escape)) = rest.split_once('&') {
        plain.push_str(before);
        let known = escape.split_once(';').and_then(|(name, after)| Some((character(name)?, after)));
        match known {
            Some((character, after)) => {
                plain.push(character);
                rest = after;
            }
            None => {
                plain.push('&');
                rest = escape;
            }
        }
    }
    plain.push_str(rest);
    plain
}

fn character(escape: &str) -> Option<char> {
    match escape {
        "lt" => Some('<'),
        "gt" => Some('>'),
        "amp" => Some('&'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => {
            let number = escape.strip_prefix('#')?;
            let number = match number.strip_prefix('x') {
                Some(digits) => u32::from_str_radix(digits, 16),
                None => number.parse(),
            };
            char::from_u32(number.ok()?)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_undone_and_what_is_none_stays() {
        assert_eq!(unescaped("a &lt;&#xA;&#65;&#34;&unknown;&"), "a <\nA\"&unknown;&");
        for text in ["a <b> & c", " \r\n\u{1}ä ", "", "&amp;"] {
            assert_eq!(unescaped(&escaped(text)), text);
        }
        assert_eq!(escaped(" a b\n"), "&#32;a b&#10;");
    }

    #[test]
    fn elements_are_found_by_name() {
        let xml = "<A><K>1</K></A><B><K>2</K></B><A><K></K></A><A>";
        assert_eq!(elements(xml, "A"), ["<K>1</K>", "<K></K>"]);
        assert_eq!(element(xml, "K").as_deref(), Some("1"));
        assert_eq!(element("<K></K>", "K"), None);
    }
}
