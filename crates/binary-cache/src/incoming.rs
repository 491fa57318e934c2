//! What is looked at in a NAR on its way in, whatever becomes of its bytes: size, hash, and what it lists.

use std::io::Write;

use nars3_nar::ListingSink;
use nars3_narinfo::{Listing, PathInfo};
use nars3_store_api::{NarStream, StoreError};
use nars3_store_path::Hasher;

use crate::objects::Objects;

/// A NAR that has to be the one of a path info.
pub(crate) struct Incoming<'a> {
    objects: &'a Objects,
    info: &'a PathInfo,
    /// `None` where the producer answers for the hash.
    hasher: Option<Hasher>,
    size: u64,
    listing: Option<ListingSink>,
}

impl<'a> Incoming<'a> {
    /// For the NAR that `stream` gives.
    pub(crate) fn new(
        objects: &'a Objects,
        info: &'a PathInfo,
        stream: &NarStream,
        wants_listing: bool,
    ) -> Self {
        // Hashed once is enough, by whoever produces it.
        let verified = stream.is_verified_as(&info.nar_hash, info.nar_size);
        let hasher = (!verified).then(|| Hasher::new(info.nar_hash.algorithm()));
        Self { objects, info, hasher, size: 0, listing: wants_listing.then(ListingSink::default) }
    }

    /// Looks at the next bytes. False when they are more than there should be.
    pub(crate) fn take(&mut self, chunk: &[u8]) -> bool {
        self.size += chunk.len() as u64;
        if self.size > self.info.nar_size {
            return false;
        }
        if let Some(hasher) = &mut self.hasher {
            hasher.update(chunk);
        }
        if let Some(Err(error)) = self.listing.as_mut().map(|sink| sink.write_all(chunk)) {
            self.warn_unlisted(&error.to_string());
            self.listing = None;
        }
        true
    }

    /// Makes sure that it was the promised one, and gives what it lists, if that was asked for and can be told.
    pub(crate) fn finish(mut self) -> Result<Option<Listing>, StoreError> {
        if self.size != self.info.nar_size {
            return Err(StoreError::NarSizeMismatch {
                store: self.objects.uri().to_owned(),
                path: self.info.path.clone(),
                expected: self.info.nar_size,
                actual: self.size,
            });
        }
        if let Some(actual) = self.hasher.take().map(Hasher::finish)
            && actual != self.info.nar_hash
        {
            return Err(StoreError::NarHashMismatch {
                store: self.objects.uri().to_owned(),
                path: self.info.path.clone(),
                expected: self.info.nar_hash,
                actual,
            });
        }
        let listing = self.listing.take().map(ListingSink::finish);
        Ok(listing.and_then(|listing| listing.map_err(|error| self.warn_unlisted(&error.to_string())).ok()))
    }

    /// A listing is a convenience: what cannot be listed (names that are no Unicode text) can still be stored.
    fn warn_unlisted(&self, reason: &str) {
        self.objects.warn(&format!("'{}' is stored without a listing: {reason}", self.info.path));
    }
}
