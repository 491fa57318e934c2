//! How the work on a whole cache grows with the number of its paths. Real Nix has no word for it over HTTP.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use nars3_tests::server::Bucket;
use nars3_tests::synthetic::{Shape, write_cache};
use serde_json::{Value, json};

use super::figures;
use super::traffic::measure;
use crate::inputs::Inputs;
use crate::load;
use crate::world::World;

/// Paths that are asked for in a bucket of any size, and are not there.
const FEW: usize = 100;

/// Connections that fill a bucket.
const CONNECTIONS: usize = 16;

pub(super) fn run(inputs: &Inputs<'_>, counts: &[usize]) -> Result<Value> {
    let mut points = Vec::new();
    for count in counts {
        println!("  {count} paths in a bucket");
        let world = World::start(inputs.nix())?;
        let home = tempfile::Builder::new().prefix("nars3-bench-").tempdir()?;
        let (all, few) = (home.path().join("all"), home.path().join("few"));
        let root = write_cache(&all, "tiny", Shape::Tiny, count - 1)?;
        let absent = write_cache(&few, "other", Shape::Tiny, FEW - 1)?;
        let bucket = world.open_bucket()?;
        fill(&world, &bucket, &all)?;
        let url = bucket.url("");
        let from = |directory: &Path| format!("file://{}", directory.display());
        let (all, few) = (from(&all), from(&few));
        let missing = ["copy", "--dry-run", "--to", &url, "--from"];
        for (what, words) in [
            ("list all paths (`path-info --all`)", vec!["path-info", "--all", "--store", &url]),
            ("which of all are missing (`copy --dry-run`)", [&missing[..], &[&all, &root]].concat()),
            ("which of 100 others are missing", [&missing[..], &[&few, &absent]].concat()),
            (
                "`store verify --all --no-contents`",
                vec!["store", "verify", "--all", "--no-contents", "--no-trust", "--store", &url],
            ),
            ("`store verify --all`", vec!["store", "verify", "--all", "--no-trust", "--store", &url]),
        ] {
            let mut command = world.nars3.command();
            let measured = measure(world.server.endpoint(), command.arg("--refresh").args(words))?;
            points.push(json!({ "what": what, "paths": count, "figures": figures(&[measured]) }));
        }
    }
    Ok(Value::Array(points))
}

/// Brings all files of a cache directory into a bucket.
fn fill(world: &World<'_>, bucket: &Bucket, directory: &Path) -> Result<()> {
    let mut requests = Vec::new();
    for folder in ["", "nar/"] {
        for entry in std::fs::read_dir(directory.join(folder))? {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                let name = entry.file_name().into_string().ok().context("a key is not UTF-8")?;
                let body = Arc::new(std::fs::read(entry.path())?);
                let target = format!("/{}/{folder}{name}", bucket.name());
                requests.push(load::Request::new("PUT", target, body, Vec::new()));
            }
        }
    }
    load::send(world.server.endpoint(), &requests, CONNECTIONS)?;
    Ok(())
}
