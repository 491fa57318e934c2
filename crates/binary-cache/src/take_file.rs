//! Taking the file of another cache in as it is: kept while it is unpacked, and uploaded when what was in it is the NAR
//! that was promised. Nothing is compressed again.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use nars3_compression::{Compression, DecoderOptions, decoder_with};
use nars3_nar::ListingSink;
use nars3_narinfo::{Listing, PathInfo, nar_key};
use nars3_store_api::{
    BoxError, CHUNK_SIZE, Inspector, NarReader, PackedFiles, PackedNar, StageOptions, Staged, StoreError,
};
use nars3_store_path::{Hash, Hasher};

use crate::BinaryCache;
use crate::objects::{Kind, Objects};
use crate::spool::{Spool, Spooled};
use crate::take::{GivenUp, StagedFile};

/// Bytes that a file may have beyond twice those of its NAR. No method makes more of a NAR, however small.
const SLACK: u64 = 64 * 1024;

impl BinaryCache {
    /// The files that stay as they are: those that the settings could have made. A level cannot be seen in a file, so
    /// where one is asked for, the cache compresses for itself.
    pub(crate) fn packed_files(&self) -> PackedFiles {
        // A file that is the NAR itself is made again without cost, and without a temporary file.
        let is_nar = self.settings.compression_is_chosen && self.settings.compression == Compression::None;
        if self.settings.compression_level.is_some() || is_nar {
            PackedFiles::Never
        } else if self.settings.compression_is_chosen {
            PackedFiles::Only(self.settings.compression.clone())
        } else {
            PackedFiles::Any
        }
    }

    /// Takes in the file of `info`, and uploads it when the NAR in it is what `info` says.
    pub(crate) async fn take_file(
        &self,
        info: PathInfo,
        packed: PackedNar,
        options: StageOptions,
    ) -> Result<Staged, StoreError> {
        self.ensure_readable_encodings()?;
        let limits = self.objects.limits();
        let in_memory = limits.spool_memory.min(self.compression_memory.total() / 2);
        let largest = info.nar_size.saturating_mul(2).saturating_add(SLACK);
        let promised = packed.size.unwrap_or(largest).min(largest);
        let waiting = in_memory.min(promised);
        let mut space = self.space_for(promised, in_memory).await;
        let mut share = self.compression_memory.take(waiting).await;
        let unpacker = self.unpacker(&packed.compression, info.nar_size).await;
        let compression = packed.compression.clone();
        let given_up = GivenUp::default();
        let keeping = Keeping {
            objects: Arc::clone(&self.objects),
            info: info.clone(),
            largest,
            options: unpacker.options.clone(),
            wants_listing: self.settings.write_nar_listing || self.settings.index_debug_info,
            given_up: given_up.flag(),
        };
        let spool = Spool::new(in_memory, limits.spool_directory.clone()).at_most(limits.spool_space);
        let kept = tokio::task::spawn_blocking(move || keeping.run(packed, spool)).await;
        let (file, hash, listing) =
            kept.map_err(|error| self.objects.failed(format!("unpack '{}'", info.path), error))??;
        drop(unpacker);
        let (in_memory, in_file) = file.source.takes();
        share.shrink_to(in_memory);
        space.iter_mut().for_each(|space| space.shrink_to(in_file));
        let key = nar_key(&hash, &compression);
        let mut staged = StagedFile {
            ahead: None,
            beside: listing.map(|listing| self.beside(&listing, &key)).unwrap_or_default(),
            key,
            compression,
            hash,
            size: file.source.size(),
            replace: options.repair,
        };
        self.objects.put_file(&staged.key, &file.source, Kind::Nar, options.repair).await?;
        staged.ahead = Some(self.objects.lead.gained());
        drop((file, share, space));
        Ok(Staged::new(info, staged))
    }
}

/// One file on its way in, and what its NAR has to be.
struct Keeping {
    objects: Arc<Objects>,
    info: PathInfo,
    /// The most bytes that the file may have.
    largest: u64,
    options: DecoderOptions,
    wants_listing: bool,
    given_up: Arc<AtomicBool>,
}

impl Keeping {
    fn run(self, packed: PackedNar, spool: Spool) -> Result<(Spooled, Hash, Option<Listing>), StoreError> {
        let PackedNar { compression, store, location, file, mut inspectors, .. } = packed;
        let origin = Origin { store, location };
        let kept =
            Kept { keeping: &self, origin: &origin, file: file.into_reader(), spool, size: 0, trouble: None };
        let mut file = BufReader::with_capacity(CHUNK_SIZE, kept);
        let unpacked = self.unpack(&compression, &mut file, &mut inspectors, &origin);
        let kept = file.into_inner();
        // What went wrong with the file is the cause of what went wrong with unpacking it.
        if let Some(trouble) = kept.trouble {
            return Err(trouble);
        }
        let listing = unpacked?;
        let file = kept.spool.finish();
        let Some(hash) = file.hash else { return Err(StoreError::NarInterrupted) };
        Ok((file, hash, listing))
    }

