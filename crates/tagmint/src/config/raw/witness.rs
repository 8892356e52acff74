//! How STS's fetches are told from others', as it is written.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{DurationText, PathText};

/// Fetches of discovery and the key set are recorded: `tagmint keys fetches`, `tagmint keys list`. AWS documents neither the addresses nor
/// the user agent of its STS, so the issuer takes for STS whom you say: who matches one entry of each kind that is given here.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawWitness {
    /// Beginnings of the user agent, upper and lower case as they are sent. Anybody can send any: this alone proves nothing.
    #[schemars(example = ["ExampleFetcher/"])]
    pub user_agents: Vec<String>,
    /// Networks that STS fetches from: `203.0.113.0/24`, `2001:db8::/32`, or an address.
    #[schemars(example = ["203.0.113.0/24"])]
    pub networks: Vec<String>,
    /// AWS's list of its networks (`https://ip-ranges.amazonaws.com/ip-ranges.json`), fetched by you and read at the start. Those of the
    /// service `AMAZON` are taken, which are all of AWS's, rented machines included; added to `networks`.
    #[schemars(example = "/etc/tagmint/ip-ranges.json")]
    pub networks_file: Option<PathText>,
    /// How long the hourly sums are kept. 1 to 365 days.
    pub keep: DurationText,
}

impl Default for RawWitness {
    fn default() -> Self {
        Self { user_agents: Vec::new(), networks: Vec::new(), networks_file: None, keep: "30d".into() }
    }
}
