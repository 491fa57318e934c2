//! A narinfo that borrows everything from its text.

use nars3_store_path::{ContentAddress, Hash};

use super::notes::{At, Notes};
use super::scan::{Scan, scan};
use super::signatures::SignatureLines;
use super::syntax::Words;
use super::{Flags, NarInfoError, print};

/// A narinfo read without allocating: texts point into the narinfo, hashes and numbers are decoded.
///
/// For whoever needs a field or two of many narinfos, such as a proxy. Syntax, hashes and sizes are checked; store
/// paths, references and the deriver are not: reading a `NarInfo` checks those too.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NarInfoRef<'a> {
    /// The full store path.
    pub store_path: &'a str,
    /// Where the NAR file is, relative to the cache; never empty.
    pub url: &'a str,
    /// The name of the compression method; `bzip2` where the narinfo has none.
    pub compression: &'a str,
    /// The hash of the NAR file as stored.
    pub file_hash: Option<Hash>,
    /// The size of the NAR file as stored, in bytes.
    pub file_size: Option<u64>,
    /// The hash of the NAR, uncompressed.
    pub nar_hash: Hash,
    /// The size of the NAR, uncompressed, in bytes; never 0.
    pub nar_size: u64,
    /// The base names of the references.
    pub references: References<'a>,
    /// The base name of the deriver.
    pub deriver: Option<&'a str>,
    /// The signatures.
    pub signatures: SignatureLines<'a>,
    /// The content address.
    pub ca: Option<ContentAddress>,
    /// What is unusual about the text, `STORE_PATH_FORM` excepted.
    pub flags: Flags,
}

impl<'a> NarInfoRef<'a> {
    /// Reads `text`, the narinfo stored under `key`; the key is for error messages only.
    ///
    /// # Errors
    ///
    /// As `NarInfo::parse`, but for store paths, which are not looked at.
    pub fn parse(key: &str, text: &'a str) -> Result<Self, NarInfoError> {
        let mut flags = Flags::NONE;
        let scan = scan(text, &mut flags, |_| Ok(())).map_err(|error| error.locate(key, text))?;
        note_references(&scan, &mut flags);
        Ok(Self {
            store_path: scan.store_path.value,
            url: scan.url,
            compression: if scan.compression.is_empty() { "bzip2" } else { scan.compression },
            file_hash: scan.file_hash,
            file_size: scan.file_size,
            nar_hash: scan.nar_hash,
            nar_size: scan.nar_size,
            references: References { text: scan.references.value },
            deriver: scan.deriver.map(|at| at.value),
            signatures: SignatureLines::of(scan.signatures),
            ca: scan.ca,
            flags,
        })
    }

    /// The text of the narinfo, as Nix writes it: the same that a `NarInfo` read from the same text prints, but for
    /// slashes and dots in `store_path`. Values of your own end at their first line break there too.
    pub fn to_text(&self) -> String {
        print::print_borrowed(self)
    }
}

/// The references of a narinfo as they stand in its text, in that order, duplicates included.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub struct References<'a> {
    text: &'a str,
}

impl<'a> References<'a> {
    /// The list as it stands in the narinfo.
    pub fn as_str(self) -> &'a str {
        self.text
    }

    /// The base names, not checked to be any.
    pub fn iter(self) -> impl Iterator<Item = &'a str> {
        Words::of(self.text)
    }
}

fn note_references(scan: &Scan<'_>, notes: &mut impl Notes) {
    let at = scan.references;
    let mut order = ReferenceOrder::default();
    for word in Words::of(at.value) {
        order.next(word, at, notes);
    }
    order.finish(at, notes);
}

/// Watches references go by, and notes what is unusual about their order and their spacing.
#[derive(Default)]
pub(super) struct ReferenceOrder<'a> {
    last: &'a str,
    /// The first bytes of `last` as a number, which compares as they do; none if it has fewer.
    last_prefix: Option<u64>,
    count: usize,
    length: usize,
}

impl<'a> ReferenceOrder<'a> {
    pub(super) fn next(&mut self, word: &'a str, at: At<'_>, notes: &mut impl Notes) {
        let prefix = word.as_bytes().first_chunk().map(|prefix| u64::from_be_bytes(*prefix));
        // References differ in their first bytes but for rare accidents, and numbers compare faster than texts.
        let is_after = matches!((self.last_prefix, prefix), (Some(last), Some(prefix)) if prefix > last);
        if !is_after && word <= self.last {
            let flag =
                if word == self.last { Flags::REFERENCES_DUPLICATE } else { Flags::REFERENCES_UNSORTED };
            notes.note(flag, At { value: word, ..at });
        }
        self.last = word;
        self.last_prefix = prefix;
        self.count += 1;
        self.length += word.len();
    }

    pub(super) fn finish(&self, at: At<'_>, notes: &mut impl Notes) {
        if at.value.len() != self.length + self.count.saturating_sub(1) {
            notes.note(Flags::REFERENCES_SPACING, at);
        }
    }
}
