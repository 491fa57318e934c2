//! `nars3 store info`, `nars3 store init`.

use nars3_narinfo::CacheInfo;
use serde_json::json;

use super::cache;
use crate::args::{StoreInfoArgs, StoreInitArgs};
use crate::error::{CliError, CliResult};
use crate::output::{Output, print_line};
use crate::run::Context;
use crate::stores::{Purpose, open_store};

pub(super) async fn info(args: &StoreInfoArgs, context: &Context) -> CliResult {
    let opened = open_store(&args.store, Purpose::Inspect, context).await?;
    if opened.cache.as_ref().is_some_and(|cache| cache.info_denied()) {
        return Err(CliError::new(format!("access to 'nix-cache-info' in '{}' is denied", opened.store)).hint(
            "the credentials (none, if a warning said so) need s3:GetObject on the bucket, and s3:ListBucket so that \
             an empty cache can be told from a forbidden one",
        ));
    }
    let facts = opened.facts();
    if args.json {
        return print_line(json!(facts.into_iter().collect::<std::collections::BTreeMap<_, _>>()));
    }
    let mut output = Output::stdout();
    for (name, value) in facts {
        output.line(format_args!("{name}: {value}"))?;
    }
    output.finish()
}

/// Writes `nix-cache-info`. What neither an option nor the URL gives stays as it was.
pub(super) async fn init(args: &StoreInitArgs, context: &Context) -> CliResult {
    let cache = cache(open_store(&args.store, Purpose::WRITE, context).await?, "init")?;
    let store_dir = nars3_store_api::Store::store_dir(cache.as_ref()).clone();
    let mut info = cache.info().cloned().unwrap_or_else(|| CacheInfo::new(store_dir));
    info.want_mass_query = args.want_mass_query.or(cache.want_mass_query());
    info.priority = args.priority.or(cache.priority());
    cache.initialise(info).await?;
    Ok(())
}
