//! Probes that write: under a name of their own, at once, on a condition, in parts, and away again.

use std::sync::Arc;

use futures::TryStreamExt;
use nars3_s3::{S3Error, S3ErrorKind};
use nars3_store_url::S3Settings;
use object_store::path::Path;
use object_store::{
    Error, MultipartUpload, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload, Result,
};

use super::finding::{Check, Code, Finding, Level};
use super::refusal::Asked;
use crate::error::CliResult;

/// What the names of probes begin with. No object of a cache is called so.
pub(super) const PROBE: &str = "nars3-doctor-";

/// The least that S3 takes for a part that is not the last.
const PART: usize = 5 << 20;

/// A probe's contents.
const TEXT: &str = "written by 'nars3 doctor --write', and of no use to anybody\n";

/// The probes of one run.
pub(super) struct Probes {
    pub(super) objects: Arc<dyn ObjectStore>,
    pub(super) settings: S3Settings,
    pub(super) signed: bool,
}

impl Probes {
    /// Runs them all.
    ///
    /// Deleting comes first, with a key that is not there, which S3 allows to whom it allows any deletion: whoever may not
    /// delete writes nothing that would stay.
    pub(super) async fn run(&self) -> CliResult<Vec<Finding>> {
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(|error| anyhow::anyhow!("no random numbers: {error}"))?;
        let name: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        let (small, large) =
            (Path::from(format!("{PROBE}{name}")), Path::from(format!("{PROBE}{name}-parts")));
        let mut findings = Vec::new();
        match self.delete(&small).await {
            Ok(()) => {
                findings.extend(self.write_and_read(&small).await);
                // Who heard nothing, or that it is too much, does not send 5 MiB after it.
                let in_vain = |code: Code| code.is_silence() || code == Code::Throttled;
                if !findings.iter().any(|finding| in_vain(finding.code)) {
                    findings.push(self.parts(&large).await);
                }
                findings.extend(self.clean([&small, &large]).await);
            }
            Err(error) => {
                let deleting = self.asked(Check::Deleting, "delete an object").failed(&error);
                let may_not = deleting.code == Code::Forbidden;
                findings.push(if may_not { deleting.at(Level::Note) } else { deleting });
                if may_not {
                    findings.push(self.leave_nothing(&large).await);
                }
            }
        }
        Ok(findings)
    }

    fn asked<'b>(&'b self, check: Check, what: &'b str) -> Asked<'b> {
        Asked { check, what, settings: &self.settings, signed: self.signed }
    }

    async fn delete(&self, path: &Path) -> Result<()> {
        let one = futures::stream::iter([Ok(path.clone())]);
        match self.objects.delete_stream(Box::pin(one)).try_for_each(async |_| Ok(())).await {
            Err(Error::NotFound { .. }) => Ok(()),
            done => done,
        }
    }

    async fn write_and_read(&self, path: &Path) -> Vec<Finding> {
        let create = || PutOptions::from(PutMode::Create);
        let put = self.objects.put_opts(path, PutPayload::from_static(TEXT.as_bytes()), create()).await;
        if let Err(error) = put {
            let finding = self.asked(Check::Writing, "write an object").failed(&error);
            if !matches!(error, Error::NotSupported { .. } | Error::NotImplemented { .. })
                && finding.code != Code::Refused
            {
                return vec![finding];
            }
            // The condition may be what the server does not know.
            let plain = PutPayload::from_static(TEXT.as_bytes());
            return match self.objects.put(path, plain).await {
                Ok(_) => vec![self.read_back(path).await, no_conditions()],
                Err(error) => vec![self.asked(Check::Writing, "write an object").failed(&error)],
            };
        }
        let again = self.objects.put_opts(path, PutPayload::from_static(b"other"), create()).await;
        let conditions = match again {
            Err(Error::AlreadyExists { .. }) => {
                Finding::ok(Check::Conditions, "the first of two writers wins")
            }
            Ok(_) => no_conditions(),
            Err(error) => self.asked(Check::Conditions, "write an object on a condition").failed(&error),
        };
        if conditions.code == Code::NoConditions {
            return vec![Finding::ok(Check::Writing, "allowed"), conditions];
        }
        vec![self.read_back(path).await, conditions]
    }

