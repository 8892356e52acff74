//! Tokens without proof, as they are written.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{DurationText, RawRate};

/// Tokens without proof, for developers: `POST /v1/tokens` without a credential is then decided by rules with `from = "anonymous"`. The section
/// alone switches it on. Test issuers alone, and read-only: docs/isolation.md says what such a rule may give.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawAnonymousMinting {
    /// Requests without a credential of one address (of one /64 with IPv6). There must be a limit.
    pub per_address: RawRate,
    /// Requests without a credential of all addresses together. There must be a limit. Each leaves a row in the ledger.
    pub total: RawRate,
    /// The longest lifetime that a rule for them may give. 1 to 15 minutes.
    pub max_lifetime: DurationText,
}

impl Default for RawAnonymousMinting {
    fn default() -> Self {
        Self {
            per_address: RawRate { per_second: 1, burst: 10 },
            total: RawRate { per_second: 5, burst: 50 },
            max_lifetime: "5m".into(),
        }
    }
}
