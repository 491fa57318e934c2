//! Floor (b): the processor seconds that no push and no pull can avoid, each part measured by doing nothing else.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use crate::measure::measure;

/// Processor seconds for one input.
#[derive(Clone, Debug)]
pub(crate) struct Parts {
    /// Reading all files, without writing them anywhere.
    pub(crate) read: f64,
    /// SHA-256 over the NARs.
    pub(crate) hash_nar: f64,
    /// `zstd -3` over the NARs.
    pub(crate) zstd: f64,
    /// SHA-256 over what `zstd -3` made.
    pub(crate) hash_file: f64,
    /// `zstd -dc`.
    pub(crate) unzstd: f64,
    /// Creating the files: `tar x` into memory.
    pub(crate) write: f64,
    /// Wall-clock seconds of `zstd -T0 -3` alone.
    pub(crate) zstd_alone: f64,
    /// Wall-clock seconds of `zstd -dc | tar x`.
    pub(crate) pipe: f64,
    /// The NARs, one after another, in a file.
    pub(crate) nar: PathBuf,
}

/// Measures the parts for these store paths, with files in `directory`.
pub(crate) fn parts(paths: &[String], directory: &Path) -> Result<Parts> {
    let name = paths.first().and_then(|path| path.rsplit('/').next()).context("no paths")?;
    let (nar, tar) = (directory.join(format!("{name}.nar")), directory.join(format!("{name}.tar")));
    let packed = directory.join(format!("{name}.tar.zst"));
    let out = File::create(&nar)?;
    if let [one] = paths {
        run(Command::new("nix-store").args(["--dump", one]).stdout(out.try_clone()?))?;
    } else {
        // One process for all; the frames around the NARs are a thousandth of them.
        run(Command::new("nix-store").arg("--export").args(paths).stdout(out.try_clone()?))?;
    }
    out.sync_all()?;
    drop(out);
    run(Command::new("tar").arg("-cf").arg(&tar).arg("-P").args(paths))?;
    run(Command::new("zstd").args(["-q", "-f", "-3"]).arg(&tar).arg("-o").arg(&packed))?;
    let into = tempfile::Builder::new().prefix("nars3-bench-").tempdir_in(memory())?;
    let own = std::env::current_exe()?;
    let read = measure(Command::new(&own).arg("--part").arg("read").args(paths))?.cpu;
    let hash_nar = measure(Command::new(&own).args(["--part", "hash"]).arg(&nar))?.cpu;
    let zstd = measure(Command::new("zstd").args(["-q", "-c", "-3", "--single-thread"]).arg(&nar))?.cpu;
    let hash_file = measure(Command::new(&own).args(["--part", "hash"]).arg(&packed))?.cpu;
    let unzstd = measure(Command::new("zstd").args(["-q", "-d", "-c"]).arg(&packed))?.cpu;
    let write = measure(extract(into.path()).arg("-f").arg(&tar))?.cpu;
    empty(into.path())?;
    let zstd_alone = measure(Command::new("zstd").args(["-q", "-c", "-3", "-T0"]).arg(&nar))?;
    let script = format!("zstd -q -d -c '{}' | tar -x -C '{}' -f -", packed.display(), into.path().display());
    let pipe = measure(Command::new("sh").args(["-c", &script]))?.elapsed.as_secs_f64();
    empty(into.path())?;
    let zstd_alone = zstd_alone.elapsed.as_secs_f64();
    std::fs::remove_file(tar)?;
    std::fs::remove_file(packed)?;
    Ok(Parts { read, hash_nar, zstd, hash_file, unzstd, write, zstd_alone, pipe, nar })
}

fn extract(into: &Path) -> Command {
    let mut command = Command::new("tar");
    command.arg("-x").arg("-C").arg(into);
    command
}

/// Where files are made so that no disk is measured.
pub(crate) fn memory() -> PathBuf {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() }
}

/// Store objects are read-only.
fn empty(directory: &Path) -> Result<()> {
    run(Command::new("chmod").args(["-R", "u+w"]).arg(directory))?;
    for entry in std::fs::read_dir(directory)? {
        std::fs::remove_dir_all(entry?.path())?;
    }
    Ok(())
}

fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot start {command:?}"))?;
    anyhow::ensure!(status.success(), "{command:?} ended with {status}");
    Ok(())
}

/// `nars3-bench --part NAME FILE…`: one part in a process of its own, so that its processor time can be told.
pub(crate) fn part(name: &str, files: &[String]) -> Result<()> {
    let mut buffer = vec![0; 256 * 1024];
    let mut pass = |file: &Path, hasher: &mut Option<Sha256>| -> Result<()> {
        let mut file = File::open(file)?;
        loop {
            let count = file.read(&mut buffer)?;
            if count == 0 {
                return Ok(());
            }
            if let Some(hasher) = hasher {
                hasher.update(buffer.get(..count).unwrap_or_default());
            }
        }
    };
    match name {
        "hash" => {
            let mut hasher = Some(Sha256::new());
            files.iter().try_for_each(|file| pass(Path::new(file), &mut hasher))?;
            std::hint::black_box(hasher.map(Digest::finalize));
            Ok(())
        }
        "read" => {
            let mut open: Vec<PathBuf> = files.iter().map(PathBuf::from).collect();
            while let Some(path) = open.pop() {
                let kind = path.symlink_metadata()?.file_type();
                if kind.is_dir() {
                    for entry in std::fs::read_dir(&path)? {
                        open.push(entry?.path());
                    }
                } else if kind.is_file() {
                    pass(&path, &mut None)?;
                }
            }
            Ok(())
        }
        other => bail!("no part '{other}'"),
    }
}
