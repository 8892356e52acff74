//! The test issuer as it is shipped: deploy/test/tagmint.toml, with what `tagmint aws render` makes of it in the stand-in's account.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use serde_json::{Value, json};
use tagmint_e2e::{TagmintProcess, free_port, search_path};
use tagmint_testkit::ci_platform::CiPlatform;

use super::{Ground, Stage, TestResult, providers_here, role};

/// The shipped configuration.
const CONFIG: &str = include_str!("../../../../../deploy/test/tagmint.toml");
/// The bucket of the test issuer.
pub const TEST_BUCKET: &str = "agentkeys-mail-test-000000000000";
/// Its role.
pub const TEST_ROLE: &str = "agentkeys-data-role-test";
/// The role's own policy, which has denials alone.
const GUARD: &str = "tagmint-own-prefix-alone";
/// Whose sessions its backend opens.
pub const WALLET: &str = "0x7a6ed1c0ffee5eed00000000000000000000d00d";
/// What the backend takes for them.
const AUTH_TOKEN: &str = "federation-proof";

impl Stage {
    /// Starts the test issuer, and sets its account up with the rendered script.
    pub fn of_the_test_issuer() -> TestResult<Self> {
        Self::start_the_test_issuer(CONFIG, |_, _| {})
    }

    /// The same, where AWS's clock can be moved ([`Self::put_days_ago`]).
    pub fn of_the_test_issuer_with_a_clock() -> TestResult<Self> {
        Self::start_the_test_issuer(CONFIG, under_the_clock)
    }

    /// The same with anonymous minting, as the configuration has it in comments.
    pub fn of_a_test_issuer_that_mints_anonymously() -> TestResult<Self> {
        let (before, block) = CONFIG
            .split_once(
                "
# [anonymous_minting]
",
            )
            .ok_or("no [anonymous_minting] in comments")?;
        let lines = block.lines().map(|line| line.strip_prefix("# ").unwrap_or(line));
        let block = lines.collect::<Vec<_>>().join(
            "
",
        );
        Self::start_the_test_issuer(
            &format!(
                "{before}
[anonymous_minting]
{block}
"
            ),
            |_, _| {},
        )
    }

    fn start_the_test_issuer(text: &str, prepare: impl FnOnce(&mut Command, &Path)) -> TestResult<Self> {
        let Ground { dir, runtime, github, gitlab } = Ground::new()?;
        let path = |name: &str| dir.path().join(name).to_string_lossy().into_owned();
        let options = ["--secure-transport", "--explain", "--format", "json", "--ca-file", &path("all.pem")];
        let mut aws = TagmintProcess::command(["localaws"].iter().chain(&options))?;
        fs::write(path("clock"), "+0")?;
        prepare(&mut aws, dir.path());
        let aws = TagmintProcess::start_command(aws)?;
        let backend = ["mock-backend", "--listen", "127.0.0.1:0", "--format", "json", "--auth-token", AUTH_TOKEN];
        let backend = TagmintProcess::start(backend.iter().chain(&["--wallet", WALLET]))?;
        let port = free_port()?;
        let config = config(text, port, &github, &gitlab, aws.field("endpoint")?, backend.field("url")?)?;
        fs::write(path("tagmint.toml"), config)?;
        let issuer = TagmintProcess::start(["serve", "--format", "json", "--config", &path("tagmint.toml")])?;
        let stage = Self { github, gitlab, issuer, aws, _backend: Some(backend), dir, _runtime: runtime };
        stage.set_up()?;
        Ok(stage)
    }

    /// Renders the account's side, and runs it.
    fn set_up(&self) -> TestResult {
        let mut render = TagmintProcess::command(["aws", "render", "--format", "cli", "--config"])?;
        render.arg(self.path("tagmint.toml")).arg("--out").arg(self.path("aws"));
        succeed(self.as_operator(render)?)?;
        succeed(self.as_operator(Command::new(self.path("aws/setup.sh")))?)?;
        Ok(())
    }

