//! `nars3 store …`.

mod delete;
mod info;
mod inspect;
mod logs;
mod realisations;
mod repair;
mod sign;
mod verify;

use std::sync::Arc;

use nars3_binary_cache::BinaryCache;

use crate::args::{StoreArgs, StoreCommand};
use crate::error::{CliError, CliResult};
use crate::run::Context;
use crate::stores::OpenedStore;

pub(crate) use logs::show_log;

pub(crate) async fn run(args: StoreArgs, context: &Context) -> CliResult {
    match args.command {
        StoreCommand::Info(args) => info::info(&args, context).await,
        StoreCommand::Init(args) => info::init(&args, context).await,
        StoreCommand::Ls(args) => inspect::ls(&args, context).await,
        StoreCommand::Cat(args) => inspect::cat(&args, context).await,
        StoreCommand::Verify(args) => verify::verify(args, context).await,
        StoreCommand::Sign(args) => sign::sign(&args, context).await,
        StoreCommand::CopySigs(args) => sign::copy_sigs(&args, context).await,
        StoreCommand::CopyLog(args) => logs::copy_log(&args, context).await,
        StoreCommand::CopyRealisations(args) => realisations::copy_realisations(&args, context).await,
        StoreCommand::Delete(args) => delete::delete(&args, context).await,
    }
}

/// The binary cache that a store must be for a command that only caches have.
fn cache(opened: OpenedStore, command: &str) -> CliResult<Arc<BinaryCache>> {
    let name = opened.store.to_string();
    opened.cache.ok_or_else(|| {
        CliError::new(format!("'{name}' is no binary cache, and 'nars3 store {command}' is for those"))
            .hint("name one with --store s3://BUCKET or --store file:///DIR")
    })
}
