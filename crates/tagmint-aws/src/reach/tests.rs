//! Which prefixes the rules of a configuration lead to.

use serde_json::{Value, json};
use tagmint_core::{
    environment::Environment,
    rules::{RuleConfig, TrustedIssuers},
    trusted_issuer::TrustedIssuerName,
};

use super::*;
use crate::render::{self, BucketSettings, Mode, Names, RoleSettings};

const ROLE: &str = "arn:aws:iam::210987654321:role/data-test";

fn settings() -> Settings {
    let access = |tag: &str, mode: Mode| render::Access { tag: tag.to_owned(), mode };
    Settings {
        issuer: "https://broker.example.org".to_owned(),
        environment: Environment::Test,
        partition: "aws".to_owned(),
        account: "210987654321".to_owned(),
        region: "eu-central-1".to_owned(),
        source_identity: true,
        roles_claim: true,
        roles: vec![RoleSettings {
            name: "data-test".to_owned(),
            max_session_seconds: 3600,
            access: vec![access("wallet", Mode::Read), access("prefix", Mode::ReadWrite)],
        }],
        bucket: Some(BucketSettings {
            name: "mail-test".to_owned(),
            versioning: false,
            keep_old_versions_days: 90,
            abort_uploads_days: 7,
            expire: Vec::new(),
        }),
    }
}

fn rule(more: Value) -> RuleConfig {
    let mut rule = json!({"name": "rule", "from": "github", "subject": "ci:rule", "role": ROLE});
    rule.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    serde_json::from_value(rule).unwrap()
}

/// What the rules say of a prefix.
fn report(rules: &[RuleConfig], prefix: &str) -> Report {
    let kinds = BTreeMap::from([("github".to_owned(), IssuerKind::GITHUB), ("other".to_owned(), IssuerKind::OIDC)]);
    let issuers: TrustedIssuers =
        kinds.iter().map(|(name, kind)| (TrustedIssuerName::parse(name).unwrap(), *kind)).collect();
    let rules = RuleSet::compile(rules, &issuers).unwrap_or_else(|errors| panic!("{errors:?}"));
    let settings = settings();
    let set_up = SetUp::new(&settings, &rules, Names::Literal).unwrap_or_else(|problems| panic!("{problems:?}"));
    reach(Question { settings: &settings, set_up: &set_up, rules: &rules, kinds: &kinds, prefix }).unwrap()
}

/// The one way, in short: list, read, write, delete; whole; values.
fn way(rules: &[RuleConfig], prefix: &str) -> Option<([Access; 4], bool, Vec<String>)> {
    let mut ways = report(rules, prefix).reach;
    assert!(ways.len() <= 1, "{ways:#?}");
    ways.pop().map(|way| ([way.list, way.read, way.write, way.delete], way.whole, way.values))
}

const ALL: [Access; 4] = [Access::Yes; 4];
const READ: [Access; 4] = [Access::Yes, Access::Yes, Access::No, Access::No];
const MAY: [Access; 4] = [Access::May; 4];

fn pull_requests() -> RuleConfig {
    rule(json!({
        "match": {"repository_id": "456", "event_name": "pull_request"},
        "tags": {"prefix": "pr-${pull_request}/run-${run_id}"},
    }))
}

fn values(values: &[&str]) -> Vec<String> {
    values.iter().map(|value| (*value).to_owned()).collect()
}

#[test]
fn a_prefix_below_above_and_beside_the_values_of_a_tag() {
    let rules = [pull_requests()];
    for whole in ["pr-7/run-12/", "pr-7/run-12/deeper/", "pr-7/run-12/a b/c/"] {
        assert_eq!(way(&rules, whole), Some((ALL, true, values(&["pr-7/run-12"]))), "{whole}");
    }
    assert_eq!(way(&rules, "pr-7/"), Some((ALL, false, values(&["pr-7/run-${run_id}"]))));
    assert_eq!(way(&rules, ""), Some((ALL, false, values(&["pr-${pull_request}/run-${run_id}"]))));
    for beside in
        ["pr-7x/run-12/", "pr-07/run-12/", "pr-/run-12/", "pr-7/run-x/", "PR-7/run-12/", "pr/", "x/", "*/", "pr-7//"]
    {
        assert_eq!(way(&rules, beside), None, "{beside}");
    }
}

