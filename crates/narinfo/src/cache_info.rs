//! `nix-cache-info`: what a binary cache says about itself.

use std::fmt::Write;

use nars3_store_path::StoreDir;

/// The object key of the cache info.
pub const CACHE_INFO_KEY: &str = "nix-cache-info";

/// What a binary cache says about itself in `nix-cache-info`.
///
/// The values are defaults: settings of the user's store URL override them.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct CacheInfo {
    /// The store directory of the paths in the cache. A cache for another directory is of no use.
    pub store_dir: Option<StoreDir>,
    /// Whether the cache bears being asked about many paths at once.
    pub want_mass_query: Option<bool>,
    /// The rank among caches; the lowest is asked first. cache.nixos.org has 40.
    pub priority: Option<i64>,
    /// What could not be understood, in the order of the lines.
    pub problems: Vec<CacheInfoProblem>,
}

/// A line of `nix-cache-info` that cannot be understood.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CacheInfoProblem {
    /// `StoreDir` is not an absolute path in its shortest form.
    #[error("nix-cache-info line {line}: StoreDir '{}' is not a store directory", value.escape_debug())]
    StoreDir {
        /// The line, counted from 1.
        line: usize,
        /// The value, without white space around it.
        value: String,
    },
    /// `StoreDir` is given again, and is another directory. Nix compares each line with its own store directory, so it
    /// refuses such a cache, whatever that is.
    #[error(
        "nix-cache-info line {line}: StoreDir '{value}' is not the '{}' of an earlier line",
        earlier.as_str()
    )]
    StoreDirs {
        /// The line, counted from 1.
        line: usize,
        /// The directory of this line.
        value: StoreDir,
        /// The directory of the line before it that names one.
        earlier: StoreDir,
    },
    /// `Priority` does not begin with a number, or with one that Nix cannot hold.
    #[error("nix-cache-info line {line}: Priority '{}' is not a number of 32 bits", value.escape_debug())]
    Priority {
        /// The line, counted from 1.
        line: usize,
        /// The value, without white space around it.
        value: String,
    },
}

/// A cache that cannot be used because it holds the paths of another store directory.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("binary cache '{cache}' is for Nix stores with prefix '{}', not '{expected}'", found.escape_debug())]
pub struct StoreDirMismatch {
    /// The cache, as the caller calls it.
    pub cache: String,
    /// The store directory of the cache.
    pub found: String,
    /// The store directory that was asked for.
    pub expected: StoreDir,
}

impl CacheInfo {
    /// The cache info Nix writes into an empty cache: the store directory alone.
    pub fn new(store_dir: StoreDir) -> Self {
        Self { store_dir: Some(store_dir), ..Self::default() }
    }

    /// Reads a `nix-cache-info` as Nix 2.29 does (`binary-cache-store.cc`).
    ///
    /// Lines without a colon and unknown names are skipped, white space around values is too, and of several values
    /// the last counts. Where Nix would fail on a value, the value is left out and `problems` says so; where it would
    /// fail because `StoreDir` is now this and now that, `problems` says so too.
    pub fn parse(text: &str) -> Self {
        let mut info = Self::default();
        for (index, line) in text.split('\n').enumerate() {
            let Some((name, value)) = line.split_once(':') else { continue };
            let value = value.trim_matches(is_space);
            let line = index + 1;
            match name {
                "StoreDir" => match StoreDir::new(value) {
                    Ok(store_dir) if store_dir.as_str() == value => info.note_store_dir(line, store_dir),
                    _ => info.problems.push(CacheInfoProblem::StoreDir { line, value: value.to_owned() }),
                },
                "WantMassQuery" => info.want_mass_query = Some(value == "1"),
                "Priority" => match leading_integer(value) {
                    Some(priority) => info.priority = Some(priority),
                    None => info.problems.push(CacheInfoProblem::Priority { line, value: value.to_owned() }),
                },
                _ => {}
            }
        }
        info
    }

    fn note_store_dir(&mut self, line: usize, store_dir: StoreDir) {
        if let Some(earlier) = self.store_dir.replace(store_dir.clone())
            && earlier != store_dir
        {
            self.problems.push(CacheInfoProblem::StoreDirs { line, value: store_dir, earlier });
        }
    }

    /// The text, fields in the order that cache.nixos.org uses, missing ones left out.
    ///
    /// With the store directory alone this is what Nix puts into an empty cache.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        if let Some(store_dir) = &self.store_dir {
            let _ = writeln!(text, "StoreDir: {store_dir}");
        }
        if let Some(want_mass_query) = self.want_mass_query {
            let _ = writeln!(text, "WantMassQuery: {}", u8::from(want_mass_query));
        }
        if let Some(priority) = self.priority {
            let _ = writeln!(text, "Priority: {priority}");
        }
        text
    }

    /// Refuses a cache that says it is for another store directory. A cache that says nothing is accepted, as by Nix.
    ///
    /// # Errors
    ///
    /// When `StoreDir` is another directory, or no directory at all, in any of its lines: the first such line is named.
    pub fn ensure_store_dir(&self, cache: &str, expected: &StoreDir) -> Result<(), StoreDirMismatch> {
        let mismatch = |found: &str| StoreDirMismatch {
            cache: cache.to_owned(),
            found: found.to_owned(),
            expected: expected.clone(),
        };
        for problem in &self.problems {
            match problem {
                CacheInfoProblem::StoreDirs { earlier, .. } if earlier != expected => {
                    return Err(mismatch(earlier.as_str()));
                }
                CacheInfoProblem::StoreDirs { value, .. } => return Err(mismatch(value.as_str())),
                CacheInfoProblem::StoreDir { value, .. } => return Err(mismatch(value)),
                CacheInfoProblem::Priority { .. } => {}
            }
        }
        match &self.store_dir {
            Some(found) if found != expected => Err(mismatch(found.as_str())),
            _ => Ok(()),
        }
    }
}

