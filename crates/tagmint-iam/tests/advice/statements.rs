//! Trust policies with several statements: the advice is about the one that is meant for the token.

use serde_json::{Value, json};

use crate::{GITHUB, allow, arn, explain, explain_token, fix, github, orders, policy, token, warnings};

const MAIN: &str = "repo:acme/ops:ref:refs/heads/main";
const RELEASE: &str = "acme/ops/.github/workflows/release.yml@refs/heads/main";
const DEPLOY: &str = "acme/ops/.github/workflows/deploy.yml@refs/heads/main";

fn key(claim: &str) -> String {
    format!("{GITHUB}:{claim}")
}

fn with_sid(mut statement: Value, sid: &str) -> Value {
    statement["Sid"] = json!(sid);
    statement
}

/// A statement for some subjects, with what else it demands.
fn subjects(sid: &str, operator: &str, subjects: &Value, more: &Value) -> Value {
    let mut condition = json!({"StringEquals": {key("aud"): "sts.amazonaws.com"}});
    let equals = condition["StringEquals"].as_object_mut().unwrap();
    equals.extend(more.as_object().unwrap().clone());
    if operator == "StringEquals" {
        equals.insert(key("sub"), subjects.clone());
    } else {
        condition[operator] = json!({key("sub"): subjects});
    }
    with_sid(allow(GITHUB, &condition), sid)
}

/// The statement with a pin, which is meant for the repository, among others that are not. Each case: the others, and the claims.
#[test]
fn advice_is_about_the_statement_for_the_tokens_subject() {
    let pinned = |subject: Value| subjects("Meant", "StringLike", &subject, &json!({key("job_workflow_ref"): DEPLOY}));
    let others = json!(["repo:acme/data-platform:*", "repo:acme/vpn:*", "repo:acme/people:*"]);
    let plain = subjects("Others", "StringLike", &others, &json!({}));
    let gitlab =
        with_sid(allow("gitlab.com", &json!({"StringLike": {"gitlab.com:sub": "project_path:acme/ops:*"}})), "GitLab");
    let ec2 = json!({
        "Sid": "Machine", "Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole",
    });
    let tags = json!({
        "Sid": "Tags", "Effect": "Allow", "Principal": {"Federated": arn(GITHUB)}, "Action": "sts:TagSession",
    });
    let denial = json!({
        "Sid": "Never", "Effect": "Deny", "Principal": {"Federated": arn(GITHUB)}, "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": {"StringLike": {key("sub"): "repo:acme/*:pull_request"}},
    });
    let close = subjects("Close", "StringEquals", &json!("repo:acme/ops:ref:refs/heads/dev"), &json!({}));
    let broad = subjects("Broad", "StringLike", &json!("repo:acme/*"), &json!({"aws:RequestTag/team": "blue"}));
    let sets: [Vec<Value>; 5] = [
        vec![plain.clone(), pinned(json!(MAIN))],
        vec![plain.clone(), gitlab.clone(), ec2.clone(), pinned(json!("repo:acme/ops:*"))],
        vec![denial, tags, pinned(json!(MAIN))],
        vec![close, plain.clone(), pinned(json!(MAIN))],
        vec![broad, gitlab, pinned(json!(MAIN))],
    ];
    for set in sets {
        for order in orders(&set) {
            let claims = github(MAIN, &json!({"job_workflow_ref": RELEASE}));
            let explanation = explain(&claims, &policy(&order), &["sts.amazonaws.com"]);
            assert!(!explanation.accepted);
            let fix = fix(&explanation);
            assert!(fix.contains(RELEASE) && fix.contains(DEPLOY), "{order:#?}\n{fix}");
            let failed: Vec<_> = explanation.checks.iter().filter(|check| !check.passed).collect();
            assert!(failed[0].expected.contains("\"Meant\""), "{failed:?}");
            for check in &failed {
                let fix = check.fix.as_deref().unwrap();
                assert!(
                    !fix.contains(&format!("have {MAIN:?}")) && !fix.contains(&format!("add {MAIN:?}")),
                    "a pin is dropped: {fix}"
                );
            }
        }
    }
}

