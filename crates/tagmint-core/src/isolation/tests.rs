use super::*;
use crate::{environment::Environment, issuer::IssuerUrl};

fn world(environment: Environment, issuer: &str) -> World {
    World::new(Stamp { issuer: IssuerUrl::parse(issuer).unwrap(), environment })
}

fn both() -> (World, World) {
    (
        world(Environment::Prod, "https://broker.example.org"),
        world(Environment::Test, "https://test-broker.example.org"),
    )
}

fn verdict(part: Part, prod: &World, test: &World) -> Option<Verdict> {
    let one = compare(prod, test).into_iter().find(|finding| finding.part == part).map(|finding| finding.verdict);
    let back = compare(test, prod).into_iter().find(|finding| finding.part == part).map(|finding| finding.verdict);
    assert_eq!(one, back, "{part}: the same both ways");
    one
}

#[test]
fn two_worlds_with_nothing_in_common_are_isolated() {
    let (prod, test) = both();
    let findings = compare(&prod, &test);
    assert!(is_isolated(&findings));
    assert!(findings.iter().all(|finding| finding.verdict == Verdict::Isolated), "{findings:?}");
    let parts: Vec<_> = findings.iter().map(|finding| finding.part).collect();
    assert_eq!(parts, [Part::Environment, Part::Host]);
}

#[test]
fn what_both_own_is_shared_and_what_it_means_depends_on_the_part() {
    for part in Part::ALL {
        let (mut prod, mut test) = both();
        prod.owns(part, "the same", "as prod calls it");
        test.owns(part, "the same", "as test calls it");
        let expected = match part.gravity() {
            Gravity::Refused => Verdict::Shared,
            Gravity::Warned => Verdict::Warned,
        };
        assert_eq!(verdict(part, &prod, &test), Some(expected), "{part}");
        let findings = compare(&prod, &test);
        assert_eq!(is_isolated(&findings), expected != Verdict::Shared, "{part}");
        let found = findings.iter().find(|finding| finding.part == part).unwrap();
        assert_eq!(found.shared, ["as prod calls it; as test calls it"]);
        assert!(!found.why.is_empty());
    }
}

#[test]
fn an_id_of_one_part_is_not_compared_with_another_parts() {
    let (mut prod, mut test) = both();
    prod.owns(Part::Role, "agentkeys", "agentkeys");
    test.owns(Part::Bucket, "agentkeys", "agentkeys");
    assert!(is_isolated(&compare(&prod, &test)));
}

#[test]
fn who_trusts_the_other_is_not_isolated_and_who_trusts_a_third_is() {
    let (mut prod, mut test) = both();
    let github = "https://token.actions.githubusercontent.com";
    prod.takes(Part::TrustedIssuer, github, github);
    test.takes(Part::TrustedIssuer, github, github);
    assert_eq!(verdict(Part::TrustedIssuer, &prod, &test), Some(Verdict::Isolated));
    prod.takes(Part::TrustedIssuer, "https://test-broker.example.org", "trusts https://test-broker.example.org");
    assert_eq!(verdict(Part::TrustedIssuer, &prod, &test), Some(Verdict::Shared));
    prod.takes(
        Part::ProviderAudience,
        "https://test-broker.example.org",
        "github takes https://test-broker.example.org",
    );
    assert_eq!(
        verdict(Part::ProviderAudience, &prod, &test),
        Some(Verdict::Shared),
        "a job asks for it to use it there"
    );
}

#[test]
fn addresses_overlap_by_port_where_one_is_a_wildcard() {
    for (one, other, expected) in [
        ("0.0.0.0:443", "[::]:443", Some(Verdict::Warned)),
        ("0.0.0.0:443", "192.0.2.1:443", Some(Verdict::Warned)),
        ("[::]:443", "192.0.2.1:443", Some(Verdict::Warned)),
        ("192.0.2.1:443", "192.0.2.1:443", Some(Verdict::Warned)),
        ("[::ffff:192.0.2.1]:443", "192.0.2.1:443", Some(Verdict::Warned)),
        ("192.0.2.1:443", "192.0.2.2:443", Some(Verdict::Isolated)),
        ("0.0.0.0:443", "0.0.0.0:444", Some(Verdict::Isolated)),
        ("127.0.0.1:0", "127.0.0.1:0", None),
    ] {
        let (mut prod, mut test) = both();
        prod.listens(one.parse().unwrap(), one);
        test.listens(other.parse().unwrap(), other);
        assert_eq!(verdict(Part::Listen, &prod, &test), expected, "{one} {other}");
    }
}

#[test]
fn what_could_not_be_looked_at_is_never_isolated() {
    let (mut prod, mut test) = both();
    prod.owns(Part::KeyFile, "path /a", "/a");
    test.owns(Part::KeyFile, "path /b", "/b");
    test.not_seen(Part::KeyFile, "/b cannot be read");
    assert_eq!(verdict(Part::KeyFile, &prod, &test), Some(Verdict::Unknown));
    assert!(is_isolated(&compare(&prod, &test)));
    prod.owns(Part::KeyFile, "inode 1 2", "");
    test.owns(Part::KeyFile, "inode 1 2", "");
    assert_eq!(
        verdict(Part::KeyFile, &prod, &test),
        Some(Verdict::Shared),
        "what is shared outweighs what was not seen"
    );
}

#[test]
fn a_database_with_the_others_stamp_is_shared() {
    let (mut prod, test) = both();
    prod.database_is_stamped("https://test-broker.example.org", "test");
    assert_eq!(verdict(Part::Database, &prod, &test), Some(Verdict::Shared));
    let finding = compare(&prod, &test).into_iter().find(|finding| finding.part == Part::Database).unwrap();
    assert_eq!(finding.shared, ["stamped https://test-broker.example.org (test)"]);
}

#[test]
fn on_loopback_the_port_tells_issuers_apart() {
    let prod = world(Environment::Prod, "https://localhost:8443");
    assert_eq!(
        verdict(Part::Host, &prod, &world(Environment::Test, "https://localhost:8444/x")),
        Some(Verdict::Isolated)
    );
    assert_eq!(
        verdict(Part::Host, &prod, &world(Environment::Test, "https://localhost:8443/x")),
        Some(Verdict::Shared)
    );
    let path = world(Environment::Prod, "https://broker.example.org/prod");
    let other = world(Environment::Test, "https://broker.example.org/test");
    assert_eq!(verdict(Part::Host, &path, &other), Some(Verdict::Shared), "a path is no host of its own");
}
