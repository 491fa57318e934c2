//! Looking into a path without fetching more of it than needed.
//!
//! A listing and a part of a NAR cannot be verified: the signature is over the hash of the whole NAR. What is read
//! here is as trustworthy as the cache itself, except where a whole NAR had to be read.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::sync::Arc;

use nars3_compression::{Compression, Located};
use nars3_nar::{Decoder, Event, ListingSink};
use nars3_narinfo::{Listing, Node, listing_key};
use nars3_store_api::{BoxError, CHUNK_SIZE, NarStream, NarWriter, StoreError};
use nars3_store_path::StorePath;

use crate::BinaryCache;
use crate::known::Entry;
use crate::objects::{Download, Objects, is_denial, undo_encoding};
use crate::place::NarPlace;

/// Why there is no such file in a path. The source of a `StoreError::Backend`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// Nothing has this name.
    #[error("'{member}' does not exist in it")]
    Missing {
        /// The path inside the store path.
        member: String,
    },
    /// It is a directory or a symlink.
    #[error("'{member}' is no regular file but a {found}")]
    NotRegular {
        /// The path inside the store path.
        member: String,
        /// `directory` or `symlink`.
        found: &'static str,
    },
}

/// A file inside a path, being read.
#[derive(Debug)]
pub struct OpenedFile {
    /// Its size in bytes, where the listing tells it beforehand.
    pub size: Option<u64>,
    /// Its bytes. The stream ends only after the last of them.
    pub contents: NarStream,
}

impl BinaryCache {
    /// What is in a path: from its `.ls` if there is one, otherwise from its NAR, which is then read as a whole and
    /// verified.
    ///
    /// # Errors
    /// `InvalidPath`; `Corrupt` for a NAR that cannot be understood, or has names that are no text.
    pub async fn listing(&self, path: &StorePath) -> Result<Listing, StoreError> {
        let entry = self.entry(path).await?.ok_or_else(|| self.invalid(path))?;
        if let Some(listing) = self.stored_listing(path).await? {
            return Ok(listing);
        }
        if let Some(kept) = self.local_nar(&entry).await? {
            return Ok(Listing::clone(&kept.listing));
        }
        let mut nar = self.send_nar(&entry.info).await?;
        let listed = tokio::task::spawn_blocking(move || {
            let mut sink = ListingSink::default();
            while let Some(chunk) = nar.blocking_next()? {
                if let Err(error) = sink.write_all(&chunk) {
                    return Ok(Err(BoxError::from(error)));
                }
            }
            Ok(sink.finish().map_err(BoxError::from))
        });
        let listed: Result<_, StoreError> =
            listed.await.map_err(|error| self.objects.failed(format!("list '{path}'"), error))?;
        listed?.map_err(|error| self.objects.corrupt(entry.url.as_str(), error))
    }

    /// The file at `member` (names joined by `/`; empty for a path that is itself a file) in a path. Where there is a
    /// `.ls`, no more is fetched than the file from a NAR that is not compressed, and than its frames from one in several
    /// frames of zstd with a table; otherwise the NAR as far as the file. With `local-nar-cache` the NAR is fetched once and
    /// kept.
    ///
    /// # Errors
    /// `InvalidPath`, `NarGone`; `Backend` with a `FileError` when there is no such regular file.
    pub async fn open_file(&self, path: &StorePath, member: &str) -> Result<OpenedFile, StoreError> {
        let entry = self.entry(path).await?.ok_or_else(|| self.invalid(path))?;
        let member = member.trim_matches('/');
        if let Some(kept) = self.local_nar(&entry).await? {
            let node = regular(kept.listing.root.lookup(member), member)
                .map_err(|error| self.objects.failed(format!("read a file of '{path}'"), error))?;
            if let (size, Some(offset)) = node {
                return Ok(OpenedFile { size: Some(size), contents: kept.contents(offset, size) });
            }
        }
        let node = match self.stored_listing(path).await? {
            Some(listing) => Some(
                regular(listing.root.lookup(member), member)
                    .map_err(|error| self.objects.failed(format!("read a file of '{path}'"), error))?,
            ),
            None => None,
        };
        match self.open_in(Arc::clone(&entry), node, member).await {
            // What was remembered on disk may be older than the file.
            Err(StoreError::NarGone { .. }) if !entry.seen => {
                self.forget(path);
                let current = self.entry(path).await?.ok_or_else(|| self.invalid(path))?;
                self.open_in(current, node, member).await
            }
            opened => opened,
        }
    }

