//! Standard output, in one place: everything a command prints as its result goes through here.

use std::io::{self, BufWriter, StdoutLock, Write};

use crate::error::CliResult;
use crate::terminal::{harmless, is_watched};

/// Locked and buffered standard output; flushed by `finish`, so that a full disk is an error and not a silence.
pub(crate) struct Output {
    writer: BufWriter<StdoutLock<'static>>,
    watched: bool,
}

impl Output {
    pub(crate) fn stdout() -> Self {
        Self { writer: BufWriter::new(io::stdout().lock()), watched: is_watched() }
    }

    /// A line of text. On a terminal it controls nothing.
    pub(crate) fn line(&mut self, text: impl std::fmt::Display) -> CliResult {
        if self.watched {
            writeln!(self, "{}", harmless(&text.to_string()))?;
        } else {
            writeln!(self, "{text}")?;
        }
        Ok(())
    }

    pub(crate) fn finish(mut self) -> CliResult {
        self.flush()?;
        Ok(())
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writer.write(bytes).map_err(mark)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush().map_err(mark)
    }
}

/// Whoever read our standard output has gone.
#[derive(Debug, thiserror::Error)]
#[error("standard output is closed")]
pub(crate) struct OutputClosed;

/// Tells a closed standard output from the broken pipes of servers and daemons.
fn mark(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::BrokenPipe => io::Error::new(io::ErrorKind::BrokenPipe, OutputClosed),
        _ => error,
    }
}

/// Prints one line and flushes it.
pub(crate) fn print_line(text: impl std::fmt::Display) -> CliResult {
    let mut output = Output::stdout();
    output.line(text)?;
    output.finish()
}

/// `bytes` as a person reads it: `412 B`, `3.1 MiB`.
pub(crate) fn human_bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = UNITS[0];
    for next in &UNITS[1..] {
        if value < 1024.0 {
            break;
        }
        value /= 1024.0;
        unit = next;
    }
    format!("{value:.1} {unit}")
}

/// `1 path`, `2 paths`.
pub(crate) fn count_paths(paths: u64) -> String {
    count(paths, "path")
}

/// So many of what is called `thing` when it is one, and has an `s` more when it is not.
pub(crate) fn count(number: u64, thing: &str) -> String {
    if number == 1 { format!("1 {thing}") } else { format!("{number} {thing}s") }
}

#[cfg(test)]
mod tests {
    use super::human_bytes;

    #[test]
    fn bytes_are_rounded_to_their_unit() {
        assert_eq!(human_bytes(0), "0 B");
        assert_eq!(human_bytes(1023), "1023 B");
        assert_eq!(human_bytes(1536), "1.5 KiB");
        assert_eq!(human_bytes(3 << 30), "3.0 GiB");
        assert_eq!(human_bytes(u64::MAX), "16384.0 PiB");
    }
}
