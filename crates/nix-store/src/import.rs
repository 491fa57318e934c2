//! Taking a NAR in: from the stream to files in the staging directory.

use std::path::Path;
use std::time::{Duration, Instant};

use nars3_nar::{RestoreError, RestoreOptions, RestoreSink};
use nars3_narinfo::PathInfo;
use nars3_store_api::{NarStream, StoreError};

use crate::error::corrupt;
use crate::layout::Layout;
use crate::verify::VerifyingReader;

/// NARs up to this size, in bytes, are restored by the thread that produces them.
const TOGETHER: u64 = 384 * 1024;

/// Restores `nar` to `target`, which must not exist, with the metadata that files of a store have. On success the NAR
/// had the hash and the size of `info`, and the contents that its content address claims; a size that `info` does not
/// know (0) is filled in. Gives the time that was spent waiting for the NAR.
pub(crate) fn import(
    layout: &Layout,
    info: &mut PathInfo,
    nar: NarStream,
    target: &Path,
) -> Result<Duration, StoreError> {
    let options = RestoreOptions { canonical: true, ..RestoreOptions::default() };
    if (1..=TOGETHER).contains(&info.nar_size) {
        let reader = VerifyingReader::new(layout, layout.store_dir(), info, nar)?;
        return restore_pushed(layout, info, reader, target, &options);
    }
    let mut reader = VerifyingReader::new(layout, layout.store_dir(), info, nar)?;
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
        Err(error) if is_of_files(&error) => Err(unrestored(layout, info, error)),
        Err(error) => {
            // A NAR that is no NAR is first of all not the one that was promised.
            reader.skip_content_check();
            reader.drain()?;
            reader.finish()?;
            Err(unrestored(layout, info, error))
        }
    }
}

/// Restores a small NAR chunk by chunk as it is produced: without a buffer of its own, and without a second thread.
fn restore_pushed(
    layout: &Layout,
    info: &PathInfo,
    reader: VerifyingReader<'_>,
    target: &Path,
    options: &RestoreOptions,
) -> Result<Duration, StoreError> {
    let begun = Instant::now();
    let mut busy = Duration::ZERO;
    let mut sink = RestoreSink::create(target, options).map_err(|error| unrestored(layout, info, error))?;
    let mut wrong = None;
    let passed = reader.pass_on(|chunk| {
        let turn = Instant::now();
        if wrong.is_none() {
            wrong = sink.push_all(chunk).err();
        }
        busy += turn.elapsed();
        // What is no NAR is hashed to its end: it is first of all not the one that was promised.
        !wrong.as_ref().is_some_and(is_of_files)
    });
    match (passed, wrong) {
        (Ok(()), None) => {}
        // What its content address says of what is no NAR, nobody wants to know.
        (Ok(()) | Err(StoreError::FalseContentAddress { .. }), Some(error)) => {
            return Err(unrestored(layout, info, error));
        }
        (Err(error), _) => return Err(error),
    }
    sink.finish().map_err(|error| unrestored(layout, info, error))?;
    Ok(begun.elapsed().saturating_sub(busy))
}

/// Whether it is not the NAR that is at fault.
fn is_of_files(error: &RestoreError) -> bool {
    matches!(error, RestoreError::File { .. })
}

fn unrestored(layout: &Layout, info: &PathInfo, error: RestoreError) -> StoreError {
    match error {
        RestoreError::File { action, path, source } => StoreError::File { action, path, source },
        error => corrupt(layout, format!("the NAR of '{}'", info.path), error),
    }
}
