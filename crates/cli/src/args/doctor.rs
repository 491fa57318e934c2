//! `nars3 doctor`.

use std::str::FromStr;
use std::time::Duration;

use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// The cache, s3://BUCKET?OPTIONS
    #[arg(long, value_name = "STORE")]
    pub(crate) store: String,
    /// Also write, read and delete objects, under names that nothing else has
    #[arg(
        long,
        long_help = "Also write, read and delete objects, under names that nothing else has: at once, on condition that \
        there is none, and in parts. Where deleting is not allowed, nothing is written that would stay."
    )]
    pub(crate) write: bool,
    /// End the cache's uploads in parts that were begun longer ago than this, for example 1d, 12h or 30m
    #[arg(
        long,
        value_name = "AGE",
        long_help = "End the cache's uploads in parts that were begun longer ago than this, for example 1d, 12h or 30m. \
        Writers that were killed leave them behind, and their parts cost money until somebody ends them. An upload that is \
        still under way fails when it is ended. Uploads of other things than a cache's objects are left alone."
    )]
    pub(crate) abort_uploads_older_than: Option<Age>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// A length of time with its unit: `30m`, `12h`, `1d`, `2w`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Age(pub(crate) Duration);

impl FromStr for Age {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || "expected a number and a unit: 90s, 30m, 12h, 1d or 2w".to_owned();
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let seconds: u64 = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3_600,
            "d" => 86_400,
            "w" => 604_800,
            _ => return Err(expected()),
        };
        let number: u64 = number.parse().map_err(|_| expected())?;
        number.checked_mul(seconds).map(|seconds| Age(Duration::from_secs(seconds))).ok_or_else(expected)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_have_units() {
        let seconds = |text: &str| text.parse::<Age>().map(|age| age.0.as_secs());
        assert_eq!(seconds("1d"), Ok(86_400));
        assert_eq!(seconds("90s"), Ok(90));
        assert_eq!(seconds("2w"), Ok(1_209_600));
        for text in
            ["", "1", "d", "-1d", "1 d", "1.5h", "1day", "99999999999999999999d", "9999999999999999999w"]
        {
            assert!(seconds(text).is_err(), "{text}");
        }
    }
}