    fn unpack(
        &self,
        compression: &Compression,
        file: &mut (impl BufRead + Send),
        inspectors: &mut [Box<dyn Inspector>],
        origin: &Origin,
    ) -> Result<Option<Listing>, StoreError> {
        let mut hasher = Hasher::new(self.info.nar_hash.algorithm());
        let mut size: u64 = 0;
        let mut listing = self.wants_listing.then(ListingSink::default);
        let mut nar = decoder_with(compression, &self.options, Box::new(&mut *file))
            .map_err(|error| origin.corrupt(error))?;
        let mut buffer = vec![0; CHUNK_SIZE];
        loop {
            if self.given_up.load(Ordering::Relaxed) {
                return Err(StoreError::NarInterrupted);
            }
            let count = nar.read(&mut buffer).map_err(|error| origin.corrupt(error))?;
            let chunk = buffer.get(..count).unwrap_or_default();
            if chunk.is_empty() {
                break;
            }
            size += chunk.len() as u64;
            // A compressed file may hold any number of bytes: nothing beyond what is due is looked at.
            if size > self.info.nar_size {
                return Err(self.wrong_size(size, origin));
            }
            hasher.update(chunk);
            inspectors.iter_mut().for_each(|inspector| inspector.inspect(chunk));
            if let Some(Err(error)) = listing.as_mut().map(|sink| sink.write_all(chunk)) {
                self.warn_unlisted(&error.to_string());
                listing = None;
            }
        }
        drop(nar);
        // Most decoders stop at the end of the stream that they decode, before that of the file.
        io::copy(file, &mut io::sink()).map_err(|error| origin.corrupt(error))?;
        if size != self.info.nar_size {
            return Err(self.wrong_size(size, origin));
        }
        let actual = hasher.finish();
        if actual != self.info.nar_hash {
            return Err(StoreError::NarHashMismatch {
                store: origin.store.clone(),
                path: self.info.path.clone(),
                expected: self.info.nar_hash,
                actual,
            });
        }
        inspectors.iter_mut().try_for_each(|inspector| inspector.conclude())?;
        Ok(listing
            .and_then(|sink| sink.finish().map_err(|error| self.warn_unlisted(&error.to_string())).ok()))
    }

    fn wrong_size(&self, actual: u64, origin: &Origin) -> StoreError {
        StoreError::NarSizeMismatch {
            store: origin.store.clone(),
            path: self.info.path.clone(),
            expected: self.info.nar_size,
            actual,
        }
    }

    /// A listing is a convenience: what cannot be listed (names that are no Unicode text) can still be stored.
    fn warn_unlisted(&self, reason: &str) {
        self.objects.warn(&format!("'{}' is stored without a listing: {reason}", self.info.path));
    }
}

/// Where a file comes from.
struct Origin {
    store: String,
    location: String,
}

impl Origin {
    fn corrupt(&self, source: impl Into<BoxError>) -> StoreError {
        StoreError::Corrupt {
            store: self.store.clone(),
            location: self.location.clone(),
            source: source.into(),
        }
    }
}

/// A file that is kept while it is read.
struct Kept<'a> {
    keeping: &'a Keeping,
    origin: &'a Origin,
    file: NarReader,
    spool: Spool,
    size: u64,
    /// Why it could not be read or kept: a reader's error does not come through every decoder unharmed.
    trouble: Option<StoreError>,
}

impl Kept<'_> {
    fn pass(&mut self, buffer: &mut [u8]) -> Result<usize, StoreError> {
        let Keeping { objects, info, largest, .. } = self.keeping;
        let count = self.file.read(buffer).map_err(|error| {
            StoreError::from_carrier(error)
                .unwrap_or_else(|error| objects.failed(format!("take '{}'", self.origin.location), error))
        })?;
        self.size += count as u64;
        if self.size > *largest {
            let reason = format!("it has more than {largest} bytes, for a NAR of {}", info.nar_size);
            return Err(self.origin.corrupt(reason));
        }
        self.spool
            .write_all(buffer.get(..count).unwrap_or_default())
            .map_err(|error| objects.failed(format!("keep '{}' in a temporary file", info.path), error))?;
        Ok(count)
    }
}

impl Read for Kept<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.pass(buffer).map_err(|trouble| {
            self.trouble = Some(trouble);
            io::Error::other("the file broke off")
        })
    }
}
