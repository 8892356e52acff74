//! Our issuer, its mock backend, and what the scenario asks of them.

use std::time::Duration;

use jsonwebtoken::{DecodingKey, Validation, decode, decode_header, jwk::JwkSet};
use serde_json::{Value, json};
use tagmint_e2e::TagmintProcess;

use super::{Stage, TestResult};

const AUTH_TOKEN: &str = "federation-proof";

/// A running issuer with a session.
pub struct Issuer {
    process: TagmintProcess,
    _backend: TagmintProcess,
    client: reqwest::Client,
    url: String,
    config: String,
    session: String,
}

impl Issuer {
    /// Starts `tagmint serve` on the stage's files.
    pub async fn start(stage: &Stage) -> TestResult<Self> {
        Self::start_with(stage, None).await
    }

    /// The same with its clock an hour behind (libfaketime).
    pub async fn start_an_hour_ago(stage: &Stage) -> TestResult<Self> {
        Self::start_with(stage, Some("-1h")).await
    }

    async fn start_with(stage: &Stage, clock: Option<&str>) -> TestResult<Self> {
        let mut backend = TagmintProcess::command([
            "mock-backend",
            "--listen",
            "127.0.0.1:0",
            "--auth-token",
            AUTH_TOKEN,
            "--wallet",
            super::super::WALLET,
            "--format",
            "json",
        ])?;
        let mut serve = TagmintProcess::command(["serve", "--format", "json", "--config"])?;
        let config = stage.path("tagmint.toml").to_string_lossy().into_owned();
        serve.arg(&config);
        if let Some(offset) = clock {
            // Preloaded, not through the `faketime` command: that would stand between the guard's signals and the issuer.
            // The loader fills in `$LIB`.
            serve.env("LD_PRELOAD", "/usr/$LIB/faketime/libfaketime.so.1");
            serve.env("FAKETIME", offset).env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        }
        backend.env_remove("TAGMINT_CONFIG");
        let backend = TagmintProcess::start_command(backend)?;
        std::fs::write(&config, config_text(stage, backend.field("url")?))?;
        let process = TagmintProcess::start_command(serve)?;
        let url = process.field("issuer")?.to_owned();
        assert_eq!(url, stage.issuer());

        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let ca = reqwest::Certificate::from_pem(&std::fs::read(stage.path("ca.pem"))?)?;
        let client = reqwest::Client::builder().tls_certs_only([ca]).timeout(Duration::from_secs(20)).build()?;
        let session = open_session(&client, &url).await?;
        Ok(Self { process, _backend: backend, client, url, config, session })
    }

    /// A token by the rule of this name.
    pub async fn mint(&self, rule: &str, audience: Option<&str>) -> TestResult<String> {
        let request = json!({"rule": rule, "audience": audience});
        let request = self.client.post(format!("{}/v1/tokens", self.url)).bearer_auth(&self.session).json(&request);
        let answer: Value = request.send().await?.json().await?;
        Ok(answer["token"]
            .as_str()
            .ok_or_else(|| format!("no token in {answer}\n{}", self.process.stderr()))?
            .to_owned())
    }

    /// A relying party takes a token by the published keys, and none whose signature was altered. `jsonwebtoken` is not our code.
    pub async fn verified_by_a_relying_party(&self, token: &str) -> TestResult {
        let keys = self.client.get(format!("{}/.well-known/jwks.json", self.url)).send().await?;
        let keys: JwkSet = serde_json::from_slice(&keys.bytes().await?)?;
        let header = decode_header(token)?;
        let key = keys.find(header.kid.as_deref().ok_or("no kid")?).ok_or("the key is not published")?;
        let mut validation = Validation::new(header.alg);
        validation.set_issuer(&[&self.url]);
        validation.set_audience(&["sts.amazonaws.com"]);
        validation.validate_nbf = true;
        let key = DecodingKey::from_jwk(key)?;
        decode::<Value>(token, &key, &validation)?;
        let (rest, signature) = token.rsplit_once('.').ok_or("no token")?;
        let altered = format!("{rest}.{}", signature.chars().rev().collect::<String>());
        assert!(decode::<Value>(&altered, &key, &validation).is_err(), "an altered signature");
        Ok(())
    }

