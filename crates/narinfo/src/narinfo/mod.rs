//! The narinfo: what a binary cache says about one store path.

mod borrowed;
mod error;
mod field;
mod flags;
mod lint;
mod notes;
mod print;
mod scan;
mod signatures;
mod syntax;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use nars3_store_path::{Hash, Signature, StoreDir, StorePath};

pub use borrowed::{NarInfoRef, References};
pub use error::{EXCERPT_LENGTH, NarInfoError, NarInfoProblem};
pub use field::Field;
pub use flags::Flags;
pub use lint::{Finding, Rule};
pub use scan::unknown_fields;
pub use signatures::SignatureLines;
pub(crate) use signatures::by_key as signatures_by_key;

use crate::{Compression, PathInfo, narinfo_key};
use borrowed::ReferenceOrder;
use notes::{At, Notes};
use scan::{Unlocated, scan};
use syntax::Words;

/// The longest narinfo that is read, in bytes: 16 MiB, some 300,000 references.
///
/// Reading takes time and memory in proportion to the text, so this bounds both.
pub const MAX_TEXT_LENGTH: usize = 16 << 20;

/// The most `Sig` lines that a narinfo may have.
///
/// Each costs whoever verifies it a signature check, some 50 µs; without a bound one narinfo could keep a reader busy
/// for seconds. Real narinfos have one or two.
pub const MAX_SIGNATURES: usize = nars3_store_path::MAX_SIGNATURES;

/// A narinfo: a path info, and the file in the cache that holds the NAR.
///
/// Two are equal if they say the same *and* were read from texts with the same oddities ([`NarInfo::flags`]); compare
/// [`NarInfo::info`] where only the path info counts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NarInfo {
    /// What the store knows about the path.
    pub info: PathInfo,
    /// Where the NAR file is: a key relative to the narinfo, or a URL.
    pub url: String,
    /// How the NAR file is compressed.
    pub compression: Compression,
    /// The hash of the NAR file as stored.
    pub file_hash: Option<Hash>,
    /// The size of the NAR file as stored, in bytes.
    pub file_size: Option<u64>,
    /// What was unusual about the text this was read from.
    pub flags: Flags,
}

impl NarInfo {
    /// A narinfo for a NAR file of unknown hash and size.
    pub fn new(info: PathInfo, url: impl Into<String>, compression: Compression) -> Self {
        Self { info, url: url.into(), compression, file_hash: None, file_size: None, flags: Flags::NONE }
    }

    /// Reads `text`, the narinfo stored under `key`.
    ///
    /// Accepts what Nix accepts (`nar-info.cc`, the same in 2.29 and HEAD but for compression methods, which 2.29
    /// looks at later) with the exceptions below, and sets a flag for each departure from what Nix writes. The key is
    /// for error messages: whether it is the right one for the store path, ask `key()`.
    ///
    /// # Errors
    ///
    /// Whatever makes Nix refuse a narinfo, a store path with something else than a dash behind its hash part, and a
    /// text beyond [`MAX_TEXT_LENGTH`] or [`MAX_SIGNATURES`].
    pub fn parse(store_dir: &StoreDir, key: &str, text: &str) -> Result<Self, NarInfoError> {
        let mut flags = Flags::NONE;
        let mut narinfo =
            Self::parse_noting(store_dir, text, &mut flags).map_err(|error| error.locate(key, text))?;
        narinfo.flags = flags;
        Ok(narinfo)
    }

    /// Reads a narinfo as it comes from a cache: bytes that need not be text.
    ///
    /// # Errors
    ///
    /// As [`NarInfo::parse`], and `NarInfoProblem::NotUtf8`. To Nix a narinfo is bytes, but what may be in its fields is
    /// ASCII, and a signature or an unknown field in another encoding is not worth types without text.
    pub fn parse_bytes(store_dir: &StoreDir, key: &str, bytes: &[u8]) -> Result<Self, NarInfoError> {
        match str::from_utf8(bytes) {
            Ok(text) => Self::parse(store_dir, key, text),
            Err(error) => Err(scan::not_utf8(key, bytes, error)),
        }
    }

