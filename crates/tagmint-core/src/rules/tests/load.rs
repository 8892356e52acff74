use super::*;
use crate::trusted_issuer::{IssuerKind, TrustedIssuerName};

/// The one error of a rule with these lines.
fn error_of(lines: &str) -> String {
    let errors = errors_of(lines);
    assert_eq!(errors.len(), 1, "{lines}: {errors:#?}");
    errors[0].clone()
}

fn when_error(when: &str) -> String {
    let when = toml::Value::String(when.to_owned());
    error_of(&format!("when = {when}"))
}

#[test]
fn expressions_over_a_cap_are_clean_errors() {
    let cases = [
        (vec!["1"; 5000].join("+"), "2048"),
        (vec!["1"; 800].join("+"), "about 200 operators"),
        (format!("{}1{}", "(".repeat(200), ")".repeat(200)), "brackets nest too deep; 16"),
        ("[".repeat(2000), "brackets nest too deep"),
        (format!("{} > 0", vec!["1"; 100].join("+")), "too deep; 24 levels"),
        (format!("x{}", ".a".repeat(150)), "too deep; 24 levels"),
        (format!("{}1", "true ? 1 : ".repeat(60)), "24 levels"),
        ("[1].all(x, [2].all(y, x < y))".into(), "may not nest"),
        ("[[1].map(y, y)].all(x, [2].exists(y, true))".into(), "may not nest"),
        (["[1].all(x, true)"; 5].join(" && "), "5 macros; 4 are allowed"),
        ("identity.attributes.a.all(x, x in identity.attributes.b)".into(), "steps"),
        (
            "identity.attributes.a.map(x, identity.subject + identity.subject).map(x, x + x + x).size() > 1".into(),
            "steps",
        ),
        ("identity.attributes.a.all(x, x.matches(\"a\") || x.matches(\"b\") || x.matches(\"c\") || x.matches(\"d\") || x.matches(\"e\") || x.matches(\"f\"))".into(), "steps"),
    ];
    for (when, expected) in cases {
        let message = when_error(&when);
        assert!(message.contains(expected), "{when}: {message}");
        assert!(message.starts_with("rule[0].when (rule `r`): "), "{message}");
        assert!(message.len() < 500, "{message}");
    }
}

#[test]
fn mistakes_in_expressions_are_found_at_load() {
    let cases = [
        ("", "empty"),
        ("identity.subject =", "not a CEL expression: line 1"),
        ("identity.subject = \"x\"", "not a CEL expression"),
        ("identity.subject == 'x", "not closed"),
        ("identity.sbuject == 'x'", "`identity.sbuject` does not exist"),
        ("has(identity.subject)", "always true"),
        ("has(identity)", "not a CEL expression"),
        ("size(identity) > 0", "used as a whole"),
        ("identity['subject'] == 'x'", "used as a whole"),
        ("subject == 'x'", "`subject` is not known here; allowed: `identity`"),
        (".identity.subject == 'x'", "not known"),
        ("value == 'x'", "`value` is not known"),
        ("int == int", "`int` is not known"),
        ("[1].all(x, y > 1)", "`y` is not known here; allowed: `identity`, `x`"),
        ("[1].all(x, true) && x", "`x` is not known"),
        ("[1].all(identity, true)", "already means something"),
        ("[1].all(value, true)", "already means something"),
        ("[1].all(1, true)", "must be a simple name"),
        ("now() > 1", "`now` is not a function with no argument here; there are `size`, "),
        ("timestamp('x') == 1", "`timestamp`"),
        ("identity.subject.size(1) == 1", "`size` is not a function with a target and 1 arguments"),
        ("contains('a', 'b')", "`contains` is not a function with 2 arguments"),
        ("'a'.replace('', 'b') == ''", "`replace`"),
        ("[1].map(1) == 1", "`map`"),
        ("optional.of(1).hasValue()", "`optional` is not known"),
        ("identity.?subject == 1", "unsupported syntax '.?'"),
        ("Thing{a: 1} == 1", "not part of the rule language"),
        ("b'x' == b'x'", "not part of the rule language"),
        ("identity.subject.matches(identity.attributes.pattern)", "checked now"),
        ("identity.subject.matches('a' + 'b')", "checked now"),
        ("identity.subject.matches('(')", "the regular expression `(` is not valid: unclosed group"),
        ("matches(identity.subject, '[')", "not valid"),
        ("identity.subject.matches('(a{500}){500}')", "too large compiled"),
        ("identity.subject.matches('(?=a)')", "not valid"),
    ];
    for (when, expected) in cases {
        let message = when_error(when);
        assert!(message.contains(expected), "{when}: {message}");
    }
}

