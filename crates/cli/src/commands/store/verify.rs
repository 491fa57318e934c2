//! `nars3 store verify`, with the exit codes of `nix store verify`.

use std::process::ExitCode;
use std::sync::Arc;

use nars3_binary_cache::{Finding, VerifyOptions, VerifyReport};
use nars3_store_api::Store;
use nars3_store_path::{PublicKeys, StoreDir};
use serde_json::{Value, json};

use super::cache;
use super::repair::Repair;
use super::sign::paths;
use crate::args::StoreVerifyArgs;
use crate::error::{CliError, CliResult};
use crate::output::{Output, count, count_paths};
use crate::run::Context;
use crate::settings::trusted_public_keys;
use crate::stores::{Purpose, by_priority, open_store, open_store_with};

pub(super) async fn verify(args: StoreVerifyArgs, context: &Context) -> CliResult {
    let mut upstreams = Vec::new();
    for upstream in &args.upstream {
        upstreams.push(open_store(upstream, Purpose::Read, context).await?);
    }
    let upstreams = by_priority(upstreams);
    let purpose = if args.repair_from.is_some() { Purpose::WRITE } else { Purpose::Inspect };
    let cache = cache(open_store_with(&args.store, upstreams.clone(), purpose, context).await?, "verify")?;
    let paths = if args.all { None } else { Some(paths(&args.paths, false, cache.as_ref()).await?) };
    let options = VerifyOptions {
        paths,
        recursive: args.recursive,
        contents: !args.no_contents,
        // Whether a copy needs signatures (`require-sigs`) says nothing of whether they are good: as in Nix.
        trusted: if args.no_trust { None } else { Some(trusted(&args, context)?) },
        signatures_needed: args.sigs_needed,
    };
    let mut report = cache.verify(&options).await?;
    if let Some(from) = &args.repair_from
        && !report.findings.is_empty()
    {
        let source = open_store(from, Purpose::Read, context).await?.store;
        let progress = Arc::clone(&context.progress);
        let repair = Repair { cache: &cache, source, upstreams: &upstreams, options: &options, progress };
        report = repair.run(report).await?;
    }
    print(&report, cache.store_dir(), args.json)?;
    conclude(&report)
}

fn trusted(args: &StoreVerifyArgs, context: &Context) -> CliResult<PublicKeys> {
    trusted_public_keys(&args.trusted_public_keys, &context.environment, &context.nix)
}

fn print(report: &VerifyReport, store_dir: &StoreDir, as_json: bool) -> CliResult {
    let mut output = Output::stdout();
    if as_json {
        let findings: Vec<Value> =
            report.findings.iter().map(|finding| Described::of(finding, store_dir).to_json()).collect();
        output.line(json!({
            "paths": report.paths,
            "narBytes": report.nar_bytes,
            "findings": findings,
            "repaired": report.repaired.iter().map(|path| store_dir.print(path)).collect::<Vec<_>>(),
        }))?;
    } else {
        for path in &report.repaired {
            output.line(format_args!("repaired: {}", store_dir.print(path)))?;
        }
        for finding in &report.findings {
            output.line(Described::of(finding, store_dir).to_line())?;
        }
        let findings = count(report.findings.len() as u64, "finding");
        output.line(format_args!("{} checked, {findings}", count_paths(report.paths)))?;
    }
    output.finish()
}

/// As `nix store verify`: 1 for corrupt contents, plus 2 for untrusted paths, plus 4 for everything else. An orphan is
/// no fault: a push in progress has some.
fn conclude(report: &VerifyReport) -> CliResult {
    let code = report.findings.iter().fold(0, |code, finding| {
        code | match finding {
            Finding::OrphanNar { .. } => 0,
            Finding::CorruptNar { .. } | Finding::FalseContentAddress { .. } => 1,
            Finding::Untrusted { .. } => 2,
            _ => 4,
        }
    });
    if code == 0 {
        return Ok(());
    }
    Err(CliError::new("the cache is not as it should be; see the findings above")
        .hint("repair it with --repair-from STORE, or push damaged paths again with 'nars3 copy --repair'")
        .with_code(ExitCode::from(code)))
}

/// A finding in words, for a line or for JSON.
struct Described {
    kind: &'static str,
    subject: String,
    detail: String,
    /// The other path that it is about.
    reference: Option<String>,
}

impl Described {
    fn of(finding: &Finding, store_dir: &StoreDir) -> Self {
        let print = |path| store_dir.print(path);
        let (kind, subject, detail) = match finding {
            Finding::Invalid { path } => ("invalid", print(path), "it is not in the cache".to_owned()),
            Finding::CorruptNarInfo { hash_part, error } => {
                ("corrupt-narinfo", format!("{hash_part}.narinfo"), error.with_causes())
            }
            Finding::UnreadableNarInfo { hash_part, error } => {
                ("unreadable-narinfo", format!("{hash_part}.narinfo"), error.with_causes())
            }
            Finding::MissingNar { path, location } => {
                ("missing-nar", print(path), format!("'{location}' does not exist"))
            }
            Finding::UnreadableNar { path, error } => ("unreadable-nar", print(path), error.with_causes()),
            Finding::CorruptNar { path, error } => ("corrupt-nar", print(path), error.with_causes()),
            Finding::DanglingReference { path, reference } => (
                "dangling-reference",
                print(path),
                format!("refers to '{}', which is not there", print(reference)),
            ),
            Finding::FalseContentAddress { path, reason } => {
                ("false-content-address", print(path), reason.clone())
            }
            Finding::Untrusted { path, signed_by } => (
                "untrusted",
                print(path),
                if signed_by.is_empty() {
                    "nobody signed it".to_owned()
                } else {
                    format!("signed only by {}", signed_by.join(", "))
                },
            ),
            Finding::OrphanNar { key, size, uncertain: false } => {
                ("orphan-nar", key.clone(), format!("{size} bytes that no narinfo names"))
            }
            Finding::OrphanNar { key, size, uncertain: true } => (
                // Another word, so that nobody who deletes what the other one names takes it along.
                "uncertain-orphan-nar",
                key.clone(),
                format!("{size} bytes that none of the narinfos names that can be read; one that cannot may"),
            ),
            Finding::DanglingRealisation { output, path } => (
                "dangling-realisation",
                output.to_string(),
                format!("names '{}', which is not there", print(path)),
            ),
            Finding::UnreadableRealisation { output, error } => {
                ("unreadable-realisation", output.to_string(), error.with_causes())
            }
            other => ("other", String::new(), format!("{other:?}")),
        };
        let reference = match finding {
            Finding::DanglingReference { reference, .. } => Some(print(reference)),
            Finding::DanglingRealisation { path, .. } => Some(print(path)),
            _ => None,
        };
        Self { kind, subject, detail, reference }
    }

    fn to_line(&self) -> String {
        format!("{}: {}: {}", self.kind, self.subject, self.detail)
    }

    fn to_json(&self) -> Value {
        let mut value = json!({ "kind": self.kind, "subject": self.subject, "detail": self.detail });
        if let Some(reference) = &self.reference {
            value["reference"] = json!(reference);
        }
        value
    }
}
