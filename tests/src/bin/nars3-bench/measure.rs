//! One command, measured: wall clock, processor time and the kernel's high-water mark of its memory.

use std::fs::{File, read_to_string};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

/// How often the memory of a running command is looked at. The kernel's mark only rises, so nothing is missed but a rise
/// in the last moments.
const EVERY: Duration = Duration::from_millis(4);

/// The unit of `/proc/PID/stat`, which Linux has not changed in thirty years.
const TICKS_A_SECOND: f64 = 100.0;

/// What one run cost.
#[derive(Clone, Debug)]
pub(crate) struct Cost {
    /// Wall clock.
    pub(crate) elapsed: Duration,
    /// Processor seconds of the command and all that it waited for.
    pub(crate) cpu: f64,
    /// Peak resident memory in bytes.
    pub(crate) peak: u64,
    /// What it printed on standard error.
    pub(crate) stderr: String,
}

/// Runs `command`, which must succeed.
pub(crate) fn measure(command: &mut Command) -> Result<Cost> {
    let name = format!("{command:?}");
    let output = tempfile::tempfile()?;
    let said = tempfile::NamedTempFile::new()?;
    let started = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(File::create(said.path())?)
        .spawn()
        .with_context(|| format!("cannot start {name}"))?;
    let id = child.id();
    // Waits without taking the process away, so that what the kernel knows of it can still be read.
    let waiting = thread::spawn(move || -> Result<Instant> {
        let pid = Pid::from_raw(i32::try_from(id)?).context("a process without an id")?;
        waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT)?;
        Ok(Instant::now())
    });
    let mut peak = 0;
    while !waiting.is_finished() {
        let status = read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
        peak = peak.max(high_water_mark(&status).unwrap_or(0));
        thread::sleep(EVERY);
    }
    let ended = waiting.join().map_err(|_| anyhow::anyhow!("waiting for {name} panicked"))??;
    let cpu = cpu_seconds(id).unwrap_or(0.0);
    let status = child.wait()?;
    let stderr = String::from_utf8_lossy(&std::fs::read(said.path())?).into_owned();
    ensure!(status.success(), "{name} ended with {status}:\n{stderr}");
    Ok(Cost { elapsed: ended - started, cpu, peak, stderr })
}

/// Processor seconds of a process until now, children that it has waited for included.
pub(crate) fn cpu_seconds(id: u32) -> Option<f64> {
    let stat = read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The second field is a name in brackets, which may hold anything; the third is the state.
    let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
    let ticks: f64 = fields.get(11..15)?.iter().filter_map(|field| field.parse::<f64>().ok()).sum();
    Some(ticks / TICKS_A_SECOND)
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
    fn a_busy_command_is_seen_to_be_busy() {
        let script = "x=$(head -c 30000000 /dev/zero | tr '\\0' x); echo ${#x} >&2";
        let cost = measure(Command::new("sh").args(["-c", script])).unwrap();
        assert_eq!(cost.stderr.trim(), "30000000");
        assert!(cost.peak > 30_000_000, "{}", cost.peak);
    }

    #[test]
    fn a_failing_command_is_an_error() {
        measure(Command::new("sh").args(["-c", "echo no >&2; exit 3"])).unwrap_err();
    }
}
