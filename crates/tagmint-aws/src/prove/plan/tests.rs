//! The checks of a plan, and a plan for other tests.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::json;
use tagmint_core::random::{Random, RandomUnavailable};

use super::*;

#[derive(Debug)]
struct Sevens;

impl Random for Sevens {
    fn fill(&self, out: &mut [u8]) -> Result<(), RandomUnavailable> {
        out.fill(7);
        Ok(())
    }
}

pub(in crate::prove) fn plan(access: Access) -> Plan {
    let claims = json!({
        "iss": "https://i", "aud": "a", "sub": "s", "iat": 1_790_000_000, "exp": 1_790_000_300,
        "https://aws.amazon.com/tags": {"principal_tags": {"team": ["blue"]}},
    });
    let good =
        Token::parse(&format!("eyJhbGciOiJFUzI1NiJ9.{}.c2ln", BASE64_URL_SAFE_NO_PAD.encode(claims.to_string())))
            .unwrap();
    let missing = || Offered::Missing("there is none".to_owned());
    let own = Prefix::parse("blue").unwrap();
    Plan {
        role_arn: "arn:aws:iam::111122223333:role/data".to_owned(),
        terms: SessionTerms::default(),
        session_name: "tagmint-prove".to_owned(),
        bucket: "data".to_owned(),
        neighbours: Neighbour::made_up(&own, &Sevens).unwrap(),
        own,
        tag: Some("team".to_owned()),
        neighbour_object: None,
        access,
        tokens: Tokens {
            good,
            untagged: missing(),
            other_audience: missing(),
            other_environment: missing(),
            expired: missing(),
        },
        issuer_roots: None,
        require_all: false,
    }
}

#[test]
fn the_plan_has_every_check_once() {
    let plan = plan(Access::ReadWrite);
    let names: Vec<String> = plan.checks().into_iter().map(|check| check.name).collect();
    let expected = "assume own-list own-write own-read own-list-without-slash sibling-list sibling-get sibling-put sibling-delete \
                    stranger-list stranger-get stranger-put stranger-delete bucket-list bucket-get bucket-put bucket-delete \
                    token-altered token-untagged token-other-audience token-other-environment token-expired";
    assert_eq!(names.join(" "), expected);
    assert_eq!(plan.neighbours[0].prefix.as_str(), "bluex");
    assert_eq!(plan.neighbours[1].prefix.as_str(), "tagmint-prove-0707070707070707");
    assert_eq!(plan.widths().0, "token-other-environment".len());
}

#[test]
fn reading_alone_wants_writing_refused() {
    let checks = plan(Access::ReadOnly { own_object: None }).checks();
    let names: Vec<&str> = checks.iter().map(|check| check.name.as_str()).collect();
    assert!(names.contains(&"own-write-refused") && !names.contains(&"own-write"));
}
