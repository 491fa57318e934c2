//! One path from store to store, up to the moment before it becomes visible: unpacked on the way, in the file that it is
//! in where both ends can do with the same file, or not through here at all where one server has both.

use std::sync::Arc;

use nars3_narinfo::PathInfo;
use nars3_store_api::{
    Event, Inspector, NarStream, Pace, PackedFiles, Progress, StageOptions, Staged, Store, StoreError,
};
use nars3_store_path::StorePath;

use crate::admission::content_inspector;

/// Brings the NAR of `info` from `source` into `destination`, verified there against `info` and, where there is one,
/// against its content address.
pub(crate) async fn transfer(
    source: &dyn Store,
    destination: &dyn Store,
    info: &PathInfo,
    repair: bool,
    pace: Option<Arc<dyn Pace>>,
    progress: Arc<dyn Progress>,
) -> Result<Staged, StoreError> {
    let unproven = content_inspector(info)?;
    let options = if repair { StageOptions::repairing() } else { StageOptions::default() };
    // What the source believed, not what it is: a copy is not built here, and was registered when it arrived.
    let staged = PathInfo { ultimate: false, registration_time: None, ..info.clone() };
    let wanted = destination.write_behaviour().packed_files;
    // A content address is proven by the contents, so they have to pass here.
    if wanted != PackedFiles::Never
        && info.ca.is_none()
        && let Some(file) = source.packed_file(info, &wanted).await?
        && let Some(staged) = destination.stage_copied(&staged, file, options).await?
    {
        progress.report(Event::NarBytes { path: &info.path, bytes: info.nar_size });
        return Ok(staged);
    }
    // What the contents prove is told of the true NAR only, so that goes before it.
    let verified_there = destination.write_behaviour().verifies_nars && unproven.is_none();
    let counter = Counter { path: info.path.clone(), progress };
    let inspectors: Vec<Box<dyn Inspector>> =
        unproven.into_iter().chain([Box::new(counter) as Box<dyn Inspector>]).collect();
    if wanted != PackedFiles::Never
        && let Some(packed) = source.packed_nar(info, &wanted).await?
    {
        let packed = inspectors.into_iter().fold(packed, nars3_store_api::PackedNar::inspected_by);
        return destination.stage_packed(staged, packed, options).await;
    }
    let paced = |nar: NarStream| match &pace {
        Some(pace) => nar.paced_by(Arc::clone(pace)),
        None => nar,
    };
    let nar = if verified_there { source.unverified_nar(info).await? } else { source.nar(info).await? };
    let nar = inspectors.into_iter().fold(paced(nar), NarStream::inspected_by);
    match destination.stage(staged.clone(), nar, options).await {
        // Once more, verified where it comes from: if that has it wrong, it says so, and forgets what it remembered.
        Err(StoreError::NarHashMismatch { .. }) if verified_there => {
            destination.stage(staged, paced(source.nar(info).await?), options).await
        }
        other => other,
    }
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
