//! The grammar of a narinfo, in nom: `Name: value` lines and space-separated lists.
//!
//! This follows `nar-info.cc` (the same in Nix 2.29 and HEAD) to the byte, since two readers that disagree about one
//! narinfo are a security hole. A name is everything up to the next colon, line breaks included; one byte after the
//! colon is skipped unseen; the value goes to the next line break after that byte.

use nom::branch::alt;
use nom::bytes::complete::{tag, take, take_until};
use nom::combinator::rest;
use nom::number::complete::u8 as any_byte;
use nom::sequence::{preceded, terminated};
use nom::{IResult, Parser};

use super::error::NarInfoProblem;

/// A field as it stands in the text, not interpreted.
pub(super) struct RawField<'a> {
    pub(super) name: &'a [u8],
    /// The byte after the colon.
    pub(super) separator: u8,
    /// None when the value does not begin at a character.
    pub(super) value: Option<&'a str>,
    /// Where the name begins, in bytes from the start of the text.
    pub(super) start: usize,
    /// Where the field ends, after its line break.
    pub(super) end: usize,
}

/// The fields of a narinfo, one after the other, until the end or the first syntax error.
pub(super) struct Fields<'a> {
    text: &'a str,
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(super) fn of(text: &'a str) -> Self {
        Self { text, rest: text.as_bytes() }
    }

    /// The next field; the error comes with the offset of the field it is about.
    pub(super) fn next(&mut self) -> Option<Result<RawField<'a>, (usize, NarInfoProblem)>> {
        if self.rest.is_empty() {
            return None;
        }
        Some(self.field())
    }

    fn field(&mut self) -> Result<RawField<'a>, (usize, NarInfoProblem)> {
        let start = self.offset_of(self.rest);
        let (at_colon, name) = name(self.rest).map_err(|_| (start, NarInfoProblem::NoColon))?;
        let (after, (separator, value)) = value(at_colon).map_err(|_| (start, NarInfoProblem::NoLineEnd))?;
        self.rest = after;
        let end = self.offset_of(after);
        // One byte less: the line break after the value.
        let value = self.text.get(end - 1 - value.len()..end - 1);
        Ok(RawField { name, separator, value, start, end })
    }

    fn offset_of(&self, rest: &[u8]) -> usize {
        self.text.len() - rest.len()
    }
}

fn name(input: &[u8]) -> IResult<&[u8], &[u8]> {
    take_until(&b":"[..]).parse(input)
}

fn value(input: &[u8]) -> IResult<&[u8], (u8, &[u8])> {
    let separator = preceded(tag(&b":"[..]), any_byte);
    (separator, terminated(take_until(&b"\n"[..]), take(1_usize))).parse(input)
}

/// Everything up to the next space, which is skipped, or to the end.
fn up_to_space(input: &[u8]) -> IResult<&[u8], &[u8]> {
    alt((terminated(take_until(&b" "[..]), take(1_usize)), rest)).parse(input)
}

/// The words of a list, without the spaces around them.
#[derive(Clone, Debug)]
pub(super) struct Words<'a> {
    text: &'a str,
    rest: &'a [u8],
}

impl<'a> Words<'a> {
    pub(super) fn of(text: &'a str) -> Self {
        Self { text, rest: text.as_bytes() }
    }
}

impl<'a> Iterator for Words<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        while !self.rest.is_empty() {
            let start = self.text.len() - self.rest.len();
            let (after, word) = up_to_space(self.rest).ok()?;
            self.rest = after;
            if !word.is_empty() {
                // A word stands between spaces or the ends of the text, so it is made of whole characters.
                return self.text.get(start..start + word.len());
            }
        }
        None
    }
}
