//! `nars3 doctor`: why a bucket does not work, and what to change. It reads only, unless it is asked to write.
//!
//! | module | job |
//! |---|---|
//! | `finding` | what a check finds |
//! | `access` | where the bucket is, and what requests are signed with |
//! | `cache_info` | the first read, and `nix-cache-info` |
//! | `bucket` | region, clock, listing |
//! | `uploads` | uploads in parts that were left behind |
//! | `write` | probes that write |
//! | `refusal` | a failed request as a finding |
//! | `words` | times and errors, as a person reads them |

mod access;
mod bucket;
mod cache_info;
mod finding;
mod refusal;
mod uploads;
mod words;
mod write;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use nars3_binary_cache::OpenUploads;
use nars3_s3::{Identity, Inspector};
use nars3_store_path::StoreDir;
use nars3_store_url::{S3Settings, StoreKind, StoreUrl, TransferSettings};
use object_store::ObjectStore;
use serde_json::{Value, json};

use self::bucket::Listing;
use self::cache_info::FirstRead;
use self::finding::{Check, Finding, Level};
use self::refusal::Asked;
use self::write::Probes;
use crate::args::DoctorArgs;
use crate::error::{CliError, CliResult, ResultExt};
use crate::output::Output;
use crate::run::Context;
use crate::settings::s3_client;

/// A doctor who is kept waiting is of no use: requests are tried so often at most, stall for so long, and take no longer
/// in all. The largest sends 5 MiB.
const ATTEMPTS: u32 = 2;
const PATIENCE: Duration = Duration::from_secs(20);
const IN_ALL: Duration = Duration::from_secs(60);

pub(crate) async fn run(args: DoctorArgs, context: &Context) -> CliResult {
    let parsed = StoreUrl::parse(&args.store)
        .hint(|| "nars3 doctor examines buckets: --store s3://BUCKET?OPTIONS".to_owned())?;
    for warning in &parsed.warnings {
        tracing::warn!("{warning}");
    }
    let mut url = parsed.url;
    url.resolve_relative(&std::env::current_dir()?);
    let StoreKind::S3(settings) = &url.kind else {
        return Err(CliError::new(format!(
            "'{}' is no bucket, and 'nars3 doctor' examines those",
            url.base()
        ))
        .hint("name one with --store s3://BUCKET; for other stores there is 'nars3 store info'"));
    };
    let mut report = Report { store: url.base(), findings: Vec::new(), uploads: Vec::new() };
    let examination = Examination {
        settings: hasty(settings, context)?,
        store_dir: url.store.store_dir.clone(),
        open_uploads: context.open_uploads.clone(),
    };
    examination.run(&args, context, &mut report).await?;
    report.print(args.json)?;
    report.conclude()
}

/// The settings, with less patience.
fn hasty(settings: &S3Settings, context: &Context) -> CliResult<S3Settings> {
    let mut settings = settings.clone();
    if settings.s3_client.is_none() {
        settings.s3_client = s3_client(&context.environment)?;
    }
    hasten(&mut settings.transfer);
    Ok(settings)
}

/// Whatever the settings say, nothing lasts longer than this; what they make shorter stays so.
fn hasten(transfer: &mut TransferSettings) {
    transfer.retry_attempts = transfer.retry_attempts.min(ATTEMPTS);
    transfer.retry_max_delay = transfer.retry_max_delay.min(Duration::from_secs(1));
    for (limit, longest) in [
        (&mut transfer.connect_timeout, PATIENCE),
        (&mut transfer.stalled_download_timeout, PATIENCE),
        (&mut transfer.request_timeout, IN_ALL),
    ] {
        *limit = Some(limit.unwrap_or(longest).min(longest));
    }
}

/// What is examined.
struct Examination {
    settings: S3Settings,
    store_dir: StoreDir,
    open_uploads: OpenUploads,
}

impl Examination {
    /// One check after the other, each on what the ones before it have found; nothing that cannot work is tried.
    async fn run(&self, args: &DoctorArgs, context: &Context, report: &mut Report) -> CliResult {
        let settings = &self.settings;
        let address = access::address(settings);
        let is_possible = address.level < Level::Problem;
        report.push(address);
        if !is_possible {
            return Ok(());
        }
        let opened = nars3_s3::open(settings, &context.s3).await;
        let inspector = Inspector::open(settings, &context.s3).await;
        let (objects, inspector) = match (opened, inspector) {
            (Ok(objects), Ok(inspector)) => (objects, inspector),
            (Err(error), _) | (_, Err(error)) => {
                report.push(access::not_opened(&error));
                return Ok(());
            }
        };
        let identity = inspector.identity();
        let signed = matches!(identity, Identity::Signed(_));
        report.push(access::credentials(&identity, settings, SystemTime::now()));

        let first = cache_info::read(objects.as_ref()).await;
        let asked = Asked { check: Check::Reading, what: "read 'nix-cache-info'", settings, signed };
        let failed = match &first {
            FirstRead::Failed(error) => Some(asked.failed(error)),
            _ => None,
        };
        if let Some(finding) = failed.as_ref().filter(|finding| finding.code.is_silence()) {
            // Whoever does not answer this does not answer anything else.
            report.push(finding.clone());
            return Ok(());
        }
        let facts = inspector.bucket().await.ok();
        let now = SystemTime::now();
        if let Some(finding) = failed {
            // What the server says of its clock and of the bucket may be why.
            let clock = facts.as_ref().and_then(|facts| bucket::clock(facts, now));
            let clock = clock.filter(|clock| clock.level > Level::Ok && finding.check != Check::Clock);
            report.push(finding);
            report.findings.extend(clock);
            return Ok(());
        }
        if let Some(facts) = &facts {
            report.findings.extend(bucket::region(facts, settings));
            report.findings.extend(bucket::clock(facts, now));
        }
        let listing = bucket::listing(objects.as_ref(), settings, signed).await;
        report.push(listing.finding().clone());
        report.findings.extend(self.cache_info(&first, &listing, asked));
        self.rest(
            args,
            &inspector,
            objects,
            signed,
            facts.and_then(|facts| facts.date).unwrap_or(now),
            report,
        )
        .await
    }

