//! The `Sig` lines of a narinfo, and the two orders in which Nix writes them.

use std::collections::BTreeSet;

use nars3_store_path::Signature;

use super::Field;
use super::syntax::Fields;

/// The signatures of a narinfo as they stand in its text, in that order, duplicates included.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub struct SignatureLines<'a> {
    /// The text from the first to the last `Sig` line; what other lines it holds is skipped.
    text: &'a str,
}

impl<'a> SignatureLines<'a> {
    pub(super) fn of(text: &'a str) -> Self {
        Self { text }
    }

    /// At least as many bytes as the signatures have together.
    pub(super) fn text_len(self) -> usize {
        self.text.len()
    }

    /// The signatures, verbatim.
    pub fn iter(self) -> impl Iterator<Item = &'a str> {
        let mut fields = Fields::of(self.text);
        std::iter::from_fn(move || {
            loop {
                let raw = fields.next()?.ok()?;
                if Field::from_name(raw.name) == Some(Field::Sig) {
                    return raw.value;
                }
            }
        })
    }
}

/// The order in which Nix HEAD keeps signatures: by key name, then by the bytes of the signature. Only signatures of
/// the form `<key name>:<base64>` have a place in it.
fn key_order(signature: &Signature) -> Option<(&str, [u8; 64])> {
    signature.to_bytes().map(|bytes| (signature.key_name(), bytes))
}

/// Whether every signature has its place after the one before it in the order of Nix HEAD.
pub(super) fn are_by_key(lines: SignatureLines<'_>) -> bool {
    let signatures: Vec<Signature> = lines.iter().map(Signature::new).collect();
    signatures.iter().all(|signature| key_order(signature).is_some())
        && signatures.is_sorted_by(|left, right| key_order(left) < key_order(right))
}

/// The signatures in the order of Nix HEAD; those without a place in it come first, by their texts.
pub(crate) fn by_key(signatures: &BTreeSet<Signature>) -> Vec<&Signature> {
    let mut sorted: Vec<&Signature> = signatures.iter().collect();
    sorted.sort_by_cached_key(|signature| key_order(signature).map(|(name, bytes)| (name.to_owned(), bytes)));
    sorted
}
