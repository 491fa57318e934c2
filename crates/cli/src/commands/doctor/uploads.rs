//! Uploads in parts that nobody completed.

use std::time::{Duration, SystemTime};

use nars3_s3::{Inspector, PendingUpload, S3Error, S3ErrorKind};
use nars3_store_url::S3Settings;
use serde_json::{Value, json};

use super::finding::{Check, Code, Finding, Level};
use super::refusal::Asked;
use super::words::{ago, instant};

/// The most that are shown as text.
const SHOWN: usize = 20;

/// Folders of a cache whose objects may be sent in parts (Nix 2.29 `binary-cache-store.cc`, newer Nix's build traces).
const FOLDERS: [&str; 5] = ["nar/", "log/", "debuginfo/", "realisations/", "build-trace-v2/"];

/// What becomes of an upload.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    Left,
    Aborted,
    Failed,
}

/// An upload of this cache.
#[derive(Debug)]
pub(super) struct Examined {
    upload: PendingUpload,
    age: Option<Duration>,
    fate: Fate,
}

impl Examined {
    pub(super) fn to_json(&self) -> Value {
        json!({
            "key": self.upload.key,
            "uploadId": self.upload.upload_id,
            "initiated": self.upload.initiated.map(instant),
            "ageSeconds": self.age.map(|age| age.as_secs()),
            "aborted": self.fate == Fate::Aborted,
        })
    }

    fn to_line(&self) -> String {
        let age = match (self.upload.initiated, self.age) {
            (Some(begun), Some(age)) => format!("begun {} ({} ago)", instant(begun), ago(age)),
            _ => "begun nobody knows when".to_owned(),
        };
        let fate = match self.fate {
            Fate::Left => "",
            Fate::Aborted => ", ended",
            Fate::Failed => ", not ended",
        };
        format!("'{}', {age}{fate}", self.upload.key)
    }
}

/// Lists the cache's uploads, and ends those that are older than `older_than`. Ages are by the server's clock, if it tells
/// the time.
pub(super) async fn examine(
    inspector: &Inspector,
    settings: &S3Settings,
    signed: bool,
    older_than: Option<Duration>,
    now: SystemTime,
) -> (Vec<Finding>, Vec<Examined>) {
    let asked = Asked { check: Check::Uploads, what: "list uploads in parts", settings, signed };
    let found = match inspector.uploads().await {
        Ok(found) => found,
        Err(error) => return (vec![not_listed(asked, &error, older_than.is_some())], Vec::new()),
    };
    let mut uploads: Vec<Examined> = found
        .uploads
        .into_iter()
        .filter(|upload| is_of_cache(&upload.key, &settings.prefix))
        .map(|upload| {
            let age = upload.initiated.map(|begun| now.duration_since(begun).unwrap_or_default());
            Examined { upload, age, fate: Fate::Left }
        })
        .collect();
    let mut findings = Vec::new();
    if let Some(limit) = older_than {
        let aborting = Asked { what: "end an upload in parts", ..asked };
        for upload in uploads.iter_mut().filter(|upload| upload.age.is_some_and(|age| age >= limit)) {
            match inspector.abort(&upload.upload).await {
                Ok(()) => upload.fate = Fate::Aborted,
                Err(error) => {
                    upload.fate = Fate::Failed;
                    findings.push(aborting.refused(&error, ""));
                }
            }
            // The first refusal is as good as a thousand.
            if findings.len() == 1 && matches!(findings.first(), Some(it) if it.code == Code::Forbidden) {
                break;
            }
        }
    }
    findings.insert(0, summary(&uploads, found.more));
    (findings, uploads)
}

fn summary(uploads: &[Examined], more: bool) -> Finding {
    let count = |fate| uploads.iter().filter(|upload| upload.fate == fate).count();
    let (aborted, left) = (count(Fate::Aborted), uploads.len() - count(Fate::Aborted));
    let mut details: Vec<String> = uploads.iter().take(SHOWN).map(Examined::to_line).collect();
    if uploads.len() > SHOWN {
        details.push(format!("and {} more, which --json shows", uploads.len() - SHOWN));
    }
    if more {
        details.push("and there are more than were read".to_owned());
    }
    let begun = if left == 1 {
        "1 is begun and not complete".to_owned()
    } else {
        format!("{left} are begun and not complete")
    };
    let finding = match (aborted, left) {
        (0, 0) => Finding::ok(Check::Uploads, "none is left behind"),
        (_, 0) => Finding::new(
            Check::Uploads,
            Level::Ok,
            Code::UploadsAborted,
            format!("{aborted} ended, none is left"),
        ),
        (0, _) => Finding::new(Check::Uploads, Level::Note, Code::UploadsLeft, begun),
        _ => Finding::new(
            Check::Uploads,
            Level::Note,
            Code::UploadsAborted,
            format!("{aborted} ended, {begun}"),
        ),
    };
    let finding = finding.details(details);
    if left == 0 {
        return finding;
    }
    finding.fix(
        "if no push is under way, end them with --abort-uploads-older-than 1d; a lifecycle rule of the bucket \
         (AbortIncompleteMultipartUpload) does it for ever",
    )
}

fn not_listed(asked: Asked<'_>, error: &S3Error, needed: bool) -> Finding {
    let finding = asked.refused(error, "");
    let known = matches!(error.kind, S3ErrorKind::Forbidden { .. } | S3ErrorKind::NotImplemented);
    if needed || !known {
        return finding;
    }
    // A push does not need it.
    let message = format!("not known: {error}");
    Finding { code: Code::UploadsUnknown, message, ..finding.at(Level::Note) }
}

/// Whether a key can be an object of the cache below `prefix`. Other things may share the bucket.
fn is_of_cache(key: &str, prefix: &str) -> bool {
    let name = if prefix.is_empty() {
        Some(key)
    } else {
        key.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('/'))
    };
    name.is_some_and(|name| {
        FOLDERS.iter().any(|folder| name.starts_with(folder))
            || name.starts_with(super::write::PROBE)
            || (!name.contains('/') && (name.ends_with(".narinfo") || name.ends_with(".ls")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_upload_is_not_the_caches() {
        for key in ["nar/x.nar.xz", "log/x.drv", "0a3yijp35sygmy51cnrrz11vimwapz7c.ls"] {
            assert!(is_of_cache(key, ""), "{key}");
            assert!(is_of_cache(&format!("one/{key}"), "one"), "{key}");
            assert!(!is_of_cache(key, "one"), "{key}");
            assert!(!is_of_cache(&format!("onemore/{key}"), "one"), "{key}");
        }
        for key in ["backup.tar", "nars/x", "other/nar/x.nar", "other/x.ls"] {
            assert!(!is_of_cache(key, ""), "{key}");
        }
    }
}
