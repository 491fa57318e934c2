//! The S3 clients alone, without anything of Nix: small objects, a large one, a listing. Ours both, boto3, and the bare
//! client as the limit, one after another on the same server.

mod limit;
mod peers;
mod table;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nars3_tests::server::{Bucket, S3Server, Settings};
use serde_json::{Map, Value, json};
use tempfile::TempDir;

use crate::delay::DelayingRelay;
use crate::load;
use crate::measure::{Cost, measure};
use crate::record::Figures;
use crate::world::Exchange;
use peers::{Boto3, Client};

pub(crate) use table::section;

/// How far away the far server is.
const DELAY: Duration = Duration::from_millis(25);

const NO_BOTO3: &str =
    "no boto3: neither the virtual environment that is active nor PATH has a Python that knows it";

/// How much is sent around.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    /// Small objects, and the bytes of each.
    pub(crate) count: usize,
    pub(crate) bytes: usize,
    /// Keys in the listing.
    pub(crate) keys: usize,
    /// Bytes of the large object, a multiple of those of a part.
    pub(crate) large: u64,
    pub(crate) part: u64,
    /// Requests at once: for small objects, and for parts.
    pub(crate) at_once: usize,
    pub(crate) parts_at_once: usize,
}

impl Sizes {
    pub(crate) const FULL: Self = Self {
        count: 1000,
        bytes: 1024,
        keys: 10_000,
        large: 1 << 30,
        part: 8 << 20,
        at_once: 16,
        parts_at_once: 4,
    };
    pub(crate) const QUICK: Self = Self { count: 50, keys: 1500, large: 32 << 20, ..Self::FULL };

    fn to_json(self) -> Value {
        json!({
            "count": self.count, "bytes": self.bytes, "keys": self.keys, "large": self.large, "part": self.part,
            "at_once": self.at_once, "parts_at_once": self.parts_at_once,
        })
    }
}

/// What is measured in a row.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Operation {
    Put,
    Get,
    Up,
    Down,
    /// Keys, one page after another.
    List,
    /// The same as nars3 lists the paths of a cache: with one request at a time, and with several.
    Walk,
    Paths,
    /// All three from a server that is `DELAY` away.
    ListFar,
    WalkFar,
    PathsFar,
}

impl Operation {
    const ALL: [Self; 10] = [
        Self::Put,
        Self::Get,
        Self::Up,
        Self::Down,
        Self::List,
        Self::Walk,
        Self::Paths,
        Self::ListFar,
        Self::WalkFar,
        Self::PathsFar,
    ];

    /// As it is recorded.
    fn name(self) -> &'static str {
        match self {
            Self::ListFar => "list-far",
            Self::WalkFar => "walk-far",
            Self::PathsFar => "paths-far",
            near => near.word(),
        }
    }

    /// As the clients are told.
    fn word(self) -> &'static str {
        match self {
            Self::Put => "put",
            Self::Get => "get",
            Self::Up => "up",
            Self::Down => "down",
            Self::List | Self::ListFar => "list",
            Self::Walk | Self::WalkFar => "walk",
            Self::Paths | Self::PathsFar => "paths",
        }
    }

    fn is_far(self) -> bool {
        matches!(self, Self::ListFar | Self::WalkFar | Self::PathsFar)
    }

    fn lists(self) -> bool {
        matches!(self, Self::List | Self::Walk | Self::Paths) || self.is_far()
    }
}

fn peer(boto3: Option<Boto3>, is_quick: bool) -> Result<Option<Boto3>> {
    ensure!(is_quick || boto3.is_some(), NO_BOTO3);
    Ok(boto3)
}

