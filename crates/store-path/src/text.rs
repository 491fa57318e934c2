//! Values of strangers, made fit for an error message.

/// Longest excerpt in characters: a full store path of the greatest length fits, a hostile megabyte does not.
const EXCERPT: usize = 300;

/// `value` with its control characters escaped, since a terminal would obey them; cut after [`EXCERPT`]
/// characters, with an ellipsis.
pub(crate) fn excerpt(value: &str) -> String {
    let mut text = String::new();
    for (count, character) in value.chars().enumerate() {
        if count == EXCERPT {
            text.push('…');
            break;
        }
        if character.is_control() {
            text.extend(character.escape_default());
        } else {
            text.push(character);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_escaped() {
        assert_eq!(excerpt("a'\"\\ä\n\0\u{1b}[31m\u{9b}"), "a'\"\\ä\\n\\u{0}\\u{1b}[31m\\u{9b}");
    }

    #[test]
    fn short_values_stay_whole_and_long_ones_are_cut_at_a_character() {
        assert_eq!(excerpt("ä-b"), "ä-b");
        assert_eq!(excerpt(&"ä".repeat(EXCERPT)), "ä".repeat(EXCERPT));
        assert_eq!(excerpt(&"ä".repeat(EXCERPT + 1)), format!("{}…", "ä".repeat(EXCERPT)));
    }
}