    async fn read_back(&self, path: &Path) -> Finding {
        let read = async { self.objects.get(path).await?.bytes().await };
        match read.await {
            Ok(read) if read == TEXT.as_bytes() => Finding::ok(Check::Writing, "written, and read back"),
            Ok(read) => wrong_bytes(Check::Writing, &read),
            Err(error) => self.asked(Check::Writing, "read what was written").failed(&error),
        }
    }

    async fn parts(&self, path: &Path) -> Finding {
        let asked = self.asked(Check::Parts, "write an object in parts");
        let parts = [PutPayload::from(vec![b'n'; PART]), PutPayload::from_static(TEXT.as_bytes())];
        let mut upload = match self.objects.put_multipart(path).await {
            Ok(upload) => upload,
            Err(error) => return self.no_parts(asked.failed(&error)),
        };
        if let Err(error) = send(&mut upload, parts).await {
            let _ = upload.abort().await;
            return asked.failed(&error);
        }
        let (start, end) = (PART as u64 - 1, (PART + TEXT.len()) as u64);
        match self.objects.get_range(path, start..end).await {
            Ok(read) if read.first() == Some(&b'n') && read.get(1..) == Some(TEXT.as_bytes()) => {
                Finding::ok(Check::Parts, "written in two parts, and read back across their border")
            }
            Ok(read) => wrong_bytes(Check::Parts, &read),
            Err(error) => self.asked(Check::Parts, "read what was written in parts").failed(&error),
        }
    }

    /// A server without uploads in parts still takes small objects.
    fn no_parts(&self, finding: Finding) -> Finding {
        if finding.code != Code::Refused {
            return finding;
        }
        Finding { code: Code::NoParts, ..finding.at(Level::Warning) }
            .fix("write multipart-upload=false into the store URL: files up to 5 GiB are then sent at once")
    }

    /// Begins an upload in parts, and ends it: that shows whether writing is allowed, and leaves nothing.
    async fn leave_nothing(&self, path: &Path) -> Finding {
        let asked = self.asked(Check::Writing, "begin to write an object");
        let mut upload = match self.objects.put_multipart(path).await {
            Ok(upload) => upload,
            Err(error) => return asked.failed(&error),
        };
        let part = upload.put_part(PutPayload::from_static(TEXT.as_bytes())).await;
        let ended = upload.abort().await;
        if let Err(error) = part {
            return asked.failed(&error);
        }
        match ended {
            Ok(()) => {
                let message = "allowed, as an upload shows that was begun and ended";
                Finding::new(Check::Writing, Level::Ok, Code::NothingWritten, message).details([
                    "no object was written, because it could not have been deleted; conditional writes are not known"
                        .to_owned(),
                ])
            }
            Err(error) => self.asked(Check::Parts, "end an upload in parts").failed(&error),
        }
    }

    async fn clean(&self, paths: [&Path; 2]) -> Vec<Finding> {
        let mut findings = Vec::new();
        for path in paths {
            let gone = match self.delete(path).await {
                Ok(()) => self.objects.head(path).await,
                Err(error) => Err(error),
            };
            let reason = match gone {
                Ok(_) => "it is still there after it was deleted".to_owned(),
                Err(error) => match S3Error::of(&error) {
                    S3Error { kind: S3ErrorKind::KeyMissing | S3ErrorKind::Forbidden { .. }, .. } => continue,
                    error => error.to_string(),
                },
            };
            let message = format!("'{path}' is left behind: {reason}");
            findings.push(
                Finding::problem(Check::Deleting, Code::ProbeLeft, message)
                    .fix("delete it by hand; nothing needs it"),
            );
        }
        if findings.is_empty() {
            findings.push(Finding::ok(Check::Deleting, "what was written is gone again"));
        }
        findings
    }
}

async fn send(upload: &mut Box<dyn MultipartUpload>, parts: [PutPayload; 2]) -> Result<()> {
    for part in parts {
        upload.put_part(part).await?;
    }
    upload.complete().await.map(drop)
}

fn no_conditions() -> Finding {
    let message = "the server does not honour them: of two writers of one path, the last wins";
    Finding::new(Check::Conditions, Level::Warning, Code::NoConditions, message).details([
        "nars3 looks before it writes instead; two that write the same path at the same moment may lose a signature"
            .to_owned(),
    ])
}

fn wrong_bytes(check: Check, read: &[u8]) -> Finding {
    let message = format!("{} bytes came back that are not those that were written", read.len());
    Finding::problem(check, Code::WrongBytes, message)
        .fix("do not trust this server, or whatever stands before it, with a cache")
}
