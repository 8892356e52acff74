use super::*;

const THREE: &str = "
[[rule]]
name = 'litentry'
when = 'identity.attributes.chain == \"litentry\"'
subject = 'chain:litentry'
audiences = ['a']

[[rule]]
name = 'bearers'
source = ['bearer']
subject = 'bearer:${identity.subject}'
audiences = ['b']

[[rule]]
name = 'sessions'
source = ['session']
subject = 'session:${identity.subject}'
audiences = ['c']
";

fn chosen(identity: &VerifiedIdentity, rule: Option<&str>) -> Result<String, Denial> {
    let request = MintRequest { rule: rule.map(str::to_owned), ..MintRequest::default() };
    compiled(THREE).decide(identity, &request).map(|grant| grant.rule.to_string())
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
when = 'true'
subject = 'any:${identity.subject}'
audiences = ['a']

[[rule]]
name = 'by-expression'
when = 'identity.source == \"open\"'
subject = 'any:${identity.subject}'
audiences = ['a']

[[rule]]
name = 'proved'
source = ['session', 'bearer', 'github-actions', 'gitlab', 'oidc']
subject = 'proved:${identity.subject}'
audiences = ['a']

[[rule]]
name = 'open'
source = ['open']
when = 'identity.subject == \"anonymous\" && identity.provider == \"\" && identity.attributes.size() == 0'
subject = 'open:${identity.subject}'
audiences = ['a']
",
    );
    let decided = |identity: &VerifiedIdentity, rule: Option<&str>| {
        let request = MintRequest { rule: rule.map(str::to_owned), ..MintRequest::default() };
        rules.decide(identity, &request).map(|grant| grant.rule.to_string())
    };
    let anonymous = VerifiedIdentity::anonymous();
    assert_eq!(decided(&anonymous, None).unwrap(), "open");
    assert_eq!(decided(&anonymous, Some("open")).unwrap(), "open");
    for rule in ["everybody", "by-expression", "proved"] {
        assert_eq!(decided(&anonymous, Some(rule)).unwrap_err().reason, DenialReason::NoRule, "{rule}");
    }
    assert_eq!(decided(&identity(), None).unwrap(), "everybody");
    assert_eq!(decided(&identity(), Some("open")).unwrap_err().reason, DenialReason::NoRule, "proof is none of its");
}

#[test]
fn an_erring_condition_refuses_and_does_not_fall_through() {
    // `chain` is missing, so the first rule errs; `sessions` would have taken the identity.
    let denial = chosen(&identity_with(json!({})), None).unwrap_err();
    assert_eq!(denial.rule.as_ref().map(RuleName::as_str), Some("litentry"));
    assert_eq!(denial.code(), "condition_error");
    assert!(denial.to_string().contains("No such key: chain"), "{denial}");
    let public = denial.public_message();
    assert!(public.contains("`litentry`") && !public.contains("chain"), "{public}");
}

#[test]
fn conditions_that_are_not_true_or_false_refuse() {
    for when in [
        "identity.attributes.missing",
        "identity.attributes.missing == 1",
        "identity.attributes.chain",
        "identity.attributes.chain + 1 == 2",
        "identity.attributes.level",
        "identity.attributes.nothing",
        "identity.attributes.level > \"3\"",
        "identity.attributes.level / 0 == 1",
        "identity.attributes.level.startsWith(\"a\")",
        "identity.attributes.groups[7] == \"a\"",
        "identity.attributes.level.all(x, true)",
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
    let denial = none.decide(&identity(), &MintRequest::default()).unwrap_err();
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
        let denial = set.decide(&identity, &MintRequest::default()).unwrap_err();
        assert_eq!((denial.code(), denial.rule.is_none()), ("identity_too_large", true));
        assert!(denial.public_message().contains(expected), "{}", denial.public_message());
    }
    for fits in [
        identity_with(json!({"a": "x".repeat(limits::MAX_ATTRIBUTE_BYTES - 100)})),
        identity_with(json!({"a": vec![0; limits::MAX_ATTRIBUTE_VALUES - 1]})),
        identity_with(json!({"a": fits})),
    ] {
        assert!(set.decide(&fits, &MintRequest::default()).is_ok());
    }
}
