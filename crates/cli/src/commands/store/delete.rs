//! `nars3 store delete`.

use nars3_binary_cache::{DeleteOptions, Deletion};
use nars3_store_api::Store;

use super::cache;
use crate::args::StoreDeleteArgs;
use crate::error::{CliError, CliResult};
use crate::installable::store_path;
use crate::output::{Output, count, count_paths};
use crate::run::Context;
use crate::stores::{Purpose, open_store};

pub(super) async fn delete(args: &StoreDeleteArgs, context: &Context) -> CliResult {
    // Whoever deletes signs nothing, and makes no cache where there is none.
    let cache = cache(open_store(&args.store, Purpose::Inspect, context).await?, "delete")?;
    let store_dir = cache.store_dir();
    let paths = args.paths.iter().map(|path| store_path(path, store_dir)).collect::<CliResult<Vec<_>>>()?;
    let options = DeleteOptions { referrers: args.referrers, dry_run: args.dry_run };
    match cache.delete(&paths, options).await? {
        Deletion::Done { paths, nars, links, realisations } => {
            let mut output = Output::stdout();
            for path in &paths {
                output.line(store_dir.print(path))?;
            }
            let would = if args.dry_run { "would delete" } else { "deleted" };
            let named = match realisations.len() {
                0 => String::new(),
                some => format!(", and {} of them", count(some as u64, "realisation")),
            };
            tracing::info!(
                "{would} {}, {} and {} to debug information{named}",
                count_paths(paths.len() as u64),
                count(nars.len() as u64, "NAR"),
                count(links.len() as u64, "link")
            );
            output.finish()
        }
        Deletion::Refused { referrers } => {
            let lines: Vec<String> = referrers
                .iter()
                .map(|(referrer, reference)| format!("\n  '{referrer}' refers to '{reference}'"))
                .collect();
            Err(CliError::new(format!(
                "nothing is deleted, because paths that stay need it:{}",
                lines.concat()
            ))
            .hint("delete those as well with --referrers; look first with --dry-run"))
        }
        _ => Err(CliError::new("the cache answered in a way that this command does not know")),
    }
}
