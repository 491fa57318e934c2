//! Reads the fields of a narinfo into their types, and notes what is unusual on the way.

use std::cmp::Ordering;

use nars3_store_path::{Algorithm, ContentAddress, Hash, HashFormat};

use super::error::excerpt;
use super::notes::{At, Notes};
use super::signatures::{self, SignatureLines};
use super::syntax::{Fields, RawField, Words};
use super::{Field, Flags, MAX_SIGNATURES, MAX_TEXT_LENGTH, NarInfoError, NarInfoProblem};
use crate::Compression;

/// The value of `Deriver` that means there is none.
pub(super) const UNKNOWN_DERIVER: &str = "unknown-deriver";

/// What a narinfo says, field by field. Store paths and references are texts still.
pub(super) struct Scan<'a> {
    pub(super) store_path: At<'a>,
    pub(super) url: &'a str,
    /// Empty when missing.
    pub(super) compression: &'a str,
    pub(super) file_hash: Option<Hash>,
    pub(super) file_size: Option<u64>,
    pub(super) nar_hash: Hash,
    pub(super) nar_size: u64,
    pub(super) references: At<'a>,
    pub(super) deriver: Option<At<'a>>,
    /// The part of the text from the first to the last `Sig` line.
    pub(super) signatures: &'a str,
    pub(super) ca: Option<ContentAddress>,
}

/// The state while lines come in; like [`Scan`], but everything may be missing.
struct Draft<'a> {
    store_path: Option<At<'a>>,
    url: &'a str,
    compression: At<'a>,
    file_hash: Option<Hash>,
    file_size: Option<u64>,
    nar_hash: Option<Hash>,
    nar_size: u64,
    references: At<'a>,
    deriver: Option<At<'a>>,
    /// Where the first `Sig` line begins and the last one ends.
    signatures: Option<(usize, usize)>,
    signature_count: usize,
    last_signature: &'a str,
    /// The first signature whose text is not after the one before it.
    signature_out_of_order: Option<At<'a>>,
    ca: Option<ContentAddress>,
    /// The bits of the fields that occurred.
    seen: u16,
    last_field: Field,
}

/// Reads `text` to its end. The error has no key and no line yet, only an offset: see [`Unlocated::locate`].
///
/// `check_replaced` gets each store path and deriver that a later line replaces, which must be one all the same.
pub(super) fn scan<'a>(
    text: &'a str,
    notes: &mut impl Notes,
    check_replaced: impl Fn(At<'a>) -> Result<(), Unlocated>,
) -> Result<Scan<'a>, Unlocated> {
    if text.len() > MAX_TEXT_LENGTH {
        return Err(Unlocated::whole(None, NarInfoProblem::TooLong { length: text.len() }));
    }
    let mut draft = Draft {
        store_path: None,
        url: "",
        compression: At { field: Some(Field::Compression), ..At::whole() },
        file_hash: None,
        file_size: None,
        nar_hash: None,
        nar_size: 0,
        references: At::whole(),
        deriver: None,
        signatures: None,
        signature_count: 0,
        last_signature: "",
        signature_out_of_order: None,
        ca: None,
        seen: 0,
        last_field: Field::StorePath,
    };
    let mut fields = Fields::of(text);
    while let Some(raw) = fields.next() {
        let raw = raw.map_err(|(offset, problem)| {
            let line = text.get(offset..).and_then(|rest| rest.lines().next()).unwrap_or_default();
            Unlocated { offset: Some(offset), field: None, value: Some(excerpt(line)), problem }
        })?;
        if let Some(replaced) = draft.take(&raw, notes)? {
            check_replaced(replaced)?;
        }
    }
    draft.finish(text, notes)
}

/// The fields of `text` that have no meaning here, as they stand there, one after the other: whoever changes a narinfo puts
/// them behind what it writes, so that readers who understand them still find them. Nothing from the first syntax error on.
pub fn unknown_fields(text: &str) -> String {
    let mut unknown = String::new();
    let mut fields = Fields::of(text);
    while let Some(Ok(raw)) = fields.next() {
        if Field::from_name(raw.name).is_none() {
            unknown.push_str(text.get(raw.start..raw.end).unwrap_or_default());
        }
    }
    unknown
}

