//! Tokens that the trust policies of the shipped configurations refuse.

use serde_json::{Map, Value, json};
use tagmint_core::rules::MintRequest;

use super::judge::{Aws, WALLET, github_branch, pull_request, wallet};

type Claims = Map<String, Value>;

const TAGS: &str = "https://aws.amazon.com/tags";

fn of_wallet(aws: &Aws) -> Claims {
    aws.claims(&wallet(WALLET), &MintRequest::default())
}

fn of_ci(aws: &Aws, environment: &str) -> Claims {
    let identity = if environment == "prod" { github_branch("main", "11") } else { pull_request(7, "11") };
    aws.claims(&identity, &MintRequest::default())
}

fn with(claims: &Claims, name: &str, value: Value) -> Claims {
    let mut claims = claims.clone();
    claims.insert(name.to_owned(), value);
    claims
}

fn without(claims: &Claims, name: &str) -> Claims {
    let mut claims = claims.clone();
    claims.shift_remove(name);
    claims
}

/// The claims with other tags.
fn tagged(claims: &Claims, tags: &[(&str, &str)]) -> Claims {
    let tags: Map<String, Value> = tags.iter().map(|(key, value)| ((*key).to_owned(), json!([value]))).collect();
    with(claims, TAGS, json!({"principal_tags": tags, "transitive_tag_keys": []}))
}

/// The claims with another value of one tag.
fn retagged(claims: &Claims, key: &str, value: &str) -> Claims {
    let mut claims = claims.clone();
    claims[TAGS]["principal_tags"][key] = json!([value]);
    claims
}

/// The claims with a tag under another key.
fn renamed(claims: &Claims, key: &str, new: &str) -> Claims {
    let mut claims = claims.clone();
    let tags = claims[TAGS]["principal_tags"].as_object_mut().unwrap();
    let value = tags.shift_remove(key).unwrap();
    tags.insert(new.to_owned(), value);
    claims[TAGS]["transitive_tag_keys"] = json!([]);
    claims
}

#[test]
fn other_tokens_are_refused() {
    for environment in ["prod", "test"] {
        let aws = Aws::of(environment);
        let (wallet, ci) = (of_wallet(&aws), of_ci(&aws, environment));
        let role = aws.plan.roles[0].arn.clone();
        let prefix = ci[TAGS]["principal_tags"]["prefix"][0].as_str().unwrap().to_owned();
        let mut cases = Vec::new();
        for good in [&wallet, &ci] {
            assert!(aws.assume(good).is_ok());
            cases.push(("another audience", with(good, "aud", json!("sts.example.com"))));
            cases.push(("an audience in other letters", with(good, "aud", json!("STS.amazonaws.com"))));
            cases.push(("another subject", with(good, "sub", json!("admin:root"))));
            cases.push(("a subject that begins alike", with(good, "sub", json!("walletx:0xa"))));
            cases.push(("a subject in other letters", with(good, "sub", json!("Wallet:0xa"))));
            cases.push(("no tags", without(good, TAGS)));
            cases.push(("no roles", without(good, "https://aws.amazon.com/roles")));
            cases.push((
                "another role",
                with(good, "https://aws.amazon.com/roles", json!(["arn:aws:iam::111122223333:role/admin"])),
            ));
            for (what, issuer) in [
                ("the other world's token", "https://other-broker.litentry.org"),
                ("an issuer with a slash", "https://broker.litentry.org/"),
                ("an issuer in clear", "http://broker.litentry.org"),
            ] {
                cases.push((what, with(good, "iss", json!(issuer))));
            }
        }
        // Tags that do not belong to the subject, or that no rule gives.
        cases.push(("a wallet's subject with CI's tags", with(&ci, "sub", wallet["sub"].clone())));
        cases.push(("CI's subject with a wallet's tag", with(&wallet, "sub", ci["sub"].clone())));
        cases.push(("a tag more", tagged(&wallet, &[("agentkeys_user_wallet", WALLET), ("prefix", &prefix)])));
        cases.push(("a tag of another kind", tagged(&wallet, &[("agentkeys_user_wallet", WALLET), ("team", "blue")])));
        cases.push(("the key in other letters", renamed(&wallet, "agentkeys_user_wallet", "Agentkeys_User_Wallet")));
        cases.push(("the key in other letters", renamed(&ci, "prefix", "PREFIX")));
        for key in ["prefix", "run", "pr", "repository"] {
            cases.push(("a tag is missing", renamed(&ci, key, "other")));
        }
        for value in ["", "*", "?", "0x*", "a/b", "/", "/a", "a/", "..", "a/../b", "../b", "${aws:PrincipalTag/prefix}"]
        {
            cases.push(("a wallet that is none", retagged(&wallet, "agentkeys_user_wallet", value)));
        }
        for value in [
            "",
            "*",
            "?",
            WALLET,
            "pr-*/run-?*",
            "*/*",
            "pr-7",
            "pr-/run-1",
            "pr-7/run-",
            "pr-7/run-1/x",
            "pr-7//run-1",
            "/pr-7/run-1",
            "pr-7/run-1/",
            "../pr-7/run-1",
            "pr-../run-1",
            "pr-7/../run-1",
            "PR-7/run-1",
            "x/pr-7/run-1",
        ] {
            cases.push(("a prefix that no rule gives", retagged(&ci, "prefix", value)));
        }
        for (what, claims) in cases {
            let answer = aws.assume(&claims);
            assert!(answer.is_err(), "{environment}: {what} opens a session: {claims:#?}");
        }
        // Another role of the account, which trusts whom it likes: this token is not for it.
        assert!(aws.assume_role(&wallet, &role.replace("agentkeys", "other")).is_err());
    }
}

/// A test issuer's token at prod's role, and the reverse, also where somebody registers the other provider.
#[test]
fn no_token_of_the_other_world_is_taken() {
    let (prod, test) = (Aws::of("prod"), Aws::of("test"));
    for (mine, other) in [(&prod, &test), (&test, &prod)] {
        let claims = of_wallet(other);
        assert!(mine.assume(&claims).is_err());
        assert!(mine.assume(&with(&claims, "iss", json!(mine.plan.provider.url))).is_err(), "the roles claim pins it");
    }
}

/// Without `sts:TagSession` no token with tags opens a session: it is in every statement.
#[test]
fn every_statement_allows_tags_and_source_identity() {
    for environment in ["prod", "test"] {
        let aws = Aws::of(environment);
        for statement in aws.plan.roles[0].trust_policy["Statement"].as_array().unwrap() {
            assert_eq!(
                statement["Action"],
                json!(["sts:AssumeRoleWithWebIdentity", "sts:TagSession", "sts:SetSourceIdentity"])
            );
            assert!(statement["Condition"]["StringLike"].to_string().contains(":sub"));
        }
    }
}
