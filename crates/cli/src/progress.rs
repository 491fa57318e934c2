//! How a person sees a copy go on: one bar on a terminal, plain lines elsewhere, JSON lines for machines.

use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use nars3_store_api::{Event, Progress};

use crate::logging::LogFormat;
use crate::output::{count_paths, human_bytes};

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
            LogFormat::Text => self.raw_line(text),
        }
    }

    /// Says what failed.
    pub(crate) fn error(&self, text: &str) {
        match self.format {
            LogFormat::Json => tracing::error!(target: "nars3", "{text}"),
            LogFormat::Text => self.raw_line(&format!("error: {text}")),
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

/// One bar: NAR bytes of all paths together, with rate and time left.
#[derive(Debug)]
struct Bar {
    screen: Screen,
    bar: Mutex<Option<(ProgressBar, u64, u64)>>,
}

impl Bar {
    fn begin(&self, paths: u64, nar_bytes: u64) {
        if paths == 0 {
            return;
        }
        let bar = ProgressBar::with_draw_target(Some(nar_bytes), ProgressDrawTarget::stderr());
        if let Ok(style) = ProgressStyle::with_template(
            "{spinner} {msg} [{bar:30}] {bytes}/{total_bytes} {binary_bytes_per_sec} {eta} left",
        ) {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_message(format!("0/{}", count_paths(paths)));
        bar.enable_steady_tick(Duration::from_millis(200));
        self.screen.set_bar(Some(bar.clone()));
        *self.bar.lock().unwrap_or_else(PoisonError::into_inner) = Some((bar, 0, paths));
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
        let Some((bar, done, total)) = state.as_mut() else { return };
        match event {
            Event::NarBytes { bytes, .. } => bar.inc(bytes),
            Event::PathFinished { .. } => {
                *done += 1;
                bar.set_message(format!("{done}/{}", count_paths(*total)));
                if done == total {
                    bar.finish_and_clear();
                    self.screen.set_bar(None);
                }
            }
            _ => {}
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Some((bar, ..)) = &*self.bar.lock().unwrap_or_else(PoisonError::into_inner) {
            bar.finish_and_clear();
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
