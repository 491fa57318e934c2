//! `nars3 store copy-realisations`.

use futures::TryStreamExt;
use nars3_binary_cache::RealisedOutput;
use nars3_store_api::Store;

use super::cache;
use crate::args::StoreCopyRealisationsArgs;
use crate::error::{CliResult, ResultExt};
use crate::output::print_line;
use crate::run::Context;
use crate::stores::{Purpose, open_store};

pub(super) async fn copy_realisations(args: &StoreCopyRealisationsArgs, context: &Context) -> CliResult {
    const COMMAND: &str = "copy-realisations";
    let source = cache(open_store(&args.from, Purpose::Read, context).await?, COMMAND)?;
    let destination = cache(open_store(&args.to, Purpose::WRITE, context).await?, COMMAND)?;
    let outputs: Vec<RealisedOutput> = if args.all {
        source.realised_outputs().try_collect().await?
    } else {
        let prefix = format!("{}/", source.store_dir());
        let parse = |text: &String| {
            RealisedOutput::parse(text.strip_prefix(&prefix).unwrap_or(text))
                .context(|| format!("'{text}' is no output of a derivation"))
                .hint(|| {
                    "an output is sha256:HASH!NAME, or DERIVATION^NAME for Nix 2.35 and later".to_owned()
                })
        };
        args.outputs.iter().map(parse).collect::<CliResult<_>>()?
    };
    let mut copied = 0;
    for output in &outputs {
        copied += usize::from(destination.copy_realisation(&source, output).await?);
    }
    print_line(format_args!("copied {copied} of {} realisations", outputs.len()))
}
