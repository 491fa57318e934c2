//! `local-nar-cache`: NARs that were read for a single file stay in a directory, unpacked, as Nix keeps them there
//! (Nix 2.29 `remote-fs-accessor.cc`): `<hash part>.nar`, and its listing in `<hash part>.ls`.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nars3_nar::ListingSink;
use nars3_narinfo::Listing;
use nars3_store_api::{NarStream, StoreError};

use crate::BinaryCache;
use crate::known::Entry;

/// A NAR in the directory.
#[derive(Debug, Clone)]
pub(crate) struct LocalNar {
    pub(crate) file: PathBuf,
    pub(crate) listing: Arc<Listing>,
}

impl BinaryCache {
    /// The NAR of a path in the directory of `local-nar-cache`, fetched and verified if it is not there yet. `None`
    /// without such a directory, and with a warning where it cannot be used.
    pub(crate) async fn local_nar(&self, entry: &Entry) -> Result<Option<LocalNar>, StoreError> {
        let Some(directory) = self.settings.local_nar_cache.clone() else { return Ok(None) };
        let path = &entry.info.path;
        let name = directory.join(path.hash_part().as_str());
        let size = entry.info.nar_size;
        let failed =
            |error| self.objects.failed(format!("look for '{path}' in '{}'", directory.display()), error);
        let kept = {
            let name = name.clone();
            tokio::task::spawn_blocking(move || kept(&name, size)).await.map_err(failed)?
        };
        if kept.is_some() {
            return Ok(kept);
        }
        let nar = self.send_nar(&entry.info).await?;
        match tokio::task::spawn_blocking(move || keep(&name, nar)).await.map_err(failed)? {
            Ok(kept) => Ok(Some(kept)),
            Err(Trouble::Nar(error)) => Err(error),
            Err(Trouble::Directory(error)) => {
                self.objects.warn(&format!(
                    "'{path}' cannot be kept in local-nar-cache '{}': {error}",
                    directory.display()
                ));
                Ok(None)
            }
        }
    }
}

impl LocalNar {
    /// The `size` bytes of a file that begin at `offset` of the NAR.
    pub(crate) fn contents(self, offset: u64, size: u64) -> NarStream {
        NarStream::from_blocking(move |writer| {
            let read = |writer: &mut dyn Write| -> io::Result<u64> {
                let mut file = File::open(&self.file)?;
                file.seek(SeekFrom::Start(offset))?;
                io::copy(&mut file.take(size), writer)
            };
            let failed = |source: io::Error| StoreError::Backend {
                store: self.file.display().to_string(),
                action: "read a NAR that was kept".to_owned(),
                source: source.into(),
            };
            match read(writer) {
                Ok(count) if count == size => Ok(()),
                Ok(_) => Err(failed(io::ErrorKind::UnexpectedEof.into())),
                Err(error) => Err(failed(error)),
            }
        })
    }
}

fn with_extension(name: &Path, extension: &str) -> PathBuf {
    let mut file = name.as_os_str().to_owned();
    file.push(extension);
    file.into()
}

/// What is in the directory already. Anything odd is fetched again.
fn kept(name: &Path, size: u64) -> Option<LocalNar> {
    let file = with_extension(name, ".nar");
    let listing = std::fs::read_to_string(with_extension(name, ".ls")).ok()?;
    let listing = Listing::from_json(&listing).ok()?;
    (std::fs::metadata(&file).ok()?.len() == size).then(|| LocalNar { file, listing: Arc::new(listing) })
}

enum Trouble {
    Nar(StoreError),
    Directory(io::Error),
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::Directory(error)
    }
}

/// Writes a NAR into the directory, the listing last: readers look for that first. Both appear whole or not at all.
fn keep(name: &Path, mut nar: NarStream) -> Result<LocalNar, Trouble> {
    let directory = name.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(directory)?;
    let mut file = tempfile::NamedTempFile::new_in(directory)?;
    let mut sink = ListingSink::default();
    while let Some(chunk) = nar.blocking_next().map_err(Trouble::Nar)? {
        file.write_all(&chunk)?;
        sink.write_all(&chunk)?;
    }
    let listing = sink.finish().map_err(io::Error::other)?;
    let mut beside = tempfile::NamedTempFile::new_in(directory)?;
    beside.write_all(listing.to_json().as_bytes())?;
    let nar = with_extension(name, ".nar");
    file.persist(&nar).map_err(|error| error.error)?;
    beside.persist(with_extension(name, ".ls")).map_err(|error| error.error)?;
    Ok(LocalNar { file: nar, listing: Arc::new(listing) })
}
