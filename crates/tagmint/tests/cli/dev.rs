//! `tagmint dev` and `tagmint demo`.

use std::fs;

use rustix::process::Signal;
use serde_json::{Value, json};
use tagmint_core::{
    clock::{Clock, SystemClock},
    jwk::VerificationKeys,
    jws::{Expected, verify},
};
use tempfile::tempdir;

use crate::process::{Running, failure, json as run_json, run};

#[tokio::test(flavor = "multi_thread")]
async fn a_local_issuer_mints_from_the_first_line_on() {
    let folder = tempdir().unwrap();
    let dir = folder.path().join("made/here");
    let dir = dir.to_str().unwrap();
    let mut dev = Running::start(["dev", "--dir", dir, "--listen", "127.0.0.1:0"], folder.path());
    let mut names: Vec<&str> = dev.ready.as_object().unwrap().keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["admin", "auth_token", "bearer", "ca_file", "config", "issuer", "session"]);
    assert_eq!(dev.field("auth_token"), "federation-proof");

    let issuer = dev.field("issuer").to_owned();
    let client = dev.client();
    let discovery: Value =
        client.get(format!("{issuer}/.well-known/openid-configuration")).send().await.unwrap().json().await.unwrap();
    assert_eq!(discovery["issuer"], issuer.as_str());
    let keys = client.get(discovery["jwks_uri"].as_str().unwrap()).send().await.unwrap();
    assert_eq!(keys.headers()["cache-control"], "public, max-age=60");
    let keys = keys.bytes().await.unwrap();
    assert!(serde_json::from_slice::<Value>(&keys).unwrap()["keys"][0]["x5c"].is_array());
    let keys = VerificationKeys::parse(&keys).unwrap();

    let opened = client.post(format!("{issuer}/v1/sessions")).json(&json!({"auth_token": "federation-proof"}));
    let opened: Value = opened.send().await.unwrap().json().await.unwrap();
    for credential in [dev.field("session"), opened["session"].as_str().unwrap(), dev.field("bearer")] {
        let answer = dev.post("/v1/tokens", credential, json!({})).await;
        assert_eq!(answer.status(), 200);
        let answer: Value = answer.json().await.unwrap();
        let expected =
            Expected { issuer: &issuer, audience: "sts.amazonaws.com", now: SystemClock.now(), leeway_seconds: 5 };
        let token = verify(answer["token"].as_str().unwrap(), &keys, &expected).unwrap();
        assert_eq!(token.claims["jti"], answer["mint_id"]);
        assert_eq!(token.claims["https://aws.amazon.com/source_identity"], answer["mint_id"]);
        assert!(token.claims["https://aws.amazon.com/roles"].is_array());
    }
    let figures = reqwest::get(format!("{}/metrics", dev.field("admin"))).await.unwrap().text().await.unwrap();
    assert!(figures.contains("tagmint_mints_total"), "{figures}");

    // Nobody who tries things out is told to slow down.
    let limits = tagmint::config::Config::load(std::path::Path::new(dev.field("config"))).unwrap().settings.limits;
    assert_eq!((limits.per_credential.per_second, limits.per_address.per_second), (0, 0));

    dev.signal(Signal::TERM);
    assert_eq!(dev.end(), Some(0), "{}", dev.stderr());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_folder_is_the_same_issuer_even_after_a_kill() {
    let folder = tempdir().unwrap();
    let dir = folder.path().join("dev");
    let dir = dir.to_str().unwrap();
    let mut first = Running::start(["dev", "--dir", dir], folder.path());
    let busy = failure(["dev", "--dir", dir], 1);
    assert!(busy["message"].as_str().unwrap().contains("is running in"), "{busy}");
    assert_eq!(first.post("/v1/tokens", first.field("session"), json!({})).await.status(), 200);
    first.signal(Signal::KILL);
    assert_eq!(first.end(), None);

    let config = fs::read_to_string(first.field("config")).unwrap();
    fs::write(first.field("config"), config.replace("max_lifetime = \"15m\"", "max_lifetime = \"6m\"")).unwrap();
    let mut second = Running::start(["dev", "--dir", dir], folder.path());
    assert_eq!(second.field("issuer"), first.field("issuer"));
    assert_eq!(fs::read(second.field("ca_file")).unwrap(), fs::read(first.field("ca_file")).unwrap());
    // The session of before is good still; the bearer was replaced; the edited rule is in force.
    let long = json!({"lifetime_seconds": 900});
    assert_eq!(second.post("/v1/tokens", first.field("session"), json!({})).await.status(), 200);
    assert_eq!(second.post("/v1/tokens", first.field("session"), long).await.status(), 403);
    assert_eq!(second.post("/v1/tokens", first.field("bearer"), json!({})).await.status(), 401);
    assert_eq!(second.post("/v1/tokens", second.field("bearer"), json!({})).await.status(), 200);
    let verified = run_json(["ledger", "verify", "--config", second.field("config")]);
    assert_eq!((&verified["verified"], &verified["rows"]), (&json!(true), &json!(5)));
    second.signal(Signal::INT);
    assert_eq!(second.end(), Some(0), "{}", second.stderr());
}

#[tokio::test(flavor = "multi_thread")]
async fn another_port_is_another_issuer_with_a_database_of_its_own() {
    let folder = tempdir().unwrap();
    let dir = folder.path().join("dev");
    let dir = dir.to_str().unwrap();
    let mut first = Running::start(["dev", "--dir", dir], folder.path());
    first.signal(Signal::TERM);
    assert_eq!(first.end(), Some(0));
    let port = first.field("issuer").rsplit_once(':').unwrap().1;
    let taken = std::net::TcpListener::bind(format!("127.0.0.1:{port}")).unwrap();
    let second = Running::start(["dev", "--dir", dir, "--algorithm", "RS256"], folder.path());
    drop(taken);
    assert_ne!(second.field("issuer"), first.field("issuer"));
    assert!(second.stderr().contains("is taken by another program"), "{}", second.stderr());
    let keys = run_json(["keys", "list", "--config", second.field("config")]);
    assert_eq!(keys[0]["algorithm"], "RS256");
    assert_eq!(second.post("/v1/tokens", second.field("session"), json!({})).await.status(), 200);
}

#[test]
fn the_demo_proves_every_step() {
    let shown = run_json(["demo"]);
    assert_eq!(shown["passed"], true, "{shown}");
    let steps = shown["steps"].as_array().unwrap();
    assert!(steps.len() >= 35 && steps.iter().all(|step| step["passed"] == true), "{shown}");
    assert_eq!(shown["token"]["header"]["typ"], "JWT");
    assert_eq!(shown["token"]["claims"]["aud"], "sts.amazonaws.com");

    let text = run(["demo"]);
    assert!(text.status.success());
    let text = String::from_utf8(text.stdout).unwrap();
    for said in [
        "✓ a revoked session mints nothing",
        "✓ an expired token opens no session",
        "Every step holds.",
        "Not shown here",
    ] {
        assert!(text.contains(said), "{text}");
    }
}