impl<'a> Draft<'a> {
    /// Takes one field in; gives the store path or deriver that it replaces.
    fn take(&mut self, raw: &RawField<'a>, notes: &mut impl Notes) -> Result<Option<At<'a>>, Unlocated> {
        let Some(field) = Field::from_name(raw.name) else {
            notes.note(
                Flags::UNKNOWN_FIELD,
                At { offset: raw.start, field: None, value: raw.value.unwrap_or_default() },
            );
            return Ok(None);
        };
        let at = At { offset: raw.start, field: Some(field), value: raw.value.unwrap_or_default() };
        if raw.value.is_none() {
            return Err(at.problem(NarInfoProblem::NotText));
        }
        self.note_place(field, raw.separator, at, notes);
        match field {
            Field::StorePath => return Ok(self.store_path.replace(at)),
            Field::Url => self.url = at.value,
            Field::Compression => self.compression = at,
            Field::FileHash => {
                let flags = (Flags::FILE_HASH_ENCODING, Flags::FILE_HASH_ALGORITHM);
                self.file_hash = Some(hash(at, flags, notes)?);
            }
            Field::FileSize => self.file_size = Some(size(at, notes)?),
            Field::NarHash => {
                let flags = (Flags::NAR_HASH_ENCODING, Flags::NAR_HASH_ALGORITHM);
                self.nar_hash = Some(hash(at, flags, notes)?);
            }
            Field::NarSize => self.nar_size = size(at, notes)?,
            Field::References => {
                if Words::of(self.references.value).next().is_some() {
                    return Err(at.problem(NarInfoProblem::Repeated));
                }
                self.references = at;
            }
            Field::Deriver => {
                if at.value == UNKNOWN_DERIVER {
                    notes.note(Flags::DERIVER_UNKNOWN, at);
                } else {
                    return Ok(self.deriver.replace(at));
                }
            }
            Field::Sig => self.signature(raw, at, notes)?,
            Field::Ca => {
                if self.ca.is_some() {
                    return Err(at.problem(NarInfoProblem::Repeated));
                }
                self.ca = content_address(at, notes)?;
            }
        }
        Ok(None)
    }

    /// Notes what is unusual about the place of a field, whatever its value.
    fn note_place(&mut self, field: Field, separator: u8, at: At<'a>, notes: &mut impl Notes) {
        if separator != b' ' {
            notes.note(Flags::SEPARATOR, at);
        }
        if field < self.last_field {
            notes.note(Flags::FIELD_ORDER, at);
        }
        self.last_field = field;
        if self.seen & field.bit() != 0 && field != Field::Sig {
            notes.note(Flags::DUPLICATE_FIELD, at);
        }
        self.seen |= field.bit();
    }

    fn signature(&mut self, raw: &RawField<'a>, at: At<'a>, notes: &mut impl Notes) -> Result<(), Unlocated> {
        if self.signature_count >= MAX_SIGNATURES {
            return Err(at.problem(NarInfoProblem::TooManySignatures));
        }
        if self.signature_count > 0 {
            match at.value.cmp(self.last_signature) {
                Ordering::Greater => {}
                Ordering::Equal => notes.note(Flags::SIGNATURES_DUPLICATE, at),
                Ordering::Less => self.signature_out_of_order = self.signature_out_of_order.or(Some(at)),
            }
        }
        self.last_signature = at.value;
        self.signature_count += 1;
        let first = self.signatures.map_or(raw.start, |(first, _)| first);
        self.signatures = Some((first, raw.end));
        Ok(())
    }

    /// What must not be missing, in the order in which Nix asks for it.
    fn finish(self, text: &'a str, notes: &mut impl Notes) -> Result<Scan<'a>, Unlocated> {
        let missing = |field: Field| {
            let hidden = text.strip_prefix('\u{feff}').is_some_and(|text| text.starts_with(field.name()));
            let problem = if hidden { NarInfoProblem::ByteOrderMark } else { NarInfoProblem::Missing };
            Unlocated::whole(Some(field), problem)
        };
        let store_path = self.store_path.ok_or_else(|| missing(Field::StorePath))?;
        let nar_hash = self.nar_hash.ok_or_else(|| missing(Field::NarHash))?;
        if self.url.is_empty() {
            return Err(missing(Field::Url));
        }
        if self.nar_size == 0 {
            return Err(missing(Field::NarSize));
        }
        let signatures = self.signatures.and_then(|(first, end)| text.get(first..end)).unwrap_or_default();
        if let Some(at) = self.signature_out_of_order {
            let by_key = signatures::are_by_key(SignatureLines::of(signatures));
            notes.note(if by_key { Flags::SIGNATURES_BY_KEY } else { Flags::SIGNATURES_UNSORTED }, at);
        }
        if self.compression.value.is_empty() {
            notes.note(Flags::COMPRESSION_DEFAULT, self.compression);
        } else if !Compression::from(self.compression.value).is_known() {
            notes.note(Flags::COMPRESSION_UNKNOWN, self.compression);
        }
        let mut note_missing = |field, flag| notes.note(flag, At { field: Some(field), ..At::whole() });
        if self.file_hash.is_none() {
            note_missing(Field::FileHash, Flags::FILE_HASH_MISSING);
        }
        if self.file_size.is_none() {
            note_missing(Field::FileSize, Flags::FILE_SIZE_MISSING);
        }
        if self.seen & Field::References.bit() == 0 {
            note_missing(Field::References, Flags::REFERENCES_MISSING);
        }
        Ok(Scan {
            store_path,
            url: self.url,
            compression: self.compression.value,
            file_hash: self.file_hash,
            file_size: self.file_size,
            nar_hash,
            nar_size: self.nar_size,
            references: self.references,
            deriver: self.deriver,
            signatures,
            ca: self.ca,
        })
    }
}

fn hash<'a>(at: At<'a>, flags: (Flags, Flags), notes: &mut impl Notes) -> Result<Hash, Unlocated> {
    let parsed = Hash::parse_any(at.value, None);
    let (hash, format) = parsed.map_err(|source| at.problem(NarInfoProblem::Hash(source)))?;
    let (encoding, algorithm) = flags;
    if format != HashFormat::Nix32 {
        notes.note(encoding, at);
    }
    if hash.algorithm() != Algorithm::Sha256 {
        notes.note(algorithm, at);
    }
    Ok(hash)
}

/// A number as `string2Int` of Nix reads it: digits, leading zeros and a plus sign allowed.
fn size<'a>(at: At<'a>, notes: &mut impl Notes) -> Result<u64, Unlocated> {
    let size = at.value.parse().map_err(|_| at.problem(NarInfoProblem::Size))?;
    if matches!(at.value.as_bytes(), [b'+', ..] | [b'0', _, ..]) {
        notes.note(Flags::SIZE_FORM, at);
    }
    Ok(size)
}