#[test]
fn mistakes_in_fields_name_their_path() {
    let many = |count: usize, text: &str| vec![format!("'{text}'"); count].join(", ");
    let tags: Vec<String> = (0..51).map(|i| format!("t{i} = 'x'")).collect();
    let cases = [
        ("subject = 'short'".to_owned(), "rule[0].subject (rule `r`): sub has 5 characters"),
        ("subject = '${identity.subject'".into(), "rule[0].subject (rule `r`): `${` without its `}`"),
        ("subject = '${}'".into(), "in `${}`: the expression is empty"),
        ("subject = '${x.y}'".into(), "in `${x.y}`: `x` is not known"),
        (format!("subject = '{}'", "${identity.subject}".repeat(17)), "more than 16 `${…}`"),
        (format!("subject = '{}'", "x".repeat(2049)), "2049 bytes"),
        ("audiences = []".into(), "rule[0].audiences (rule `r`): empty"),
        ("audiences = ['']".into(), "rule[0].audiences[0] (rule `r`): aud has 0 characters"),
        (format!("audiences = [{}]", many(21, "a")), "21 entries; 20 are allowed"),
        ("roles = ['a']".into(), "rule[0].roles[0]"),
        (format!("roles = [{}]", many(51, ROLE)), "51 entries; 50 are allowed"),
        ("lifetime = 59".into(), "rule[0].lifetime (rule `r`): a token lifetime of 59 s"),
        ("lifetime = '1h'".into(), "`1h` is not a lifetime; write \"5m\""),
        ("lifetime = '+5m'".into(), "is not a lifetime"),
        ("lifetime = '99999999999999999999m'".into(), "is not a lifetime"),
        ("max_lifetime = '16m'".into(), "rule[0].max_lifetime (rule `r`): a token lifetime of 960 s"),
        ("lifetime = '3m'\nmax_lifetime = '2m'".into(), "180 s is more than `max_lifetime`, 120 s"),
        ("source = []".into(), "rule[0].source (rule `r`): empty"),
        ("source = ['session', 'github']".into(), "rule[0].source[1] (rule `r`): `github` is not a source"),
        ("provider = []".into(), "rule[0].provider (rule `r`): empty"),
        (
            "provider = ['github']".into(),
            "rule[0].provider[0] (rule `r`): no `[[provider]]` is called `github`; there are none",
        ),
        ("transitive = ['a']".into(), "rule[0].transitive[0] (rule `r`): `a` is not a tag of this rule"),
        (format!("[rule.tags]\n{}", tags.join("\n")), "51 tags; AWS takes 50"),
        ("[rule.tags]\n'aws:x' = 'x'".into(), "rule[0].tags.\"aws:x\""),
        ("[rule.tags]\na = 'x'\nA = 'x'".into(), "differs from `A` in case alone"),
        ("[rule.tags]\na = 'x*'".into(), "rule[0].tags.a (rule `r`): the value of the session tag `a`"),
        ("[rule.tags]\na = {}".into(), "exactly one of `open = true`"),
        ("[rule.tags]\na = { open = false }".into(), "exactly one of"),
        ("[rule.tags]\na = { one_of = [] }".into(), "exactly one of"),
        ("[rule.tags]\na = { open = true, matches = 'true' }".into(), "exactly one of"),
        ("[rule.tags]\na = { one_of = ['x'], matches = 'true' }".into(), "exactly one of"),
        ("[rule.tags]\na = { one_of = ['x', '*'] }".into(), "rule[0].tags.a.one_of[1]"),
        (format!("[rule.tags]\na = {{ one_of = [{}] }}", many(101, "x")), "101 values; 100 are allowed"),
        (
            "[rule.tags]\na = { one_of = ['x'], default = 'y' }".into(),
            "rule[0].tags.a.default (rule `r`): `y` is not in `one_of`",
        ),
        ("[rule.tags]\na = { open = true, default = 'y', required = true }".into(), "exclude each other"),
        (
            "[rule.tags]\na = { matches = 'valu' }".into(),
            "rule[0].tags.a.matches (rule `r`): `valu` is not known here; allowed: `identity`, `value`",
        ),
    ];
    for (lines, expected) in cases {
        let message = error_of(&lines);
        assert!(message.contains(expected), "{lines}: {message}");
    }
}

#[test]
fn all_errors_are_reported_at_once() {
    let text = format!(
        "{}{}[[rule]]\nname = 'No Good'\nsubject = 's'\naudiences = []\nlifetime = 1\n[rule.tags]\na = 'x*'\nb = {{ matches = '(' }}\n",
        rule_text(""),
        rule_text("when = '1 +'")
    );
    let errors = RuleSet::compile(&parse(&text), &TrustedIssuers::none()).unwrap_err();
    let paths: Vec<&str> = errors.iter().map(|error| error.path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "rule[1].when",
            "rule[2].name",
            "rule[2].when",
            "rule[2].subject",
            "rule[2].audiences",
            "rule[2].lifetime",
            "rule[2].tags.a",
            "rule[2].tags.b.matches",
        ]
    );
}

