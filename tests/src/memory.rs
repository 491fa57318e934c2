//! The peak resident memory of a child process, from `/proc` (Linux only).

use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::process::{Finished, describe};

/// A finished command and what it cost.
#[derive(Clone, Debug)]
pub struct Measured {
    /// The command and its output.
    pub finished: Finished,
    /// High-water mark of the resident set in bytes, as the kernel kept it.
    pub peak_resident: u64,
    /// Wall-clock time from start to end.
    pub elapsed: Duration,
}

/// Runs `command` to its end and watches the kernel's high-water mark of its resident memory.
///
/// The mark only rises, so reading it every few milliseconds misses nothing but a rise in the very last ones.
///
/// # Errors
/// When the command cannot be started or `/proc` is not there.
pub fn measure(command: &mut Command) -> Result<Measured> {
    let name = describe(command);
    let started = Instant::now();
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {name}"))?;
    let status_file = format!("/proc/{}/status", child.id());
    let waiting = thread::spawn(move || wait(child));
    let mut peak_resident = 0;
    while !waiting.is_finished() {
        // Once the process has ended the file has no such line; the last value stands.
        if let Some(mark) = std::fs::read_to_string(&status_file).ok().as_deref().and_then(high_water_mark) {
            peak_resident = peak_resident.max(mark);
        }
        thread::sleep(Duration::from_millis(2));
    }
    let (output, ended) = waiting.join().map_err(|_| anyhow::anyhow!("waiting for {name} panicked"))??;
    Ok(Measured { finished: Finished::of(name, &output), peak_resident, elapsed: ended - started })
}

fn wait(child: Child) -> Result<(std::process::Output, Instant)> {
    let output = child.wait_with_output()?;
    Ok((output, Instant::now()))
}

/// The `VmHWM` line of a `/proc/PID/status` file, in bytes.
fn high_water_mark(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_holds_memory_is_seen_to_hold_it() {
        let measured = measure(
            Command::new("sh").args(["-c", "x=$(head -c 40000000 /dev/zero | tr '\\0' x); echo ${#x}"]),
        );
        let measured = measured.unwrap();
        assert_eq!(measured.finished.success().unwrap(), "40000000");
        assert!(measured.peak_resident > 40_000_000, "{}", measured.peak_resident);
    }
}
