//! `check --against --remote`: what two running issuers serve under their own names.

use std::{fs, net::SocketAddr};

use serde_json::{Value, json};
use tagmint_testkit::front::Front;

use super::{
    pairs::{Side, both},
    part,
    worlds::{TEST_HOST, Worlds},
};
use crate::process::tagmint;

const PROD_HOST: &str = "broker.example.org";

fn address(side: &Side) -> SocketAddr {
    side.address.parse().expect("an address")
}

/// The findings, the exit code and the error, from the test issuer's side.
fn look(worlds: &Worlds, front: &Front) -> (Value, Option<i32>, String) {
    let ca = worlds.folder("test").join("ca.pem");
    fs::write(&ca, front.ca_pem()).expect("a file");
    let (test, prod, ca) = (worlds.config("test"), worlds.config("prod"), ca.display().to_string());
    let arguments = ["check", "--config", &test, "--against", &prod, "--remote", "--ca-file", &ca, "--format", "json"];
    let mut command = tagmint(arguments);
    command.env("HTTPS_PROXY", front.proxy()).env("https_proxy", front.proxy());
    let output = command.env_remove("NO_PROXY").env_remove("no_proxy").output().expect("the binary starts");
    let found = serde_json::from_slice(&output.stdout).expect("stdout is JSON");
    (found, output.status.code(), String::from_utf8(output.stderr).expect("text"))
}

#[tokio::test(flavor = "multi_thread")]
async fn issuers_that_serve_keys_of_their_own_are_isolated_and_one_that_serves_the_others_is_told() {
    let worlds = Worlds::new();
    // Prod's answers to the other's name, too, and its configuration does not say so any more.
    let public = "public = \"127.0.0.1:0\"";
    let named = format!("{public}\nnames = [\"{TEST_HOST}\"]");
    worlds.change("prod", public, &named);
    let [prod, test] = both(&worlds).await;
    let (_, code) = super::against(&worlds, &[]);
    assert_eq!(code, Some(1), "a host of both");
    worlds.change("prod", &named, public);
    let front = Front::start(&[PROD_HOST, TEST_HOST]).await;
    front.lead(PROD_HOST, address(&prod));
    front.lead(TEST_HOST, address(&test));
    let (found, code, error) = look(&worlds, &front);
    let keys = part(&found, "signing key");
    assert_eq!((keys["verdict"].as_str(), code), (Some("isolated"), Some(0)), "{found} {error}");
    assert_eq!((&keys["this"], &keys["other"]), (&json!(test.kids().await), &json!(prod.kids().await)));
    // A site that leads to the other's issuer: nothing in the two configurations and databases shows it.
    front.lead(TEST_HOST, address(&prod));
    let (found, code, error) = look(&worlds, &front);
    let keys = part(&found, "signing key");
    assert_eq!((keys["verdict"].as_str(), code), (Some("shared"), Some(1)), "{found}");
    assert_eq!(keys["shared"], json!(prod.kids().await), "{keys}");
    assert!(error.contains("signing key") && error.contains(&prod.kids().await[0]), "{error}");
    assert_eq!(super::against(&worlds, &[]).1, Some(0), "without --remote nothing is noticed");
    // An issuer shows nothing under a name that it does not know as its own.
    front.lead(PROD_HOST, address(&test));
    let (found, code, error) = look(&worlds, &front);
    let keys = part(&found, "signing key");
    assert_eq!((keys["verdict"].as_str(), code), (Some("unknown"), Some(4)), "{found} {error}");
    assert!(error.contains("421"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_that_does_not_answer_was_not_compared() {
    let worlds = Worlds::new();
    let [prod, _test] = both(&worlds).await;
    let front = Front::start(&[PROD_HOST, TEST_HOST]).await;
    front.lead(PROD_HOST, address(&prod));
    let (found, code, error) = look(&worlds, &front);
    let keys = part(&found, "signing key");
    assert_eq!((keys["verdict"].as_str(), code), (Some("unknown"), Some(4)), "{found} {error}");
    assert!(error.contains("\"unreachable\"") && error.contains("the keys that https://test-broker"), "{error}");
    // What is shared all the same is the graver news.
    worlds.change(
        "test",
        "audiences = [\"https://test-broker.example.org\"]",
        "audiences = [\"https://broker.example.org\"]",
    );
    let (found, code, error) = look(&worlds, &front);
    assert_eq!((part(&found, "CI audience")["verdict"].as_str(), code), (Some("shared"), Some(1)), "{error}");
}
