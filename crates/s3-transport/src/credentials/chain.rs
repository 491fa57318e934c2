//! The providers of credentials, in order.
//!
//! AWS's own default chain does the same, but forgets what the providers said that had nothing to offer. Here it is
//! kept: an unknown profile, which to AWS's chain is just "not configured", must not end in anonymous requests.

use std::error::Error;
use std::sync::Arc;

use aws_config::BehaviorVersion;
use aws_config::ecs::EcsCredentialsProvider;
use aws_config::environment::{EnvironmentVariableCredentialsProvider, EnvironmentVariableRegionProvider};
use aws_config::imds;
use aws_config::imds::client::error::{ImdsError, TokenError};
use aws_config::imds::credentials::ImdsCredentialsProvider;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::{self, ProfileFileCredentialsProvider, ProfileFileRegionProvider};
use aws_config::provider_config::ProviderConfig;
use aws_config::web_identity_token::WebIdentityTokenCredentialsProvider;
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError as ProviderError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_types::os_shim_internal::{Env, Fs};
use aws_types::region::Region;
use reqwest::header::HeaderValue;

use super::error::{CredentialsError, ProviderAttempt, Refusal};
use super::http::{self, Proxy};
use crate::S3OpenError;
use crate::environment::{CredentialSource, StaticKeys};
use crate::tls::CaBundle;

/// The name of the provider that reads profiles.
const PROFILE: &str = "profile";

/// The profile that is used where nobody names one.
const DEFAULT_PROFILE: &str = "default";

/// What a chain is made from; a new one after every error, because some providers remember theirs.
#[derive(Clone)]
pub(super) struct ChainSettings {
    pub(super) source: CredentialSource,
    pub(super) profile: Option<String>,
    /// The region of STS, where neither the environment nor the profile has one.
    pub(super) region: String,
    pub(super) ca_bundle: Option<CaBundle>,
}

/// Providers, tried in order.
pub(super) struct Chain {
    /// The profile that the store's settings name.
    profile: Option<String>,
    /// The profile that someone has named: the settings, or `AWS_PROFILE`.
    named: Option<String>,
    providers: Vec<(&'static str, SharedCredentialsProvider)>,
}

/// The answer of a whole chain.
#[derive(Clone, Debug)]
pub(super) enum Outcome {
    /// What to sign with, and the provider that has it.
    Credentials(Credentials, &'static str),
    /// No provider is configured; what each of them said.
    Nothing(Arc<[ProviderAttempt]>),
    Failed(CredentialsError),
}

impl ChainSettings {
    pub(super) async fn build(&self) -> Result<Chain, S3OpenError> {
        let providers = match &self.source {
            CredentialSource::Anonymous => Vec::new(),
            CredentialSource::Static(keys) => {
                vec![("keys", SharedCredentialsProvider::new(credentials(keys)))]
            }
            CredentialSource::Files { .. } | CredentialSource::Chain => self.providers().await?,
        };
        Ok(Chain { profile: self.profile.clone(), named: self.named_profile().await, providers })
    }

    /// The error for a chain that could not be built a second time.
    pub(super) fn broken(&self, error: &S3OpenError) -> CredentialsError {
        let (provider, refusal, reason) = ("settings", Refusal::Failed, error.to_string());
        let attempt = ProviderAttempt { provider, refusal, reason };
        CredentialsError { profile: self.profile.clone(), attempts: Arc::new([attempt]) }
    }

