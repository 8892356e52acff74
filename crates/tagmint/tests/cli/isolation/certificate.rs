//! Who vouches for a prod issuer's certificate: a certificate that signs itself is refused, a private authority is warned of.

use std::{fs, os::unix::fs::PermissionsExt};

use rustix::process::Signal;
use serde_json::Value;
use tagmint_testkit::certificates::{Certificates, self_signed, under_an_authority};

use super::worlds::{TEST_HOST, Worlds};
use crate::process::{Running, failure, json, run, wait_for};

const PROD_HOST: &str = "broker.example.org";

/// Puts certificate and key into a world's folder.
fn put(worlds: &Worlds, world: &str, certificates: &Certificates) {
    let key = worlds.folder(world).join("key.pem");
    fs::write(worlds.folder(world).join("chain.pem"), &certificates.certificate_pem).expect("a certificate");
    fs::write(&key, &certificates.key_pem).expect("a key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).expect("its mode");
}

fn with_files(world: &str, certificates: &Certificates) -> Worlds {
    let worlds = Worlds::new();
    put(&worlds, world, certificates);
    let files = "mode = \"files\"\ncertificate = \"chain.pem\"\nkey = \"key.pem\"";
    worlds.change(world, "mode = \"proxy\"", files);
    worlds
}

#[test]
fn a_self_signed_certificate_is_refused_in_prod() {
    let worlds = with_files("prod", &self_signed(&[PROD_HOST]));
    let told = "chain.pem is self-signed, and this is a prod issuer";
    let error = failure(["serve", "--config", &worlds.config("prod")], 3);
    assert_eq!(error["code"], "file");
    assert!(error["message"].as_str().unwrap().contains(told), "{error}");
    let checked = run(["check", "--config", &worlds.config("prod")]);
    let shown = String::from_utf8(checked.stdout).unwrap();
    assert_eq!(checked.status.code(), Some(3));
    assert!(shown.contains("WRONG  TLS") && shown.contains(told), "{shown}");
    // A test issuer may have one: for a look around.
    let worlds = with_files("test", &self_signed(&[TEST_HOST]));
    assert_eq!(json(["check", "--config", &worlds.config("test")])["ok"], true);
}

#[test]
fn a_private_authority_is_warned_of_in_prod_and_a_self_signed_successor_is_not_taken_up() {
    let worlds = with_files("prod", &under_an_authority(&[PROD_HOST]));
    let told = "is issued by CN=a throw-away CA of a test, which this machine does not trust";
    let warned = |found: &Value| found["warnings"].to_string().contains(told);
    let checked = json(["check", "--config", &worlds.config("prod")]);
    assert!(warned(&checked) && checked["ok"] == true, "{checked}");
    let mut serve = Running::start(["serve", "--config", &worlds.config("prod")], &worlds.folder("prod"));
    assert!(serve.stderr().contains(told), "{}", serve.stderr());
    put(&worlds, "prod", &self_signed(&[PROD_HOST]));
    serve.signal(Signal::HUP);
    wait_for("the complaint", || serve.stderr().contains("the old one stays"));
    assert!(serve.stderr().contains("is self-signed, and this is a prod issuer"), "{}", serve.stderr());
    serve.signal(Signal::TERM);
    assert_eq!(serve.end(), Some(0), "{}", serve.stderr());
    // In test nobody is warned.
    let worlds = with_files("test", &under_an_authority(&[TEST_HOST]));
    assert!(!warned(&json(["check", "--config", &worlds.config("test")])));
}

#[test]
fn an_acme_server_that_aws_does_not_trust_is_warned_of_in_prod() {
    let trial = Some("is for trials: AWS does not trust its certificates");
    let here = Some("is this machine: AWS does not trust its certificates");
    for (directory, told) in [
        ("https://acme-staging-v02.api.letsencrypt.org/directory", trial),
        ("https://dv.acme-v02.test-api.pki.goog/directory", trial),
        ("https://api.test4.buypass.no/acme/directory", trial),
        ("https://localhost:14000/dir", here),
        ("https://127.0.0.1:14000/dir", here),
        ("https://acme-v02.api.letsencrypt.org/directory", None),
        ("https://acme.latest.example/directory", None),
    ] {
        for world in ["prod", "test"] {
            let worlds = Worlds::new();
            let acme =
                format!("mode = \"acme\"\n[tls.acme]\nterms_of_service_agreed = true\ndirectory = \"{directory}\"\n");
            worlds.change(world, "mode = \"proxy\"\n", &acme);
            let warnings = json(["check", "--config", &worlds.config(world)])["warnings"].to_string();
            let told = told.filter(|_| world == "prod");
            assert_eq!(warnings.contains("AWS does not trust"), told.is_some(), "{world} {directory}: {warnings}");
            assert!(told.is_none_or(|told| warnings.contains(told)), "{warnings}");
        }
    }
}