    fn cache_info(&self, first: &FirstRead, listing: &Listing, asked: Asked<'_>) -> Vec<Finding> {
        match first {
            FirstRead::Text(text) => {
                vec![Finding::ok(Check::Reading, "allowed"), cache_info::judge(text, &self.store_dir)]
            }
            FirstRead::Nonsense(reason) => {
                vec![Finding::ok(Check::Reading, "allowed"), cache_info::nonsense(reason)]
            }
            FirstRead::Absent => vec![cache_info::absent()],
            FirstRead::Denied(error) => {
                let finding = asked.failed(error);
                vec![match listing {
                    // Who may list is told the truth about what is not there.
                    Listing::Allowed(_) => finding,
                    _ => finding.details([
                        "either reading is not allowed, or there is no 'nix-cache-info' yet: without s3:ListBucket the two \
                         look the same"
                            .to_owned(),
                    ]),
                }]
            }
            FirstRead::Failed(error) => vec![asked.failed(error)],
        }
    }

    async fn rest(
        &self,
        args: &DoctorArgs,
        inspector: &Inspector,
        objects: Arc<dyn ObjectStore>,
        signed: bool,
        now: SystemTime,
        report: &mut Report,
    ) -> CliResult {
        let older_than = args.abort_uploads_older_than.map(|age| age.0);
        if signed || older_than.is_some() {
            let (findings, uploads) =
                uploads::examine(inspector, &self.settings, signed, older_than, now).await;
            report.findings.extend(findings);
            report.uploads = uploads.iter().map(uploads::Examined::to_json).collect();
        }
        if args.write {
            let probes = Probes { objects, settings: self.settings.clone(), signed };
            // They are also ended properly where nobody waits for what they find: they clean up after themselves.
            let open = self.open_uploads.open();
            let probing = tokio::spawn(async move {
                let found = probes.run().await;
                drop(open);
                found
            });
            report.findings.extend(probing.await??);
        }
        Ok(())
    }
}

/// All that was found.
struct Report {
    store: String,
    findings: Vec<Finding>,
    uploads: Vec<Value>,
}

impl Report {
    fn push(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    fn count(&self, level: Level) -> usize {
        self.findings.iter().filter(|finding| finding.level == level).count()
    }

    fn print(&self, as_json: bool) -> CliResult {
        let mut output = Output::stdout();
        if as_json {
            output.line(json!({
                "store": self.store,
                "ok": self.count(Level::Problem) == 0,
                "findings": self.findings.iter().map(Finding::to_json).collect::<Vec<_>>(),
                "uploads": self.uploads,
            }))?;
        } else {
            for line in self.findings.iter().flat_map(Finding::to_lines) {
                output.line(line)?;
            }
        }
        output.finish()
    }

    /// Only what does not work is a failure: a warning must not stop a script that could go on.
    fn conclude(&self) -> CliResult {
        match self.count(Level::Problem) {
            0 => Ok(()),
            1 => Err(CliError::new("the bucket has a problem; see above what to change")),
            count => Err(CliError::new(format!("the bucket has {count} problems; see above what to change"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_setting_makes_a_request_last() {
        let second = Some(Duration::from_secs(1));
        for timeout in [None, Some(Duration::from_secs(3600)), second] {
            let mut transfer = TransferSettings {
                connect_timeout: timeout,
                stalled_download_timeout: timeout,
                request_timeout: timeout,
                retry_attempts: 50,
                retry_max_delay: Duration::from_secs(3600),
                ..TransferSettings::default()
            };
            hasten(&mut transfer);
            let brief = timeout == second;
            assert_eq!(transfer.connect_timeout, if brief { second } else { Some(PATIENCE) });
            assert_eq!(transfer.stalled_download_timeout, if brief { second } else { Some(PATIENCE) });
            assert_eq!(transfer.request_timeout, if brief { second } else { Some(IN_ALL) });
            assert_eq!((transfer.retry_attempts, transfer.retry_max_delay.as_secs()), (ATTEMPTS, 1));
        }
    }
}
