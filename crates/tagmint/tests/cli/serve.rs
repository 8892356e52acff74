//! `tagmint serve` and `tagmint mock-backend`.

use std::{fs, path::PathBuf};

use rustix::process::Signal;
use serde_json::{Value, json};
use tagmint_core::clock::{Clock, SystemClock};
use tempfile::{TempDir, tempdir};

use crate::process::{Running, client, failure, wait_for};

/// The folder of a local issuer that has ended, to run `serve` on: with logs as chatty as they get.
pub(crate) struct Prepared {
    pub(crate) folder: TempDir,
    pub(crate) config: String,
    pub(crate) ca_file: PathBuf,
    pub(crate) issuer: String,
    backend: String,
    pub(crate) session: String,
    pub(crate) bearer: String,
}

pub(crate) fn prepare() -> Prepared {
    let folder = tempdir().expect("a folder");
    let dir = folder.path().join("dev");
    let mut dev = Running::start(["dev".as_ref(), "--dir".as_ref(), dir.as_os_str()], folder.path());
    dev.signal(Signal::TERM);
    assert_eq!(dev.end(), Some(0), "{}", dev.stderr());
    let config = dev.field("config").to_owned();
    let text = fs::read_to_string(&config).expect("the configuration");
    let (_, backend) = text.split_once("url = \"http://").expect("a session backend");
    let backend = backend.split_once('"').expect("a quoted URL").0.to_owned();
    fs::write(&config, text.replace("format = \"text\"", "format = \"json\"\nlevel = \"trace\"")).expect("written");
    Prepared {
        config,
        backend,
        ca_file: dev.field("ca_file").into(),
        issuer: dev.field("issuer").to_owned(),
        session: dev.field("session").to_owned(),
        bearer: dev.field("bearer").to_owned(),
        folder,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sighup_takes_up_a_new_certificate_and_keeps_the_old_one_when_it_is_bad() {
    let prepared = prepare();
    let mut serve = Running::start(["serve", "--config", &prepared.config], prepared.folder.path());
    let mut names: Vec<&str> = serve.ready.as_object().unwrap().keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["admin", "issuer"]);
    assert_eq!(serve.field("issuer"), prepared.issuer);
    assert!(serve.field("admin").starts_with("http://127.0.0.1:"));
    let live = format!("{}/livez", prepared.issuer);
    let answers = async |ca: &PathBuf| client(ca).get(&live).send().await.is_ok();
    assert!(answers(&prepared.ca_file).await);

    let (certificate, key) =
        (prepared.ca_file.with_file_name("server.pem"), prepared.ca_file.with_file_name("server-key.pem"));
    fs::write(&certificate, "no certificate").unwrap();
    serve.signal(Signal::HUP);
    wait_for("the complaint", || serve.stderr().contains("the old one stays"));
    assert!(answers(&prepared.ca_file).await);

    let fresh = tagmint_server::x509::local_certificates(SystemClock.now(), 1).unwrap();
    let new_ca = prepared.folder.path().join("new-ca.pem");
    fs::write(&new_ca, &fresh.ca_pem).unwrap();
    fs::write(&certificate, &fresh.certificate_pem).unwrap();
    fs::write(&key, fresh.key_pem.as_bytes()).unwrap();
    assert!(!answers(&new_ca).await);
    serve.signal(Signal::HUP);
    wait_for("the new certificate", || serve.stderr().contains("the certificate was taken up"));
    assert!(answers(&new_ca).await && !answers(&prepared.ca_file).await);

    serve.signal(Signal::TERM);
    assert_eq!(serve.end(), Some(0), "{}", serve.stderr());
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_never_reach_the_log() {
    let prepared = prepare();
    let mock = tempdir().unwrap();
    let attribute = ["--attribute", "chain=litentry"];
    let auth_token = "planted-auth-token-0123456789";
    let args = ["mock-backend", "--listen", &prepared.backend, "--auth-token", auth_token, attribute[0], attribute[1]];
    let mut backend = Running::start(args, mock.path());
    assert_eq!(backend.field("url"), format!("http://{}", prepared.backend));
    let mut serve = Running::start(["serve", "--config", &prepared.config], prepared.folder.path());

    let client = client(&prepared.ca_file);
    let url = |path: &str| format!("{}{path}", prepared.issuer);
    let open = async |auth_token: &str| {
        client.post(url("/v1/sessions")).json(&json!({"auth_token": auth_token})).send().await.unwrap()
    };
    let wrong = "planted-wrong-token-0123456789";
    assert_eq!(open(wrong).await.status(), 401);
    let opened = open(auth_token).await;
    assert_eq!(opened.status(), 201);
    let opened: Value = opened.json().await.unwrap();
    let session = opened["session"].as_str().unwrap();

    let mut tokens = Vec::new();
    for credential in [session, &prepared.session, &prepared.bearer] {
        let answer = client.post(url("/v1/tokens")).bearer_auth(credential).json(&json!({})).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        let answer: Value = answer.json().await.unwrap();
        tokens.push(answer["token"].as_str().unwrap().to_owned());
    }
    let (head, last) = session.split_at(session.len() - 1);
    let mistyped = format!("{head}{}", if last == "0" { '1' } else { '0' });
    let unknown = "tms_test_plantedplantedplantedplantedplantedplantedplanted";
    let foreign = "planted-basic-credential";
    for credential in [mistyped.as_str(), unknown, foreign] {
        let answer = client.post(url("/v1/tokens")).bearer_auth(credential).json(&json!({})).send().await.unwrap();
        assert_eq!(answer.status(), 401);
        // A secret where it does not belong: in the query.
        client.get(url(&format!("/v1/id-token?token={credential}"))).send().await.unwrap();
        client.post(url("/v1/tokens")).body(format!("{{\"session\": \"{credential}\"}}")).send().await.unwrap();
    }
    serve.signal(Signal::TERM);
    assert_eq!(serve.end(), Some(0), "{}", serve.stderr());
    backend.signal(Signal::TERM);
    assert_eq!(backend.end(), Some(0), "{}", backend.stderr());

    let log = format!("{}{}", serve.stderr(), backend.stderr());
    assert!(log.contains("mint refused"), "the log tells what happened: {log}");
    let key = fs::read_to_string(prepared.ca_file.with_file_name("key")).unwrap();
    let mut secrets =
        vec![auth_token, wrong, session, &prepared.session, &prepared.bearer, &mistyped, unknown, foreign, key.trim()];
    secrets.extend(tokens.iter().map(String::as_str));
    secrets.extend(tokens.iter().filter_map(|token| token.rsplit('.').next()));
    for secret in secrets {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
}

#[test]
fn an_address_that_is_taken_is_named() {
    let prepared = prepare();
    let port = prepared.issuer.rsplit_once(':').unwrap().1;
    let _taken = std::net::TcpListener::bind(format!("127.0.0.1:{port}")).unwrap();
    let error = failure(["serve", "--config", &prepared.config], 1);
    assert_eq!(error["code"], "listen");
    assert!(error["message"].as_str().unwrap().contains(port), "{error}");
}