fn content_address<'a>(at: At<'a>, notes: &mut impl Notes) -> Result<Option<ContentAddress>, Unlocated> {
    if at.value.is_empty() {
        notes.note(Flags::CA_EMPTY, at);
        return Ok(None);
    }
    let wrap = |source| at.problem(NarInfoProblem::ContentAddress(source));
    let ca: ContentAddress = at.value.parse().map_err(wrap)?;
    if ca.to_string() != at.value {
        notes.note(Flags::CA_FORM, at);
    }
    Ok(Some(ca))
}

/// An error before its line is counted and the key is known.
pub(super) struct Unlocated {
    pub(super) offset: Option<usize>,
    pub(super) field: Option<Field>,
    pub(super) value: Option<Box<str>>,
    pub(super) problem: NarInfoProblem,
}

impl Unlocated {
    fn whole(field: Option<Field>, problem: NarInfoProblem) -> Self {
        Self { offset: None, field, value: None, problem }
    }

    /// The error as users see it. Lines are counted here, so that reading a good narinfo does not count any.
    #[cold]
    pub(super) fn locate(self, key: &str, text: &str) -> NarInfoError {
        NarInfoError {
            key: key.into(),
            line: self.offset.map(|offset| line_at(text, offset)),
            field: self.field,
            value: self.value,
            problem: self.problem,
        }
    }
}

/// The error for a narinfo that is no text: the line with the first wrong byte, what it holds, and in which field.
#[cold]
pub(super) fn not_utf8(key: &str, bytes: &[u8], error: std::str::Utf8Error) -> NarInfoError {
    let offset = error.valid_up_to();
    let (before, after) = bytes.split_at_checked(offset).unwrap_or((bytes, &[]));
    let start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |position| position + 1);
    let end = after.iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |position| offset + position);
    let line = String::from_utf8_lossy(bytes.get(start..end).unwrap_or_default());
    let (field, value) = match line.split_once(": ") {
        Some((name, value)) => (Field::from_name(name.as_bytes()), value),
        None => (None, line.as_ref()),
    };
    NarInfoError {
        key: key.into(),
        line: Some(line_at(bytes, offset)),
        field,
        value: Some(excerpt(if field.is_some() { value } else { &line })),
        problem: NarInfoProblem::NotUtf8 { offset },
    }
}

/// The line of a byte of `text`, counted from 1.
pub(super) fn line_at(text: impl AsRef<[u8]>, offset: usize) -> u32 {
    let before = text.as_ref().get(..offset).unwrap_or_default();
    let breaks = before.iter().filter(|byte| **byte == b'\n').count();
    u32::try_from(breaks + 1).unwrap_or(u32::MAX)
}
