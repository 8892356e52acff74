//! The keys of the CI platforms whose tokens are accepted, and the tokens themselves.
//!
//! A token is read ([`UnverifiedToken`]), its issuer chooses the providers, their keys verify it, and where several providers have one
//! issuer the audience chooses among them. A token never says where its key is; only the configured issuer does.
//!
//! Keys are fetched in the background, a first time when they are needed, and once more when a token names a key that is not among them
//! (at most once in `unknown_key_interval`, for everybody together). An upstream that fails leaves the keys that were good in use for
//! `stale_after`; one that withdraws a key is obeyed at the next refresh.
//!
//! | module | holds |
//! |---|---|
//! | [`client`], [`address`] | an HTTP client for documents that strangers name: bounded, and kept away from one's own network |
//! | [`fetch`] | from an issuer's URL, or a file, to its keys; the seam |
//! | `keys` | the keys in memory |

pub mod address;
pub mod client;
pub mod fetch;
mod keys;

use std::{fmt, sync::Arc};

use futures::future;
use tagmint_core::{
    clock::Clock,
    random::Random,
    trusted_issuer::{TokenError, TrustedIssuer, TrustedIssuerName, UnverifiedToken, VerifiedToken},
};

pub use self::keys::{KeyHealth, NoKeys};
use self::{
    client::GuardedClient,
    fetch::{FileKeyFetcher, HttpKeyFetcher, KeyFetcher},
    keys::UpstreamKeys,
};
use crate::settings::{KeySource, UpstreamSettings};

/// No client can be made for a provider: `ca_pem` is no certificate, or this machine has no root certificates.
#[derive(Debug, thiserror::Error)]
#[error(
    "the keys of provider `{provider}` cannot be fetched from here: {}; check its CA file and the system's root certificates",
    deepest(.source)
)]
pub struct NoClient {
    /// The provider.
    pub provider: TrustedIssuerName,
    /// What the TLS library says.
    pub source: reqwest::Error,
}

/// Why a CI token was not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UpstreamError {
    /// The token itself is not good.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// Its issuer is no provider's. Cut short, for the log.
    #[error("no provider has the token's issuer `{0}`; compare it with `issuer` of the providers in the configuration")]
    UnknownIssuer(String),
    /// It could not be verified, because of the platform and not of the token: 503.
    #[error("the keys of provider `{provider}` {reason}")]
    Keys {
        /// The provider.
        provider: TrustedIssuerName,
        /// What is wrong with its keys.
        reason: NoKeys,
    },
}

impl UpstreamError {
    /// Whether the platform is out of order and the token may be good: try again later.
    pub const fn is_outage(&self) -> bool {
        matches!(self, Self::Keys { .. })
    }
}

/// The most keys that the health page names as skipped.
const SKIPPED_SHOWN: usize = 5;

/// How a provider is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderHealth {
    /// The provider.
    pub provider: TrustedIssuerName,
    /// Its keys.
    pub keys: KeyHealth,
}

impl ProviderHealth {
    /// Whether its tokens can be verified now.
    pub const fn works(&self) -> bool {
        self.keys.keys > 0
    }
}

impl fmt::Display for ProviderHealth {
    /// For the public health page: what the log says in full is not told there.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let KeyHealth { keys, passed_over, fetched_at, last_error, .. } = &self.keys;
        match fetched_at {
            Some(at) => write!(f, "{}: usable keys: {keys}, fetched {at:.0}", self.provider)?,
            None => write!(f, "{}: no keys were fetched yet", self.provider)?,
        }
        // Of a public document, so the page may say it.
        for (at, skipped) in passed_over.iter().take(SKIPPED_SHOWN).enumerate() {
            write!(f, "{} {skipped}", if at == 0 { "; skipped" } else { "," })?;
        }
        if let more @ 1.. = passed_over.len().saturating_sub(SKIPPED_SHOWN) {
            write!(f, " and {more} more")?;
        }
        if last_error.is_some() { f.write_str("; the last attempt failed, the log says why") } else { Ok(()) }
    }
}

/// The providers whose tokens are accepted, and their keys.
#[derive(Debug)]
pub struct Upstreams {
    entries: Vec<Entry>,
    /// Each issuer's keys once.
    keys: Vec<Arc<UpstreamKeys>>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
}

#[derive(Debug)]
struct Entry {
    provider: TrustedIssuer,
    keys: Arc<UpstreamKeys>,
}

