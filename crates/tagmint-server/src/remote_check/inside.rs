//! What is served, against what is stored: for who has the configuration at hand.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use tagmint_core::{
    alarm::conditions::{self, KeysView, RenewalView},
    key_schedule::{KeyPhase, KeyRing, KeyState, RotationPolicy},
};

use super::rows::Row;
use crate::acme::Overview;

/// A renewal is tried within minutes of its time, and the pause after a failure is known. So long after it, nobody tries.
const OVERDUE: SignedDuration = SignedDuration::from_hours(1);

/// What is known from inside.
#[derive(Debug)]
pub struct Inside {
    /// The certificate on disk or in the store; none where TLS ends at a proxy.
    pub certificate: Option<StoredLeaf>,
    /// How renewals go; none where somebody else renews.
    pub renewal: Option<RenewalView>,
    /// All keys of the database, withdrawn ones included; or why they cannot be read.
    pub keys: Result<Vec<KeyState>, String>,
    /// When keys follow each other.
    pub policy: RotationPolicy,
}

/// A stored certificate.
#[derive(Debug)]
pub enum StoredLeaf {
    /// Its first certificate, in DER.
    Leaf(Vec<u8>),
    /// It cannot be used.
    Unusable(String),
    /// The issuer orders it itself, and has none yet.
    NotYet,
}

/// The certificate and the renewals of an issuer that orders certificates itself, by what its database says.
pub fn ordered(found: &Overview) -> (StoredLeaf, RenewalView) {
    let to_serve = found.certificates.iter().find(|stored| stored.to_serve);
    let leaf = to_serve.map_or(StoredLeaf::NotYet, |stored| {
        match CertificateDer::from_pem_slice(stored.record.chain.as_bytes()) {
            Ok(leaf) => StoredLeaf::Leaf(leaf.to_vec()),
            Err(error) => StoredLeaf::Unusable(error.to_string()),
        }
    });
    let failure = found.last_failure.as_ref();
    let renewal = RenewalView {
        failures: failure.map_or(0, |failure| failure.consecutive),
        last_error: failure.map(|failure| failure.problem.clone()),
        next_at: Some(found.next_renewal_at),
    };
    (leaf, renewal)
}

pub(super) fn compare(inside: &Inside, leaf: Option<&[u8]>, kids: &[String], now: Timestamp) -> Vec<Row> {
    let mut rows = Vec::new();
    rows.extend(inside.certificate.as_ref().map(|stored| certificate(stored, leaf)));
    rows.extend(inside.renewal.as_ref().map(|view| renewal(view, now)));
    match &inside.keys {
        Ok(states) => {
            rows.push(served_keys(states, kids, now));
            rows.push(key_ages(states, inside.policy, now));
        }
        Err(why) => {
            let fix = "run this where the database can be read, as the issuer's user";
            rows.push(Row::failure("served_keys", why.clone(), "the database's keys", fix));
        }
    }
    rows
}

fn certificate(stored: &StoredLeaf, leaf: Option<&[u8]>) -> Row {
    let expected = "the stored certificate is the served one";
    match (stored, leaf) {
        (StoredLeaf::Unusable(why), _) => {
            let fix = "put a certificate and its key in place: the issuer would not start with this one";
            Row::failure("stored_certificate", why.clone(), expected, fix)
        }
        (StoredLeaf::NotYet, _) => {
            let fix =
                "the issuer orders the first certificate when it starts; the row `renewal` says what stands in its way";
            Row::failure("stored_certificate", "none is stored yet", expected, fix)
        }
        (StoredLeaf::Leaf(_), None) => Row::skipped("stored_certificate", "no certificate was presented"),
        (StoredLeaf::Leaf(stored), Some(leaf)) if stored == leaf => {
            Row::good("stored_certificate", "the same", expected)
        }
        (StoredLeaf::Leaf(_), Some(_)) => {
            let fix = "the issuer takes up a new certificate within seconds, or at once when it is reloaded (`systemctl reload`, SIGHUP); \
                       if another one is served after that, something else answers under its name";
            Row::warning("stored_certificate", "another one is served", expected, fix)
        }
    }
}

