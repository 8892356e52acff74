use crate::{
    rules::{
        RuleError, RuleSet, TrustedIssuers, WarningId,
        tests::{parse, rule_text},
    },
    trusted_issuer::{IssuerKind, TrustedIssuerName},
};

fn issuers() -> TrustedIssuers {
    let named = |kind: IssuerKind| (TrustedIssuerName::parse(kind.as_str()).unwrap(), kind);
    IssuerKind::ALL.into_iter().map(named).collect()
}

fn compiled(text: &str) -> RuleSet {
    RuleSet::compile(&parse(text), &issuers()).unwrap_or_else(|errors| panic!("{text}: {errors:#?}"))
}

/// `FIELD ID` of each warning about a rule with these lines.
fn warned(lines: &str) -> Vec<String> {
    let set = compiled(&rule_text(lines));
    let mut all: Vec<String> =
        set.warnings().iter().map(|it| format!("{} {}", it.field.trim_start_matches("rule[0]."), it.id)).collect();
    all.sort();
    all.dedup();
    all
}

/// The matches of a rule for `from`, and the ids of the warnings that they get.
fn check(from: &str, cases: &[(&str, &[&str])]) {
    for (matches, expected) in cases {
        let ids: Vec<String> = warned(&format!("from = '{from}'\nmatch = {{ {matches} }}"))
            .iter()
            .map(|it| it.trim_start_matches("match ").to_owned())
            .collect();
        assert_eq!(ids, *expected, "{from}: {matches}");
    }
}

#[test]
fn who_is_bound_on_github() {
    let cases: &[(&str, &[&str])] = &[
        ("", &["nothing-bound"]),
        ("repository_id = '1'", &[]),
        ("repository_id = ['1', '2']", &[]),
        ("repository_id = 1", &[]),
        ("repository_id = { present = true }", &["nothing-bound"]),
        ("branch = 'main', environment = 'production'", &["nothing-bound"]),
        ("actor_id = '2'", &["nothing-bound"]),
        ("repo_property_team = 'x'", &["nothing-bound"]),
        ("repository = 'o/r'", &["name-without-id"]),
        ("repository = { exact = 'o/r' }", &["name-without-id"]),
        ("repository = 'o/r', repository_id = '1'", &[]),
        ("repository = 'o/r', repository_owner_id = '1'", &["name-without-id"]),
        ("repository_owner = 'o'", &["name-without-id", "owner-without-repository"]),
        ("repository_owner_id = '1'", &["owner-without-repository"]),
        ("repository_owner_id = '1', repository_owner = 'o'", &["owner-without-repository"]),
        ("repository_owner_id = '1', repository_id = '2'", &[]),
        ("repository_id = '2', repository_owner = 'o'", &[]),
        ("enterprise = 'e'", &["name-without-id", "owner-without-repository"]),
        ("enterprise_id = '1'", &["owner-without-repository"]),
        ("job_workflow_ref = 'o/r/.github/workflows/d.yml@refs/heads/main'", &["workflow-without-repository"]),
        ("job_workflow_ref = 'o/r/.github/workflows/*@**'", &["workflow-without-repository"]),
        ("job_workflow_ref = '**'", &["nothing-bound"]),
        ("job_workflow_ref = 'w', repository_owner_id = '1'", &["workflow-without-repository"]),
        ("job_workflow_ref = 'w', repository_id = '1'", &[]),
        ("repository_id = '1', actor = 'octocat'", &["name-without-id"]),
        ("repository_id = '1', actor = 'octocat', actor_id = '1'", &[]),
        ("sub = 'repo:o/r:ref:refs/heads/main'", &["name-without-id"]),
        ("sub = 'repo:o@1/r@2:ref:refs/heads/main'", &[]),
        ("sub = ['repo:o@1/r@2:ref:refs/heads/main', 'repo:o/r:pull_request']", &["name-without-id"]),
        ("sub = 'repo:o@1/r@2x'", &["name-without-id"]),
        ("sub = 'repo:o/r:pull_request', repository_id = '1'", &[]),
    ];
    let pushed: Vec<(String, &[&str])> = cases
        .iter()
        .map(|(matches, expected)| {
            (format!("event_name = 'push', {matches}").trim_end_matches(", ").to_owned(), *expected)
        })
        .collect();
    let pushed: Vec<(&str, &[&str])> = pushed.iter().map(|(matches, expected)| (matches.as_str(), *expected)).collect();
    check("github", &pushed);
}

