//! From the command line to the exit code: parses, sets up logging and the runtime, runs the command, and takes note
//! of Ctrl-C.

use std::ffi::OsString;
use std::path::PathBuf;
use std::pin::pin;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use clap::Parser;
use nars3_binary_cache::{BinaryCache, OpenUploads, PathInfoCache, RateLimit};
use nars3_store_api::Progress;
use tokio::sync::OnceCell;

use crate::args::{Cli, Command};
use crate::commands;
use crate::error::CliResult;
use crate::logging::LogFormat;
use crate::progress::{ProgressMode, Screen};
use crate::settings::{Environment, NixSettings, PathInfoCacheSettings, load_nix_settings};
use crate::stages::StageTimes;
use crate::{logging, progress, store_mount};

/// What a shell expects of a command that Ctrl-C ended: 128 + SIGINT.
const INTERRUPTED: u8 = 130;

/// How long servers may take to abort the uploads in parts that a command has left open, because it failed or was interrupted:
/// their parts would cost money for ever.
const FAREWELL: Duration = Duration::from_secs(10);

/// How long somebody may wait without being told for what.
const SILENCE: Duration = Duration::from_millis(500);

/// How long blocking work may take to notice that the command is over, before the process ends under it.
const GRACE: Duration = Duration::from_millis(500);

/// What every command gets besides its own arguments.
#[derive(Debug, Clone)]
pub(crate) struct Context {
    pub(crate) environment: Environment,
    pub(crate) nix: NixSettings,
    pub(crate) progress: Arc<dyn Progress>,
    /// Credentials and counters of all S3 stores of this command.
    pub(crate) s3: nars3_s3::Environment,
    /// The caches that were opened, for `--stats`.
    pub(crate) caches: Arc<Mutex<Vec<Arc<BinaryCache>>>>,
    /// `--limit-rate`, shared by all caches.
    pub(crate) rate: Option<Arc<RateLimit>>,
    /// `--memory`, in bytes.
    pub(crate) memory: Option<u64>,
    /// `--spool`, in bytes.
    pub(crate) spool: Option<u64>,
    pub(crate) remembering: Remembering,
    /// The uploads in parts that no cache has finished yet.
    pub(crate) open_uploads: OpenUploads,
}

/// What caches have said, on disk; opened when the first of them is.
#[derive(Debug, Clone)]
pub(crate) struct Remembering {
    settings: PathInfoCacheSettings,
    opened: Arc<OnceCell<Option<PathInfoCache>>>,
}

impl Remembering {
    fn new(settings: PathInfoCacheSettings) -> Self {
        Self { settings, opened: Arc::default() }
    }

    /// The file; `None` where there can be none, of which a warning has told.
    pub(crate) async fn file(&self) -> CliResult<Option<PathInfoCache>> {
        let open = async || {
            let settings = self.settings.clone();
            tokio::task::spawn_blocking(move || settings.open()).await
        };
        Ok(self.opened.get_or_try_init(open).await?.clone())
    }

    /// Writes what is still in memory, and tells what went wrong.
    async fn finish(&self) {
        let Some(cache) = self.opened.get().and_then(Option::as_ref) else { return };
        cache.flush().await;
        if let Some(trouble) = cache.trouble() {
            tracing::warn!("{trouble}");
        }
    }
}

/// Runs the command line `arguments`, the program's name first.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // `--help` and `--version` come this way too; clap knows which stream and which exit code.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let screen = Screen::stderr(cli.global.log_format);
    logging::install(cli.global.log_format, cli.global.verbose, cli.global.quiet, &screen);
    match start(cli, &screen) {
        Ok(code) => code,
        Err(error) if error.is_closed_output() => ExitCode::SUCCESS,
        Err(error) => {
            screen.error(&error.to_string());
            error.exit_code()
        }
    }
}

