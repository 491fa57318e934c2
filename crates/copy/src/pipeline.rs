//! Drives the two steps of every path of a plan, a bounded number at once.
//!
//! One task owns the state; staging and publishing run in tasks of their own. When this future is dropped (Ctrl-C),
//! the set of tasks goes with it, every NAR stream breaks off, and nothing unfinished becomes visible.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use nars3_narinfo::PathInfo;
use nars3_store_api::{
    Event, NarOrder, Progress, Publication, Stage, Staged, Store, StoreError, Work, WriteBehaviour,
};
use nars3_store_path::StorePath;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, timeout_at};

use crate::fresh::{admit_all, admit_one};
use crate::publication::PublicationOrder;
use crate::transfer::transfer;
use crate::{CopyError, CopyOptions, FailedPath, Plan, Report, plan};

/// Publications under way at once where the destination wants them one by one. They are small requests, so this is
/// a matter of latency, not of bandwidth.
const CONCURRENT_PUBLICATIONS: usize = 32;

/// How long a path that is ready waits for others that could go in the same batch: a batch takes as long as some small
/// paths, and the first would be one of a single path.
const COMPANY_PATIENCE: Duration = Duration::from_millis(5);

/// Paths that are enough for a batch.
const ENOUGH_COMPANY: usize = 64;

/// Copies `roots`, and what they refer to, from `source` to `destination`, as far as they are missing there.
pub async fn copy(
    source: &Arc<dyn Store>,
    destination: &Arc<dyn Store>,
    roots: &[StorePath],
    options: &CopyOptions,
    progress: Arc<dyn Progress>,
) -> Result<Report, CopyError> {
    let plan = plan(source, destination, roots, options).await?;
    execute(source, destination, plan, options, progress).await
}

/// Does what `plan` says.
pub async fn execute(
    source: &Arc<dyn Store>,
    destination: &Arc<dyn Store>,
    mut plan: Plan,
    options: &CopyOptions,
    progress: Arc<dyn Progress>,
) -> Result<Report, CopyError> {
    progress.report(Event::Planned {
        paths: plan.paths.len() as u64,
        nar_bytes: plan.nar_bytes(),
        present: plan.present as u64,
    });
    let behaviour = destination.write_behaviour();
    // With `keep_going`, each path is refused on its own, when its turn comes.
    if options.check_signatures && !(options.keep_going && behaviour.required_signatures.is_some()) {
        admit_all(source, destination, &mut plan.paths, &behaviour).await?;
    }
    let pipeline = Pipeline::new(source, destination, plan, behaviour, options, progress);
    // In a task, and not in whatever future this is part of: there, each path that has ended would wake another thread.
    let mut task = JoinSet::new();
    task.spawn(pipeline.run());
    match task.join_next().await {
        Some(Ok(done)) => done,
        Some(Err(error)) => Err(CopyError::TaskDied { reason: error.to_string() }),
        None => Err(CopyError::TaskDied { reason: "it never began".to_owned() }),
    }
}

/// The room that a NAR takes, out of `LARGE` for each job. Small ones are over before a far-away server has answered, so
/// more of them are under way at once; but who asks for one at a time gets one.
fn room_for(info: &PathInfo, jobs: usize) -> usize {
    match info.nar_size {
        _ if jobs == 1 => LARGE,
        0..TINY_NAR => 1,
        TINY_NAR..SMALL_NAR => 4,
        _ => LARGE,
    }
}

/// NARs below this size, in bytes, are tiny.
const TINY_NAR: u64 = 128 << 10;

/// NARs below this size, in bytes, are small.
const SMALL_NAR: u64 = 1 << 20;

/// How many tiny ones stand for a large one.
const LARGE: usize = 16;

enum Outcome {
    /// The path, the room that its NAR has taken, and what became of it.
    Staged(StorePath, usize, Result<Staged, StoreError>),
    Published(Vec<PathInfoSummary>, Result<(), StoreError>),
}

/// What the report and the observer want to know of a path after it has been given away.
struct PathInfoSummary {
    path: StorePath,
    nar_size: u64,
}

struct Pipeline {
    source: Arc<dyn Store>,
    destination: Arc<dyn Store>,
    behaviour: WriteBehaviour,
    options: CopyOptions,
    progress: Arc<dyn Progress>,
    order: PublicationOrder,
    to_stage: VecDeque<Arc<PathInfo>>,
    staged: HashMap<StorePath, Staged>,
    ready: VecDeque<StorePath>,
    /// Until when those that are ready wait for company.
    company_until: Option<Instant>,
    /// How much of the room for NARs under way is taken.
    staging: usize,
    publishing: usize,
    tasks: JoinSet<Outcome>,
    attempted: usize,
    report: Report,
    failed: Vec<FailedPath>,
}