#[test]
fn who_is_bound_elsewhere() {
    check(
        "gitlab",
        &[
            ("", &["nothing-bound"]),
            ("project_id = '1'", &[]),
            ("project_path = 'g/p'", &["name-without-id"]),
            ("project_path = 'g/p', project_id = '1'", &[]),
            ("namespace_id = '1'", &["owner-without-repository"]),
            ("namespace_path = 'g'", &["name-without-id", "owner-without-repository"]),
            ("project_id = '1', user_login = 'u'", &["name-without-id"]),
            ("project_id = '1', user_login = 'u', user_id = '7'", &[]),
            ("sub = 'project_path:g/p:ref_type:branch:ref:main'", &["name-without-id", "unprotected-ref"]),
            ("project_id = '1', branch = 'main'", &["unprotected-ref"]),
            ("project_id = '1', ref = 'release/*'", &["unprotected-ref"]),
            ("project_id = '1', ref = 'main', ref_protected = false", &["unprotected-ref"]),
            ("project_id = '1', branch = 'main', ref_protected = true", &[]),
            ("project_id = '1', ref_type = 'branch'", &[]),
        ],
    );
    check(
        "oidc",
        &[
            ("", &["nothing-bound"]),
            ("pod = { present = true }", &["nothing-bound"]),
            ("sub = 'system:serviceaccount:default:builder'", &[]),
            ("team = 'deploy'", &[]),
            ("'/kubernetes.io/namespace' = 'default'", &[]),
        ],
    );
    check(
        "kubernetes",
        &[
            ("", &["nothing-bound"]),
            ("sub = 'system:serviceaccount:default:builder'", &[]),
            ("namespace = 'default', service_account = 'builder'", &[]),
            ("namespace = 'default'", &["owner-without-repository"]),
            ("service_account = 'builder'", &["nothing-bound"]),
        ],
    );
    let (id, other) = ("a0e2b1c4-0000-4000-8000-000000000001", "b0e2b1c4-0000-4000-8000-000000000002");
    check(
        "circleci",
        &[
            (&format!("sub = 'org/{id}/project/{other}/user/{id}'"), &[]),
            ("sub = 'org/a b/project/x y/user/z'", &["name-without-id"]),
        ],
    );
    check("bitbucket", &[(&format!("sub = '{{{id}}}:{{{other}}}'"), &[])]);
    check("jenkins", &[("", &["nothing-bound"]), ("job_path = 'team/deploy'", &[])]);
    check(
        "aws",
        &[("account_id = '111122223333'", &["owner-without-repository"]), ("role_name = 'ci'", &["nothing-bound"])],
    );
    // First parties are not looked at.
    check("session", &[("", &[])]);
    check("bearer", &[("", &[])]);
}

#[test]
fn pull_request_target_needs_a_word() {
    for matches in [
        "branch = 'main'",
        "ref = 'refs/heads/main'",
        "ref = '**'",
        "environment = 'production'",
        "ref_type = 'branch'",
        "event_name = { present = true }",
        "sub = 'repo:o@1/r@1:ref:refs/heads/main'",
    ] {
        check("github", &[(&format!("repository_id = '1', {matches}"), &["pull-request-target"])]);
    }
    for matches in [
        "event_name = 'push'",
        "event_name = ['push', 'pull_request_target']",
        "ref_type = 'tag'",
        "tag = { present = true }",
        "tag = 'v1'",
        "pull_request = 7",
        "head_ref = ''",
        "ref = 'refs/tags/v*'",
        "ref = 'refs/pull/1/merge'",
        "branch = { absent = true }",
    ] {
        check("github", &[(&format!("repository_id = '1', {matches}"), &[])]);
    }
}

