//! `nars3 store copy-realisations`.

use futures::TryStreamExt;
use nars3_store_path::RealisedOutput;

use crate::args::StoreCopyRealisationsArgs;
use crate::error::{CliResult, ResultExt};
use crate::output::print_line;
use crate::run::Context;
use crate::stores::{Purpose, open_store};

pub(super) async fn copy_realisations(args: &StoreCopyRealisationsArgs, context: &Context) -> CliResult {
    let source = open_store(&args.from, Purpose::Read, context).await?;
    let check_signatures = !source.trusted && !args.trust.no_check_sigs;
    let source = source.records;
    let writing = Purpose::Write {
        trusted_public_keys: &args.trust.trusted_public_keys,
        secret_key_files: &[],
        check_signatures,
        optimise: false,
    };
    let destination = open_store(&args.to, writing, context).await?.records;
    let outputs: Vec<RealisedOutput> = if args.all {
        source.realised_outputs().try_collect().await?
    } else {
        let prefix = format!("{}/", source.store_dir());
        let parse = |text: &String| {
            text.strip_prefix(&prefix)
                .unwrap_or(text)
                .parse()
                .context(|| format!("'{text}' is no output of a derivation"))
                .hint(|| "an output is sha256:HASH!NAME, or since Nix 2.35 DERIVATION^NAME".to_owned())
        };
        args.outputs.iter().map(parse).collect::<CliResult<_>>()?
    };
    let (from, to) = (source.as_ref(), destination.as_ref());
    let copied = nars3_copy::copy_realisations(from, to, &outputs, check_signatures).await?;
    print_line(format_args!("copied {copied} realisations"))
}