    /// The providers that read the environment and files.
    ///
    /// A profile that the store's settings name stands alone, as with `--profile` of AWS's command and in Nix 2.29
    /// (`s3-binary-cache-store.cc`): keys that happen to be in the environment do not replace it.
    async fn providers(&self) -> Result<Vec<(&'static str, SharedCredentialsProvider)>, S3OpenError> {
        let web = ProviderConfig::without_region()
            .with_behavior_version(Some(BehaviorVersion::v2026_01_12()))
            .with_http_client(http::client(Proxy::FromEnvironment, self.ca_bundle.as_ref())?);
        let region = self.sts_region(&web).await;
        let web = web.with_region(Some(region));
        let local = web.clone().with_http_client(http::client(Proxy::Never, self.ca_bundle.as_ref())?);

        let profile = (PROFILE, SharedCredentialsProvider::new(self.profile_provider(&web, &local)));
        if self.profile.is_some() || matches!(self.source, CredentialSource::Files { .. }) {
            return Ok(vec![profile]);
        }
        Ok(vec![
            ("environment", SharedCredentialsProvider::new(EnvironmentVariableCredentialsProvider::new())),
            profile,
            (
                "web identity",
                SharedCredentialsProvider::new(
                    WebIdentityTokenCredentialsProvider::builder().configure(&web).build(),
                ),
            ),
            ("container", SharedCredentialsProvider::new(container(&local))),
            ("instance metadata", SharedCredentialsProvider::new(instance(&local))),
        ])
    }

    fn profile_provider(
        &self,
        web: &ProviderConfig,
        local: &ProviderConfig,
    ) -> ProfileFileCredentialsProvider {
        let mut builder = ProfileFileCredentialsProvider::builder()
            .configure(web)
            .with_custom_provider("EcsContainer", container(local))
            .with_custom_provider("Ec2InstanceMetadata", instance(local));
        if let Some(files) = self.files() {
            builder = builder.profile_files(files);
        }
        if let Some(name) = self.profile_name() {
            builder = builder.profile_name(name);
        }
        builder.build()
    }

    /// The region for STS: the environment's or the profile's, else the store's. Instance metadata is not asked.
    async fn sts_region(&self, config: &ProviderConfig) -> Region {
        let mut profile = ProfileFileRegionProvider::builder().configure(config);
        if let Some(files) = self.files() {
            profile = profile.profile_files(files);
        }
        if let Some(name) = self.profile_name() {
            profile = profile.profile_name(name);
        }
        let profile = profile.build();
        let configured = match self.source {
            CredentialSource::Files { .. } => RegionProviderChain::first_try(profile),
            _ => RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new()).or_else(profile),
        };
        configured.region().await.unwrap_or_else(|| Region::new(self.region.clone()))
    }

    /// The profile that the settings or the environment name, found the way in which AWS's chain finds it.
    #[expect(deprecated, reason = "the type has only moved, to a crate that is otherwise not needed")]
    async fn named_profile(&self) -> Option<String> {
        use profile::profile_file::ProfileFiles;
        if self.profile.is_some() || !matches!(self.source, CredentialSource::Chain) {
            return self.profile.clone();
        }
        let profiles = profile::load(&Fs::real(), &Env::real(), &ProfileFiles::default(), None).await.ok()?;
        Some(profiles.selected_profile()).filter(|name| *name != DEFAULT_PROFILE).map(str::to_owned)
    }

    fn profile_name(&self) -> Option<&str> {
        match (&self.profile, &self.source) {
            (Some(name), _) => Some(name),
            // With files of its own, even the choice of the profile is not the environment's.
            (None, CredentialSource::Files { .. }) => Some(DEFAULT_PROFILE),
            (None, _) => None,
        }
    }

