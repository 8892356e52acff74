//! Bearers with a scope, rotated, and ended by who shows them.

use serde_json::{Value, json};
use tagmint_core::clock::{Clock, SystemClock};
use tempfile::tempdir;

use crate::process::{Running, failure, json as run_json, run, wait_for};

/// A command about bearers, on this issuer's database.
fn bearer(dev: &Running, args: &[&str]) -> Vec<String> {
    let command = [&["bearer"], args, &["--config", dev.field("config")]].concat();
    command.into_iter().map(str::to_owned).collect()
}

fn start(folder: &tempfile::TempDir) -> Running {
    let dir = folder.path().join("dev");
    Running::start(["dev".as_ref(), "--dir".as_ref(), dir.as_os_str()], folder.path())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scope_confines_whatever_the_rule_gives() {
    let folder = tempdir().unwrap();
    let dev = start(&folder);
    let made = run_json(bearer(&dev, &["create", "--name", "nightly", "--rule", "ci", "--prefix-scope", "nightly/a"]));
    assert_eq!(made["scope"], json!({"prefix": "nightly/a"}));
    let secret = made["bearer"].as_str().unwrap();
    for (prefix, status) in [("nightly/a", 200), ("nightly/a/b", 200), ("nightly/ab", 403), ("nightly", 403)] {
        let answer = dev.post("/v1/tokens", secret, json!({"tags": {"prefix": prefix}})).await;
        assert_eq!(answer.status().as_u16(), status, "{prefix}");
    }
    let refused: Value = dev.post("/v1/tokens", secret, json!({})).await.json().await.unwrap();
    assert!(refused["detail"].as_str().unwrap().contains("`prefix` is \"nightly/a\" or lies below it"), "{refused}");
    let listed = run(bearer(&dev, &["list"]));
    let listed = String::from_utf8(listed.stdout).unwrap();
    assert!(listed.contains("prefix=nightly/a") && listed.contains("SCOPE"), "{listed}");

    let create = |scopes: &[&str]| {
        let scopes: Vec<&str> = scopes.iter().flat_map(|scope| ["--prefix-scope", scope]).collect();
        bearer(&dev, &[&["create", "--name", "x"], scopes.as_slice()].concat())
    };
    for wrong in [&["/"][..], &["a/"], &["team="], &["a", "prefix=b"], &["a/../b"]] {
        assert_eq!(failure(create(wrong), 2)["code"], "usage", "{wrong:?}");
    }
    let two = run_json(create(&["a", "team=blue/green"]));
    assert_eq!(two["scope"], json!({"prefix": "a", "team": "blue/green"}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_keeps_all_but_the_secret() {
    let folder = tempdir().unwrap();
    let dev = start(&folder);
    let made = run_json(bearer(
        &dev,
        &[
            "create",
            "--name",
            "nightly",
            "--rule",
            "ci",
            "--expires",
            "90d",
            "--prefix-scope",
            "nightly",
            "--attribute",
            "a=b",
        ],
    ));
    let rotated = run_json(bearer(&dev, &["rotate", "nightly", "--overlap", "24h"]));
    let started = SystemClock.now().as_second();
    for same in ["name", "rule", "scope", "attributes"] {
        assert_eq!(rotated[same], made[same], "{same}");
    }
    assert_eq!((&rotated["replaces"]["id"], &rotated["ended"]), (&made["id"], &json!([])));
    let (old, new) = (made["bearer"].as_str().unwrap(), rotated["bearer"].as_str().unwrap());
    assert_ne!(old, new);
    let works = async |secret: &str| dev.post("/v1/tokens", secret, json!({})).await.status() == 200;
    assert!(works(old).await && works(new).await);

    let listed = run_json(bearer(&dev, &["list"]));
    let listed: Vec<&Value> = listed.as_array().unwrap().iter().filter(|bearer| bearer["name"] == "nightly").collect();
    assert_eq!(listed.len(), 2);
    let first = listed.iter().find(|bearer| bearer["id"] == made["id"]).unwrap();
    assert_eq!((&first["state"], &first["replaced_by"]), (&json!("good"), &rotated["id"]));
    assert_eq!(first["expires_at"], rotated["replaces"]["expires_at"]);
    let text = String::from_utf8(run(bearer(&dev, &["list"])).stdout).unwrap();
    assert!(text.contains("good, replaced") && !text.contains(old) && !text.contains(new), "{text}");

    let refused = failure(bearer(&dev, &["rotate", "nightly", "--overlap", "1h"]), 1);
    assert!(refused["message"].as_str().unwrap().contains("two secrets already"), "{refused}");
    assert_eq!(refused["code"], "refused");
    // Moments are kept in whole seconds: a life of none is another case.
    wait_for("the next second", || SystemClock.now().as_second() > started);
    let forced = run_json(bearer(&dev, &["rotate", "nightly", "--overlap", "0s", "--expires", "1d", "--force"]));
    assert_eq!(forced["ended"], json!([made["id"]]));
    let newest = forced["bearer"].as_str().unwrap();
    assert!(!works(old).await && !works(new).await && works(newest).await);

    assert_eq!(failure(bearer(&dev, &["rotate", "nobody", "--overlap", "1h"]), 1)["code"], "not_found");
    let typed = failure(bearer(&dev, &["rotate", new, "--overlap", "1h"]), 2);
    assert!(!typed["message"].as_str().unwrap().contains(new), "{typed}");
    run_json(bearer(&dev, &["rotate", "nightly", "--overlap", "1h"]));
    let revoked = run_json(bearer(&dev, &["revoke", "nightly"]));
    assert_eq!(revoked["ids"].as_array().unwrap().len(), 3, "by its name all that were not: {revoked}");
    assert!(!works(newest).await);
    assert_eq!(failure(bearer(&dev, &["rotate", "nightly", "--overlap", "1h"]), 1)["code"], "refused");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leaked_bearer_is_ended_by_showing_it() {
    let folder = tempdir().unwrap();
    let dev = start(&folder);
    let made = run_json(bearer(&dev, &["create", "--name", "nightly", "--rule", "ci"]));
    let secret = made["bearer"].as_str().unwrap();
    let url = format!("{}/oauth2/revoke", dev.field("issuer"));
    let answer = dev.client().post(&url).form(&[("token", secret)]).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let answer: Value = answer.json().await.unwrap();
    assert_eq!(answer["revoked"], true, "{answer}");
    assert_eq!(dev.post("/v1/tokens", secret, json!({})).await.status(), 401);
    let listed = run_json(bearer(&dev, &["list", "--all"]));
    let found = listed.as_array().unwrap().iter().find(|bearer| bearer["id"] == made["id"]).unwrap();
    assert_eq!(found["state"], "revoked");
}