/// Tags and other fields of a rule that is bound well, and what they are warned about.
#[test]
fn what_strangers_shape() {
    let github = "repository_id = '1', event_name = 'push'";
    let owner = "repository_owner_id = '1', event_name = 'push'";
    let of = |matches: &str, line: &str| warned(&format!("from = 'github'\nmatch = {{ {matches} }}\n{line}"));
    for (line, expected) in [
        ("tags.prefix = 'ci/${branch}'", "tags.prefix shapeable-value"),
        ("tags.prefix = 'ci/${branch.lowerAscii()}'", "tags.prefix shapeable-value"),
        ("tags.prefix = 'ci/${has(claims.tag) ? tag : \"x\"}'", "tags.prefix shapeable-value"),
        ("tags.prefix = 'ci/${claims[\"head_ref\"] + \"-x\"}'", "tags.prefix shapeable-value"),
        ("tags.prefix = 'ci/${ref.split(\"/\")[2]}'", "tags.prefix shapeable-value"),
        ("tags.prefix = 'ci/${claims.environment}'", "tags.prefix shapeable-value"),
        ("tags.prefix = '${slug(workflow)}-${slug(branch)}'", "tags.prefix shapeable-value"),
        ("tags.prefix = 'ci/${slug(branch)}-x'", "tags.prefix shapeable-value"),
        ("tags.prefix = 'ci/${repository_id}${slug(branch)}'", "tags.prefix shapeable-value"),
        ("tags.who = '${sub}'", "tags.who shapeable-value"),
        ("tags.who = '${repo_property_team}'", "tags.who shapeable-value"),
        ("tags.env = { one_of = ['a', '${environment}'] }", "tags.env.one_of[1] shapeable-value"),
        ("tags.env = { open = true, default = '${environment}' }", "tags.env.default shapeable-value"),
        ("subject = 'branch:${branch}'", "subject shapeable-value"),
        ("roles = ['arn:aws:iam::123456789012:role/${branch}']", "roles[0] shapeable-value"),
        ("role = 'arn:aws:iam::123456789012:role/${branch}'", "role shapeable-value"),
        ("tags.prefix = { open = true }", "tags.prefix open-prefix"),
        ("tags.home_folder = { open = true }", "tags.home_folder open-prefix"),
        ("transitive = ['team']\ntags.team = { open = true }", "tags.team open-prefix"),
        ("tags.prefix = { matches = 'value.matches(\"ci/[a-z]+\")' }", "tags.prefix.matches open-prefix"),
        ("tags.prefix = { matches = 'value.startsWith(\"ci\")' }", "tags.prefix.matches open-prefix"),
        ("tags.prefix = { matches = 'value != \"x\"' }", "tags.prefix.matches open-prefix"),
        ("tags.prefix = { matches = 'value == value' }", "tags.prefix.matches open-prefix"),
        ("tags.prefix = { matches = 'value == \"a\" || value.size() < 9' }", "tags.prefix.matches open-prefix"),
    ] {
        assert_eq!(of(github, line), [expected], "{line}");
    }
    for (also, line) in [
        ("", "tags.prefix = 'ci/${slug(branch)}'"),
        ("", "tags.prefix = 'ci/${slug(branch)}/x'"),
        ("", "tags.prefix = 'branch-${slug(branch)}'"),
        ("", "tags.prefix = 'ci/${segment(environment)}'"),
        ("", "tags.prefix = 'ci/${slug(ref.split(\"/\")[2])}'"),
        ("", "tags.prefix = 'ci/${repository_id}/${run_id}/${sha}'"),
        ("", "tags.prefix = 'pr-${pull_request_number(ref)}'"),
        ("", "tags.prefix = 'pr-${pull_request}'"),
        ("", "tags.prefix = 'ci/${branch == \"main\" ? \"main\" : \"other\"}'"),
        (", branch = 'main'", "tags.prefix = 'ci/${branch}'"),
        (", branch = ['main', 'dev']", "tags.prefix = 'ci/${branch}'"),
        (", ref = 'refs/heads/main'", "tags.prefix = 'ci/${branch}'"),
        ("", "tags.prefix = '${{\"1\": \"app\"}[repository_id]}'"),
        ("", "tags.prefix = '${repository}'"),
        ("", "subject = 'github:${sub}'"),
        ("", "tags.note = { open = true }"),
        ("", "tags.prefix = { matches = 'value.matches(\"^ci/[a-z]+$\")' }"),
        ("", "tags.prefix = { matches = 'value in [\"a\", \"b\"]' }"),
        ("", "tags.prefix = { matches = 'value.startsWith(\"ci/\")' }"),
        ("", "tags.prefix = { matches = 'value == repository_id || value.startsWith(repository_id + \"/\")' }"),
    ] {
        assert_eq!(of(&format!("{github}{also}"), line), Vec::<String>::new(), "{line}");
    }
    // A whole owner may share a rule whose tag keeps its repositories apart, by id and not by name.
    for (line, expected) in [
        ("tags.prefix = 'ci/${repository_id}'", vec![]),
        ("tags.prefix = 'ci/1${repository_id}'", vec!["match owner-without-repository"]),
        ("tags.prefix = 'ci/${repository}'", vec!["match owner-without-repository", "tags.prefix name-without-id"]),
        (
            "tags.prefix = { matches = 'value.matches(\"^ci/.*$\")' }",
            vec!["match owner-without-repository", "tags.prefix.matches open-prefix"],
        ),
        ("tags.prefix = { matches = 'value in [\"ci/a\", \"ci/b\"]' }", vec!["match owner-without-repository"]),
    ] {
        assert_eq!(of(owner, line), expected, "{line}");
    }
    for (line, expected) in [
        ("tags.prefix = '${ref}'", vec!["tags.prefix shapeable-value"]),
        ("tags.prefix = 'mr-${slug(ref)}'", vec![]),
        ("tags.prefix = '${project_path}'", vec![]),
    ] {
        assert_eq!(warned(&format!("from = 'gitlab'\nmatch.project_id = '1'\n{line}")), expected, "{line}");
    }
}

