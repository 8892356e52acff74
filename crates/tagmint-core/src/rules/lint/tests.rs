mod parts;
mod soundness;

use crate::{
    rules::{
        RuleError, RuleSet, TrustedIssuers, WarningId,
        tests::{parse, rule_text},
    },
    trusted_issuer::{IssuerKind, TrustedIssuerName},
};

fn providers() -> TrustedIssuers {
    let named = |(name, kind)| (TrustedIssuerName::parse(name).unwrap(), kind);
    let kinds = [("github", IssuerKind::GithubActions), ("gitlab", IssuerKind::Gitlab), ("cluster", IssuerKind::Oidc)];
    kinds.into_iter().map(named).collect()
}

fn compiled(lines: &str) -> RuleSet {
    RuleSet::compile(&parse(&rule_text(lines)), &providers()).unwrap_or_else(|errors| panic!("{lines}: {errors:#?}"))
}

/// `FIELD ID` of each warning about a rule with these lines.
fn warned(lines: &str) -> Vec<String> {
    let set = compiled(lines);
    let mut all: Vec<String> =
        set.warnings().iter().map(|it| format!("{} {}", it.field.trim_start_matches("rule[0]."), it.id)).collect();
    all.sort();
    all.dedup();
    all
}

/// The conditions of a rule for `source`, with `a.` for `identity.attributes.`, and the ids of the warnings they get.
fn check(source: &str, cases: &[(&str, &[&str])]) {
    for (when, expected) in cases {
        let written = when.replace("a.", "identity.attributes.");
        let ids: Vec<String> = warned(&format!("source = ['{source}']\nwhen = '''{written}'''"))
            .iter()
            .map(|it| it.trim_start_matches("when ").to_owned())
            .collect();
        assert_eq!(ids, *expected, "{when}");
    }
}

/// Bound well, but for what is appended.
const GITHUB: &str = "a.repository_id == \"1\" && a.event_name == \"push\"";
const GITLAB: &str = "a.project_id == \"1\"";

