//! Credentials for everybody: one lookup at a time, renewed before they expire.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use object_store::aws::AwsCredential;

use super::chain::Outcome;
use super::error::ProviderAttempt;

/// Credentials are renewed so long before they expire (or after three quarters of their life, if that is later): a
/// request may be repeated for minutes with the signature that it began with.
const RENEW_BEFORE: Duration = Duration::from_secs(5 * 60);

/// After a failed renewal, what is still valid is used so long before the provider is asked again.
const RENEWAL_PAUSE: Duration = Duration::from_secs(10);

/// Asks for credentials.
pub(super) type Lookup = Arc<dyn Fn() -> BoxFuture<'static, Outcome> + Send + Sync>;

/// Tells the time.
pub(super) type Clock = fn() -> SystemTime;

/// Remembers credentials, and sees to it that they are asked for by one at a time.
///
/// An error is given to all who waited for it, and to nobody who asks later.
pub(crate) struct CredentialCache {
    lookup: Lookup,
    clock: Clock,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    kept: Option<Kept>,
    /// The lookup under way. Whoever waits drives it.
    flight: Option<Shared<BoxFuture<'static, Found>>>,
}

/// The result of a lookup, shared by all who waited.
#[derive(Clone)]
pub(crate) enum Found {
    Credentials(Arc<AwsCredential>),
    Nothing(Arc<[ProviderAttempt]>),
    Failed(super::CredentialsError),
}

/// What may be told of credentials: nothing that signs.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct CredentialFacts {
    /// Which provider they come from, in the words of `ProviderAttempt::provider`.
    pub provider: &'static str,
    /// The access key's id, which is no secret.
    pub access_key_id: String,
    /// Whether a session token comes with them, as with all temporary ones.
    pub has_session_token: bool,
    /// When they expire, where the provider says it.
    pub expiry: Option<SystemTime>,
}

struct Kept {
    credentials: Arc<AwsCredential>,
    provider: &'static str,
    expiry: Option<SystemTime>,
    renew_at: Option<SystemTime>,
}

impl Kept {
    fn is_fresh(&self, now: SystemTime) -> bool {
        self.renew_at.is_none_or(|renew_at| now < renew_at)
    }

    fn is_valid(&self, now: SystemTime) -> bool {
        self.expiry.is_none_or(|expiry| now < expiry)
    }
}

impl CredentialCache {
    pub(super) fn new(lookup: Lookup) -> Arc<Self> {
        Self::with_clock(lookup, SystemTime::now)
    }

    fn with_clock(lookup: Lookup, clock: Clock) -> Arc<Self> {
        Arc::new(CredentialCache { lookup, clock, state: Mutex::default() })
    }

    /// The credentials: remembered ones, or those of the lookup under way, or of a new one.
    pub(crate) async fn get(self: &Arc<Self>) -> Found {
        let flight = {
            let mut state = self.state();
            if let Some(kept) = state.kept.as_ref().filter(|kept| kept.is_fresh((self.clock)())) {
                return Found::Credentials(Arc::clone(&kept.credentials));
            }
            let start = || fly((self.lookup)(), Arc::downgrade(self)).boxed().shared();
            state.flight.get_or_insert_with(start).clone()
        };
        flight.await
    }

    /// What is remembered, without what is secret.
    pub(crate) fn facts(&self) -> Option<CredentialFacts> {
        let state = self.state();
        let kept = state.kept.as_ref()?;
        Some(CredentialFacts {
            provider: kept.provider,
            access_key_id: kept.credentials.key_id.clone(),
            has_session_token: kept.credentials.token.is_some(),
            expiry: kept.expiry,
        })
    }

    /// Drops what is remembered, if it has this key id: the server says that it is no longer valid. Of many requests that
    /// were under way with it, the later ones find the next credentials, which nobody has refused.
    pub(crate) fn forget(&self, key_id: &str) {
        let mut state = self.state();
        if state.kept.as_ref().is_some_and(|kept| kept.credentials.key_id == key_id) {
            state.kept = None;
        }
    }

    /// Takes in the outcome of a lookup.
    fn land(&self, outcome: Outcome) -> Found {
        let now = (self.clock)();
        let mut state = self.state();
        state.flight = None;
        match outcome {
            Outcome::Credentials(credentials, provider) => {
                let kept = keep(&credentials, provider, now);
                let found = Found::Credentials(Arc::clone(&kept.credentials));
                state.kept = Some(kept);
                found
            }
            Outcome::Nothing(tried) => Found::Nothing(tried),
            Outcome::Failed(error) => match &mut state.kept {
                Some(kept) if kept.is_valid(now) => {
                    tracing::warn!(%error, "cannot renew AWS credentials yet, those at hand are still valid");
                    kept.renew_at = Some(now + RENEWAL_PAUSE);
                    Found::Credentials(Arc::clone(&kept.credentials))
                }
                _ => Found::Failed(error),
            },
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A lookup from start to end. It does not keep the cache alive, in which it is kept itself.
async fn fly(lookup: BoxFuture<'static, Outcome>, cache: Weak<CredentialCache>) -> Found {
    let outcome = lookup.await;
    cache.upgrade().map_or_else(|| Found::Nothing(Arc::new([])), |cache| cache.land(outcome))
}

fn keep(credentials: &Credentials, provider: &'static str, now: SystemTime) -> Kept {
    let expiry = credentials.expiry();
    let renew_at = expiry.map(|expiry| {
        let life = expiry.duration_since(now).unwrap_or_default();
        expiry.checked_sub(RENEW_BEFORE.min(life / 4)).unwrap_or(expiry)
    });
    let credentials = AwsCredential {
        key_id: credentials.access_key_id().to_owned(),
        secret_key: credentials.secret_access_key().to_owned(),
        token: credentials.session_token().map(str::to_owned),
    };
    Kept { credentials: Arc::new(credentials), provider, expiry, renew_at }
}

impl fmt::Debug for CredentialCache {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("CredentialCache").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
