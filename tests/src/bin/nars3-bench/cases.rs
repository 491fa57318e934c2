//! The measurements: push and pull of each input, with each compression, by each tool.

use std::time::Duration;

use anyhow::{Context, Result};
use nars3_tests::memory::{self, Measured};
use nars3_tests::nars3::Nars3;
use nars3_tests::nix::{Chroot, Nix};
use nars3_tests::server::{Access, Bucket, S3Server, Settings};

use crate::inputs::Input;

const COMPRESSIONS: [&str; 2] = ["none", "zstd"];

const KEY: &str = "nars3-bench-1";

/// One line of the table.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) what: String,
    pub(crate) compression: &'static str,
    pub(crate) nix: Figures,
    pub(crate) nars3: Figures,
}

/// What all runs of one tool gave.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    times: Vec<Duration>,
    peaks: Vec<u64>,
}

impl Figures {
    fn add(&mut self, measured: Measured) -> Result<()> {
        measured.finished.success()?;
        self.times.push(measured.elapsed);
        self.peaks.push(measured.peak_resident);
        Ok(())
    }

    /// The median of the wall-clock times.
    pub(crate) fn time(&self) -> Duration {
        let mut times = self.times.clone();
        times.sort();
        times.get(times.len() / 2).copied().unwrap_or_default()
    }

    /// The highest peak of resident memory, in bytes.
    pub(crate) fn peak(&self) -> u64 {
        self.peaks.iter().copied().max().unwrap_or_default()
    }
}

fn measure_input(nix: &Nix, input: &Input, compression: &'static str, runs: usize) -> Result<[Row; 2]> {
    let row = |verb: &str| Row {
        what: format!("{verb} {}", input.title),
        compression,
        nix: Figures::default(),
        nars3: Figures::default(),
    };
    let (mut push, mut pull) = (row("push"), row("pull"));
    for run in 0..runs {
        println!("{}, {compression}, run {} of {runs}", input.title, run + 1);
        // Both tools take turns at going first, and every run has a server of its own with nothing in it.
        let bench = Bench::start(nix)?;
        let (by_nix, by_nars3) = (bench.server.fresh_bucket()?, bench.server.fresh_bucket()?);
        for nix_now in if run % 2 == 0 { [true, false] } else { [false, true] } {
            if nix_now {
                push.nix.add(bench.nix_push(&by_nix, compression, &input.root)?)?;
            } else {
                push.nars3.add(bench.nars3_push(&by_nars3, compression, &input.root)?)?;
            }
        }
        // Both pull the very same objects.
        for nix_now in if run % 2 == 0 { [true, false] } else { [false, true] } {
            if nix_now {
                pull.nix.add(bench.nix_pull(&by_nix, &input.root)?)?;
            } else {
                pull.nars3.add(bench.nars3_pull(&by_nix, &input.root)?)?;
            }
        }
    }
    Ok([push, pull])
}

pub(crate) fn measure(nix: &Nix, inputs: &[Input], runs: usize) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for input in inputs {
        for compression in COMPRESSIONS {
            rows.extend(measure_input(nix, input, compression, runs)?);
        }
    }
    Ok(rows)
}

/// A server with a key pair for both tools.
struct Bench<'a> {
    server: S3Server,
    nix: &'a Nix,
    nars3: Nars3,
    public_key: String,
}

impl<'a> Bench<'a> {
    fn start(nix: &'a Nix) -> Result<Self> {
        let server = S3Server::start(&Settings::default())?;
        let nars3 = Nars3::for_server(&server)?;
        let (_, public_key) = nars3.key_pair(KEY)?;
        Ok(Self { server, nix, nars3, public_key })
    }

    fn settings(&self, compression: &str) -> String {
        format!("compression={compression}&secret-key={}", self.nars3.secret_key_file(KEY).display())
    }

    /// Debian's Nix cannot speak to S3: it puts its objects over plain HTTP into a bucket that anybody may write.
    fn nix_push(&self, bucket: &Bucket, compression: &str, root: &str) -> Result<Measured> {
        bucket.allow_anonymous(Access::ReadWrite)?;
        let url = format!("{}?{}", bucket.http_url(), self.settings(compression));
        memory::measure(self.nix.command("nix").args(["copy", "--to", &url, root])).context("nix copy --to")
    }

    fn nars3_push(&self, bucket: &Bucket, compression: &str, root: &str) -> Result<Measured> {
        let url = bucket.url(&self.settings(compression));
        memory::measure(self.nars3.command().args(["copy", "--to", &url, root])).context("nars3 copy --to")
    }

    fn nix_pull(&self, bucket: &Bucket, root: &str) -> Result<Measured> {
        let chroot = Chroot::new_in_memory()?;
        let mut command = self.nix.command_trusting("nix", &self.public_key);
        let measured = memory::measure(command.args([
            "copy",
            "--from",
            &bucket.http_url(),
            "--to",
            &chroot.store_url(),
            root,
        ]));
        measured.context("nix copy --from")
    }

    fn nars3_pull(&self, bucket: &Bucket, root: &str) -> Result<Measured> {
        let chroot = Chroot::new_in_memory()?;
        let mut command = self.nars3.command();
        command.args(["copy", "--from", &bucket.url(""), "--to", &chroot.store_url()]);
        memory::measure(command.args(["--trusted-public-keys", &self.public_key, root]))
            .context("nars3 copy --from")
    }
}
