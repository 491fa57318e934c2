//! The observer through which libraries tell what they are doing. They never see a terminal.

use std::fmt::Debug;
use std::time::Duration;

use nars3_store_path::StorePath;

use crate::Stage;

/// Something happened that a person, a log or a test may want to know.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Event<'a> {
    /// The plan of a copy is known.
    Planned {
        /// Store paths that will be copied.
        paths: u64,
        /// The sum of their NarSize, in bytes.
        nar_bytes: u64,
        /// Store paths of the closure that the destination has already.
        present: u64,
    },
    /// Work on a path begins.
    PathStarted {
        /// The path.
        path: &'a StorePath,
        /// Its NarSize in bytes.
        nar_size: u64,
    },
    /// Bytes of a path's NAR, uncompressed, went through.
    NarBytes {
        /// The path.
        path: &'a StorePath,
        /// How many, since the last such event for this path.
        bytes: u64,
    },
    /// The path is valid in the destination.
    PathFinished {
        /// The path.
        path: &'a StorePath,
        /// Its NarSize in bytes.
        nar_size: u64,
    },
    /// The path could not be copied.
    PathFailed {
        /// The path.
        path: &'a StorePath,
        /// Why, for a person.
        reason: &'a str,
    },
    /// Bytes went to or came from the network or a file of a cache, compressed as they are there.
    Transferred {
        /// Whether they were written.
        sent: bool,
        /// How many, since the last such event.
        bytes: u64,
    },
    /// A stage is done with one path, and so it spent its time. Stages of several paths run at once, so their times add up
    /// to more than the clock shows.
    Worked {
        /// The stage.
        stage: Stage,
        /// The time in which it did something.
        busy: Duration,
        /// The time in which it had nothing to do yet.
        waited_for_input: Duration,
        /// The time in which nobody took what it had made.
        waited_for_output: Duration,
    },
    /// Something a person should know that does not stop the work.
    Warning {
        /// For a person: lower case, no full stop.
        message: &'a str,
    },
}

/// Is told what is going on. Called from many tasks and threads at once, and often: it must return at once.
pub trait Progress: Debug + Send + Sync {
    /// Takes note of `event`.
    fn report(&self, event: Event<'_>);
}

/// Listens to nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoProgress;

impl Progress for NoProgress {
    fn report(&self, _event: Event<'_>) {}
}
