use super::*;

/// A decision's outcome in one word: the code of a refusal or "ok".
fn outcome(decided: &Result<Grant, Denial>) -> &'static str {
    decided.as_ref().map_or_else(Denial::code, |_| "ok")
}

#[test]
fn audiences_are_chosen_from_the_rules() {
    let lines = "audiences = ['first', 'for-${team}']";
    for (audience, expected) in [
        (None, Some("first")),
        (Some("first"), Some("first")),
        (Some("for-blue"), Some("for-blue")),
        (Some("for-red"), None),
        (Some("First"), None),
        (Some(""), None),
        (Some("for-${team}"), None),
    ] {
        let request = MintRequest { audience: audience.map(str::to_owned), ..MintRequest::default() };
        let decided = decide(lines, &request);
        match expected {
            Some(expected) => assert_eq!(decided.unwrap().audience.as_str(), expected),
            None => assert_eq!(outcome(&decided), "audience_not_allowed", "{audience:?}"),
        }
    }
}

#[test]
fn roles_are_all_or_the_one_chosen() {
    let other = "arn:aws:iam::123456789012:role/blue";
    let lines = format!("roles = ['{ROLE}', 'arn:aws:iam::123456789012:role/${{team}}', '{ROLE}']");
    for (role, expected) in [
        (None, Ok(vec![ROLE, other])),
        (Some(ROLE), Ok(vec![ROLE])),
        (Some(other), Ok(vec![other])),
        (Some("arn:aws:iam::123456789012:role/red"), Err("role_not_allowed")),
        (Some("*"), Err("role_not_allowed")),
    ] {
        let request = MintRequest { role: role.map(str::to_owned), ..MintRequest::default() };
        let decided = decide(&lines, &request);
        let roles = decided.as_ref().map(|grant| grant.roles.iter().map(crate::claims::RoleArn::as_str).collect());
        assert_eq!(roles.map_err(Denial::code), expected, "{role:?}");
    }
    let none = decide("", &MintRequest { role: Some(ROLE.to_owned()), ..MintRequest::default() });
    assert_eq!(outcome(&none), "role_not_allowed");
    assert!(decide("", &MintRequest::default()).unwrap().roles.is_empty());
    let wrong = decide("roles = ['arn:aws:iam::1:role/${sub}']", &MintRequest::default());
    assert_eq!(outcome(&wrong), "invalid_claim");
}

#[test]
fn lifetimes_stay_below_the_rules_most() {
    for (lines, asked, expected) in [
        ("", None, Ok(300)),
        ("", Some(300), Ok(300)),
        ("", Some(301), Err("lifetime_not_allowed")),
        ("", Some(59), Err("lifetime_not_allowed")),
        ("", Some(60), Ok(60)),
        ("", Some(i64::MIN), Err("lifetime_not_allowed")),
        ("lifetime = '2m'", None, Ok(120)),
        ("lifetime = 90", Some(91), Err("lifetime_not_allowed")),
        ("lifetime = '90s'\nmax_lifetime = '15m'", Some(900), Ok(900)),
        ("lifetime = '90s'\nmax_lifetime = '15m'", Some(901), Err("lifetime_not_allowed")),
        ("lifetime = '90s'\nmax_lifetime = '15m'", None, Ok(90)),
        ("max_lifetime = '2m'", None, Ok(120)),
        ("max_lifetime = '10m'", None, Ok(300)),
        ("lifetime = '${level}m'", None, Ok(180)),
        ("lifetime = '${level}'", None, Err("invalid_claim")),
        ("lifetime = '${team}'", None, Err("template_error")),
        ("lifetime = '-${level}m'", None, Err("template_error")),
        ("lifetime = '5m'\nmax_lifetime = '${level}m'", Some(60), Err("template_error")),
        ("max_lifetime = '${level}m'", None, Ok(180)),
    ] {
        let request = MintRequest { lifetime_seconds: asked, ..MintRequest::default() };
        let decided = decide(lines, &request);
        let seconds = decided.as_ref().map(|grant| grant.lifetime.seconds()).map_err(Denial::code);
        assert_eq!(seconds, expected, "{lines} {asked:?}");
    }
}

const TAGS: &str = r#"
transitive = ["fixed", "open"]
[rule.tags]
fixed = "${sub}"
open = { open = true }
team = { one_of = ["a", "${team}"], default = "a" }
run = { matches = 'value.matches("^run-[0-9]+$") && team == "blue"' }
"#;

