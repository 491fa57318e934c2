//! What is asked of a cache beside copying: path infos, single files of a large path, verification; and how that grows with
//! the number of paths.

mod operations;
mod scale;
mod table;
mod traffic;

use anyhow::Result;
use serde_json::{Value, json};

use crate::inputs::Inputs;
use crate::record::median;

pub(crate) use table::section;
use traffic::Measured;

/// How much of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    /// Bytes of the large path.
    large: u64,
    /// Numbers of paths in a bucket.
    paths: &'static [usize],
}

impl Sizes {
    pub(crate) const QUICK: Self = Self { large: 64 << 20, paths: &[100, 300] };
    pub(crate) const USUAL: Self = Self { large: 1 << 30, paths: &[1000, 10_000] };
    pub(crate) const FULL: Self = Self { large: 1 << 30, paths: &[1000, 10_000, 100_000] };
}

/// Measures everything; `machine` says where.
pub(crate) fn run(inputs: &Inputs<'_>, sizes: Sizes, runs: usize, machine: &[String]) -> Result<Value> {
    Ok(json!({
        "large": sizes.large,
        "operations": operations::run(inputs, sizes.large, runs)?,
        "scale": scale::run(inputs, sizes.paths)?,
        "machine": machine,
    }))
}

/// Some runs of one command as JSON: medians, and the highest memory.
fn figures(runs: &[Measured]) -> Value {
    let middle = |value: fn(&Measured) -> f64| median(&runs.iter().map(value).collect::<Vec<_>>());
    let last = runs.last();
    json!({
        "seconds": (middle(|run| run.cost.elapsed.as_secs_f64()) * 1000.0).round() / 1000.0,
        "cpu": (middle(|run| run.cost.cpu) * 1000.0).round() / 1000.0,
        "peak": runs.iter().map(|run| run.cost.peak).max(),
        "requests": last.map(|run| run.traffic.requests),
        "received": last.map(|run| run.traffic.received),
    })
}
