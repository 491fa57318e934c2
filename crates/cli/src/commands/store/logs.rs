//! `nars3 log`, `nars3 store copy-log`.

use std::io::Write;

use nars3_store_api::Store;

use super::cache;
use crate::args::{LogArgs, StoreCopyLogArgs};
use crate::error::{CliError, CliResult};
use crate::installable::store_path;
use crate::output::Output;
use crate::run::Context;
use crate::stores::{Purpose, open_store};

/// Prints the log of the build of a derivation, or of an output whose deriver the cache knows.
pub(crate) async fn show_log(args: &LogArgs, context: &Context) -> CliResult {
    let cache = cache(open_store(&args.store, Purpose::Read, context).await?, "log")?;
    let path = store_path(&args.path, cache.store_dir())?;
    let Some(log) = cache.build_log(&path).await? else {
        return Err(CliError::new(format!(
            "build log of '{}' is not in '{cache}'",
            cache.store_dir().print(&path)
        )));
    };
    let mut output = Output::stdout();
    output.write_all(&log)?;
    output.finish()
}

pub(super) async fn copy_log(args: &StoreCopyLogArgs, context: &Context) -> CliResult {
    let source = cache(open_store(&args.from, Purpose::Read, context).await?, "copy-log")?;
    let destination = cache(open_store(&args.to, Purpose::WRITE, context).await?, "copy-log")?;
    for path in &args.paths {
        let path = store_path(path, source.store_dir())?;
        if !path.is_derivation() {
            return Err(CliError::new(format!("'{}' is not a derivation", source.store_dir().print(&path)))
                .hint(
                    "logs are kept by derivation; 'nars3 path-info --json' shows the deriver of an output",
                ));
        }
        let Some(log) = source.build_log(&path).await? else {
            return Err(CliError::new(format!("build log of '{path}' is not in '{source}'")));
        };
        destination.put_build_log(&path, log).await?;
    }
    Ok(())
}