    /// Opens the file at `member`, of which the listing says the size and the offset, in the NAR of `entry`.
    async fn open_in(
        &self,
        entry: Arc<Entry>,
        node: Option<(u64, Option<u64>)>,
        member: &str,
    ) -> Result<OpenedFile, StoreError> {
        let size = node.map(|(size, _)| size);
        let extraction = |entry: &Entry, key: String| Extraction {
            objects: Arc::clone(&self.objects),
            path: entry.info.path.clone(),
            key,
            compression: entry.compression.clone(),
            member: member.to_owned(),
        };
        let contents = match node {
            Some((size, Some(offset))) if entry.compression == Compression::None && offset >= 8 => {
                let place = self.locate_nar(&entry).await?;
                let extraction = extraction(&entry, place.name().to_owned());
                self.fetch_range(&entry, &place, extraction, offset, size).await?
            }
            Some((size, Some(offset))) if entry.compression == Compression::Zstd && offset >= 8 => {
                let place = self.locate_nar(&entry).await?;
                match self.locate(&entry, &place, offset - 8..offset.saturating_add(size)).await? {
                    Some(located) => {
                        let extraction = extraction(&entry, place.name().to_owned());
                        self.fetch_frames(&entry, &place, extraction, located, size).await?
                    }
                    None => self.search(entry, extraction).await?,
                }
            }
            _ => self.search(entry, extraction).await?,
        };
        Ok(OpenedFile { size, contents })
    }

    /// Looks for the file from the beginning of the NAR on.
    async fn search(
        &self,
        entry: Arc<Entry>,
        extraction: impl Fn(&Entry, String) -> Extraction,
    ) -> Result<NarStream, StoreError> {
        let (entry, key, download) = self.fetch_nar(entry).await?;
        let extraction = extraction(&entry, key);
        Ok(NarStream::from_blocking(move |writer| extraction.search(download, writer)))
    }

    /// The `.ls` of a path. One that makes no sense is as good as none, since the NAR says the same.
    async fn stored_listing(&self, path: &StorePath) -> Result<Option<Listing>, StoreError> {
        match self.read_listing(&listing_key(path)).await {
            Err(error) if matches!(error, StoreError::Corrupt { .. }) || is_denial(&error) => {
                self.objects.warn(&format!("the NAR is read instead: {}", error.with_causes()));
                Ok(None)
            }
            listing => listing,
        }
    }

    async fn read_listing(&self, key: &str) -> Result<Option<Listing>, StoreError> {
        let Some(text) = self.objects.text(key, self.objects.limits().document_size).await? else {
            return Ok(None);
        };
        let parsed = tokio::task::spawn_blocking(move || Listing::from_json(&text)).await;
        let listing = parsed.map_err(|error| self.objects.failed(format!("read '{key}'"), error))?;
        listing.map(Some).map_err(|error| self.objects.corrupt(key, error))
    }

    /// The frames that hold a file, and the eight bytes before it: its length, by which a listing of another NAR shows.
    async fn fetch_frames(
        &self,
        entry: &Entry,
        place: &NarPlace,
        extraction: Extraction,
        located: Located,
        size: u64,
    ) -> Result<NarStream, StoreError> {
        let download = self.download_nar(place, Some(located.file)).await?;
        let download = download.ok_or_else(|| StoreError::NarGone {
            store: self.to_string(),
            path: entry.info.path.clone(),
            location: extraction.key.clone(),
        })?;
        Ok(NarStream::from_blocking(move |writer| extraction.unpack(download, located.skip, size, writer)))
    }

    /// The bytes of one file, and the eight before them: its length, by which a listing of another NAR shows.
    async fn fetch_range(
        &self,
        entry: &Entry,
        place: &NarPlace,
        extraction: Extraction,
        offset: u64,
        size: u64,
    ) -> Result<NarStream, StoreError> {
        let range = offset - 8..offset.saturating_add(size);
        let download = self.download_nar(place, Some(range)).await?;
        let download = download.ok_or_else(|| StoreError::NarGone {
            store: self.to_string(),
            path: entry.info.path.clone(),
            location: extraction.key.clone(),
        })?;
        Ok(NarStream::from_blocking(move |writer| extraction.copy(download, size, writer)))
    }
}

