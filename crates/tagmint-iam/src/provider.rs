//! IAM's OIDC providers: what can be registered, and how it is kept.
//!
//! Sources: the service model of IAM (limits) and recorded answers of IAM to `CreateOpenIDConnectProvider` and its neighbours (how URLs,
//! client ids, thumbprints and tags are kept, and the words of refusals).

mod built_in;
mod registry;

pub use self::{
    built_in::{AMAZON, COGNITO, FACEBOOK, GOOGLE},
    registry::ProviderRegistry,
};

/// Longest issuer URL and client id (service model of IAM).
pub const MAX_LEN: usize = 255;
/// Most client ids of one provider.
pub const MAX_CLIENT_IDS: usize = 100;
/// Most thumbprints of one provider.
pub const MAX_THUMBPRINTS: usize = 5;
/// Most OIDC providers of one account.
pub const MAX_PROVIDERS: usize = 100;
/// Length of a thumbprint. IAM asks for the length alone, not for hexadecimal digits (recorded answer).
const THUMBPRINT_LEN: usize = 40;

/// A registered OIDC provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OidcProvider {
    arn: String,
    url: String,
    client_ids: Vec<String>,
    thumbprints: Vec<String>,
    tags: Vec<(String, String)>,
    /// Whether AWS knows it without a registration.
    built_in: bool,
}

/// What `CreateOpenIDConnectProvider` takes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Registration {
    /// The issuer's URL, as `https://id.example.com/path`.
    pub url: String,
    /// The audiences to accept. May be empty.
    pub client_ids: Vec<String>,
    /// SHA-1 thumbprints of CA certificates. May be empty.
    pub thumbprints: Vec<String>,
    /// The provider's tags.
    pub tags: Vec<(String, String)>,
}

/// A refusal of IAM.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {message}", code.as_str())]
pub struct IamError {
    /// The code.
    pub code: IamCode,
    /// The words.
    pub message: String,
}

/// Codes of IAM's refusals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IamCode {
    /// The same provider is there.
    EntityAlreadyExists,
    /// A value that IAM doesn't take.
    InvalidInput,
    /// Over a quota.
    LimitExceeded,
    /// A policy that IAM doesn't take.
    MalformedPolicyDocument,
    /// There is no such provider.
    NoSuchEntity,
    /// A value outside of the service model's limits.
    ValidationError,
}

impl IamCode {
    /// The code on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::EntityAlreadyExists => "EntityAlreadyExists",
            Self::InvalidInput => "InvalidInput",
            Self::LimitExceeded => "LimitExceeded",
            Self::MalformedPolicyDocument => "MalformedPolicyDocument",
            Self::NoSuchEntity => "NoSuchEntity",
            Self::ValidationError => "ValidationError",
        }
    }

    /// The HTTP status that the service model gives it.
    pub const fn http_status(self) -> u16 {
        match self {
            Self::EntityAlreadyExists | Self::LimitExceeded => 409,
            Self::InvalidInput | Self::MalformedPolicyDocument | Self::ValidationError => 400,
            Self::NoSuchEntity => 404,
        }
    }

    pub(crate) fn with(self, message: impl Into<String>) -> IamError {
        IamError { code: self, message: message.into() }
    }
}

impl OidcProvider {
    /// Registers a provider in an account (12 digits) of the partition `aws`.
    pub fn register(account: &str, registration: Registration) -> Result<Self, IamError> {
        let url = kept_url(&registration.url, false)?;
        Self::register_kept(account, url, registration)
    }

    /// The same for a stand-in of AWS: an issuer on this machine (`localhost`, `127.0.0.1`) may have a port, which IAM itself refuses.
    pub fn register_local(account: &str, registration: Registration) -> Result<Self, IamError> {
        let url = kept_url(&registration.url, true)?;
        Self::register_kept(account, url, registration)
    }

    fn register_kept(account: &str, url: String, registration: Registration) -> Result<Self, IamError> {
        let mut provider = Self {
            arn: format!("arn:aws:iam::{account}:oidc-provider/{url}"),
            url,
            client_ids: Vec::new(),
            thumbprints: thumbprints(&registration.thumbprints)?,
            tags: registration.tags,
            built_in: false,
        };
        for client_id in &registration.client_ids {
            provider.add_client_id(client_id)?;
        }
        // IAM gives tags back sorted, and keeps keys that differ in case (recorded answer).
        provider.tags.sort();
        Ok(provider)
    }

    /// The same in another partition than `aws`.
    #[must_use]
    pub fn in_partition(mut self, partition: &str) -> Self {
        if let Some((_, rest)) = self.arn.strip_prefix("arn:").and_then(|rest| rest.split_once(':')) {
            self.arn = format!("arn:{partition}:{rest}");
        }
        self
    }

