//! Two CI platforms, a broker that takes their tokens, and an AWS that takes the broker's and theirs.

use std::{
    fs,
    io::Write,
    net::SocketAddr,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde_json::{Value, json};
use tagmint_core::clock::SystemClock;
use tagmint_e2e::{TagmintProcess, free_port};
use tagmint_testkit::{
    ci_claims,
    ci_platform::{CiPlatform, Document, Misbehaviour},
};

use super::TestResult;

mod shelf;
mod test_issuer;

pub use shelf::{Shelf, TRUSTED};
pub use test_issuer::{TEST_BUCKET, WALLET};

/// The bucket whose policy lets sessions below their tag `prefix`.
pub const BUCKET: &str = "ci-artifacts";
/// The providers and rules that are shipped, for the account and issuer of their text.
const RULES: &str = include_str!("../../../../deploy/examples/ci-rules.toml");
/// A rule beside them, for bearers.
const BEARER_RULE: &str = r#"
[[rule]]
name = "bearer"
from = "bearer"
subject = "bearer:${sub}"
audiences = ["sts.amazonaws.com", "https://other.example"]
role = "arn:aws:iam::000000000000:role/ci"
transitive = ["prefix"]
tags = { prefix = "bearer/${sub}" }
"#;

/// A running stage. It all ends when this is dropped.
pub struct Stage {
    /// GitHub, with the job of a push to `main`.
    pub github: CiPlatform,
    /// GitLab, with the job of a push to the protected `main`.
    pub gitlab: CiPlatform,
    /// `tagmint serve`, from the shipped rules; none once it was stopped.
    pub issuer: TagmintProcess,
    /// `tagmint localaws`.
    pub aws: TagmintProcess,
    /// What tells the test issuer whose wallet a session is for; the other stage has no sessions.
    _backend: Option<TagmintProcess>,
    dir: tempfile::TempDir,
    /// The platforms run on it: dropped after them.
    _runtime: tokio::runtime::Runtime,
}

impl Stage {
    /// Starts everything.
    pub fn new() -> TestResult<Self> {
        Self::with(|_| {})
    }

    /// The same with GitHub's documents out of order from the start, so that the broker never had its keys.
    pub fn without_github_keys() -> TestResult<Self> {
        Self::with(|github| github.misbehave(Document::Keys, Misbehaviour::Status(500)))
    }

    fn with(before_start: impl FnOnce(&CiPlatform)) -> TestResult<Self> {
        let Ground { dir, runtime, github, gitlab } = Ground::new()?;
        before_start(&github);

        let port = free_port()?;
        let url = format!("https://localhost:{port}");
        fs::write(dir.path().join("seed.json"), aws_set_up(&url, &github, &gitlab).to_string())?;
        let files = ["all.pem", "seed.json"].map(|name| dir.path().join(name).to_string_lossy().into_owned());
        let aws = TagmintProcess::start([
            "localaws",
            "--explain",
            "--format",
            "json",
            "--ca-file",
            &files[0],
            "--seed",
            &files[1],
        ])?;
        let config = config(&url, port, &github, &gitlab, aws.field("endpoint")?);
        fs::write(dir.path().join("tagmint.toml"), config)?;
        let config = dir.path().join("tagmint.toml").to_string_lossy().into_owned();
        let issuer = TagmintProcess::start(["serve", "--format", "json", "--config", &config])?;
        Ok(Self { github, gitlab, issuer, aws, _backend: None, dir, _runtime: runtime })
    }

    /// The issuer's URL.
    pub fn url(&self) -> TestResult<&str> {
        Ok(self.issuer.field("issuer")?)
    }

    /// AWS's endpoint.
    pub fn endpoint(&self) -> TestResult<&str> {
        Ok(self.aws.field("endpoint")?)
    }

    /// A file of the stage: `ca.pem` (the issuer's authority), `github.pem`, `gitlab.pem` and `all.pem`, `tagmint.toml`; or a new one.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A token that GitLab puts into a variable of the job, for this audience.
    pub fn gitlab_token(&self, audience: &str) -> String {
        self.gitlab.job_token(audience)
    }

    /// Another node of the issuer, which speaks plain HTTP on loopback, as behind a proxy on the same machine. Returns it with its address.
    pub fn plain_node(&self) -> TestResult<(TagmintProcess, String)> {
        let address = format!("127.0.0.1:{}", free_port()?);
        let config = fs::read_to_string(self.path("tagmint.toml"))?;
        let own = self.url()?.replace("https://localhost:", "127.0.0.1:");
        let files = "mode = \"files\"\ncertificate = \"server.pem\"\nkey = \"server.key\"\n";
        assert!(config.contains(&own) && config.contains(files));
        let config = config.replace(&own, &address).replace(files, "mode = \"proxy\"\n");
        let file = self.path("plain.toml").to_string_lossy().into_owned();
        fs::write(&file, config)?;
        Ok((TagmintProcess::start(["serve", "--format", "json", "--config", &file])?, format!("http://{address}")))
    }

    /// Makes a bearer of this name and returns its secret.
    pub fn bearer(&self, name: &str, options: &[&str]) -> TestResult<String> {
        let config = self.path("tagmint.toml");
        let mut command =
            TagmintProcess::command(["bearer", "create", "--format", "json", "--name", name, "--config"])?;
        let output = command.arg(config).args(options).output()?;
        if !output.status.success() {
            return Err(format!("bearer create: {}", String::from_utf8_lossy(&output.stderr)).into());
        }
        let made: Value = serde_json::from_slice(&output.stdout)?;
        Ok(made["bearer"].as_str().ok_or_else(|| format!("no bearer in {made}"))?.to_owned())
    }
}

/// What every stage stands on: a directory with the certificates, and the platforms.
struct Ground {
    dir: tempfile::TempDir,
    runtime: tokio::runtime::Runtime,
    github: CiPlatform,
    gitlab: CiPlatform,
}

impl Ground {
    fn new() -> TestResult<Self> {
        let dir = tempfile::tempdir()?;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let start = || CiPlatform::start_at(SocketAddr::from(([127, 0, 0, 1], 0)), "", Arc::new(SystemClock));
        let (github, gitlab) = runtime.block_on(async { (start().await, start().await) });
        gitlab.set_job(ci_claims::gitlab_branch());
        fs::write(dir.path().join("github.pem"), github.ca_pem())?;
        fs::write(dir.path().join("gitlab.pem"), gitlab.ca_pem())?;
        let ca = certificates(dir.path())?;
        fs::write(dir.path().join("all.pem"), [ca.as_str(), github.ca_pem(), gitlab.ca_pem()].concat())?;
        Ok(Self { dir, runtime, github, gitlab })
    }
}

/// The shipped providers, for the platforms of a stage.
fn providers_here(text: &str, github: &CiPlatform, gitlab: &CiPlatform) -> String {
    let mut text = text.to_owned();
    for (kind, platform, ca) in [("github", github, "github.pem"), ("gitlab", gitlab, "gitlab.pem")] {
        let line = format!("kind = \"{kind}\"\n");
        let here =
            format!("{line}issuer = \"{}\"\nca_file = \"{ca}\"\nallow_private_addresses = true\n", platform.issuer());
        assert!(text.contains(&line), "the shipped providers have no {kind}");
        text = text.replace(&line, &here);
    }
    text
}

/// The ARN of a role in the stand-in's account.
pub fn role(name: &str) -> String {
    format!("arn:aws:iam::000000000000:role/{name}")
}

/// Makes a throw-away CA, a certificate for `localhost` under it, and a key file. Returns the CA's certificate.
fn certificates(dir: &Path) -> TestResult<String> {
    let ca_key = rcgen::KeyPair::generate()?;
    let mut ca = rcgen::CertificateParams::new(Vec::new())?;
    ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    ca.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign];
    ca.distinguished_name.push(rcgen::DnType::CommonName, "end-to-end CA");
    let ca_pem = ca.self_signed(&ca_key)?.pem();
    fs::write(dir.join("ca.pem"), &ca_pem)?;
    let key = rcgen::KeyPair::generate()?;
    let mut server = rcgen::CertificateParams::new(vec!["localhost".to_owned()])?;
    // Python's strict verification wants to know which key of the authority signed.
    server.use_authority_key_identifier_extension = true;
    fs::write(dir.join("server.pem"), server.signed_by(&key, &rcgen::Issuer::new(ca, ca_key))?.pem())?;
    write_secret(&dir.join("server.key"), &key.serialize_pem())?;
    write_secret(&dir.join("master.key"), "c2l4dGVlbiBieXRlcyB0aW1lcyB0d28gaXMgMzIuLi4=\n")?;
    Ok(ca_pem)
}

