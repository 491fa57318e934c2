//! A NAR on its way in, compared with what was promised of it: NarHash, NarSize, and the content address, if there is
//! one. Nix makes the same checks in `addToStore` (2.8 and 2.29 `local-store.cc`).

use std::fmt;
use std::io::{self, Read, Write};
use std::time::Duration;

use nars3_nar::ContentHasher;
use nars3_narinfo::PathInfo;
use nars3_store_api::{NarReader, NarStream, StoreError};
use nars3_store_path::{Algorithm, ContentAddress, ContentAddressMethod, Hasher, StoreDir};

/// Bytes read at once when a NAR is only looked at for its hash.
const DRAIN_BUFFER: usize = 64 * 1024;

/// Reads a NAR and makes sure that it is the one that was promised.
pub(crate) struct VerifyingReader<'a> {
    check: NarCheck<'a>,
    inner: NarReader,
    /// Why reading failed, kept aside because it would have to pass through an error of the NAR decoder.
    failure: Option<StoreError>,
}

impl<'a> VerifyingReader<'a> {
    /// A reader of `nar`, which should be that of `info`. Fails when `info` contradicts itself.
    pub(crate) fn new(
        store: &'a (dyn fmt::Display + Sync),
        store_dir: &StoreDir,
        info: &'a PathInfo,
        nar: NarStream,
    ) -> Result<Self, StoreError> {
        let check = NarCheck::new(store, store_dir, info, &nar)?;
        Ok(Self { check, inner: nar.into_reader(), failure: None })
    }

    /// The same for a store that hashes the NAR itself.
    pub(crate) fn unhashed(mut self) -> Self {
        self.check.hasher = None;
        self
    }

    /// How long this reader has waited for the NAR until now.
    pub(crate) fn waited(&self) -> Duration {
        self.inner.waited()
    }

    /// Why reading failed, if it did: what the error of whoever read should have been.
    pub(crate) fn take_failure(&mut self) -> Option<StoreError> {
        self.failure.take()
    }

    /// Forgets about the content address.
    pub(crate) fn skip_content_check(&mut self) {
        self.check.content = None;
    }

    /// What `error`, which reading gave, means.
    pub(crate) fn failure_of(&mut self, error: io::Error) -> StoreError {
        self.failure.take().unwrap_or_else(|| StoreError::Backend {
            store: self.check.store.to_string(),
            action: format!("receive the NAR of '{}'", self.check.info.path),
            source: error.into(),
        })
    }

    /// Reads what is left.
    pub(crate) fn drain(&mut self) -> Result<(), StoreError> {
        let mut buffer = vec![0; DRAIN_BUFFER];
        loop {
            match self.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.failure_of(error)),
            }
        }
    }

    /// Gives the NAR to `send`, on this thread, as it is produced. Where `send` wants no more (false), nothing more is known of
    /// the NAR; otherwise it was the one that was promised.
    pub(crate) fn pass_on(self, mut send: impl FnMut(&[u8]) -> bool) -> Result<(), StoreError> {
        let Self { mut check, inner, .. } = self;
        let mut is_wanted = true;
        let passed = inner.blocking_for_each(|chunk| {
            check.take_note(chunk)?;
            is_wanted = send(chunk);
            if is_wanted { Ok(()) } else { Err(StoreError::NarInterrupted) }
        });
        if is_wanted { passed.and_then(|()| check.finish().map(drop)) } else { Ok(()) }
    }

    /// Compares what was read with what was promised. To be called once, at the end. Answers the size.
    pub(crate) fn finish(&mut self) -> Result<u64, StoreError> {
        self.check.finish()
    }
}

impl Read for VerifyingReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let noted = match self.inner.read(buffer) {
            Ok(count) => self.check.take_note(buffer.get(..count).unwrap_or_default()).map(|()| count),
            Err(error) => match StoreError::from_carrier(error) {
                Ok(failure) => Err(failure),
                Err(other) => return Err(other),
            },
        };
        noted.map_err(|failure| {
            self.failure = Some(failure);
            io::Error::other("the NAR is not what was promised")
        })
    }
}

/// Compares a NAR, as it passes, with the one that was promised.
struct NarCheck<'a> {
    store: &'a (dyn fmt::Display + Sync),
    info: &'a PathInfo,
    /// Taken by `finish`; `None` where the producer answers for the NarHash.
    hasher: Option<Hasher>,
    content: Option<ContentCheck>,
    count: u64,
}

