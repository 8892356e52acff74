//! The example session backend, `deploy/examples/session_backend.py`, and the page about it.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use aws_lc_rs::digest::{SHA256, digest};
use rustix::process::Signal;
use serde_json::{Value, json};
use tagmint_core::alarm::AlarmKind;
use tempfile::{TempDir, tempdir};

use crate::process::Running;

const EXAMPLE: &str = "deploy/examples/session_backend.py";
const WALLET: &str = "0x1111111111111111111111111111111111111111";

fn repository() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// The key of a user of the example.
fn hashed(auth_token: &str) -> String {
    let digest = digest(&SHA256, auth_token.as_bytes());
    digest.as_ref().iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

fn page() -> String {
    fs::read_to_string(repository().join("docs/session-backend.md")).expect("the page")
}

/// The example, running.
struct Backend {
    child: Child,
    port: u16,
}

impl Backend {
    /// Starts it on a free port, with TLS where there is a certificate with its key.
    fn start(folder: &Path, users: &Value, certificate: Option<[PathBuf; 2]>) -> Self {
        let file = folder.join("users.json");
        fs::write(&file, users.to_string()).expect("the users");
        let mut command = Command::new("python3");
        command.arg(repository().join(EXAMPLE)).arg(file).arg("0").args(certificate.into_iter().flatten());
        let log = File::create(folder.join("backend.log")).expect("a log");
        let started = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).spawn();
        let child = started.expect("python3, of the Debian package python3");
        let mut backend = Self { child, port: 0 };
        let mut line = String::new();
        let stdout = backend.child.stdout.take().expect("stdout is piped");
        BufReader::new(stdout).read_line(&mut line).expect("a line");
        let port = line.trim().strip_prefix("listening on port ").and_then(|port| port.parse().ok());
        let log = fs::read_to_string(folder.join("backend.log")).unwrap_or_default();
        backend.port = port.unwrap_or_default();
        assert_ne!(backend.port, 0, "`{line}`\n{log}");
        backend
    }

    fn stop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The folder of an issuer, whose rule wants the attribute `team`, and its configuration without a session backend.
fn issuer() -> (TempDir, PathBuf, String) {
    let folder = tempdir().expect("a folder");
    let dir = folder.path().join("dev");
    let mut dev = Running::start(["dev".as_ref(), "--dir".as_ref(), dir.as_os_str()], folder.path());
    dev.signal(Signal::TERM);
    assert_eq!(dev.end(), Some(0), "{}", dev.stderr());
    let text = fs::read_to_string(dir.join("tagmint.toml")).expect("the configuration");
    let by_wallet = r#"sub.matches("^0x[0-9a-f]{40}$")"#;
    let by_team = r#"has(claims.team) && team == "mail""#;
    assert!(text.contains(by_wallet), "{text}");
    let (before, backend) = text.split_once("[session_backend]\n").expect("a session backend");
    let (_, after) = backend.split_once('\n').expect("more lines");
    let text = format!("{before}[session_backend]\n@BACKEND@\n{after}").replace(by_wallet, by_team);
    (folder, dir, text)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_opens_sessions_by_the_example() {
    let (folder, dir, text) = issuer();
    let config = dir.join("tagmint.toml");
    let users = json!({
        hashed("of-a-member"): {"wallet": WALLET, "expires_in": 600, "attributes": {"team": "mail"}},
        hashed("of-another"): {"wallet": WALLET, "expires_in": 600},
    });
    let pair = ["server.pem", "server-key.pem"].map(|name| dir.join(name));
    for (certificate, scheme, ca) in [(None, "http", ""), (Some(pair), "https", "\nca_file = \"ca.pem\"")] {
        let mut backend = Backend::start(folder.path(), &users, certificate);
        let lines = format!("url = \"{scheme}://localhost:{}\"{ca}", backend.port);
        fs::write(&config, text.replace("@BACKEND@", &lines)).unwrap();
        let serve = Running::start(["serve".as_ref(), "--config".as_ref(), config.as_os_str()], folder.path());
        let client = crate::process::client(&dir.join("ca.pem"));
        let post = async |path: &str, credential: Option<&str>, body: Value| {
            let request = client.post(format!("{}{path}", serve.field("issuer"))).json(&body);
            let request = match credential {
                Some(credential) => request.bearer_auth(credential),
                None => request,
            };
            let answer = request.send().await.unwrap();
            let retry_after = answer.headers().contains_key("retry-after");
            (answer.status().as_u16(), retry_after, answer.json::<Value>().await.unwrap())
        };
        let open = async |auth_token: &str| post("/v1/sessions", None, json!({"auth_token": auth_token})).await;

        // The attribute decides what the session may mint.
        for (auth_token, mints) in [("of-a-member", 200), ("of-another", 403)] {
            let (status, _, session) = open(auth_token).await;
            assert_eq!((status, &session["subject"]), (201, &json!(WALLET)), "{session}\n{}", serve.stderr());
            let secret = session["session"].as_str().unwrap();
            let (status, _, minted) = post("/v1/tokens", Some(secret), json!({})).await;
            assert_eq!(status, mints, "{auth_token}: {minted}");
        }
        let (status, _, refused) = open("of-nobody").await;
        assert_eq!((status, &refused["type"]), (401, &json!("urn:tagmint:problem:auth-token-refused")));

        backend.stop();
        let (status, retry_after, outage) = open("of-a-member").await;
        assert_eq!((status, &outage["type"]), (503, &json!("urn:tagmint:problem:backend-unavailable")));
        assert!(retry_after, "a caller is told when to try again");
        let log = serve.stderr();
        assert!(log.contains("no connection") && !log.contains("of-a-member"), "{log}");
    }
}

#[test]
fn the_page_shows_the_example_as_it_is() {
    let example = fs::read_to_string(repository().join(EXAMPLE)).expect("the example");
    assert!(page().contains(&format!("```python\n{example}```\n")), "docs/session-backend.md shows another {EXAMPLE}");
}

#[test]
fn the_page_names_what_there_is() {
    let page = page();
    for code in ["auth-token-refused", "backend-unavailable"] {
        assert!(tagmint_server::http::problem::CATALOGUE.iter().any(|kind| kind.code == code));
        assert!(page.contains(&format!("`{code}`")), "{code}");
    }
    assert!(page.contains(&format!("alarms.md#{}", AlarmKind::SessionBackendDown)));
    assert!(page.contains(&format!("`{}`", tagmint_server::backend::MOCK_HEADER)));
}