fn write_secret(path: &Path, text: &str) -> TestResult {
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    Ok(())
}

/// An issuer at `url` with the shipped providers and rules, for the platforms and the account of this stage.
fn config(url: &str, port: u16, github: &CiPlatform, gitlab: &CiPlatform, sts: &str) -> String {
    let rules = RULES
        .replace("https://broker.example.org", url)
        .replace("arn:aws:iam::111122223333:", "arn:aws:iam::000000000000:");
    let rules = providers_here(&rules, github, gitlab);
    format!(
        r#"
environment = "test"
issuer = "{url}"

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

[aws]
region = "us-east-1"
sts_endpoint = "{sts}"

{rules}{BEARER_RULE}"#
    )
}

/// TrustedIssuers, roles and the bucket.
///
/// `ci` takes Tagmint's tokens as docs/github.md has it; `deploy` lacks `sts:TagSession`, so that STS refuses them; `direct-github` and
/// `direct-gitlab` take the platforms' own for `main`.
fn aws_set_up(url: &str, github: &CiPlatform, gitlab: &CiPlatform) -> Value {
    let trust = |issuer: &str, actions: &[&str], subject: &str, more: Value| {
        let provider = issuer.trim_start_matches("https://");
        let mut condition = json!({
            "StringEquals": {format!("{provider}:aud"): "sts.amazonaws.com"},
            "StringLike": {format!("{provider}:sub"): subject},
        });
        if let (Some(condition), Value::Object(more)) = (condition.as_object_mut(), more) {
            condition.extend(more);
        }
        json!({"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow",
            "Principal": {"Federated": format!("arn:aws:iam::000000000000:oidc-provider/{provider}")},
            "Action": actions,
            "Condition": condition,
        }]})
    };
    let tagged = ["sts:AssumeRoleWithWebIdentity", "sts:TagSession", "sts:SetSourceIdentity"];
    let tag = json!({"Null": {"aws:RequestTag/prefix": "false"}});
    let github_main = "repo:octo-org/octo-repo:ref:refs/heads/main";
    let gitlab_main = "project_path:my-group/my-project:ref_type:branch:ref:main";
    let bucket = format!("arn:aws:s3:::{BUCKET}");
    let issuers = [url, github.issuer(), gitlab.issuer()];
    let providers = issuers.map(|url| json!({"url": url, "client_ids": ["sts.amazonaws.com"]}));
    json!({
        "providers": providers,
        "roles": [
            {"name": "ci", "trust_policy": trust(url, &tagged, "*:*", tag.clone())},
            {"name": "deploy", "trust_policy": trust(url, &[tagged[0], tagged[2]], "*:*", tag)},
            {"name": "direct-github", "trust_policy": trust(github.issuer(), &tagged[..1], github_main, json!({}))},
            {"name": "direct-gitlab", "trust_policy": trust(gitlab.issuer(), &tagged[..1], gitlab_main, json!({}))},
        ],
        "buckets": [{
            "name": BUCKET,
            "policy": {"Version": "2012-10-17", "Statement": [
                {
                    "Effect": "Allow", "Principal": {"AWS": role("ci")}, "Action": "s3:ListBucket", "Resource": bucket,
                    "Condition": {"StringLike": {"s3:prefix": "${aws:PrincipalTag/prefix}/*"}},
                },
                {
                    "Effect": "Allow", "Principal": {"AWS": role("ci")}, "Action": ["s3:GetObject", "s3:PutObject"],
                    "Resource": format!("{bucket}/${{aws:PrincipalTag/prefix}}/*"),
                },
            ]},
        }],
    })
}
