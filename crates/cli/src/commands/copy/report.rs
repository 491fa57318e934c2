//! What a copy says: what it would do and why, what it left out, and what it did.

use std::collections::HashSet;

use nars3_copy::{FailedPath, LeftOut, Omission, Plan, Report};
use nars3_store_api::{Event, Progress, StoreError};
use nars3_store_path::{StoreDir, StorePath};
use serde_json::{Value, json};

use crate::error::CliResult;
use crate::output::{Output, count_paths, human_bytes, print_line};

/// What would be copied, how many bytes that is, and why: because it was named, or because something needs it.
pub(super) fn print_plan(plan: &Plan, store_dir: &StoreDir, as_json: bool) -> CliResult {
    let mut output = Output::stdout();
    if as_json {
        let paths: Vec<_> = plan
            .paths
            .iter()
            .map(|info| {
                json!({
                    "path": store_dir.print(&info.path),
                    "narSize": info.nar_size,
                    "referrer": plan.referrers.get(&info.path).map(|referrer| store_dir.print(referrer)),
                })
            })
            .collect();
        output.line(json!({
            "paths": paths,
            "narBytes": plan.nar_bytes(),
            "present": plan.present,
            "leftOut": left_out_json(&plan.left_out, store_dir),
            "failed": failed_json(&plan.failed, store_dir),
        }))?;
        return output.finish();
    }
    for info in &plan.paths {
        let why = match plan.referrers.get(&info.path) {
            Some(referrer) => format!("'{referrer}' needs it"),
            None => "it was named".to_owned(),
        };
        let path = store_dir.print(&info.path);
        output.line(format_args!("{path} ({}), because {why}", human_bytes(info.nar_size)))?;
    }
    for LeftOut { path, why, .. } in &plan.left_out {
        output.line(format_args!("not {}, because {}", store_dir.print(path), reason(why)))?;
    }
    for FailedPath { path, error, .. } in &plan.failed {
        let why =
            error.as_ref().map_or_else(|| "a path it refers to cannot".to_owned(), StoreError::with_causes);
        output.line(format_args!("cannot copy {}: {why}", store_dir.print(path)))?;
    }
    output.line(format_args!(
        "would copy {}, {} of NARs; {} there already{}",
        count_paths(plan.paths.len() as u64),
        human_bytes(plan.nar_bytes()),
        plan.present,
        if plan.left_out.is_empty() { String::new() } else { format!(", {} left out", plan.left_out.len()) }
    ))?;
    output.finish()
}

fn reason(why: &Omission) -> String {
    match why {
        Omission::Upstream { store } => format!("'{store}' has it"),
        Omission::Excluded => "it is excluded".to_owned(),
        Omission::RefersToExcluded { reference } => {
            format!("it refers to '{reference}', which is left out")
        }
        _ => "it is left out".to_owned(),
    }
}

/// What an upstream has is what was asked for; what was dropped because of `--exclude` may be more than was meant.
pub(super) fn tell_what_is_left_out(plan: &Plan, roots: &[StorePath], progress: &dyn Progress) {
    let count = |wanted: fn(&Omission) -> bool| plan.left_out.iter().filter(|one| wanted(&one.why)).count();
    let upstream = count(|why| matches!(why, Omission::Upstream { .. }));
    if upstream > 0 {
        tracing::info!(paths = upstream, "left to the upstream caches that have them");
    }
    let excluded = count(|why| matches!(why, Omission::Excluded));
    let dropped = count(|why| matches!(why, Omission::RefersToExcluded { .. }));
    let warn = |message: String| progress.report(Event::Warning { message: &message });
    if dropped > 0 {
        let verb = if dropped == 1 { "refers" } else { "refer" };
        warn(format!(
            "{} excluded, and {} not copied either that {verb} to what is excluded (--dry-run lists them)",
            count_paths(excluded as u64),
            count_paths(dropped as u64)
        ));
    }
    let roots: HashSet<&StorePath> = roots.iter().collect();
    for LeftOut { path, why, .. } in plan.left_out.iter().filter(|one| roots.contains(&one.path)) {
        if !matches!(why, Omission::Upstream { .. }) {
            warn(format!("'{path}' was named, but is not copied, because {}", reason(why)));
        }
    }
}

/// What was done; people have seen it already.
pub(super) fn print_report(
    report: &Report,
    left_out: &[LeftOut],
    failed: &[FailedPath],
    store_dir: &StoreDir,
    as_json: bool,
) -> CliResult {
    if !as_json {
        return Ok(());
    }
    let copied: Vec<_> = report.copied.iter().map(|path| store_dir.print(path)).collect();
    print_line(json!({
        "copied": copied,
        "narBytes": report.nar_bytes,
        "present": report.present,
        "leftOut": left_out_json(left_out, store_dir),
        "failed": failed_json(failed, store_dir),
    }))
}

fn failed_json(failed: &[FailedPath], store_dir: &StoreDir) -> Vec<Value> {
    let json = |one: &FailedPath| {
        let error = one.error.as_ref().map(StoreError::with_causes);
        json!({ "path": store_dir.print(&one.path), "error": error })
    };
    failed.iter().map(json).collect()
}

fn left_out_json(left_out: &[LeftOut], store_dir: &StoreDir) -> Vec<Value> {
    left_out
        .iter()
        .map(|LeftOut { path, why, .. }| {
            let path = store_dir.print(path);
            match why {
                Omission::Upstream { store } => json!({ "path": path, "why": "upstream", "upstream": store }),
                Omission::RefersToExcluded { reference } => {
                    json!({ "path": path, "why": "reference", "reference": store_dir.print(reference) })
                }
                _ => json!({ "path": path, "why": "excluded" }),
            }
        })
        .collect()
}