#[test]
fn requests_narrow_and_fill_tags() {
    let fixed = ("fixed", "0xabc");
    for (tags, expected) in [
        (vec![], Ok(vec![fixed, ("team", "a")])),
        (vec![fixed], Ok(vec![fixed, ("team", "a")])),
        (vec![("fixed", "0xABC")], Err("tag_value_not_allowed")),
        (vec![("fixed", "")], Err("tag_value_not_allowed")),
        (vec![("Fixed", "0xabc")], Err("tag_not_allowed")),
        (vec![("other", "x")], Err("tag_not_allowed")),
        (vec![("", "x")], Err("tag_not_allowed")),
        (vec![("open", "any thing")], Ok(vec![fixed, ("open", "any thing"), ("team", "a")])),
        (vec![("open", "a*")], Err("invalid_tag")),
        (vec![("open", "${sub}")], Err("invalid_tag")),
        (vec![("team", "blue")], Ok(vec![fixed, ("team", "blue")])),
        (vec![("team", "red")], Err("tag_value_not_allowed")),
        (vec![("run", "run-7")], Ok(vec![fixed, ("run", "run-7"), ("team", "a")])),
        (vec![("run", "run-7x")], Err("tag_value_not_allowed")),
        (vec![("run", "run-7\n")], Err("invalid_tag")),
    ] {
        let decided = decide(TAGS, &request_with_tags(&tags));
        let given = decided
            .as_ref()
            .map_err(Denial::code)
            .map(|grant| grant.tags.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect::<Vec<_>>());
        assert_eq!(given, expected, "{tags:?}");
    }
    let open = decide(TAGS, &request_with_tags(&[("open", "x")])).unwrap();
    let transitive: Vec<&str> = open.tags.transitive().map(crate::tags::TagKey::as_str).collect();
    assert_eq!(transitive, ["fixed", "open"]);
    let without = decide(TAGS, &MintRequest::default()).unwrap();
    assert_eq!(without.tags.transitive().count(), 1, "a tag that is left out is not transitive");
}

#[test]
fn required_tags_and_defaults_are_held_to_the_rule() {
    let none = MintRequest::default();
    for (lines, tags, expected) in [
        ("run = { matches = 'value != \"\"', required = true }", vec![], "tag_required"),
        ("run = { matches = 'value != \"\"', required = true }", vec![("run", "")], "tag_value_not_allowed"),
        ("run = { matches = 'value != \"\"', required = true }", vec![("run", "1")], "ok"),
        ("run = { open = true, required = true }", vec![], "tag_required"),
        ("run = { matches = 'value == \"a\"', default = '${sub}' }", vec![], "tag_value_not_allowed"),
        ("run = { one_of = ['${team}'], default = 'red' }", vec![], "tag_value_not_allowed"),
        ("run = { one_of = ['a', '${missing}'] }", vec![], "ok"),
        ("run = { one_of = ['a', '${missing}'] }", vec![("run", "a")], "template_error"),
        ("run = { matches = 'value > 3' }", vec![("run", "4")], "condition_error"),
        ("run = { matches = 'value' }", vec![("run", "4")], "condition_error"),
        ("run = { open = true, default = '${missing}' }", vec![], "template_error"),
        ("run = '${missing}'", vec![("run", "a")], "template_error"),
        ("run = 'a${\"*\"}'", vec![], "invalid_tag"),
    ] {
        let request = MintRequest { tags: request_with_tags(&tags).tags, ..none.clone() };
        let decided = decide(&format!("[rule.tags]\n{lines}"), &request);
        assert_eq!(outcome(&decided), expected, "{lines} {tags:?}: {decided:?}");
    }
}

#[test]
fn a_transitive_template_must_name_a_tag() {
    let lines = |key: &str| format!("transitive = ['{key}']\n[rule.tags]\nblue = 'x'");
    assert!(decide(&lines("${team}"), &MintRequest::default()).is_ok());
    let other = decide(&lines("${chain}"), &MintRequest::default());
    assert_eq!(outcome(&other), "invalid_tag");
}

#[test]
fn refusals_name_the_rule_and_the_field() {
    let long = "x".repeat(1000);
    let cases = [
        (MintRequest { audience: Some("other".into()), ..MintRequest::default() }, "`audience` \"other\""),
        (MintRequest { audience: Some(long.clone()), ..MintRequest::default() }, "`audience` \"xxx"),
        (MintRequest { role: Some("other".into()), ..MintRequest::default() }, "`role` \"other\""),
        (
            MintRequest { lifetime_seconds: Some(1), ..MintRequest::default() },
            "`lifetime_seconds` 1; ask for 60 to 300",
        ),
        (request_with_tags(&[("b\n", "x")]), r#"no tag "b\n""#),
        (request_with_tags(&[("a", &long)]), "for `a` in `tags`"),
    ];
    for (request, expected) in cases {
        let denial = decide("[rule.tags]\na = '1'", &request).unwrap_err();
        let message = denial.public_message();
        assert!(message.contains(expected) && message.contains("rule `r`"), "{message}");
        assert!(message.len() < 250, "{message}");
        assert!(denial.to_string().starts_with("rule `r`: "), "{denial}");
    }
}
