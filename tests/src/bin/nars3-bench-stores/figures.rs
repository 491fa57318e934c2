//! What was measured.

use std::time::Duration;

use anyhow::Result;
use nars3_tests::memory::Measured;

/// What all runs of one tool gave.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    times: Vec<Duration>,
    /// The daemon's processor time.
    daemon: Vec<Duration>,
    peak: u64,
}

impl Figures {
    /// Takes a run, and gives what it printed.
    pub(crate) fn add(&mut self, measured: Measured) -> Result<String> {
        self.times.push(measured.elapsed);
        self.peak = self.peak.max(measured.peak_resident);
        measured.finished.success()
    }

    /// Takes what a run has cost the daemon.
    pub(crate) fn add_daemon(&mut self, time: Duration) {
        self.daemon.push(time);
    }

    /// The median of the wall-clock times, in seconds.
    fn time(&self) -> f64 {
        median(&self.times).unwrap_or_default()
    }

    /// The median of the daemon's processor time, in seconds.
    fn daemon(&self) -> String {
        median(&self.daemon).map_or("–".to_owned(), |time| format!("{time:.2}"))
    }
}

fn median(times: &[Duration]) -> Option<f64> {
    let mut times = times.to_vec();
    times.sort();
    times.get(times.len() / 2).map(Duration::as_secs_f64)
}

/// One line of the table.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) what: String,
    pub(crate) nix: Figures,
    pub(crate) nars3: Figures,
}

impl Row {
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), nix: Figures::default(), nars3: Figures::default() }
    }

    pub(crate) fn line(&self) -> String {
        let (nix, nars3) = (self.nix.time(), self.nars3.time());
        format!(
            "| {} | {nix:.2} | {nars3:.2} | {:.2} | {} | {} | {} | {} |\n",
            self.what,
            nix / nars3,
            self.nix.daemon(),
            self.nars3.daemon(),
            self.nix.peak >> 20,
            self.nars3.peak >> 20
        )
    }
}
