//! What keeps the parts of a value, and those that share a rule, apart.

use super::{providers, warned};
use crate::rules::{RuleSet, tests::parse};

/// Compares the warnings about rules with these conditions and lines, with `@.` for `identity.attributes.`.
fn check(source: &str, when: &str, cases: &[(&str, &[&str])]) {
    for (line, expected) in cases {
        let lines = format!("source = ['{source}']\nwhen = '''{when}'''\n{line}").replace("@.", "identity.attributes.");
        assert_eq!(warned(&lines), *expected, "{line}");
    }
}

const ONE: &str = "@.repository_id == \"1\" && @.event_name == \"push\"";
const OWNER: &str = "@.repository_owner_id == \"1\" && @.event_name == \"push\"";

#[test]
fn a_shared_rule_needs_the_id_in_every_prefix() {
    let shared: &[&str] = &["when owner-without-repository"];
    let open: &[&str] = &["tags.prefix.matches open-prefix", "when owner-without-repository"];
    check(
        "github-actions",
        OWNER,
        &[
            ("tags.prefix = 'ci/${@.repository_id}'", &[]),
            ("tags.repo = '${@.repository_id}'", &[]),
            ("tags.prefix = 'ci/${slug(@.branch)}'\ntags.repo = '${@.repository_id}'", shared),
            ("tags.prefix = 'ci'\ntags.repo = '${@.repository_id}'", shared),
            ("transitive = ['team']\ntags.team = 'a'\ntags.repo = '${@.repository_id}'", shared),
            ("tags.prefix = '${@.repository_id}'\ntags.home = 'x'", shared),
            ("tags.prefix = '${@.repository_id}'\ntags.home = 'x/${@.repository_id}'", &[]),
            ("tags.prefix = '${@.repository_id == \"1\" ? \"a\" : \"b\"}'", shared),
            ("tags.prefix = '${@.repository_id}${@.run_id}'", shared),
            ("tags.prefix = 'ci/1${@.repository_id}'", shared),
            ("tags.prefix = 'ci/${@.repository_id.substring(0, 1)}'", shared),
            ("tags.prefix = { one_of = ['${@.repository_id}/a', '${@.repository_id}/b'] }", &[]),
            ("tags.prefix = { one_of = ['${@.repository_id}/a', 'b'] }", shared),
            ("tags.prefix = { matches = 'value.startsWith(@.repository_id + \"/\")' }", &[]),
            ("tags.prefix = { matches = 'value.startsWith(@.repository_owner_id + \"/\")' }", shared),
            ("tags.prefix = { matches = 'value.startsWith(@.run_id + \"/\")' }", open),
            ("tags.prefix = { matches = 'value.startsWith(@.repository_id)' }", open),
            (
                "tags.prefix = { matches = 'value.matches(\"^ci/[a-z0-9]+$\")', default = 'ci/${@.repository_id}' }",
                open,
            ),
            ("tags.prefix = { open = true }", &["tags.prefix open-prefix", "when owner-without-repository"]),
        ],
    );
    check("github-actions", ONE, &[("tags.prefix = { matches = 'value.startsWith(@.run_id + \"/\")' }", &[])]);
    check(
        "gitlab",
        "@.namespace_id == \"1\"",
        &[
            ("tags.prefix = 'ci/${@.project_id}'", &[]),
            ("tags.prefix = 'ci/${slug(@.ref)}'\ntags.project = '${@.project_id}'", shared),
        ],
    );
}

