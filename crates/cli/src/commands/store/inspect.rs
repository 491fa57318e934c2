//! `nars3 store ls`, `nars3 store cat`.

use std::io::Write;
use std::path::Path;

use nars3_nar::{Decoder, Event, Limits, ListingSink};
use nars3_narinfo::{Listing, PathInfo};
use nars3_store_api::{NarStream, StoreError};

use crate::args::{StoreCatArgs, StoreLsArgs};
use crate::commands::listing::{ListingStyle, print_listing};
use crate::error::{CliError, CliResult};
use crate::installable::store_path_and_inside;
use crate::output::Output;
use crate::run::Context;
use crate::stores::{OpenedStore, Purpose, open_store};
use crate::terminal::is_watched;

pub(super) async fn ls(args: &StoreLsArgs, context: &Context) -> CliResult {
    let opened = open_store(&args.store, Purpose::Read, context).await?;
    let (info, inside) = find(&opened, &args.path).await?;
    let listing = match &opened.cache {
        Some(cache) => cache.listing(&info.path).await?,
        None => {
            let nar = opened.store.nar(&info).await?;
            tokio::task::spawn_blocking(move || listing_of(nar)).await??
        }
    };
    let style = ListingStyle {
        long: args.long,
        recursive: args.recursive,
        directory: args.directory,
        json: args.json,
        watched: is_watched(),
    };
    print_listing(&listing, inside.trim_start_matches('/'), &args.path.display().to_string(), style)
}

pub(super) async fn cat(args: &StoreCatArgs, context: &Context) -> CliResult {
    let opened = open_store(&args.store, Purpose::Read, context).await?;
    let (info, inside) = find(&opened, &args.path).await?;
    if let Some(cache) = &opened.cache {
        let file = cache.open_file(&info.path, &inside).await?;
        return tokio::task::spawn_blocking(move || print_stream(file.contents)).await?;
    }
    let nar = opened.store.nar(&info).await?;
    let shown = args.path.display().to_string();
    tokio::task::spawn_blocking(move || print_file(nar, inside.trim_start_matches('/'), &shown)).await?
}

/// The path info of the store path that `path` is or lies in, and where inside it.
async fn find(opened: &OpenedStore, path: &Path) -> CliResult<(PathInfo, String)> {
    let store = opened.store.as_ref();
    let (store_path, inside) = store_path_and_inside(path, store.store_dir())?;
    match store.path_info(&store_path).await? {
        Some(info) => Ok((PathInfo::clone(&info), inside)),
        None => Err(StoreError::InvalidPath { store: store.to_string(), path: store_path }.into()),
    }
}

/// Lists a NAR as it streams by.
fn listing_of(mut nar: NarStream) -> CliResult<Listing> {
    let mut sink = ListingSink::new(Limits::default());
    while let Some(chunk) = nar.blocking_next()? {
        sink.write_all(&chunk)?;
    }
    Ok(sink.finish()?)
}

fn print_stream(mut contents: NarStream) -> CliResult {
    let mut output = Output::stdout();
    while let Some(chunk) = contents.blocking_next()? {
        output.write_all(&chunk)?;
    }
    output.finish()
}

/// Prints the regular file at `inside` of a NAR as it streams by. The rest of the NAR is read as well: only at its end
/// is it known that what was printed is what the path info promises.
fn print_file(nar: NarStream, inside: &str, shown: &str) -> CliResult {
    let mut output = Output::stdout();
    let mut decoder = Decoder::new(nar.into_reader());
    let mut found = None;
    while let Some(event) = decoder.next()? {
        let here = match event {
            Event::Regular { .. } | Event::Symlink { .. } | Event::Directory => decoder.path(),
            Event::Entry { .. } | Event::EndDirectory => continue,
        };
        if here != inside.as_bytes() {
            continue;
        }
        found = Some(matches!(event, Event::Regular { .. }));
        if matches!(event, Event::Regular { .. }) {
            std::io::copy(&mut decoder.contents(), &mut output)?;
        }
    }
    decoder.finish()?;
    match found {
        Some(true) => output.finish(),
        Some(false) => Err(CliError::new(format!("'{shown}' is not a regular file"))),
        None => Err(CliError::new(format!("'{shown}' does not exist"))),
    }
}