    /// Reads `text` as [`NarInfo::parse`] does, but only if it is exactly as Nix 2.29 writes it.
    ///
    /// # Errors
    ///
    /// As [`NarInfo::parse`], and `NarInfoProblem::NotCanonical` for the first departure.
    pub fn parse_strict(store_dir: &StoreDir, key: &str, text: &str) -> Result<Self, NarInfoError> {
        let narinfo = Self::parse(store_dir, key, text)?;
        if narinfo.flags.is_empty() {
            return Ok(narinfo);
        }
        Err(lint::first_departure(store_dir, key, text, narinfo.flags))
    }

    /// The text of the narinfo, as Nix writes it.
    ///
    /// Fields that are `None` are left out, as Nix HEAD does; Nix 2.29 refuses to write a narinfo without `FileHash`.
    /// Nothing that was read has a line break in it. Of a URL, the name of a compression method or a signature of your
    /// own, what stands behind the first line break is left out, so that no value can forge a field.
    pub fn to_text(&self, store_dir: &StoreDir) -> String {
        print::print(self, store_dir)
    }

    /// The key this narinfo belongs under: `<hash part>.narinfo`.
    pub fn key(&self) -> String {
        narinfo_key(&self.info.path)
    }

    fn parse_noting(store_dir: &StoreDir, text: &str, notes: &mut impl Notes) -> Result<Self, Unlocated> {
        let scan = scan(text, notes, |replaced| match replaced.field {
            Some(Field::StorePath) => store_path(store_dir, replaced, &mut Flags::default()).map(|_| ()),
            _ => base_name(replaced).map(|_| ()),
        })?;
        let path = store_path(store_dir, scan.store_path, notes)?;
        let mut info = PathInfo::new(path, scan.nar_hash, scan.nar_size);
        info.references = references(scan.references, notes)?;
        info.deriver = scan.deriver.map(base_name).transpose()?;
        info.signatures = SignatureLines::of(scan.signatures).iter().map(Signature::new).collect();
        info.ca = scan.ca;
        Ok(Self {
            info,
            url: scan.url.to_owned(),
            compression: match scan.compression {
                "" => Compression::Bzip2,
                name => Compression::from(name),
            },
            file_hash: scan.file_hash,
            file_size: scan.file_size,
            flags: Flags::NONE,
        })
    }
}

fn references(at: At<'_>, notes: &mut impl Notes) -> Result<BTreeSet<StorePath>, Unlocated> {
    let mut order = ReferenceOrder::default();
    let mut references = Vec::with_capacity(at.value.len() / 64);
    for word in Words::of(at.value) {
        let path =
            StorePath::from_base_name(word).map_err(|source| At { value: word, ..at }.not_a_path(source))?;
        order.next(word, at, notes);
        references.push(path);
    }
    order.finish(at, notes);
    // Collecting a sorted vector builds the set in one go, much faster than inserting one by one.
    Ok(references.into_iter().collect())
}

fn base_name(at: At<'_>) -> Result<StorePath, Unlocated> {
    StorePath::from_base_name(at.value).map_err(|source| at.not_a_path(source))
}

/// A full store path, with what Nix's `canonPath` removes from it removed.
fn store_path(store_dir: &StoreDir, at: At<'_>, notes: &mut impl Notes) -> Result<StorePath, Unlocated> {
    match store_dir.parse(at.value) {
        Ok(path) if at.value.len() == store_dir.as_str().len() + 1 + path.base_name().len() => Ok(path),
        Ok(path) => {
            notes.note(Flags::STORE_PATH_FORM, at);
            Ok(path)
        }
        Err(error) => {
            let path = canonical(at.value).ok_or_else(|| at.not_a_path(error))?;
            let path = store_dir.parse(&path).map_err(|source| at.not_a_path(source))?;
            notes.note(Flags::STORE_PATH_FORM, at);
            Ok(path)
        }
    }
}

/// `path` without empty, `.` and `..` components; none if it is canonical already, or not absolute.
fn canonical(path: &str) -> Option<String> {
    let mut kept: Vec<&str> = Vec::new();
    for component in path.strip_prefix('/')?.split('/') {
        match component {
            "" | "." => {}
            ".." => {
                kept.pop();
            }
            name => kept.push(name),
        }
    }
    let canonical = format!("/{}", kept.join("/"));
    (canonical != path).then_some(canonical)
}
