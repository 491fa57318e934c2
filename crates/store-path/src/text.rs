//! Values of strangers, cut to a length that fits an error message.

/// Longest excerpt in characters: a full store path of the greatest length fits, a hostile megabyte does not.
const EXCERPT: usize = 300;

/// `value` itself, or its first [`EXCERPT`] characters and an ellipsis.
pub(crate) fn excerpt(value: &str) -> String {
    match value.char_indices().nth(EXCERPT) {
        None => value.to_owned(),
        Some((end, _)) => format!("{}…", value.get(..end).unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_values_stay_whole_and_long_ones_are_cut_at_a_character() {
        assert_eq!(excerpt("ä-b"), "ä-b");
        assert_eq!(excerpt(&"ä".repeat(EXCERPT)), "ä".repeat(EXCERPT));
        assert_eq!(excerpt(&"ä".repeat(EXCERPT + 1)), format!("{}…", "ä".repeat(EXCERPT)));
    }
}
