//! One cache of credentials per environment, profile and partition of AWS, however many stores are opened.

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use futures::FutureExt;
use nars3_store_url::aws_domain;
use tokio::sync::OnceCell;

use super::cache::{CredentialCache, Found, Lookup};
use super::chain::{Chain, ChainSettings, Outcome};
use super::error::ProviderAttempt;
use crate::S3OpenError;
use crate::environment::CredentialSource;
use crate::tls::CaBundle;

/// How a store's requests are made.
#[derive(Clone, Debug)]
pub(crate) enum Access {
    /// Signed, with credentials from here.
    Signed(Arc<CredentialCache>),
    /// Unsigned: nothing is configured. What each provider said that was asked.
    Anonymous(Arc<[ProviderAttempt]>),
}

/// What distinguishes one set of credentials from another.
#[derive(Clone, Eq, Hash, PartialEq)]
struct Key {
    profile: Option<String>,
    /// Of AWS. Another region of the same one needs no other credentials.
    partition: &'static str,
    ca_bundle: Option<PathBuf>,
}

/// The decisions so far. A decision, for credentials or against them, holds; an error decides nothing.
#[derive(Default)]
pub(crate) struct Registry {
    decisions: Mutex<HashMap<Key, Arc<OnceCell<Access>>>>,
}

impl Registry {
    /// Decides how to access a store, by asking for credentials once.
    pub(crate) async fn access(
        &self,
        source: &CredentialSource,
        profile: Option<&str>,
        region: &str,
        ca_bundle: Option<&CaBundle>,
    ) -> Result<Access, S3OpenError> {
        let key = Key {
            profile: profile.map(str::to_owned),
            partition: aws_domain(region),
            ca_bundle: ca_bundle.map(|bundle| bundle.path.clone()),
        };
        let decision = {
            let mut decisions = self.decisions.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(decisions.entry(key).or_default())
        };
        let settings = ChainSettings {
            source: source.clone(),
            profile: profile.map(str::to_owned),
            region: region.to_owned(),
            ca_bundle: ca_bundle.cloned(),
        };
        decision.get_or_try_init(|| decide(settings)).await.cloned()
    }
}

async fn decide(settings: ChainSettings) -> Result<Access, S3OpenError> {
    let first = settings.build().await?;
    let cache = CredentialCache::new(lookup(settings, first));
    match cache.get().await {
        Found::Credentials(_) => Ok(Access::Signed(cache)),
        Found::Nothing(tried) => Ok(Access::Anonymous(tried)),
        Found::Failed(error) => Err(S3OpenError::Credentials(error)),
    }
}

/// Asks a chain, the same one as long as it works: its providers remember tokens of their own.
fn lookup(settings: ChainSettings, first: Chain) -> Lookup {
    let chain = Arc::new(Mutex::new(Some(Arc::new(first))));
    let settings = Arc::new(settings);
    Arc::new(move || {
        let (chain, settings) = (Arc::clone(&chain), Arc::clone(&settings));
        async move { ask(&chain, &settings).await }.boxed()
    })
}

async fn ask(slot: &Mutex<Option<Arc<Chain>>>, settings: &ChainSettings) -> Outcome {
    let current = slot.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let chain = match current {
        Some(chain) => chain,
        None => match settings.build().await {
            Ok(chain) => Arc::new(chain),
            Err(error) => return Outcome::Failed(settings.broken(&error)),
        },
    };
    let outcome = chain.load().await;
    // Providers of profiles remember their errors, so a chain that failed is not asked twice.
    let keep = matches!(outcome, Outcome::Credentials(..)).then_some(chain);
    *slot.lock().unwrap_or_else(PoisonError::into_inner) = keep;
    outcome
}

impl fmt::Debug for Registry {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Registry").finish_non_exhaustive()
    }
}
