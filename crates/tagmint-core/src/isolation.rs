//! Two issuers side by side: what belongs to each, and whether anything belongs to both.
//!
//! Whoever knows a configuration fills a [`World`] with what it names; [`compare`] says of each [`Part`] whether the two worlds share it. Nothing
//! is looked at here: what could not be looked at is told as such, and never counts as kept apart.

mod part;

use std::{collections::BTreeSet, net::SocketAddr};

use serde::Serialize;

pub use self::part::{Gravity, Part};
use crate::environment::Stamp;

/// What belongs to one issuer.
#[derive(Debug, Clone)]
pub struct World {
    stamp: Stamp,
    belongings: Vec<Belonging>,
    unseen: Vec<(Part, String)>,
}

/// One thing of a world.
#[derive(Debug, Clone)]
struct Belonging {
    part: Part,
    relation: Relation,
    /// What is compared. Two ids of one thing (its path, its inode) are two belongings.
    id: String,
    /// What people read.
    shown: String,
}

/// How a world stands to a thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Relation {
    /// It is the world's.
    Owns,
    /// The world takes it from whoever owns it.
    Takes,
}

/// Whether a part is kept apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// The two have nothing of it in common.
    Isolated,
    /// They share it, which is refused.
    Shared,
    /// They share it, which can be meant.
    Warned,
    /// Not all of it could be looked at; in what could, nothing is shared.
    Unknown,
}

/// What was found about one part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The part.
    pub part: Part,
    /// What the one world has of it.
    pub this: Vec<String>,
    /// What the other has.
    pub other: Vec<String>,
    /// Whether it is kept apart.
    pub verdict: Verdict,
    /// What both have, in words.
    pub shared: Vec<String>,
    /// What could not be looked at, and why.
    pub not_seen: Vec<String>,
    /// Why the part matters.
    pub why: &'static str,
}

impl World {
    /// The world of an issuer, with what follows from its URL and environment.
    pub fn new(stamp: Stamp) -> Self {
        let mut world = Self { stamp, belongings: Vec::new(), unseen: Vec::new() };
        let (environment, issuer) = (world.stamp.environment, world.stamp.issuer.clone());
        world.owns(Part::Environment, environment.as_str(), environment.as_str());
        // On loopback the port tells issuers apart, everywhere else the host must.
        let host = if issuer.is_loopback() {
            issuer.without_scheme().split('/').next().unwrap_or_default()
        } else {
            issuer.host()
        };
        world.owns(Part::Host, host, host);
        world.owns(Part::TrustedIssuer, issuer.as_str(), "");
        world.owns(Part::ProviderAudience, issuer.as_str(), "");
        world.owns(Part::Database, &stamp_id(issuer.as_str(), environment.as_str()), "");
        world
    }

    /// Who the issuer is.
    pub const fn stamp(&self) -> &Stamp {
        &self.stamp
    }

    /// Notes something that is the world's: `id` is compared, `shown` is read. Nothing is shown of an empty `shown`.
    pub fn owns(&mut self, part: Part, id: &str, shown: &str) {
        self.add(part, Relation::Owns, id, shown);
    }

    /// Notes that the world accepts what belongs to whoever owns `id`.
    pub fn takes(&mut self, part: Part, id: &str, shown: &str) {
        self.add(part, Relation::Takes, id, shown);
    }

    /// Notes an address that is listened on. A wildcard address overlaps every address with its port; port 0 is any that is free.
    pub fn listens(&mut self, address: SocketAddr, shown: &str) {
        let port = address.port();
        if port == 0 {
            return;
        }
        let any = format!("*:{port}");
        if address.ip().to_canonical().is_unspecified() {
            self.owns(Part::Listen, &any, shown);
            return;
        }
        self.owns(Part::Listen, &format!("{}:{port}", address.ip().to_canonical()), shown);
        self.takes(Part::Listen, &any, "");
    }

    /// Notes whose stamp was found in the world's database.
    pub fn database_is_stamped(&mut self, issuer: &str, environment: &str) {
        self.owns(Part::Database, &stamp_id(issuer, environment), &format!("stamped {issuer} ({environment})"));
    }

    /// Notes what could not be looked at, and why.
    pub fn not_seen(&mut self, part: Part, why: impl Into<String>) {
        self.unseen.push((part, why.into()));
    }

    fn add(&mut self, part: Part, relation: Relation, id: &str, shown: &str) {
        self.belongings.push(Belonging { part, relation, id: id.to_owned(), shown: shown.to_owned() });
    }

    fn of(&self, part: Part) -> impl Iterator<Item = &Belonging> {
        self.belongings.iter().filter(move |belonging| belonging.part == part)
    }

    fn shown(&self, part: Part) -> Vec<String> {
        let mut seen = BTreeSet::new();
        let shown = self.of(part).map(|belonging| &belonging.shown).filter(|shown| !shown.is_empty());
        shown.filter(|shown| seen.insert(*shown)).cloned().collect()
    }
}

fn stamp_id(issuer: &str, environment: &str) -> String {
    format!("stamp {issuer} {environment}")
}

/// What two worlds share, part by part, in the order of [`Part::ALL`]. A part that neither has is left out.
pub fn compare(this: &World, other: &World) -> Vec<Finding> {
    Part::ALL.iter().filter_map(|part| finding(*part, this, other)).collect()
}

fn finding(part: Part, this: &World, other: &World) -> Option<Finding> {
    let mut shared = BTreeSet::new();
    for mine in this.of(part) {
        for theirs in other.of(part).filter(|theirs| theirs.id == mine.id) {
            // What both merely take from elsewhere (AWS, a CI platform) is nobody's of the two.
            if mine.relation == Relation::Owns || theirs.relation == Relation::Owns {
                shared.insert(in_words(mine, theirs));
            }
        }
    }
    let unseen = |world: &World| -> Vec<String> {
        let of_part = world.unseen.iter().filter(|(found, _)| *found == part);
        of_part.map(|(_, why)| format!("{}: {why}", world.stamp.environment)).collect()
    };
    let not_seen = [unseen(this), unseen(other)].concat();
    let (mine, theirs) = (this.shown(part), other.shown(part));
    if mine.is_empty() && theirs.is_empty() && shared.is_empty() && not_seen.is_empty() {
        return None;
    }
    let verdict = match (shared.is_empty(), part.gravity()) {
        (false, Gravity::Refused) => Verdict::Shared,
        (false, Gravity::Warned) => Verdict::Warned,
        (true, _) if !not_seen.is_empty() => Verdict::Unknown,
        (true, _) => Verdict::Isolated,
    };
    let shared = shared.into_iter().collect();
    Some(Finding { part, this: mine, other: theirs, verdict, shared, not_seen, why: part.why() })
}

fn in_words(mine: &Belonging, theirs: &Belonging) -> String {
    match (mine.shown.as_str(), theirs.shown.as_str()) {
        ("", "") => mine.id.clone(),
        (shown, "") | ("", shown) => shown.to_owned(),
        (one, other) if one == other => one.to_owned(),
        (one, other) => format!("{one}; {other}"),
    }
}

/// Whether nothing is shared that must not be.
pub fn is_isolated(findings: &[Finding]) -> bool {
    findings.iter().all(|finding| finding.verdict != Verdict::Shared)
}

#[cfg(test)]
mod tests;
