//! Importing from a cache in a directory: many small paths, and one large, through a daemon and into a chroot store.

use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nars3_tests::daemon::Daemon;
use nars3_tests::memory;
use nars3_tests::nars3::Nars3;
use nars3_tests::nix::{Chroot, Nix};

use crate::Options;
use crate::figures::Row;

const KEY: &str = "nars3-bench-1";

/// `count` paths of about 40 kB, half of it noise, each referring to two earlier ones, and a root that refers to all.
const SMALL_PATHS: &str = r#"
{ tag, count }:
let
  number = builtins.fromJSON count;
  build = name: attributes: script: derivation ({
    name = "${tag}-${name}";
    system = builtins.currentSystem;
    builder = "/bin/sh";
    args = [ "-e" "-c" script ];
    PATH = "/usr/bin:/bin";
  } // attributes);
  paths = builtins.genList (i: build (toString i) {
    earlier = if i == 0 then [ ] else [ (builtins.elemAt paths (i / 2)) (builtins.elemAt paths (i * 7 / 8)) ];
  } ''
    mkdir $out
    head -c 20000 /dev/urandom > $out/noise
    yes "path number ${toString i}" | head -c 20000 > $out/text
    echo $earlier > $out/references
  '') number;
in
build "root" { inherit paths; } "mkdir $out; echo $paths > $out/references"
"#;

/// Files of 1 MiB, half of each noise and half text.
fn large_tree(directory: &Path, mebibytes: usize) -> Result<()> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for number in 0..mebibytes {
        let folder = directory.join(format!("{:02}", number / 64));
        std::fs::create_dir_all(&folder)?;
        let mut file = std::io::BufWriter::new(std::fs::File::create(folder.join(number.to_string()))?);
        for _ in 0..1 << 16 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            file.write_all(&state.to_le_bytes())?;
        }
        let line = format!("line of file {number:06}, of a text that compresses well\n");
        file.write_all(&line.repeat((1 << 19) / line.len() + 1).as_bytes()[..1 << 19])?;
        file.into_inner()?;
    }
    Ok(())
}

/// Where an import goes.
enum Destination {
    Chroot(Chroot),
    Daemon(Daemon),
}

impl Destination {
    fn url(&self) -> String {
        match self {
            Self::Chroot(chroot) => chroot.store_url(),
            Self::Daemon(daemon) => daemon.url(),
        }
    }

    fn store(&self) -> &Chroot {
        match self {
            Self::Chroot(chroot) => chroot,
            Self::Daemon(daemon) => daemon.store(),
        }
    }
}

pub(crate) fn measure(nix: &Nix, options: Options) -> Result<Vec<Row>> {
    let nars3 = Nars3::anonymous()?;
    let (_, public_key) = nars3.key_pair(KEY)?;
    let caches = Chroot::new_in_memory()?;
    let (count, mebibytes) = if options.quick { ("20", 16) } else { ("500", 1024) };
    println!("Building the inputs");
    let tag = format!("nars3-bench-{}", std::process::id());
    let (_, small) = nix.build(SMALL_PATHS, &[("tag", &tag), ("count", count)])?;
    let tree = caches.root().join("tree");
    large_tree(&tree, mebibytes)?;
    let large = nix.add(&tree)?;
    std::fs::remove_dir_all(&tree)?;
    let inputs = [(format!("{count} small paths"), small), (format!("one path of {mebibytes} MiB"), large)];

    let mut rows = Vec::new();
    for compression in ["none", "zstd"] {
        let cache = format!("file://{}", caches.root().join(compression).display());
        for (title, root) in &inputs {
            let key = nars3.secret_key_file(KEY);
            nix.push(&format!("{cache}?compression={compression}&secret-key={}", key.display()), root)?
                .success()?;
            for through_daemon in [false, true] {
                let to = if through_daemon { "through a daemon" } else { "into a chroot store" };
                let mut row = Row::new(format!("import {title}, {compression}, {to}"));
                for run in 0..options.runs {
                    println!("{}, run {} of {}", row.what, run + 1, options.runs);
                    let turns = if run % 2 == 0 { [true, false] } else { [false, true] };
                    for nix_now in turns {
                        let destination = destination(nix, through_daemon, &public_key)?;
                        let to = destination.url();
                        let arguments = ["copy", "--from", &cache, "--to", &to];
                        if nix_now {
                            let mut command = nix.command_trusting("nix", &public_key);
                            row.nix.add(memory::measure(command.args(arguments).arg(root))?)?;
                        } else {
                            let mut command = nars3.command();
                            command.args(arguments).args(["--trusted-public-keys", &public_key]);
                            row.nars3.add(memory::measure(command.arg(root))?)?;
                        }
                        if let Destination::Daemon(daemon) = &destination {
                            let figures = if nix_now { &mut row.nix } else { &mut row.nars3 };
                            figures.add_daemon(ended(daemon)?);
                        }
                        let there = destination.store().physical(root).exists();
                        ensure!(there, "{root} has not arrived");
                    }
                }
                rows.push(row);
            }
        }
        std::fs::remove_dir_all(caches.root().join(compression)).context("cannot remove a cache")?;
    }
    Ok(rows)
}

/// The daemon's processor time, once its process for the connection has ended, some time after the command.
fn ended(daemon: &Daemon) -> Result<Duration> {
    let begun = Instant::now();
    loop {
        let time = daemon.processor_time()?;
        std::thread::sleep(Duration::from_millis(50));
        let again = daemon.processor_time()?;
        if !again.is_zero() && (again == time || begun.elapsed() > Duration::from_secs(5)) {
            return Ok(again);
        }
        ensure!(begun.elapsed() < Duration::from_secs(10), "the daemon's process does not end");
    }
}

fn destination(nix: &Nix, through_daemon: bool, public_key: &str) -> Result<Destination> {
    let chroot = Chroot::new_in_memory()?;
    Ok(if through_daemon {
        Destination::Daemon(Daemon::start(nix, chroot, public_key)?)
    } else {
        Destination::Chroot(chroot)
    })
}
