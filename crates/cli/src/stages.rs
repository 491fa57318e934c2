//! How the stages of a copy spent their time, for `--stats`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use nars3_store_api::{Event, Progress, Stage};

/// Adds up what stages say, and passes everything on.
#[derive(Debug)]
pub(crate) struct StageTimes {
    inner: Arc<dyn Progress>,
    times: Mutex<BTreeMap<Stage, Times>>,
    started: Instant,
}

#[derive(Debug, Clone, Copy, Default)]
struct Times {
    paths: u64,
    busy: Duration,
    input: Duration,
    output: Duration,
}

impl StageTimes {
    pub(crate) fn over(inner: Arc<dyn Progress>) -> Arc<Self> {
        Arc::new(Self { inner, times: Mutex::default(), started: Instant::now() })
    }

    /// A line for each stage that there was, and one that names the busiest.
    pub(crate) fn lines(&self) -> Vec<String> {
        lines(&self.times.lock().unwrap_or_else(PoisonError::into_inner), self.started.elapsed())
    }
}

impl Progress for StageTimes {
    fn report(&self, event: Event<'_>) {
        if let Event::Worked { stage, busy, waited_for_input, waited_for_output } = event {
            let mut times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
            let times = times.entry(stage).or_default();
            times.paths += 1;
            times.busy += busy;
            times.input += waited_for_input;
            times.output += waited_for_output;
        }
        self.inner.report(event);
    }
}

fn lines(times: &BTreeMap<Stage, Times>, elapsed: Duration) -> Vec<String> {
    let line = |(stage, times): (&Stage, &Times)| {
        format!(
            "stage {}: busy {:.2} s, waited for input {:.2} s, waited for output {:.2} s, paths {}",
            stage.name(),
            times.busy.as_secs_f64(),
            times.input.as_secs_f64(),
            times.output.as_secs_f64(),
            times.paths
        )
    };
    let mut lines: Vec<String> = times.iter().map(line).collect();
    // Stages work on many paths at once, so the busiest may have been busy for longer than the clock ran.
    let busiest = times.iter().max_by_key(|(_, times)| times.busy);
    lines.extend(busiest.filter(|(_, times)| !times.busy.is_zero()).map(|(stage, times)| {
        let share = times.busy.as_secs_f64() / elapsed.as_secs_f64().max(f64::MIN_POSITIVE);
        format!(
            "bottleneck: {}, busy {share:.1} times over in the {:.2} s that it took",
            stage.name(),
            elapsed.as_secs_f64()
        )
    }));
    lines
}

#[cfg(test)]
mod tests {
    use nars3_store_api::NoProgress;

    use super::*;

    #[test]
    fn times_of_all_paths_are_added_and_the_busiest_stage_is_named() {
        let times = StageTimes::over(Arc::new(NoProgress));
        for (stage, busy) in [(Stage::Compress, 3), (Stage::Read, 1), (Stage::Compress, 2)] {
            times.report(Event::Worked {
                stage,
                busy: Duration::from_secs(busy),
                waited_for_input: Duration::from_secs(1),
                waited_for_output: Duration::ZERO,
            });
        }
        let said = lines(&times.times.lock().unwrap(), Duration::from_secs(4));
        assert_eq!(
            said,
            [
                "stage read: busy 1.00 s, waited for input 1.00 s, waited for output 0.00 s, paths 1",
                "stage compress: busy 5.00 s, waited for input 2.00 s, waited for output 0.00 s, paths 2",
                "bottleneck: compress, busy 1.2 times over in the 4.00 s that it took",
            ]
        );
    }

    #[test]
    fn nothing_done_is_nothing_said() {
        assert!(StageTimes::over(Arc::new(NoProgress)).lines().is_empty());
    }
}