#[test]
fn names_are_unique_and_rules_are_few() {
    let twice = RuleSet::compile(&parse(&rule_text("").repeat(2)), &TrustedIssuers::none()).unwrap_err();
    assert_eq!(twice.len(), 1);
    assert!(twice[0].to_string().contains("rule[1].name (rule `r`): rule[0] has the same name"));
    let rules = |count: usize, lines: &str| -> Vec<RuleConfig> {
        let one = &parse(&rule_text(lines))[0];
        (0..count).map(|i| RuleConfig { name: format!("r{i}"), ..one.clone() }).collect()
    };
    assert!(RuleSet::compile(&rules(200, ""), &TrustedIssuers::none()).is_ok());
    let many = RuleSet::compile(&rules(201, ""), &TrustedIssuers::none()).unwrap_err();
    assert_eq!(many[0].to_string(), "rule: 201 rules; 200 are allowed");
    let dear = "when = 'identity.attributes.a.all(x, x.matches(\"^a\") && x.matches(\"b$\"))'";
    assert!(RuleSet::compile(&rules(5, dear), &TrustedIssuers::none()).is_ok());
    let together = RuleSet::compile(&rules(100, dear), &TrustedIssuers::none()).unwrap_err();
    assert!(together[0].to_string().contains("all expressions together"), "{together:?}");
}

