//! How time, memory and requests grow with the number of paths.

use anyhow::Result;
use nars3_tests::nix::Chroot;
use nars3_tests::synthetic::{Shape, write_cache};
use serde_json::{Value, json};

use crate::inputs::Inputs;
use crate::measure::{Cost, measure};

use crate::world::World;

/// One number of paths, one way.
struct Point {
    way: &'static str,
    paths: usize,
    cost: Cost,
    requests: Option<u64>,
}

impl Point {
    fn to_json(&self) -> Value {
        json!({
            "way": self.way,
            "paths": self.paths,
            "seconds": (self.cost.elapsed.as_secs_f64() * 1000.0).round() / 1000.0,
            "peak": self.cost.peak,
            "requests": self.requests,
        })
    }
}

/// Up to this many paths Nix is measured as well.
const NIX_UP_TO: usize = 1000;

/// Tiny paths, from a directory into a store, from there into a directory and a bucket, and once more into the bucket.
pub(crate) fn run(inputs: &Inputs<'_>, counts: &[usize]) -> Result<Value> {
    let mut points = Vec::new();
    for count in counts {
        println!("  {count} paths");
        let world = World::start(inputs.nix())?;
        let home = tempfile::Builder::new().prefix("nars3-bench-").tempdir()?;
        let source = home.path().join("source");
        // The root is one of them.
        let root = write_cache(&source, "tiny", Shape::Tiny, count - 1)?;
        let store = Chroot::new_in_memory()?;
        let mut point = |way, cost, requests| points.push(Point { way, paths: *count, cost, requests });

        let copy = |from: &str, to: &str| {
            let mut command = world.nars3.command();
            command.args(["copy", "--no-check-sigs", "--from", from, "--to", to, &root]);
            world.measure(&mut command)
        };
        let pulled = copy(&format!("file://{}", source.display()), &store.store_url())?;
        point("pull from a directory", pulled.cost, None);
        let target = format!("file://{}?compression=zstd", home.path().join("target").display());
        point("push to a directory", copy(&store.store_url(), &target)?.cost, None);
        let bucket = world.open_bucket()?;
        let to_bucket = bucket.url("compression=zstd");
        let pushed = copy(&store.store_url(), &to_bucket)?;
        point("push to S3", pushed.cost, Some(pushed.requests));
        let again = copy(&store.store_url(), &to_bucket)?;
        point("push to S3 again", again.cost, Some(again.requests));
        if *count <= NIX_UP_TO {
            let bucket = world.open_bucket()?;
            let mut command = world.nix.command("nix");
            let to = format!("{}?compression=zstd", bucket.http_url());
            command.args(["copy", "--from", &store.store_url(), "--to", &to, &root]);
            let pushed = world.measure(&mut command)?;
            point("Nix's push to S3", pushed.cost, Some(pushed.requests));
            let other = Chroot::new_in_memory()?;
            let mut command = world.nix.command("nix");
            let from = format!("file://{}", source.display());
            command.args(["copy", "--no-check-sigs", "--from", &from, "--to", &other.store_url(), &root]);
            point("Nix's pull from a directory", measure(&mut command)?, None);
        }
    }
    Ok(Value::Array(points.iter().map(Point::to_json).collect()))
}
