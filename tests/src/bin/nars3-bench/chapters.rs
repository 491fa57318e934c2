//! The rows of the table, each measured by itself.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use nars3_tests::nix::Chroot;
use nars3_tests::server::Bucket;

use crate::delay::DelayingRelay;
use crate::inputs::{Inputs, Which};
use crate::load;
use crate::measure::measure;
use crate::record::Row;
use crate::world::World;

/// What is measured in a row.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Push,
    PushAgain,
    PathInfo,
    Pull,
    /// Push and pull behind a relay with a delay, beside the same without.
    Far {
        pull: bool,
    },
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chapter {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    pub(crate) target: &'static str,
    pub(crate) kind: Kind,
    pub(crate) input: Which,
    /// As the setting of a store URL wants it, with what else is set.
    pub(crate) compression: &'static str,
    /// Runs at the most, where one takes minutes.
    pub(crate) at_most: usize,
}

const fn row(
    name: &'static str,
    title: &'static str,
    kind: Kind,
    input: Which,
    compression: &'static str,
) -> Chapter {
    Chapter { name, title, target: "", kind, input, compression, at_most: usize::MAX }
}

impl Chapter {
    const fn target(mut self, target: &'static str) -> Self {
        self.target = target;
        self
    }

    const fn at_most(mut self, runs: usize) -> Self {
        self.at_most = runs;
        self
    }
}

/// All rows, in the order of the table.
pub(crate) const CHAPTERS: [Chapter; 18] = [
    row("push-small-none", "push small, none", Kind::Push, Which::Small, "none").target("1.25 × floor"),
    row("push-small-zstd", "push small, zstd", Kind::Push, Which::Small, "zstd").target("1.25 × floor"),
    row("push-wide-none", "push wide, none", Kind::Push, Which::Wide, "none").target("1.25 × floor"),
    row("push-wide-zstd", "push wide, zstd", Kind::Push, Which::Wide, "zstd").target("1.25 × floor"),
    row("push-small-xz", "push small, xz", Kind::Push, Which::Small, "xz").target("1.8 × Nix"),
    row("push-tree-none", "push tree, none", Kind::Push, Which::Tree, "none").target("2.8 × Nix, 128 MiB"),
    row("push-tree-zstd", "push tree, zstd", Kind::Push, Which::Tree, "zstd").target("2 × Nix, 192 MiB"),
    row(
        "push-tree-xz",
        "push part of the tree, xz",
        Kind::Push,
        Which::PartOfTree,
        "xz&parallel-compression=true",
    )
    .target("1.05 × `xz -T0`")
    .at_most(1),
    row("push-again", "second push, nothing to do", Kind::PushAgain, Which::Small, "none").target("3 × Nix"),
    row("path-info-small", "path-info -r, small, cold", Kind::PathInfo, Which::Small, "none")
        .target("3 × Nix"),
    row("path-info-wide", "path-info -r, wide, cold", Kind::PathInfo, Which::Wide, "none").target("3 × Nix"),
    row("pull-small-none", "pull small, none", Kind::Pull, Which::Small, "none").target("3 × Nix"),
    row("pull-small-zstd", "pull small, zstd", Kind::Pull, Which::Small, "zstd").target("3 × Nix"),
    row("pull-wide-zstd", "pull wide, zstd", Kind::Pull, Which::Wide, "zstd").target("3 × Nix"),
    row("pull-tree-none", "pull tree, none", Kind::Pull, Which::Tree, "none").target("2 × Nix"),
    row("pull-tree-zstd", "pull tree, zstd", Kind::Pull, Which::Tree, "zstd")
        .target("2 × Nix, ahead of the pipe"),
    row("far-push", "push wide, zstd, answers 50 ms later", Kind::Far { pull: false }, Which::Wide, "zstd")
        .target("2 × without")
        .at_most(2),
    row("far-pull", "pull wide, zstd, answers 50 ms later", Kind::Far { pull: true }, Which::Wide, "zstd")
        .target("2 × without")
        .at_most(2),
];

/// How far away the far server is.
const DELAY: Duration = Duration::from_millis(50);

/// Numbers of connections that the bare client tries.
const CONNECTIONS: [usize; 4] = [2, 4, 8, 16];

/// Measures one row.
pub(crate) fn run(chapter: &Chapter, inputs: &Inputs<'_>, runs: usize) -> Result<Row> {
    let input = inputs.get(chapter.input)?;
    let mut row = Row { input: input.title.clone(), ..Row::default() };
    for run in 0..runs.min(chapter.at_most) {
        println!("  run {}", run + 1);
        let world = World::start(inputs.nix())?;
        let mut round =
            Round { chapter, inputs, world: &world, row: &mut row, first: run == 0, nix_first: run % 2 == 0 };
        match chapter.kind {
            Kind::Push => round.push()?,
            Kind::PushAgain => round.push_again()?,
            Kind::PathInfo => round.path_info()?,
            Kind::Pull => round.pull()?,
            Kind::Far { pull } => round.far(pull)?,
        }
    }
    Ok(row)
}

