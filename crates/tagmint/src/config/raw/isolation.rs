//! The other world, as it is written.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::PathText;

/// The other world's issuer, where this machine can read its configuration (docs/isolation.md).
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawIsolation {
    /// The configuration file of the other world's issuer. At each start and in `tagmint check` both are compared, and the issuer refuses to
    /// start where anything belongs to both: host, key file, database, role, bucket, CI audience, session backend. Default: none is looked
    /// at; `tagmint check --against FILE` compares when you ask for it.
    #[schemars(example = "/etc/tagmint/prod.toml")]
    pub against: Option<PathText>,
}
