//! Taking in a large NAR that is stored as it is: its file is the NAR, so the key is known before the first byte, and the
//! parts go out while the rest is still being read. The object appears only when all of it was verified.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use nars3_compression::Compression;
use nars3_narinfo::{Listing, PathInfo, nar_key};
use nars3_store_api::{NarStream, Stage, StageOptions, StoreError, Work};
use nars3_store_path::Algorithm;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use crate::BinaryCache;
use crate::budget::Budget;
use crate::incoming::Incoming;
use crate::objects::{Kind, Objects, Piece};
use crate::take::{GivenUp, StagedFile};

impl BinaryCache {
    /// Takes in the NAR of `info`, or gives it back untouched when it has to go another way.
    pub(crate) async fn take_stored(
        &self,
        info: &PathInfo,
        nar: NarStream,
        options: StageOptions,
    ) -> Result<Result<StagedFile, NarStream>, StoreError> {
        let is_key = info.nar_hash.algorithm() == Algorithm::Sha256;
        if self.settings.compression != Compression::None || !is_key || !self.objects.in_parts(info.nar_size)
        {
            return Ok(Err(nar));
        }
        let key = nar_key(&info.nar_hash, &Compression::None);
        let there = !options.repair && self.objects.is_there(&key, info.nar_size).await?;
        let upload = if there {
            None
        } else {
            match self.objects.begin_parts(&key, Kind::Nar, info.nar_size).await? {
                Some(upload) => Some(upload),
                None => return Ok(Err(nar)),
            }
        };
        let given_up = GivenUp::default();
        let (sender, pieces) = mpsc::channel(1);
        let passing = Passing {
            objects: Arc::clone(&self.objects),
            info: info.clone(),
            wants_listing: self.wants_listing(),
            given_up: given_up.flag(),
            memory: self.objects.upload_memory.clone(),
            // What is there already is only verified.
            pieces: upload.is_some().then_some(sender),
        };
        let passed = tokio::task::spawn_blocking(move || passing.run(nar));
        if let Some(upload) = upload {
            let mut work = Work::begin(Stage::Upload);
            let sent = self.objects.send_pieces(upload, pieces, &mut work).await?;
            self.objects.report_work(work);
            tracing::debug!(store = %self, key, bytes = info.nar_size, sent, "uploaded in parts, as it was read");
        }
        let listing =
            passed.await.map_err(|error| self.objects.failed(format!("take '{}'", info.path), error))??;
        Ok(Ok(StagedFile {
            ahead: None,
            beside: listing.map(|listing| self.beside(&listing, &key)).unwrap_or_default(),
            key,
            compression: Compression::None,
            hash: info.nar_hash,
            size: info.nar_size,
            replace: options.repair,
        }))
    }
}

/// One NAR on its way through.
struct Passing {
    objects: Arc<Objects>,
    info: PathInfo,
    wants_listing: bool,
    given_up: Arc<AtomicBool>,
    memory: Budget,
    pieces: Option<mpsc::Sender<Piece>>,
}

impl Passing {
    fn run(self, mut nar: NarStream) -> Result<Option<Listing>, StoreError> {
        let mut incoming = Incoming::new(&self.objects, &self.info, &nar, self.wants_listing);
        let part_size = self.objects.part_size(self.info.nar_size);
        let mut left = self.info.nar_size;
        let mut part = Part::default();
        while let Some(mut chunk) = nar.blocking_next()? {
            if self.given_up.load(Ordering::Relaxed) {
                return Err(StoreError::NarInterrupted);
            }
            if !incoming.take(&chunk) {
                break;
            }
            let Some(pieces) = &self.pieces else { continue };
            while !chunk.is_empty() {
                if part.share.is_none() {
                    part.share = Some(Handle::current().block_on(self.memory.take(part_size.min(left))));
                }
                part.fill(&mut chunk, part_size);
                if part.size == part_size {
                    left -= part.size;
                    part.send(pieces)?;
                }
            }
        }
        let listing = incoming.finish()?;
        if let Some(pieces) = &self.pieces {
            part.send(pieces)?;
            // Whoever sends says what went wrong.
            pieces.blocking_send(Piece::Complete).map_err(|_| StoreError::NarInterrupted)?;
        }
        Ok(listing)
    }
}

/// A part that is being filled.
#[derive(Default)]
struct Part {
    chunks: Vec<Bytes>,
    size: u64,
    share: Option<crate::budget::Share>,
}

impl Part {
    /// Takes of `chunk` what still fits. All parts but the last have the very same size, which some servers insist on.
    fn fill(&mut self, chunk: &mut Bytes, part_size: u64) {
        let room = usize::try_from(part_size - self.size).unwrap_or(usize::MAX);
        let taken = chunk.split_to(chunk.len().min(room));
        self.size += taken.len() as u64;
        self.chunks.push(taken);
    }

    fn send(&mut self, pieces: &mpsc::Sender<Piece>) -> Result<(), StoreError> {
        let Self { chunks, share, .. } = std::mem::take(self);
        match share {
            Some(share) => {
                pieces.blocking_send(Piece::Part(chunks, share)).map_err(|_| StoreError::NarInterrupted)
            }
            None => Ok(()),
        }
    }
}
