//! An issuer with a CI platform and an AWS, and the client's commands with their environment.

use std::{
    fs,
    path::PathBuf,
    process::{Command, Output},
    sync::Arc,
};

use rustix::process::Signal;
use serde_json::{Value, json};
use tagmint_core::clock::SystemClock;
use tagmint_testkit::{ci_claims, ci_platform::CiPlatform};
use tempfile::{TempDir, tempdir};

use crate::process::{Running, tagmint};

/// A role that takes the issuer's tokens.
pub(super) const ROLE: &str = "arn:aws:iam::000000000000:role/agentkeys-data-role-test";
/// A role that the rules allow and that takes nobody's.
pub(super) const CLOSED: &str = "arn:aws:iam::000000000000:role/closed";
/// Anonymous minting.
const ANONYMOUS: &str = r#"
[[aws.role]]
name = "agentkeys-data-role-test"
access = [{ tag = "shared", mode = "read" }]

[[rule]]
name = "anyone"
from = "anonymous"
subject = "anonymous:anyone"
role = "agentkeys-data-role-test"
[rule.tags]
shared = "fixtures"
"#;
/// What whoever runs the tests may have set.
const VARIABLES: [&str; 27] = [
    "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
    "ACTIONS_ID_TOKEN_REQUEST_URL",
    "AWS_CA_BUNDLE",
    "AWS_DEFAULT_REGION",
    "AWS_ENDPOINT_URL",
    "AWS_PROFILE",
    "AWS_REGION",
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
    "CI",
    "CODEBUILD_BUILD_ID",
    "JENKINS_URL",
    "TEAMCITY_VERSION",
    "TF_BUILD",
    "GITHUB_ACTIONS",
    "GITHUB_ENV",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "ALL_PROXY",
    "https_proxy",
    "http_proxy",
    "all_proxy",
    "TAGMINT_CA_FILE",
    "TAGMINT_CREDENTIAL",
    "TAGMINT_ID_TOKEN",
    "TAGMINT_PROVIDER_AUDIENCE",
    "TAGMINT_URL",
];

/// A running stage. It ends when this is dropped.
pub(super) struct Stage {
    pub(super) issuer: Running,
    pub(super) github: CiPlatform,
    pub(super) bearer: String,
    pub(super) folder: TempDir,
    /// The authorities of the issuer and of the platform.
    pub(super) ca_file: PathBuf,
    /// The issuer's configuration.
    pub(super) config: String,
    endpoint: String,
    _aws: Running,
}

impl Stage {
    pub(super) async fn new() -> Self {
        let folder = tempdir().expect("a folder");
        let dir = folder.path().join("dev");
        let mut dev = Running::start(["dev".as_ref(), "--dir".as_ref(), dir.as_os_str()], folder.path());
        dev.signal(Signal::TERM);
        assert_eq!(dev.end(), Some(0), "{}", dev.stderr());
        let (url, config) = (dev.field("issuer").to_owned(), dev.field("config").to_owned());

        let github = CiPlatform::start(Arc::new(SystemClock)).await;
        github.set_job(ci_claims::github_push());
        fs::write(dir.join("github.pem"), github.ca_pem()).expect("written");
        let ca_file = folder.path().join("all.pem");
        let own = fs::read_to_string(dev.field("ca_file")).expect("the CA");
        fs::write(&ca_file, own + github.ca_pem()).expect("written");

        let aws_folder = folder.path().join("aws");
        fs::create_dir(&aws_folder).expect("a folder");
        let seed = aws_folder.join("seed.json");
        fs::write(&seed, aws_set_up(&url).to_string()).expect("written");
        let arguments = ["--ca-file", dev.field("ca_file"), "--seed", seed.to_str().expect("a path")];
        let aws = Running::start(["localaws"].iter().chain(&arguments), &aws_folder);
        let endpoint = aws.field("endpoint").to_owned();

        let text = fs::read_to_string(&config).expect("the configuration");
        fs::write(&config, text + &additions(&github, &endpoint)).expect("written");
        let issuer = Running::start(["serve", "--config", &config], folder.path());
        assert_eq!(issuer.field("issuer"), url);
        let bearer = dev.field("bearer").to_owned();
        Self { issuer, github, bearer, folder, ca_file, config, endpoint, _aws: aws }
    }

