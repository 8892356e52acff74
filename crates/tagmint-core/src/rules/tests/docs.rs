use super::*;
use crate::trusted_issuer::{IssuerKind, TrustedIssuerName};

const PAGE: &str = include_str!("../../../../../docs/rules.md");

/// The page's whole rules. Other blocks of TOML show parts of a rule.
fn examples() -> Vec<&'static str> {
    let after_fence = PAGE.split("```toml\n").skip(1);
    let blocks = after_fence.map(|rest| rest.split("```").next().unwrap_or_default());
    blocks.filter(|block| block.contains("[[rule]]")).collect()
}

/// The page's rules with two trusted issuers. The configuration makes ARNs of the names of roles.
fn compiled_beside_issuers(text: &str) -> RuleSet {
    let issuers: TrustedIssuers = [("github", IssuerKind::GITHUB), ("gitlab", IssuerKind::GITLAB)]
        .map(|(name, kind)| (TrustedIssuerName::parse(name).unwrap(), kind))
        .into_iter()
        .collect();
    let mut rules = parse(text);
    for role in rules.iter_mut().filter_map(|rule| rule.role.as_mut()) {
        *role = format!("arn:aws:iam::123456789012:role/{role}");
    }
    RuleSet::compile(&rules, &issuers).unwrap_or_else(|errors| panic!("{errors:#?}"))
}

#[test]
fn the_examples_compile() {
    let examples = examples();
    assert!(examples.len() >= 6, "{}", examples.len());
    for example in examples {
        assert!(!compiled_beside_issuers(example).is_empty(), "{example}");
    }
}

#[test]
fn the_examples_do_what_the_page_says() {
    let set = compiled_beside_issuers(&examples().concat());
    let names: Vec<&str> = set.names().map(RuleName::as_str).collect();
    assert_eq!(names, ["wallet", "bearers", "blue-team", "ci", "services", "ci-main"]);
    let run = request_with_tags(&[("run", "run-7")]);
    let staged = request_with_tags(&[("run", "run-7"), ("stage", "prod"), ("note", "by hand")]);
    let none = MintRequest::default();
    for (rule, source, subject, attributes, request, expected) in [
        ("wallet", "session", "0xa", json!({"chain": "litentry"}), &none, r#"{"agentkeys_user_wallet":["0xa"]}"#),
        ("bearers", "bearer", "nightly", json!({}), &none, "{}"),
        ("blue-team", "session", "0xa", json!({"team": "blue"}), &none, r#"{"cost_center":["4711"],"team":["blue"]}"#),
        ("ci", "bearer", "ci-1", json!({}), &run, r#"{"run":["run-7"],"stage":["test"]}"#),
        (
            "ci",
            "bearer",
            "ci-1",
            json!({"stage": "prod"}),
            &staged,
            r#"{"note":["by hand"],"run":["run-7"],"stage":["prod"]}"#,
        ),
        ("services", "session", "one", json!({"groups": ["services"]}), &none, "{}"),
    ] {
        let source = if source == "bearer" { IdentitySource::Bearer } else { IdentitySource::Session };
        let identity = VerifiedIdentity { source, subject: subject.to_owned(), ..identity_with(attributes) };
        let request = MintRequest { rule: Some(rule.to_owned()), ..request.clone() };
        let grant = set.decide(&identity, &request).result.unwrap_or_else(|denial| panic!("{denial}"));
        let tags = serde_json::to_value(&grant.tags).unwrap();
        assert_eq!(tags["principal_tags"].to_string(), expected, "{rule}");
    }
}

#[test]
fn every_warning_is_explained() {
    for id in WarningId::ALL {
        assert!(PAGE.contains(&format!("\n| `{id}` | ")), "docs/rules.md does not explain {id}");
    }
}

#[test]
fn the_examples_have_no_warnings() {
    assert_eq!(compiled_beside_issuers(&examples().concat()).warnings(), []);
}

#[test]
fn every_function_is_named() {
    let functions = PAGE.split("The functions are").nth(1).unwrap().split("There is nothing").next().unwrap();
    for name in check::function_list().split('`').skip(1).step_by(2) {
        let is_macro = ["has", "all", "exists", "exists_one", "map", "filter"].contains(&name);
        assert!(is_macro || functions.contains(&format!("`{name}`")), "docs/rules.md has no function {name}");
    }
}

#[test]
fn the_table_of_limits_is_the_codes() {
    for limit in [
        limits::MAX_RULES,
        limits::MAX_TAGS,
        limits::MAX_ROLES,
        limits::MAX_AUDIENCES,
        limits::MAX_MATCHES,
        limits::MAX_MATCH_VALUES,
        limits::MAX_ONE_OF,
        limits::MAX_TEMPLATE_PARTS,
        limits::MAX_BRACKETS,
        limits::MAX_TOKENS,
        limits::MAX_TREE_DEPTH,
        limits::MAX_MACROS,
        limits::MAX_ATTRIBUTE_DEPTH,
    ] {
        assert!(PAGE.contains(&format!("| {limit} |")), "docs/rules.md has no limit {limit}");
    }
    for kib in [
        limits::MAX_MATCH_VALUE,
        limits::MAX_SOURCE,
        limits::MAX_RENDERED,
        limits::MAX_REGEX_SIZE,
        limits::MAX_ATTRIBUTE_BYTES,
    ] {
        assert!(PAGE.contains(&format!("| {} KiB |", kib / 1024)), "docs/rules.md has no limit {kib}");
    }
    let steps = [limits::MAX_EXPRESSION_STEPS, limits::MAX_TOTAL_STEPS, limits::MAX_ATTRIBUTE_VALUES as u64];
    for steps in steps {
        let digits = steps.to_string();
        let grouped = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect::<Vec<_>>();
        assert!(PAGE.contains(&format!("| {} |", grouped.join(","))), "docs/rules.md has no limit {steps}");
    }
}