#[test]
fn parts_need_something_between_them() {
    let shapeable: &[&str] = &["tags.prefix shapeable-value"];
    for (value, apart) in [
        ("github/${@.repository_id}/${slug(@.branch)}", true),
        ("branch-${slug(@.branch)}/run-${@.run_id}", true),
        ("ci/branch-${slug(@.branch)}/run-${@.run_id}", true),
        ("${\"ci/\" + slug(@.branch) + \"/\" + segment(@.actor)}", true),
        ("run-${@.run_id}-${@.run_attempt}", true),
        ("${@.repository_id}:${slug(@.branch)}", true),
        ("${@.repository_id}-${pull_request_number(@.ref)}", true),
        ("ci/${slug(\"x-\" + @.branch)}", true),
        ("ci/${slug(@.repository_id + \"/\" + @.branch)}", true),
        ("ci/${has(@.tag) ? segment(@.tag) : slug(@.branch)}/x", true),
        ("github/${@.repository_id}${slug(@.branch)}", false),
        ("g/${slug(@.branch)}${@.repository_id}", false),
        ("g/${slug(@.workflow)}-${slug(@.branch)}", false),
        ("g/${segment(@.branch)}-${@.repository_id}", false),
        ("g/${@.repository_id}:${segment(@.branch)}", false),
        ("g/${slug(@.branch)}-x", false),
        ("g/${@.repository_id}-${slug(@.branch)}", false),
        ("g/${\"x\" + @.repository_id + slug(@.branch)}", false),
        ("g/${@.repository_id}${\"-\" + slug(@.branch)}", false),
        ("g/${@.repository_id}${has(@.tag) ? segment(@.tag) : \"x\"}", false),
        ("g/${slug(@.workflow + \"-\" + @.branch)}", false),
        ("${@.repository_id}${pull_request_number(@.ref)}", false),
    ] {
        check("github-actions", ONE, &[(&format!("tags.prefix = '{value}'"), if apart { &[] } else { shapeable })]);
    }
    check(
        "github-actions",
        ONE,
        &[("subject = 'x:${@.repository_id}-${slug(@.branch)}'", &["subject shapeable-value"])],
    );
    // A pattern leaves more than one text.
    let digits = format!("{ONE} && @.branch.matches(\"^[0-9]+$\")");
    for (value, apart) in [
        ("ci/${@.branch}", true),
        ("ci/${@.repository_id}:${@.branch}", true),
        ("ci/${@.repository_id}${@.branch}", false),
        ("ci/${@.repository_id}${slug(@.branch)}", false),
    ] {
        check("github-actions", &digits, &[(&format!("tags.prefix = '{value}'"), if apart { &[] } else { shapeable })]);
    }
    // What the condition settles cannot shape anything.
    let main = format!("{ONE} && @.branch == \"main\"");
    check("github-actions", &main, &[("tags.prefix = '${@.repository_id}-${slug(@.branch)}'", &[])]);
}

#[test]
fn audiences_are_looked_at_too() {
    check(
        "github-actions",
        ONE,
        &[
            ("audiences = ['a', 'https://${@.branch}.example']", &["audiences[1] shapeable-value"]),
            ("audiences = ['${identity.subject}']", &["audiences[0] shapeable-value"]),
            ("audiences = ['https://${slug(@.branch)}.example', 'https://${@.repository_id}.example']", &[]),
        ],
    );
}

#[test]
fn another_issuers_attributes_are_anybodys_until_bound() {
    check(
        "oidc",
        "identity.subject == \"builder\" && @.pipeline == \"deploy\"",
        &[
            ("tags.prefix = 'ci/${@.pipeline}'", &[]),
            ("tags.who = '${identity.subject}'", &[]),
            ("tags.prefix = 'ci/${slug(@.branch)}'", &[]),
            ("tags.prefix = { matches = 'value.matches(\"^ci/[a-z]+$\")' }", &[]),
            ("tags.prefix = 'ci/${@.branch}'", &["tags.prefix shapeable-value"]),
            ("tags.prefix = 'ci/${slug(@.branch)}-${slug(@.pipeline)}'", &["tags.prefix shapeable-value"]),
            ("subject = 'job:${@.branch}'", &["subject shapeable-value"]),
            ("roles = ['arn:aws:iam::123456789012:role/${@.branch}']", &["roles[0] shapeable-value"]),
        ],
    );
    check(
        "oidc",
        "@.branch == \"main\"",
        &[
            ("subject = 'job:${identity.subject}'", &[]),
            ("tags.who = '${identity.subject}'", &["tags.who shapeable-value"]),
            // `tag` is another claim here, and not the same ref.
            ("tags.prefix = '${@.tag}'", &["tags.prefix shapeable-value"]),
            ("tags.prefix = { matches = 'value.matches(\"^ci/[a-z]+$\")' }", &["tags.prefix.matches open-prefix"]),
        ],
    );
}

#[test]
fn the_pages_rules_for_ci_jobs_have_no_warnings() {
    let pages = [
        include_str!("../../../../../../docs/rules.md"),
        include_str!("../../../../../../docs/github.md"),
        include_str!("../../../../../../docs/gitlab.md"),
    ];
    let mut seen = 0;
    for block in pages.iter().flat_map(|page| page.split("```toml\n").skip(1)) {
        let block = block.split("```").next().unwrap_or_default();
        let Some(at) =
            block.find("[[rule]]").filter(|_| block.contains("identity.attributes.") && names_platform(block))
        else {
            continue;
        };
        let set = RuleSet::compile(&parse(&block[at..]), &providers()).unwrap_or_else(|errors| panic!("{errors:#?}"));
        assert_eq!(set.warnings(), [], "{block}");
        seen += 1;
    }
    assert_eq!(seen, 3);
}

fn names_platform(block: &str) -> bool {
    ["[\"github-actions\"]", "[\"github\"]", "[\"gitlab\"]"].iter().any(|name| block.contains(name))
}
