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
        ("a.all(x, x in b)".into(), "steps"),
        (
            "a.map(x, sub + sub).map(x, x + x + x).size() > 1".into(),
            "steps",
        ),
        ("a.all(x, x.matches(\"a\") || x.matches(\"b\") || x.matches(\"c\") || x.matches(\"d\") || x.matches(\"e\") || x.matches(\"f\"))".into(), "steps"),
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
        ("sub =", "not a CEL expression: line 1"),
        ("sub = \"x\"", "not a CEL expression"),
        ("sub == 'x", "not closed"),
        ("has(sub)", "not a CEL expression"),
        ("size(claims) > 0", "used as a whole"),
        ("claims[sub] == 'x'", "used as a whole"),
        ("'team' in claims", "used as a whole"),
        ("identity.subject == 'x'", "write a claim by its name alone"),
        ("namespace == 'x'", "reserved identifier"),
        ("[1].all(sub, true)", "already means something"),
        ("[1].all(claims, true)", "already means something"),
        ("[1].all(value, true)", "already means something"),
        ("[1].all(1, true)", "must be a simple name"),
        ("now() > 1", "`now` is not a function with no argument here; there are `size`, "),
        ("timestamp('x') == 1", "`timestamp`"),
        ("sub.size(1) == 1", "`size` is not a function with a target and 1 arguments"),
        ("contains('a', 'b')", "`contains` is not a function with 2 arguments"),
        ("'a'.replace('', 'b') == ''", "`replace`"),
        ("[1].map(1) == 1", "`map`"),
        ("optional.of(1).hasValue()", "`of` is not a function"),
        ("claims.?team == 1", "unsupported syntax '.?'"),
        ("Thing{a: 1} == 1", "not part of the rule language"),
        ("b'x' == b'x'", "not part of the rule language"),
        ("sub.matches(pattern)", "checked now"),
        ("sub.matches('a' + 'b')", "checked now"),
        ("sub.matches('(')", "the regular expression `(` is not valid: unclosed group"),
        ("matches(sub, '[')", "not valid"),
        ("sub.matches('(a{500}){500}')", "too large compiled"),
        ("sub.matches('(?=a)')", "not valid"),
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
        ("subject = '${sub'".into(), "rule[0].subject (rule `r`): `${` without its `}`"),
        ("subject = '${}'".into(), "in `${}`: the expression is empty"),
        ("subject = '${identity.x}'".into(), "in `${identity.x}`: `identity` is no claim"),
        (format!("subject = '{}'", "${sub}".repeat(17)), "more than 16 `${…}`"),
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
        (
            "from = 'sesion'".into(),
            "rule[0].from (rule `r`): `sesion` is neither a `[[trusted_issuer]]` nor a source of this issuer; there are `session`, \
             `bearer`, `anonymous`; did you mean `session`?",
        ),
        (
            "from = 'anonymous'\nmatch.team = 'x'".into(),
            "rule[0].match.team (rule `r`): `anonymous` has no claim `team`",
        ),
        (format!("role = '{ROLE}'\nroles = ['{ROLE}']"), "rule[0].role (rule `r`): is given beside `roles`"),
        ("role = 'ci'".into(), "rule[0].role (rule `r`)"),
        ("match.team = []".into(), "rule[0].match.team (rule `r`): an empty list matches nothing"),
        ("match.team = 'present'".into(), "write `{ present = true }` if you ask whether"),
        ("match.team = ['a', 'absent']".into(), "write `{ absent = true }` if you ask whether"),
        ("match.team = {}".into(), "exactly one of `present = true`"),
        ("match.team = { present = false }".into(), "exactly one of `present = true`"),
        ("match.team = { present = true, exact = 'x' }".into(), "exactly one of `present = true`"),
        ("match.team = '${x}'".into(), "a match takes no templates"),
        ("match.team = 'a*'".into(), "only whole values can be matched: nothing is known of its form"),
        ("match.sub = 3".into(), "`sub` is a text; write it as \"…\""),
        ("match.'/' = 'x'".into(), "`/` is not a JSON pointer"),
        (format!("match.team = '{}'", "x".repeat(1025)), "is longer than 1024 bytes"),
        (format!("match.team = [{}]", many(501, "a")), "501 values; 500 are allowed"),
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
            "from = 'anonymous'\n[rule.tags]\na = { matches = 'valu' }".into(),
            "rule[0].tags.a.matches (rule `r`): `anonymous` has no claim `valu`",
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
        "{}{}[[rule]]\nname = 'No Good'\nfrom = 'nobody'\nsubject = 's'\naudiences = []\nlifetime = 1\n[rule.tags]\na = 'x*'\nb = {{ matches = '(' }}\n",
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
            "rule[2].from",
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
    let dear = "when = 'a.all(x, x.matches(\"^a\") && x.matches(\"b$\"))'";
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

