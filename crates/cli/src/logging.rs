//! Log lines on standard error: for people, or as JSON for machines.

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::progress::Screen;

/// The form of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Our own crates, by `-v` count. What others say comes one level later.
fn filter(verbosity: u8, quiet: bool) -> EnvFilter {
    let text = match (quiet, verbosity) {
        (true, _) => "error",
        (false, 0) => "warn",
        (false, 1) => {
            "warn,nars3_cli=info,nars3_copy=info,nars3_binary_cache=info,nars3_nix_store=info,nars3_s3=info"
        }
        (false, 2) => {
            "info,nars3_cli=debug,nars3_copy=debug,nars3_binary_cache=debug,nars3_nix_store=debug,nars3_s3=debug"
        }
        // The HTTP and signing layers below write headers, credentials among them, at their finest level; they are
        // held at `debug`, where they do not.
        _ => {
            "info,nars3_cli=trace,nars3_copy=trace,nars3_binary_cache=trace,nars3_nix_store=trace,nars3_s3=trace,object_store=debug"
        }
    };
    // What a person reads as plain lines, a machine reads as events.
    let own = if quiet { "nars3=error" } else { "nars3=info" };
    EnvFilter::new(format!("{text},{own}"))
}

/// Sets up logging for the process. Lines go above the progress bars, if there are any.
pub(crate) fn install(format: LogFormat, verbosity: u8, quiet: bool, screen: &Screen) {
    let screen = screen.clone();
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter(verbosity, quiet))
        .with_writer(ScreenWriter { screen: screen.clone() })
        .with_target(verbosity > 1);
    // Only the first installation counts; tests that run the command twice in a process do not mind.
    let _ = match format {
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
        LogFormat::Text => builder.with_ansi(screen.is_terminal()).without_time().compact().try_init(),
    };
}

#[derive(Clone)]
struct ScreenWriter {
    screen: Screen,
}

impl<'a> MakeWriter<'a> for ScreenWriter {
    type Writer = LineWriter;

    fn make_writer(&'a self) -> LineWriter {
        LineWriter { screen: self.screen.clone(), line: Vec::new() }
    }
}

/// Gathers one log line and shows it when complete, so that lines of several threads do not mix.
pub(crate) struct LineWriter {
    screen: Screen,
    line: Vec<u8>,
}

impl std::io::Write for LineWriter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.line.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Drop for LineWriter {
    fn drop(&mut self) {
        let text = String::from_utf8_lossy(&self.line);
        let text = text.trim_end_matches('\n');
        if !text.is_empty() {
            self.screen.raw_line(text);
        }
    }
}