impl Pipeline {
    fn new(
        source: &Arc<dyn Store>,
        destination: &Arc<dyn Store>,
        plan: Plan,
        behaviour: WriteBehaviour,
        options: &CopyOptions,
        progress: Arc<dyn Progress>,
    ) -> Self {
        Self {
            source: Arc::clone(source),
            destination: Arc::clone(destination),
            behaviour,
            options: options.clone(),
            progress,
            order: PublicationOrder::new(&plan.paths),
            attempted: plan.paths.len() + plan.failed.len(),
            to_stage: plan.paths.into(),
            staged: HashMap::new(),
            ready: VecDeque::new(),
            company_until: None,
            staging: 0,
            publishing: 0,
            tasks: JoinSet::new(),
            report: Report { present: plan.present, ..Report::default() },
            failed: plan.failed,
        }
    }

    async fn run(mut self) -> Result<Report, CopyError> {
        for FailedPath { path, error } in &self.failed {
            self.progress.report(Event::PathFailed { path, reason: &reason(error.as_ref()) });
        }
        loop {
            // In this order, so that who is ready knows whether others are on their way.
            self.start_stagings();
            self.start_publications();
            let Some(outcome) = self.next_outcome().await else { break };
            match outcome.map_err(|error| CopyError::TaskDied { reason: error.to_string() })? {
                Outcome::Staged(path, room, result) => {
                    self.staging -= room;
                    match result {
                        Ok(staged) => self.take_staged(path, staged),
                        Err(error) => self.take_failure(&path, error)?,
                    }
                }
                Outcome::Published(batch, Ok(())) => self.take_published(batch),
                Outcome::Published(batch, Err(error)) => {
                    self.publishing -= 1;
                    self.take_failed_batch(batch, error)?;
                }
            }
        }
        if self.failed.is_empty() {
            Ok(self.report)
        } else {
            Err(CopyError::Partial { attempted: self.attempted, failed: self.failed, report: self.report })
        }
    }

    /// What has ended next; `None` when nothing is under way. Does not wait longer than those that wait for company.
    async fn next_outcome(&mut self) -> Option<Result<Outcome, JoinError>> {
        if let Some(until) = self.company_until
            && self.publishing == 0
        {
            if let Ok(outcome) = timeout_at(until, self.tasks.join_next()).await {
                return outcome;
            }
            self.publish_together();
        }
        self.tasks.join_next().await
    }

    fn start_stagings(&mut self) {
        let jobs = self.options.jobs.max(1);
        while self.staging < jobs * LARGE {
            let Some(info) = self.next_to_stage() else { break };
            let room = room_for(&info, jobs);
            self.staging += room;
            let source = Arc::clone(&self.source);
            let destination = Arc::clone(&self.destination);
            let keys = if self.options.check_signatures && self.options.keep_going {
                self.behaviour.required_signatures.clone()
            } else {
                None
            };
            let repair = self.options.repair;
            let pace = self.options.pace.clone();
            let progress = Arc::clone(&self.progress);
            self.tasks.spawn(async move {
                let path = info.path.clone();
                progress.report(Event::PathStarted { path: &path, nar_size: info.nar_size });
                let result = async {
                    let info = admit_one(&*source, &*destination, info, keys.as_deref()).await?;
                    transfer(&*source, &*destination, &info, repair, pace, progress).await
                };
                let result = result.await;
                Outcome::Staged(path, room, result)
            });
        }
    }

    /// The next path whose NAR may travel: any, or, where the destination wants references first, one that has them.
    fn next_to_stage(&mut self) -> Option<Arc<PathInfo>> {
        loop {
            let may_go = |info: &Arc<PathInfo>| match self.behaviour.nar_order {
                NarOrder::ReferencesFirst { except } => {
                    (info.nar_size <= except && !self.options.repair)
                        || self.order.only_waits_for_itself(&info.path)
                        || !self.order.contains(&info.path)
                }
                _ => true,
            };
            let index = self.to_stage.iter().position(may_go)?;
            let info = self.to_stage.remove(index)?;
            // A path that a failed reference has taken along is not worth its NAR.
            if self.order.contains(&info.path) {
                return Some(info);
            }
        }
    }

    fn start_publications(&mut self) {
        match self.behaviour.publication {
            Publication::Singly => {
                while self.publishing < CONCURRENT_PUBLICATIONS {
                    let Some(path) = self.ready.pop_front() else { break };
                    let batch = self.staged.remove(&path).into_iter().collect();
                    self.publish(batch);
                }
            }
            // One batch at a time: what gets ready meanwhile makes the next one, so batches grow with the load.
            _ => {
                if self.publishing == 0 && !self.ready.is_empty() && !self.expects_company() {
                    self.publish_together();
                }
            }
        }
    }

