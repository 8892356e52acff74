use super::*;
use crate::trusted_issuer::{IssuerKind, TrustedIssuerName};

const THREE: &str = "
[[rule]]
name = 'litentry'
from = 'session'
match.chain = 'litentry'
subject = 'chain:litentry'
audiences = ['a']

[[rule]]
name = 'bearers'
from = 'bearer'
subject = 'bearer:${sub}'
audiences = ['b']

[[rule]]
name = 'sessions'
from = 'session'
subject = 'session:${sub}'
audiences = ['c']
";

fn chosen(identity: &VerifiedIdentity, rule: Option<&str>) -> Result<String, Denial> {
    let request = MintRequest { rule: rule.map(str::to_owned), ..MintRequest::default() };
    compiled(THREE).decide(identity, &request).result.map(|grant| grant.rule.to_string())
}

fn on(chain: &str) -> VerifiedIdentity {
    identity_with(json!({"chain": chain}))
}

#[test]
fn the_first_rule_that_takes_the_identity_decides() {
    assert_eq!(chosen(&on("litentry"), None).unwrap(), "litentry");
    assert_eq!(chosen(&on("other"), None).unwrap(), "sessions");
    let bearer = VerifiedIdentity { source: IdentitySource::Bearer, ..on("other") };
    assert_eq!(chosen(&bearer, None).unwrap(), "bearers");
}

#[test]
fn a_request_may_name_the_rule_but_not_bend_it() {
    assert_eq!(chosen(&on("litentry"), Some("sessions")).unwrap(), "sessions");
    for (rule, code) in [("litentry", "no_rule"), ("bearers", "no_rule"), ("none", "unknown_rule")] {
        let denial = chosen(&on("other"), Some(rule)).unwrap_err();
        assert_eq!((denial.code(), denial.rule.clone()), (code, None), "{rule}");
        // Both sound the same to the caller.
        assert_eq!(denial.public_message(), Denial::without_rule(DenialReason::NoRule).public_message());
    }
}

#[test]
fn a_bound_credential_has_its_rule_and_no_other() {
    let bound = |rule: &str| VerifiedIdentity { only_rule: Some(RuleName::parse(rule).unwrap()), ..on("litentry") };
    assert_eq!(chosen(&bound("sessions"), None).unwrap(), "sessions");
    for (bound_to, asked) in [("sessions", Some("litentry")), ("bearers", None), ("removed", None)] {
        let denial = chosen(&bound(bound_to), asked).unwrap_err();
        assert_eq!(denial.reason, DenialReason::NoRule, "{bound_to}");
    }
}

#[test]
fn whoever_proves_nothing_is_taken_by_rules_that_say_so_and_no_other() {
    let rules = compiled(
        "
[[rule]]
name = 'everybody'
from = 'session'
subject = 'any:${sub}'

[[rule]]
name = 'nobody'
from = 'anonymous'
when = 'sub == \"anonymous\"'
subject = 'open:${sub}'
",
    );
    let decided = |identity: &VerifiedIdentity, rule: Option<&str>| {
        let request = MintRequest { rule: rule.map(str::to_owned), ..MintRequest::default() };
        rules.decide(identity, &request).result.map(|grant| grant.rule.to_string())
    };
    let anonymous = VerifiedIdentity::anonymous();
    assert_eq!(decided(&anonymous, None).unwrap(), "nobody");
    assert_eq!(decided(&anonymous, Some("nobody")).unwrap(), "nobody");
    assert_eq!(decided(&anonymous, Some("everybody")).unwrap_err().reason, DenialReason::NoRule);
    assert_eq!(decided(&identity(), None).unwrap(), "everybody");
    assert_eq!(decided(&identity(), Some("nobody")).unwrap_err().reason, DenialReason::NoRule, "proof is none of its");
}

/// Two issuers of one kind number their repositories alike: a rule for one takes no token of the other.
#[test]
fn a_rule_never_takes_another_issuers_token() {
    let name = |name: &str| TrustedIssuerName::parse(name).unwrap();
    let issuers: TrustedIssuers = [("github", IssuerKind::GITHUB), ("ghes", IssuerKind::GITHUB)]
        .map(|(it, kind)| (name(it), kind))
        .into_iter()
        .collect();
    let text =
        "[[rule]]\nname = 'r'\nfrom = 'ghes'\nmatch = { repository_id = '1' }\nsubject = 'github:${repository_id}'\n";
    let rules = RuleSet::compile(&parse(text), &issuers).unwrap();
    let job = |issuer: &str| VerifiedIdentity {
        source: IdentitySource::TrustedIssuer(IssuerKind::GITHUB),
        trusted_issuer: Some(name(issuer)),
        ..identity_with(json!({"repository_id": "1"}))
    };
    assert!(rules.decide(&job("ghes"), &MintRequest::default()).result.is_ok());
    assert_eq!(rules.decide(&job("github"), &MintRequest::default()).result.unwrap_err().reason, DenialReason::NoRule);
    let session = identity_with(json!({"repository_id": "1"}));
    assert_eq!(rules.decide(&session, &MintRequest::default()).result.unwrap_err().reason, DenialReason::NoRule);
}

const SHADOWED: &str = "
[[rule]]
name = 'new'
from = 'session'
mode = 'shadow'
match = { team = 'blue' }
subject = 'new:${sub}'
tags = { team = '${team}' }

[[rule]]
name = 'erring'
from = 'session'
mode = 'shadow'
when = 'level > 3'
subject = 'erring:${sub}'

[[rule]]
name = 'old'
from = 'session'
match = { chain = 'litentry' }
subject = 'old:${sub}'

[[rule]]
name = 'after'
from = 'session'
mode = 'shadow'
subject = 'after:${sub}'
";

