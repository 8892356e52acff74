//! Which Allow statement is meant for a token that none of them admits.
//!
//! Advice on another statement would be worse than none: a subject that is added to it opens the role without the conditions that its own
//! statement has. So the subject decides first, then how far the statement is away over all its conditions.

use super::{SET_SOURCE_IDENTITY, TAG};
use crate::{
    advice::{diff::likeness, subject::RepositorySubject},
    condition::ConditionTrace,
    evaluate::{Decision, StatementTrace},
    pattern,
    policy::{Effect, Policy, Principals, Statement},
    provider::OidcProvider,
};

/// The most that a false condition adds to a statement's distance.
const FALSE: u32 = 15;
/// The distance that a key adds if the request lacks it.
const ABSENT: u32 = 10;
/// The distance that a pattern adds if it admits more than one subject and another statement names the subject itself.
const WILD: u32 = 8;
/// From how far on a subject counts as another project's, out of 100.
const OTHER_PROJECT: u32 = 40;

/// How a statement's conditions on who the token is for stand to the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Identity {
    /// All are true.
    Fits,
    /// They are about the same repository or project, or nearly so.
    Near,
    /// There are none.
    Open,
    /// They are about another one.
    Other,
}

/// How far a statement is from the token. Less is nearer; the order of the members is their weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Distance {
    /// It is about another provider or another kind of action.
    unrelated: bool,
    identity: Identity,
    cost: u32,
}

/// The Allow statement that is meant for the token; the first of equally near ones.
pub(super) fn meant<'a>(
    policy: &Policy,
    action: &str,
    decision: &'a Decision,
    provider: &OidcProvider,
) -> Option<&'a StatementTrace> {
    let look = Look { policy, provider };
    let allows = || decision.statements.iter().filter(|trace| trace.effect == Effect::Allow);
    // The action belongs in the statement that allows assuming the role, unless a statement for this token allows it
    // on conditions of its own.
    if [TAG, SET_SOURCE_IDENTITY].contains(&action) {
        let own = allows().filter(|trace| {
            trace.action
                && trace.principal != Some(false)
                && matches!(look.identity(trace).0, Identity::Fits | Identity::Open)
        });
        let lacks_only_the_name = |trace: &&StatementTrace| {
            !trace.action && trace.principal != Some(false) && trace.conditions.iter().all(|condition| condition.passed)
        };
        let nearest = own.min_by_key(|trace| look.distance(trace));
        if let Some(statement) = nearest.or_else(|| allows().find(lacks_only_the_name)) {
            return Some(statement);
        }
    }
    allows().min_by_key(|trace| look.distance(trace))
}

/// The places of other Allow statements that admit the same subject, on further conditions.
pub(super) fn with_pins_of_their_own<'a>(
    policy: &Policy,
    decision: &'a Decision,
    provider: &OidcProvider,
    chosen: &StatementTrace,
) -> Vec<&'a StatementTrace> {
    let look = Look { policy, provider };
    let others = decision.statements.iter().filter(|trace| trace.effect == Effect::Allow && trace.at != chosen.at);
    others
        .filter(|trace| trace.action && trace.principal != Some(false) && look.identity(trace).0 == Identity::Fits)
        .filter(|trace| trace.conditions.iter().any(|condition| !condition.passed))
        .collect()
}

/// Whether a condition names what it wants, as opposed to what it excludes.
pub(in crate::advice) fn names(condition: &ConditionTrace) -> bool {
    condition.operator != "Null" && !condition.operator.contains("Not")
}

struct Look<'a> {
    policy: &'a Policy,
    provider: &'a OidcProvider,
}