fn renewal(renewal: &RenewalView, now: Timestamp) -> Row {
    let expected = "the last attempt went well, and the next one is planned";
    let span = |at: Timestamp| conditions::about(at.duration_since(now));
    let next = match renewal.next_at {
        Some(at) if at > now => format!("the next is at {at:.0}, in {}", span(at)),
        Some(at) => format!("due since {at:.0}, {} ago", span(at)),
        None => "none is planned".to_owned(),
    };
    let overdue = renewal.next_at.is_some_and(|at| now.duration_since(at) > OVERDUE);
    match (renewal.failures, &renewal.last_error) {
        (0, _) if overdue => {
            let fix = "nobody tries: start the issuer with `tls.mode = \"acme\"`, and look at its log";
            Row::warning("renewal", next, expected, fix)
        }
        (0, _) => Row::good("renewal", next, expected),
        (failures, error) => {
            let why = error.as_deref().unwrap_or("the log says why");
            let attempts = if failures == 1 { "the last attempt failed" } else { "attempts failed" };
            let count = if failures == 1 { String::new() } else { format!("{failures} ") };
            let fix = "mend what the message names, then `tagmint certificates renew` tries at once; DNS and port 80 must lead to this issuer";
            Row::warning("renewal", format!("{count}{attempts}: {why}; {next}"), expected, fix)
        }
    }
}

fn served_keys(states: &[KeyState], kids: &[String], now: Timestamp) -> Row {
    let expected = "the served key set has the keys that the database publishes";
    if kids.is_empty() {
        return Row::skipped("served_keys", "no key set could be fetched");
    }
    let ring = KeyRing(states);
    let published: BTreeSet<&str> = ring.published(now).iter().map(|key| key.kid.as_str()).collect();
    let served: BTreeSet<&str> = kids.iter().map(String::as_str).collect();
    let list = |kids: Vec<&&str>| kids.into_iter().copied().collect::<Vec<_>>().join(", ");
    let (missing, unknown) =
        (list(published.difference(&served).collect()), list(served.difference(&published).collect()));
    if missing.is_empty() && unknown.is_empty() {
        return Row::good("served_keys", format!("the same ({} in all)", served.len()), expected);
    }
    let told = [("missing", &missing), ("not in the database", &unknown)];
    let told: Vec<String> =
        told.iter().filter(|(_, kids)| !kids.is_empty()).map(|(what, kids)| format!("{what}: {kids}")).collect();
    let fix = "a cache may hold the old key set for `jwks.max_age`; after that, something else answers under the issuer's name";
    let signing_is_served = ring.signing(now).is_none_or(|key| served.contains(key.kid.as_str()));
    if signing_is_served {
        Row::warning("served_keys", told.join("; "), expected, fix)
    } else {
        Row::failure("served_keys", told.join("; "), expected, fix)
    }
}

fn key_ages(states: &[KeyState], policy: RotationPolicy, now: Timestamp) -> Row {
    let expected = "a key signs, and the next one is published in time";
    let published: Vec<KeyState> =
        states.iter().filter(|key| key.schedule.phase(now) != KeyPhase::Withdrawn).cloned().collect();
    let shown: Vec<String> = published
        .iter()
        .map(|key| {
            let kid: String = key.kid.as_str().chars().take(8).collect();
            let age = conditions::about(now.duration_since(key.schedule.published_at));
            format!("{kid}… {} for {age}", key.schedule.phase(now))
        })
        .collect();
    let can_sign = KeyRing(states).signing(now).is_some();
    let view = KeysView { states: published, policy, read_ago: SignedDuration::ZERO, can_sign, signs_from: None };
    match conditions::of_keys(&view, now).first() {
        None => Row::good("key_ages", shown.join(", "), expected),
        Some(alarm) if can_sign => Row::warning("key_ages", alarm.text.clone(), expected, &alarm.fix),
        Some(alarm) => Row::failure("key_ages", alarm.text.clone(), expected, &alarm.fix),
    }
}
