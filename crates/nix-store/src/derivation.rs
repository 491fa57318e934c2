//! The outputs that a derivation names, read from the beginning of its file. The rest of a derivation is nobody's
//! business here.
//!
//! A derivation is `Derive([("out","/nix/store/…","",""),…],…)`; one with dynamic dependencies begins
//! `DrvWithVersion("xp-dyn-drv",[…` (Nix 2.29 `derivations.cc`).

use std::io::{self, Read};
use std::iter::Peekable;

use nars3_store_path::{StoreDir, StorePath, StorePathError};

/// Bytes in which the outputs must end. Derivations have a handful of outputs of some hundred bytes.
const LIMIT: u64 = 1024 * 1024;

/// A file whose name ends in `.drv` is not a derivation.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DerivationError {
    /// It does not begin as a derivation does.
    #[error("at byte {offset} of the derivation: expected {expected}")]
    Syntax {
        /// Bytes before the place.
        offset: usize,
        /// What should stand there.
        expected: &'static str,
    },
    /// An output is no store path.
    #[error("output '{name}' of the derivation has the path '{path}'")]
    BadPath {
        /// The name of the output.
        name: String,
        /// What stands for its path.
        path: String,
        /// What is wrong with it.
        #[source]
        source: StorePathError,
    },
    /// The bytes cannot be had.
    #[error("the derivation cannot be read")]
    Read(#[from] io::Error),
}

/// The names and the paths of the outputs whose paths are known: an output whose path depends on its contents has none
/// yet. `file` is the derivation, of which only the beginning is read.
///
/// # Errors
/// When it does not begin as a derivation does, or cannot be read.
pub fn outputs(file: impl Read, store_dir: &StoreDir) -> Result<Vec<(String, StorePath)>, DerivationError> {
    let mut parser = Parser { bytes: io::BufReader::new(file.take(LIMIT)).bytes().peekable(), offset: 0 };
    if parser.peek()? == Some(b'D') {
        parser.head()?;
    }
    parser.expect("[", "'['")?;
    let mut outputs = Vec::new();
    while parser.peek()? != Some(b']') {
        if !outputs.is_empty() {
            parser.expect(",", "','")?;
        }
        parser.expect("(", "'('")?;
        let name = parser.string()?;
        parser.expect(",", "','")?;
        let path = parser.string()?;
        for _hash_algorithm_then_hash in 0..2 {
            parser.expect(",", "','")?;
            parser.string()?;
        }
        parser.expect(")", "')'")?;
        outputs.push((name, path));
    }
    outputs
        .into_iter()
        .filter(|(_, path)| !path.is_empty())
        .map(|(name, path)| match store_dir.parse(&path) {
            Ok(parsed) => Ok((name, parsed)),
            Err(source) => Err(DerivationError::BadPath { name, path, source }),
        })
        .collect()
}

struct Parser<I: Iterator<Item = io::Result<u8>>> {
    bytes: Peekable<I>,
    offset: usize,
}

impl<I: Iterator<Item = io::Result<u8>>> Parser<I> {
    /// What stands before the outputs.
    fn head(&mut self) -> Result<(), DerivationError> {
        self.expect("D", "'Derive' or 'DrvWithVersion'")?;
        if self.peek()? == Some(b'e') {
            return self.expect("erive(", "'Derive('");
        }
        self.expect("rvWithVersion(", "'DrvWithVersion('")?;
        self.string()?;
        self.expect(",", "','")
    }

    fn peek(&mut self) -> Result<Option<u8>, DerivationError> {
        match self.bytes.peek() {
            Some(Ok(byte)) => Ok(Some(*byte)),
            Some(Err(_)) => self.next(),
            None => Ok(None),
        }
    }

    fn next(&mut self) -> Result<Option<u8>, DerivationError> {
        let byte = self.bytes.next().transpose()?;
        self.offset += usize::from(byte.is_some());
        Ok(byte)
    }

    fn expect(&mut self, text: &str, expected: &'static str) -> Result<(), DerivationError> {
        for wanted in text.bytes() {
            let offset = self.offset;
            if self.next()? != Some(wanted) {
                return Err(DerivationError::Syntax { offset, expected });
            }
        }
        Ok(())
    }

    fn string(&mut self) -> Result<String, DerivationError> {
        self.expect("\"", "'\"'")?;
        let start = self.offset;
        let mut bytes = Vec::new();
        loop {
            match self.next()? {
                Some(b'"') => break,
                Some(b'\\') => match self.next()? {
                    Some(b'n') => bytes.push(b'\n'),
                    Some(b'r') => bytes.push(b'\r'),
                    Some(b't') => bytes.push(b'\t'),
                    Some(other) => bytes.push(other),
                    None => return Err(self.unterminated()),
                },
                Some(byte) => bytes.push(byte),
                None => return Err(self.unterminated()),
            }
        }
        String::from_utf8(bytes)
            .map_err(|_| DerivationError::Syntax { offset: start, expected: "a string in UTF-8" })
    }

    fn unterminated(&self) -> DerivationError {
        DerivationError::Syntax { offset: self.offset, expected: "the end of a string" }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUT: &str = "/nix/store/00000000000000000000000000000000-x";

    fn names(text: &str) -> Result<Vec<String>, DerivationError> {
        let outputs = outputs(text.as_bytes(), &StoreDir::default())?;
        Ok(outputs.into_iter().map(|(name, path)| format!("{name}={path}")).collect())
    }

    #[test]
    fn outputs_are_read_and_the_rest_is_not() {
        let text = format!(r#"Derive([("dev","{OUT}-dev","",""),("out","{OUT}","r:sha256","00")],[not read"#);
        let expected = [
            "dev=00000000000000000000000000000000-x-dev".to_owned(),
            "out=00000000000000000000000000000000-x".to_owned(),
        ];
        assert_eq!(names(&text).expect("well-formed"), expected);
    }

    #[test]
    fn a_derivation_with_dynamic_dependencies_has_outputs_too() {
        let text = format!(r#"DrvWithVersion("xp-dyn-drv",[("out","{OUT}","","")],["#);
        assert_eq!(names(&text).expect("well-formed").len(), 1);
    }

    #[test]
    fn an_output_without_a_path_is_left_out() {
        let text = r#"Derive([("out","","r:sha256","")],["#;
        assert_eq!(names(text).expect("well-formed"), Vec::<String>::new());
    }

    #[test]
    fn what_is_no_derivation_says_where() {
        for (text, place) in [
            ("", 0),
            ("hello", 0),
            ("Derive((", 7),
            (r#"Derive([("out"#, 13),
            (r#"Derive([("out","p","","")("#, 25),
        ] {
            match names(text) {
                Err(DerivationError::Syntax { offset, .. }) => assert_eq!(offset, place, "{text}"),
                other => panic!("{text}: {other:?}"),
            }
        }
    }

    #[test]
    fn an_output_outside_the_store_is_refused() {
        let text = r#"Derive([("out","/etc/passwd","","")],["#;
        assert!(matches!(names(text), Err(DerivationError::BadPath { .. })));
    }

    #[test]
    fn a_string_may_not_eat_the_whole_disk() {
        let endless = io::repeat(b'a');
        let text = r#"Derive([(""#.as_bytes().chain(endless);
        assert!(matches!(outputs(text, &StoreDir::default()), Err(DerivationError::Syntax { .. })));
    }
}
