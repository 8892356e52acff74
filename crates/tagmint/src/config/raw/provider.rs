//! The platforms whose tokens are accepted, as they are written.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{DurationText, PathText};

/// A platform whose ID tokens prove an identity: CI jobs get tokens for theirs, without a stored secret.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawTrustedIssuer {
    /// The provider's name in rules (`provider`, `identity.provider`) and in the ledger: 1 to 64 characters of `a-z`, `0-9` and
    /// `-`, unique.
    pub name: String,
    /// What kind of platform it is: which claims its tokens have, and what rules see of them.
    pub kind: RawProviderKind,
    /// The issuer, byte for byte as it stands in `iss`; its keys are found through `/.well-known/openid-configuration` below it. For
    /// GitHub Enterprise Server `https://HOST/_services/token`, for an enterprise with an issuer of its own
    /// `https://token.actions.githubusercontent.com/SLUG`, for a GitLab instance its URL. Default: the public service of the kind
    /// (`https://token.actions.githubusercontent.com`, `https://gitlab.com`); `oidc` has none. `http://` is for a loopback host,
    /// and not in prod.
    #[schemars(example = "https://token.actions.githubusercontent.com")]
    pub issuer: Option<String>,
    /// The audiences that mean this issuer: `aud` must be one of them, and nothing else. Best is this issuer's own URL, which jobs ask
    /// their platform for. Two providers with one issuer must not share any.
    #[schemars(example = ["https://broker.example.org"])]
    pub audiences: Vec<String>,
    /// Accepts `aud` as a list of exactly one text too, as Kubernetes writes it. A list of several is always refused.
    #[serde(default)]
    pub audience_list: bool,
    /// The algorithms that its tokens may be signed with: of RS256, RS384, RS512, ES256, ES384, ES512, PS256, PS384 and PS512.
    /// Default: RS256 for `github-actions` and `gitlab`, RS256 and ES256 for `oidc`.
    #[schemars(example = ["RS256"])]
    pub algorithms: Option<Vec<String>>,
    /// How far the platform's clock and this machine's may differ, for `exp`, `nbf` and `iat` alike. At most 5 minutes.
    #[serde(default = "default_leeway")]
    pub leeway: DurationText,
    /// The greatest age of a token, from its `iat`; a shorter `exp` counts too. 1 minute to 30 days. GitLab's tokens are made when a job
    /// begins and are good as long as it may run.
    #[serde(default = "default_max_age")]
    pub max_age: DurationText,
    /// Claims that rules see. For `github-actions` and `gitlab`: further ones beside those that are listed in docs/rules.md, unchanged.
    /// For `oidc`: these alone; default: all but `iss`, `aud`, `exp`, `nbf`, `iat` and `jti`.
    #[schemars(example = ["pipeline_slug"])]
    pub claims: Option<Vec<String>>,
    /// How often one token may be exchanged. 1 to 1,000. More than once only for clients that repeat a request whose answer was lost, and
    /// for jobs of a known number of steps: a repetition must be for the same audience and role. Not beside `reuse`.
    #[serde(default = "default_uses")]
    pub uses: u32,
    /// How long after its first use a token may be used again, where `uses` is more than 1. 1 second to 24 hours.
    #[schemars(example = "30s")]
    pub uses_within: Option<DurationText>,
    /// Lets one token be exchanged as long as it is good, for the same audience: for a platform that hands out one token for an hour, such as
    /// a Kubernetes cluster with its projected service-account tokens. What it costs: docs/federation.md. Default: off, `uses` counts.
    pub reuse: Option<RawReuse>,
    /// The most exchanges of one token in a minute, where `reuse` is set; beyond, the answer is 429. 1 to 600. Default: 6.
    #[schemars(example = 6)]
    pub reuse_per_minute: Option<u32>,
    /// From where one token may be exchanged, where `reuse` is set. Default: `one-network`.
    pub reuse_from: Option<RawReuseFrom>,
    /// A file with the platform's key set (RFC 7517) on this machine, instead of fetching it: for an issuer that this machine cannot reach or
    /// that shows its keys to nobody. It is read every 10 seconds; somebody else keeps it up to date. Not beside `jwks_uri` and
    /// `bearer_token_file`.
    #[schemars(example = "/etc/tagmint/cluster-jwks.json")]
    pub jwks_file: Option<PathText>,
    /// Where the platform's key set is, instead of asking its discovery document: for an issuer whose documents are published under another
    /// name than its own, such as `https://kubernetes.default.svc`. `http://` is for a loopback host, and not in prod.
    #[schemars(example = "https://api.cluster.example:6443/openid/v1/jwks")]
    pub jwks_uri: Option<String>,
    /// A file with a bearer token that is shown where the keys are fetched, for a cluster whose API server shows them to nobody without one.
    /// Read at each fetch, so that a projected token may be replaced. It is shown to `jwks_uri`; without that to the issuer's own host and
    /// port, and not where else its discovery document leads.
    #[schemars(example = "/var/run/secrets/kubernetes.io/serviceaccount/token")]
    pub bearer_token_file: Option<PathText>,
    /// A PEM file with certificates to trust beside the system's, for a platform under a company's own CA.
    #[schemars(example = "/etc/tagmint/ghes-ca.pem")]
    pub ca_file: Option<PathText>,
    /// Allows the platform to stand at a loopback or private address, as an instance inside a company does.
    #[serde(default)]
    pub allow_private_addresses: bool,
    /// How often its keys are fetched: a key that the platform withdraws is refused after this time. 1 second to 24 hours.
    #[serde(default = "default_refresh")]
    pub refresh: DurationText,
    /// How long keys are used after they were last fetched, where the platform fails. Longer than `refresh`, at most 30 days.
    #[serde(default = "default_stale_after")]
    pub stale_after: DurationText,
    /// The shortest time between two fetches that tokens cause by naming an unknown key. 1 second to 1 hour.
    #[serde(default = "default_unknown_key_interval")]
    pub unknown_key_interval: DurationText,
}

/// Kinds of platforms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum RawProviderKind {
    /// GitHub Actions, also of GitHub Enterprise.
    GithubActions,
    /// GitLab CI, of gitlab.com or an instance.
    Gitlab,
    /// Any other issuer of OpenID Connect tokens: Buildkite, CircleCI, HCP Terraform, Kubernetes.
    Oidc,
}

/// How long a token may be reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum RawReuse {
    /// Until it expires.
    UntilExpiry,
}

/// From where a token may be reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum RawReuseFrom {
    /// From the network of its first use alone: /24 with IPv4, /64 with IPv6.
    OneNetwork,
    /// From anywhere; a further network is an alarm and not refused.
    Anywhere,
}

fn default_leeway() -> DurationText {
    "60s".into()
}

fn default_max_age() -> DurationText {
    "6h".into()
}

const fn default_uses() -> u32 {
    1
}

fn default_refresh() -> DurationText {
    "10m".into()
}

fn default_stale_after() -> DurationText {
    "24h".into()
}

fn default_unknown_key_interval() -> DurationText {
    "30s".into()
}