    /// Runs a command as the operator of the account, with nothing of this machine's AWS settings.
    pub fn as_operator(&self, mut command: Command) -> TestResult<Output> {
        for (name, value) in self.operator()? {
            command.env(name, value);
        }
        command.env("PATH", search_path()?).env("HOME", self.dir.path()).env_remove("AWS_PROFILE");
        command.env_remove("AWS_SESSION_TOKEN").env("AWS_EC2_METADATA_DISABLED", "true");
        Ok(command.output()?)
    }

    /// The operator's variables.
    pub fn operator(&self) -> TestResult<Vec<(&'static str, String)>> {
        let field = |name| self.aws.field(name).map(str::to_owned);
        Ok(vec![
            ("AWS_ENDPOINT_URL", field("endpoint")?),
            ("AWS_ACCESS_KEY_ID", field("access_key_id")?),
            ("AWS_SECRET_ACCESS_KEY", field("secret_access_key")?),
            ("AWS_REGION", "us-east-1".to_owned()),
            ("AWS_DEFAULT_REGION", "us-east-1".to_owned()),
        ])
    }

    /// Runs the AWS command as the operator; what it says.
    pub fn aws_command(&self, arguments: &[&str]) -> TestResult<String> {
        let mut command = Command::new("aws");
        command.args(arguments);
        succeed(self.as_operator(command)?)
    }

    /// Gives a role a policy of its own.
    pub fn put_role_policy(&self, role: &str, name: &str, policy: &str) -> TestResult {
        let command =
            ["iam", "put-role-policy", "--role-name", role, "--policy-name", name, "--policy-document", policy];
        self.aws_command(&command)?;
        Ok(())
    }

    /// Writes an object into the test bucket as if it were so many days ago.
    pub fn put_days_ago(&self, days: u32, key: &str) -> TestResult {
        let (clock, body) = (self.path("clock"), self.path("body"));
        fs::write(&clock, format!("-{days}d"))?;
        fs::write(&body, key)?;
        let mut command = Command::new("aws");
        command.args(["s3api", "put-object", "--bucket", TEST_BUCKET, "--key", key, "--body"]).arg(body);
        under_the_clock(&mut command, self.dir.path());
        let put = self.as_operator(command);
        fs::write(&clock, "+0")?;
        succeed(put?)?;
        Ok(())
    }

    /// Lets every session of the role read these keys: the denials of the role and of the bucket are gone, and a grant is there.
    pub fn open_the_wall(&self, keys: &str) -> TestResult {
        self.aws_command(&["iam", "delete-role-policy", "--role-name", TEST_ROLE, "--policy-name", GUARD])?;
        let policy = self.aws_command(&[
            "s3api",
            "get-bucket-policy",
            "--bucket",
            TEST_BUCKET,
            "--query",
            "Policy",
            "--output",
            "text",
        ])?;
        let mut policy: Value = serde_json::from_str(&policy)?;
        let statements = policy["Statement"].as_array_mut().ok_or("no statements")?;
        statements.retain(|statement| statement["Effect"] == "Allow");
        statements.push(json!({
            "Sid": "Hole", "Effect": "Allow", "Principal": {"AWS": Self::test_role()}, "Action": "s3:GetObject",
            "Resource": format!("arn:aws:s3:::{TEST_BUCKET}/{keys}"),
        }));
        let policy = policy.to_string();
        self.aws_command(&["s3api", "put-bucket-policy", "--bucket", TEST_BUCKET, "--policy", &policy])?;
        Ok(())
    }

    /// Lets GitHub's own tokens into the test role, too.
    pub fn trust_the_platform(&self) -> TestResult {
        let url = self.github.issuer();
        let audience = ["--client-id-list", "sts.amazonaws.com"];
        self.aws_command(&[&["iam", "create-open-id-connect-provider", "--url", url], &audience[..]].concat())?;
        self.trust(url, "repo:octo-org/octo-repo:*")
    }

    /// The same of GitLab's, whose provider is there.
    pub fn trust_gitlab(&self) -> TestResult {
        self.trust(self.gitlab.issuer(), "project_path:my-group/my-project:*")
    }

