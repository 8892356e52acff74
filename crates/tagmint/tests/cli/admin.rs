//! The operator's commands, against the database of a running issuer.

use std::{fs, io::Write, path::Path, process::Stdio};

use rustix::process::Signal;
use serde_json::{Value, json};
use tagmint_core::{
    environment::Environment,
    issued_secret::{IssuedSecret, SecretKind},
    random::SystemRandom,
};
use tempfile::{TempDir, tempdir};

use crate::process::{Running, failure, json as run_json, run, tagmint};

fn dev() -> (Running, String, TempDir) {
    let folder = tempdir().expect("a folder");
    let dir = folder.path().join("dev");
    let dev = Running::start(["dev".as_ref(), "--dir".as_ref(), dir.as_os_str()], folder.path());
    let config = dev.field("config").to_owned();
    (dev, config, folder)
}

#[tokio::test(flavor = "multi_thread")]
async fn bearers_are_made_used_and_revoked() {
    let (dev, config, _folder) = dev();
    let made = run_json([
        "bearer",
        "create",
        "--config",
        &config,
        "--name",
        "nightly",
        "--rule",
        "ci",
        "--expires",
        "90d",
        "--attribute",
        "a=b",
    ]);
    let secret = made["bearer"].as_str().unwrap();
    assert!(secret.starts_with("tmb_test_"));
    let minted = dev.post("/v1/tokens", secret, json!({"tags": {"prefix": "nightly/x"}})).await;
    assert_eq!(minted.status(), 200);
    let minted: Value = minted.json().await.unwrap();
    assert_eq!((&minted["subject"], &minted["tags"]["prefix"]), (&json!("bearer:nightly"), &json!("nightly/x")));

    let listed = run_json(["bearer", "list", "--config", &config]);
    let nightly = listed.as_array().unwrap().iter().find(|bearer| bearer["name"] == "nightly").unwrap();
    assert_eq!(
        (&nightly["id"], &nightly["rule"], &nightly["attributes"]["a"]),
        (&made["id"], &json!("ci"), &json!("b"))
    );
    assert!(!listed.to_string().contains(secret));
    let text = run(["bearer", "list", "--config", &config]);
    assert!(String::from_utf8(text.stdout).unwrap().contains("(in 90 days)"));

    let create = |name: &str, rule: &str| {
        ["bearer", "create", "--config", &config, "--name", name, "--rule", rule].map(str::to_owned)
    };
    assert_eq!(failure(create("nightly", "ci"), 1)["code"], "database");
    assert_eq!(failure(create("other", "none"), 1)["code"], "not_found");
    assert_eq!(failure(create("no spaces", "ci"), 2)["code"], "usage");
    // It would have a prefix below another bearer's.
    let slash = failure(create("nightly/x", "ci"), 2);
    assert!(slash["message"].as_str().unwrap().ends_with("use 1 to 64 letters, digits and `._-@`"), "{slash}");
    assert_eq!(failure(create("brr_x", "ci"), 2)["code"], "usage");

    run_json(["bearer", "revoke", "nightly", "--config", &config]);
    assert_eq!(dev.post("/v1/tokens", secret, json!({})).await.status(), 401);
    let again = made["id"].as_str().unwrap();
    assert_eq!(failure(["bearer", "revoke", again, "--config", &config], 1)["code"], "refused");
    assert_eq!(failure(["bearer", "revoke", "nobody", "--config", &config], 1)["code"], "not_found");
    let all = run_json(["bearer", "list", "--all", "--config", &config]);
    assert!(all.as_array().unwrap().iter().any(|bearer| bearer["state"] == "revoked"));
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_listed_and_revoked() {
    let (dev, config, _folder) = dev();
    let listed = run_json(["session", "list", "--config", &config]);
    assert_eq!(listed.as_array().unwrap().len(), 1);
    let id = listed[0]["id"].as_str().unwrap();
    assert_eq!(listed[0]["state"], "good");
    run_json(["session", "revoke", id, "--config", &config]);
    assert_eq!(dev.post("/v1/tokens", dev.field("session"), json!({})).await.status(), 401);
    assert_eq!(run_json(["session", "list", "--config", &config]), json!([]));
    assert_eq!(failure(["session", "revoke", id, "--config", &config], 1)["code"], "refused");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_rotated_and_withdrawn_within_the_rules() {
    let (dev, config, _folder) = dev();
    let keys = |more: &[&str]| {
        [&["keys"], more, &["--config", &config]].concat().iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let first = run_json(keys(&["list"]));
    let active = first[0]["kid"].as_str().unwrap();
    let soon = failure(keys(&["rotate", "--after", "5s"]), 1);
    assert!(soon["message"].as_str().unwrap().contains("must be published for"), "{soon}");
    let kept = failure(keys(&["withdraw", active]), 1);
    assert!(kept["message"].as_str().unwrap().contains("--compromised"), "{kept}");

    let changed = run_json(keys(&["rotate", "--after", "2m"]));
    let next = changed.as_array().unwrap().iter().find(|key| key["phase"] == "next").unwrap()["kid"].as_str().unwrap();
    let url = format!("{}/.well-known/jwks.json", dev.field("issuer"));
    // The running issuer takes the new key up by itself.
    let mut published = String::new();
    for _ in 0..200 {
        published = dev.client().get(&url).send().await.unwrap().text().await.unwrap();
        if published.contains(next) {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert!(published.contains(next) && published.contains(active), "{published}");
    run_json(keys(&["withdraw", next]));
    let after = run_json(keys(&["list"]));
    let phase = |kid: &str| after.as_array().unwrap().iter().find(|key| key["kid"] == kid).unwrap()["phase"].clone();
    assert_eq!((phase(active), phase(next)), (json!("active"), json!("withdrawn")));
}

#[tokio::test(flavor = "multi_thread")]
async fn fetches_of_the_key_set_are_shown_and_survive_an_orderly_end() {
    let (mut dev, config, folder) = dev();
    dev.signal(Signal::TERM);
    assert_eq!(dev.end(), Some(0));
    let told = Path::new(&config).with_file_name("told.toml");
    let witness = "[witness]\nuser_agents = [\"fetcher/\"]\nnetworks = [\"127.0.0.0/8\"]\n";
    fs::write(&told, format!("{}\n{witness}", fs::read_to_string(&config).unwrap())).unwrap();
    let told = told.to_str().unwrap();
    let mut issuer = Running::start(["serve", "--config", told], folder.path());
    let url = |path: &str| format!("{}/.well-known/{path}", issuer.field("issuer"));
    for (path, agent) in [("openid-configuration", "fetcher/2"), ("jwks.json", "fetcher/2"), ("jwks.json", "other")] {
        let answer = dev.client().get(url(path)).header("user-agent", agent).send().await.unwrap();
        assert_eq!(answer.status(), 200);
    }
    issuer.signal(Signal::TERM);
    assert_eq!(issuer.end(), Some(0));

    let by_sts = run_json(["keys", "fetches", "--class", "sts", "--config", told]);
    let documents: Vec<_> = by_sts.as_array().unwrap().iter().map(|row| row["document"].clone()).collect();
    assert_eq!(documents.len(), 2, "{by_sts}");
    assert!(documents.contains(&json!("discovery")) && documents.contains(&json!("jwks")), "{by_sts}");
    assert_eq!((&by_sts[0]["network"], &by_sts[0]["user_agent"]), (&json!("127.0.0.0/24"), &json!("fetcher/2")));
    assert_eq!(run_json(["keys", "fetches", "--config", told]).as_array().unwrap().len(), 3);
    let listed = run_json(["keys", "list", "--config", told]);
    let [sts, others] = ["fetched_by_sts", "fetched_by_others"].map(|class| &listed[0][class]["fetches"]);
    assert_eq!((sts, others), (&json!(1), &json!(1)), "{listed}");
    let text = String::from_utf8(run(["keys", "list", "--config", told]).stdout).unwrap();
    assert!(text.contains("from 127.0.0.0/24, 1×"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ledger_is_listed_verified_and_exported() {
    let (dev, config, folder) = dev();
    let ledger = |more: &[&str]| {
        [&["ledger"], more, &["--config", &config]].concat().iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let empty = run_json(ledger(&["verify"]));
    let genesis = format!("0:{}", empty["head"]["hash"].as_str().unwrap());
    assert_eq!(dev.post("/v1/tokens", dev.field("session"), json!({})).await.status(), 200);
    assert_eq!(dev.post("/v1/tokens", dev.field("session"), json!({"audience": "other"})).await.status(), 403);
    assert_eq!(dev.post("/v1/tokens", dev.field("session"), json!({})).await.status(), 200);

    let rows = run_json(ledger(&["list"]));
    let outcomes: Vec<&str> = rows.as_array().unwrap().iter().map(|row| row["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes, ["minted", "refused", "minted"]);
    assert_eq!(rows[1]["entry"]["code"], "audience_not_allowed");
    assert_eq!(run_json(ledger(&["list", "--outcome", "refused"])).as_array().unwrap().len(), 1);
    assert_eq!(run_json(ledger(&["list", "--limit", "1"]))[0]["seq"], 3);
    assert_eq!(run_json(ledger(&["list", "--since", "1h"])).as_array().unwrap().len(), 3);
    assert_eq!(run_json(ledger(&["list", "--since", "2999-01-01T00:00:00Z"])), json!([]));
    let id = rows[0]["id"].as_str().unwrap();
    assert_eq!(run_json(ledger(&["list", "--id", id]))[0]["seq"], 1);
    assert_eq!(failure(ledger(&["list", "--id", "mnt_none"]), 1)["code"], "not_found");

    let verified = run_json(ledger(&["verify"]));
    assert_eq!((&verified["rows"], &verified["head"]["hash"]), (&json!(3), &rows[2]["hash"]));
    let second = format!("2:{}", rows[1]["hash"].as_str().unwrap());
    for held in [&genesis, &second] {
        assert_eq!(run_json(ledger(&["verify", "--expect-head", held]))["expected_head_held"], true);
    }
    let (lost, rewritten) = (second.replacen("2:", "9:", 1), second.replacen("2:", "1:", 1));
    let put_back = failure(ledger(&["verify", "--expect-head", &lost]), 1);
    assert!(put_back["message"].as_str().unwrap().contains("put back to an earlier state"), "{put_back}");
    assert_eq!((&put_back["seq"], &put_back["rows_checked"]), (&json!(9), &json!(3)));
    let anew = failure(ledger(&["verify", "--expect-head", &rewritten]), 1);
    assert!(anew["message"].as_str().unwrap().contains("written anew"), "{anew}");

    let file = folder.path().join("export.jsonl");
    let name = file.to_str().unwrap();
    assert!(run(ledger(&["export", "--out", name])).status.success());
    let exported: Vec<Value> = lines(&file);
    assert_eq!(exported.len(), 3);
    assert_eq!(exported[2]["prev_hash"], exported[1]["hash"]);
    assert_eq!(failure(ledger(&["export", "--out", name]), 1)["code"], "refused");
    assert_eq!(run(ledger(&["export"])).stdout, fs::read(&file).unwrap());

    let archive = folder.path().join("archive.jsonl");
    let out = archive.to_str().unwrap();
    let young = failure(ledger(&["archive", "--before", "1h", "--out", out]), 1);
    assert!(young["message"].as_str().unwrap().contains("use `--before 24h` or more"), "{young}");
    assert_eq!(failure(ledger(&["archive", "--before", "90d", "--out", "-"]), 2)["code"], "usage");
    let nothing = run_json(ledger(&["archive", "--before", "24h", "--out", out]));
    assert_eq!((&nothing["archive"], &nothing["removed_rows"]), (&Value::Null, &json!(0)));
    assert!(!archive.exists(), "there is no file without rows");
    assert_eq!(run_json(ledger(&["verify"]))["archived"], Value::Null);
    assert_eq!(failure(ledger(&["verify", "--archive", out]), 1)["code"], "not_found");
    let export = failure(ledger(&["verify", "--archive", name]), 1);
    assert!(export["message"].as_str().unwrap().contains("is not an archive of a ledger"), "{export}");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_issuers_key_or_configuration_does_not_open_a_database() {
    let (mut dev, config, folder) = dev();
    let text = fs::read_to_string(&config).unwrap();
    let other = folder.path().join("dev/other.toml");
    fs::write(&other, text.replace("issuer = \"https://localhost", "issuer = \"https://127.0.0.1")).unwrap();
    let other = other.to_str().unwrap();
    let refused = failure(["keys", "list", "--config", other], 3);
    assert!(refused["message"].as_str().unwrap().contains("belongs to the issuer"), "{refused}");
    assert_eq!(checked(other, 3), refused["message"].as_str().unwrap());
    fs::write(other, text.replace("path = \"issuer", "path = \"none")).unwrap();
    let missing = failure(["bearer", "list", "--config", other], 3);
    assert!(missing["message"].as_str().unwrap().contains("no issuer's data"), "{missing}");
    let key = tagmint_core::sealing::MasterKey::generate_file(&SystemRandom).unwrap();
    let key_file = Path::new(dev.field("config")).with_file_name("key");
    // Written over in place, so that its mode stays.
    fs::write(key_file, key.as_bytes()).unwrap();
    let sealed = failure(["ledger", "verify", "--config", &config], 1);
    assert!(sealed["message"].as_str().unwrap().contains("seal is not genuine"), "{sealed}");
    assert_eq!((&sealed["seq"], &sealed["rows_checked"]), (&json!(null), &json!(0)));

    // What `serve` refuses `check` refuses, in the same words and with the same code.
    dev.signal(Signal::TERM);
    assert_eq!(dev.end(), Some(0));
    let refused = failure(["serve", "--config", &config], 3);
    assert!(refused["message"].as_str().unwrap().contains("the key file is another one"), "{refused}");
    assert_eq!(checked(&config, 3), refused["message"].as_str().unwrap());

    let database = format!("issuer-{}.db", dev.field("issuer").rsplit_once(':').unwrap().1);
    let database = Path::new(&config).with_file_name(database);
    fs::write(&database, "this is no database, but long enough to be one for a look at its first page".repeat(99))
        .unwrap();
    let refused = failure(["serve", "--config", &config], 3);
    assert_eq!(checked(&config, 3), refused["message"].as_str().unwrap());
}

/// What `check` says of the database that it refuses.
fn checked(config: &str, code: i32) -> String {
    let output = run(["check", "--config", config, "--format", "json"]);
    assert_eq!(output.status.code(), Some(code), "{}", String::from_utf8_lossy(&output.stderr));
    let told: Value = serde_json::from_slice(&output.stdout).expect("stdout is JSON");
    let files = told["files"].as_array().expect("a list of files");
    let database = files.iter().find(|file| file["what"] == "database").expect("the database is listed");
    assert_eq!(database["ok"], false, "{told}");
    database["state"].as_str().expect("a state").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn leaked_secrets_revoke_and_are_not_repeated() {
    let (dev, config, _folder) = dev();
    let (bearer, session) = (dev.field("bearer").to_owned(), dev.field("session").to_owned());
    let unissued = IssuedSecret::generate(SecretKind::Bearer, Environment::Test, &SystemRandom).unwrap();
    let other_world = IssuedSecret::generate(SecretKind::Session, Environment::Prod, &SystemRandom).unwrap();
    let cut = &bearer[..20];
    for (command, secret, code) in [
        ("bearer", unissued.expose(), 1),
        ("bearer", cut, 1),
        ("bearer", session.as_str(), 1),
        ("bearer", other_world.expose(), 1),
        ("session", bearer.as_str(), 1),
        ("session", "tms_test_short", 1),
        ("keys", bearer.as_str(), 2),
        ("ledger", bearer.as_str(), 2),
    ] {
        for format in ["text", "json"] {
            let verb = if command == "keys" { "withdraw" } else { "revoke" };
            let output = run([command, verb, secret, "--config", &config, "--format", format]);
            assert_eq!(output.status.code(), Some(code), "{command}");
            let said = [output.stdout, output.stderr].concat();
            let said = String::from_utf8(said).unwrap();
            assert!(!said.contains(secret) && !said.is_empty(), "{command}: {said}");
        }
    }
    let before = run_json(["bearer", "list", "--config", &config]);
    assert_eq!(run_json(["bearer", "revoke", &bearer, "--config", &config])["name"], "dev");
    let after = run_json(["bearer", "list", "--all", "--config", &config]);
    // Who revokes it has not used it.
    assert_eq!(after[0]["last_used_at"], before[0]["last_used_at"]);
    assert_eq!(dev.post("/v1/tokens", &bearer, json!({})).await.status(), 401);
    assert_eq!(failure(["bearer", "revoke", &bearer, "--config", &config], 1)["code"], "refused");

    let mut revoke = tagmint(["session", "revoke", "--secret-stdin", "--config", &config, "--format", "json"]);
    let mut child = revoke.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(format!("{session}\n").as_bytes()).unwrap();
    assert!(child.wait_with_output().unwrap().status.success());
    assert_eq!(dev.post("/v1/tokens", &session, json!({})).await.status(), 401);
    assert_eq!(failure(["session", "revoke", "--config", &config], 2)["code"], "usage");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_reads_json_alone() {
    let (_dev, config, _folder) = dev();
    for command in [
        &["bearer", "create", "--name", "quiet"][..],
        &["keys", "rotate", "--after", "2m"],
        &["ledger", "list"],
        &["ledger", "verify"],
        &["ledger", "export"],
    ] {
        let output = run(command.iter().chain(&["--config", &config, "--format", "json"]));
        assert!(output.status.success(), "{command:?}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{command:?}");
        assert!(!run(command.iter().chain(&["--config", &config])).stderr.is_empty(), "{command:?} talks to people");
    }
    let output = run(["check", "--config", &config, "--format", "json"]);
    assert!(output.status.success());
    for line in String::from_utf8(output.stderr).unwrap().lines() {
        assert!(serde_json::from_str::<Value>(line).unwrap()["warning"].is_string(), "{line}");
    }
}

fn lines(file: &Path) -> Vec<Value> {
    let text = fs::read_to_string(file).expect("the export");
    text.lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect()
}