#[test]
fn rule_names_are_plain() {
    for good in ["a", "wallet-2", &"x".repeat(64)] {
        assert_eq!(RuleName::parse(good).unwrap().as_str(), good);
    }
    for bad in ["", "A", "a_b", "a b", "é", &"x".repeat(65)] {
        assert!(RuleName::parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn rules_name_providers_that_are_there_and_that_their_source_admits() {
    let providers: TrustedIssuers = [("hub", IssuerKind::GithubActions), ("lab", IssuerKind::Gitlab)]
        .map(|(name, kind)| (TrustedIssuerName::parse(name).unwrap(), kind))
        .into_iter()
        .collect();
    let message = |lines: &str| {
        let set = RuleSet::compile(&parse(&rule_text(lines)), &providers);
        set.err().map(|errors| errors.iter().map(ToString::to_string).collect::<String>())
    };
    assert_eq!(message("provider = ['hub', 'lab']"), None);
    assert_eq!(message("provider = ['hub']\nsource = ['github-actions', 'session']"), None);
    assert_eq!(
        message("provider = ['hub', 'Lab']").unwrap(),
        "rule[0].provider[1] (rule `r`): no `[[provider]]` is called `Lab`; there are `hub`, `lab`"
    );
    assert_eq!(
        message("provider = ['lab', 'hub']\nsource = ['gitlab']").unwrap(),
        "rule[0].provider[1] (rule `r`): `hub` is of the kind `github-actions`, which `source` leaves out; add it there or remove `source`"
    );
    // A provider is a condition.
    let alone = "[[rule]]\nname = 'r'\nsubject = 'subject'\naudiences = ['a']\nprovider = ['lab']";
    assert!(RuleSet::compile(&parse(alone), &providers).is_ok());
}

/// Two issuers of a kind, and one of another: what a rule must say that reads claims.
#[test]
fn a_rule_that_reads_claims_is_one_issuers() {
    use crate::trusted_issuer::{TrustedIssuer, TrustedIssuerUrl};
    let provider = |name: &str, kind, issuer: &str, claims: Option<&[&str]>| TrustedIssuer {
        claims: claims.map(|claims| claims.iter().map(|claim| (*claim).to_owned()).collect()),
        ..TrustedIssuer::new(
            TrustedIssuerName::parse(name).unwrap(),
            kind,
            TrustedIssuerUrl::parse(issuer).unwrap(),
            vec![name.to_owned()],
        )
    };
    let (github, gitlab, oidc) = (IssuerKind::GithubActions, IssuerKind::Gitlab, IssuerKind::Oidc);
    let hub = provider("hub", github, "https://token.actions.githubusercontent.com", None);
    let again = provider("hub-two", github, "https://token.actions.githubusercontent.com", None);
    let ghes = provider("ghes", github, "https://github.corp.example/_services/token", None);
    let lab = provider("lab", gitlab, "https://gitlab.com", None);
    let own_lab = provider("own-lab", gitlab, "https://gitlab.corp.example", None);
    let blue = provider("blue", oidc, "https://blue.example", None);
    let green = provider("green", oidc, "https://green.example", None);
    let cluster = provider("cluster", oidc, "https://cluster.example", Some(&["kubernetes.io"]));

    let repository = "when = 'identity.attributes.repository_id == \"1\"'";
    let project = "when = 'identity.attributes.project_id == \"1\"'";
    let team = "when = 'identity.attributes.team == \"blue\"'";
    let subject = "when = 'identity.subject == \"system:serviceaccount:a:b\"'";
    let tag = "tags.prefix = '${identity.attributes.repository_id}'";
    let cases: &[(&str, &[&TrustedIssuer], &[&str])] = &[
        // Two of a kind.
        (repository, &[&hub, &ghes], &["hub", "ghes"]),
        (
            "source = ['github-actions']\nwhen = 'identity.attributes.repository_id == \"1\"'",
            &[&hub, &ghes],
            &["hub", "ghes"],
        ),
        (project, &[&hub, &lab, &own_lab], &["lab", "own-lab"]),
        (subject, &[&blue, &green], &["blue", "green"]),
        (team, &[&blue, &green], &["blue", "green"]),
        // By what it puts into the token, not by what it asks for.
        (&format!("source = ['github-actions']\n{tag}"), &[&hub, &ghes], &["hub", "ghes"]),
        ("source = ['oidc']\ntags.who = '${identity.subject}'", &[&blue, &green], &["blue", "green"]),
        (
            "source = ['oidc']\nroles = ['arn:aws:iam::111122223333:role/${identity.attributes.team}']",
            &[&blue, &green],
            &["blue", "green"],
        ),
        // One of each kind, where the condition fits both.
        (subject, &[&hub, &lab], &["hub", "lab"]),
        ("when = 'identity.attributes.ref == \"refs/heads/main\"'", &[&hub, &lab], &["hub", "lab"]),
        (repository, &[&hub, &blue], &["hub", "blue"]),
        // One side of `||` names its provider, the other does not.
        (
            "when = '(identity.provider == \"hub\" && identity.attributes.repository_id == \"1\") || identity.attributes.repository_id == \"2\"'",
            &[&hub, &ghes],
            &["hub", "ghes"],
        ),
        (
            "when = 'identity.provider != \"x\" && identity.attributes.repository_id == \"1\"'",
            &[&hub, &ghes],
            &["hub", "ghes"],
        ),
        (
            "when = 'identity.provider.startsWith(\"h\") && identity.attributes.repository_id == \"1\"'",
            &[&hub, &ghes, &lab],
            &[],
        ),
        // Told apart.
        (repository, &[&hub, &again], &[]),
        (repository, &[&hub, &lab], &[]),
        ("source = ['github-actions']\nwhen = 'identity.attributes.repository_id == \"1\"'", &[&hub, &lab, &blue], &[]),
        ("source = ['github-actions', 'gitlab']\nwhen = 'identity.attributes.project_id == \"1\"'", &[&hub, &lab], &[]),
        ("provider = ['hub', 'ghes']\nwhen = 'identity.attributes.repository_id == \"1\"'", &[&hub, &ghes], &[]),
        ("when = 'identity.provider == \"hub\" && identity.attributes.repository_id == \"1\"'", &[&hub, &ghes], &[]),
        (
            "when = 'identity.provider in [\"hub\", \"ghes\"] && identity.attributes.repository_id == \"1\"'",
            &[&hub, &ghes],
            &[],
        ),
        ("when = 'identity.source == \"session\" && identity.attributes.team == \"a\"'", &[&blue, &green], &[]),
        ("source = ['session']\nwhen = 'identity.attributes.team == \"a\"'", &[&blue, &green], &[]),
        (team, &[&hub, &ghes, &lab, &cluster], &[]),
        ("when = 'identity.attributes[\"kubernetes.io\"] != \"\"'", &[&hub, &cluster], &[]),
        // No claim is read: whoever it is gets the same.
        ("source = ['github-actions', 'gitlab', 'oidc']", &[&hub, &ghes, &blue], &[]),
        ("when = 'true'", &[&hub, &ghes], &[]),
    ];
    for (lines, configured, expected) in cases {
        let providers: TrustedIssuers = configured.iter().copied().collect();
        let errors = RuleSet::compile(&parse(&rule_text(lines)), &providers).err().unwrap_or_default();
        let shown: Vec<String> = errors.iter().map(ToString::to_string).collect();
        match expected {
            [] => assert_eq!(shown, [""; 0], "{lines}"),
            [first, ..] => {
                let all = expected.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
                assert_eq!(
                    shown,
                    [format!(
                        "rule[0].provider (rule `r`): missing, and the rule fits tokens of more than one issuer ({all}), whose claims can be \
                         the same: a job of one passes for a job of the other. Add `provider = [\"{first}\"]`, or list all that you mean"
                    )],
                    "{lines}"
                );
            }
        }
    }
}