    fn trust(&self, url: &str, subject: &str) -> TestResult {
        let document = ["--query", "Role.AssumeRolePolicyDocument"];
        let trust = self.aws_command(&[&["iam", "get-role", "--role-name", TEST_ROLE], &document[..]].concat())?;
        let mut trust: Value = serde_json::from_str(&trust)?;
        let provider = url.trim_start_matches("https://");
        trust["Statement"].as_array_mut().ok_or("no statements")?.push(json!({
            "Effect": "Allow", "Action": "sts:AssumeRoleWithWebIdentity",
            "Principal": {"Federated": format!("arn:aws:iam::000000000000:oidc-provider/{provider}")},
            "Condition": {"StringLike": {format!("{provider}:sub"): subject}},
        }));
        let trust = trust.to_string();
        self.aws_command(&["iam", "update-assume-role-policy", "--role-name", TEST_ROLE, "--policy-document", &trust])?;
        Ok(())
    }

    /// The keys of a bucket.
    pub fn keys(&self, bucket: &str) -> TestResult<Vec<String>> {
        let said = self.aws_command(&["s3api", "list-objects-v2", "--bucket", bucket, "--query", "Contents[].Key"])?;
        Ok(serde_json::from_str::<Option<Vec<String>>>(&said)?.unwrap_or_default())
    }

    /// Opens a session for the wallet.
    pub fn wallet_session(&self) -> TestResult<String> {
        let mut command = Command::new("curl");
        command.args(["--silent", "--show-error", "--fail-with-body", "--json"]);
        command.arg(format!(r#"{{"auth_token": "{AUTH_TOKEN}"}}"#)).arg("--cacert").arg(self.path("ca.pem"));
        command.arg(format!("{}/v1/sessions", self.url()?));
        let said = succeed(command.output()?)?;
        let answer: Value = serde_json::from_str(&said)?;
        Ok(answer["session"].as_str().ok_or_else(|| format!("no session in {said}"))?.to_owned())
    }

    /// The ARN of the role for callers without proof.
    pub fn open_role() -> String {
        role("agentkeys-open-role-test")
    }

    /// The ARN of the test issuer's role.
    pub fn test_role() -> String {
        role(TEST_ROLE)
    }
}

fn succeed(output: Output) -> TestResult<String> {
    if output.status.success() {
        return Ok(String::from_utf8(output.stdout)?);
    }
    let said = [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned());
    Err(format!("{}: {}", output.status, said.concat()).into())
}

/// Preloaded, not through the `faketime` command: that would stand between the guard's signals and the process. The loader fills in `$LIB`.
fn under_the_clock(command: &mut Command, dir: &Path) {
    command
        .env("LD_PRELOAD", "/usr/$LIB/faketime/libfaketime.so.1")
        .env("FAKETIME_TIMESTAMP_FILE", dir.join("clock"))
        .env("FAKETIME_NO_CACHE", "1")
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
}

/// The shipped configuration with the addresses, files and account of this stage; its rules are as they are.
fn config(
    text: &str,
    port: u16,
    github: &CiPlatform,
    gitlab: &CiPlatform,
    sts: &str,
    backend: &str,
) -> TestResult<String> {
    let mut text = text.to_owned();
    // Let's Encrypt does not come here.
    let acme = "[tls.acme]";
    let (from, to) = (text.find(acme).ok_or(acme)?, text.find("[database]").ok_or("[database]")?);
    text.replace_range(from..to, "");
    let account = format!("account = \"000000000000\"\nsts_endpoint = \"{sts}\"");
    let public = format!("\"127.0.0.1:{port}\"");
    for (old, new) in [
        ("https://test-broker.litentry.org", format!("https://localhost:{port}").as_str()),
        ("\"0.0.0.0:443\"", &public),
        ("127.0.0.1:9465", "127.0.0.1:0"),
        ("mode = \"acme\"", "mode = \"files\"\ncertificate = \"server.pem\"\nkey = \"server.key\""),
        ("/var/lib/tagmint/test/tagmint.db", "tagmint.db"),
        ("credential:tagmint-key", "master.key"),
        ("http://127.0.0.1:9500", backend),
        ("eu-central-1", "us-east-1"),
        ("account = \"111122223333\"", &account),
    ] {
        assert!(text.contains(old), "{old} is not in deploy/test/tagmint.toml");
        text = text.replacen(old, new, if old.starts_with("https") { usize::MAX } else { 1 });
    }
    Ok(providers_here(&text, github, gitlab))
}
