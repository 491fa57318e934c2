//! Why there are no credentials, provider by provider.

use std::fmt;
use std::sync::Arc;

/// What a provider said instead of credentials.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Refusal {
    /// Nothing is configured for it.
    NotConfigured,
    /// It is configured, and did not work.
    Failed,
}

/// A provider that was tried in vain.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct ProviderAttempt {
    /// Which provider, in words: `environment`, `profile`, `web identity`, `container`, `instance metadata`.
    pub provider: &'static str,
    /// What kind of refusal it was.
    pub refusal: Refusal,
    /// The provider's own words, causes included.
    pub reason: String,
}

impl fmt::Display for ProviderAttempt {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.provider, self.reason)
    }
}

/// Credentials are configured, but there are none to be had.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct CredentialsError {
    /// The profile that was asked for by the store's settings.
    pub profile: Option<String>,
    /// The providers, in the order in which they were tried.
    pub attempts: Arc<[ProviderAttempt]>,
}

impl fmt::Display for CredentialsError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("cannot load AWS credentials")?;
        if let Some(profile) = &self.profile {
            write!(formatter, " of profile '{profile}'")?;
        }
        for (index, attempt) in self.attempts.iter().enumerate() {
            write!(formatter, "{} {attempt}", if index == 0 { ":" } else { ";" })?;
        }
        Ok(())
    }
}

impl std::error::Error for CredentialsError {}