impl Look<'_> {
    fn statement(&self, trace: &StatementTrace) -> Option<&Statement> {
        self.policy.statements.get(trace.at.statement)
    }

    fn distance(&self, trace: &StatementTrace) -> Distance {
        let (identity, subject_cost) = self.identity(trace);
        let of_provider = self.claim_of_provider(trace);
        let principal = match trace.principal {
            Some(false) if self.names_provider(trace) => Some(5),
            // The conditions are about the token's provider, so the principal is what is wrong.
            Some(false) if of_provider => Some(10),
            Some(false) => None,
            _ => Some(0),
        };
        let action = match (trace.action, self.statement(trace)) {
            (true, _) => Some(0),
            (false, Some(statement)) if is_of_assuming(statement) => Some(10),
            (false, _) => None,
        };
        let rest: u32 = trace
            .conditions
            .iter()
            .filter(|condition| !condition.passed && !self.is_identity(condition))
            .map(cost)
            .sum();
        let unrelated = principal.is_none() || action.is_none();
        // Among unrelated statements those of the right action come first, then those that name the provider.
        let outside = principal.unwrap_or(200) + action.unwrap_or(400);
        Distance { unrelated, identity, cost: outside + subject_cost + rest }
    }

    /// Whether it has a condition on a claim of the token's provider.
    fn claim_of_provider(&self, trace: &StatementTrace) -> bool {
        trace.conditions.iter().any(|condition| self.claim(condition).is_some())
    }

    /// The claim that a condition's key stands for, in small letters.
    fn claim(&self, condition: &ConditionTrace) -> Option<String> {
        let key = condition.key.to_lowercase();
        key.strip_prefix(&format!("{}:", self.provider.url().to_lowercase())).map(str::to_owned)
    }

    /// Whether a condition says who the token is for. `sub` says it; where a statement has no condition on it, the other claims do.
    fn is_identity(&self, condition: &ConditionTrace) -> bool {
        names(condition) && self.claim(condition).is_some_and(|claim| claim == "sub")
    }

    fn identity(&self, trace: &StatementTrace) -> (Identity, u32) {
        let subjects: Vec<&ConditionTrace> = trace.conditions.iter().filter(|one| self.is_identity(one)).collect();
        if let Some(furthest) = subjects.iter().map(|condition| subject_cost(condition)).max() {
            let identity = match furthest {
                _ if subjects.iter().all(|condition| condition.passed) => Identity::Fits,
                ..=OTHER_PROJECT => Identity::Near,
                _ => Identity::Other,
            };
            return (identity, furthest);
        }
        let of_another_provider = |condition: &ConditionTrace| {
            let host = condition.key.rsplit_once(':').map(|(host, _)| host).filter(|host| host.contains('.'));
            condition.actual.is_none()
                && names(condition)
                && host.is_some_and(|host| spelling(host) != spelling(self.provider.url()))
        };
        let excluded = |condition: &&ConditionTrace| {
            !condition.passed && self.claim(condition).is_some_and(|claim| claim == "sub") && !names(condition)
        };
        if trace.conditions.iter().any(|condition| excluded(&condition)) {
            return (Identity::Other, 90);
        }
        if trace.conditions.iter().any(of_another_provider) {
            return (Identity::Other, 80);
        }
        let claims: Vec<&ConditionTrace> = trace
            .conditions
            .iter()
            .filter(|one| {
                names(one) && self.claim(one).is_some_and(|claim| !["aud", "oaud", "amr"].contains(&claim.as_str()))
            })
            .collect();
        match claims.iter().filter(|condition| !condition.passed).count() {
            _ if claims.is_empty() => (Identity::Open, 0),
            0 => (Identity::Fits, 0),
            _ => (Identity::Other, 50),
        }
    }

    /// Whether the statement means the token's provider: by an ARN of another account, in another spelling, or in the place of another kind
    /// of principal.
    fn names_provider(&self, trace: &StatementTrace) -> bool {
        let Some(Principals::Listed { aws, federated, service, .. }) =
            self.statement(trace).and_then(|statement| statement.principal.as_ref()).map(|element| &element.principals)
        else {
            return false;
        };
        let url = spelling(self.provider.url());
        federated.iter().chain(aws).chain(service).any(|name| {
            let named = name.split_once(":oidc-provider/").map_or(name.as_str(), |(_, url)| url);
            spelling(named) == url
        })
    }
}

/// A provider's URL without what people write differently.
pub(super) fn spelling(url: &str) -> String {
    let url = url.trim().to_lowercase();
    let bare = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://")).unwrap_or(&url);
    bare.trim_end_matches('/').replace(":443", "")
}

/// Whether a statement is about assuming the role at all: it names an action of assuming, or all but some.
fn is_of_assuming(statement: &Statement) -> bool {
    statement.action.negated
        || statement.action.names.iter().any(|name| name.to_lowercase().starts_with("sts:assumerole"))
}

/// How far a value is from the nearest that a condition names, from 0 to 100.
fn subject_cost(condition: &ConditionTrace) -> u32 {
    let Some(actual) = condition.actual.as_ref().and_then(|values| values.first()) else { return 100 };
    if condition.passed {
        // Of two patterns that admit the subject, the one that names it is meant.
        let like = condition.operator.contains("Like");
        let exact = !like || condition.expected.iter().any(|value| value == actual);
        return if exact { 0 } else { WILD };
    }
    condition.expected.iter().map(|expected| distance(expected, actual)).min().unwrap_or(100)
}

fn distance(expected: &str, actual: &str) -> u32 {
    let (lower, actual_lower) = (expected.trim().to_lowercase(), actual.to_lowercase());
    // Meant as a pattern, or in other letters.
    if pattern::matches(&pattern::parse(&lower), &actual_lower) {
        return 2;
    }
    let unlike = unlike(expected, actual);
    match same_project(&lower, &actual_lower) {
        Some(true) => 5 + unlike * 30 / 100,
        Some(false) => OTHER_PROJECT + 1 + unlike * 59 / 100,
        None => unlike,
    }
}

/// Whether two subjects of a platform are of one repository or project; none where they are not of that form.
fn same_project(expected: &str, actual: &str) -> Option<bool> {
    if let (Some(expected), Some(actual)) = (RepositorySubject::parse(expected), RepositorySubject::parse(actual)) {
        return Some(expected.fits_names(&actual, true));
    }
    let project = |subject: &str| Some(subject.strip_prefix("project_path:")?.split(':').next()?.to_owned());
    let (expected, actual) = (project(expected)?, project(actual)?);
    Some(pattern::matches_ignoring_case(&expected, &actual))
}

/// How unlike two texts are, from 0 to 100.
fn unlike(expected: &str, actual: &str) -> u32 {
    let longer = expected.chars().count().max(actual.chars().count()).max(1);
    let alike = likeness(expected, actual) * 100 / longer;
    100 - u32::try_from(alike).unwrap_or(100).min(100)
}

fn cost(condition: &ConditionTrace) -> u32 {
    match condition.actual.as_ref().and_then(|values| values.first()) {
        None => ABSENT,
        Some(_) if condition.operator == "Null" => ABSENT,
        Some(actual) => {
            let unlike = condition.expected.iter().map(|expected| unlike(expected, actual)).min().unwrap_or(100);
            5 + unlike * (FALSE - 5) / 100
        }
    }
}
