//! Where the bucket is, and what requests are signed with.

use std::time::{Duration, SystemTime};

use nars3_s3::{CredentialFacts, CredentialsError, Identity, ProviderAttempt, S3OpenError};
use nars3_store_url::{S3Client, S3Settings};

use super::finding::{Check, Code, Finding, Level};
use super::words::{ago, instant};

/// Temporary credentials with less than this left may not outlive a push.
const SHORT: Duration = Duration::from_secs(10 * 60);

/// The address that the settings make, or why they make none.
pub(super) fn address(settings: &S3Settings) -> Finding {
    let address = match settings.bucket_address() {
        Ok(address) => address,
        Err(error) => {
            return Finding::problem(Check::Address, Code::AddressImpossible, error.to_string())
                .fix("change the settings that it names in the store URL");
        }
    };
    let style = if address.virtual_hosted { "host" } else { "path" };
    let client = match settings.s3_client {
        Some(S3Client::Rusoto) => "rusoto",
        _ => "object_store",
    };
    let mut message =
        format!("{}, the bucket in the {style}, region '{}', client {client}", address.url, settings.region);
    if !settings.prefix.is_empty() {
        message.push_str(&format!(", keys below '{}/'", settings.prefix));
    }
    let mut finding = Finding::ok(Check::Address, message);
    if address.fell_back_to_path {
        finding.level = Level::Note;
        finding.details.push(
            "a dot in the bucket's name keeps it out of the host: no certificate would cover that".to_owned(),
        );
    }
    finding
}

/// Why the store cannot be opened, before any request to the bucket.
pub(super) fn not_opened(error: &S3OpenError) -> Finding {
    match error {
        S3OpenError::Credentials(error) => unavailable(error),
        error => {
            let mut causes = Vec::new();
            let mut cause = std::error::Error::source(error);
            while let Some(error) = cause {
                causes.push(error.to_string());
                cause = error.source();
            }
            let fix = match error {
                S3OpenError::ReadPem { .. }
                | S3OpenError::InvalidPem { .. }
                | S3OpenError::NoCertificates { .. } => {
                    "name a file with certificates (PEM): ssl-cert-file= in the store URL, AWS_CA_BUNDLE, \
                     NIX_SSL_CERT_FILE or SSL_CERT_FILE"
                }
                S3OpenError::ClientNotBuilt { .. } => "leave out s3-client= and NARS3_S3_CLIENT",
                _ => "change the settings that it names in the store URL",
            };
            Finding::problem(Check::Address, Code::SettingsWrong, error.to_string()).details(causes).fix(fix)
        }
    }
}

/// Credentials are configured, and there are none to be had.
pub(super) fn unavailable(error: &CredentialsError) -> Finding {
    let whose = error.profile.as_ref().map(|name| format!(" of profile '{name}'")).unwrap_or_default();
    let said = error.attempts.iter().map(|attempt| attempt.reason.to_lowercase()).collect::<String>();
    let fix = if said.contains("sso") {
        "log in again with 'aws sso login', or name other credentials"
    } else if said.contains("not in the configuration files") {
        "correct the name: profile= in the store URL or AWS_PROFILE; 'aws configure list-profiles' shows which there are"
    } else {
        "correct what the failing provider says, or name other credentials: profile= in the store URL, or \
         AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    };
    let message = format!("there are none to be had{whose}, although some are configured");
    Finding::problem(Check::Credentials, Code::CredentialsUnavailable, message)
        .details(attempts(&error.attempts))
        .fix(fix)
}

/// What requests are signed with.
pub(super) fn credentials(identity: &Identity, settings: &S3Settings, now: SystemTime) -> Finding {
    match identity {
        Identity::Signed(facts) => signed(facts, settings.profile.as_deref(), now),
        Identity::Anonymous { .. } if settings.anonymous => {
            Finding::ok(Check::Credentials, "none are used, as anonymous=true wants it")
        }
        Identity::Anonymous { tried } => {
            let message = "none are configured, so requests are not signed";
            Finding::new(Check::Credentials, Level::Note, Code::CredentialsNone, message)
                .details(attempts(tried))
                .fix(
                    "where the bucket is not public: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a \
                     profile with profile= in the store URL; where it is, anonymous=true saves the search",
                )
        }
        _ => Finding::ok(Check::Credentials, "of a kind that this command does not know"),
    }
}

fn signed(facts: &CredentialFacts, profile: Option<&str>, now: SystemTime) -> Finding {
    let from = match profile {
        Some(profile) => format!("profile '{profile}'"),
        None => facts.provider.to_owned(),
    };
    let kind = if facts.has_session_token { "temporary key" } else { "key" };
    let mut message = format!("{kind} '{}' from {from}", facts.access_key_id);
    let Some(expiry) = facts.expiry else { return Finding::ok(Check::Credentials, message) };
    message.push_str(&format!(", until {}", instant(expiry)));
    match expiry.duration_since(now) {
        Err(_) => Finding::problem(Check::Credentials, Code::CredentialsExpired, message)
            .fix("renew them, for example with 'aws sso login'; if they are new, set this machine's clock"),
        Ok(left) if left < SHORT => {
            message.push_str(&format!(", {} from now", ago(left)));
            let code = Code::CredentialsExpiring;
            Finding::new(Check::Credentials, Level::Note, code, message)
        }
        Ok(_) => Finding::ok(Check::Credentials, message),
    }
}

fn attempts(attempts: &[ProviderAttempt]) -> Vec<String> {
    attempts.iter().map(ToString::to_string).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_contradict_one_another_are_named() {
        let mut settings = S3Settings::new("my.bucket");
        settings.addressing_style = nars3_store_url::AddressingStyle::Virtual;
        let finding = address(&settings);
        assert_eq!((finding.level, finding.code), (Level::Problem, Code::AddressImpossible));
        assert!(finding.message.contains("addressing-style"), "{}", finding.message);
    }

    #[test]
    fn a_dotted_bucket_is_told_of() {
        let finding = address(&S3Settings::new("my.bucket"));
        assert_eq!(finding.level, Level::Note);
        assert!(finding.message.contains("s3.us-east-1.amazonaws.com/my.bucket"), "{}", finding.message);
    }
}