    /// The provider's ARN.
    pub fn arn(&self) -> &str {
        &self.arn
    }

    /// The URL as IAM keeps it: without the scheme, and without port 443.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The `iss` that a token of this provider has.
    pub fn issuer(&self) -> String {
        format!("https://{}", self.url)
    }

    /// The audiences, in the order they were added.
    pub fn client_ids(&self) -> &[String] {
        &self.client_ids
    }

    /// The thumbprints, in small letters.
    pub fn thumbprints(&self) -> &[String] {
        &self.thumbprints
    }

    /// The tags, sorted.
    pub fn tags(&self) -> &[(String, String)] {
        &self.tags
    }

    /// Adds an audience. One that is there stays where it is.
    pub fn add_client_id(&mut self, client_id: &str) -> Result<(), IamError> {
        let len = client_id.chars().count();
        check_len("clientID", client_id, len, 1, MAX_LEN)?;
        if self.client_ids.iter().any(|present| present == client_id) {
            return Ok(());
        }
        if self.client_ids.len() >= MAX_CLIENT_IDS {
            return Err(IamCode::LimitExceeded
                .with(format!("Cannot exceed quota for ClientIdsPerOpenIdConnectProvider: {MAX_CLIENT_IDS}")));
        }
        self.client_ids.push(client_id.to_owned());
        Ok(())
    }

    /// Removes an audience. One that isn't there is no error (recorded answer).
    pub fn remove_client_id(&mut self, client_id: &str) {
        self.client_ids.retain(|present| present != client_id);
    }

    /// Replaces the thumbprints. Unlike on creation there has to be one.
    pub fn set_thumbprints(&mut self, list: &[String]) -> Result<(), IamError> {
        if list.is_empty() {
            return Err(IamCode::InvalidInput.with("Thumbprint list must contain at least one entry."));
        }
        self.thumbprints = thumbprints(list)?;
        Ok(())
    }
}

/// Kept in small letters, repeated ones too (recorded answer).
fn thumbprints(list: &[String]) -> Result<Vec<String>, IamError> {
    if list.len() > MAX_THUMBPRINTS {
        return Err(
            IamCode::InvalidInput.with(format!("Thumbprint list must contain fewer than {MAX_THUMBPRINTS} entries."))
        );
    }
    for thumbprint in list {
        check_len("thumbprintList", thumbprint, thumbprint.chars().count(), THUMBPRINT_LEN, THUMBPRINT_LEN)?;
    }
    Ok(list.iter().map(|thumbprint| thumbprint.to_lowercase()).collect())
}

/// What IAM keeps of a URL: host and path as they are written, so that a trailing slash or another case makes another provider; the scheme
/// and port 443 dropped (recorded answers).
fn kept_url(url: &str, loopback_ports: bool) -> Result<String, IamError> {
    check_len("url", url, url.chars().count(), 1, MAX_LEN)?;
    let invalid = || IamCode::InvalidInput.with("Invalid Open ID Connect Provider URL");
    let rest = url.strip_prefix("https://").ok_or_else(invalid)?;
    // Queries and fragments: the recorded words. Other ports and user names, which the API reference rules out, are put beside them.
    let unknown = || IamCode::InvalidInput.with("Unknown");
    if rest.contains(['?', '#', '@']) {
        return Err(unknown());
    }
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = match authority.split_once(':') {
        None => authority,
        Some((host, "443")) => host,
        Some((host, port)) if loopback_ports && is_loopback(host) && port.parse::<u16>().is_ok() => {
            return if path.bytes().all(|b| b.is_ascii_graphic()) { Ok(rest.to_owned()) } else { Err(invalid()) };
        }
        Some(_) => return Err(unknown()),
    };
    let host_fits = !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b));
    let path_fits = path.bytes().all(|b| b.is_ascii_graphic());
    if host_fits && path_fits { Ok(format!("{host}{path}")) } else { Err(invalid()) }
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse().is_ok_and(|address: std::net::Ipv4Addr| address.is_loopback())
}

/// The words of AWS's checks against the service model.
fn check_len(name: &str, value: &str, len: usize, min: usize, max: usize) -> Result<(), IamError> {
    let bound = if len < min {
        format!("greater than or equal to {min}")
    } else if len > max {
        format!("less than or equal to {max}")
    } else {
        return Ok(());
    };
    Err(IamCode::ValidationError.with(format!(
        "1 validation error detected: Value '{value}' at '{name}' failed to satisfy constraint: Member must have length {bound}"
    )))
}

#[cfg(test)]
mod tests;