    #[expect(deprecated, reason = "the type has only moved, to a crate that is otherwise not needed")]
    fn files(&self) -> Option<profile::profile_file::ProfileFiles> {
        use profile::profile_file::{ProfileFileKind, ProfileFiles};
        let CredentialSource::Files { config, credentials } = &self.source else { return None };
        let files = ProfileFiles::builder()
            .with_file(ProfileFileKind::Config, config)
            .with_file(ProfileFileKind::Credentials, credentials);
        Some(files.build())
    }
}

fn credentials(keys: &StaticKeys) -> Credentials {
    let StaticKeys { access_key_id, secret_access_key, session_token } = keys.clone();
    Credentials::new(access_key_id, secret_access_key, session_token, None, "static")
}

fn container(config: &ProviderConfig) -> EcsCredentialsProvider {
    EcsCredentialsProvider::builder().configure(config).build()
}

fn instance(config: &ProviderConfig) -> ImdsCredentialsProvider {
    let client = imds::Client::builder().configure(config).build();
    ImdsCredentialsProvider::builder().configure(config).imds_client(client).build()
}

impl Chain {
    /// Asks one provider after the other.
    pub(super) async fn load(&self) -> Outcome {
        let mut attempts = Vec::new();
        for (provider, inner) in &self.providers {
            let error = match inner.provide_credentials().await {
                Ok(credentials) if can_be_sent(&credentials) => {
                    tracing::debug!(provider, "loaded AWS credentials");
                    return Outcome::Credentials(credentials, provider);
                }
                Ok(_) => ProviderError::invalid_configuration(
                    "the access key or the session token has characters that no HTTP header can hold",
                ),
                Err(error) => error,
            };
            let nothing_there = is_no_instance(&error);
            let attempt = self.attempt(provider, &error);
            tracing::debug!(provider, refusal = ?attempt.refusal, reason = attempt.reason, "no AWS credentials");
            attempts.push(attempt);
            if !matches!(error, ProviderError::CredentialsNotLoaded(_)) && !nothing_there {
                break;
            }
        }
        if attempts.iter().all(|attempt| attempt.refusal == Refusal::NotConfigured) {
            return Outcome::Nothing(attempts.into());
        }
        Outcome::Failed(CredentialsError { profile: self.profile.clone(), attempts: attempts.into() })
    }

    /// Whether a provider that has no credentials should have had some, and what it says.
    ///
    /// A profile that someone named must have credentials. The profile provider gives a reason for "not loaded" only
    /// when a profile lacks a part of what it begins; without files, or without anything in the profile, it gives none.
    fn attempt(&self, provider: &'static str, error: &ProviderError) -> ProviderAttempt {
        let mut reason = in_words(error);
        let refusal = match error {
            ProviderError::CredentialsNotLoaded(_) if provider == PROFILE => {
                match (error.source(), &self.named) {
                    (Some(_), _) => Refusal::Failed,
                    (None, Some(name)) => {
                        reason = format!(
                            "profile '{name}' is not in the configuration files, or has no credentials"
                        );
                        Refusal::Failed
                    }
                    (None, None) => Refusal::NotConfigured,
                }
            }
            ProviderError::CredentialsNotLoaded(_) => Refusal::NotConfigured,
            error if is_no_instance(error) => Refusal::NotConfigured,
            _ => Refusal::Failed,
        };
        ProviderAttempt { provider, refusal, reason }
    }
}

/// Whether instance metadata refused the token that comes before everything else (status 4xx). Nobody has configured this
/// provider: it is asked at its well-known address, where other clouds, and AWS where metadata is turned off, say no. A
/// token that was given, or a server that fails, is another matter: then there may well be a role.
fn is_no_instance(error: &ProviderError) -> bool {
    let imds = error.source().and_then(|cause| cause.downcast_ref::<ImdsError>());
    let Some(refused @ ImdsError::FailedToLoadToken(_)) = imds else { return false };
    let answer =
        refused.source().and_then(|cause| cause.downcast_ref::<SdkError<TokenError, HttpResponse>>());
    let status = answer.and_then(|answer| answer.raw_response()).map(|raw| raw.status().as_u16());
    status.is_some_and(|status| (400..500).contains(&status))
}

/// Whether credentials fit into headers. The clients below take it for granted.
fn can_be_sent(credentials: &Credentials) -> bool {
    let fits = |text: &str| HeaderValue::from_str(text).is_ok();
    fits(credentials.access_key_id()) && credentials.session_token().is_none_or(fits)
}

/// An error and its causes, without saying anything twice.
fn in_words(error: &ProviderError) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !words.contains(&more) {
            words.push_str(": ");
            words.push_str(&more);
        }
        cause = error.source();
    }
    words
}