    /// Starts the issuer anew, with anonymous minting.
    pub(super) fn mint_anonymously(&mut self) {
        self.issuer.signal(Signal::TERM);
        assert_eq!(self.issuer.end(), Some(0), "{}", self.issuer.stderr());
        let text = fs::read_to_string(&self.config).expect("the configuration");
        let text = text
            .replace("role/closed\"", "role/closed-test\"")
            .replace("[aws]\n", "[anonymous_minting]\n\n[aws]\naccount = \"000000000000\"\n");
        fs::write(&self.config, text + ANONYMOUS).expect("written");
        self.issuer = Running::start(["serve", "--config", &self.config], self.folder.path());
        assert!(self.issuer.stderr().contains("`[anonymous_minting]` is on"), "{}", self.issuer.stderr());
    }

    /// A command with nothing in its environment but where issuer and AWS are.
    pub(super) fn command(&self, args: &[&str]) -> Command {
        let mut command = tagmint(args);
        for name in VARIABLES {
            command.env_remove(name);
        }
        command.env("TAGMINT_URL", self.issuer.field("issuer")).env("TAGMINT_CA_FILE", &self.ca_file);
        command.env("AWS_ENDPOINT_URL_STS", &self.endpoint).env("HOME", self.folder.path());
        command
    }

    /// The same with the bearer.
    pub(super) fn with_bearer(&self, args: &[&str]) -> Command {
        let mut command = self.command(args);
        command.env("TAGMINT_CREDENTIAL", &self.bearer);
        command
    }

    /// The same in a job of GitHub that may ask for its token.
    pub(super) fn in_job(&self, args: &[&str]) -> Command {
        let mut command = self.command(args);
        command.env("GITHUB_ACTIONS", "true").env("ACTIONS_ID_TOKEN_REQUEST_URL", self.github.request_url());
        command.env("ACTIONS_ID_TOKEN_REQUEST_TOKEN", self.github.request_token());
        command
    }

    /// Fails when a secret of the stage, or a token, is in the text.
    pub(super) fn tells_no_secret(&self, text: &str) {
        assert!(!text.contains(&self.bearer) && !text.contains("eyJ"), "a secret: {text}");
    }

    /// Asserts the exit code of a command that gave nothing, and returns what it said.
    pub(super) fn failed(&self, mut command: Command, code: i32) -> String {
        let output = command.output().expect("the binary starts");
        let said = String::from_utf8(output.stderr).expect("text");
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(output.stdout.is_empty(), "{}", String::from_utf8_lossy(&output.stdout));
        self.tells_no_secret(&said);
        said
    }
}

/// What a command that went well wrote to stdout.
pub(super) fn stdout(mut command: Command) -> String {
    let Output { status, stdout, stderr } = command.output().expect("the binary starts");
    assert!(status.success(), "{}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).expect("text")
}

fn aws_set_up(url: &str) -> Value {
    let provider = url.trim_start_matches("https://");
    let trust = |audience: &str| {
        json!({"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow",
            "Principal": {"Federated": format!("arn:aws:iam::000000000000:oidc-provider/{provider}")},
            "Action": ["sts:AssumeRoleWithWebIdentity", "sts:TagSession", "sts:SetSourceIdentity"],
            "Condition": {"StringEquals": {format!("{provider}:aud"): audience}},
        }]})
    };
    json!({
        "providers": [{"url": url, "client_ids": ["sts.amazonaws.com"]}],
        "roles": [
            {"name": "agentkeys-data-role-test", "trust_policy": trust("sts.amazonaws.com")},
            {"name": "closed", "trust_policy": trust("nobody")},
        ],
    })
}

fn additions(github: &CiPlatform, endpoint: &str) -> String {
    let issuer = github.issuer();
    format!(
        r#"
[[rule]]
name = "closed"
from = "session"
subject = "closed:${{sub}}"
role = "{CLOSED}"

[[rule]]
name = "jobs"
from = "github"
subject = "ci:${{repository_id}}"
roles = ["{ROLE}", "{CLOSED}"]
max_lifetime = "15m"
transitive = ["prefix"]
[rule.tags]
prefix = "ci/${{repository_id}}"
step = {{ open = true }}

[[trusted_issuer]]
name = "github"
kind = "github"
issuer = "{issuer}"
audiences = ["https://localhost/jobs"]
ca_file = "github.pem"
allow_private_addresses = true

[aws]
region = "us-east-1"
sts_endpoint = "{endpoint}"
"#
    )
}
