//! `tagmint aws reach`: who reaches a prefix of the shipped configurations.

use serde_json::{Value, json};

use crate::process::{failure, json as answer, run};

fn config(environment: &str) -> String {
    format!("{}/../../deploy/{environment}/tagmint.toml", env!("CARGO_MANIFEST_DIR"))
}

fn reach(environment: &str, prefix: &str) -> Value {
    answer(["aws", "reach", prefix, "--config", &config(environment)])
}

/// Rule, read and write of each way.
fn ways(report: &Value) -> Vec<[&str; 3]> {
    let ways = report["reach"].as_array().expect("a list").iter();
    ways.map(|way| ["rule", "read", "write"].map(|name| way[name].as_str().expect("text"))).collect()
}

#[test]
fn a_run_of_a_pull_request_is_reached_by_its_own_rule_only() {
    for prefix in ["pr-7/run-12", "pr-7/run-12/", "pr-7/run-12/logs/"] {
        let report = reach("test", prefix);
        assert_eq!(ways(&report), [["github-pull-request", "yes", "yes"]], "{prefix}");
        let way = &report["reach"][0];
        assert_eq!(way["values"], json!(["pr-7/run-12"]));
        assert_eq!(way["claims"], json!({"pull_request": "7", "run_id": "12"}));
        assert_eq!((&way["whole"], &way["uncertain"]), (&json!(true), &json!([])));
        assert!(way["who"].as_str().unwrap().contains("repository_id 456789"), "{way}");
    }
    assert_eq!(ways(&reach("prod", "pr-7/run-12")), [[""; 3]; 0]);
}

#[test]
fn a_wallet_is_read_by_its_session_and_cannot_be_written() {
    let wallet = "0x7a6ed1c0ffee5eed00000000000000000000d00d";
    for environment in ["prod", "test"] {
        assert_eq!(ways(&reach(environment, wallet)), [["wallet", "yes", "no"]]);
        assert_eq!(ways(&reach(environment, &wallet.to_uppercase())), [[""; 3]; 0]);
    }
}

#[test]
fn what_an_expression_decides_may_be() {
    let report = reach("test", "branch-main/run-12");
    assert_eq!(ways(&report), [["github-branch", "may", "may"]]);
    assert!(report["reach"][0]["uncertain"][0].as_str().unwrap().contains("an expression"), "{report}");
}

#[test]
fn the_whole_bucket_is_reached_by_every_rule() {
    for environment in ["prod", "test"] {
        let report = reach(environment, "");
        assert_eq!(report["no_reach"], json!([]));
        assert!(report["reach"].as_array().unwrap().iter().all(|way| way["whole"] == false), "{report}");
    }
}

#[test]
fn the_text_says_who_and_why() {
    let text = |prefix: &str| {
        let output = run(["aws", "reach", prefix, "--config", &config("test")]);
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    };
    let certain = text("pr-7/run-12");
    for part in ["pr-7/run-12/ is reached by", "github-pull-request", "repository_id 456789", "Not reached by: wallet"]
    {
        assert!(certain.contains(part), "{part}: {certain}");
    }
    let uncertain = text("branch-main");
    for part in ["may", "cannot be excluded", "(a part)"] {
        assert!(uncertain.contains(part), "{part}: {uncertain}");
    }
    assert!(text("elsewhere").starts_with("No rule reaches s3://"));
}

#[test]
fn the_bucket_may_be_named_and_must_be_the_right_one() {
    let bucket = reach("test", "")["bucket"].as_str().unwrap().to_owned();
    let named = reach("test", &format!("s3://{bucket}/pr-7/run-12"));
    assert_eq!((ways(&named).len(), named["prefix"].as_str()), (1, Some("pr-7/run-12/")));
    let other = reach_failure("s3://other/pr-7", 2);
    assert!(other.contains(&bucket) && other.contains("`other`"), "{other}");
    assert!(reach_failure("/pr-7", 2).contains("Leave the slash out"));
    let account = answer(["aws", "reach", "", "--account", "210987654321", "--config", &config("test")]);
    assert!(account["bucket"].as_str().unwrap().contains("210987654321"), "{account}");
}

fn reach_failure(prefix: &str, code: i32) -> String {
    failure(["aws", "reach", prefix, "--config", &config("test")], code)["message"].as_str().expect("text").to_owned()
}