#[test]
fn a_rule_that_an_earlier_one_leaves_nothing_is_found() {
    let two = |from: &str, first: &str, second: &str| {
        let rule = |name: &str, lines: &str| {
            format!("[[rule]]\nname = '{name}'\nfrom = '{from}'\nsubject = 'x:${{sub}}'\n{lines}\n")
        };
        let set = compiled(&format!("{}{}", rule("first", first), rule("second", second)));
        set.warnings().iter().map(|it| format!("{} {}", it.field, it.id)).collect::<Vec<_>>()
    };
    for (first, second) in [
        ("", ""),
        ("", "match.team = 'a'"),
        ("match.team = 'a'", "match = { team = 'a', chain = 'b' }"),
        ("match.team = ['a', 'b']", "match.team = 'b'"),
        ("match.team = { present = true }", "match.team = 'b'"),
        ("match.team = 'a'", "match.team = 'a'\nwhen = 'level > 1'"),
        ("match.team = 'a'", "match.team = 'a'\nmode = 'shadow'"),
    ] {
        assert_eq!(two("session", first, second), ["rule[1].match unreachable-rule"], "{first} / {second}");
        // A bearer may be bound to the second.
        assert_eq!(two("bearer", first, second), [""; 0]);
    }
    for (first, second) in [
        ("match.team = 'a'", ""),
        ("match.team = 'a'", "match.team = ['a', 'b']"),
        ("match = { team = 'a', chain = 'b' }", "match.team = 'a'"),
        ("match.team = { absent = true }", "match.team = 'a'"),
        ("when = 'level > 1'", "match.team = 'a'"),
        ("mode = 'shadow'", "match.team = 'a'"),
    ] {
        assert_eq!(two("session", first, second), [""; 0], "{first} / {second}");
    }
    let bound = "match = { repository_id = '1', event_name = 'push', ref = 'refs/heads/REF' }";
    let globs = |first: &str, second: &str| two("github", &bound.replace("REF", first), &bound.replace("REF", second));
    assert_eq!(globs("release/*", "release/1"), ["rule[1].match unreachable-rule"]);
    assert_eq!(globs("release/*", "release/a/b"), [""; 0]);
}

#[test]
fn a_warning_says_what_to_write() {
    let set = compiled(&rule_text("from = 'github'\nmatch.repository = 'o/r'\nwhen = 'true'"));
    let shown: Vec<String> = set.warnings().iter().map(ToString::to_string).collect();
    assert_eq!(
        shown,
        [
            "rule[0].match (rule `r`): `repository` is a name, and another owner can take the name later (after a rename, a transfer or \
             a deletion); add `repository_id = \"…\"` to `match` [name-without-id]",
            "rule[0].match (rule `r`): `pull_request_target` passes too: it has the base's branch and environments, while a stranger's \
             pull request starts it; match the events, for example `event_name = [\"push\", \"workflow_dispatch\"]` [pull-request-target]",
        ]
    );
    let errors: Vec<RuleError> = set.warnings().iter().map(RuleError::from).collect();
    assert_eq!(errors[0].to_string(), shown[0]);
    let set = compiled(&rule_text("from = 'oidc'\nwhen = 'team == \"a\"'"));
    assert!(set.warnings()[0].text.ends_with("(`when` is not analysed)"), "{:?}", set.warnings());
}

#[test]
fn ids_are_stable_names() {
    for id in WarningId::ALL {
        assert_eq!(serde_json::to_value(id).unwrap(), id.as_str());
        assert_eq!(WarningId::ALL.iter().filter(|other| other.as_str() == id.as_str()).count(), 1);
    }
}