#[test]
fn whom_a_rule_takes_is_said_in_words() {
    let report = report(&[pull_requests()], "pr-7/run-12/");
    let way = &report.reach[0];
    assert_eq!(way.who, "github: event_name pull_request, repository_id 456");
    assert_eq!((way.role.as_str(), way.tag.as_str(), way.from.as_str()), ("data-test", "prefix", "github"));
    let claims: Vec<(&str, &str)> = way.claims.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(claims, [("pull_request", "7"), ("run_id", "12")]);
    assert!(report.no_reach.is_empty() && report.unknown.is_empty());
}

#[test]
fn a_match_decides_over_the_values() {
    let by_event = |prefix: &str| {
        let rule = rule(json!({
            "match": {"repository_id": "456", "event_name": ["push", "schedule"], "branch": "release/*"},
            "tags": {"prefix": "on-${event_name}"},
        }));
        way(&[rule], prefix)
    };
    assert_eq!(by_event("on-push/"), Some((ALL, true, values(&["on-push"]))));
    assert_eq!(by_event("on-schedule/x/"), Some((ALL, true, values(&["on-schedule"]))));
    assert_eq!(by_event("on-pull_request/"), None);
    // A glob is asked of the value that the prefix needs.
    let by_branch = |prefix: &str| {
        let rule = rule(
            json!({"match": {"repository_id": "456", "workflow_ref": "*-main"}, "tags": {"prefix": "${workflow_ref}"}}),
        );
        way(&[rule], prefix)
    };
    assert_eq!(by_branch("a-main/"), Some((ALL, true, values(&["a-main"]))));
    assert_eq!(by_branch("a-dev/"), None);
}