fn github() -> TrustedIssuers {
    [(TrustedIssuerName::parse("hub").unwrap(), IssuerKind::GITHUB)].into_iter().collect()
}

#[test]
fn claims_are_held_to_the_kinds_table() {
    let message = |lines: &str| {
        let set = RuleSet::compile(&parse(&rule_text(&format!("from = 'hub'\n{lines}"))), &github());
        set.err().map(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
    };
    for good in [
        "match = { repository_id = '1', ref = 'refs/heads/*', ref_protected = true, pull_request = 7 }",
        "match = { repository_id = 1, run_id = { present = true }, head_ref = { absent = true } }",
        "match = { repository_id = [1, '2'], environment = { exact = 'a*b' }, repo_property_team = 'x' }",
        "match = { sub = 'repo:o/r:pull_request' }",
        "when = 'pull_request > 1 && has(claims.branch) && claims[\"repository\"] == sub'",
    ] {
        assert_eq!(message(good), None, "{good}");
    }
    for (lines, expected) in [
        (
            "match.repositry_id = '1'",
            "rule[0].match.repositry_id (rule `r`): `hub` (kind `github`) has no claim `repositry_id`: did you mean `repository_id`?",
        ),
        ("match.xyz = '1'", "has no claim `xyz`"),
        ("match.'/kubernetes.io/namespace' = 'x'", "has no claim `kubernetes.io`"),
        (
            "when = 'brunch == \"x\"'",
            "rule[0].when (rule `r`): `hub` (kind `github`) has no claim `brunch`: did you mean `branch`?",
        ),
        ("when = 'has(claims.brunch)'", "did you mean `branch`?"),
        ("when = 'claims[\"brunch\"] == sub'", "did you mean `branch`?"),
        (
            "subject = 'branch:${brunch}'",
            "in `${brunch}`: `hub` (kind `github`) has no claim `brunch`: did you mean `branch`?",
        ),
        ("match.repository_id = 'octo'", "`repository_id` is a number in decimal digits, and `octo` is not one"),
        ("match.repository_id = '1*'", "only whole values can be matched: others could choose a text that fits"),
        ("match.repository_id = true", "`repository_id` is a number in decimal digits; write it as \"123\""),
        ("match.repository = 3", "`repository` is a text; write it as \"…\""),
        ("match.repository = 'octo/*'", "only whole values can be matched"),
        ("match.pull_request = '7'", "`pull_request` is a number; write it as 123"),
        ("match.ref_protected = 'true'", "`ref_protected` is true or false; write it as true or false, without quotes"),
    ] {
        let message = message(lines).unwrap_or_default();
        assert!(message.contains(expected), "{lines}: {message}");
    }
}

#[test]
fn the_hash_tells_rules_apart_and_nothing_else() {
    let hash = |lines: &str, issuers: &TrustedIssuers| {
        RuleSet::compile(&parse(&rule_text(lines)), issuers).unwrap().hash().to_owned()
    };
    let one = hash("", &TrustedIssuers::none());
    assert_eq!(one.len(), 16);
    assert_eq!(one, hash("description = 'for people'", &TrustedIssuers::none()));
    assert_ne!(one, hash("lifetime = 60", &TrustedIssuers::none()));
    assert_ne!(one, hash("mode = 'shadow'", &TrustedIssuers::none()));
    assert_ne!(one, hash("", &github()));
}
