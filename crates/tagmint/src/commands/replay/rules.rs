//! A replay under other rules.

use tagmint_core::{
    dry_run::replay::{Replay, RulesInForce, Tally},
    ledger::LedgerEntry,
};

use super::Judge;
use crate::config::Config;

/// The rules of a configuration, compared with those of another or with what was recorded.
pub(super) struct Rules<'c> {
    replay: Replay<'c>,
    has_base: bool,
    /// The hash of the new rules.
    hash: &'c str,
}

impl<'c> Rules<'c> {
    pub(super) fn new(config: &'c Config, base: Option<&'c Config>) -> Self {
        let replay = Replay::new(in_force(config), base.map(in_force)).watching(config.trusted_issuers());
        Self { replay, has_base: base.is_some(), hash: config.rules.hash() }
    }
}

fn in_force(config: &Config) -> RulesInForce<'_> {
    let anonymous = config.settings.anonymous_minting.is_some();
    RulesInForce::new(&config.rules, config.trusted_issuers(), anonymous)
}

impl Judge for Rules<'_> {
    fn row(&mut self, entry: &LedgerEntry) {
        self.replay.row(entry);
    }

    fn tally(&mut self) -> &mut Tally {
        self.replay.tally()
    }

    fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        let others = self.replay.rule_sets().filter(|hash| *hash != self.hash).count();
        if others > 1 && !self.has_base {
            notes.push(format!(
                "the rows were recorded under {others} sets of rules other than this one, so earlier changes show too: compare with the \
                 rules in force by --base FILE"
            ));
        }
        if self.replay.has_session_terms() && !self.has_base {
            notes.push(
                "the ledger does not record session policies and `assume_then`: compare with the rules in force by --base FILE to see changes \
                 of them"
                    .to_owned(),
            );
        }
        notes.extend(self.replay.unseen_claims().map(|(issuer, claim)| {
            format!(
                "no row holds the claim `{claim}` that `claims` lists for the trusted issuer `{issuer}`: where it was listed later, rules that \
                 ask for it find it absent here"
            )
        }));
        notes
    }
}
