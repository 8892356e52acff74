//! An account's OIDC providers.

use std::collections::BTreeMap;

use super::{IamCode, IamError, MAX_PROVIDERS, OidcProvider, Registration};

/// An account's OIDC providers, with IAM's answers to what is done with them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderRegistry {
    account: String,
    partition: String,
    providers: BTreeMap<String, OidcProvider>,
}

impl ProviderRegistry {
    /// An account without providers.
    pub fn new(account: &str) -> Self {
        Self { account: account.to_owned(), partition: "aws".to_owned(), providers: BTreeMap::new() }
    }

    /// The same in another partition than `aws`.
    #[must_use]
    pub fn in_partition(self, partition: &str) -> Self {
        Self { partition: partition.to_owned(), ..self }
    }

    /// `CreateOpenIDConnectProvider`.
    pub fn create(&mut self, registration: Registration) -> Result<&OidcProvider, IamError> {
        let provider = OidcProvider::register(&self.account, registration)?.in_partition(&self.partition);
        self.insert(provider)
    }

    /// The same for a stand-in of AWS ([`OidcProvider::register_local`]).
    pub fn create_local(&mut self, registration: Registration) -> Result<&OidcProvider, IamError> {
        let provider = OidcProvider::register_local(&self.account, registration)?.in_partition(&self.partition);
        self.insert(provider)
    }

    fn insert(&mut self, provider: OidcProvider) -> Result<&OidcProvider, IamError> {
        if self.providers.contains_key(provider.arn()) {
            let message = format!("Provider with url {} already exists.", provider.issuer());
            return Err(IamCode::EntityAlreadyExists.with(message));
        }
        if self.providers.len() >= MAX_PROVIDERS {
            let message = format!("Cannot exceed quota for OpenIdConnectProvidersPerAccount: {MAX_PROVIDERS}");
            return Err(IamCode::LimitExceeded.with(message));
        }
        Ok(self.providers.entry(provider.arn().to_owned()).or_insert(provider))
    }

    /// `GetOpenIDConnectProvider`.
    pub fn get(&self, arn: &str) -> Result<&OidcProvider, IamError> {
        self.providers.get(arn).ok_or_else(|| not_found(arn))
    }

    /// A provider to be changed: for `AddClientIDToOpenIDConnectProvider` and its neighbours.
    pub fn get_mut(&mut self, arn: &str) -> Result<&mut OidcProvider, IamError> {
        self.providers.get_mut(arn).ok_or_else(|| not_found(arn))
    }

    /// `DeleteOpenIDConnectProvider`. Its words for a missing provider are its own (recorded answer).
    pub fn delete(&mut self, arn: &str) -> Result<OidcProvider, IamError> {
        let message = || IamCode::NoSuchEntity.with(format!("OpenId connect Provider {arn} cannot be found."));
        self.providers.remove(arn).ok_or_else(message)
    }

    /// The provider of a token with this `iss`, byte for byte.
    pub fn by_issuer(&self, issuer: &str) -> Option<&OidcProvider> {
        let url = issuer.strip_prefix("https://")?;
        self.providers.values().find(|provider| provider.url() == url)
    }

    /// All providers, sorted by ARN.
    pub fn iter(&self) -> impl Iterator<Item = &OidcProvider> {
        self.providers.values()
    }
}

fn not_found(arn: &str) -> IamError {
    IamCode::NoSuchEntity.with(format!("OpenIDConnect Provider not found for arn {arn}"))
}