/// What tells statements apart where none has the subject itself.
#[test]
fn the_nearest_subject_is_taken() {
    let one = |sid: &str, subject: &str, audience: &str| {
        with_sid(allow(GITHUB, &json!({"StringEquals": {key("sub"): subject, key("aud"): audience}})), sid)
    };
    let sts = "sts.amazonaws.com";
    let cases = [
        // The same repository before another one of a like name.
        (
            MAIN,
            vec![
                one("Meant", "repo:acme/ops:environment:production", sts),
                one("Other", "repo:acme/opt:ref:refs/heads/main", sts),
            ],
        ),
        // Letters' case before another branch.
        (
            MAIN,
            vec![
                one("Meant", "repo:Acme/Ops:ref:refs/heads/main", sts),
                one("Other", "repo:acme/ops:ref:refs/heads/maint", sts),
            ],
        ),
        // The audience, between two branches.
        (
            MAIN,
            vec![
                one("Meant", "repo:acme/ops:ref:refs/heads/dev", sts),
                one("Other", "repo:acme/ops:ref:refs/heads/mail", "https://github.com/acme"),
            ],
        ),
        // The subject before the audience.
        (
            MAIN,
            vec![one("Meant", MAIN, "https://github.com/acme"), one("Other", "repo:acme/app:ref:refs/heads/main", sts)],
        ),
    ];
    for (subject, set) in cases {
        for order in orders(&set) {
            let explanation = explain(&github(subject, &json!({})), &policy(&order), &[sts]);
            let failed = explanation.checks.iter().find(|check| !check.passed).unwrap();
            assert!(failed.expected.contains("\"Meant\""), "{order:#?}\n{failed:?}");
        }
    }
}

/// A statement whose subjects are other projects' is not what an open statement lacks its condition for.
#[test]
fn other_providers_statements_do_not_speak_for_the_token() {
    let cases = [
        // A statement for several providers, with another one's subject.
        json!({
            "Sid": "Other", "Effect": "Allow", "Principal": {"Federated": [arn(GITHUB), arn("gitlab.com")]},
            "Action": "sts:AssumeRoleWithWebIdentity", "Condition": {"StringLike": {"gitlab.com:sub": "project_path:acme/*"}},
        }),
        json!({
            "Sid": "Other", "Effect": "Allow", "Principal": {"Federated": arn("gitlab.com")},
            "Action": "sts:AssumeRoleWithWebIdentity", "Condition": {"StringLike": {"gitlab.com:sub": "project_path:acme/*"}},
        }),
        json!({"Sid": "Other", "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:root"}, "Action": "sts:AssumeRole"}),
        json!({
            "Sid": "Other", "Effect": "Allow", "Principal": {"Federated": "arn:aws:iam::111122223333:saml-provider/okta"},
            "Action": "sts:AssumeRoleWithSAML", "Condition": {"StringEquals": {"SAML:aud": "https://signin.aws.amazon.com/saml"}},
        }),
    ];
    for other in cases {
        let meant = subjects("Meant", "StringEquals", &json!("repo:acme/ops:ref:refs/heads/dev"), &json!({}));
        for order in orders(&[other.clone(), meant]) {
            let explanation = explain(&github(MAIN, &json!({})), &policy(&order), &["sts.amazonaws.com"]);
            let failed = explanation.checks.iter().find(|check| !check.passed).unwrap();
            assert!(failed.expected.contains("\"Meant\""), "{other}\n{failed:?}");
        }
    }
    let alone = allow("gitlab.com", &json!({"StringLike": {"gitlab.com:sub": "project_path:acme/*"}}));
    let explanation = explain_token(&token(&github(MAIN, &json!({}))), &policy(&[alone]), &["sts.amazonaws.com"], None);
    assert!(!explanation.accepted && !fix(&explanation).contains("write arn:"), "{}", fix(&explanation));
}

