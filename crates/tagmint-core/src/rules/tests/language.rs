use super::*;

/// The subject that a template gives for [`identity`].
fn subject(template: &str) -> Result<String, Denial> {
    let grant = decide(&format!("subject = '''{template}'''"), &MintRequest::default());
    grant.map(|grant| grant.subject.to_string())
}

#[test]
fn templates_render_text_numbers_and_booleans() {
    for (template, expected) in [
        ("wallet:0xa", "wallet:0xa"),
        ("wallet:${identity.subject}", "wallet:0xabc"),
        ("${identity.source}:${identity.attributes.team}!", "session:blue!"),
        ("level ${identity.attributes.level}", "level 3"),
        ("big ${identity.attributes.big}", "big 18446744073709551615"),
        ("admin ${identity.attributes.admin}", "admin true"),
        ("deep ${identity.attributes.deep.a.b}", "deep c"),
        ("price $5 or $${identity}", "price $5 or ${identity}"),
        ("$$$${x}$", "$$${x}$"),
        ("brace ${{\"}\": \"}\"}[\"}\"]} end", "brace } end"),
        ("${identity.subject.upperAscii()}: x", "0XABC: x"),
        ("${identity.subject.substring(2)} and more", "abc and more"),
        ("${\"a-b-c\".split(\"-\")[1]} of three", "b of three"),
        ("${string(identity.attributes.share)} share", "0.5 share"),
        ("${has(identity.attributes.x) ? identity.attributes.x : \"default\"}", "default"),
        ("Zoë ${\"日本\"} ok", "Zoë 日本 ok"),
    ] {
        assert_eq!(subject(template).unwrap(), expected, "{template}");
    }
}

#[test]
fn templates_that_fail_refuse() {
    for (template, code) in [
        ("wallet:${identity.attributes.missing}", "template_error"),
        ("wallet:${identity.attributes.nothing}", "template_error"),
        ("wallet:${identity.attributes.groups}", "template_error"),
        ("wallet:${identity.attributes.deep}", "template_error"),
        ("wallet:${identity.attributes.share}", "template_error"),
        ("wallet:${identity.subject + 1}", "template_error"),
        ("${identity.subject}", "invalid_claim"),
        ("wallet:${\"\\n\"}x", "invalid_claim"),
        ("wallet: ${\"\"}", "invalid_claim"),
    ] {
        let denial = subject(template).unwrap_err();
        assert_eq!(denial.code(), code, "{template}: {denial}");
        assert_eq!(denial.rule.as_ref().map(RuleName::as_str), Some("r"), "{template}");
        assert!(denial.to_string().contains("`subject`"), "{denial}");
    }
}

#[test]
fn a_template_result_is_bounded() {
    let set = compiled(&rule_text("subject = 'wallet:${identity.attributes.a}${identity.attributes.a}'"));
    for (len, code) in [(200, "invalid_claim"), (3000, "template_error")] {
        let long = identity_with(json!({"a": "x".repeat(len)}));
        let denial = set.decide(&long, &MintRequest::default()).unwrap_err();
        assert_eq!(denial.code(), code, "{denial}");
    }
}

fn holds(when: &str) -> bool {
    match decide(&format!("when = '''{when}'''"), &MintRequest::default()) {
        Ok(_) => true,
        Err(Denial { reason: DenialReason::NoRule, .. }) => false,
        Err(denial) => panic!("{when}: {denial}"),
    }
}

#[test]
fn conditions_hold_or_not() {
    for when in [
        "identity.source == \"session\"",
        "identity.attributes.chain in [\"litentry\", \"other\"]",
        "identity.attributes.groups.exists(g, g == \"ops\")",
        "identity.attributes.groups.all(g, g.size() == 3)",
        "identity.attributes.groups.exists_one(g, g.startsWith(\"o\"))",
        "identity.attributes.groups.filter(g, g != \"dev\").size() == 1",
        "identity.attributes.groups.map(g, g + \"!\")[0] == \"dev!\"",
        "\"ops\" in identity.attributes.groups",
        "\"team\" in identity.attributes",
        "identity.attributes.groups == [\"dev\", \"ops\"]",
        "identity.attributes[\"team\"] == \"blue\"",
        "has(identity.attributes.team) && !has(identity.attributes.teem)",
        "has(identity.attributes.x) ? false : identity.attributes.level >= 3",
        "identity.subject.matches(\"^0x[a-f]+$\") && matches(identity.subject, r\"^\\dx\")",
        "identity.attributes.nothing == null",
        "int(\"3\") == identity.attributes.level && double(3) == 3.0 && uint(3) == 3u && bool(\"true\")",
        "\" a\".trim().lowerAscii().contains(\"a\") && \"ab\".endsWith(\"b\") && size(\"é\") == 1",
        "1 + 2 * 3 - 4 / 2 % 3 == 5 && -1 < 0 && 1 <= 1 && 2 > 1 && 2 >= 2 && 1 != 2 || false",
    ] {
        assert!(holds(when), "{when}");
    }
    for when in ["identity.attributes.level == \"3\"", "identity.subject.matches(\"^x\")", "size([]) > 0"] {
        assert!(!holds(when), "{when}");
    }
}

