//! What stands behind nginx: our issuer, and a stand-in whose answers a test chooses.

use std::{
    net::Ipv4Addr,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::Value;
use tagmint_e2e::TagmintProcess;

use super::{TestResult, guard::Nginx};

pub const AUTH_TOKEN: &str = "federation-proof";

/// `tagmint serve` behind the test site, and its mock backend.
pub struct Issuer {
    dir: tempfile::TempDir,
    _backend: TagmintProcess,
    process: Option<TagmintProcess>,
}

impl Issuer {
    /// Starts both.
    pub fn start(nginx: &Nginx) -> TestResult<Self> {
        let public = format!("127.0.0.1:{}", nginx.test.issuer);
        Self::start_at(nginx, &public, r#"trusted_proxies = ["127.0.0.1"]"#)
    }

    /// The same, on this `listen.public`, which trusts these proxies.
    pub fn start_at(nginx: &Nginx, public: &str, trusted: &str) -> TestResult<Self> {
        let dir = tempfile::tempdir()?;
        let mut backend = TagmintProcess::command(["mock-backend", "--listen", "127.0.0.1:0", "--format", "json"])?;
        backend.args(["--auth-token", AUTH_TOKEN]).env_remove("TAGMINT_CONFIG");
        let backend = TagmintProcess::start_command(backend)?;
        write_secret(&dir.path().join("master.key"), "c2l4dGVlbiBieXRlcyB0aW1lcyB0d28gaXMgMzIuLi4=\n")?;
        let text = config(public, trusted, nginx.test.host, backend.field("url")?);
        std::fs::write(dir.path().join("tagmint.toml"), text)?;
        let mut issuer = Self { dir, _backend: backend, process: None };
        issuer.restart()?;
        Ok(issuer)
    }

    /// Starts it, on the same data.
    pub fn restart(&mut self) -> TestResult {
        let mut command = TagmintProcess::command(["serve", "--format", "json", "--config"])?;
        command.arg(self.config());
        self.process = Some(TagmintProcess::start_command(command)?);
        Ok(())
    }

    /// Ends it in order.
    pub fn stop(&mut self) -> TestResult {
        let process = self.process.take().ok_or("it does not run")?;
        let status = process.stop()?;
        if status.success() { Ok(()) } else { Err(format!("serve ended with {status}").into()) }
    }

    /// The ledger's rows.
    pub fn ledger(&self) -> TestResult<Value> {
        let mut command = TagmintProcess::command(["ledger", "list", "--format", "json", "--config"])?;
        let output = command.arg(self.config()).output()?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
        }
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    fn config(&self) -> PathBuf {
        self.dir.path().join("tagmint.toml")
    }
}

fn write_secret(path: &std::path::Path, text: &str) -> TestResult {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    Ok(file.write_all(text.as_bytes())?)
}

fn config(public: &str, trusted: &str, host: &str, backend: &str) -> String {
    format!(
        r#"
environment = "test"
issuer = "https://{host}"

[listen]
public = "{public}"
admin = "127.0.0.1:0"

[tls]
mode = "proxy"
{trusted}

[database]
path = "tagmint.db"

[keys]
key_file = "master.key"

[session_backend]
url = "{backend}"

[[rule]]
name = "wallet"
from = "session"
subject = "wallet:${{sub}}"
audiences = ["sts.amazonaws.com"]
[rule.tags]
agentkeys_user_wallet = "${{sub}}"
"#
    )
}

/// What the stand-in was asked.
#[derive(Debug, Clone)]
pub struct Asked {
    pub path: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// How it answers, and what it was asked.
#[derive(Debug, Default)]
struct Script {
    status: StatusCode,
    cache_control: Option<&'static str>,
    pause: Duration,
    asked: Vec<Asked>,
}

/// An HTTP server in the place of the prod issuer. Each answer has a number of its own.
#[derive(Debug, Clone, Default)]
pub struct StandIn(Arc<Mutex<Script>>);

impl StandIn {
    /// Starts it.
    pub async fn start(nginx: &Nginx) -> TestResult<Self> {
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, nginx.prod.issuer)).await?;
        let stand_in = Self::default();
        let routes = Router::new().fallback(answer).with_state(stand_in.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Ok(stand_in)
    }

    /// From now on it answers so.
    pub fn answers(&self, status: u16, cache_control: Option<&'static str>) -> TestResult {
        let mut script = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        script.status = StatusCode::from_u16(status)?;
        script.cache_control = cache_control;
        Ok(())
    }

    /// From now on it takes so long for each answer.
    pub fn takes(&self, pause: Duration) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pause = pause;
    }

    /// What it was asked so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).asked.clone()
    }
}

async fn answer(State(stand_in): State<StandIn>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, 1 << 20).await else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let (pause, mut response) = {
        let mut script = stand_in.0.lock().unwrap_or_else(PoisonError::into_inner);
        script.asked.push(Asked { path: parts.uri.to_string(), headers: parts.headers, body });
        let number = format!("answer {}", script.asked.len());
        let mut response = (script.status, number).into_response();
        if let Some(value) = script.cache_control {
            response.headers_mut().insert(header::CACHE_CONTROL, header::HeaderValue::from_static(value));
        }
        (script.pause, response)
    };
    tokio::time::sleep(pause).await;
    // As the issuer does.
    response.headers_mut().insert("x-request-id", header::HeaderValue::from_static("req_1"));
    response
}
