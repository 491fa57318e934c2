//! How a person sees a copy go on: one bar on a terminal, plain lines elsewhere, JSON lines for machines.

use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use nars3_store_api::{Event, Progress};

use crate::logging::LogFormat;
use crate::output::{count_paths, human_bytes};
use crate::terminal::harmless;

/// Which way progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProgressMode {
    /// A bar on a terminal, plain lines otherwise.
    Auto,
    /// A bar.
    Bar,
    /// A line for each path.
    Plain,
    /// Nothing.
    None,
}

/// Standard error, shared by the bar and the log so that they do not write over each other.
#[derive(Clone, Debug)]
pub(crate) struct Screen {
    bar: Arc<Mutex<Option<ProgressBar>>>,
    terminal: bool,
    format: LogFormat,
}

impl Screen {
    pub(crate) fn stderr(format: LogFormat) -> Self {
        Self { bar: Arc::default(), terminal: std::io::stderr().is_terminal(), format }
    }

    pub(crate) fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// Says something to the person, or to the machine that reads the log.
    pub(crate) fn line(&self, text: &str) {
        match self.format {
            LogFormat::Json => tracing::info!(target: "nars3", "{text}"),
            LogFormat::Text => self.raw_line(&harmless(text)),
        }
    }

    /// Says what failed.
    pub(crate) fn error(&self, text: &str) {
        match self.format {
            LogFormat::Json => tracing::error!(target: "nars3", "{text}"),
            LogFormat::Text => self.raw_line(&format!("error: {}", harmless(text))),
        }
    }

    /// Shows a line as it is, above the bar if there is one. That nobody can see it is no reason to fail.
    pub(crate) fn raw_line(&self, text: &str) {
        match &*self.bar.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(bar) => bar.suspend(|| write_line(text)),
            None => write_line(text),
        }
    }

    fn set_bar(&self, bar: Option<ProgressBar>) {
        *self.bar.lock().unwrap_or_else(PoisonError::into_inner) = bar;
    }
}

fn write_line(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// The observer for `mode`.
pub(crate) fn observer(mode: ProgressMode, format: LogFormat, screen: &Screen) -> Arc<dyn Progress> {
    if format == LogFormat::Json {
        return Arc::new(JsonLines { silent: mode == ProgressMode::None });
    }
    let bar = match mode {
        ProgressMode::Bar => true,
        ProgressMode::Auto => screen.is_terminal(),
        ProgressMode::Plain | ProgressMode::None => false,
    };
    if bar {
        return Arc::new(Bar { screen: screen.clone(), bar: Mutex::new(None) });
    }
    let silent = mode == ProgressMode::None;
    Arc::new(Lines { screen: screen.clone(), silent, done: AtomicU64::new(0), total: AtomicU64::new(0) })
}

/// One bar for all paths together. It moves by half when bytes of a NAR have passed, and by the other half when the
/// path is valid at the destination, so it is full when all is done and not when all was read.
#[derive(Debug)]
struct Bar {
    screen: Screen,
    bar: Mutex<Option<Drawn>>,
}

/// A bar on the screen, and what it shows.
#[derive(Debug)]
struct Drawn {
    bar: ProgressBar,
    tally: Tally,
    started: Instant,
}

/// What has been done until now.
#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    paths: u64,
    paths_done: u64,
    /// NAR bytes that passed.
    passed: u64,
    /// NAR bytes of paths that are valid.
    done: u64,
    sent: u64,
    received: u64,
}

impl Tally {
    fn position(self) -> u64 {
        self.passed / 2 + self.done / 2
    }

    /// Paths, bytes that went to or came from caches, and how many a second.
    fn words(self, seconds: f64) -> String {
        let mut words = format!("{}/{}", self.paths_done, count_paths(self.paths));
        let rate = |bytes: u64| human_bytes((bytes as f64 / seconds.max(0.001)) as u64);
        for (bytes, what) in [(self.received, "received"), (self.sent, "sent")] {
            if bytes > 0 {
                words.push_str(&format!(", {} {what} ({}/s)", human_bytes(bytes), rate(bytes)));
            }
        }
        words
    }
}