#[test]
fn a_condition_is_tried_where_it_reads_known_claims_only() {
    let wallet = |when: &str| {
        rule(json!({"from": "session", "when": when, "subject": "wallet:${sub}", "tags": {"wallet": "${sub}"}}))
    };
    let address = "0x7a6ed1c0ffee5eed00000000000000000000d00d";
    let by_address = wallet(r#"sub.matches("^0x[0-9a-f]{40}$")"#);
    assert_eq!(way(std::slice::from_ref(&by_address), &format!("{address}/")), Some((READ, true, values(&[address]))));
    assert_eq!(way(std::slice::from_ref(&by_address), "pr-7/run-12/"), None);
    let some = report(&[by_address], "").reach;
    assert_eq!((some[0].read, some[0].write, some[0].whole), (Access::May, Access::No, false));
    assert_eq!(some[0].uncertain, ["`when` decides"]);
    // What else it reads is not known.
    let by_level = wallet("has(claims.level) && level > 3");
    let may = report(&[by_level], "anybody/").reach;
    assert_eq!((may[0].read, may[0].whole), (Access::May, true));
}

#[test]
fn what_an_expression_or_a_request_decides_may_be() {
    let by_expression = rule(json!({
        "match": {"repository_id": "456", "branch": {"present": true}},
        "tags": {"prefix": "branch-${slug(branch)}/run-${run_id}"},
    }));
    let found = report(&[by_expression], "branch-main/run-3/").reach;
    assert_eq!((found[0].read, found[0].write, found[0].whole), (Access::May, Access::May, true));
    assert_eq!(found[0].values, ["branch-main/run-3"]);
    assert_eq!(found[0].uncertain, ["an expression decides the tag `prefix`"]);
    let by_request = rule(json!({
        "from": "bearer", "subject": "bearer:${sub}",
        "tags": {"prefix": {"matches": "value == sub", "default": "${sub}"}},
    }));
    assert_eq!(way(std::slice::from_ref(&by_request), "x/"), Some((MAY, true, values(&["x"]))));
    let one_of = rule(json!({
        "from": "bearer", "subject": "bearer:${sub}",
        "tags": {"prefix": {"one_of": ["a", "b/c"], "required": true}},
    }));
    assert_eq!(way(std::slice::from_ref(&one_of), "b/"), Some((ALL, false, values(&["b/c"]))));
    assert_eq!(way(std::slice::from_ref(&one_of), ""), Some((ALL, false, values(&["a", "b/c"]))));
    assert_eq!(way(std::slice::from_ref(&one_of), "c/"), None);
}

/// The rendered trust policy refuses values with more slashes than the rule writes, and AWS takes no `*` in a tag.
#[test]
fn the_rendered_policies_and_aws_have_their_say() {
    let any = rule(json!({"match": {"repository_id": "456"}, "tags": {"prefix": "${environment}"}}));
    assert_eq!(way(std::slice::from_ref(&any), "a/"), Some((ALL, true, values(&["a"]))));
    let nested = way(std::slice::from_ref(&any), "a/b/");
    assert_eq!(nested, Some((ALL, true, values(&["a"]))), "the value `a/b` has a slash of its own");
    assert_eq!(way(std::slice::from_ref(&any), "a*/"), None);
    assert_eq!(way(std::slice::from_ref(&any), "a..b/"), None);
    let too_long = "x".repeat(300);
    assert_eq!(way(&[any], &format!("{too_long}/")), None);
}

#[test]
fn rules_that_grant_nothing_and_roles_that_are_elsewhere_are_named() {
    let elsewhere = rule(json!({
        "name": "elsewhere", "from": "bearer", "role": "arn:aws:iam::210987654321:role/other-test",
        "tags": {"prefix": "pr-7/run-12"},
    }));
    let hub = rule(json!({
        "name": "hub", "from": "bearer", "subject": "bearer:x", "assume_then": "arn:aws:iam::310987654321:role/spoke-test",
        "tags": {"prefix": "hub"},
    }));
    let shadow = rule(json!({
        "name": "shadow", "from": "bearer", "subject": "bearer:x", "mode": "shadow", "tags": {"prefix": "pr-7/run-12"},
    }));
    let report = report(&[pull_requests(), elsewhere, hub, shadow], "pr-7/run-12/");
    assert_eq!(report.reach.iter().map(|way| way.rule.as_str()).collect::<Vec<_>>(), ["rule"]);
    assert_eq!(report.no_reach, ["elsewhere", "hub", "shadow"]);
    let unknown: Vec<(&str, Option<&str>)> =
        report.unknown.iter().map(|it| (it.rule.as_str(), it.role.as_deref())).collect();
    assert_eq!(
        unknown,
        [
            ("elsewhere", Some("arn:aws:iam::210987654321:role/other-test")),
            ("hub", Some("arn:aws:iam::310987654321:role/spoke-test")),
        ]
    );
}

#[test]
fn claims_inside_claims_and_of_no_known_kind_are_made_up() {
    let rule = rule(json!({
        "from": "other", "match": {"sub": "job", "groups": "ops", "/org/team": "data", "level": 3, "admin": false},
        "when": "level == 3 && !admin && groups == \"ops\"",
        "tags": {"prefix": "team-${sub}"},
    }));
    // `when` reads only what `match` leaves one value, and the sample has it.
    assert_eq!(way(std::slice::from_ref(&rule), "team-job/"), Some((ALL, true, values(&["team-job"]))));
    assert_eq!(way(&[rule], "team-x/"), None);
}

#[test]
fn without_a_bucket_there_is_nothing_to_reach() {
    let rules = RuleSet::compile(&[rule(json!({"from": "bearer"}))], &TrustedIssuers::none()).unwrap();
    let mut settings = settings();
    settings.bucket = None;
    settings.roles[0].access.clear();
    let set_up = SetUp::new(&settings, &rules, Names::Literal).unwrap();
    let kinds = BTreeMap::new();
    let question = Question { settings: &settings, set_up: &set_up, rules: &rules, kinds: &kinds, prefix: "" };
    assert_eq!(reach(question), Err(ReachError::NoBucket));
}

mod solving {
    use proptest::prelude::*;

    use super::*;
    use crate::reach::solve::{Bound, Part};

    fn outline(tag: &str) -> RuleOutline {
        let rule = rule(json!({"from": "bearer", "subject": "bearer:x", "tags": {"prefix": tag}}));
        RuleSet::compile(&[rule], &TrustedIssuers::none()).unwrap().outlines().next().unwrap()
    }

    /// A solution's value, with `1` for what is free.
    fn text(solution: &Solution) -> String {
        let part = |part: &Part| match part {
            Part::Text(text) | Part::Claim(_, Bound::Is(text)) | Part::Unknown(Bound::Is(text)) => text.clone(),
            Part::Claim(_, Bound::Begins(start)) | Part::Unknown(Bound::Begins(start)) => format!("{start}1"),
            Part::Claim(_, Bound::Free) | Part::Unknown(Bound::Free) => "1".to_owned(),
        };
        solution.parts.iter().map(part).collect()
    }

    #[test]
    fn a_claim_that_stands_twice_has_one_value() {
        let outline = outline("${a}-${a}");
        let TagValues::Shapes(shapes) = &outline.tags[0].values else { panic!() };
        let solver = |prefix| Solver { outline: &outline, kind: None, prefix };
        let whole = |prefix| {
            solver(prefix)
                .solve(shapes[0].pieces())
                .into_iter()
                .filter(|it| it.whole)
                .map(|it| text(&it))
                .collect::<Vec<_>>()
        };
        assert_eq!(whole("x-x/"), ["x-x"]);
        assert!(whole("x-y/").is_empty());
    }

    #[test]
    fn what_was_not_tried_may_be() {
        let rule = rule(json!({"from": "bearer", "subject": "bearer:x", "tags": {"prefix": "${a}${b}${c}${d}${e}"}}));
        let found = report(&[rule], &format!("{}/", "x".repeat(60))).reach;
        assert!(found[0].uncertain.is_empty() && found[0].whole, "what was tried leads there");
        let rule = super::rule(json!({
            "from": "bearer", "match": {"e": "y"}, "subject": "bearer:x", "tags": {"prefix": "${a}${b}${c}${d}${e}"},
        }));
        let found = report(&[rule], &format!("{}y/", "x".repeat(60))).reach;
        assert!(found.len() == 1, "{found:?}");
    }

    proptest! {
        /// Whatever the claims are: a value that leads to the prefix is found, and what is found leads there.
        #[test]
        fn solutions_are_right_and_complete(
            pieces in prop::collection::vec(prop_oneof![Just("${a}"), Just("${b}"), Just("x"), Just("/"), Just("-y")], 1..5),
            (a, b) in ("[xy/-]{0,3}", "[xy/-]{0,3}"),
            prefix in "([xy-]{1,3}/){0,3}",
        ) {
            let template = pieces.concat();
            let outline = outline(&template);
            let TagValues::Shapes(shapes) = &outline.tags[0].values else { panic!() };
            let solver = Solver { outline: &outline, kind: None, prefix: &prefix };
            let found = solver.solve(shapes[0].pieces());
            for solution in &found {
                let below = format!("{}/", text(solution));
                if solution.whole { prop_assert!(prefix.starts_with(&below)) } else { prop_assert!(below.starts_with(&prefix)) }
            }
            let value = format!("{}/", template.replace("${a}", &a).replace("${b}", &b));
            let meets = prefix.starts_with(&value) || value.starts_with(&prefix);
            prop_assert!(!meets || !found.is_empty(), "{template} {value} {prefix}");
        }
    }
}
