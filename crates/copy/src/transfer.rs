//! One path from store to store, up to the moment before it becomes visible: unpacked on the way, or in the file that it
//! is in where both ends can do with the same file.

use std::sync::Arc;

use nars3_narinfo::PathInfo;
use nars3_store_api::{Event, Inspector, PackedFiles, Progress, StageOptions, Staged, Store, StoreError};
use nars3_store_path::StorePath;

use crate::admission::content_inspector;

/// Brings the NAR of `info` from `source` into `destination`, verified there against `info` and, where there is one,
/// against its content address.
pub(crate) async fn transfer(
    source: &dyn Store,
    destination: &dyn Store,
    info: &PathInfo,
    repair: bool,
    progress: Arc<dyn Progress>,
) -> Result<Staged, StoreError> {
    let inspectors: Vec<Box<dyn Inspector>> = content_inspector(info)?
        .into_iter()
        .chain([Box::new(Counter { path: info.path.clone(), progress }) as Box<dyn Inspector>])
        .collect();
    let options = if repair { StageOptions::repairing() } else { StageOptions::default() };
    // What the source believed, not what it is: a copy is not built here, and was registered when it arrived.
    let staged = PathInfo { ultimate: false, registration_time: None, ..info.clone() };
    let wanted = destination.write_behaviour().packed_files;
    if wanted != PackedFiles::Never
        && let Some(packed) = source.packed_nar(info, &wanted).await?
    {
        let packed = inspectors.into_iter().fold(packed, nars3_store_api::PackedNar::inspected_by);
        return destination.stage_packed(staged, packed, options).await;
    }
    let nar = inspectors.into_iter().fold(source.nar(info).await?, nars3_store_api::NarStream::inspected_by);
    destination.stage(staged, nar, options).await
}

/// Tells the observer what went through.
struct Counter {
    path: StorePath,
    progress: Arc<dyn Progress>,
}

impl Inspector for Counter {
    fn inspect(&mut self, chunk: &[u8]) {
        self.progress.report(Event::NarBytes { path: &self.path, bytes: chunk.len() as u64 });
    }

    fn conclude(&mut self) -> Result<(), StoreError> {
        Ok(())
    }
}