/// The size and the offset of a regular file.
fn regular(node: Option<&Node>, member: &str) -> Result<(u64, Option<u64>), FileError> {
    let not_regular = |found| FileError::NotRegular { member: member.to_owned(), found };
    match node {
        None => Err(FileError::Missing { member: member.to_owned() }),
        Some(Node::Regular { size, nar_offset, .. }) => Ok((*size, *nar_offset)),
        Some(Node::Directory { .. }) => Err(not_regular("directory")),
        Some(Node::Symlink { .. }) => Err(not_regular("symlink")),
    }
}

/// One file on its way out of a NAR, on a thread that may block.
struct Extraction {
    objects: Arc<Objects>,
    path: StorePath,
    key: String,
    compression: Compression,
    member: String,
}

impl Extraction {
    fn copy(self, download: Download, size: u64, writer: &mut NarWriter<'_>) -> Result<(), StoreError> {
        self.copy_from(download.body, size, writer)
    }

    fn unpack(
        self,
        download: Download,
        skip: u64,
        size: u64,
        writer: &mut NarWriter<'_>,
    ) -> Result<(), StoreError> {
        let body: Box<dyn BufRead + Send> = Box::new(download.body);
        let mut plain = nars3_compression::decoder(&self.compression, body)
            .map_err(|error| self.objects.corrupt(&self.key, error))?;
        io::copy(&mut plain.by_ref().take(skip), &mut io::sink()).map_err(|error| self.unreadable(error))?;
        self.copy_from(plain, size, writer)
    }

    /// Copies a file, before which stands its length.
    fn copy_from(
        self,
        mut reader: impl Read,
        size: u64,
        writer: &mut NarWriter<'_>,
    ) -> Result<(), StoreError> {
        let mut length = [0; 8];
        reader.read_exact(&mut length).map_err(|error| self.unreadable(error))?;
        let length = u64::from_le_bytes(length);
        if length != size {
            let reason =
                format!("the listing gives '{}' {size} bytes, but the NAR has {length} there", self.member);
            return Err(self.objects.corrupt(&self.key, reason));
        }
        self.pass(&mut reader.take(size), size, writer)
    }

    fn search(self, download: Download, writer: &mut NarWriter<'_>) -> Result<(), StoreError> {
        let corrupt = |error: BoxError| self.objects.corrupt(&self.key, error);
        let body = undo_encoding(&download.encoding, download.body).map_err(|error| corrupt(error.into()))?;
        let nar =
            nars3_compression::decoder(&self.compression, body).map_err(|error| corrupt(error.into()))?;
        let mut decoder = Decoder::new(BufReader::with_capacity(CHUNK_SIZE, nar));
        // The name of the current node in each open directory.
        let mut names: Vec<Vec<u8>> = Vec::new();
        while let Some(event) = decoder.next().map_err(|error| corrupt(error.into()))? {
            let here = names.join(&b'/') == self.member.as_bytes();
            let found = match event {
                Event::Regular { size, .. } if here => {
                    return self.pass(&mut decoder.contents(), size, writer);
                }
                Event::Directory if here => "directory",
                Event::Symlink { .. } if here => "symlink",
                Event::Directory => {
                    names.push(Vec::new());
                    continue;
                }
                Event::Entry { name } => {
                    if let Some(current) = names.last_mut() {
                        *current = name;
                    }
                    continue;
                }
                Event::EndDirectory => {
                    names.pop();
                    continue;
                }
                Event::Regular { .. } | Event::Symlink { .. } => continue,
            };
            return Err(self.no_file(FileError::NotRegular { member: self.member.clone(), found }));
        }
        Err(self.no_file(FileError::Missing { member: self.member.clone() }))
    }

    fn pass(&self, contents: &mut dyn Read, size: u64, writer: &mut NarWriter<'_>) -> Result<(), StoreError> {
        let copied = io::copy(contents, writer).map_err(|error| self.unreadable(error))?;
        if copied == size { Ok(()) } else { Err(self.unreadable(io::ErrorKind::UnexpectedEof.into())) }
    }

    fn no_file(&self, error: FileError) -> StoreError {
        self.objects.failed(format!("read a file of '{}'", self.path), error)
    }

    fn unreadable(&self, error: io::Error) -> StoreError {
        self.objects.failed(format!("read '{}'", self.key), error)
    }
}
