//! `nars3 log`, `nars3 store copy-log`.

use std::io::Write;

use nars3_store_api::BuildRecords;
use nars3_store_path::StorePath;

use crate::args::{LogArgs, StoreCopyLogArgs};
use crate::error::{CliError, CliResult};
use crate::installable::store_path;
use crate::output::Output;
use crate::run::Context;
use crate::stores::{Purpose, open_store};

/// Prints the log of the build of a derivation, or of an output whose deriver the store knows.
pub(crate) async fn show_log(args: &LogArgs, context: &Context) -> CliResult {
    let store = open_store(&args.store, Purpose::Read, context).await?.records;
    let path = store_path(&args.path, store.store_dir())?;
    let log = match derivation(&path, store.as_ref()).await? {
        Some(derivation) => store.log(&derivation).await?,
        None => None,
    };
    let Some(mut log) = log else {
        return Err(CliError::new(format!(
            "build log of '{}' is not in '{store}'",
            store.store_dir().print(&path)
        )));
    };
    let print = move || -> CliResult {
        let mut output = Output::stdout();
        while let Some(chunk) = log.blocking_next()? {
            output.write_all(&chunk)?;
        }
        output.finish()
    };
    tokio::task::spawn_blocking(print).await?
}

/// The derivation that `path` is, or was built from, as far as the store knows.
async fn derivation(path: &StorePath, store: &dyn BuildRecords) -> CliResult<Option<StorePath>> {
    if path.is_derivation() {
        return Ok(Some(path.clone()));
    }
    Ok(store.path_info(path).await?.and_then(|info| info.deriver.clone()))
}

pub(super) async fn copy_log(args: &StoreCopyLogArgs, context: &Context) -> CliResult {
    let source = open_store(&args.from, Purpose::Read, context).await?.records;
    let destination = open_store(&args.to, Purpose::WRITE, context).await?.records;
    for path in &args.paths {
        let path = store_path(path, source.store_dir())?;
        if !path.is_derivation() {
            return Err(CliError::new(format!("'{}' is not a derivation", source.store_dir().print(&path)))
                .hint(
                    "logs are kept by derivation; 'nars3 path-info --json' shows the deriver of an output",
                ));
        }
        let Some(log) = source.log(&path).await? else {
            return Err(CliError::new(format!("build log of '{path}' is not in '{source}'")));
        };
        destination.add_log(&path, log).await?;
    }
    Ok(())
}
