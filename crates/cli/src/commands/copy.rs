//! `nars3 copy`.

use std::io::BufRead;
use std::path::PathBuf;
use std::sync::Arc;

use nars3_copy::{CopyError, CopyOptions, Plan, Report};
use nars3_store_api::{Store, StoreError};
use nars3_store_path::StorePath;
use serde_json::json;

use crate::args::CopyArgs;
use crate::error::{CliError, CliResult, ResultExt};
use crate::installable::store_path;
use crate::output::{Output, count_paths, human_bytes, print_line};
use crate::run::Context;
use crate::stores::{Purpose, open_store};

pub(crate) async fn run(args: CopyArgs, context: &Context) -> CliResult {
    let source = open_store(args.from.as_deref().unwrap_or("auto"), Purpose::Read, context).await?;
    let trusted_source = source.trusted;
    let destination = args.to.as_deref().unwrap_or("auto");
    // A copy out of a binary cache is checked by the store it goes to, unless someone says otherwise.
    let writing = Purpose::Write {
        trusted_public_keys: &args.trust.trusted_public_keys,
        secret_key_files: &args.secret_key_file,
        check_signatures: !args.trust.no_check_sigs && !trusted_source,
        optimise: args.optimise,
    };
    let purpose = if args.dry_run { Purpose::Preview } else { writing };
    let destination = open_store(destination, purpose, context).await?.store;
    let source = source.store;

    let mut texts = args.paths.clone();
    if args.stdin {
        texts.extend(tokio::task::spawn_blocking(lines_of_stdin).await??);
    }
    let roots = texts
        .iter()
        .map(|text| store_path(text, source.store_dir()))
        .collect::<CliResult<Vec<StorePath>>>()?;
    let mut options = CopyOptions::default();
    options.recursive = !args.no_recursive;
    options.check_signatures = !args.trust.no_check_sigs && !trusted_source;
    options.repair = args.repair;
    options.keep_going = args.keep_going;
    options.jobs = usize::from(args.jobs);

    let plan = nars3_copy::plan(&source, &destination, &roots, &options).await.map_err(explain)?;
    if args.dry_run {
        return print_plan(&plan, source.as_ref(), args.json);
    }
    tracing::info!(paths = plan.paths.len(), present = plan.present, from = %source, to = %destination, "copying");
    let copied =
        nars3_copy::execute(&source, &destination, plan, &options, Arc::clone(&context.progress)).await;
    print_report(&copied.map_err(explain)?, source.as_ref(), args.json)
}

/// Store paths from standard input, one a line. Blocks until its end.
fn lines_of_stdin() -> CliResult<Vec<PathBuf>> {
    let mut texts = Vec::new();
    for line in std::io::stdin().lock().lines() {
        let line = line.context(|| "cannot read store paths from standard input".to_owned())?;
        texts.extend(Some(line.trim()).filter(|line| !line.is_empty()).map(PathBuf::from));
    }
    Ok(texts)
}

fn print_plan(plan: &Plan, source: &dyn Store, as_json: bool) -> CliResult {
    let mut output = Output::stdout();
    if as_json {
        let paths: Vec<_> = plan
            .paths
            .iter()
            .map(|info| json!({ "path": source.store_dir().print(&info.path), "narSize": info.nar_size }))
            .collect();
        output.line(json!({ "paths": paths, "narBytes": plan.nar_bytes(), "present": plan.present }))?;
    } else {
        for info in &plan.paths {
            output.line(format_args!(
                "{} ({})",
                source.store_dir().print(&info.path),
                human_bytes(info.nar_size)
            ))?;
        }
        output.line(format_args!(
            "would copy {}, {} of NARs; {} there already",
            count_paths(plan.paths.len() as u64),
            human_bytes(plan.nar_bytes()),
            plan.present
        ))?;
    }
    output.finish()
}

fn print_report(report: &Report, source: &dyn Store, as_json: bool) -> CliResult {
    if !as_json {
        return Ok(());
    }
    let copied: Vec<_> = report.copied.iter().map(|path| source.store_dir().print(path)).collect();
    print_line(json!({ "copied": copied, "narBytes": report.nar_bytes, "present": report.present }))
}

/// Adds to an error of the engine what a person can do about it.
fn explain(error: CopyError) -> CliError {
    let hint = match &error {
        CopyError::Store(StoreError::Untrusted { signed_by, .. }) if signed_by.is_empty() => Some(
            "the path is unsigned: sign what is pushed (--secret-key-file, NARS3_SECRET_KEY), or take it as it is \
             with --no-check-sigs"
                .to_owned(),
        ),
        CopyError::Store(StoreError::Untrusted { signed_by, .. }) => Some(format!(
            "it carries signatures that name {}: give that key's public half with --trusted-public-keys, if you trust it",
            signed_by.join(", ")
        )),
        CopyError::Store(StoreError::MissingReference { .. }) => {
            Some("copy the whole closure: leave out --no-recursive".to_owned())
        }
        CopyError::Store(StoreError::NarGone { .. }) => {
            Some("the cache lists a path whose NAR was deleted: push the path again with --repair".to_owned())
        }
        CopyError::Store(StoreError::BadSignature { .. }) => Some(
            "take the key from who runs the cache; if it is right, the cache was tampered with, and the path is not to \
             be used"
                .to_owned(),
        ),
        CopyError::Store(
            StoreError::NarHashMismatch { .. }
            | StoreError::NarSizeMismatch { .. }
            | StoreError::FileMismatch { .. },
        ) => {
            Some("the cache holds a damaged NAR: push the path again with --repair".to_owned())
        }
        CopyError::StoreDirsDiffer { .. } => {
            Some("paths cannot move between store directories: their names depend on it".to_owned())
        }
        CopyError::Partial { .. } => return CliError::from(error).partial(),
        _ => None,
    };
    let error = CliError::from(error);
    match hint {
        Some(hint) => error.hint(hint),
        None => error,
    }
}
