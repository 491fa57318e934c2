//! Writing whole objects: with the headers of their kind where the store keeps any, and with a condition where the
//! store knows conditions.

use std::sync::atomic::Ordering;

use bytes::Bytes;
use nars3_narinfo::CACHE_INFO_KEY;
use nars3_store_api::StoreError;
use nars3_store_path::{Algorithm, Hash};
use object_store::path::Path;
use object_store::{Attribute, Attributes, PutMode, PutOptions, PutPayload, UpdateVersion};

use super::{Answer, Kind, NARINFO, Objects, Source, answer, encode, has_no_conditions};

/// Where files of NARs are.
const NAR_PREFIX: &str = "nar/";

/// The SHA-256 that the file of a NAR has by its name (`nar/<FileHash>.nar.<extension>`).
fn file_hash_of(key: &str) -> Option<Hash> {
    let (hash, _) = key.strip_prefix(NAR_PREFIX)?.split_once('.')?;
    (hash.len() == NIX32_SHA256).then(|| Hash::parse_with(Algorithm::Sha256, hash).ok())?
}

/// Characters of a SHA-256 in Nix's base 32.
const NIX32_SHA256: usize = 52;

/// When an object is to be written.
#[derive(Debug, Clone)]
pub(crate) enum Mode {
    /// Only if there is none under the key.
    IfAbsent,
    /// Only if the object under the key is still this version.
    IfUnchanged(UpdateVersion),
    /// Whatever is there.
    Always,
}

/// What became of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Written {
    /// The object is as given.
    Now,
    /// The condition did not hold; nothing was written.
    Not,
}

/// Whether a web server can tell whether the condition holds: a weak ETag never matches in `If-Match` (RFC 9110, 13.1.1).
fn is_comparable(mode: &Mode) -> bool {
    match mode {
        Mode::IfUnchanged(version) => version.e_tag.as_deref().is_some_and(|tag| tag.starts_with('"')),
        Mode::IfAbsent | Mode::Always => true,
    }
}

impl Objects {
    /// Writes a small object, with the Content-Encoding that the settings ask for its kind.
    pub(crate) async fn put_document(
        &self,
        key: &str,
        body: Bytes,
        kind: Kind,
        mode: Mode,
    ) -> Result<Written, StoreError> {
        let path = self.path(key)?;
        if let Some(method) = self.encodings.of(kind).filter(|_| self.keeps_headers.load(Ordering::Relaxed)) {
            let encoded = encode(method, body.clone())
                .await
                .map_err(|error| self.failed(format!("write '{key}'"), error))?;
            let mut headers = self.headers(kind);
            headers.insert(Attribute::ContentEncoding, method.to_string().into());
            if matches!(mode, Mode::Always) && self.in_parts(encoded.len() as u64) {
                let source = Source::Memory(encoded.clone());
                if self.put_parts(&path, &source, headers.clone()).await? {
                    return Ok(Written::Now);
                }
            }
            if let Some(written) = self.put(&path, encoded, &headers, &mode).await? {
                return Ok(written);
            }
            // The store keeps no headers, as was just found out: without its header, an encoded document would be
            // unreadable.
        }
        if matches!(mode, Mode::Always) && self.in_parts(body.len() as u64) {
            return self.put_file(key, &Source::Memory(body), kind, true).await;
        }
        self.put_with_or_without_headers(&path, body, kind, &mode).await
    }

    /// Writes an object as it is.
    pub(super) async fn put_with_or_without_headers(
        &self,
        path: &Path,
        body: Bytes,
        kind: Kind,
        mode: &Mode,
    ) -> Result<Written, StoreError> {
        if self.keeps_headers.load(Ordering::Relaxed)
            && let Some(written) = self.put(path, body.clone(), &self.headers(kind), mode).await?
        {
            return Ok(written);
        }
        match self.put(path, body, &Attributes::new(), mode).await? {
            Some(written) => Ok(written),
            None => Err(self.failed(format!("write '{path}'"), "the object store cannot write objects")),
        }
    }

    /// One write, with a fallback for stores without conditions. `None`: the store cannot keep `headers`.
    pub(super) async fn put(
        &self,
        path: &Path,
        body: Bytes,
        headers: &Attributes,
        mode: &Mode,
    ) -> Result<Option<Written>, StoreError> {
        if self.web.is_some() && !matches!(mode, Mode::Always) {
            return self.put_after_look(path, body, headers, mode).await;
        }
        // What others have looked at, they are about to write.
        let is_narinfo = path.as_ref().ends_with(NARINFO);
        let alone = if is_narinfo && matches!(mode, Mode::Always) { self.lock.take().await } else { None };
        let mut put = self.put_once(path, body.clone(), headers, mode).await;
        drop(alone);
        // Once more, under the same condition: it tells if the first attempt was done and only its answer was lost.
        if let Err(error) = &put
            && !matches!(mode, Mode::Always)
            && answer(error) == Answer::Failed
            && !has_no_conditions(error)
        {
            tracing::debug!(store = %self.uri, key = %path, %error, "conditional write failed");
            put = self.put_once(path, body.clone(), headers, mode).await;
        }
        let Err(error) = put else { return Ok(Some(Written::Now)) };
        match (answer(&error), mode) {
            (Answer::Exists | Answer::Changed, Mode::IfAbsent | Mode::IfUnchanged(_)) => {
                Ok(Some(Written::Not))
            }
            (Answer::NotSupported, Mode::Always) if !headers.is_empty() => {
                self.keeps_headers.store(false, Ordering::Relaxed);
                Ok(None)
            }
            // Either the condition or the headers are what it cannot do: without the condition, it tells.
            (_, Mode::IfAbsent | Mode::IfUnchanged(_)) if has_no_conditions(&error) => {
                tracing::debug!(store = %self.uri, key = %path, %error, "no conditional writes");
                self.put_after_look(path, body, headers, mode).await
            }
            _ => Err(self.failed(format!("write '{path}'"), error)),
        }
    }