impl<'a> NarCheck<'a> {
    fn new(
        store: &'a (dyn fmt::Display + Sync),
        store_dir: &StoreDir,
        info: &'a PathInfo,
        nar: &NarStream,
    ) -> Result<Self, StoreError> {
        if info.nar_hash.algorithm() != Algorithm::Sha256 {
            return Err(StoreError::Unsupported {
                store: store.to_string(),
                operation: "register a path whose NarHash is not SHA-256",
            });
        }
        let content = ContentCheck::new(store_dir, info)?;
        // Hashed once is enough, by whoever produces it.
        let verified = nar.is_verified_as(&info.nar_hash, info.nar_size);
        let hasher = (!verified).then(|| Hasher::new(Algorithm::Sha256));
        Ok(Self { store, info, hasher, content, count: 0 })
    }

    fn take_note(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        if let Some(hasher) = &mut self.hasher {
            hasher.update(bytes);
        }
        self.count += bytes.len() as u64;
        // Stopped at once: an endless NAR must not fill the disk.
        if self.info.nar_size != 0 && self.count > self.info.nar_size {
            return Err(self.wrong_size());
        }
        if let Some(content) = &mut self.content {
            content.update(bytes);
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<u64, StoreError> {
        let expected = self.info.nar_size;
        if expected != 0 && self.count != expected {
            return Err(self.wrong_size());
        }
        if let Some(actual) = self.hasher.take().map(Hasher::finish)
            && actual != self.info.nar_hash
        {
            return Err(StoreError::NarHashMismatch {
                store: self.store.to_string(),
                path: self.info.path.clone(),
                expected: self.info.nar_hash,
                actual,
            });
        }
        if let Some(content) = self.content.take() {
            content.finish(self.info)?;
        }
        Ok(self.count)
    }

    fn wrong_size(&self) -> StoreError {
        StoreError::NarSizeMismatch {
            store: self.store.to_string(),
            path: self.info.path.clone(),
            expected: self.info.nar_size,
            actual: self.count,
        }
    }
}

/// Checks that the contents of a path are what its content address claims.
struct ContentCheck {
    claimed: ContentAddress,
    hasher: ContentHasher,
    /// Why there is no hash. Kept until the end, because a NAR that is not the promised one is worse, and is said
    /// first.
    failure: Option<String>,
}

impl ContentCheck {
    /// The check that `info` asks for; none without a content address. Fails where the path does not even follow from
    /// the address.
    fn new(store_dir: &StoreDir, info: &PathInfo) -> Result<Option<Self>, StoreError> {
        let Some(claimed) = info.ca else { return Ok(None) };
        if !info.path_follows_from_ca(store_dir) {
            return Err(false_claim(info, "the store path does not follow from it".to_owned()));
        }
        // The usual case, where the NAR hash says all. (A path that holds its own hash part is hashed without it, so
        // there the two are different.)
        if claimed.method == ContentAddressMethod::NixArchive && claimed.hash == info.nar_hash {
            return Ok(None);
        }
        let own = (claimed.method != ContentAddressMethod::Text).then(|| info.path.hash_part());
        let hasher = ContentHasher::new(claimed.method, claimed.hash.algorithm(), own);
        Ok(Some(Self { claimed, hasher, failure: None }))
    }

    fn update(&mut self, bytes: &[u8]) {
        if self.failure.is_none()
            && let Err(error) = self.hasher.write_all(bytes)
        {
            self.failure = Some(error.to_string());
        }
    }

    fn finish(self, info: &PathInfo) -> Result<(), StoreError> {
        if let Some(reason) = self.failure {
            return Err(false_claim(info, reason));
        }
        let actual = self.hasher.finish().map_err(|error| false_claim(info, error.to_string()))?;
        if actual == self.claimed.hash {
            return Ok(());
        }
        Err(false_claim(info, format!("the contents have the hash {actual}")))
    }
}

fn false_claim(info: &PathInfo, reason: String) -> StoreError {
    let claimed = info.ca.as_ref().map(ToString::to_string).unwrap_or_default();
    StoreError::FalseContentAddress { path: info.path.clone(), claimed, reason }
}
