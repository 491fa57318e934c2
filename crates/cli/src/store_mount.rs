//! Before a command writes to a store of this machine: where its directory is mounted read-only, root remounts it for
//! this process alone. That must happen before any other thread is there, so before the store is opened.

use std::os::unix::net::UnixStream;

use nars3_nix_store::{LocalStoreOptions, make_store_writable};
use nars3_store_url::{LocalSettings, StoreKind, StoreUrl};

use crate::args::Command;
use crate::nix_places;
use crate::settings::Environment;

/// Makes the store that `command` writes to writable, if it is one of this machine. Whether that was possible shows
/// when the store is written to; why it was not, is told here.
/// `default` is the store that is meant where the command names none.
pub(crate) fn prepare(command: &Command, default: &str, environment: &Environment) {
    let Some(destination) = destination(command) else { return };
    let destination = if destination.is_empty() { default } else { destination };
    // What is wrong with the URL is said when the store is opened.
    let Ok(parsed) = StoreUrl::parse(destination) else { return };
    let mut url = parsed.url;
    if let Ok(here) = std::env::current_dir() {
        url.resolve_relative(&here);
    }
    let settings = match &url.kind {
        StoreKind::Local(settings) => settings,
        StoreKind::Auto(settings) => {
            // Through a daemon that answers, nothing is written here.
            let daemon = settings.local.root.is_none() && {
                let daemon = nix_places::daemon(settings.daemon(), environment);
                UnixStream::connect(daemon.socket_path()).is_ok()
            };
            if daemon {
                return;
            }
            &settings.local
        }
        _ => return,
    };
    let settings = nix_places::local(settings.clone(), environment);
    match make_store_writable(&options(&url, &settings)) {
        Ok(false) => {}
        Ok(true) => tracing::info!("the store is mounted read-only: remounted for this process alone"),
        Err(error) => tracing::warn!("{}", error.with_causes()),
    }
}

/// The store that `command` writes to, where that may be one of this machine; empty where it names none.
fn destination(command: &Command) -> Option<&str> {
    match command {
        Command::Copy(args) if args.dry_run => None,
        Command::Copy(args) => Some(args.to.as_deref().unwrap_or_default()),
        Command::Add(args) if args.dry_run => None,
        Command::Add(args) => Some(&args.to),
        _ => None,
    }
}

fn options(url: &StoreUrl, settings: &LocalSettings) -> LocalStoreOptions {
    LocalStoreOptions {
        root: settings.root.clone(),
        state_dir: settings.state.clone(),
        real_store_dir: settings.real.clone(),
        store_dir: url.store.store_dir.clone(),
        ..LocalStoreOptions::default()
    }
}