impl Bar {
    fn begin(&self, paths: u64, nar_bytes: u64) {
        if paths == 0 {
            return;
        }
        let bar = ProgressBar::with_draw_target(Some(nar_bytes), ProgressDrawTarget::stderr());
        if let Ok(style) = ProgressStyle::with_template("{spinner} [{bar:30}] {percent}% {msg}, {eta} left") {
            bar.set_style(style.progress_chars("=> "));
        }
        let tally = Tally { paths, ..Tally::default() };
        bar.set_message(tally.words(0.0));
        bar.enable_steady_tick(Duration::from_millis(200));
        self.screen.set_bar(Some(bar.clone()));
        let drawn = Drawn { bar, tally, started: Instant::now() };
        *self.bar.lock().unwrap_or_else(PoisonError::into_inner) = Some(drawn);
    }
}

impl Progress for Bar {
    fn report(&self, event: Event<'_>) {
        match event {
            Event::Planned { paths, nar_bytes, .. } => return self.begin(paths, nar_bytes),
            Event::Warning { message } => return tracing::warn!("{message}"),
            Event::PathFailed { path, reason } => {
                return self.screen.line(&format!("failed: {path}: {reason}"));
            }
            _ => {}
        }
        let mut state = self.bar.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(Drawn { bar, tally, started }) = state.as_mut() else { return };
        match event {
            Event::NarBytes { bytes, .. } => tally.passed += bytes,
            Event::Transferred { sent: true, bytes } => tally.sent += bytes,
            Event::Transferred { sent: false, bytes } => tally.received += bytes,
            Event::PathFinished { nar_size, .. } => {
                tally.done += nar_size;
                tally.paths_done += 1;
            }
            _ => return,
        }
        bar.set_position(tally.position());
        bar.set_message(tally.words(started.elapsed().as_secs_f64()));
        if tally.paths_done == tally.paths {
            bar.finish_and_clear();
            self.screen.set_bar(None);
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Some(drawn) = &*self.bar.lock().unwrap_or_else(PoisonError::into_inner) {
            drawn.bar.finish_and_clear();
        }
        self.screen.set_bar(None);
    }
}

/// A line when a path is done: for logs of CI.
#[derive(Debug)]
struct Lines {
    screen: Screen,
    silent: bool,
    done: AtomicU64,
    total: AtomicU64,
}

impl Progress for Lines {
    fn report(&self, event: Event<'_>) {
        match event {
            Event::Warning { message } => tracing::warn!("{message}"),
            Event::PathFailed { path, reason } => self.screen.line(&format!("failed: {path}: {reason}")),
            _ if self.silent => {}
            Event::Planned { paths, nar_bytes, present } => {
                self.total.store(paths, Ordering::Relaxed);
                let size = human_bytes(nar_bytes);
                self.screen
                    .line(&format!("copying {} ({size}), {present} there already", count_paths(paths)));
            }
            Event::PathFinished { path, nar_size } => {
                let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
                let total = self.total.load(Ordering::Relaxed);
                self.screen.line(&format!("[{done}/{total}] {path} ({})", human_bytes(nar_size)));
            }
            _ => {}
        }
    }
}

/// An event when a path is done: for machines that read the log.
#[derive(Debug)]
struct JsonLines {
    silent: bool,
}

impl Progress for JsonLines {
    fn report(&self, event: Event<'_>) {
        match event {
            Event::Warning { message } => tracing::warn!(target: "nars3", "{message}"),
            Event::PathFailed { path, reason } => {
                tracing::error!(target: "nars3", event = "path-failed", %path, reason);
            }
            _ if self.silent => {}
            Event::Planned { paths, nar_bytes, present } => {
                tracing::info!(target: "nars3", event = "planned", paths, nar_bytes, present);
            }
            Event::PathFinished { path, nar_size } => {
                tracing::info!(target: "nars3", event = "path-finished", %path, nar_size);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_is_full_when_all_is_valid_and_not_when_all_has_passed() {
        let mut tally = Tally { paths: 2, passed: 1000, ..Tally::default() };
        assert_eq!(tally.position(), 500);
        (tally.done, tally.paths_done) = (1000, 2);
        assert_eq!(tally.position(), 1000);
    }

    #[test]
    fn words_tell_paths_bytes_and_rates() {
        let tally = Tally { paths: 3, paths_done: 1, sent: 4 << 20, ..Tally::default() };
        assert_eq!(tally.words(2.0), "1/3 paths, 4.0 MiB sent (2.0 MiB/s)");
    }
}
