//! Taking a NAR in: from the stream to files in the staging directory.

use std::path::Path;
use std::time::Duration;

use nars3_nar::{RestoreError, RestoreOptions};
use nars3_narinfo::PathInfo;
use nars3_store_api::{NarStream, StoreError};

use crate::error::corrupt;
use crate::layout::Layout;
use crate::verify::VerifyingReader;

/// Restores `nar` to `target`, which must not exist, with the metadata that files of a store have. On success the NAR
/// had the hash and the size of `info`, and the contents that its content address claims; a size that `info` does not
/// know (0) is filled in. Gives the time that was spent waiting for the NAR.
pub(crate) fn import(
    layout: &Layout,
    info: &mut PathInfo,
    nar: NarStream,
    target: &Path,
) -> Result<Duration, StoreError> {
    let mut reader = VerifyingReader::new(layout, layout.store_dir(), info, nar)?;
    let options = RestoreOptions { canonical: true, ..RestoreOptions::default() };
    let restored = nars3_nar::restore(&mut reader, target, &options);
    if let Some(failure) = reader.take_failure() {
        return Err(failure);
    }
    match restored {
        Ok(_) => {
            let size = reader.finish()?;
            let waited = reader.waited();
            drop(reader);
            info.nar_size = size;
            Ok(waited)
        }
        Err(RestoreError::File { action, path, source }) => Err(StoreError::File { action, path, source }),
        Err(error) => {
            // A NAR that is no NAR is first of all not the one that was promised.
            reader.skip_content_check();
            reader.drain()?;
            reader.finish()?;
            Err(corrupt(layout, format!("the NAR of '{}'", info.path), error))
        }
    }
}