#[test]
fn matches_looks_at_short_texts_only() {
    let set = compiled(&rule_text("when = 'identity.attributes.a.matches(\"^x+$\")'"));
    let decided = |len: usize| {
        let identity = identity_with(json!({"a": "x".repeat(len)}));
        set.decide(&identity, &MintRequest::default()).map_err(|denial| denial.code())
    };
    assert!(decided(limits::MAX_REGEX_INPUT).is_ok());
    assert_eq!(decided(limits::MAX_REGEX_INPUT + 1), Err("condition_error"));
}

#[test]
fn the_deepest_expressions_fit_a_small_stack() {
    // A chain of n terms is a tree of n levels; the comparison and the macro add theirs.
    let chain = |term: &str, levels: usize| vec![term; levels].join(" + ");
    let depth = limits::MAX_TREE_DEPTH;
    let nested = limits::MAX_BRACKETS;
    let at_most = [
        format!("{} > 0", chain("1", depth - 1)),
        format!("[1].all(x, {} > 0)", chain("x", depth - 3)),
        format!("[1].map(x, {})[0] > 0", chain("x", depth - 5)),
        format!("size({}1{}) > 0", "[".repeat(nested - 1), "]".repeat(nested - 1)),
        format!("{}'a'{} == 'a'", "string(".repeat(nested), ")".repeat(nested)),
        format!("{}true{}", "(true ? ".repeat(nested), " : false)".repeat(nested)),
    ];
    for when in at_most {
        let set = compiled(&rule_text(&format!("when = \"{when}\"")));
        let thread = std::thread::Builder::new().stack_size(1536 * 1024);
        let decided = thread.spawn(move || set.decide(&identity(), &MintRequest::default()).is_ok());
        assert!(decided.unwrap().join().unwrap(), "{when}");
    }
    for when in [format!("{} > 0", chain("1", depth)), format!("[1].all(x, {} > 0)", chain("x", depth - 2))] {
        assert!(errors_of(&format!("when = '{when}'"))[0].contains("24 levels"), "{when}");
    }
}

#[test]
fn names_that_others_choose_become_safe_parts() {
    let subject = |template: &str, attributes: serde_json::Value| {
        let set = compiled(&rule_text(&format!("subject = '{template}'")));
        let grant = set.decide(&identity_with(attributes), &MintRequest::default());
        grant.map(|grant| grant.subject.to_string()).map_err(|denial| (denial.code(), denial.to_string()))
    };
    let branch = |name: &str| json!({"branch": name, "ref": format!("refs/pull/{name}/merge")});
    assert_eq!(
        subject("branch:${slug(identity.attributes.branch)}", branch("A/b")).unwrap(),
        "branch:a-b-3646f792d48811a3"
    );
    assert_eq!(subject("branch:${segment(identity.attributes.branch)}", branch("a.b")).unwrap(), "branch:a.b");
    assert_eq!(subject("pull:${pull_request_number(identity.attributes.ref)}", branch("7")).unwrap(), "pull:7");
    assert_eq!(subject("pull:${pull_request_number(identity.attributes.ref) + 1}", branch("7")).unwrap(), "pull:8");
    for (template, attributes, expected) in [
        ("branch:${slug(identity.attributes.branch)}", branch("/"), "no letter or digit"),
        ("branch:${segment(identity.attributes.branch)}", branch("a/b"), "no safe part of a prefix"),
        ("branch:${segment(identity.attributes.branch)}", branch(".."), "no safe part of a prefix"),
        ("pull:${pull_request_number(identity.attributes.branch)}", branch("7"), "is not `refs/pull/NUMBER/merge`"),
        ("branch:${slug(identity.attributes.branch)}", json!({"branch": 7}), "wants a text, not a int"),
        ("branch:${slug(identity.attributes.branch)}", json!({"branch": ["a"]}), "wants a text, not a list"),
        ("branch:${slug(identity.attributes.branch)}", json!({}), "No such key: branch"),
    ] {
        let (code, message) = subject(template, attributes).unwrap_err();
        assert_eq!(code, "template_error", "{template}");
        assert!(message.contains(expected), "{template}: {message}");
    }
    for when in [
        "identity.subject.slug() == \"a\"",
        "identity.subject.segment() == \"a\"",
        "identity.subject.pull_request_number() == 1",
        "slug() == \"a\"",
        "slug(\"a\", \"b\") == \"a\"",
    ] {
        assert!(errors_of(&format!("when = '{when}'"))[0].contains("is not a function with"), "{when}");
    }
}

#[test]
fn slugs_cost_what_they_read() {
    let when = "identity.attributes.names.exists(name, slug(name) == identity.subject)";
    assert!(errors_of(&format!("when = '{when}'")).is_empty());
    let many = "identity.attributes.names.map(name, slug(name)).exists(name, name == \"a\")";
    assert!(errors_of(&format!("when = '{many}'")).is_empty());
}
