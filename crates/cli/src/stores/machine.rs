//! Opens the stores of this machine: directly, through a daemon, or by whichever way is open.

use std::sync::Arc;

use nars3_nix_store::{AutoStore, DaemonStore, DaemonStoreOptions, LocalStore, LocalStoreOptions};
use nars3_store_api::{Event, StoreError};
use nars3_store_url::{DaemonSettings, LocalSettings, StoreUrl};

use super::Purpose;
use crate::error::{CliError, CliResult, ResultExt};
use crate::run::Context;
use crate::settings::required_public_keys;

/// What may help where this machine's store cannot be opened directly.
pub(crate) const DAEMON_HINT: &str =
    "where a nix-daemon owns the store, use 'daemon', or 'auto' to let nars3 choose; elsewhere, be root";

/// The store that `settings` name, opened directly; `None` where it is not there yet, and is not to be created.
pub(super) async fn local(
    url: &StoreUrl,
    settings: &LocalSettings,
    purpose: Purpose<'_>,
    context: &Context,
) -> CliResult<Option<Arc<LocalStore>>> {
    let options = local_options(url, settings, purpose, context)?;
    let is_the_machines = options.root.is_none() && options.state_dir.is_none();
    let hinted = |error: StoreError| match is_the_machines {
        true => CliError::from(error).hint(DAEMON_HINT),
        false => error.into(),
    };
    let is_preview = matches!(purpose, Purpose::Preview);
    let look = purpose.needs_writable();
    let open = move || {
        if is_preview && !LocalStore::exists(&options)? {
            return Ok(None);
        }
        let store = LocalStore::open(options)?;
        let writable = look.then(|| store.check_writable());
        Ok(Some((store, writable.unwrap_or(Ok(())))))
    };
    let Some((store, writable)) = tokio::task::spawn_blocking(open).await?.map_err(hinted)? else {
        return Ok(None);
    };
    ensure_writable(writable, purpose, context).map_err(hinted)?;
    Ok(Some(store))
}

/// Who is about to write hears now of a store that this user may not write, and not after everything is planned; who only
/// asks what would be written is warned.
fn ensure_writable(
    writable: Result<(), StoreError>,
    purpose: Purpose<'_>,
    context: &Context,
) -> Result<(), StoreError> {
    match (writable, purpose) {
        (Err(error), Purpose::Preview) => {
            let message =
                format!("a copy would fail, because the store may not be written: {}", error.with_causes());
            context.progress.report(Event::Warning { message: &message });
            Ok(())
        }
        (writable, _) => writable,
    }
}

pub(super) async fn daemon(
    url: &StoreUrl,
    settings: &DaemonSettings,
    purpose: Purpose<'_>,
) -> CliResult<Arc<DaemonStore>> {
    let options = daemon_options(url, settings, purpose);
    let is_usual = *settings.socket_path() == *DaemonSettings::default().socket_path();
    tokio::task::spawn_blocking(|| DaemonStore::open(options)).await?.hint(|| match is_usual {
        true => "to read the store without a daemon, use 'local'; to let nars3 choose, 'auto'".to_owned(),
        false => "a nix-daemon must be running that listens on this socket".to_owned(),
    })
}

pub(super) async fn auto(
    url: &StoreUrl,
    local: &LocalSettings,
    daemon: &DaemonSettings,
    purpose: Purpose<'_>,
    context: &Context,
) -> CliResult<Arc<AutoStore>> {
    let local = local_options(url, local, purpose, context)?;
    let open = if is_of_the_same_store(daemon) { AutoStore::open } else { AutoStore::open_either };
    let daemon = daemon_options(url, daemon, purpose);
    let look = purpose.needs_writable();
    let opened = tokio::task::spawn_blocking(move || {
        let store = open(local, daemon)?;
        let writable = look.then(|| store.check_writable());
        Ok::<_, StoreError>((store, writable.unwrap_or(Ok(()))))
    });
    let (store, writable) = opened.await?.hint(|| {
        "without Nix on this machine, name a store: local?root=DIR, s3://BUCKET or file:///DIR".to_owned()
    })?;
    ensure_writable(writable, purpose, context).hint(|| DAEMON_HINT.to_owned())?;
    if purpose.optimise() && store.writes_through_daemon() {
        tracing::warn!(
            "--optimise is left to the nix-daemon, which shares equal files where its nix.conf has \
             auto-optimise-store"
        );
    }
    Ok(store)
}

/// Whether the daemon at this socket owns the store whose state directory is named beside it. A socket that was named alone,
/// and is not the one in the state directory, may be that of any store.
fn is_of_the_same_store(daemon: &DaemonSettings) -> bool {
    let usual = DaemonSettings { socket: None, ..daemon.clone() }.socket_path();
    daemon.state.is_some() || daemon.socket_path() == usual
}

fn local_options(
    url: &StoreUrl,
    settings: &LocalSettings,
    purpose: Purpose<'_>,
    context: &Context,
) -> CliResult<LocalStoreOptions> {
    let mut options = LocalStoreOptions::default();
    options.root.clone_from(&settings.root);
    options.state_dir.clone_from(&settings.state);
    options.real_store_dir.clone_from(&settings.real);
    options.log_dir.clone_from(&settings.log);
    options.store_dir = url.store.store_dir.clone();
    options.progress = Arc::clone(&context.progress);
    match purpose {
        Purpose::Read | Purpose::Inspect | Purpose::Preview => options.read_only = true,
        Purpose::Write { trusted_public_keys: arguments, .. } => {
            options.read_only = settings.read_only;
            options.optimise =
                purpose.optimise() || context.nix.flag("auto-optimise-store")?.unwrap_or(false);
            options.required_signatures = if settings.require_sigs == Some(false) {
                None
            } else {
                required_public_keys(arguments, &context.environment, &context.nix)?.map(Arc::new)
            };
        }
    }
    Ok(options)
}

fn daemon_options(url: &StoreUrl, settings: &DaemonSettings, purpose: Purpose<'_>) -> DaemonStoreOptions {
    DaemonStoreOptions {
        socket: settings.socket_path(),
        store_dir: url.store.store_dir.clone(),
        check_signatures: !matches!(purpose, Purpose::Write { check_signatures: false, .. }),
        log_dir: settings.log.clone().unwrap_or(DaemonStoreOptions::default().log_dir),
        ..DaemonStoreOptions::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_that_is_named_alone_may_be_of_any_store() {
        let settings = |socket: Option<&str>, state: Option<&str>| DaemonSettings {
            socket: socket.map(Into::into),
            state: state.map(Into::into),
            ..DaemonSettings::default()
        };
        assert!(is_of_the_same_store(&settings(None, None)));
        assert!(is_of_the_same_store(&settings(Some("/nix/var/nix/daemon-socket/socket"), None)));
        assert!(is_of_the_same_store(&settings(None, Some("/scratch/state"))));
        assert!(is_of_the_same_store(&settings(Some("/run/socket"), Some("/scratch/state"))));
        assert!(!is_of_the_same_store(&settings(Some("/run/socket"), None)));
    }
}