#[test]
fn a_shadow_rule_is_told_and_grants_nothing() {
    let rules = compiled(SHADOWED);
    let decision = rules.decide(&identity_with(json!({"team": "blue", "chain": "litentry"})), &MintRequest::default());
    assert_eq!(decision.result.unwrap().rule.as_str(), "old");
    let told: Vec<(String, Result<String, &str>)> = decision
        .shadows
        .iter()
        .map(|it| {
            (it.rule.to_string(), it.result.as_ref().map(|it| it.subject.to_string()).map_err(DenialReason::code))
        })
        .collect();
    assert_eq!(told, [("new".into(), Ok("new:0xabc".into())), ("erring".into(), Err("condition_error"))]);
    // Where no rule decides, all of them are asked, and still nothing is granted.
    let decision = rules.decide(&identity_with(json!({"team": "blue", "level": 1})), &MintRequest::default());
    assert_eq!(decision.result.unwrap_err().reason, DenialReason::NoRule);
    let told: Vec<&str> = decision.shadows.iter().map(|it| it.rule.as_str()).collect();
    assert_eq!(told, ["new", "after"]);
    // Nor can it be asked for by its name.
    let request = MintRequest { rule: Some("new".to_owned()), ..MintRequest::default() };
    let decision = rules.decide(&identity_with(json!({"team": "blue"})), &request);
    assert_eq!(decision.result.unwrap_err().code(), "unknown_rule");
    assert_eq!(decision.shadows, []);
    let bound =
        VerifiedIdentity { only_rule: Some(RuleName::parse("new").unwrap()), ..identity_with(json!({"team": "blue"})) };
    let decision = rules.decide(&bound, &MintRequest::default());
    assert_eq!((decision.result.unwrap_err().reason, decision.shadows.len()), (DenialReason::NoRule, 1));
}

#[test]
fn an_erring_condition_refuses_and_does_not_fall_through() {
    // `level` is missing, so the first rule errs; the second would have taken the identity.
    let rules = compiled(&format!("{}{}", rule_text("when = 'level > 3'"), rule_text("").replace("'r'", "'broad'")));
    let denial = rules.decide(&identity_with(json!({})), &MintRequest::default()).result.unwrap_err();
    assert_eq!(denial.rule.as_ref().map(RuleName::as_str), Some("r"));
    assert_eq!(denial.code(), "condition_error");
    assert!(denial.to_string().contains("level"), "{denial}");
    let public = denial.public_message();
    assert!(public.contains("`r`") && !public.contains("level"), "{public}");
    // A claim that a match asks for and that is missing is no error: the rule does not take the identity.
    assert_eq!(chosen(&identity_with(json!({})), None).unwrap(), "sessions");
}

#[test]
fn conditions_that_are_not_true_or_false_refuse() {
    for when in [
        "missing",
        "missing == 1",
        "chain",
        "chain + 1 == 2",
        "level",
        "nothing",
        "level > \"3\"",
        "level / 0 == 1",
        "level.startsWith(\"a\")",
        "groups[7] == \"a\"",
        "level.all(x, true)",
        "[1]",
        "null",
    ] {
        let denial = decide(&format!("when = '{when}'"), &MintRequest::default()).unwrap_err();
        assert_eq!(denial.code(), "condition_error", "{when}: {denial}");
        assert!(denial.rule.is_some(), "{when}");
    }
}

#[test]
fn no_rule_no_token() {
    let none = RuleSet::compile(&[], &TrustedIssuers::none()).unwrap();
    assert!(none.is_empty());
    let denial = none.decide(&identity(), &MintRequest::default()).result.unwrap_err();
    assert_eq!(denial, Denial { rule: None, reason: DenialReason::NoRule });
    let never = decide("when = 'false'", &MintRequest::default()).unwrap_err();
    assert_eq!(never, Denial { rule: None, reason: DenialReason::NoRule });
}

#[test]
fn names_keep_their_order() {
    let set = compiled(THREE);
    let names: Vec<&str> = set.names().map(RuleName::as_str).collect();
    assert_eq!(names, ["litentry", "bearers", "sessions"]);
    assert_eq!(format!("{set:?}"), r#"["litentry", "bearers", "sessions"]"#);
}

#[test]
fn identities_over_a_limit_are_refused_before_any_rule() {
    let nested = (0..limits::MAX_ATTRIBUTE_DEPTH).fold(json!(1), |inner, _| json!([inner]));
    let fits = (1..limits::MAX_ATTRIBUTE_DEPTH).fold(json!(1), |inner, _| json!([inner]));
    let cases = [
        (identity_with(json!({"a": "x".repeat(limits::MAX_ATTRIBUTE_BYTES)})), "65536 bytes"),
        (identity_with(json!({"a": vec![0; limits::MAX_ATTRIBUTE_VALUES]})), "1000 values"),
        (identity_with(json!({"a": nested})), "deeper than 8"),
        (VerifiedIdentity { subject: "x".repeat(1025), ..identity() }, "1025 bytes"),
    ];
    let set = compiled(&rule_text(""));
    for (identity, expected) in cases {
        let denial = set.decide(&identity, &MintRequest::default()).result.unwrap_err();
        assert_eq!((denial.code(), denial.rule.is_none()), ("identity_too_large", true));
        assert!(denial.public_message().contains(expected), "{}", denial.public_message());
    }
    for fits in [
        identity_with(json!({"a": "x".repeat(limits::MAX_ATTRIBUTE_BYTES - 100)})),
        identity_with(json!({"a": vec![0; limits::MAX_ATTRIBUTE_VALUES - 1]})),
        identity_with(json!({"a": fits})),
    ] {
        assert!(set.decide(&fits, &MintRequest::default()).result.is_ok());
    }
}
