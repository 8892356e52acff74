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

#[cfg(test)]
mod tests {
    use tagmint_iam::policy::Kind;

    use super::*;

    fn read(kind: Kind, version: &str, rest: &str) -> Policy {
        let text = format!(r#"{{{version}"Statement": [{{"Effect": "Allow", "Action": "s3:GetObject", {rest}}}]}}"#);
        Policy::parse_as(kind, &text).unwrap()
    }

    /// A policy of the older version, named or not, has no variables: what looks the same means something else.
    #[test]
    fn another_version_is_a_difference() {
        let resource = r#""Resource": "arn:aws:s3:::b/${aws:PrincipalTag/team}/*""#;
        let principal = r#""Principal": {"AWS": "111122223333"}"#;
        let both = format!("{principal}, {resource}");
        for (kind, place, rest, id) in [
            (PolicyKind::Guard, Kind::Identity, resource, "role-policy-version"),
            (PolicyKind::Bucket, Kind::Resource, &both, "bucket-policy-version"),
            (PolicyKind::Trust, Kind::Trust, principal, "trust-version"),
        ] {
            let wanted = read(place, r#""Version": "2012-10-17", "#, rest);
            assert_eq!(compare(kind, &wanted, &wanted), []);
            for version in ["", r#""Version": "2008-10-17", "#] {
                let told = compare(kind, &wanted, &read(place, version, rest));
                assert!(
                    matches!(told.as_slice(), [(told, text)] if *told == id && text.contains("2008-10-17 or missing")),
                    "{told:?}"
                );
            }
        }
    }

    #[test]
    fn an_account_and_its_root_are_the_same_in_every_partition() {
        let of = |name: &str| {
            let rest = format!(r#""Principal": {{"AWS": "{name}"}}, "Resource": "arn:aws:s3:::b/*""#);
            read(Kind::Resource, "", &rest)
        };
        for root in ["arn:aws:iam::111122223333:root", "arn:aws-us-gov:iam::111122223333:root"] {
            assert_eq!(compare(PolicyKind::Bucket, &of("111122223333"), &of(root)), [], "{root}");
        }
        assert_ne!(compare(PolicyKind::Bucket, &of("111122223333"), &of("arn:aws:iam::444455556666:root")), []);
    }
}
