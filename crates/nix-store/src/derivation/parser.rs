//! The characters of a derivation.

use std::io::{self, Read};
use std::iter::Peekable;

use super::DerivationError;

/// The bytes of `file`, of which no more than `limit` are read.
pub(super) fn parser<R: Read>(file: R, limit: u64) -> Parser<io::Bytes<io::BufReader<io::Take<R>>>> {
    Parser { bytes: io::BufReader::new(file.take(limit)).bytes().peekable(), offset: 0 }
}

pub(super) struct Parser<I: Iterator<Item = io::Result<u8>>> {
    bytes: Peekable<I>,
    offset: usize,
}

impl<I: Iterator<Item = io::Result<u8>>> Parser<I> {
    /// What stands before the outputs; answers the version of the format, where it is named.
    pub(super) fn head(&mut self) -> Result<Option<String>, DerivationError> {
        self.expect("D", "'Derive' or 'DrvWithVersion'")?;
        if self.peek()? == Some(b'e') {
            self.expect("erive(", "'Derive('")?;
            return Ok(None);
        }
        self.expect("rvWithVersion(", "'DrvWithVersion('")?;
        let version = self.string()?;
        self.expect(",", "','")?;
        Ok(Some(version))
    }

    /// What stands between `open` and `close`, separated by commas.
    pub(super) fn list<T>(
        &mut self,
        open: &'static str,
        close: u8,
        mut element: impl FnMut(&mut Self) -> Result<T, DerivationError>,
    ) -> Result<Vec<T>, DerivationError> {
        self.expect(open, "the beginning of a list")?;
        let mut elements = Vec::new();
        while self.peek()? != Some(close) {
            if !elements.is_empty() {
                self.expect(",", "','")?;
            }
            elements.push(element(self)?);
        }
        self.next()?;
        Ok(elements)
    }

    /// A list of strings.
    pub(super) fn strings(&mut self) -> Result<Vec<String>, DerivationError> {
        self.list("[", b']', Self::string)
    }

    /// `N` strings in parentheses.
    pub(super) fn tuple<const N: usize>(&mut self) -> Result<[String; N], DerivationError> {
        let offset = self.offset;
        let strings = self.list("(", b')', Self::string)?;
        strings
            .try_into()
            .map_err(|_| DerivationError::Syntax { offset, expected: "a tuple of other length" })
    }

    pub(super) fn peek(&mut self) -> Result<Option<u8>, DerivationError> {
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

    pub(super) fn expect(&mut self, text: &str, expected: &'static str) -> Result<(), DerivationError> {
        for wanted in text.bytes() {
            let offset = self.offset;
            if self.next()? != Some(wanted) {
                return Err(DerivationError::Syntax { offset, expected });
            }
        }
        Ok(())
    }

    pub(super) fn string(&mut self) -> Result<String, DerivationError> {
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