    fn publish_together(&mut self) {
        self.company_until = None;
        let ready = std::mem::take(&mut self.ready);
        let batch = ready.iter().filter_map(|path| self.staged.remove(path)).collect();
        self.publish(batch);
    }

    /// Whether others may be ready in a moment.
    fn expects_company(&mut self) -> bool {
        if self.staging == 0 || self.ready.len() >= ENOUGH_COMPANY {
            return false;
        }
        let now = Instant::now();
        *self.company_until.get_or_insert(now + COMPANY_PATIENCE) > now
    }

    fn publish(&mut self, batch: Vec<Staged>) {
        if batch.is_empty() {
            return;
        }
        self.publishing += 1;
        let destination = Arc::clone(&self.destination);
        let summaries = batch
            .iter()
            .map(|staged| PathInfoSummary {
                path: staged.info().path.clone(),
                nar_size: staged.info().nar_size,
            })
            .collect();
        let progress = Arc::clone(&self.progress);
        self.tasks.spawn(async move {
            let work = Work::begin(Stage::Publish);
            let published = destination.publish(batch).await;
            progress.report(work.end());
            Outcome::Published(summaries, published)
        });
    }

    fn take_staged(&mut self, path: StorePath, staged: Staged) {
        if !self.order.contains(&path) {
            return;
        }
        self.staged.insert(path.clone(), staged);
        if self.order.staged(&path) {
            self.make_ready(path);
        }
    }

    fn make_ready(&mut self, path: StorePath) {
        let mut open = vec![path];
        while let Some(path) = open.pop() {
            // In a batch, a path may stand beside its references: being ready is as good as being visible.
            if self.behaviour.publication == Publication::InBatches {
                open.extend(self.order.passed(&path));
            }
            self.ready.push_back(path);
        }
    }

    fn take_published(&mut self, batch: Vec<PathInfoSummary>) {
        self.publishing -= 1;
        self.note_published(batch);
    }

    fn note_published(&mut self, batch: Vec<PathInfoSummary>) {
        for PathInfoSummary { path, nar_size } in batch {
            self.progress.report(Event::PathFinished { path: &path, nar_size });
            self.report.nar_bytes += nar_size;
            if self.behaviour.publication == Publication::Singly {
                self.ready.extend(self.order.passed(&path));
            }
            self.report.copied.push(path);
        }
    }

    fn take_failed_batch(&mut self, batch: Vec<PathInfoSummary>, error: StoreError) -> Result<(), CopyError> {
        if !self.options.keep_going {
            return Err(error.into_first().into());
        }
        let error = match error {
            StoreError::Refused { refused, .. } => return self.take_refusals(batch, refused),
            other => other,
        };
        // The store says which path of the batch is at fault only in words; all of it is invisible, so all has failed.
        let mut batch = batch.into_iter();
        if let Some(first) = batch.next() {
            self.take_failure(&first.path, error)?;
        }
        for rest in batch {
            self.note_failure(&rest.path, None);
        }
        Ok(())
    }

    /// Some paths of a batch have become valid, and some have not.
    fn take_refusals(
        &mut self,
        batch: Vec<PathInfoSummary>,
        refused: Vec<(StorePath, StoreError)>,
    ) -> Result<(), CopyError> {
        let (failed, published): (Vec<_>, Vec<_>) =
            batch.into_iter().partition(|one| refused.iter().any(|(path, _)| *path == one.path));
        self.note_published(published);
        for (path, error) in refused {
            // Whoever refers to a refused path is not at fault.
            let dependant = matches!(&error, StoreError::MissingReference { reference, .. }
                if failed.iter().any(|one| one.path == *reference));
            if dependant {
                self.note_failure(&path, None);
            } else {
                self.take_failure(&path, error)?;
            }
        }
        Ok(())
    }

    fn take_failure(&mut self, path: &StorePath, error: StoreError) -> Result<(), CopyError> {
        if !self.options.keep_going {
            return Err(error.into());
        }
        // A reference that failed has taken this path along already, while its NAR was under way.
        if self.order.contains(path) {
            self.note_failure(path, Some(error));
        }
        Ok(())
    }

    fn note_failure(&mut self, path: &StorePath, error: Option<StoreError>) {
        self.progress.report(Event::PathFailed { path, reason: &reason(error.as_ref()) });
        self.failed.push(FailedPath { path: path.clone(), error });
        for dependant in self.order.failed(path) {
            self.staged.remove(&dependant);
            self.progress.report(Event::PathFailed { path: &dependant, reason: &reason(None) });
            self.failed.push(FailedPath { path: dependant, error: None });
        }
    }
}

/// Why a path has failed, in one line; without an error of its own, because of another.
fn reason(error: Option<&StoreError>) -> String {
    error.map_or_else(|| "a path it depends on failed".to_owned(), StoreError::with_causes)
}

#[cfg(test)]
mod tests;
