//! The ledger's rows under other rules: what would have been refused, allowed or different, counted.
//!
//! Everything here takes rows one by one and keeps a bounded amount: a ledger of millions of rows needs no more memory than a small one.

mod tally;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Difference, Granted, Recorded, RecordedOutcome, Undecidable, UnprovenIdentity,
    fixture::{why, why_not},
};
use crate::{
    identity::IdentitySource,
    ledger::LedgerEntry,
    rules::{MintRequest, RuleSet},
    trusted_issuer::{IssuerKind, TrustedIssuer},
};

pub use self::tally::{Change, Example, Group, MAX_GROUPS, Tally};

/// How many sets of rules are told apart.
pub const MAX_RULE_SETS: usize = 100;

/// Rules, and what decides beside them whether they are asked.
#[derive(Debug)]
pub struct RulesInForce<'r> {
    rules: &'r RuleSet,
    kinds: BTreeMap<&'r str, IssuerKind>,
    anonymous: bool,
}

/// What rules decide of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Decided {
    Granted(Granted),
    Refused { code: String, rule: Option<String> },
}

impl<'r> RulesInForce<'r> {
    /// The rules of an issuer that takes the tokens of these issuers, and mints for callers without a credential if `anonymous`.
    pub fn new(rules: &'r RuleSet, issuers: impl IntoIterator<Item = &'r TrustedIssuer>, anonymous: bool) -> Self {
        let kinds = issuers.into_iter().map(|issuer| (issuer.name.as_str(), issuer.kind)).collect();
        Self { rules, kinds, anonymous }
    }

    /// Why the issuer would not ask its rules: a code, and the reason in words.
    fn not_asked(&self, identity: &UnprovenIdentity) -> Result<Option<(&'static str, String)>, Undecidable> {
        let IdentitySource::TrustedIssuer(kind) = identity.source() else {
            let refuses = identity.source() == IdentitySource::Anonymous && !self.anonymous;
            let reason = || ("credential_missing", "the issuer does not mint for anonymous callers".to_owned());
            return Ok(refuses.then(reason));
        };
        match self.kinds.get(identity.from()) {
            Some(known) if *known == kind => Ok(None),
            // Attributes are derived by the kind: what the other one would derive, nobody knows.
            Some(_) => Err(Undecidable::OtherKind(identity.from().to_owned())),
            None => {
                let reason = format!("there is no trusted issuer `{}`", identity.from());
                Ok(Some(("ci_token_unknown_issuer", reason)))
            }
        }
    }

    fn decide(&self, identity: &UnprovenIdentity, request: &MintRequest) -> Result<Decided, Undecidable> {
        if let Some((code, _)) = self.not_asked(identity)? {
            return Ok(Decided::Refused { code: code.to_owned(), rule: None });
        }
        Ok(match identity.decide(self.rules, request).result {
            Ok(grant) => Decided::Granted(Granted::from(&grant)),
            Err(denial) => {
                Decided::Refused { code: denial.code().to_owned(), rule: denial.rule.map(|rule| rule.to_string()) }
            }
        })
    }

    /// Why nothing is granted, where `before` granted.
    fn reason(&self, identity: &UnprovenIdentity, request: &MintRequest, before: &str) -> String {
        if let Ok(Some((_, reason))) = self.not_asked(identity) {
            return reason;
        }
        let explanation = identity.explain(self.rules, request);
        why_not(before, &explanation).unwrap_or_else(|| {
            let why = why(&explanation).unwrap_or_default();
            let is_there = explanation.rules.iter().any(|it| it.rule.as_str() == before);
            if is_there { why } else { format!("there is no rule `{before}`; {why}") }
        })
    }
}

impl From<RecordedOutcome> for Decided {
    fn from(outcome: RecordedOutcome) -> Self {
        match outcome {
            RecordedOutcome::Granted(granted) => Self::Granted(granted),
            RecordedOutcome::Refused { code, rule } => Self::Refused { code, rule },
        }
    }
}

/// Replays rows.
#[derive(Debug)]
pub struct Replay<'r> {
    new: RulesInForce<'r>,
    base: Option<RulesInForce<'r>>,
    tally: Tally,
    /// The rules in force when the rows were recorded, by hash; at most [`MAX_RULE_SETS`].
    rule_sets: BTreeSet<String>,
    /// Whether a grant had a session policy or a second role, which the ledger does not record.
    session_terms: bool,
    /// Claims that the new configuration lists, by trusted issuer, and that no row has held so far.
    unseen: BTreeSet<(String, String)>,
}

