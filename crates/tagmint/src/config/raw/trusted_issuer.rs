//! The issuers whose tokens are accepted, as they are written.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::json;
use tagmint_core::trusted_issuer::IssuerKind;

use super::{DurationText, PathText};

/// An issuer whose ID tokens prove an identity: a CI platform, a cluster, AWS. Jobs and workloads exchange its tokens, without a stored
/// secret.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawTrustedIssuer {
    /// The name in rules (`from`) and in the ledger: 1 to 64 characters of `a-z`, `0-9` and `-`, unique, and none of `session`,
    /// `bearer`, `anonymous` and `people`.
    pub name: String,
    /// The kind of the issuer, which defines the claims of its tokens and their meaning (docs/trusted-issuers.md).
    pub kind: RawIssuerKind,
    /// The issuer, byte for byte as it stands in `iss`; its keys are found through `/.well-known/openid-configuration` below it. For
    /// GitHub Enterprise Server `https://HOST/_services/token`, for an enterprise with an issuer of its own
    /// `https://token.actions.githubusercontent.com/SLUG`, for a GitLab instance its URL. Default: the public service of the kind, where
    /// it has one (docs/trusted-issuers.md). `http://` is for a loopback host, and not in prod.
    #[schemars(example = "https://token.actions.githubusercontent.com")]
    pub issuer: Option<String>,
    /// The audiences that mean this issuer: `aud` must be one of them, and nothing else. Best is this issuer's own URL, which jobs ask
    /// their platform for. Two trusted issuers with one URL must not share any.
    #[schemars(example = ["https://broker.example.org"])]
    pub audiences: Vec<String>,
    /// Accepts `aud` as a list of exactly one text too, as Kubernetes writes it. A list of several is always refused.
    /// Default: `true` for the kinds that write it so.
    pub audience_list: Option<bool>,
    /// The algorithms that its tokens may be signed with: of RS256, RS384, RS512, ES256, ES384, ES512, PS256, PS384 and PS512.
    /// Default: those of the kind (docs/trusted-issuers.md).
    #[schemars(example = ["RS256"])]
    pub algorithms: Option<Vec<String>>,
    /// How far the issuer's clock and this machine's may differ, for `exp`, `nbf` and `iat` alike. At most 5 minutes.
    #[serde(default = "default_leeway")]
    pub leeway: DurationText,
    /// The greatest age of a token, from its `iat`; a shorter `exp` counts too. 1 minute to 30 days. GitLab's tokens are made when a job
    /// begins and are good as long as it may run.
    #[serde(default = "default_max_age")]
    pub max_age: DurationText,
    /// Further claims that rules see, unchanged, beside those that docs/trusted-issuers.md lists for the kind. For the kinds `oidc` and
    /// `jenkins`: these alone; default: all but `iss`, `aud`, `exp`, `nbf`, `iat` and `jti`.
    #[schemars(example = ["pipeline_slug"])]
    pub claims: Option<Vec<String>>,
    /// How often one token may be exchanged. 1 to 1,000. More than once only for clients that repeat a request whose answer was lost, and
    /// for jobs of a known number of steps: a repetition must be for the same audience and role. Not beside `reuse`.
    #[serde(default = "default_uses")]
    pub uses: u32,
    /// How long after its first use a token may be used again, where `uses` is more than 1. 1 second to 24 hours.
    #[schemars(example = "30s")]
    pub uses_within: Option<DurationText>,
    /// Lets one token be exchanged as long as it is good, for the same audience: for an issuer that hands out one token for an hour, such as
    /// a Kubernetes cluster with its projected service-account tokens. What it costs: docs/trusted-issuers.md. Default: off, `uses` counts.
    pub reuse: Option<RawReuse>,
    /// The most exchanges of one token in a minute, where `reuse` is set; beyond, the answer is 429. 1 to 600. Default: 6.
    #[schemars(example = 6)]
    pub reuse_per_minute: Option<u32>,
    /// From where one token may be exchanged, where `reuse` is set. Default: `one-network`.
    pub reuse_from: Option<RawReuseFrom>,
    /// A file with the issuer's key set (RFC 7517) on this machine, instead of fetching it: for an issuer that this machine cannot reach or
    /// that shows its keys to nobody. It is read every 10 seconds; somebody else keeps it up to date. Not beside `jwks_uri` and
    /// `bearer_token_file`.
    #[schemars(example = "/etc/tagmint/cluster-jwks.json")]
    pub jwks_file: Option<PathText>,
    /// Where the issuer's key set is, instead of asking its discovery document: for an issuer whose documents are published under another
    /// name than its own, such as `https://kubernetes.default.svc`. `http://` is for a loopback host, and not in prod.
    #[schemars(example = "https://api.cluster.example:6443/openid/v1/jwks")]
    pub jwks_uri: Option<String>,
    /// A file with a bearer token that is shown where the keys are fetched, for a cluster whose API server shows them to nobody without one.
    /// Read at each fetch, so that a projected token may be replaced. It is shown to `jwks_uri`; without that to the issuer's own host and
    /// port, and not where else its discovery document leads.
    #[schemars(example = "/var/run/secrets/kubernetes.io/serviceaccount/token")]
    pub bearer_token_file: Option<PathText>,
    /// A PEM file with certificates to trust beside the system's, for an issuer under a company's own CA.
    #[schemars(example = "/etc/tagmint/ghes-ca.pem")]
    pub ca_file: Option<PathText>,
    /// Allows the issuer to stand at a loopback or private address, as an instance inside a company does.
    #[serde(default)]
    pub allow_private_addresses: bool,
    /// How often its keys are fetched: a key that the issuer withdraws is refused after this time. 1 second to 24 hours.
    #[serde(default = "default_refresh")]
    pub refresh: DurationText,
    /// How long keys are used after they were last fetched, where the issuer fails. Longer than `refresh`, at most 30 days.
    #[serde(default = "default_stale_after")]
    pub stale_after: DurationText,
    /// The shortest time between two fetches that tokens cause by naming an unknown key. 1 second to 1 hour.
    #[serde(default = "default_unknown_key_interval")]
    pub unknown_key_interval: DurationText,
}

/// A kind of trusted issuer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RawIssuerKind(pub IssuerKind);

impl<'de> Deserialize<'de> for RawIssuerKind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Self).map_err(de::Error::custom)
    }
}

impl JsonSchema for RawIssuerKind {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "IssuerKind".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let kinds = IssuerKind::ALL
            .map(|kind| json!({"const": kind.as_str(), "description": format!("{}.", kind.table().title)}));
        json_schema!({"oneOf": kinds})
    }
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