#[test]
fn who_is_bound_on_github() {
    let push = |when: &str| format!("({when}) && a.event_name == \"push\"");
    let cases: &[(&str, &[&str])] = &[
        ("true", &["nothing-bound"]),
        ("a.repository_id == \"1\"", &[]),
        ("\"1\" == a.repository_id", &[]),
        ("a.repository_id in [\"1\", \"2\"]", &[]),
        ("a.repository_id in {\"1\": \"x\"}", &[]),
        ("a.repository_id.matches(\"^(1|2)$\")", &[]),
        ("identity.attributes[\"repository_id\"] == \"1\"", &[]),
        ("int(a.repository_id) == 1", &[]),
        ("has(a.repository_id) && a.repository_id == \"1\"", &[]),
        ("(has(a.repository_id) ? a.repository_id : \"\") == \"1\"", &[]),
        ("has(a.repository_id) ? a.repository_id == \"1\" : false", &[]),
        ("[\"1\", \"2\"].exists(id, a.repository_id == id)", &[]),
        ("!(a.repository_id != \"1\")", &[]),
        ("(a.repository_id == \"1\") == true", &[]),
        ("!(a.repository_id == \"1\")", &["nothing-bound"]),
        ("a.repository_id != \"1\"", &["nothing-bound"]),
        ("has(a.repository_id)", &["nothing-bound"]),
        ("a.repository_id.matches(\"^[0-9]+$\")", &["nothing-bound"]),
        ("a.repository_id == a.repository_owner_id", &["nothing-bound"]),
        ("a.repository_id == \"1\" || a.actor_id == \"2\"", &["nothing-bound"]),
        ("a.repository_id == \"1\" ? true : a.ref == \"refs/heads/x\"", &["nothing-bound"]),
        ("a.repository_id == \"1\" || a.repository_id == \"2\"", &[]),
        ("a.branch == \"main\" && a.environment == \"production\"", &["nothing-bound"]),
        ("a.repository == \"o/r\"", &["name-without-id"]),
        ("a.repository == \"o/r\" && a.repository_id == \"1\"", &[]),
        ("a.repository == \"o/r\" || a.repository_id == \"1\"", &["name-without-id"]),
        ("(a.repository == \"o/r\" || a.ref == \"x\") && a.repository_id == \"1\"", &[]),
        ("a.repository == \"o/r\" && a.repository_owner_id == \"1\"", &["name-without-id"]),
        ("a.repository.lowerAscii() == \"o/r\"", &["name-without-id"]),
        ("a.repository.split(\"/\")[0] == \"o\"", &["name-without-id"]),
        ("a.workflow_ref.startsWith(\"o/r/.github/workflows/x.yml@\")", &["name-without-id"]),
        ("a.repository_owner == \"o\"", &["name-without-id", "owner-without-repository"]),
        ("a.repository.startsWith(\"o/\")", &["name-without-id", "owner-without-repository"]),
        ("a.repository.matches(\"^o/.*$\")", &["name-without-id", "owner-without-repository"]),
        ("a.repository_owner_id == \"1\"", &["owner-without-repository"]),
        ("a.repository_owner_id == \"1\" && a.repository_owner == \"o\"", &["owner-without-repository"]),
        ("a.repository_owner_id == \"1\" && a.repository_id == \"2\"", &[]),
        ("a.enterprise == \"e\"", &["name-without-id", "owner-without-repository"]),
        ("a.enterprise_id == \"1\"", &["owner-without-repository"]),
        ("a.job_workflow_ref == \"o/r/.github/workflows/d.yml@refs/heads/main\"", &["workflow-without-repository"]),
        ("a.job_workflow_ref == \"w\" && a.repository_owner_id == \"1\"", &["workflow-without-repository"]),
        ("a.job_workflow_ref == \"w\" && a.repository_id == \"1\"", &[]),
        ("a.repository_id == \"1\" && a.actor == \"octocat\"", &["name-without-id"]),
        ("a.repository_id == \"1\" && a.actor == \"octocat\" && a.actor_id == \"1\"", &[]),
        ("a.repository_id == \"1\" && a.actor != \"dependabot[bot]\"", &[]),
        ("identity.subject == \"repo:o/r:ref:refs/heads/main\"", &["name-without-id"]),
        ("identity.subject.startsWith(\"repo:o/\")", &["name-without-id", "owner-without-repository"]),
        ("identity.subject == \"repo:o@1/r@2:ref:refs/heads/main\"", &[]),
        ("identity.subject.startsWith(\"repo:o@1/r@2:\")", &[]),
        ("identity.subject.startsWith(\"repo:o@1/\")", &["owner-without-repository"]),
        ("identity.subject.startsWith(\"repo:o@1/r@2\")", &["loose-text", "name-without-id"]),
        ("identity.subject.startsWith(\"repository_id:2:\")", &[]),
        ("identity.subject == \"repository_id:2\"", &[]),
        ("identity.subject.matches(\"^repository_id:2$\")", &[]),
        ("identity.subject.matches(\"^repository_id:2:.*$\")", &[]),
        ("identity.subject.matches(\"^repository_id:2.*$\")", &["name-without-id"]),
        ("identity.subject.matches(\"^repository_id:2(:a|3)$\")", &["name-without-id"]),
        ("identity.subject.startsWith(\"repository_id:2\")", &["loose-text", "name-without-id"]),
        ("identity.subject.startsWith(\"repository_id:2x:\")", &["name-without-id"]),
        ("identity.subject.matches(\"^repository_owner_id:1.*$\")", &["name-without-id"]),
        ("identity.subject.matches(\"^repo:o@1/r@2:.*$\")", &[]),
        ("identity.subject.matches(\"^(repo:o@1/r@2:.*|repo:.*)$\")", &["name-without-id"]),
        ("identity.provider == \"github\"", &["nothing-bound"]),
    ];
    let cases: Vec<(String, &[&str])> = cases.iter().map(|(when, expected)| (push(when), *expected)).collect();
    let cases: Vec<(&str, &[&str])> = cases.iter().map(|(when, expected)| (when.as_str(), *expected)).collect();
    check("github-actions", &cases);
}

