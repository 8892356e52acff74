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
        ("wallet:${sub}", "wallet:0xabc"),
        ("team:${team}!", "team:blue!"),
        ("team:${ team }", "team:blue"),
        ("level ${level}", "level 3"),
        ("big ${big}", "big 18446744073709551615"),
        ("admin ${admin}", "admin true"),
        ("deep ${deep.a.b}", "deep c"),
        ("price $5 or $${team}", "price $5 or ${team}"),
        ("$$$${x}$", "$$${x}$"),
        ("brace ${{\"}\": \"}\"}[\"}\"]} end", "brace } end"),
        ("${sub.upperAscii()}: x", "0XABC: x"),
        ("${sub.substring(2)} and more", "abc and more"),
        ("${\"a-b-c\".split(\"-\")[1]} of three", "b of three"),
        ("${string(share)} share", "0.5 share"),
        ("${has(claims.x) ? x : \"default\"}", "default"),
        ("Zoë ${\"日本\"} ok", "Zoë 日本 ok"),
    ] {
        assert_eq!(subject(template).unwrap(), expected, "{template}");
    }
}

#[test]
fn templates_that_fail_refuse() {
    for (template, code) in [
        ("wallet:${missing}", "template_error"),
        ("wallet:${nothing}", "template_error"),
        ("wallet:${groups}", "template_error"),
        ("wallet:${deep}", "template_error"),
        ("wallet:${share}", "template_error"),
        ("wallet:${sub + 1}", "template_error"),
        ("${sub}", "invalid_claim"),
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
    let set = compiled(&rule_text("subject = 'wallet:${a}${a}'"));
    for (len, code) in [(200, "invalid_claim"), (3000, "template_error")] {
        let long = identity_with(json!({"a": "x".repeat(len)}));
        let denial = set.decide(&long, &MintRequest::default()).result.unwrap_err();
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
        "sub == \"0xabc\"",
        "chain in [\"litentry\", \"other\"]",
        "groups.exists(g, g == \"ops\")",
        "groups.all(g, g.size() == 3)",
        "groups.exists_one(g, g.startsWith(\"o\"))",
        "groups.filter(g, g != \"dev\").size() == 1",
        "groups.map(g, g + \"!\")[0] == \"dev!\"",
        "\"ops\" in groups",
        "groups == [\"dev\", \"ops\"]",
        "claims[\"team\"] == \"blue\"",
        "has(claims.team) && !has(claims.teem)",
        "has(claims.x) ? false : level >= 3",
        "sub.matches(\"^0x[a-f]+$\") && matches(sub, r\"^\\dx\")",
        "nothing == null",
        "int(\"3\") == level && double(3) == 3.0 && uint(3) == 3u && bool(\"true\")",
        "\" a\".trim().lowerAscii().contains(\"a\") && \"ab\".endsWith(\"b\") && size(\"é\") == 1",
        "1 + 2 * 3 - 4 / 2 % 3 == 5 && -1 < 0 && 1 <= 1 && 2 > 1 && 2 >= 2 && 1 != 2 || false",
    ] {
        assert!(holds(when), "{when}");
    }
    for when in ["level == \"3\"", "sub.matches(\"^x\")", "size([]) > 0"] {
        assert!(!holds(when), "{when}");
    }
}

#[test]
fn matches_looks_at_short_texts_only() {
    let set = compiled(&rule_text("when = 'a.matches(\"^x+$\")'"));
    let decided = |len: usize| {
        let identity = identity_with(json!({"a": "x".repeat(len)}));
        set.decide(&identity, &MintRequest::default()).result.map_err(|denial| denial.code())
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
        let decided = thread.spawn(move || set.decide(&identity(), &MintRequest::default()).result.is_ok());
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
        let grant = set.decide(&identity_with(attributes), &MintRequest::default()).result;
        grant.map(|grant| grant.subject.to_string()).map_err(|denial| (denial.code(), denial.to_string()))
    };
    let branch = |name: &str| json!({"branch": name, "ref": format!("refs/pull/{name}/merge")});
    assert_eq!(subject("branch:${slug(branch)}", branch("A/b")).unwrap(), "branch:a-b-3646f792d48811a3");
    assert_eq!(subject("branch:${segment(branch)}", branch("a.b")).unwrap(), "branch:a.b");
    assert_eq!(subject("pull:${pull_request_number(ref)}", branch("7")).unwrap(), "pull:7");
    assert_eq!(subject("pull:${pull_request_number(ref) + 1}", branch("7")).unwrap(), "pull:8");
    for (template, attributes, expected) in [
        ("branch:${slug(branch)}", branch("/"), "no letter or digit"),
        ("branch:${segment(branch)}", branch("a/b"), "no safe part of a prefix"),
        ("branch:${segment(branch)}", branch(".."), "no safe part of a prefix"),
        ("pull:${pull_request_number(branch)}", branch("7"), "is not `refs/pull/NUMBER/merge`"),
        ("branch:${slug(branch)}", json!({"branch": 7}), "wants a text, not a int"),
        ("branch:${slug(branch)}", json!({"branch": ["a"]}), "wants a text, not a list"),
        ("branch:${slug(branch)}", json!({}), "Undeclared reference to 'branch'"),
    ] {
        let (code, message) = subject(template, attributes).unwrap_err();
        assert_eq!(code, "template_error", "{template}");
        assert!(message.contains(expected), "{template}: {message}");
    }
    for when in [
        "sub.slug() == \"a\"",
        "sub.segment() == \"a\"",
        "sub.pull_request_number() == 1",
        "slug() == \"a\"",
        "slug(\"a\", \"b\") == \"a\"",
    ] {
        assert!(errors_of(&format!("when = '{when}'"))[0].contains("is not a function with"), "{when}");
    }
}

#[test]
fn slugs_cost_what_they_read() {
    let when = "names.exists(name, slug(name) == sub)";
    assert!(errors_of(&format!("when = '{when}'")).is_empty());
    let many = "names.map(name, slug(name)).exists(name, name == \"a\")";
    assert!(errors_of(&format!("when = '{many}'")).is_empty());
}
