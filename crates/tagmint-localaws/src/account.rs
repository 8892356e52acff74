//! The account: its administrator, providers, roles and policies.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tagmint_core::random::RandomUnavailable;
use tagmint_iam::{
    policy::{InvalidPolicy, Kind, Policy},
    provider::{IamError, OidcProvider, ProviderRegistry, Registration},
    trust_policy, web_identity,
};

pub use crate::scope::{ACCOUNT, REGION};
use crate::{
    ids::Ids,
    managed,
    principals::{self, Bound},
    scope::Scope,
};

/// An account with everything that is set up in it. Its serialized form is the file that `--data` keeps.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct Account {
    /// Which account it is, and where.
    pub scope: Arc<Scope>,
    /// The administrator's access key.
    pub administrator: AccessKey,
    /// OIDC providers.
    pub providers: Providers,
    /// Roles by name.
    pub roles: BTreeMap<String, Role>,
    /// Managed policies of the account by ARN.
    pub policies: BTreeMap<String, ManagedPolicy>,
}

/// A long-lived access key.
#[derive(Clone, Serialize, Deserialize)]
pub struct AccessKey {
    /// `AKIA…`
    pub id: String,
    /// Its secret.
    pub secret: String,
}

impl std::fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AccessKey").field("id", &self.id).finish_non_exhaustive()
    }
}

/// The account's OIDC providers, and when each was made.
#[derive(Debug, Clone)]
pub struct Providers {
    /// What the engine keeps of them.
    pub registry: ProviderRegistry,
    /// By ARN.
    pub created: BTreeMap<String, Timestamp>,
}

/// A role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Role {
    /// Its name.
    pub name: String,
    /// Its path, `/` or `/…/`.
    pub path: String,
    /// Its unique id, `AROA…`.
    pub id: String,
    /// Its ARN.
    pub arn: String,
    /// When it was made.
    pub created: Timestamp,
    /// What it is for.
    pub description: Option<String>,
    /// The longest session, in seconds.
    pub max_session_seconds: i64,
    /// The trust policy's text, as it was given.
    pub trust_policy: String,
    /// The roles that it names.
    #[serde(default)]
    pub trusted: Bound,
    /// The texts of its own policies by name.
    pub inline: BTreeMap<String, String>,
    /// The ARNs of the managed policies that are attached.
    pub attached: BTreeSet<String>,
    /// Its tags.
    pub tags: Tags,
}

/// A managed policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManagedPolicy {
    /// Its name.
    pub name: String,
    /// Its path.
    pub path: String,
    /// Its unique id, `ANPA…`.
    pub id: String,
    /// Its ARN.
    pub arn: String,
    /// When it was made.
    pub created: Timestamp,
    /// When it was changed last.
    pub updated: Timestamp,
    /// What it is for.
    pub description: Option<String>,
    /// Its versions, the oldest first. Never empty.
    pub versions: Vec<PolicyVersion>,
    /// The version that counts, as `v1`.
    pub default_version: String,
    /// The number of the version that comes next.
    pub next_version: u64,
    /// Its tags.
    pub tags: Tags,
}

/// One version of a managed policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyVersion {
    /// `v1`, `v2`…
    pub id: String,
    /// When it was made.
    pub created: Timestamp,
    /// The policy's text.
    pub document: String,
}

/// Tags by key. IAM's keys are case-insensitive but keep their letters.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Tags(Vec<(String, String)>);

impl Tags {
    /// Sets tags; one whose key is there in any case is replaced.
    pub fn set(&mut self, tags: Vec<(String, String)>) {
        for (key, value) in tags {
            self.0.retain(|(present, _)| !present.eq_ignore_ascii_case(&key));
            self.0.push((key, value));
        }
        self.0.sort();
    }

    /// Removes tags.
    pub fn remove(&mut self, keys: &[String]) {
        self.0.retain(|(present, _)| !keys.iter().any(|key| present.eq_ignore_ascii_case(key)));
    }

    /// All tags, sorted.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }
}

impl Account {
    /// An empty account with a fresh administrator.
    pub fn new(scope: Scope, ids: &Ids) -> Result<Self, RandomUnavailable> {
        Ok(Self {
            administrator: AccessKey { id: ids.access_key("AKIA")?, secret: ids.secret()? },
            providers: Providers::none(&scope),
            scope: Arc::new(scope),
            roles: BTreeMap::new(),
            policies: BTreeMap::new(),
        })
    }

    /// The role of an ARN.
    pub fn role_by_arn(&self, arn: &str) -> Option<&Role> {
        self.roles.values().find(|role| role.arn == arn)
    }

    /// The role of a unique id.
    pub fn role_by_id(&self, id: &str) -> Option<&Role> {
        self.roles.values().find(|role| role.id == id)
    }

