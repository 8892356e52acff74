//! Anonymous minting: told where two worlds are compared, warned of at each start, and refused in prod.

use std::fs;

use rustix::process::Signal;

use super::{against, part, worlds::Worlds};
use crate::process::{Running, failure, json, run};

/// The rule for callers without proof, for the role of test.
const RULE: &str = r#"
[[rule]]
name = "look"
from = "anonymous"
subject = "anonymous:anyone"
role = "arn:aws:iam::${aws.account}:role/agentkeys-data-role-test"
[rule.tags]
wallet = "fixtures"
"#;

/// Adds the section, the rule for callers without proof, or both.
fn open(worlds: &Worlds, world: &str, section: bool, rule: bool) {
    let file = worlds.config(world);
    let mut text = fs::read_to_string(&file).expect("the configuration");
    if section {
        text = text.replace("[database]", "[anonymous_minting]\n[database]");
    }
    if rule {
        let named = if world == "prod" { "role/agentkeys-data-role" } else { "role/agentkeys-data-role-test" };
        text += &RULE.replace("role/agentkeys-data-role-test", named);
    }
    fs::write(file, text).expect("the configuration");
}

#[test]
fn a_test_issuer_that_mints_anonymously_says_so_and_is_apart_from_prod() {
    let worlds = Worlds::new();
    open(&worlds, "test", true, true);
    let told = "`[anonymous_minting]` is on: whoever reaches this issuer gets tokens without proof";
    let checked = json(["check", "--config", &worlds.config("test")]);
    assert!(checked["ok"] == true && checked["warnings"].to_string().contains(told), "{checked}");
    let (found, code) = against(&worlds, &[]);
    let finding = part(&found, "anonymous minting");
    assert_eq!((finding["verdict"].as_str(), code), (Some("isolated"), Some(0)), "{found}");
    assert_eq!((finding["this"].to_string(), finding["other"].to_string()), ("[\"by look\"]".into(), "[]".into()));
    for _ in 0..2 {
        let folder = tempfile::tempdir().unwrap();
        let mut serve = Running::start(["serve", "--config", &worlds.config("test")], folder.path());
        assert!(serve.stderr().contains(told), "each start warns: {}", serve.stderr());
        serve.signal(Signal::TERM);
        assert_eq!(serve.end(), Some(0));
    }
}

#[test]
fn prod_refuses_the_section_and_the_rule() {
    for (section, rule, told) in [
        (true, false, "`anonymous_minting`: is for test issuers alone"),
        (false, true, "is `anonymous`, and this is a prod issuer"),
        (true, true, "2 problems"),
    ] {
        let worlds = Worlds::new();
        open(&worlds, "prod", section, rule);
        let error = failure(["serve", "--config", &worlds.config("prod")], 3);
        assert!(error["message"].as_str().unwrap().contains(told), "{error}");
        assert!(!worlds.folder("prod").join("tagmint.db").exists(), "refused before anything is made");
        for arguments in [
            &["check", "--config", &worlds.config("prod")][..],
            &["check", "--config", &worlds.config("test"), "--against", &worlds.config("prod")],
        ] {
            let checked = run(arguments);
            let said = String::from_utf8(checked.stderr).unwrap();
            assert!(checked.status.code() == Some(3) && said.contains(told), "{said}");
        }
    }
    // The rule alone is refused in test, too.
    let worlds = Worlds::new();
    open(&worlds, "test", false, true);
    let error = failure(["serve", "--config", &worlds.config("test")], 3);
    assert!(error["message"].as_str().unwrap().contains("there is no `[anonymous_minting]`"), "{error}");
}