/// White space as Nix's `trim` sees it; this is what makes `nix-cache-info` with CRLF readable.
fn is_space(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\n' | '\r')
}

/// The number at the beginning of `value`, read as C++'s `stoi` does: a sign, digits, and anything after them, in 32
/// bits.
fn leading_integer(value: &str) -> Option<i64> {
    let unsigned = value.strip_prefix(['-', '+']).unwrap_or(value);
    let digits = unsigned.bytes().take_while(u8::is_ascii_digit).count();
    let sign = value.len() - unsigned.len();
    value.get(..sign + digits)?.parse::<i32>().ok().map(i64::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_public_cache() {
        let text = "StoreDir: /nix/store\nWantMassQuery: 1\nPriority: 40\n";
        let info = CacheInfo::parse(text);
        assert_eq!(info.store_dir, Some(StoreDir::default()));
        assert_eq!(info.want_mass_query, Some(true));
        assert_eq!(info.priority, Some(40));
        assert_eq!(info.problems, []);
        assert_eq!(info.to_text(), text);
    }

    #[test]
    fn what_nix_puts_into_an_empty_cache() {
        assert_eq!(CacheInfo::new(StoreDir::default()).to_text(), "StoreDir: /nix/store\n");
    }

    #[test]
    fn lenient_as_nix() {
        let info = CacheInfo::parse(
            "no colon\r\n Priority: 1\nPriority:\t 7 \nPriority:  30x\r\nWantMassQuery:yes\nNew: 1",
        );
        assert_eq!(info.priority, Some(30));
        assert_eq!(info.want_mass_query, Some(false));
        assert_eq!(info.store_dir, None);
        assert_eq!(info.problems, []);
    }

    #[test]
    fn numbers_as_stoi_reads_them() {
        for (text, expected) in [
            ("40", Some(40)),
            ("-1", Some(-1)),
            ("+5", Some(5)),
            ("007", Some(7)),
            ("2147483647", Some(2_147_483_647)),
            ("2147483648", None),
            ("", None),
            ("-", None),
            ("x1", None),
            ("٣", None),
        ] {
            assert_eq!(leading_integer(text), expected, "{text:?}");
        }
    }

    #[test]
    fn what_nix_would_fail_on_is_a_problem() {
        let info =
            CacheInfo::parse("StoreDir: nix\nPriority: high\nPriority: 3\nStoreDir: /a\nStoreDir: /b\n");
        assert_eq!(info.priority, Some(3));
        assert_eq!(info.store_dir, StoreDir::new("/b").ok());
        let messages: Vec<String> = info.problems.iter().map(ToString::to_string).collect();
        assert_eq!(
            messages,
            [
                "nix-cache-info line 1: StoreDir 'nix' is not a store directory",
                "nix-cache-info line 2: Priority 'high' is not a number of 32 bits",
                "nix-cache-info line 5: StoreDir '/b' is not the '/a' of an earlier line",
            ]
        );
    }

    #[test]
    fn a_cache_for_another_store_directory_is_refused() {
        let expected = StoreDir::default();
        for (text, accepted) in [
            ("StoreDir: /nix/store\n", true),
            ("Priority: 1\n", true),
            ("", true),
            ("StoreDir: /gnu/store\n", false),
            ("StoreDir: /nix/store/\n", false),
            ("StoreDir: \n", false),
        ] {
            let outcome = CacheInfo::parse(text).ensure_store_dir("s3://b", &expected);
            assert_eq!(outcome.is_ok(), accepted, "{text:?}");
        }
        for text in [
            "StoreDir: /gnu/store\nStoreDir: /nix/store\n",
            "StoreDir: /nix/store\nStoreDir: /gnu/store\n",
            "StoreDir: /nix/store\nStoreDir: /gnu/store\nStoreDir: /nix/store\n",
            "StoreDir: /nix/store\nStoreDir: /gnu/store\nStoreDir: /a\nStoreDir: b\n",
        ] {
            let error = CacheInfo::parse(text).ensure_store_dir("s3://b", &expected).unwrap_err();
            assert_eq!(error.found, "/gnu/store", "{text:?}");
        }
        let repeated = CacheInfo::parse("StoreDir: /nix/store\nStoreDir: /nix/store\n");
        assert_eq!(repeated, CacheInfo::new(expected.clone()));
        let error =
            CacheInfo::parse("StoreDir: /gnu/store\n").ensure_store_dir("s3://b", &expected).unwrap_err();
        assert_eq!(
            error.to_string(),
            "binary cache 's3://b' is for Nix stores with prefix '/gnu/store', not '/nix/store'"
        );
    }
}
