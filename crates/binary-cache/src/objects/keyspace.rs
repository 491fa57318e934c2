//! Where a key lies among all hash parts. They are spread evenly, so the keys of some tell how many there are of others.

use nars3_store_path::nix32::ALPHABET;

/// Characters that are looked at: fifty bits, as many as fit into a float's mantissa.
const DIGITS: usize = 10;

/// Where a key lies, from 0 to 1. The characters of Nix32 ascend as their values do.
pub(crate) fn position(key: &str) -> f64 {
    let digits = key.bytes().take(DIGITS);
    let digits = digits.map(|byte| ALPHABET.iter().filter(|digit| **digit < byte).count() as f64);
    digits.fold((0.0, 1.0 / 32.0), |(sum, weight), digit| (sum + digit * weight, weight / 32.0)).0
}

/// The beginning of the hash parts that lie at a position.
pub(crate) fn at(position: f64) -> String {
    let mut rest = position.clamp(0.0, 1.0);
    let mut digit = || {
        rest *= 32.0;
        // A float beyond the last digit becomes the last one.
        let value = (rest as usize).min(ALPHABET.len() - 1);
        rest -= value as f64;
        ALPHABET.get(value).copied().map_or('z', char::from)
    };
    (0..DIGITS).map(|_| digit()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_ascend_from_zero_to_one() {
        assert!(position("0000") < f64::EPSILON);
        assert!(position("zzzzzzzzzz") > 0.999_999);
        assert!((position("h") - 0.5).abs() < 0.02, "{}", position("h"));
        assert!(position("a") < position("b"));
    }

    #[test]
    fn what_lies_at_a_position_has_it() {
        for place in [0.0, 0.1, 0.25, 0.5, 0.777, 0.999_999] {
            assert!((position(&at(place)) - place).abs() < 1e-12, "{place}: {}", at(place));
        }
        assert_eq!(at(0.0), "0000000000");
        assert_eq!(
            (at(1.0), at(7.0), at(-1.0)),
            ("zzzzzzzzzz".into(), "zzzzzzzzzz".into(), "0000000000".into())
        );
    }
}
