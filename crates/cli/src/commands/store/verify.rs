//! `nars3 store verify`, with the exit codes of `nix store verify`.

use std::process::ExitCode;

use nars3_binary_cache::{Finding, VerifyOptions, VerifyReport};
use nars3_store_api::Store;
use nars3_store_path::{PublicKeys, StoreDir};
use serde_json::{Value, json};

use super::cache;
use super::sign::paths;
use crate::args::StoreVerifyArgs;
use crate::error::{CliError, CliResult};
use crate::output::{Output, count_paths};
use crate::run::Context;
use crate::settings::trusted_public_keys;
use crate::stores::{Purpose, open_cache_with_upstreams};

pub(super) async fn verify(args: StoreVerifyArgs, context: &Context) -> CliResult {
    let opened = open_cache_with_upstreams(&args.store, &args.upstream, Purpose::Read, context).await?;
    let cache = cache(opened, "verify")?;
    let paths = if args.all {
        None
    } else {
        let roots = paths(&args.paths, false, cache.as_ref()).await?;
        let infos = nars3_copy::closure(cache.as_ref(), &roots, args.recursive).await?;
        Some(infos.iter().map(|info| info.path.clone()).collect())
    };
    let options = VerifyOptions {
        paths,
        contents: !args.no_contents,
        trusted: if args.no_trust { None } else { trusted(&args, context)? },
        signatures_needed: args.sigs_needed,
    };
    let report = cache.verify(&options).await?;
    print(&report, cache.store_dir(), args.json)?;
    conclude(&report)
}

fn trusted(args: &StoreVerifyArgs, context: &Context) -> CliResult<Option<PublicKeys>> {
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
        }))?;
    } else {
        for finding in &report.findings {
            output.line(Described::of(finding, store_dir).to_line())?;
        }
        let count = report.findings.len();
        output.line(format_args!("{} checked, {count} findings", count_paths(report.paths)))?;
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
        .hint("push damaged or missing paths again with 'nars3 copy --repair'")
        .with_code(ExitCode::from(code)))
}

/// A finding in words, for a line or for JSON.
struct Described {
    kind: &'static str,
    subject: String,
    detail: String,
}

impl Described {
    fn of(finding: &Finding, store_dir: &StoreDir) -> Self {
        let print = |path| store_dir.print(path);
        let (kind, subject, detail) = match finding {
            Finding::Invalid { path } => ("invalid", print(path), "it is not in the cache".to_owned()),
            Finding::CorruptNarInfo { hash_part, error } => {
                ("corrupt-narinfo", format!("{hash_part}.narinfo"), error.with_causes())
            }
            Finding::MissingNar { path, location } => {
                ("missing-nar", print(path), format!("'{location}' does not exist"))
            }
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
            Finding::OrphanNar { key, size } => {
                ("orphan-nar", key.clone(), format!("{size} bytes that no narinfo names"))
            }
            other => ("other", String::new(), format!("{other:?}")),
        };
        Self { kind, subject, detail }
    }

    fn to_line(&self) -> String {
        format!("{}: {}: {}", self.kind, self.subject, self.detail)
    }

    fn to_json(&self) -> Value {
        json!({ "kind": self.kind, "subject": self.subject, "detail": self.detail })
    }
}
