//! A request that failed, as a finding: what is wrong, and what to change.

use nars3_s3::{S3Error, S3ErrorKind};
use nars3_store_url::{S3Settings, Scheme};

use super::finding::{Check, Code, Finding, Level};
use super::words::innermost;
use crate::hints;

/// What a check knows when its request fails.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    pub(super) check: Check,
    /// What was tried, to stand after "cannot".
    pub(super) what: &'a str,
    pub(super) settings: &'a S3Settings,
    /// Whether requests are signed.
    pub(super) signed: bool,
}

impl Asked<'_> {
    /// The finding for an error of the object store.
    pub(super) fn failed(self, error: &object_store::Error) -> Finding {
        self.refused(&S3Error::of(error), &innermost(error))
    }

    /// The finding for an error, with the words of whatever lies deepest.
    pub(super) fn refused(self, error: &S3Error, deepest: &str) -> Finding {
        let plain = |code, fix: Option<String>| Finding {
            fix,
            ..Finding::new(self.check, Level::Problem, code, format!("cannot {}: {error}", self.what))
        };
        let usual = || hints::of_s3_error(error);
        match &error.kind {
            S3ErrorKind::NoCredentials(error) => super::access::unavailable(error),
            S3ErrorKind::BadCredentials => {
                Finding { check: Check::Credentials, ..plain(Code::CredentialsRejected, usual()) }
            }
            S3ErrorKind::ExpiredCredentials => {
                Finding { check: Check::Credentials, ..plain(Code::CredentialsExpired, usual()) }
            }
            S3ErrorKind::Forbidden { .. } => plain(Code::Forbidden, self.allow(error).or_else(usual)),
            S3ErrorKind::BucketMissing => plain(Code::BucketMissing, usual()),
            S3ErrorKind::WrongRegion { .. } => {
                Finding { check: Check::Region, ..plain(Code::WrongRegion, usual()) }
            }
            S3ErrorKind::Redirected { .. } => plain(Code::Redirected, usual()),
            S3ErrorKind::ClockSkew => Finding { check: Check::Clock, ..plain(Code::ClockSkew, usual()) },
            S3ErrorKind::Throttled => plain(Code::Throttled, usual()),
            S3ErrorKind::Server => {
                plain(Code::ServerError, Some("try again later, or ask the server's operator".to_owned()))
            }
            S3ErrorKind::ConnectionRefused => plain(Code::ConnectionRefused, usual()),
            S3ErrorKind::UnknownHost => plain(Code::UnknownHost, usual()),
            S3ErrorKind::Unreachable => plain(Code::Unreachable, usual()),
            S3ErrorKind::TimedOut => plain(Code::TimedOut, usual()),
            S3ErrorKind::Tls => tls(plain(Code::Tls, usual()), error.message.as_deref().unwrap_or(deepest)),
            S3ErrorKind::ConnectionLost => plain(Code::ConnectionLost, Some(self.other_scheme())),
            S3ErrorKind::InvalidAnswer => plain(Code::NotS3, usual()),
            _ if speaks_tls(error) => {
                plain(Code::SchemeWrong, Some("write scheme=https into the store URL".to_owned()))
            }
            _ => plain(Code::Refused, usual()).details(Some(deepest.to_owned()).filter(|it| !it.is_empty())),
        }
    }

    /// A server that ends the connection without a word may expect TLS, or may not know it.
    fn other_scheme(self) -> String {
        let scheme = self.settings.bucket_address().map(|address| address.url.scheme);
        let advice = match scheme {
            Ok(Scheme::Https) => "a server without TLS needs scheme=http",
            _ => "a server that speaks TLS needs scheme=https",
        };
        format!("check the network, proxies included; {advice}")
    }

    /// Whom to allow what, where the policy does not.
    fn allow(self, error: &S3Error) -> Option<String> {
        let S3ErrorKind::Forbidden { action: Some(action) } = error.kind else { return None };
        let bucket = &self.settings.bucket;
        let on_the_bucket = action.starts_with("s3:ListBucket");
        let resource = match (on_the_bucket, self.settings.prefix.as_str()) {
            (true, _) => format!("arn:aws:s3:::{bucket}"),
            (false, "") => format!("arn:aws:s3:::{bucket}/*"),
            (false, prefix) => format!("arn:aws:s3:::{bucket}/{prefix}/*"),
        };
        Some(if self.signed {
            format!(
                "allow {action} on {resource} for these credentials, or name others with profile= in the store URL"
            )
        } else {
            format!(
                "configure credentials (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or profile= in the store URL), or \
                 allow everybody {action} on {resource}"
            )
        })
    }
}

/// MinIO and others say so, in plain HTTP.
fn speaks_tls(error: &S3Error) -> bool {
    error.status == Some(400) && error.message.as_ref().is_some_and(|words| words.contains("HTTPS server"))
}

/// Which part of the handshake failed.
fn tls(finding: Finding, deepest: &str) -> Finding {
    let has = |words: &str| deepest.contains(words);
    let fix = if has("UnknownIssuer") {
        "name the authority's certificates (PEM) with ssl-cert-file= in the store URL, or in AWS_CA_BUNDLE, \
         NIX_SSL_CERT_FILE or SSL_CERT_FILE"
    } else if has("NotValidForName") {
        "use the name that the certificate is for in endpoint=; if only the bucket's name in front is too much, \
         addressing-style=path"
    } else if has("Expired") || has("NotValidYet") {
        "the certificate is out of date: renew it, or set this machine's clock"
    } else if has("corrupt message") || has("InvalidContentType") {
        "the server speaks no TLS there: write scheme=http into the store URL, or correct the port"
    } else if has("CertificateRequired") || has("HandshakeFailure") {
        "the server wants a client certificate: tls-certificate= and tls-private-key= in the store URL"
    } else {
        return finding.details([deepest.to_owned()]);
    };
    finding.details([deepest.to_owned()]).fix(fix)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(settings: &S3Settings, signed: bool) -> Asked<'_> {
        Asked { check: Check::Reading, what: "read 'nix-cache-info'", settings, signed }
    }

    fn denied() -> object_store::Error {
        object_store::Error::PermissionDenied { path: "x".into(), source: "AccessDenied".into() }
    }

    #[test]
    fn the_authority_that_is_missing_is_told_from_the_name_that_does_not_fit() {
        let finding = |words| tls(Finding::problem(Check::Reading, Code::Tls, "x"), words);
        let fix = |words| finding(words).fix.unwrap();
        assert!(fix("invalid peer certificate: UnknownIssuer").contains("ssl-cert-file="));
        assert!(
            fix("invalid peer certificate: NotValidForNameContext { … }").contains("addressing-style=path")
        );
        assert!(fix("received corrupt message of type InvalidContentType").contains("scheme=http"));
        assert_eq!(finding("something new").details, ["something new"]);
    }

    #[test]
    fn who_is_forbidden_something_is_told_what_to_allow_and_on_what() {
        let mut settings = S3Settings::new("b");
        settings.prefix = "one".to_owned();
        let error = S3Error::of(&denied());
        assert!(matches!(error.kind, S3ErrorKind::Forbidden { action: None }));
        let finding = asked(&settings, true).refused(&error, "");
        assert_eq!(finding.code, Code::Forbidden);
        assert!(finding.fix.is_some());
    }
}
