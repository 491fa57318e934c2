//! `nars3 copy`.

mod explain;
mod report;

use std::sync::Arc;

use nars3_binary_cache::RateLimit;
use nars3_copy::{CopyError, CopyOptions, CopyState, PathPredicate, Selection, Signer};
use nars3_store_api::{BuildRecords, Event, Pace, Store, StoreError};
use nars3_store_path::{PublicKey, RealisedOutput, StoreDir, StorePath};
use regex_lite::Regex;

use self::explain::{explain, explain_state};
use crate::args::CopyArgs;
use crate::error::{CliError, CliResult, ResultExt};
use crate::roots::{Roots, roots};
use crate::run::Context;
use crate::stores::{Beside, OpenedStore, Purpose, by_priority, open_store, open_store_beside};

pub(crate) async fn run(args: CopyArgs, context: &Context) -> CliResult {
    let context = &Context {
        rate: args.limit_rate.map(RateLimit::new),
        memory: args.memory,
        spool: args.spool,
        ..context.clone()
    };
    // Before anything is opened: an expression or a key that is wrong costs no request.
    let exclude = excluding(&args.exclude)?;
    let signed_by = args.skip_signed_by.iter().map(|key| signer(key)).collect::<CliResult<Vec<_>>>()?;
    let source = open_store(args.from.as_deref().unwrap_or_default(), Purpose::Read, context).await?;
    let check_signatures = !args.trust.no_check_sigs && !source.trusted;
    let upstreams = open_upstreams(&args.skip_in, context).await?;
    let destination = open_destination(&args, &source, &upstreams, check_signatures, context).await?;
    let (any_cache, from_cache) = (source.is_cache || destination.is_cache, source.is_cache);
    let (source, source_records) = (source.store, source.records);
    let state = open_state(&args, &destination).await?;
    if args.substitute_on_destination && !destination.has_substituters {
        let message = format!(
            "'{}' fetches nothing by itself, so --substitute-on-destination has no effect: only a daemon does",
            destination.store
        );
        context.progress.report(Event::Warning { message: &message });
    }

    let Roots { paths: roots, realised, unresolved } = roots(&args, source_records.as_ref()).await?;
    for error in &unresolved {
        context.progress.report(Event::Warning { message: &error.to_string() });
    }
    let unresolved = unresolved.len();
    let mut options = CopyOptions::default();
    options.recursive = !args.no_recursive;
    options.check_signatures = check_signatures;
    options.repair = args.repair;
    options.keep_going = args.keep_going;
    options.substitute = args.substitute_on_destination && !args.dry_run;
    options.jobs = jobs_within(args.memory, usize::from(args.jobs));
    // Where there is a cache, what goes to it and comes from it is held to the rate, as it travels.
    if let Some(rate) = context.rate.as_ref().filter(|_| !any_cache) {
        options.pace = Some(Arc::clone(rate) as Arc<dyn Pace>);
    }
    let mut selection = Selection::default();
    selection.upstreams = upstreams;
    selection.signed_by = signed_by;
    selection.exclude = exclude.map(|exclude| matching(exclude, source.store_dir().clone()));
    selection.known = state.as_ref().map(|state| Arc::clone(state.known())).unwrap_or_default();
    options.selection = selection;

    let (destination, destination_records) = (destination.store, destination.records);
    let plan = nars3_copy::plan(&source, &destination, &roots, &options)
        .await
        .map_err(|error| explain(error, from_cache))?;
    if args.dry_run {
        report::print_plan(&plan, source.store_dir(), args.json)?;
        let failed = plan.failed.len();
        ensure_none(failed, &format!("of {} paths could not be copied", failed + plan.paths.len()))?;
        return ensure_none(unresolved, UNRESOLVED);
    }
    report::tell_what_is_left_out(&plan, &roots, context.progress.as_ref());
    tracing::debug!(paths = plan.paths.len(), present = plan.present, from = %source, to = %destination, "copying");
    let progress = match &state {
        Some(state) => {
            state.record(&plan.confirmed);
            state.observer(Arc::clone(&context.progress))
        }
        None => Arc::clone(&context.progress),
    };
    let left_out = plan.left_out.clone();
    match nars3_copy::execute(&source, &destination, plan, &options, progress).await {
        Ok(done) => {
            report::print_report(&done, &left_out, &[], source.store_dir(), args.json)?;
            let records = (source_records.as_ref(), destination_records.as_ref());
            keep_realisations(records, &realised, check_signatures, context).await?;
            ensure_none(unresolved, UNRESOLVED)
        }
        Err(CopyError::Partial { attempted, failed, report, .. }) => {
            report::print_report(&report, &left_out, &failed, source.store_dir(), args.json)?;
            Err(explain(CopyError::Partial { attempted, failed, report }, from_cache))
        }
        Err(error) => Err(explain(error, from_cache)),
    }
}

/// What outputs turned out to be goes along with their paths, where the destination keeps such things: so that whoever has the
/// derivation finds them there.
async fn keep_realisations(
    (source, destination): (&dyn BuildRecords, &dyn BuildRecords),
    outputs: &[RealisedOutput],
    check_signatures: bool,
    context: &Context,
) -> CliResult {
    match nars3_copy::copy_realisations(source, destination, outputs, check_signatures).await {
        Ok(_) => Ok(()),
        Err(CopyError::Store(error @ StoreError::Unsupported { .. })) => {
            let message = format!("the paths were copied, but not what records them as outputs: {error}");
            context.progress.report(Event::Warning { message: &message });
            Ok(())
        }
        Err(error) => Err(explain(error, false)),
    }
}