#[test]
fn who_is_bound_elsewhere() {
    check(
        "gitlab",
        &[
            ("true", &["nothing-bound"]),
            ("a.project_id == \"1\"", &[]),
            ("a.project_path == \"g/p\"", &["name-without-id"]),
            ("a.project_path == \"g/p\" && a.project_id == \"1\"", &[]),
            ("a.namespace_id == \"1\"", &["owner-without-repository"]),
            ("a.namespace_path == \"g\"", &["name-without-id", "owner-without-repository"]),
            ("a.project_path.startsWith(\"g/\")", &["name-without-id", "owner-without-repository"]),
            ("a.project_id == \"1\" && a.user_login == \"u\"", &["name-without-id"]),
            ("a.project_id == \"1\" && a.user_login == \"u\" && a.user_id == \"7\"", &[]),
            (
                "identity.subject == \"project_path:g/p:ref_type:branch:ref:main\"",
                &["name-without-id", "unprotected-ref"],
            ),
            ("a.project_id == \"1\" && a.branch == \"main\"", &["unprotected-ref"]),
            ("a.project_id == \"1\" && a.ref == \"main\" && !a.ref_protected", &["unprotected-ref"]),
            ("a.project_id == \"1\" && (a.ref == \"main\" || a.ref_protected)", &["unprotected-ref"]),
            ("a.project_id == \"1\" && a.branch == \"main\" && a.ref_protected", &[]),
            ("a.project_id == \"1\" && a.branch == \"main\" && a.ref_protected == true", &[]),
            ("a.project_id == \"1\" && a.ref_type == \"branch\"", &[]),
        ],
    );
    check(
        "oidc",
        &[
            ("true", &["nothing-bound"]),
            ("has(a.pod)", &["nothing-bound"]),
            ("identity.subject == \"system:serviceaccount:default:builder\"", &[]),
            ("a.pipeline_slug == \"deploy\"", &[]),
            ("identity.subject.contains(\"builder\")", &["loose-text"]),
            ("a.pipeline_slug.matches(\"deploy\")", &["loose-regex"]),
            ("a.pipeline_slug.endsWith(\"deploy\")", &["loose-text"]),
            ("a.workspace.startsWith(\"team\")", &["loose-text"]),
            ("a.workspace.startsWith(\"team/\")", &[]),
            ("a.pipeline_slug.matches(\"^deploy-[a-z]+$\")", &[]),
        ],
    );
}

#[test]
fn pull_request_target_needs_a_word() {
    let id = "a.repository_id == \"1\"";
    let with = |when: &str| format!("{id} && {when}");
    for when in [
        "a.branch == \"main\"",
        "a.ref == \"refs/heads/main\"",
        "a.environment == \"production\"",
        "a.ref_type == \"branch\"",
        "a.event_name.startsWith(\"pull_request\")",
        "a.event_name != \"pull_request\"",
        "(a.event_name == \"push\" || a.branch == \"main\")",
        "identity.subject == \"repo:o@1/r@1:ref:refs/heads/main\"",
    ] {
        check("github-actions", &[(&with(when), &["pull-request-target"])]);
    }
    for when in [
        "a.event_name == \"push\"",
        "a.event_name in [\"push\", \"pull_request_target\"]",
        "a.event_name != \"pull_request_target\"",
        "a.event_name.matches(\"^(push|schedule)$\")",
        "a.ref_type == \"tag\"",
        "has(a.tag)",
        "a.tag == \"v1\"",
        "a.pull_request > 0",
        "a.head_ref == \"\"",
        "a.ref.startsWith(\"refs/tags/\")",
        "a.ref == \"refs/pull/1/merge\"",
        "a.ref.matches(\"^refs/tags/v[0-9]+$\")",
    ] {
        check("github-actions", &[(&with(when), &[])]);
    }
}

