//! Memory is a constant that the settings set, not a function of the NAR.
//!
//! The short form pushes a NAR that is larger than the bound; `NARS3_FULL=1` (`cargo xtask test --full`) pushes 2 GiB.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use nars3_tests::memory::measure;
use nars3_tests::nix::{Chroot, Nix};

use crate::setup::{KEY, Setup};

/// What a push or a pull may hold resident, in bytes.
const BOUND: u64 = 256 << 20;

const BLOCK: usize = 1 << 20;

fn size() -> u64 {
    let full = std::env::var("NARS3_FULL").is_ok_and(|value| value == "1");
    if full { 2 << 30 } else { 300 << 20 }
}

/// A file of `size` bytes. Of each block of 1 MiB the first `noise` bytes do not compress and the rest is one letter.
fn big_file(directory: &Path, size: u64, noise: usize) -> Result<PathBuf> {
    let path = directory.join(format!("big-{noise}"));
    let mut file = BufWriter::with_capacity(BLOCK, File::create(&path)?);
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut block = vec![b'x'; BLOCK];
    for _ in 0..size / BLOCK as u64 {
        for chunk in block[..noise].chunks_exact_mut(8) {
            // Xorshift: no secret, only bytes that no encoder can shorten.
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            chunk.copy_from_slice(&state.to_le_bytes());
        }
        file.write_all(&block)?;
    }
    file.flush()?;
    Ok(path)
}

/// Pushes and pulls a big path and checks the peak of both.
#[expect(clippy::print_stdout, reason = "the figures are worth reading with --nocapture")]
fn bounded(settings: &str, noise: usize) -> Result<()> {
    let Some(nix) = Nix::find() else { return Ok(()) };
    let setup = Setup::new()?;
    let file = big_file(&setup.nars3.work(), size(), noise)?;
    let path = nix.add(&file)?;
    std::fs::remove_file(&file)?;
    let (_, public_key) = setup.nars3.key_pair(KEY)?;
    let settings = format!("{settings}&secret-key={}", setup.nars3.secret_key_file(KEY).display());

    let pushed = measure(setup.nars3.command().args(["copy", "--to", &setup.bucket.url(&settings), &path]))?;
    pushed.finished.success()?;
    let chroot = Chroot::new()?;
    let pulled = measure(
        setup
            .nars3
            .command()
            .args(["copy", "--from", &setup.bucket.url(""), "--to", &chroot.store_url()])
            .args(["--trusted-public-keys", &public_key, &path]),
    )?;
    pulled.finished.success()?;
    for (what, peak) in [("push", pushed.peak_resident), ("pull", pulled.peak_resident)] {
        println!("{what} of {} MiB with {settings}: {} MiB resident", size() >> 20, peak >> 20);
        ensure!(peak > 1 << 20, "the measurement saw nothing: {peak} bytes");
        ensure!(peak < BOUND, "{what} held {} MiB of {} MiB resident", peak >> 20, size() >> 20);
    }
    nix.verify(&chroot)
}

#[test]
fn of_a_big_nar_uncompressed() -> Result<()> {
    bounded("compression=none", BLOCK)
}

#[test]
fn of_a_big_nar_that_zstd_cannot_shorten() -> Result<()> {
    bounded("compression=zstd", BLOCK)
}

#[test]
fn of_a_big_nar_as_xz() -> Result<()> {
    bounded("compression=xz", 16 << 10)
}
