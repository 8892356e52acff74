//! Two policies, statement by statement.

use tagmint_iam::policy::Policy;

use super::{
    statement::{Normal, normal},
    words,
};

/// Which policy it is, which decides what a difference means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PolicyKind {
    /// A role's trust policy.
    Trust,
    /// A bucket's policy.
    Bucket,
    /// A role's own policy of denials.
    Guard,
}

/// What differs: kind and words. Nothing where both mean the same.
pub fn compare(kind: PolicyKind, wanted: &Policy, found: &Policy) -> Vec<(&'static str, String)> {
    let mut told = Vec::new();
    if wanted.version != found.version {
        told.push(words::version(kind, found.version));
    }
    let mut wanted = normal(wanted);
    let mut found = normal(found);
    wanted.retain(|statement| match found.iter().position(|other| other.same(statement)) {
        Some(index) => {
            found.remove(index);
            false
        }
        None => true,
    });
    let mut lonely = Vec::new();
    // By name first, then by likeness.
    for statement in wanted {
        match partner(&statement, &found, |other| other.sid.is_some() && other.sid == statement.sid) {
            Some(index) => words::changed(kind, &statement, &found.remove(index), &mut told),
            None => lonely.push(statement),
        }
    }
    for statement in lonely {
        let alike = |other: &Normal| {
            other.actions.names.intersection(&statement.actions.names).next().is_some()
                && (other.principals == statement.principals || other.resources == statement.resources)
        };
        match partner(&statement, &found, alike) {
            Some(index) => words::changed(kind, &statement, &found.remove(index), &mut told),
            None => told.push(words::gone(kind, &statement)),
        }
    }
    told.extend(found.iter().map(|statement| words::added(kind, statement)));
    told
}

/// The statement that is most like a wanted one, of those that can be meant.
fn partner(wanted: &Normal, found: &[Normal], can: impl Fn(&Normal) -> bool) -> Option<usize> {
    let candidates = found.iter().enumerate().filter(|(_, other)| other.allows == wanted.allows && can(other));
    candidates.min_by_key(|(_, other)| wanted.distance(other)).map(|(index, _)| index)
}