#[test]
fn loose_comparisons() {
    let with = |when: &str| format!("{GITHUB} && {when}");
    for (when, id) in [
        ("a.branch.matches(\"main\")", "loose-regex"),
        ("a.branch.matches(\"^main\")", "loose-regex"),
        ("a.branch.matches(\"^main|dev$\")", "loose-regex"),
        ("matches(a.environment, \"prod$\")", "loose-regex"),
        ("a.branch.startsWith(\"release\")", "loose-text"),
        ("a.branch.startsWith(\"release/\")", "loose-text"),
        ("a.ref.contains(\"main\")", "loose-text"),
        ("a.repository.endsWith(\"/app\")", "loose-text"),
        ("a.repository.startsWith(\"octo-org\")", "loose-text"),
        ("a.environment.startsWith(\"prod\")", "loose-text"),
    ] {
        check("github-actions", &[(&with(when), &[id])]);
    }
    for when in [
        "a.branch.matches(\"^release/[0-9.]+$\")",
        "a.branch.startsWith(\"release/\") && a.ref_protected",
        "a.ref.startsWith(\"refs/heads/\")",
        "a.repository.startsWith(\"octo-org/\")",
        "a.job_workflow_ref.startsWith(\"o/r/.github/workflows/d.yml@\")",
        "a.workflow.matches(\"^deploy$\")",
        "!a.branch.contains(\"wip\")",
        "a.runner_environment.contains(\"hosted\")",
    ] {
        check("github-actions", &[(&with(when), &[])]);
    }
}