/// The statement for the provider, though its principal or its action is wrong.
#[test]
fn a_statement_with_a_wrong_principal_or_action_is_found() {
    let condition = json!({"StringEquals": {key("sub"): MAIN, key("aud"): "sts.amazonaws.com"}});
    let other = subjects("Others", "StringLike", &json!("repo:acme/vpn:*"), &json!({}));
    let meant = |principal: Value, action: Value| json!({"Sid": "Meant", "Effect": "Allow", "Principal": principal, "Action": action, "Condition": condition});
    let assume = json!("sts:AssumeRoleWithWebIdentity");
    let cases = [
        (meant(json!({"AWS": arn(GITHUB)}), assume.clone()), "only \"Federated\" admits"),
        (meant(json!({"Federated": GITHUB}), assume.clone()), "named by its ARN"),
        (meant(json!({"Federated": format!("https://{GITHUB}")}), assume.clone()), "named by its ARN"),
        (meant(json!({"Service": GITHUB}), assume.clone()), "only \"Federated\" admits"),
        (meant(json!({"Federated": format!("{}/", arn(GITHUB))}), assume.clone()), "a slash at the end"),
        (
            meant(json!({"Federated": arn(GITHUB).replace("111122223333", "999900001111")}), assume.clone()),
            "another account's provider",
        ),
        (
            meant(json!({"Federated": arn(GITHUB).replace("111122223333", "11112222333")}), assume),
            "an account id has 12 digits",
        ),
        (
            meant(json!({"Federated": arn(GITHUB)}), json!("sts:AssumeRole")),
            "statement \"Meant\", names sts:AssumeRole",
        ),
        (
            meant(json!({"Federated": arn(GITHUB)}), json!(["sts:AssumeRoleWithSAML", "sts:TagSession"])),
            "names sts:AssumeRoleWithSAML",
        ),
    ];
    for (statement, expected) in cases {
        for order in orders(&[other.clone(), statement.clone()]) {
            let role = Some("arn:aws:iam::111122223333:role/deploy");
            let token = token(&github(MAIN, &json!({})));
            let explanation = explain_token(&token, &policy(&order), &["sts.amazonaws.com"], role);
            assert!(fix(&explanation).contains(expected), "{statement:#}\n{}", fix(&explanation));
        }
    }
    let mut but = subjects("Meant", "StringEquals", &json!(MAIN), &json!({}));
    let statement = but.as_object_mut().unwrap();
    statement.remove("Action");
    statement.insert("NotAction".to_owned(), json!("sts:AssumeRoleWithWebIdentity"));
    for order in orders(&[other, but]) {
        let explanation = explain(&github(MAIN, &json!({})), &policy(&order), &["sts.amazonaws.com"]);
        assert!(fix(&explanation).contains("statement \"Meant\" has NotAction"), "{}", fix(&explanation));
    }
}

/// Tags are allowed on conditions in a statement of their own: adding the action elsewhere would undo them.
#[test]
fn the_conditions_on_tags_stay() {
    let tags = json!({"https://aws.amazon.com/tags": {"principal_tags": {"team": ["blue"]}}});
    let assume = subjects("Assume", "StringEquals", &json!(MAIN), &json!({}));
    let mut red = subjects("Red", "StringLike", &json!("repo:acme/*"), &json!({"aws:RequestTag/team": "red"}));
    red["Action"] = json!("sts:TagSession");
    let mut others = subjects("Others", "StringLike", &json!("repo:acme/vpn:*"), &json!({}));
    others["Action"] = json!(["sts:AssumeRoleWithWebIdentity", "sts:TagSession"]);
    for order in orders(&[assume.clone(), red, others.clone()]) {
        let explanation = explain(&github(MAIN, &tags), &policy(&order), &["sts.amazonaws.com"]);
        let fix = fix(&explanation);
        assert!(fix.contains("aws:RequestTag/team") && fix.contains("red") && !fix.contains("add it beside"), "{fix}");
    }
    for order in orders(&[assume, others]) {
        let explanation = explain(&github(MAIN, &tags), &policy(&order), &["sts.amazonaws.com"]);
        assert!(fix(&explanation).ends_with("in `Action` of statement \"Assume\""), "{}", fix(&explanation));
    }
}

