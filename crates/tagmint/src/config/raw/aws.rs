//! AWS, as it is written.

use schemars::JsonSchema;
use serde::Deserialize;

use super::PathText;

/// AWS STS, where the issuer assumes roles on its callers' behalf.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawAws {
    /// The region whose STS is asked: the one nearest to the issuer. Sessions are good in all regions.
    #[schemars(example = "eu-central-1")]
    pub region: String,
    /// The URL of an STS other than the region's own: of a VPC endpoint, of Ceph, of `tagmint localaws`. `http://` is allowed for a
    /// loopback host, and not in prod.
    #[schemars(example = "https://sts.vpce.example.org")]
    pub sts_endpoint: Option<String>,
    /// A PEM file with the certificates to trust at STS, instead of the system's.
    #[schemars(example = "/etc/tagmint/sts-ca.pem")]
    pub ca_file: Option<PathText>,
}
