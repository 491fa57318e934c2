//! One file out of a NAR that is compressed in several frames: the table at the file's end says which of them are
//! needed.

use std::io::{self, Read};
use std::ops::Range;

use nars3_compression::{Located, SeekTable};
use nars3_store_api::StoreError;

use crate::BinaryCache;
use crate::known::Entry;
use crate::place::NarPlace;

/// Bytes of a NAR in each frame, as files are written here and by newer Nix.
const FRAME: u64 = 16 * 1024 * 1024;

impl BinaryCache {
    /// Where `content`, a part of the NAR, is in the file at `place`: one small request. `None` where the file has no table,
    /// or nothing would be gained.
    pub(crate) async fn locate(
        &self,
        entry: &Entry,
        place: &NarPlace,
        content: Range<u64>,
    ) -> Result<Option<Located>, StoreError> {
        let frames = entry.info.nar_size.div_ceil(FRAME);
        let Some(file_size) = entry.file_size.filter(|_| frames > 1) else { return Ok(None) };
        let length = SeekTable::length(frames);
        let Some(start) = file_size.checked_sub(length) else { return Ok(None) };
        let Some(download) = self.download_nar(place, Some(start..file_size)).await? else {
            return Ok(None);
        };
        if download.object_size != file_size {
            return Ok(None);
        }
        let read = tokio::task::spawn_blocking(move || {
            let mut end = Vec::new();
            download.body.take(length).read_to_end(&mut end).map(|_| end)
        });
        let reading = || format!("read the end of '{}'", place.name());
        let read: io::Result<Vec<u8>> = read.await.map_err(|error| self.objects.failed(reading(), error))?;
        let end = read.map_err(|error| self.objects.failed(reading(), error))?;
        let table = SeekTable::parse(&end, file_size).filter(|table| table.content() == entry.info.nar_size);
        Ok(table.and_then(|table| table.locate(content)))
    }
}
