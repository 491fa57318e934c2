//! Pushes beside niks3, the fastest pusher known.

mod service;

use std::fmt::Write;

use anyhow::Result;
use serde_json::{Value, json};

use self::service::{Database, Programs, Service};
use crate::inputs::{Inputs, Which};
use crate::record::median;
use crate::report::{mebibytes, number, shown};
use crate::world::{Exchange, World};

const TOOLS: [&str; 2] = ["niks3", "nars3"];

/// Measures the pushes; `machine` says where.
///
/// # Errors
/// When niks3 or PostgreSQL is not there.
pub(crate) fn run(inputs: &Inputs<'_>, runs: usize, machine: &[String]) -> Result<Value> {
    let programs = Programs::find()?;
    let database = Database::start(&programs)?;
    let mut rows = Vec::new();
    for (which, title) in [
        (Which::Small, "push small, zstd"),
        (Which::Wide, "push wide, zstd"),
        (Which::Tree, "push tree, zstd"),
    ] {
        let root = &inputs.get(which)?.root;
        let mut first: [Vec<Exchange>; 2] = Default::default();
        let mut again: [Vec<Exchange>; 2] = Default::default();
        for run in 1..=runs {
            println!("  {title} beside niks3, run {run} of {runs}");
            let world = World::start(inputs.nix())?;
            let (theirs, ours) = (world.open_bucket()?, world.open_bucket()?);
            let service = Service::start(&database, &world, &theirs)?;
            for pushes in [&mut first, &mut again] {
                let [by_niks3, by_nars3] = pushes;
                by_niks3.push(world.measure(&mut service.push(root))?);
                by_nars3.push(world.measure(&mut world.nars3_push(&ours, "zstd", root))?);
            }
        }
        rows.push(row(title, &first));
        rows.push(row(&format!("{title}, again: nothing to do"), &again));
    }
    Ok(json!({ "rows": rows, "machine": machine }))
}

fn row(title: &str, [niks3, nars3]: &[Vec<Exchange>; 2]) -> Value {
    let figures = |runs: &[Exchange]| {
        let seconds: Vec<f64> = runs.iter().map(|run| run.cost.elapsed.as_secs_f64()).collect();
        json!({
            "seconds": (median(&seconds) * 1000.0).round() / 1000.0,
            "peak": runs.iter().map(|run| run.cost.peak).max(),
            "requests": runs.last().map(|run| run.requests),
        })
    };
    json!({ "title": title, "niks3": figures(niks3), "nars3": figures(nars3) })
}

/// The section of the page, or nothing where nothing was measured.
pub(crate) fn section(recorded: &Value) -> String {
    let Some(rows) = recorded.get("rows").and_then(Value::as_array) else { return String::new() };
    let mut text = String::from(
        "## Pushes beside niks3\n\nniks3 with its server and a PostgreSQL of its own, which wait for no disk; both sign. \
         `NIKS3_BIN=DIR cargo xtask bench --only niks3`\n\n\
         | what | niks3 s | nars3 s | × as fast | requests to S3: niks3 | nars3 | peak MiB: niks3 push | nars3 |\n\
         |---|--:|--:|--:|--:|--:|--:|--:|\n",
    );
    for row in rows {
        let seconds = TOOLS.map(|tool| number(row, &format!("/{tool}/seconds")));
        let ratio = seconds[0].zip(seconds[1]).map(|(theirs, ours)| theirs / ours);
        let requests = TOOLS.map(|tool| shown(number(row, &format!("/{tool}/requests")), 0));
        let peaks = TOOLS.map(|tool| shown(mebibytes(number(row, &format!("/{tool}/peak"))), 0));
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} | {} |",
            row.get("title").and_then(Value::as_str).unwrap_or_default(),
            shown(seconds[0], 2),
            shown(seconds[1], 2),
            shown(ratio, 2),
            requests[0],
            requests[1],
            peaks[0],
            peaks[1],
        );
    }
    text.push_str(
        "\nMedians, seconds of wall clock of the command, the tools taking turns on one MinIO, which shares the processor with them. \
         The work of\nniks3's server is not in the memory of its command.\n\n",
    );
    for line in recorded.get("machine").and_then(Value::as_array).into_iter().flatten() {
        let _ = writeln!(text, "- {}", line.as_str().unwrap_or_default());
    }
    text
}
