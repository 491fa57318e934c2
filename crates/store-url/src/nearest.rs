//! The nearest known name to a mistyped one.

/// Longer names are not typing errors of ours, and the comparison is quadratic.
const LONGEST: usize = 64;

/// The candidate with the fewest edits to `name`, if they are few enough for a typing error.
///
/// At most a third of the characters may differ (but two always may), so that `foo` does not suggest `log`.
pub(crate) fn nearest(
    name: &str,
    candidates: impl IntoIterator<Item = &'static str>,
) -> Option<&'static str> {
    if name.is_empty() || name.len() > LONGEST {
        return None;
    }
    let name = name.to_ascii_lowercase().replace('_', "-");
    let allowed = (name.chars().count() / 3).max(2);
    candidates
        .into_iter()
        .map(|candidate| (distance(&name, candidate), candidate))
        .filter(|(edits, candidate)| *edits <= allowed && *edits < candidate.len())
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate)
}

/// Edits between two texts: insertion, deletion, replacement, and exchange of two neighbours (optimal string
/// alignment, three rows at a time).
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=right.len()).collect();
    let mut previous_left = None;
    for (row, left_char) in left.chars().enumerate() {
        let mut current = vec![row + 1];
        let mut previous_right = None;
        for (column, right_char) in right.iter().copied().enumerate() {
            let cell = |line: &[usize], index: usize| line.get(index).copied().unwrap_or(usize::MAX - 1);
            let replaced = cell(&above, column) + usize::from(left_char != right_char);
            let mut best = replaced.min(cell(&above, column + 1) + 1).min(cell(&current, column) + 1);
            if column > 0 && previous_left == Some(right_char) && previous_right == Some(left_char) {
                best = best.min(cell(&before, column - 1) + 1);
            }
            current.push(best);
            previous_right = Some(right_char);
        }
        before = std::mem::replace(&mut above, current);
        previous_left = Some(left_char);
    }
    above.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        for (left, right, edits) in [
            ("", "", 0),
            ("abc", "", 3),
            ("", "ab", 2),
            ("kitten", "sitting", 3),
            ("ab", "ba", 1),
            ("ca", "abc", 3),
        ] {
            assert_eq!(distance(left, right), edits, "{left} {right}");
            assert_eq!(distance(right, left), edits, "{right} {left}");
        }
    }

    #[test]
    fn suggests_typing_errors_and_nothing_else() {
        let known = ["region", "endpoint", "compression", "log"];
        assert_eq!(nearest("regoin", known), Some("region"));
        assert_eq!(nearest("Endpoint", known), Some("endpoint"));
        assert_eq!(nearest("compresion", known), Some("compression"));
        assert_eq!(nearest("xyz", known), None);
        assert_eq!(nearest("", known), None);
        assert_eq!(nearest(&"region".repeat(50), known), None);
    }
}