impl Upstreams {
    /// TrustedIssuers whose keys are fetched from the platforms. Nothing is fetched yet: a platform that is down keeps no issuer from starting.
    ///
    /// # Errors
    ///
    /// When no TLS client can be made for one of them.
    pub fn new(
        providers: Vec<(TrustedIssuer, UpstreamSettings)>,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Result<Arc<Self>, NoClient> {
        let with_client = |(provider, settings): (TrustedIssuer, UpstreamSettings)| {
            if let KeySource::File(file) = &settings.source {
                let fetcher: Arc<dyn KeyFetcher> = Arc::new(FileKeyFetcher::new(file.clone()));
                return Ok((provider, settings, fetcher));
            }
            match GuardedClient::new(&settings) {
                Ok(client) => {
                    let fetcher: Arc<dyn KeyFetcher> = Arc::new(HttpKeyFetcher::by(client, &settings));
                    Ok((provider, settings, fetcher))
                }
                Err(source) => Err(NoClient { provider: provider.name, source }),
            }
        };
        let providers = providers.into_iter().map(with_client).collect::<Result<_, _>>()?;
        Ok(Self::with_fetchers(providers, clock, random))
    }

    /// TrustedIssuers with their sources of keys. Those that have the issuer and the settings in common share the keys and the first one's source.
    pub fn with_fetchers(
        providers: Vec<(TrustedIssuer, UpstreamSettings, Arc<dyn KeyFetcher>)>,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Arc<Self> {
        let mut all: Vec<Arc<UpstreamKeys>> = Vec::new();
        let mut entries = Vec::new();
        for (provider, settings, fetcher) in providers {
            let settings = settings.at_pace();
            let known = all.iter().find(|keys| keys.issuer == provider.issuer && keys.settings == settings).cloned();
            let keys = known.unwrap_or_else(|| {
                let keys = UpstreamKeys::new(provider.issuer.clone(), settings, fetcher, Arc::clone(&clock));
                all.push(Arc::clone(&keys));
                keys
            });
            entries.push(Entry { provider, keys });
        }
        Arc::new(Self { entries, keys: all, clock, random })
    }

    /// Whether there is no provider: CI tokens are not accepted at all.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The providers, in the order of the configuration.
    pub fn providers(&self) -> impl Iterator<Item = &TrustedIssuer> {
        self.entries.iter().map(|entry| &entry.provider)
    }

    /// The provider of this name.
    pub fn provider(&self, name: &TrustedIssuerName) -> Option<&TrustedIssuer> {
        self.entries.iter().map(|entry| &entry.provider).find(|provider| provider.name == *name)
    }

    /// Verifies a CI token. Its single use is not looked at here.
    ///
    /// What can be refused without a key is refused before anything is fetched.
    pub async fn authenticate(&self, token: &str) -> Result<VerifiedToken, UpstreamError> {
        let token = UnverifiedToken::parse(token)?;
        let mut verdict = UpstreamError::UnknownIssuer(token.issuer().chars().take(100).collect());
        for entry in self.entries.iter().filter(|entry| entry.provider.issuer.as_str() == token.issuer()) {
            match self.verify(&token, entry).await {
                Ok(verified) => return Ok(verified),
                // For another provider of the same issuer, perhaps; that its keys are missing weighs more than that it is not for this one.
                Err(error) if may_be_anothers(&error) => {
                    if !verdict.is_outage() {
                        verdict = error;
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Err(verdict)
    }

    async fn verify(&self, token: &UnverifiedToken, entry: &Entry) -> Result<VerifiedToken, UpstreamError> {
        let Entry { provider, keys } = entry;
        let algorithm = token.algorithm();
        if !provider.algorithms.contains(&algorithm) {
            return Err(TokenError::AlgorithmNotAllowed { provider: provider.name.clone(), algorithm }.into());
        }
        let no_keys = |reason| UpstreamError::Keys { provider: provider.name.clone(), reason };
        let seen = keys.usable().await.map_err(no_keys)?;
        match token.verify(provider, &seen, self.clock.now()) {
            Err(error) if error.may_be_a_new_key() => {
                let newer = keys.newer_than(&seen).await.map_err(no_keys)?;
                Ok(token.verify(provider, &newer, self.clock.now())?)
            }
            verdict => Ok(verdict?),
        }
    }

    /// Keeps all keys fresh, until it is dropped. The first round begins at once.
    pub async fn keep_fresh(self: Arc<Self>) {
        let keep = |keys: &Arc<UpstreamKeys>| Arc::clone(keys).keep_fresh(Arc::clone(&self.random));
        future::join_all(self.keys.iter().map(keep)).await;
    }

    /// Fetches all keys now. For a clock that was set: how old they are cannot be told by it.
    pub async fn refresh(self: Arc<Self>) {
        future::join_all(self.keys.iter().map(UpstreamKeys::refresh)).await;
    }

    /// How the providers are doing, in the order of the configuration.
    pub fn health(&self) -> Vec<ProviderHealth> {
        let health =
            |entry: &Entry| ProviderHealth { provider: entry.provider.name.clone(), keys: entry.keys.health() };
        self.entries.iter().map(health).collect()
    }
}

fn may_be_anothers(error: &UpstreamError) -> bool {
    use TokenError::{AlgorithmNotAllowed, Audience};
    error.is_outage() || matches!(error, UpstreamError::Token(Audience(_) | AlgorithmNotAllowed { .. }))
}

fn deepest(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}
