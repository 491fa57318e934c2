//! Writes a narinfo as Nix does: the fields in its order, each line ended, nothing after (Nix 2.29 `nar-info.cc`).

use std::collections::BTreeSet;
use std::fmt::Write;

use nars3_store_path::{Algorithm, ContentAddress, Hash, Signature, StoreDir, StorePath, nix32};

use super::signatures::by_key;
use super::{Flags, NarInfo, NarInfoRef};

pub(super) fn print(narinfo: &NarInfo, store_dir: &StoreDir) -> String {
    let info = &narinfo.info;
    // Most names are shorter than this; a guess is cheaper than a second walk through them.
    let mut text = Printer::with_capacity(
        info.path.base_name().len()
            + narinfo.url.len()
            + 56 * info.references.len()
            + 110 * info.signatures.len(),
    );
    text.line("StorePath: ", [store_dir.as_str(), "/", info.path.base_name()]);
    text.untrusted("URL: ", &narinfo.url);
    text.untrusted("Compression: ", narinfo.compression.name());
    text.optional_hash("FileHash: ", narinfo.file_hash.as_ref());
    text.optional_number("FileSize: ", narinfo.file_size);
    text.optional_hash("NarHash: ", Some(&info.nar_hash));
    text.optional_number("NarSize: ", Some(info.nar_size));
    text.list("References: ", info.references.iter().map(StorePath::base_name));
    if let Some(deriver) = &info.deriver {
        text.line("Deriver: ", [deriver.base_name()]);
    }
    if narinfo.flags.contains(Flags::SIGNATURES_BY_KEY) {
        text.lines("Sig: ", by_key(&info.signatures).into_iter().map(Signature::as_str));
    } else {
        text.lines("Sig: ", info.signatures.iter().map(Signature::as_str));
    }
    text.content_address(info.ca.as_ref());
    text.0
}

pub(super) fn print_borrowed(narinfo: &NarInfoRef<'_>) -> String {
    let NarInfoRef { references, signatures, flags, .. } = *narinfo;
    let length =
        narinfo.store_path.len() + narinfo.url.len() + references.as_str().len() + signatures.text_len();
    let mut text = Printer::with_capacity(length);
    text.untrusted("StorePath: ", narinfo.store_path);
    text.untrusted("URL: ", narinfo.url);
    text.untrusted("Compression: ", narinfo.compression);
    text.optional_hash("FileHash: ", narinfo.file_hash.as_ref());
    text.optional_number("FileSize: ", narinfo.file_size);
    text.optional_hash("NarHash: ", Some(&narinfo.nar_hash));
    text.optional_number("NarSize: ", Some(narinfo.nar_size));
    if flags.intersects(Flags::REFERENCES_UNSORTED | Flags::REFERENCES_DUPLICATE | Flags::REFERENCES_SPACING)
    {
        text.list("References: ", references.iter().collect::<BTreeSet<_>>().into_iter());
    } else {
        // From within a line, as are signatures.
        text.line("References: ", [references.as_str()]);
    }
    if let Some(deriver) = narinfo.deriver {
        text.untrusted("Deriver: ", deriver);
    }
    if flags.intersects(Flags::SIGNATURES_UNSORTED | Flags::SIGNATURES_DUPLICATE) {
        signatures
            .iter()
            .collect::<BTreeSet<_>>()
            .into_iter()
            .for_each(|signature| text.line("Sig: ", [signature]));
    } else {
        signatures.iter().for_each(|signature| text.line("Sig: ", [signature]));
    }
    text.content_address(narinfo.ca.as_ref());
    text.0
}

/// The text so far. `fmt` is avoided where lines are many: it costs as much as all the rest.
struct Printer(String);

impl Printer {
    /// Room for everything but the parts of variable length. Allocators are slower beyond some 1,000 bytes, and most
    /// narinfos are shorter: so no more than the names of the fields, two hashes, two sizes and a content address take.
    const FIXED_LENGTH: usize = 360;

    fn with_capacity(variable_length: usize) -> Self {
        Self(String::with_capacity(variable_length + Self::FIXED_LENGTH))
    }

    /// A line of parts that are known to have no line break.
    #[inline(always)]
    fn line<const PARTS: usize>(&mut self, name: &str, value: [&str; PARTS]) {
        self.0.push_str(name);
        for part in value {
            self.0.push_str(part);
        }
        self.0.push('\n');
    }

    /// A line of a value that may be anything.
    #[inline(always)]
    fn untrusted(&mut self, name: &str, value: &str) {
        self.line(name, [first_line(value)]);
    }

    #[inline(always)]
    fn lines<'a>(&mut self, name: &str, values: impl Iterator<Item = &'a str>) {
        for value in values {
            self.untrusted(name, value);
        }
    }

    #[inline(always)]
    fn list<'a>(&mut self, name: &str, mut values: impl Iterator<Item = &'a str>) {
        self.0.push_str(name);
        if let Some(first) = values.next() {
            self.0.push_str(first);
        }
        for value in values {
            self.0.push(' ');
            self.0.push_str(value);
        }
        self.0.push('\n');
    }

    #[inline(always)]
    fn optional_hash(&mut self, name: &str, hash: Option<&Hash>) {
        let Some(hash) = hash else { return };
        if let (Algorithm::Sha256, Ok(digest)) = (hash.algorithm(), <&[u8; 32]>::try_from(hash.as_bytes())) {
            // Nearly every hash. The line is put together on the stack: one long copy is cheaper than many short ones.
            let mut line = *b"sha256:0000000000000000000000000000000000000000000000000000\n";
            if let Some(characters) = line.get_mut(7..59) {
                nix32::encode_into(digest, characters);
            }
            self.0.push_str(name);
            self.ascii(&line);
        } else {
            let _ = writeln!(self.0, "{name}{}:{}", hash.algorithm(), nix32::encode(hash.as_bytes()));
        }
    }

    #[inline(always)]
    fn optional_number(&mut self, name: &str, number: Option<u64>) {
        let Some(mut number) = number else { return };
        // As many digits as the largest number has, and the end of the line.
        let mut digits = [b'\n'; 21];
        let mut start = 20;
        for digit in digits.iter_mut().rev().skip(1) {
            *digit = b'0' + (number % 10) as u8;
            number /= 10;
            start -= 1;
            if number == 0 {
                break;
            }
        }
        self.0.push_str(name);
        self.ascii(digits.get(start..).unwrap_or_default());
    }

    /// Bytes that are known to be ASCII.
    #[inline(always)]
    fn ascii(&mut self, bytes: &[u8]) {
        self.0.push_str(str::from_utf8(bytes).unwrap_or_default());
    }

    fn content_address(&mut self, ca: Option<&ContentAddress>) {
        if let Some(ca) = ca {
            // Writing to a string cannot fail.
            let _ = writeln!(self.0, "CA: {ca}");
        }
    }
}

/// `value` up to its first line break. What stands behind it would become a line of its own, that is, another field.
///
/// The search of the standard library goes byte by byte, and takes half the time of printing a narinfo.
fn first_line(value: &str) -> &str {
    let end = memchr::memchr(b'\n', value.as_bytes()).unwrap_or(value.len());
    value.get(..end).unwrap_or(value)
}
