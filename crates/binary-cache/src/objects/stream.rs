//! Writing an object in parts while its bytes are still being made.

use std::sync::atomic::Ordering;
use std::time::Instant;

use bytes::Bytes;
use nars3_store_api::{BoxError, StoreError, Work};
use object_store::path::Path;
use object_store::{Attributes, PutMultipartOptions, PutPayload};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::open_uploads::AbortOnDrop;
use super::upload::part_size;
use super::{Answer, Kind, Objects, answer, limit};
use crate::budget::Share;

/// What whoever makes the bytes has to say.
pub(crate) enum Piece {
    /// A part, in as many pieces as it came in, and the memory that it takes.
    Part(Vec<Bytes>, Share),
    /// All parts were given, and they are what was promised: the object may appear.
    Complete,
}

/// An object that was begun and is not there yet. Dropped, it is aborted.
pub(crate) struct PartUpload {
    path: Path,
    upload: AbortOnDrop,
}

impl Objects {
    /// Begins to write `key`, an object of `size` bytes, in parts; `None` when the store cannot do that.
    pub(crate) async fn begin_parts(
        &self,
        key: &str,
        kind: Kind,
        size: u64,
    ) -> Result<Option<PartUpload>, StoreError> {
        let path = self.path(key)?;
        if self.web.is_some() {
            return Ok(None);
        }
        limit::check(size, self.part_size(size), self.upload_memory.total())
            .map_err(|error| self.failed(format!("write '{path}' in parts"), error))?;
        if self.keeps_headers.load(Ordering::Relaxed)
            && let Some(upload) = self.begin_parts_with(&path, self.headers(kind)).await?
        {
            return Ok(Some(upload));
        }
        // Either the headers or the parts are what it cannot do: without headers, it tells.
        let upload = self.begin_parts_with(&path, Attributes::new()).await?;
        if upload.is_some() {
            self.keeps_headers.store(false, Ordering::Relaxed);
        }
        Ok(upload)
    }

    async fn begin_parts_with(
        &self,
        path: &Path,
        attributes: Attributes,
    ) -> Result<Option<PartUpload>, StoreError> {
        let options = PutMultipartOptions { attributes, ..PutMultipartOptions::default() };
        match AbortOnDrop::begin(&self.store, path, options, &self.open_uploads).await {
            Ok(upload) => Ok(Some(PartUpload { path: path.clone(), upload })),
            Err(error) if answer(&error) == Answer::NotSupported => Ok(None),
            Err(error) => Err(self.failed(format!("write '{path}' in parts"), error)),
        }
    }

    /// The size of the parts of an object of `size` bytes.
    pub(crate) fn part_size(&self, size: u64) -> u64 {
        part_size(size, self.limits.part_size)
    }

    /// Sends the parts as they come, some at a time, and completes the object when it is told to. False, and the
    /// object is aborted, when the other side went away without that word.
    pub(crate) async fn send_pieces(
        &self,
        upload: PartUpload,
        pieces: mpsc::Receiver<Piece>,
        work: &mut Work,
    ) -> Result<bool, StoreError> {
        let PartUpload { path, mut upload } = upload;
        let sent = self.send_all(&mut upload, pieces, work).await;
        match sent {
            Ok(true) => upload.done(),
            Ok(false) | Err(_) => upload.abort(&self.uri, &path).await,
        }
        sent.map_err(|error| self.failed(format!("write '{path}' in parts"), error))
    }

    async fn send_all(
        &self,
        upload: &mut AbortOnDrop,
        mut pieces: mpsc::Receiver<Piece>,
        work: &mut Work,
    ) -> Result<bool, BoxError> {
        // Tasks, not futures of this one: a part that is on its way must go on while the next is waited for.
        let mut parts: JoinSet<Result<u64, object_store::Error>> = JoinSet::new();
        loop {
            let idle = parts.is_empty().then(Instant::now);
            let Some(piece) = pieces.recv().await else { return Ok(false) };
            if let Some(idle) = idle {
                work.waited_for_input(idle.elapsed());
            }
            let Piece::Part(chunks, share) = piece else {
                while let Some(part) = parts.join_next().await {
                    self.part_done(part??);
                }
                upload.get()?.complete().await?;
                return Ok(true);
            };
            while let Some(part) = parts.try_join_next() {
                self.part_done(part??);
            }
            while parts.len() >= self.limits.concurrent_parts.max(1) {
                if let Some(part) = parts.join_next().await {
                    self.part_done(part??);
                }
            }
            let payload = PutPayload::from_iter(chunks);
            let bytes = payload.content_length() as u64;
            let sending = upload.get()?.put_part(payload);
            parts.spawn(async move {
                let sent = sending.await.map(|()| bytes);
                drop(share);
                sent
            });
        }
    }
}