#[test]
fn a_denial_is_told_whole() {
    let allow = subjects("Allow", "StringEquals", &json!(MAIN), &json!({}));
    let deny = |sid: &str, condition: Value| json!({"Sid": sid, "Effect": "Deny", "Principal": {"Federated": arn(GITHUB)}, "Action": "sts:*", "Condition": condition});
    let branch = deny("Branch", json!({"StringNotEquals": {key("sub"): "repo:acme/ops:ref:refs/heads/release"}}));
    let actor = deny("Actor", json!({"StringEquals": {key("actor"): "dev", key("ref"): "refs/heads/main"}}));
    let claims = github(MAIN, &json!({"actor": "dev", "ref": "refs/heads/main"}));
    let explanation = explain(&claims, &policy(&[actor.clone(), allow.clone(), branch]), &["sts.amazonaws.com"]);
    let told = fix(&explanation);
    for part in [
        "\"Actor\" denies",
        "actor is dev",
        "ref is refs/heads/main",
        "so does statement \"Branch\"",
        "A denial wins over every Allow",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert!(!told.contains("No statement allows it"), "{told}");
    let other = subjects("Others", "StringLike", &json!("repo:acme/vpn:*"), &json!({}));
    let explanation = explain(&claims, &policy(&[other, actor]), &["sts.amazonaws.com"]);
    assert!(fix(&explanation).contains("No statement allows it"), "{}", fix(&explanation));
    let trap = deny("Tagged", json!({"StringNotEquals": {"aws:RequestTag/team": "blue"}}));
    let explanation = explain(&claims, &policy(&[allow.clone(), trap]), &["sts.amazonaws.com"]);
    let told = fix(&explanation);
    let (set, weaken) = (told.find("Have the issuer set it").unwrap(), told.find("only where").unwrap());
    assert!(set < weaken, "the denial is weakened first: {told}");
    let mut all_but = deny("AllBut", json!({}));
    let members = all_but.as_object_mut().unwrap();
    members.remove("Action");
    members.insert("NotAction".to_owned(), json!("sts:TagSession"));
    let explanation = explain(&claims, &policy(&[allow, all_but]), &["sts.amazonaws.com"]);
    assert!(fix(&explanation).contains("its NotAction does not list the action"), "{}", fix(&explanation));
}

/// Each failed check has its own fix, and the decision has all of them.
#[test]
fn every_failed_check_has_its_own_fix() {
    let statement = subjects("One", "StringLike", &json!(MAIN), &json!({key("repository_id"): "34"}));
    let claims =
        github("repo:acme/ops:ref:refs/heads/dev", &json!({"aud": "https://github.com/acme", "repository_id": "35"}));
    let explanation = explain(&claims, &policy(&[statement]), &["https://github.com/acme"]);
    let failed: Vec<_> = explanation.checks.iter().filter(|check| !check.passed).collect();
    let names: Vec<&str> = failed.iter().map(|check| check.check).collect();
    assert_eq!(names, ["trust-condition", "trust-condition", "trust-condition", "trust-assume-role"]);
    let fixes: Vec<&str> = failed.iter().map(|check| check.fix.as_deref().unwrap()).collect();
    for (check, fix) in failed.iter().zip(&fixes).take(3) {
        let value = check.actual.as_str();
        assert!(fix.contains(value), "the fix of {check:?} is another's");
        assert!(fixes[3].contains(fix), "the decision lacks a fix: {}", fixes[3]);
    }
}

/// Statements add up: what one demands of a subject counts for nothing where another admits the subject without it.
#[test]
fn a_pin_that_another_statement_undoes_is_warned_of() {
    let pinned = subjects("Pinned", "StringEquals", &json!(MAIN), &json!({key("job_workflow_ref"): DEPLOY}));
    let list = json!(["repo:acme/vpn:*", MAIN]);
    let wider = subjects("Wider", "StringLike", &list, &json!({}));
    let claims = github(MAIN, &json!({"job_workflow_ref": RELEASE}));
    for order in orders(&[pinned.clone(), wider]) {
        let explanation = explain(&claims, &policy(&order), &["sts.amazonaws.com"]);
        assert!(explanation.accepted && warnings(&explanation).contains(&"pin-undone"), "{explanation:?}");
        let text = &explanation.warnings.iter().find(|warning| warning.id == "pin-undone").unwrap().text;
        assert!(
            text.contains("\"Pinned\" demands") && text.contains(DEPLOY) && text.contains("\"Wider\" admits"),
            "{text}"
        );
    }
    // Alternatives, each with its own workflow, and statements for other audiences are no such thing.
    let alternative = subjects("Other", "StringEquals", &json!(MAIN), &json!({key("job_workflow_ref"): RELEASE}));
    let audience =
        with_sid(allow(GITHUB, &json!({"StringEquals": {key("sub"): MAIN, key("aud"): "else"}})), "Audience");
    for order in orders(&[pinned, alternative, audience]) {
        let explanation = explain(&claims, &policy(&order), &["sts.amazonaws.com"]);
        assert!(explanation.accepted && !warnings(&explanation).contains(&"pin-undone"), "{explanation:?}");
    }
}
