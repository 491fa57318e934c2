//! What strangers have sent, shown on a terminal without controlling it: a name in a NAR or a message of a server may
//! hold the sequences that move the cursor, change colours and titles, or answer as if a person had typed.

use std::borrow::Cow;
use std::io::{self, IsTerminal as _};

/// Whether a person looks at standard output. Whoever reads it through a pipe gets everything byte by byte.
pub(crate) fn is_watched() -> bool {
    io::stdout().is_terminal()
}

/// `text` with what controls a terminal escaped. Line breaks and tabs stay: they lay out what is shown.
pub(crate) fn harmless(text: &str) -> Cow<'_, str> {
    let controls = |character: char| character.is_control() && !matches!(character, '\n' | '\t');
    if !text.contains(controls) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if controls(character) {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    Cow::Owned(shown)
}

/// The name of a file, or another word, with all control characters escaped, so that it remains a word of its line, and
/// with bytes that are no UTF-8 as `\xff`.
pub(crate) fn harmless_word(word: &[u8]) -> String {
    let mut shown = String::with_capacity(word.len());
    for chunk in word.utf8_chunks() {
        for character in chunk.valid().chars() {
            if character.is_control() {
                shown.extend(character.escape_default());
            } else {
                shown.push(character);
            }
        }
        shown.extend(chunk.invalid().escape_ascii().map(char::from));
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_does_not_control_the_terminal() {
        assert_eq!(harmless("two\nlines,\t\u{fc}ber"), "two\nlines,\t\u{fc}ber");
        assert_eq!(harmless("\x1b[2J\r\u{9b}1m"), "\\u{1b}[2J\\r\\u{9b}1m");
    }

    #[test]
    fn a_word_does_not_even_end_its_line() {
        assert_eq!(harmless_word("\u{fc}ber".as_bytes()), "\u{fc}ber");
        assert_eq!(harmless_word(b"a\nb\t\x1b]0;title\x07\xff"), "a\\nb\\t\\u{1b}]0;title\\u{7}\\xff");
    }
}