fn start(cli: Cli, screen: &Screen) -> CliResult<ExitCode> {
    let command = match without_stores(cli.command) {
        Ok(done) => return done.map(|()| ExitCode::SUCCESS),
        Err(command) => command,
    };
    let environment = Environment::of_process();
    let nix = load_nix_settings(&environment)?;
    store_mount::prepare(&command, nix.default_store(&environment), &environment);
    let mode = if cli.global.quiet { ProgressMode::None } else { cli.global.progress };
    let s3 = s3_environment(&environment, &nix);
    let progress = progress::observer(mode, cli.global.log_format, screen);
    let stages = cli.global.stats.then(|| StageTimes::over(Arc::clone(&progress)));
    let progress = stages.clone().map_or(progress, |stages| stages as Arc<dyn Progress>);
    let remembering = Remembering::new(PathInfoCacheSettings::load(&environment, &nix, cli.global.refresh)?);
    let context = Context {
        environment,
        nix,
        progress,
        s3,
        caches: Arc::default(),
        rate: None,
        memory: None,
        spool: None,
        remembering,
        open_uploads: OpenUploads::default(),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .max_blocking_threads(MOST_BLOCKING)
        .enable_all()
        .build()?;
    let code = runtime.block_on(async {
        tokio::select! {
            biased;
            signal = interrupted() => {
                signal?;
                // The command's future is dropped by now: its tasks end, its streams break off, nothing gets published.
                screen.line("interrupted; what became valid before is complete, and nothing else is visible");
                take_leave(&context, screen).await;
                Ok(ExitCode::from(INTERRUPTED))
            }
            result = execute(command, &context) => {
                context.remembering.finish().await;
                take_leave(&context, screen).await;
                result.map(|()| ExitCode::SUCCESS)
            }
        }
    });
    runtime.shutdown_timeout(GRACE);
    if cli.global.log_format == LogFormat::Json {
        log_stats(&context);
    }
    if cli.global.stats {
        print_stats(&context, screen);
        stages.iter().flat_map(|stages| stages.lines()).for_each(|line| screen.line(&line));
    }
    code
}

/// Threads that may block at once, all together. With `--jobs` at its most, four NARs for each may have a thread at either end, and
/// the one at the end that takes must never keep the other from beginning. Only those that are needed are started.
const MOST_BLOCKING: usize = 16 * 1024;

/// Waits until the uploads that were left open are aborted. Whoever interrupts this does not want to wait.
async fn take_leave(context: &Context, screen: &Screen) {
    if context.open_uploads.count() == 0 {
        return;
    }
    let over = async {
        tokio::select! {
            () = context.open_uploads.closed() => {}
            () = tokio::time::sleep(FAREWELL) => {}
            _ = interrupted() => {}
        }
    };
    let mut over = pin!(over);
    if tokio::time::timeout(SILENCE, &mut over).await.is_err() {
        screen.line("ending the uploads that are open; Ctrl-C leaves them as they are");
        over.await;
    }
    let left = context.open_uploads.count();
    if left > 0 {
        screen.line(&format!(
            "{left} uploads could not be ended: 'nars3 doctor --abort-uploads-older-than 1d' does that later"
        ));
    }
}

/// Runs a command that opens no store, and gives others back. Such a command has no runtime and no handler for
/// signals: it may block, and Ctrl-C ends it as it ends any other program.
fn without_stores(command: Command) -> Result<CliResult, Command> {
    match command {
        Command::Key(args) => Ok(commands::key::run(args)),
        Command::Nar(args) => Ok(commands::nar::run(args)),
        Command::Hash(args) => Ok(commands::hash::run(args)),
        Command::Completions { shell } => Ok(commands::generated::completions(shell)),
        Command::Man { directory } => Ok(commands::generated::man(directory.as_deref())),
        other => Err(other),
    }
}

/// Whom TLS trusts: the file that AWS's tools name, else that of Nix's `ssl-cert-file`, which also in Nix wins over the
/// variables of Nix and of OpenSSL's users; else the system's roots.
fn s3_environment(environment: &Environment, nix: &NixSettings) -> nars3_s3::Environment {
    let variable = |name| environment.path(name);
    let named = variable("AWS_CA_BUNDLE")
        .or_else(|| nix.get("ssl-cert-file").filter(|file| !file.is_empty()).map(PathBuf::from))
        .or_else(|| variable("NIX_SSL_CERT_FILE"))
        .or_else(|| variable("SSL_CERT_FILE"));
    match named {
        Some(file) => nars3_s3::Environment::of_process().with_ca_bundle(file),
        None => nars3_s3::Environment::of_process(),
    }
}

/// What the command cost: requests and bytes of each cache, retries not seen there.
fn print_stats(context: &Context, screen: &Screen) {
    for cache in context.caches.lock().unwrap_or_else(PoisonError::into_inner).iter() {
        screen.line(&format!("{cache}: {}", cache.stats()));
        let presence = cache.stats().presence();
        if presence != Default::default() {
            screen.line(&format!("{cache}: {presence}"));
        }
    }
    if let Some(Some(remembered)) = context.remembering.opened.get() {
        screen.line(&format!("{} answers from earlier commands, on disk", remembered.answers()));
    }
    let counts = context.s3.stats().counts();
    if !counts.requests.is_empty() {
        let by_operation: Vec<_> =
            counts.requests.iter().map(|(name, count)| format!("{name} {count}")).collect();
        screen.line(&format!(
            "S3 requests: {}; {} bytes sent, {} received; {} retries, {} bodies taken up again; {} refused, {} throttled, \
             {} broken off",
            by_operation.join(", "),
            counts.bytes_sent,
            counts.bytes_received,
            counts.retries,
            counts.resumed,
            counts.refused,
            counts.throttled,
            counts.broken
        ));
    }
}

/// The same counters as an event, which JSON logs carry with its fields.
fn log_stats(context: &Context) {
    let counts = context.s3.stats().counts();
    if counts.requests.is_empty() {
        return;
    }
    let by_operation: Vec<_> =
        counts.requests.iter().map(|(name, count)| format!("{name} {count}")).collect();
    tracing::info!(
        requests = by_operation.join(", "),
        bytes_sent = counts.bytes_sent,
        bytes_received = counts.bytes_received,
        retries = counts.retries,
        resumed = counts.resumed,
        refused = counts.refused,
        throttled = counts.throttled,
        broken = counts.broken,
        "S3 requests"
    );
}

/// Resolves at SIGINT or SIGTERM.
async fn interrupted() -> CliResult {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        result = tokio::signal::ctrl_c() => result?,
        _ = terminate.recv() => {}
    }
    Ok(())
}

async fn execute(command: Command, context: &Context) -> CliResult {
    match command {
        Command::Copy(args) => commands::copy::run(*args, context).await,
        Command::Add(args) => commands::add::run(args, context).await,
        Command::PathInfo(args) => commands::path_info::run(args, context).await,
        Command::Store(args) => commands::store::run(args, context).await,
        Command::Doctor(args) => Box::pin(commands::doctor::run(args, context)).await,
        Command::Log(args) => commands::store::show_log(&args, context).await,
        // `without_stores` has run all others.
        _ => Ok(()),
    }
}
