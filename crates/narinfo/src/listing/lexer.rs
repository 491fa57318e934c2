//! The JSON that listings are made of, token by token, in nom.
//!
//! Listings nest as deep as directories do, and a parser that recurses (`serde_json` among them) has to stop where its
//! stack ends. Tokens leave the nesting to the reader, which keeps it on the heap.

use std::borrow::Cow;

use nom::branch::alt;
use nom::bytes::complete::{tag, take, take_till, take_while, take_while1};
use nom::combinator::recognize;
use nom::multi::many0_count;
use nom::sequence::{delimited, pair};
use nom::{IResult, Parser};

use super::ListingProblem;

/// A place in a JSON text, between tokens.
pub(super) struct Lexer<'a> {
    text: &'a str,
    rest: &'a [u8],
}

impl<'a> Lexer<'a> {
    pub(super) fn of(text: &'a str) -> Self {
        let mut lexer = Self { text, rest: text.as_bytes() };
        lexer.skip_space();
        lexer
    }

    /// Where the next token begins, in bytes from the start of the text.
    pub(super) fn offset(&self) -> usize {
        self.text.len() - self.rest.len()
    }

    pub(super) fn at_end(&self) -> bool {
        self.rest.is_empty()
    }

    /// Takes the one-byte token `byte`, if it is next.
    pub(super) fn take(&mut self, byte: u8) -> bool {
        match self.rest.split_first() {
            Some((first, rest)) if *first == byte => {
                self.rest = rest;
                self.skip_space();
                true
            }
            _ => false,
        }
    }

    /// Takes the one-byte token `byte`; fails with `expected` if it is not next.
    pub(super) fn expect(&mut self, byte: u8, expected: &'static str) -> Result<(), ListingProblem> {
        if self.take(byte) { Ok(()) } else { Err(ListingProblem::Expected(expected)) }
    }

    /// The name of the next member of an object up to its value, or nothing at the end of the object.
    ///
    /// `is_first` says whether this is the first member, and is updated.
    pub(super) fn member(&mut self, is_first: &mut bool) -> Result<Option<Cow<'a, str>>, ListingProblem> {
        if self.take(b'}') {
            return Ok(None);
        }
        if !*is_first {
            self.expect(b',', "',' or '}'")?;
        }
        *is_first = false;
        let name = self.string("a name in quotation marks")?;
        self.expect(b':', "':'")?;
        Ok(Some(name))
    }

    pub(super) fn string(&mut self, expected: &'static str) -> Result<Cow<'a, str>, ListingProblem> {
        let wrong = ListingProblem::Expected(expected);
        let Ok((rest, token)) = string(self.rest) else { return Err(wrong) };
        let Some(token) = self.token(rest, token) else { return Err(wrong) };
        let is_plain = |byte: u8| byte >= 0x20 && byte != b'\\';
        let inner = token.get(1..token.len() - 1).unwrap_or_default();
        if inner.bytes().all(is_plain) {
            return Ok(Cow::Borrowed(inner));
        }
        serde_json::from_str(token).map(Cow::Owned).map_err(|_| wrong)
    }

    /// A number of bytes.
    pub(super) fn size(&mut self) -> Result<u64, ListingProblem> {
        let wrong = ListingProblem::Expected("a whole number below 2^64");
        self.scalar()
            .filter(|token| token.starts_with(|first: char| first.is_ascii_digit()))
            .and_then(|token| token.parse().ok())
            .ok_or(wrong)
    }

    pub(super) fn boolean(&mut self) -> Result<bool, ListingProblem> {
        match self.scalar() {
            Some("true") => Ok(true),
            Some("false") => Ok(false),
            _ => Err(ListingProblem::Expected("true or false")),
        }
    }

    /// Skips one value, whatever it is. Nesting costs one byte of memory per level.
    pub(super) fn skip(&mut self) -> Result<(), ListingProblem> {
        // For each open object or array: the byte that ends it.
        let mut open: Vec<u8> = Vec::new();
        loop {
            // A value begins here.
            let mut is_first = true;
            if self.take(b'{') {
                open.push(b'}');
            } else if self.take(b'[') {
                open.push(b']');
            } else {
                self.leaf()?;
                is_first = false;
            }
            // Up to the next value.
            loop {
                let Some(end) = open.last().copied() else { return Ok(()) };
                if self.take(end) {
                    open.pop();
                    is_first = false;
                    continue;
                }
                if !is_first {
                    self.expect(b',', "',' or the end of an object or array")?;
                }
                if end == b'}' {
                    self.string("a name in quotation marks")?;
                    self.expect(b':', "':'")?;
                }
                break;
            }
        }
    }

    fn leaf(&mut self) -> Result<(), ListingProblem> {
        let wrong = ListingProblem::Expected("a value");
        if self.rest.first() == Some(&b'"') {
            return self.string("a string").map(|_| ());
        }
        let token = self.scalar().ok_or(wrong.clone())?;
        serde_json::from_str::<serde_json::Value>(token).map(|_| ()).map_err(|_| wrong)
    }

    /// A run of the characters that numbers and words are made of.
    pub(super) fn scalar(&mut self) -> Option<&'a str> {
        let (rest, token) = scalar(self.rest).ok()?;
        self.token(rest, token)
    }

    /// Moves past a token; gives it as text.
    fn token(&mut self, rest: &'a [u8], token: &[u8]) -> Option<&'a str> {
        let end = self.text.len() - rest.len();
        self.rest = rest;
        self.skip_space();
        self.text.get(end - token.len()..end)
    }

    fn skip_space(&mut self) {
        let is_space = |byte: u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
        let space: IResult<&[u8], &[u8]> = take_while(is_space).parse(self.rest);
        if let Ok((rest, _)) = space {
            self.rest = rest;
        }
    }
}

/// A string with its quotation marks, not decoded.
fn string(input: &[u8]) -> IResult<&[u8], &[u8]> {
    let plain = take_while1(|byte| byte != b'"' && byte != b'\\');
    let escape = recognize(pair(tag(&b"\\"[..]), take(1_usize)));
    let quote = || tag(&b"\""[..]);
    recognize(delimited(quote(), many0_count(alt((plain, escape))), quote())).parse(input)
}

fn scalar(input: &[u8]) -> IResult<&[u8], &[u8]> {
    let is_end = |byte: u8| {
        matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | b',' | b':' | b'{' | b'}' | b'[' | b']' | b'"')
    };
    take_till(is_end).parse(input)
}
