//! The items that a NAR is made of, and what they may be in each state: strings, the sizes of files, padding.

use crate::error::FormatErrorKind as Kind;
use crate::limits::Limits;

/// Longest format word that is looked at, as in Nix (`narMaxTag`); the words themselves have at most 13 bytes.
const TAG_LIMIT: usize = 32;

/// What comes next.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub(super) enum State {
    Magic,
    Open,
    Type,
    Kind,
    RegularTag,
    ExecutableValue,
    ContentsTag,
    Size,
    Contents { left: u64, padding: u8 },
    Padding(u8),
    CloseRegular,
    TargetTag,
    Target,
    CloseSymlink,
    EntryOrClose,
    OpenEntry,
    NameTag,
    Name,
    NodeTag,
    CloseEntry,
    End,
}

impl State {
    /// What is due in this state, as a phrase for an error.
    pub(super) fn expected(self) -> &'static str {
        match self {
            Self::Magic => "`nix-archive-1`",
            Self::Open | Self::OpenEntry => "`(`",
            Self::Type => "`type`",
            Self::Kind => "`regular`, `directory` or `symlink`",
            Self::RegularTag => "`contents` or `executable`",
            Self::ExecutableValue => "an empty string after `executable`",
            Self::ContentsTag => "`contents`",
            Self::Size => "the size of a file",
            Self::Contents { .. } => "the contents of a file",
            Self::Padding(_) => "the padding of a file",
            Self::CloseRegular | Self::CloseSymlink | Self::CloseEntry => "`)`",
            Self::TargetTag => "`target`",
            Self::Target => "the target of a symlink",
            Self::EntryOrClose => "`entry` or `)`",
            Self::NameTag => "`name`",
            Self::Name => "a file name",
            Self::NodeTag => "`node`",
            Self::End => "nothing",
        }
    }

    /// What the string due in this state is called, and how long it may be.
    fn bound(self, limits: &Limits) -> (&'static str, usize) {
        match self {
            Self::Name => ("file name", limits.name),
            Self::Target => ("symlink target", limits.target),
            _ => ("tag", TAG_LIMIT),
        }
    }
}

/// Takes the item due in `state` off `input`: straight from it when it lies there whole, else by way of `partial`,
/// where its parts are collected. Nothing when more input is needed.
pub(super) fn gather<'b, 'i: 'b>(
    state: State,
    limits: &Limits,
    partial: &'b mut Vec<u8>,
    input: &mut &'i [u8],
) -> Result<Option<&'b [u8]>, Kind> {
    if partial.is_empty() {
        let needed = item_length(state, limits, input)?;
        if let Some((item, rest)) = input.split_at_checked(needed) {
            *input = rest;
            return Ok(Some(item));
        }
    }
    loop {
        let missing = item_length(state, limits, partial)? - partial.len();
        if missing == 0 {
            return Ok(Some(partial));
        }
        if input.is_empty() {
            return Ok(None);
        }
        let (part, rest) = input.split_at(missing.min(input.len()));
        partial.extend_from_slice(part);
        *input = rest;
    }
}

/// The length of the item due in `state`, as far as its beginning tells: never less than `beginning`, and final once
/// `beginning` is that long.
pub(super) fn item_length(state: State, limits: &Limits, beginning: &[u8]) -> Result<usize, Kind> {
    match (state, beginning.first_chunk::<8>()) {
        (State::Padding(length), _) => Ok(usize::from(length)),
        (State::Size, _) | (_, None) => Ok(8),
        (_, Some(length)) => {
            let length = u64::from_le_bytes(*length);
            let (what, limit) = state.bound(limits);
            // A limit that does not limit must not let the sum overflow.
            let framed = usize::try_from(length)
                .ok()
                .filter(|length| *length <= limit)
                .and_then(|length| length.checked_next_multiple_of(8)?.checked_add(8));
            match framed {
                Some(framed) => Ok(framed),
                None if state == State::Magic => Err(Kind::NotAnArchive),
                None => Err(Kind::TooLong { what, length, limit: limit as u64 }),
            }
        }
    }
}

/// The bytes that an item is about, its padding checked.
pub(super) fn content_of(state: State, item: &[u8]) -> Result<&[u8], Kind> {
    let (content, padding) = match (state, item.split_first_chunk::<8>()) {
        (State::Padding(_), _) => (&item[..0], item),
        (State::Size, _) | (_, None) => return Ok(item),
        (_, Some((length, rest))) => {
            let length = usize::try_from(u64::from_le_bytes(*length)).unwrap_or(usize::MAX);
            rest.split_at_checked(length).unwrap_or((rest, &[]))
        }
    };
    if padding.iter().any(|byte| *byte != 0) { Err(Kind::NonZeroPadding) } else { Ok(content) }
}
