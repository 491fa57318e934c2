//! How a stage of a copy spent its time, for whoever looks for the bottleneck.

use std::time::{Duration, Instant};

use crate::Event;

/// A step that paths take one after another, each at its own time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Stage {
    /// Files of a store are read and hashed.
    Read,
    /// A file of a cache comes from the network or a disk.
    Download,
    /// A file of a cache is hashed and unpacked.
    Unpack,
    /// A NAR is compressed, and its file hashed.
    Compress,
    /// A file goes to a cache.
    Upload,
    /// A NAR becomes files.
    Restore,
    /// What is whole becomes visible: narinfos, or a transaction. Waiting for input is waiting for references.
    Publish,
}

impl Stage {
    /// One word for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Download => "download",
            Self::Unpack => "unpack",
            Self::Compress => "compress",
            Self::Upload => "upload",
            Self::Restore => "restore",
            Self::Publish => "publish",
        }
    }
}

/// The clock of one path in one stage.
#[derive(Debug)]
pub struct Work {
    stage: Stage,
    started: Instant,
    input: Duration,
    output: Duration,
}

impl Work {
    /// Work begins now.
    pub fn begin(stage: Stage) -> Self {
        Self { stage, started: Instant::now(), input: Duration::ZERO, output: Duration::ZERO }
    }

    /// So long it has waited for what it works on.
    pub fn waited_for_input(&mut self, waited: Duration) {
        self.input += waited;
    }

    /// So long it has waited for whoever takes what it makes.
    pub fn waited_for_output(&mut self, waited: Duration) {
        self.output += waited;
    }

    /// Work ends now; what to tell the observer.
    pub fn end(self) -> Event<'static> {
        let busy = self.started.elapsed().saturating_sub(self.input).saturating_sub(self.output);
        Event::Worked {
            stage: self.stage,
            busy,
            waited_for_input: self.input,
            waited_for_output: self.output,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_waiting_was_work() {
        let mut work = Work::begin(Stage::Compress);
        work.waited_for_input(Duration::from_secs(1000));
        work.waited_for_output(Duration::from_secs(7));
        let Event::Worked { stage, busy, waited_for_input, waited_for_output } = work.end() else {
            panic!("another event")
        };
        assert_eq!((stage, busy), (Stage::Compress, Duration::ZERO), "more waiting than time is no work");
        assert_eq!(
            (waited_for_input, waited_for_output),
            (Duration::from_secs(1000), Duration::from_secs(7))
        );
    }
}