/// Tags and other fields of a rule that is bound well, and what they are warned about.
#[test]
fn what_strangers_shape() {
    let github = GITHUB.replace("a.", "identity.attributes.");
    let owner = "identity.attributes.repository_owner_id == \"1\" && identity.attributes.event_name == \"push\"";
    let a = |text: &str| text.replace("@.", "identity.attributes.");
    for (when, line, expected) in [
        ("", "tags.prefix = 'ci/${@.branch}'", "tags.prefix shapeable-value"),
        ("", "tags.prefix = 'ci/${@.branch.lowerAscii()}'", "tags.prefix shapeable-value"),
        ("", "tags.prefix = 'ci/${has(@.tag) ? @.tag : \"x\"}'", "tags.prefix shapeable-value"),
        ("", "tags.prefix = 'ci/${@.head_ref + \"-x\"}'", "tags.prefix shapeable-value"),
        ("", "tags.prefix = 'ci/${@.ref.split(\"/\")[2]}'", "tags.prefix shapeable-value"),
        ("", "tags.who = '${@.actor}'", "tags.who shapeable-value"),
        ("", "tags.who = '${identity.subject}'", "tags.who shapeable-value"),
        ("", "tags.env = { one_of = ['a', '${@.environment}'] }", "tags.env.one_of[1] shapeable-value"),
        ("", "tags.env = { open = true, default = '${@.environment}' }", "tags.env.default shapeable-value"),
        ("", "tags.x = { matches = 'value == @.branch' }", "tags.x.matches shapeable-value"),
        ("", "subject = 'branch:${@.branch}'", "subject shapeable-value"),
        ("", "roles = ['arn:aws:iam::123456789012:role/${@.branch}']", "roles[0] shapeable-value"),
        ("@.environment.matches(\"^prod.*$\")", "tags.e = '${@.environment}'", "tags.e shapeable-value"),
        ("", "tags.prefix = { open = true }", "tags.prefix open-prefix"),
        ("", "tags.home_folder = { open = true }", "tags.home_folder open-prefix"),
        ("", "transitive = ['team']\ntags.team = { open = true }", "tags.team open-prefix"),
        ("", "tags.prefix = { matches = 'value.matches(\"ci/[a-z]+\")' }", "tags.prefix.matches open-prefix"),
        ("", "tags.prefix = { matches = 'value.startsWith(\"ci\")' }", "tags.prefix.matches open-prefix"),
        ("", "tags.prefix = { matches = 'value != \"x\"' }", "tags.prefix.matches open-prefix"),
        ("", "tags.prefix = { matches = 'value == value' }", "tags.prefix.matches open-prefix"),
        ("", "tags.prefix = { matches = 'value == \"a\" || value.size() < 9' }", "tags.prefix.matches open-prefix"),
        ("", "tags.prefix = { matches = 'value.startsWith(@.repository_id)' }", "tags.prefix.matches open-prefix"),
    ] {
        let when = if when.is_empty() { github.clone() } else { format!("{github} && {}", a(when)) };
        let lines = format!("source = ['github-actions']\nwhen = '''{when}'''\n{}", a(line));
        assert_eq!(warned(&lines), [expected], "{line}");
    }
    for (when, line) in [
        ("", "tags.prefix = 'ci/${slug(@.branch)}'"),
        ("", "tags.prefix = 'ci/${segment(@.actor)}'"),
        ("", "tags.prefix = 'ci/${slug(@.ref.split(\"/\")[2])}'"),
        ("", "tags.prefix = 'ci/${@.repository_id}/${@.run_id}/${@.sha}'"),
        ("", "tags.prefix = 'pr-${pull_request_number(@.ref)}'"),
        ("", "tags.prefix = 'pr-${@.pull_request}'"),
        ("", "tags.prefix = 'ci/${@.branch == \"main\" ? \"main\" : \"other\"}'"),
        ("@.branch == \"main\"", "tags.prefix = 'ci/${@.branch}'"),
        ("@.ref == \"refs/heads/main\"", "tags.prefix = 'ci/${@.branch}'"),
        ("@.branch.matches(\"^v[0-9]+$\")", "tags.prefix = 'ci/${@.branch}'"),
        ("", "tags.prefix = '${{\"1\": \"app\"}[@.repository_id]}'"),
        ("", "tags.prefix = '${@.repository}'"),
        ("", "subject = 'github:${identity.subject}'"),
        ("", "tags.note = { open = true }"),
        ("", "tags.prefix = { matches = 'value.matches(\"^ci/[a-z]+$\")' }"),
        ("", "tags.prefix = { matches = 'value in [\"a\", \"b\"]' }"),
        ("", "tags.prefix = { matches = 'value.startsWith(\"ci/\")' }"),
        ("", "tags.prefix = { matches = 'value == @.repository_id || value.startsWith(@.repository_id + \"/\")' }"),
    ] {
        let when = if when.is_empty() { github.clone() } else { format!("{github} && {}", a(when)) };
        let lines = format!("source = ['github-actions']\nwhen = '''{when}'''\n{}", a(line));
        assert_eq!(warned(&lines), Vec::<String>::new(), "{line}");
    }
    // A whole owner may share a rule whose tag keeps its repositories apart, by id and not by name.
    for (line, expected) in [
        ("tags.prefix = 'ci/${@.repository_id}'", vec![]),
        ("tags.prefix = 'ci/${@.repository}'", vec!["tags.prefix name-without-id", "when owner-without-repository"]),
        (
            "tags.prefix = { matches = 'value.matches(\"^ci/.*$\")' }",
            vec!["tags.prefix.matches open-prefix", "when owner-without-repository"],
        ),
        (
            "tags.prefix = { matches = 'value.matches(\"^ci/[a-z]*$\")' }",
            vec!["tags.prefix.matches open-prefix", "when owner-without-repository"],
        ),
        ("tags.prefix = { matches = 'value.matches(\"^ci/(a|b)$\")' }", vec!["when owner-without-repository"]),
        (
            "tags.prefix = { matches = 'value.startsWith(\"ci/\")' }",
            vec!["tags.prefix.matches open-prefix", "when owner-without-repository"],
        ),
    ] {
        let lines = format!("source = ['github-actions']\nwhen = '''{owner}'''\n{}", a(line));
        assert_eq!(warned(&lines), expected, "{line}");
    }
}