    /// The condition of `mode` by a look before the write. A directory is locked meanwhile; a web server is told the
    /// condition as well. Elsewhere, two writers may still meet between the two.
    async fn put_after_look(
        &self,
        path: &Path,
        body: Bytes,
        headers: &Attributes,
        mode: &Mode,
    ) -> Result<Option<Written>, StoreError> {
        let _alone = self.lock.take().await;
        let there = self.head(path.as_ref()).await?;
        let holds = match (mode, &there) {
            (Mode::Always, _) | (Mode::IfAbsent, None) => true,
            (Mode::IfAbsent, Some(_)) | (Mode::IfUnchanged(_), None) => false,
            (Mode::IfUnchanged(version), Some(meta)) => version.e_tag == meta.e_tag,
        };
        if !holds {
            return Ok(Some(Written::Not));
        }
        let told = if self.web.is_some() && is_comparable(mode) { mode } else { &Mode::Always };
        let mut put = self.put_once(path, body.clone(), headers, told).await;
        if !matches!(told, Mode::Always) {
            match &put {
                Err(error) if matches!(answer(error), Answer::Exists | Answer::Changed) => {
                    return Ok(Some(Written::Not));
                }
                Err(error) if has_no_conditions(error) => {
                    put = self.put_once(path, body, headers, &Mode::Always).await;
                }
                _ => {}
            }
        }
        match put {
            Ok(()) => Ok(Some(Written::Now)),
            Err(error) if answer(&error) == Answer::NotSupported && !headers.is_empty() => {
                self.keeps_headers.store(false, Ordering::Relaxed);
                Ok(None)
            }
            Err(error) => Err(self.failed(format!("write '{path}'"), error)),
        }
    }

    /// The headers of a kind of object.
    pub(super) fn headers(&self, kind: Kind) -> Attributes {
        let settings = kind.headers(&self.headers);
        let content_type = settings.content_type.clone().unwrap_or_else(|| kind.content_type().to_owned());
        let mut headers = Attributes::from_iter([(Attribute::ContentType, content_type)]);
        if let Some(cache_control) = &settings.cache_control {
            headers.insert(Attribute::CacheControl, cache_control.clone().into());
        }
        headers
    }

    async fn put_once(
        &self,
        path: &Path,
        body: Bytes,
        headers: &Attributes,
        mode: &Mode,
    ) -> Result<(), object_store::Error> {
        // Narinfos and the like do not queue behind NARs: whatever refers to them waits for each.
        let is_nar = path.as_ref().starts_with(NAR_PREFIX);
        let _place = if is_nar { self.lead.place(self.requests.is_near()).await } else { None };
        let turn = if is_nar { Some(self.turn().await) } else { None };
        let size = body.len() as u64;
        self.stats.count_put(size);
        let mode = match mode {
            Mode::IfAbsent => PutMode::Create,
            Mode::IfUnchanged(version) => PutMode::Update(version.clone()),
            Mode::Always => PutMode::Overwrite,
        };
        let mut options = PutOptions { mode, attributes: headers.clone(), ..PutOptions::default() };
        // A store that signs requests need not hash it again. It is the hash of the file, or the server refuses it.
        if let Some(hash) = file_hash_of(path.as_ref()) {
            options.extensions.insert(hash);
        }
        self.store.put_opts(path, PutPayload::from_bytes(body), options).await?;
        if path.as_ref() == CACHE_INFO_KEY {
            self.prove();
        }
        if let Some(turn) = turn {
            turn.took(size);
        }
        self.sent(size);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_name_of_a_file_tells_its_hash() {
        let hash = Hash::digest(Algorithm::Sha256, b"the file");
        let digits = hash.to_string().trim_start_matches("sha256:").to_owned();
        assert_eq!(file_hash_of(&format!("nar/{digits}.nar.xz")), Some(hash));
        assert_eq!(file_hash_of(&format!("nar/{digits}.nar")), Some(hash));
        for other in
            [format!("{digits}.narinfo"), "nar/short.nar".to_owned(), format!("nar/{}.nar", "e".repeat(52))]
        {
            assert_eq!(file_hash_of(&other), None, "{other}");
        }
    }
}
