//! `nars3 nar …`.

use std::fs::File;
use std::path::Path;

use nars3_nar::{DumpOptions, Limits, Member, RestoreOptions, Trailing};
use nars3_narinfo::Listing;

use super::listing::{ListingStyle, print_listing};
use crate::args::{NarArgs, NarCommand};
use crate::error::{CliError, CliResult, ResultExt};
use crate::output::Output;

pub(crate) fn run(args: NarArgs) -> CliResult {
    match args.command {
        NarCommand::DumpPath { path } => dump(&path),
        NarCommand::Restore { path } => restore(&path),
        NarCommand::Ls { nar, path, long, recursive, directory, json } => {
            let listing = listing_of(&mut open(&nar)?, &nar)?;
            print_listing(
                &listing,
                path.trim_matches('/'),
                &path,
                ListingStyle { long, recursive, directory, json },
            )
        }
        NarCommand::Cat { nar, path } => cat(&nar, &path),
    }
}

fn dump(path: &Path) -> CliResult {
    let mut output = Output::stdout();
    nars3_nar::dump(path, &mut output, &DumpOptions::default())?;
    output.finish()
}

fn restore(path: &Path) -> CliResult {
    // What follows the NAR is left unread, as `nix-store --restore` leaves it.
    let options = RestoreOptions { trailing: Trailing::LeaveUnread, ..RestoreOptions::default() };
    nars3_nar::restore(&mut std::io::stdin().lock(), path, &options)?;
    Ok(())
}

fn open(nar: &Path) -> CliResult<File> {
    File::open(nar).context(|| format!("cannot open '{}'", nar.display()))
}

fn listing_of(file: &mut File, nar: &Path) -> CliResult<Listing> {
    nars3_nar::list(file, Limits::default()).context(|| format!("cannot list '{}'", nar.display())).hint(
        || "a compressed NAR must be decompressed first, for example with 'zstd -d' or 'xz -d'".to_owned(),
    )
}

fn cat(nar: &Path, path: &str) -> CliResult {
    let mut file = open(nar)?;
    let listing = listing_of(&mut file, nar)?;
    let node = listing.root.lookup(path.trim_matches('/'));
    let Some(node) = node else {
        return Err(CliError::new(format!("'{path}' does not exist in '{}'", nar.display())));
    };
    let mut member =
        Member::open(file, node).context(|| format!("cannot print '{path}' in '{}'", nar.display()))?;
    let mut output = Output::stdout();
    std::io::copy(&mut member, &mut output).context(|| format!("cannot print '{path}'"))?;
    output.finish()
}