/// One run of one row, with a server of its own.
struct Round<'a> {
    chapter: &'a Chapter,
    inputs: &'a Inputs<'a>,
    world: &'a World<'a>,
    row: &'a mut Row,
    first: bool,
    /// Both tools take turns at going first.
    nix_first: bool,
}

impl Round<'_> {
    fn both(&mut self, mut nix: Command, mut nars3: Command) -> Result<()> {
        for nix_now in [self.nix_first, !self.nix_first] {
            if nix_now {
                self.row.nix.add(&self.world.measure(&mut nix)?);
            } else {
                let exchange = self.world.measure(&mut nars3)?;
                self.row.stats.clone_from(&exchange.cost.stderr);
                self.row.nars3.add(&exchange);
            }
        }
        Ok(())
    }

    fn push(&mut self) -> Result<()> {
        let (world, compression) = (self.world, self.chapter.compression);
        let root = self.inputs.get(self.chapter.input)?.root.clone();
        let (by_nix, by_nars3) = (world.open_bucket()?, world.open_bucket()?);
        self.both(
            world.nix_push(&by_nix, compression, &root),
            world.nars3_push(&by_nars3, compression, &root),
        )?;
        let single = matches!(self.chapter.input, Which::Tree | Which::PartOfTree);
        let server =
            if single { self.one_put(compression, &by_nars3)? } else { self.bare_pushes(&by_nars3)? };
        if self.first {
            self.push_parts(compression, server)?;
        }
        Ok(())
    }

    /// Floor (a) for many objects. Gives the server's processor seconds.
    fn bare_pushes(&mut self, full: &Bucket) -> Result<f64> {
        let mut server_cpu = f64::MAX;
        for connections in CONNECTIONS {
            let empty = self.world.open_bucket()?;
            let requests = load::pushes(full, &empty)?;
            let before = self.world.server_cpu();
            let seconds = load::send(self.world.server.endpoint(), &requests, connections)?.as_secs_f64();
            server_cpu = server_cpu.min(self.world.server_cpu() - before);
            self.lower_floor(seconds);
        }
        Ok(server_cpu)
    }

    /// Floor (a) for one large object: `curl -T`, which sends it in one request. Gives the server's processor seconds.
    fn one_put(&mut self, compression: &str, full: &Bucket) -> Result<f64> {
        let nar = &self.inputs.parts(self.chapter.input)?.nar;
        let bucket = self.world.open_bucket()?;
        let file = if compression == "none" {
            nar.clone()
        } else {
            // The very bytes that nars3 has sent.
            let key =
                full.keys()?.into_iter().find(|key| key.starts_with("nar/")).context("no NAR was pushed")?;
            let file = self.inputs.nix().home().join("pushed");
            std::fs::write(&file, full.get(&key)?)?;
            file
        };
        let before = self.world.server_cpu();
        let seconds = measure(&mut self.world.curl(&bucket, &file)?)?.elapsed.as_secs_f64();
        let server = self.world.server_cpu() - before;
        self.lower_floor(seconds);
        if compression == "none" && self.first {
            self.row.peers.push(("curl -T".to_owned(), seconds));
            match self.world.aws(&self.world.open_bucket()?, &file) {
                Some(mut aws) => {
                    let seconds = measure(&mut aws)?.elapsed.as_secs_f64();
                    self.row.peers.push(("aws s3 cp".to_owned(), seconds));
                }
                None => println!(
                    "  without 'aws s3 cp': neither the virtual environment that is active nor PATH has it"
                ),
            }
        }
        Ok(server)
    }

    fn push_parts(&mut self, compression: &str, server: f64) -> Result<()> {
        let parts = self.inputs.parts(self.chapter.input)?;
        let seconds = match compression {
            "none" => parts.read + parts.hash_nar + server,
            "zstd" => {
                self.row.peers.push(("zstd -T0, compressing alone".to_owned(), parts.zstd_alone));
                parts.read + parts.hash_nar + parts.zstd + parts.hash_file + server
            }
            _ => {
                let mut xz = Command::new("xz");
                let measured = measure(xz.args(["-q", "-c", "-6", "-T0"]).arg(&parts.nar))?;
                self.row.peers.push(("xz -T0, compressing alone".to_owned(), measured.elapsed.as_secs_f64()));
                parts.read + parts.hash_nar + measured.cpu + parts.hash_file + server
            }
        };
        self.row.cpu_floor = Some(seconds / cores());
        Ok(())
    }

    fn push_again(&mut self) -> Result<()> {
        let (world, compression) = (self.world, self.chapter.compression);
        let root = self.inputs.get(self.chapter.input)?.root.clone();
        let bucket = world.open_bucket()?;
        measure(&mut world.nars3_push(&bucket, compression, &root))?;
        self.both(world.nix_push(&bucket, compression, &root), world.nars3_push(&bucket, compression, &root))
    }

    fn path_info(&mut self) -> Result<()> {
        let (world, root) = (self.world, self.inputs.get(self.chapter.input)?.root.clone());
        let bucket = world.open_bucket()?;
        measure(&mut world.nars3_push(&bucket, self.chapter.compression, &root))?;
        self.both(world.nix_path_info(&bucket, &root), world.nars3_path_info(&bucket, &root))?;
        let mut requests = load::pulls(&bucket)?;
        requests.retain(load::Request::is_narinfo);
        self.bare(&requests)?;
        Ok(())
    }

    fn pull(&mut self) -> Result<()> {
        let (world, compression) = (self.world, self.chapter.compression);
        let root = self.inputs.get(self.chapter.input)?.root.clone();
        let bucket = world.open_bucket()?;
        measure(&mut world.nars3_push(&bucket, compression, &root))?;
        let (one, other) = (Chroot::new_in_memory()?, Chroot::new_in_memory()?);
        self.both(
            world.nix_pull(&bucket.http_url(), &one, &root),
            world.nars3_pull(&bucket.url(""), &other, &root),
        )?;
        drop((one, other));
        let requests = load::pulls(&bucket)?;
        let server = self.bare(&requests)?;
        if self.first {
            let parts = self.inputs.parts(self.chapter.input)?;
            let mut seconds = parts.hash_nar + parts.write + server;
            if compression == "zstd" {
                seconds += parts.unzstd + parts.hash_file;
                self.row.peers.push(("zstd -dc | tar x".to_owned(), parts.pipe));
            }
            self.row.cpu_floor = Some(seconds / cores());
        }
        Ok(())
    }

    /// Floor (a) for requests in any order. Gives the server's processor seconds.
    fn bare(&mut self, requests: &[load::Request]) -> Result<f64> {
        let mut server_cpu = f64::MAX;
        for connections in CONNECTIONS {
            let before = self.world.server_cpu();
            let seconds = load::send(self.world.server.endpoint(), requests, connections)?.as_secs_f64();
            server_cpu = server_cpu.min(self.world.server_cpu() - before);
            self.lower_floor(seconds);
        }
        Ok(server_cpu)
    }

    fn lower_floor(&mut self, seconds: f64) {
        let lowest = self.row.requests_floor.map_or(seconds, |lowest| lowest.min(seconds));
        self.row.requests_floor = Some(lowest);
    }

    fn far(&mut self, pull: bool) -> Result<()> {
        let (world, compression) = (self.world, self.chapter.compression);
        let root = self.inputs.get(self.chapter.input)?.root.clone();
        let relay = DelayingRelay::start(world.server.endpoint(), DELAY)?;
        let (near, far) = (world.open_bucket()?, world.open_bucket()?);
        let http = format!("http://{}/{}", relay.endpoint(), far.name());
        if !pull {
            let without = world.measure(&mut world.nars3_push(&near, compression, &root))?;
            self.without(without.cost.elapsed);
            let there = world.open_bucket()?;
            return self.both(
                world.nix_push_to(&http, compression, &root),
                world.nars3_push_at(relay.endpoint(), &there, compression, &root),
            );
        }
        measure(&mut world.nars3_push(&far, compression, &root))?;
        let without = Chroot::new_in_memory()?;
        let without = measure(&mut world.nars3_pull(&far.url(""), &without, &root))?;
        self.without(without.elapsed);
        let (one, other) = (Chroot::new_in_memory()?, Chroot::new_in_memory()?);
        self.both(
            world.nix_pull(&http, &one, &root),
            world.nars3_pull(&far.url_at(relay.endpoint(), ""), &other, &root),
        )
    }

    fn without(&mut self, elapsed: Duration) {
        let seconds = elapsed.as_secs_f64();
        match self.row.peers.first_mut() {
            Some((_, least)) => *least = least.min(seconds),
            None => self.row.peers.push(("nars3 without the delay".to_owned(), seconds)),
        }
    }
}

fn cores() -> f64 {
    std::thread::available_parallelism().map_or(1.0, |cores| cores.get() as f64)
}