    /// The text of a managed policy that counts, the account's or AWS's own.
    pub fn managed_document(&self, arn: &str) -> Option<&str> {
        if let Some(policy) = self.policies.get(arn) {
            return policy.default_document();
        }
        self.document_of_aws(arn)
    }

    /// The text of one of AWS's own managed policies.
    pub fn document_of_aws(&self, arn: &str) -> Option<&'static str> {
        managed::document(&self.scope.partition, arn)
    }

    /// The policies that a role's sessions have: its own and the attached ones.
    pub fn policies_of(&self, role: &Role) -> Result<Vec<Policy>, InvalidPolicy> {
        let attached = role.attached.iter().filter_map(|arn| self.managed_document(arn));
        role.inline
            .values()
            .map(String::as_str)
            .chain(attached)
            .map(|text| Policy::parse_as(Kind::Identity, text))
            .collect()
    }
}

impl ManagedPolicy {
    /// The text of the version that counts.
    pub fn default_document(&self) -> Option<&str> {
        self.version(&self.default_version).map(|version| version.document.as_str())
    }

    /// A version by its id.
    pub fn version(&self, id: &str) -> Option<&PolicyVersion> {
        self.versions.iter().find(|version| version.id == id)
    }
}

impl Role {
    /// The role as the engine asks its trust policy.
    pub fn for_engine(&self, account: &Account) -> Result<web_identity::Role, IamError> {
        Ok(web_identity::Role {
            arn: self.arn.clone(),
            trust_policy: trust_policy::check(&self.shown_trust_policy(account))?,
            max_session_seconds: self.max_session_seconds,
        })
    }

    /// The trust policy's text as IAM shows it: with the ARNs of the roles that it names, and the ids of those that are gone.
    pub fn shown_trust_policy<'a>(&'a self, account: &Account) -> Cow<'a, str> {
        principals::shown(account, &self.trust_policy, &self.trusted)
    }
}

impl Providers {
    /// Those of an account that has none yet.
    fn none(scope: &Scope) -> Self {
        Self {
            registry: ProviderRegistry::new(&scope.account).in_partition(&scope.partition),
            created: BTreeMap::new(),
        }
    }

    /// Registers a provider. Unlike on AWS, an issuer on this machine may have a port.
    pub fn create(&mut self, registration: Registration, now: Timestamp) -> Result<String, IamError> {
        let arn = self.registry.create_local(registration)?.arn().to_owned();
        self.created.insert(arn.clone(), now);
        Ok(arn)
    }

    /// Removes a provider.
    pub fn delete(&mut self, arn: &str) -> Result<(), IamError> {
        self.registry.delete(arn)?;
        self.created.remove(arn);
        Ok(())
    }

    /// Replaces a provider's tags.
    pub fn set_tags(&mut self, arn: &str, tags: Vec<(String, String)>) -> Result<(), IamError> {
        let provider = self.registry.get(arn)?;
        let registration = Registration { tags, ..registration(provider) };
        self.registry.delete(arn)?;
        self.registry.create_local(registration)?;
        Ok(())
    }
}

/// What makes the same provider again.
fn registration(provider: &OidcProvider) -> Registration {
    Registration {
        url: provider.issuer(),
        client_ids: provider.client_ids().to_vec(),
        thumbprints: provider.thumbprints().to_vec(),
        tags: provider.tags().to_vec(),
    }
}

/// The account as its file has it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    #[serde(default)]
    scope: Scope,
    administrator: AccessKey,
    providers: Vec<StoredProvider>,
    roles: BTreeMap<String, Role>,
    policies: BTreeMap<String, ManagedPolicy>,
}

/// A provider by what it is registered with.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredProvider {
    url: String,
    client_ids: Vec<String>,
    thumbprints: Vec<String>,
    tags: Vec<(String, String)>,
    created: Timestamp,
}

impl From<Account> for Stored {
    fn from(account: Account) -> Self {
        let Account { scope, administrator, providers, roles, policies } = account;
        let stored = providers.registry.iter().map(|provider| {
            let Registration { url, client_ids, thumbprints, tags } = registration(provider);
            let created = providers.created.get(provider.arn()).copied().unwrap_or(Timestamp::UNIX_EPOCH);
            StoredProvider { url, client_ids, thumbprints, tags, created }
        });
        Self { scope: Scope::clone(&scope), administrator, providers: stored.collect(), roles, policies }
    }
}

impl TryFrom<Stored> for Account {
    type Error = IamError;

    fn try_from(stored: Stored) -> Result<Self, IamError> {
        let Stored { scope, administrator, providers: records, roles, policies } = stored;
        let mut providers = Providers::none(&scope);
        for StoredProvider { url, client_ids, thumbprints, tags, created } in records {
            providers.create(Registration { url, client_ids, thumbprints, tags }, created)?;
        }
        Ok(Self { scope: Arc::new(scope), administrator, providers, roles, policies })
    }
}
