//! Which rules are in force: a hash that tells two sets of rules apart.

use aws_lc_rs::digest::{SHA256, digest};
use serde::Serialize;

use super::{config::RuleConfig, issuers::TrustedIssuers};
use crate::ledger::hex;

/// How many characters of hex are shown: enough to tell apart what a person may change.
const SHOWN: usize = 16;

/// The beginning of the SHA-256 of the rules and of the trusted issuers that they may name, as JSON with its keys in order. Comments,
/// layout and descriptions do not count.
pub(super) fn of(rules: &[RuleConfig], issuers: &TrustedIssuers) -> String {
    #[derive(Serialize)]
    struct Hashed<'a> {
        rules: Vec<RuleConfig>,
        trusted_issuers: &'a TrustedIssuers,
    }
    let rules = rules.iter().map(|rule| RuleConfig { description: None, ..rule.clone() }).collect();
    let json = serde_json::to_vec(&Hashed { rules, trusted_issuers: issuers }).unwrap_or_default();
    let mut hash = hex(digest(&SHA256, &json).as_ref());
    hash.truncate(SHOWN);
    hash
}
