//! What a check finds: a fact that is as it should be, or something wrong, with what can be changed.

use serde_json::{Value, json};

/// Which part of the way to the bucket a finding is about.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Check {
    Address,
    Credentials,
    Reading,
    Region,
    Clock,
    Listing,
    CacheInfo,
    Uploads,
    Writing,
    Conditions,
    Parts,
    Deleting,
}

impl Check {
    fn as_str(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::Credentials => "credentials",
            Self::Reading => "reading",
            Self::Region => "region",
            Self::Clock => "clock",
            Self::Listing => "listing",
            Self::CacheInfo => "nix-cache-info",
            Self::Uploads => "uploads",
            Self::Writing => "writing",
            Self::Conditions => "conditional writes",
            Self::Parts => "writing in parts",
            Self::Deleting => "deleting",
        }
    }
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    /// As it should be.
    Ok,
    /// Nothing is wrong, but something may surprise.
    Note,
    /// It works, and not as well as it could.
    Warning,
    /// It does not work.
    Problem,
}

impl Level {
    fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Problem => "problem",
        }
    }
}

/// What was found, by a name that scripts can rely on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Code {
    AsItShouldBe,
    AddressImpossible,
    SettingsWrong,
    CredentialsNone,
    CredentialsUnavailable,
    CredentialsRejected,
    CredentialsExpired,
    CredentialsExpiring,
    ConnectionRefused,
    UnknownHost,
    Unreachable,
    TimedOut,
    ConnectionLost,
    Tls,
    SchemeWrong,
    NotS3,
    WrongRegion,
    Redirected,
    BucketMissing,
    Forbidden,
    ClockSkew,
    Throttled,
    ServerError,
    Refused,
    Unlistable,
    CacheInfoAbsent,
    CacheInfoMalformed,
    CacheInfoForeign,
    UploadsUnknown,
    UploadsLeft,
    UploadsAborted,
    NoConditions,
    NoParts,
    NothingWritten,
    WrongBytes,
    ProbeLeft,
}

impl Code {
    /// There was no answer at all.
    pub(super) fn is_silence(self) -> bool {
        matches!(self, Self::ConnectionRefused | Self::UnknownHost | Self::Unreachable | Self::TimedOut)
    }

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::AsItShouldBe => "ok",
            Self::AddressImpossible => "address-impossible",
            Self::SettingsWrong => "settings-wrong",
            Self::CredentialsNone => "credentials-none",
            Self::CredentialsUnavailable => "credentials-unavailable",
            Self::CredentialsRejected => "credentials-rejected",
            Self::CredentialsExpired => "credentials-expired",
            Self::CredentialsExpiring => "credentials-expiring",
            Self::ConnectionRefused => "connection-refused",
            Self::UnknownHost => "unknown-host",
            Self::Unreachable => "unreachable",
            Self::TimedOut => "timed-out",
            Self::ConnectionLost => "connection-lost",
            Self::Tls => "tls",
            Self::SchemeWrong => "scheme-wrong",
            Self::NotS3 => "not-s3",
            Self::WrongRegion => "wrong-region",
            Self::Redirected => "redirected",
            Self::BucketMissing => "bucket-missing",
            Self::Forbidden => "forbidden",
            Self::ClockSkew => "clock-skew",
            Self::Throttled => "throttled",
            Self::ServerError => "server-error",
            Self::Refused => "refused",
            Self::Unlistable => "unlistable",
            Self::CacheInfoAbsent => "cache-info-absent",
            Self::CacheInfoMalformed => "cache-info-malformed",
            Self::CacheInfoForeign => "cache-info-foreign",
            Self::UploadsUnknown => "uploads-unknown",
            Self::UploadsLeft => "uploads-left",
            Self::UploadsAborted => "uploads-aborted",
            Self::NoConditions => "no-conditional-writes",
            Self::NoParts => "no-multipart",
            Self::NothingWritten => "nothing-written",
            Self::WrongBytes => "wrong-bytes",
            Self::ProbeLeft => "probe-left",
        }
    }
}

/// One finding.
#[derive(Clone, Debug)]
pub(super) struct Finding {
    pub(super) check: Check,
    pub(super) level: Level,
    pub(super) code: Code,
    /// What is so, in one line.
    pub(super) message: String,
    /// More lines, such as what each provider of credentials said.
    pub(super) details: Vec<String>,
    /// What to change.
    pub(super) fix: Option<String>,
}

impl Finding {
    pub(super) fn new(check: Check, level: Level, code: Code, message: impl Into<String>) -> Self {
        Self { check, level, code, message: message.into(), details: Vec::new(), fix: None }
    }

    pub(super) fn ok(check: Check, message: impl Into<String>) -> Self {
        Self::new(check, Level::Ok, Code::AsItShouldBe, message)
    }

    pub(super) fn problem(check: Check, code: Code, message: impl Into<String>) -> Self {
        Self::new(check, Level::Problem, code, message)
    }

    #[must_use]
    pub(super) fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }

    #[must_use]
    pub(super) fn details(mut self, details: impl IntoIterator<Item = String>) -> Self {
        self.details.extend(details);
        self
    }

    /// The same, less bad.
    #[must_use]
    pub(super) fn at(mut self, level: Level) -> Self {
        self.level = level;
        self
    }

    pub(super) fn to_lines(&self) -> Vec<String> {
        let mut lines = vec![format!("{:<8} {}: {}", self.level.as_str(), self.check.as_str(), self.message)];
        lines.extend(self.details.iter().map(|line| format!("           {line}")));
        lines.extend(self.fix.iter().map(|fix| format!("         fix: {fix}")));
        lines
    }

    pub(super) fn to_json(&self) -> Value {
        json!({
            "check": self.check.as_str(),
            "level": self.level.as_str(),
            "code": self.code.as_str(),
            "message": self.message,
            "details": self.details,
            "fix": self.fix,
        })
    }
}