const UNRESOLVED: &str = "of what was named leads to no path (see above)";

/// The error of a copy that went on without `count` of something.
fn ensure_none(count: usize, of_what: &str) -> CliResult {
    if count == 0 { Ok(()) } else { Err(CliError::new(format!("{count} {of_what}")).partial()) }
}

/// Each NAR under way has buffers of its own, of some 2 MiB: fewer at once where memory is short.
fn jobs_within(memory: Option<u64>, jobs: usize) -> usize {
    let affordable = memory.map_or(u64::MAX, |memory| memory / (8 << 20));
    jobs.min(usize::try_from(affordable).unwrap_or(usize::MAX)).max(1)
}

async fn open_upstreams(urls: &[String], context: &Context) -> CliResult<Vec<Arc<dyn Store>>> {
    let mut stores: Vec<OpenedStore> = Vec::with_capacity(urls.len());
    for url in urls {
        let opened = open_store(url, Purpose::Read, context).await?;
        if opened.cache.is_none() {
            return Err(CliError::new(format!("--skip-in: '{}' is not a binary cache", opened.store))
                .hint("name a cache that the clients of the destination have as a substituter"));
        }
        stores.push(opened);
    }
    Ok(by_priority(stores))
}

async fn open_destination(
    args: &CopyArgs,
    source: &OpenedStore,
    upstreams: &[Arc<dyn Store>],
    check_signatures: bool,
    context: &Context,
) -> CliResult<OpenedStore> {
    // A copy out of a binary cache is checked by the store it goes to, unless someone says otherwise.
    let writing = Purpose::Write {
        trusted_public_keys: &args.trust.trusted_public_keys,
        secret_key_files: &args.secret_key_file,
        check_signatures,
        optimise: args.optimise,
    };
    let purpose = if args.dry_run { Purpose::Preview } else { writing };
    let url = args.to.as_deref().unwrap_or_default();
    let source = (!args.read_files).then_some(source);
    let beside = Beside { upstreams: upstreams.to_vec(), source };
    let destination = open_store_beside(url, beside, purpose, context).await?;
    if !upstreams.is_empty() && !destination.is_cache {
        return Err(CliError::new(format!(
            "--skip-in: '{}' is not a binary cache, and has to hold everything that its paths refer to",
            destination.store
        ))
        .hint("leave out --skip-in: what the upstream has can be copied from there, with --from"));
    }
    Ok(destination)
}

async fn open_state(args: &CopyArgs, destination: &OpenedStore) -> CliResult<Option<Arc<CopyState>>> {
    let Some(file) = args.state.clone() else { return Ok(None) };
    // Who only asks makes no file either.
    if args.dry_run && !file.exists() {
        return Ok(None);
    }
    let (identity, store_dir) = (destination.identity.clone(), destination.store.store_dir().clone());
    let shown = file.display().to_string();
    let opened = tokio::task::spawn_blocking(move || CopyState::open(&file, &identity, &store_dir)).await?;
    let state = opened.map_err(explain_state)?;
    if state.ignored_lines() > 0 {
        tracing::warn!(
            "{} lines of the state file '{shown}' name no store path and are ignored: what they were about is asked for \
             again",
            state.ignored_lines()
        );
    }
    Ok(Some(Arc::new(state)))
}

/// One expression for all of `--exclude`; `None` without any.
fn excluding(expressions: &[String]) -> CliResult<Option<Vec<Regex>>> {
    if expressions.is_empty() {
        return Ok(None);
    }
    let compile = |text: &String| {
        Regex::new(text).context(|| format!("--exclude: '{text}' is not a regular expression")).hint(|| {
            "it is looked for anywhere in the full store path; '^' and '$' bind it to the ends".to_owned()
        })
    };
    expressions.iter().map(compile).collect::<CliResult<Vec<_>>>().map(Some)
}

fn matching(expressions: Vec<Regex>, store_dir: StoreDir) -> PathPredicate {
    Arc::new(move |path: &StorePath| {
        let printed = store_dir.print(path);
        expressions.iter().any(|expression| expression.is_match(&printed))
    })
}

/// `NAME:BASE64` is a key, and a name alone names one.
fn signer(text: &str) -> CliResult<Signer> {
    if !text.contains(':') {
        return Ok(Signer::Name(text.to_owned()));
    }
    let key: PublicKey =
        text.parse().context(|| format!("--skip-signed-by: '{text}' is not a public key, NAME:BASE64"))?;
    Ok(Signer::Key(Box::new(key)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_sees_the_whole_path() {
        let path = StorePath::from_base_name("4skgh1cs6ihmnyyz1j0s8hvbx0mwf0qb-hello-2.12").unwrap();
        for (expression, expected) in
            [("-hello-", true), ("^/nix/store/4sk", true), ("2.12$", true), ("^hello", false)]
        {
            let matches =
                matching(excluding(&[expression.to_owned()]).unwrap().unwrap(), StoreDir::default());
            assert_eq!(matches(&path), expected, "{expression}");
        }
        let error = excluding(&["(".to_owned()]).unwrap_err().to_string();
        assert!(error.contains("--exclude: '(' is not a regular expression"), "{error}");
    }

    #[test]
    fn a_signer_is_a_key_or_the_name_of_one() {
        assert!(matches!(signer("cache.nixos.org-1").unwrap(), Signer::Name(_)));
        let key = "cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=";
        assert!(matches!(signer(key).unwrap(), Signer::Key(_)));
        assert!(signer("cache.nixos.org-1:short").is_err());
    }
}
