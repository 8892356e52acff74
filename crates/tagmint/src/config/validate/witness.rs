//! Who is taken for STS.

use tagmint_core::witness::{InvalidNetwork, Networks, Recognition, USER_AGENT_LENGTH};
use tagmint_server::settings::WitnessSettings;

use super::{Check, DAY};
use crate::config::{
    problem::shortened,
    raw::{RawKeys, RawWitness},
};

impl Check<'_> {
    /// The networks of `networks_file` are added when the file is read.
    pub(super) fn witness(&mut self, raw: &RawWitness, keys: &RawKeys) -> WitnessSettings {
        for (index, agent) in raw.user_agents.iter().enumerate() {
            let fits =
                (1..=USER_AGENT_LENGTH).contains(&agent.len()) && agent.bytes().all(|it| matches!(it, b' '..=b'~'));
            if !fits {
                let message = format!(
                    "`{}` is not the beginning of a user agent: use 1 to {USER_AGENT_LENGTH} printable ASCII characters",
                    shortened(agent)
                );
                self.problem(&format!("witness.user_agents[{index}]"), message);
            }
        }
        let mut networks = Vec::new();
        for (index, text) in raw.networks.iter().enumerate() {
            match text.parse::<Networks>() {
                Ok(network) => networks.push(network),
                Err(error @ InvalidNetwork) => {
                    self.problem(&format!("witness.networks[{index}]"), format!("`{}` {error}", shortened(text)));
                }
            }
        }
        let by_network = !raw.networks.is_empty() || raw.networks_file.is_some();
        if keys.wait_for_witness && raw.user_agents.is_empty() && !by_network {
            self.problem(
                "keys.wait_for_witness",
                "nobody would be taken for STS: set `witness.networks`, `witness.networks_file` or `witness.user_agents`",
            );
        }
        let networks = by_network.then(|| Networks::union(networks));
        WitnessSettings {
            recognition: Recognition { user_agents: raw.user_agents.clone(), networks },
            keep: self.duration("witness.keep", &raw.keep, (DAY, DAY * 365)),
        }
    }
}