#[test]
fn only_platforms_that_a_rule_takes_are_looked_at() {
    let none: [&str; 0] = [];
    for lines in [
        "source = ['session', 'bearer']\ntags.prefix = { open = true }",
        "when = 'identity.source == \"session\"'",
        "when = 'identity.attributes.chain == \"litentry\" && identity.source != \"oidc\"'",
        "provider = ['cluster']\nwhen = 'identity.subject == \"builder\"'",
        "when = 'identity.provider == \"cluster\" && identity.subject == \"builder\"'",
        "source = ['oidc', 'bearer']\nwhen = 'identity.source == \"bearer\" || identity.subject == \"x\"'",
    ] {
        assert_eq!(warned(lines), none, "{lines}");
    }
    // A rule that takes anybody takes the jobs of every provider, where there is one.
    assert_eq!(warned("when = 'true'"), ["when nothing-bound", "when pull-request-target"]);
    assert_eq!(compiled("when = 'true'").warnings().len(), 4);
    assert_eq!(warned("provider = ['gitlab']"), ["when nothing-bound"]);
    let alone = RuleSet::compile(&parse(&rule_text("when = 'true'")), &TrustedIssuers::none()).unwrap();
    assert!(alone.warnings().is_empty());
}

#[test]
fn a_condition_with_too_many_alternatives_is_said_to_be_unchecked() {
    let pair = "(identity.attributes.a == '1' || identity.attributes.b == '1')";
    let when = [pair; 9].join(" && ").replace("'1'", "\"1\"");
    let distinct = (0..9).fold(String::new(), |all, n| {
        let and = if n == 0 { "" } else { " && " };
        format!("{all}{and}(identity.attributes.a{n} == \"1\" || identity.attributes.b{n} == \"1\")")
    });
    assert_eq!(warned(&format!("source = ['oidc']\nwhen = '{distinct}'")), ["when unchecked-condition"]);
    assert_eq!(warned(&format!("source = ['github-actions']\nwhen = '{when}'")), ["when unchecked-condition"]);
}

#[test]
fn a_warning_says_what_to_write() {
    let set = compiled(
        "source = ['github-actions']\nwhen = 'identity.attributes.repository == \"o/r\" || identity.attributes.repository_id == \"1\"'",
    );
    let shown: Vec<String> = set.warnings().iter().map(ToString::to_string).collect();
    assert_eq!(
        shown,
        [
            "rule[0].when (rule `r`): one of the alternatives: `identity.attributes.repository` binds the repository by its name, \
             and a name can become somebody else's (rename, transfer, a deleted account); bind the id: \
             `identity.attributes.repository_id == \"…\"` [name-without-id]",
            "rule[0].when (rule `r`): one of the alternatives: `pull_request_target` passes too: it has the base's branch and \
             environments, while a stranger's pull request starts it; bind the events, for example \
             `identity.attributes.event_name in [\"push\", \"workflow_dispatch\"]` [pull-request-target]",
        ]
    );
    let errors: Vec<RuleError> = set.warnings().iter().map(RuleError::from).collect();
    assert_eq!(errors[0].to_string(), shown[0]);
}

#[test]
fn ids_are_stable_names() {
    for id in WarningId::ALL {
        assert_eq!(serde_json::to_value(id).unwrap(), id.as_str());
        assert_eq!(WarningId::ALL.iter().filter(|other| other.as_str() == id.as_str()).count(), 1);
    }
}

#[test]
fn gitlab_tags_are_looked_at_too() {
    let when = GITLAB.replace("a.", "identity.attributes.");
    for (line, expected) in [
        ("tags.prefix = '${identity.attributes.ref}'", vec!["tags.prefix shapeable-value"]),
        ("tags.prefix = '${identity.attributes.user_login}'", vec!["tags.prefix shapeable-value"]),
        ("tags.prefix = 'mr-${slug(identity.attributes.ref)}'", vec![]),
        ("tags.prefix = '${identity.attributes.project_path}'", vec![]),
    ] {
        let lines = format!("source = ['gitlab']\nwhen = '''{when}'''\n{line}");
        assert_eq!(warned(&lines), expected, "{line}");
    }
}