/// Measures all, and gives what is recorded. What is kept has its peer beside it: only a quick run does without.
pub(crate) fn run(sizes: Sizes, runs: usize, machine: Vec<String>, is_quick: bool) -> Result<Value> {
    let boto3 = peer(Boto3::find(), is_quick)?;
    match &boto3 {
        Some(boto3) => println!("  boto3 {}", boto3.version),
        None => println!("  {NO_BOTO3}"),
    }
    let mut clients = vec![Client::Limit, Client::ObjectStore, Client::Rusoto];
    clients.extend(boto3.clone().map(Client::Boto3));
    let mut rows: Vec<Vec<Figures>> = vec![vec![Figures::default(); clients.len()]; Operation::ALL.len()];
    for run in 0..runs {
        println!("  run {}", run + 1);
        let round = Round::start(sizes, clients.len())?;
        for (operation, row) in Operation::ALL.into_iter().zip(&mut rows) {
            // Each of them is the first to come and the last in turn.
            for place in 0..clients.len() {
                let number = (place + run) % clients.len();
                let (Some(client), Some(figures)) = (clients.get(number), row.get_mut(number)) else {
                    continue;
                };
                if !client.can(operation) {
                    continue;
                }
                let exchange = round.measure(client, number, operation)?;
                println!(
                    "    {:9} {:12} {:.3} s",
                    operation.name(),
                    client.name(),
                    exchange.cost.elapsed.as_secs_f64()
                );
                figures.add(&exchange);
            }
        }
    }
    let mut recorded = Map::new();
    recorded.insert("sizes".to_owned(), sizes.to_json());
    recorded.insert("machine".to_owned(), machine.into());
    recorded.insert("boto3".to_owned(), boto3.map(|boto3| boto3.version).into());
    for (operation, row) in Operation::ALL.into_iter().zip(&rows) {
        let figures = clients.iter().zip(row).filter(|(_, figures)| !figures.is_empty());
        let figures: Map<_, _> =
            figures.map(|(client, figures)| (client.name().to_owned(), figures.to_json())).collect();
        recorded.insert(operation.name().to_owned(), figures.into());
    }
    Ok(recorded.into())
}

/// One run, with a server of its own.
pub(crate) struct Round {
    sizes: Sizes,
    server: S3Server,
    /// Before the server, with a delay.
    relay: DelayingRelay,
    /// One for each client.
    buckets: Vec<Bucket>,
    /// What all of them list.
    many: Bucket,
    /// In memory, where there is room for it.
    files: TempDir,
}

impl Round {
    fn start(sizes: Sizes, clients: usize) -> Result<Self> {
        let server = S3Server::start(&Settings { place: crate::floor::memory(), ..Settings::default() })?;
        let open = || -> Result<Bucket> {
            let bucket = server.fresh_bucket()?;
            limit::open_to_all(&bucket)?;
            Ok(bucket)
        };
        let buckets = (0..clients).map(|_| open()).collect::<Result<Vec<_>>>()?;
        let many = open()?;
        limit::fill(server.endpoint(), &many, sizes.keys)?;
        let memory = Some(PathBuf::from("/dev/shm")).filter(|memory| memory.is_dir());
        let files = tempfile::Builder::new()
            .prefix("nars3-bench-")
            .tempdir_in(memory.unwrap_or_else(std::env::temp_dir))?;
        let relay = DelayingRelay::start(server.endpoint(), DELAY)?;
        let round = Self { sizes, server, relay, buckets, many, files };
        std::fs::write(round.source(), vec![b'x'; usize::try_from(sizes.large)?])?;
        // Whoever lists first would pay for all.
        limit::list(round.server.endpoint(), &round.many)?;
        Ok(round)
    }

    fn source(&self) -> PathBuf {
        self.files.path().join("source")
    }

    fn measure(&self, client: &Client, number: usize, operation: Operation) -> Result<Exchange> {
        let bucket = if operation.lists() {
            &self.many
        } else {
            self.buckets.get(number).context("a client without a bucket")?
        };
        let endpoint = if operation.is_far() { self.relay.endpoint() } else { self.server.endpoint() };
        let target = self.files.path().join("target");
        let file = if operation == Operation::Down { target.clone() } else { self.source() };
        let before = load::requests_counted(self.server.endpoint())?;
        let cost = match client.command(&self.server, endpoint, bucket, operation, self.sizes, &file)? {
            Some(mut command) => {
                let mut cost = measure(&mut command)?;
                let listed = format!("{} keys\n", self.sizes.keys);
                ensure!(
                    !operation.lists() || cost.stderr.contains(&listed),
                    "no '{listed}' in {}",
                    cost.stderr
                );
                // Its own figure, without the start of an interpreter.
                let seconds = cost.stderr.lines().last().and_then(|line| line.trim().parse().ok());
                cost.elapsed = Duration::from_secs_f64(seconds.context("no seconds were told")?);
                cost
            }
            None => {
                let elapsed = limit::run(endpoint, bucket, operation, self.sizes)?;
                Cost { elapsed, cpu: 0.0, peak: 0, stderr: String::new() }
            }
        };
        if operation == Operation::Down && target.exists() {
            let length = std::fs::metadata(&target)?.len();
            ensure!(length == self.sizes.large, "{} brought {length} bytes", client.name());
            std::fs::remove_file(&target)?;
        }
        Ok(Exchange { cost, requests: load::requests_counted(self.server.endpoint())? - before })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_quick_run_does_without_its_peer() {
        assert!(peer(None, true).unwrap().is_none());
        peer(None, false).unwrap_err();
    }
}