    /// Withdraws the key that signed `token`, and waits until the key set no longer has it.
    pub async fn withdraw_compromised_key(&self, token: &str) -> TestResult {
        let keys = self.admin(&["keys", "list"])?;
        let active = keys.as_array().and_then(|keys| keys.iter().find(|key| key["phase"] == "active"));
        let kid =
            active.and_then(|key| key["kid"].as_str()).ok_or_else(|| format!("no active key in {keys}"))?.to_owned();
        let kid_of_token = header(token)?["kid"].clone();
        assert_eq!(kid_of_token, kid.as_str());
        self.admin(&["keys", "withdraw", &kid, "--compromised"])?;
        for _ in 0..200 {
            let jwks = self.client.get(format!("{}/.well-known/jwks.json", self.url)).send().await?.text().await?;
            if !jwks.contains(&kid) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Err("the withdrawn key is still published".into())
    }

    /// The ledger holds, and has the mints of this scenario.
    pub fn verify_ledger(&self) -> TestResult {
        let report = self.admin(&["ledger", "verify"])?;
        if report["verified"] == true { Ok(()) } else { Err(format!("the ledger does not verify: {report}").into()) }
    }

    /// Ends it in order.
    pub fn stop(self) -> TestResult {
        let status = self.process.stop()?;
        if status.success() { Ok(()) } else { Err(format!("serve ended with {status}").into()) }
    }

    /// An admin command on the issuer's own database, while it runs.
    fn admin(&self, command: &[&str]) -> TestResult<Value> {
        let mut process =
            TagmintProcess::command(command.iter().copied().chain(["--format", "json", "--config", &self.config]))?;
        let output = process.output()?;
        if !output.status.success() {
            return Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr)).into());
        }
        Ok(serde_json::from_slice(&output.stdout)?)
    }
}

async fn open_session(client: &reqwest::Client, url: &str) -> TestResult<String> {
    let request = client.post(format!("{url}/v1/sessions")).json(&json!({"auth_token": AUTH_TOKEN}));
    let answer: Value = request.send().await?.json().await?;
    Ok(answer["session"].as_str().ok_or_else(|| format!("no session in {answer}"))?.to_owned())
}

fn header(token: &str) -> TestResult<Value> {
    use base64::Engine as _;
    let part = token.split('.').next().unwrap_or_default();
    Ok(serde_json::from_slice(&base64::prelude::BASE64_URL_SAFE_NO_PAD.decode(part)?)?)
}

/// RS256 and `x5c`, because Ceph wants both; the wallet's rule and two that the role does not trust.
fn config_text(stage: &Stage, backend: &str) -> String {
    let (issuer, port) = (stage.issuer(), stage.port);
    format!(
        r#"
environment = "test"
issuer = "{issuer}"

[listen]
public = "127.0.0.1:{port}"
admin = "127.0.0.1:0"

[tls]
mode = "files"
certificate = "server.pem"
key = "server.key"

[database]
path = "tagmint.db"

[keys]
key_file = "master.key"
algorithm = "RS256"
refresh = "1s"

[jwks]
max_age = "60s"
x5c = true

[session_backend]
url = "{backend}"

[[rule]]
name = "wallet"
from = "session"
subject = "wallet:${{sub}}"
audiences = ["sts.amazonaws.com", "another-audience"]
transitive = ["agentkeys_user_wallet"]
[rule.tags]
agentkeys_user_wallet = "${{sub}}"

[[rule]]
name = "stranger"
from = "session"
subject = "stranger:${{sub}}"
audiences = ["sts.amazonaws.com"]
[rule.tags]
agentkeys_user_wallet = "${{sub}}"

[[rule]]
name = "untagged"
from = "session"
subject = "wallet:${{sub}}"
audiences = ["sts.amazonaws.com"]
"#
    )
}
