//! Identity providers that AWS knows without a registration: a trust policy names them by host, not by ARN.
//!
//! Source: IAM user guide, "AWS JSON policy elements: Principal" (OIDC federated principals) and "Available keys for AWS OIDC federation".

use super::OidcProvider;

/// Amazon Cognito's identity pools.
pub const COGNITO: &str = "cognito-identity.amazonaws.com";
/// Google.
pub const GOOGLE: &str = "accounts.google.com";
/// Login with Amazon.
pub const AMAZON: &str = "www.amazon.com";
/// Facebook.
pub const FACEBOOK: &str = "graph.facebook.com";

const HOSTS: [&str; 4] = [COGNITO, GOOGLE, AMAZON, FACEBOOK];

impl OidcProvider {
    /// The provider that a trust policy names by this host; none where AWS has no such provider.
    pub fn built_in(host: &str) -> Option<Self> {
        HOSTS.contains(&host).then(|| Self {
            arn: host.to_owned(),
            url: host.to_owned(),
            client_ids: Vec::new(),
            thumbprints: Vec::new(),
            tags: Vec::new(),
            built_in: true,
        })
    }

    /// Whether AWS knows the provider without a registration. It has no client ids then: only the trust policy decides on the audience.
    pub const fn is_built_in(&self) -> bool {
        self.built_in
    }

    /// Whether its tokens are OAuth 2.0 access tokens, which STS takes with `ProviderId` and which only the provider can check.
    pub fn has_access_tokens(&self) -> bool {
        self.built_in && [AMAZON, FACEBOOK].contains(&self.url.as_str())
    }

    /// Whether a token with this `iss` is one of its tokens. Byte for byte; Google writes its issuer with or without the scheme (Google,
    /// "OpenID Connect", "An ID token's payload"), and Facebook's Limited Login under the host of the web site.
    pub fn takes(&self, issuer: &str) -> bool {
        let host = issuer.strip_prefix("https://");
        let same = host == Some(self.url.as_str());
        let by_another_name = match self.url.as_str() {
            GOOGLE => issuer == GOOGLE,
            FACEBOOK => host == Some("www.facebook.com"),
            _ => false,
        };
        same || self.built_in && by_another_name
    }
}
