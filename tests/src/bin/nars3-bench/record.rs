//! What was measured, kept in `docs/benchmarks.json`, so that a run of some chapters leaves the figures of the others.

use std::path::PathBuf;

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};

use crate::world::Exchange;

/// Figures of one tool in one row.
#[derive(Clone, Debug, Default)]
pub(crate) struct Figures {
    seconds: Vec<f64>,
    cpu: Vec<f64>,
    peak: u64,
    requests: Option<u64>,
}

impl Figures {
    pub(crate) fn add(&mut self, exchange: &Exchange) {
        self.seconds.push(exchange.cost.elapsed.as_secs_f64());
        self.cpu.push(exchange.cost.cpu);
        self.peak = self.peak.max(exchange.cost.peak);
        self.requests = Some(exchange.requests);
    }

    pub(crate) fn seconds(&self) -> f64 {
        median(&self.seconds)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.seconds.is_empty()
    }

    pub(crate) fn to_json(&self) -> Value {
        json!({
            "seconds": rounded(median(&self.seconds)),
            "all": self.seconds.iter().copied().map(rounded).collect::<Vec<_>>(),
            "cpu": rounded(median(&self.cpu)),
            "peak": self.peak,
            "requests": self.requests,
        })
    }
}

fn rounded(seconds: f64) -> f64 {
    (seconds * 1000.0).round() / 1000.0
}

pub(crate) fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

/// One row of the table.
#[derive(Clone, Debug, Default)]
pub(crate) struct Row {
    /// The input, in a sentence.
    pub(crate) input: String,
    pub(crate) nix: Figures,
    pub(crate) nars3: Figures,
    /// Seconds that the bare client took for the same requests, with the best number of connections.
    pub(crate) requests_floor: Option<f64>,
    /// Processor seconds that cannot be avoided, divided by the cores.
    pub(crate) cpu_floor: Option<f64>,
    /// Other programs, and their seconds.
    pub(crate) peers: Vec<(String, f64)>,
    /// What nars3 said with `--stats` in its last run.
    pub(crate) stats: String,
}

impl Row {
    fn to_json(&self) -> Value {
        let peers: Map<_, _> =
            self.peers.iter().map(|(name, seconds)| (name.clone(), json!(rounded(*seconds)))).collect();
        json!({
            "input": self.input,
            "nix": if self.nix.is_empty() { Value::Null } else { self.nix.to_json() },
            "nars3": self.nars3.to_json(),
            "requests_floor": self.requests_floor.map(rounded),
            "cpu_floor": self.cpu_floor.map(rounded),
            "peers": peers,
            "stages": stages(&self.stats),
        })
    }
}

/// The lines of `--stats` that tell how the time of a stage was spent: `stage NAME: busy 1.2 s, …`.
fn stages(stats: &str) -> Vec<Value> {
    let lines = stats.lines().filter_map(|line| line.trim().strip_prefix("stage "));
    lines
        .filter_map(|line| {
            let (name, rest) = line.split_once(": ")?;
            let seconds = |word: &str| -> f64 {
                let field = rest.split(", ").find_map(|field| field.strip_prefix(word));
                field.and_then(|field| field.trim().split(' ').next()?.parse().ok()).unwrap_or(0.0)
            };
            Some(json!({
                "name": name,
                "busy": seconds("busy"),
                "input": seconds("waited for input"),
                "output": seconds("waited for output"),
            }))
        })
        .collect()
}

/// All figures that there are.
pub(crate) struct Records {
    file: PathBuf,
    pub(crate) all: Map<String, Value>,
}

impl Records {
    pub(crate) fn load(file: PathBuf) -> Result<Self> {
        let all = match std::fs::read(&file) {
            Ok(text) => serde_json::from_slice(&text).with_context(|| format!("read {}", file.display()))?,
            Err(_) => Map::new(),
        };
        Ok(Self { file, all })
    }

    pub(crate) fn set_row(&mut self, name: &str, row: &Row) {
        self.set(name, row.to_json());
    }

    pub(crate) fn set(&mut self, name: &str, value: Value) {
        self.all.insert(name.to_owned(), value);
    }

    pub(crate) fn save(&self) -> Result<()> {
        let text = serde_json::to_string_pretty(&self.all)? + "\n";
        std::fs::write(&self.file, text).with_context(|| format!("cannot write {}", self.file.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_are_found_among_other_lines() {
        let said = "s3://b: 3 requests\nstage compress: busy 1.50 s, waited for input 0.25 s, waited for output 2.00 s\n";
        let found = stages(said);
        assert_eq!(found, [json!({ "name": "compress", "busy": 1.5, "input": 0.25, "output": 2.0 })]);
    }

    #[test]
    fn the_median_is_in_the_middle() {
        assert!((median(&[3.0, 1.0, 2.0]) - 2.0).abs() < f64::EPSILON);
        assert!(median(&[]).abs() < f64::EPSILON);
    }
}