impl<'r> Replay<'r> {
    /// Compares the decisions of `new` with those of `base`, or else with what the ledger recorded.
    pub fn new(new: RulesInForce<'r>, base: Option<RulesInForce<'r>>) -> Self {
        Self {
            new,
            base,
            tally: Tally::default(),
            rule_sets: BTreeSet::new(),
            session_terms: false,
            unseen: BTreeSet::new(),
        }
    }

    /// Watches whether rows hold the claims that the configuration lists for these issuers.
    #[must_use]
    pub fn watching<'i>(mut self, issuers: impl IntoIterator<Item = &'i TrustedIssuer>) -> Self {
        for issuer in issuers {
            let listed = issuer.claims.iter().flatten();
            self.unseen.extend(listed.map(|claim| (issuer.name.to_string(), claim.clone())));
        }
        self
    }

    /// Decides a row again.
    pub fn row(&mut self, entry: &LedgerEntry) {
        self.tally.see(entry);
        if let Some(run) = &entry.run
            && self.rule_sets.len() < MAX_RULE_SETS
            && !self.rule_sets.contains(&run.rules)
        {
            self.rule_sets.insert(run.rules.clone());
        }
        match self.changes(entry) {
            Ok(()) => {}
            Err(why) => self.tally.undecided(&why, entry),
        }
    }

    fn changes(&mut self, entry: &LedgerEntry) -> Result<(), Undecidable> {
        let Recorded { identity, request, outcome } = Recorded::read(entry)?;
        self.note_claims(&identity);
        let before = match &self.base {
            Some(base) => base.decide(&identity, &request)?,
            None => outcome.into(),
        };
        let after = self.new.decide(&identity, &request)?;
        if let Decided::Granted(Granted { session: Some(terms), .. }) = &after {
            self.session_terms |= !terms.is_empty();
        }
        match (before, after) {
            (Decided::Refused { .. }, Decided::Refused { .. }) => self.tally.unchanged(),
            (Decided::Granted(before), Decided::Granted(after)) => {
                let differences = before.differences(&after);
                if differences.is_empty() {
                    self.tally.unchanged();
                } else {
                    let changes = || differences.iter().map(in_words).collect::<Vec<_>>().join("; ");
                    let fields = differences.iter().map(|it| it.field.as_str());
                    self.tally.changed(Change::Changed, &before.rule, identity.repository(), entry, changes, fields);
                }
            }
            (Decided::Granted(before), Decided::Refused { .. }) => {
                let reason = || self.new.reason(&identity, &request, &before.rule);
                self.tally.changed(Change::NewlyRefused, &before.rule, identity.repository(), entry, reason, []);
            }
            (Decided::Refused { code, rule }, Decided::Granted(after)) => {
                let reason = || {
                    let by = rule.map(|rule| format!(" by `{rule}`")).unwrap_or_default();
                    format!("was refused{by} (`{code}`); `{}` grants `{}`", after.rule, after.subject)
                };
                self.tally.changed(Change::NewlyAllowed, &after.rule, identity.repository(), entry, reason, []);
            }
        }
        Ok(())
    }

    fn note_claims(&mut self, identity: &UnprovenIdentity) {
        if !self.unseen.is_empty() {
            let seen =
                |issuer: &str, claim: &str| issuer == identity.from() && identity.attributes().contains_key(claim);
            self.unseen.retain(|(issuer, claim)| !seen(issuer, claim));
        }
    }

    /// The counts so far.
    pub const fn tally(&mut self) -> &mut Tally {
        &mut self.tally
    }

    /// Whether a grant had a session policy or a second role.
    pub const fn has_session_terms(&self) -> bool {
        self.session_terms
    }

    /// The hashes of the rules under which rows were recorded; of many the first [`MAX_RULE_SETS`].
    pub fn rule_sets(&self) -> impl Iterator<Item = &str> {
        self.rule_sets.iter().map(String::as_str)
    }

    /// Claims that the configuration lists and that no row held: trusted issuer and claim.
    pub fn unseen_claims(&self) -> impl Iterator<Item = (&str, &str)> {
        self.unseen.iter().map(|(issuer, claim)| (issuer.as_str(), claim.as_str()))
    }
}

fn in_words(difference: &Difference) -> String {
    let shown = |text: &Option<String>| text.as_ref().map_or_else(|| "none".to_owned(), |text| format!("`{text}`"));
    format!("{}: {} -> {}", difference.field, shown(&difference.expected), shown(&difference.actual))
}
