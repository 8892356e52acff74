//! An issuer, the stand-in for AWS that trusts it, and commands with their environment.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use aws_sdk_s3::{
    config::{BehaviorVersion, Credentials, Region},
    primitives::ByteStream,
};
use serde_json::{Value, json};
use tagmint_aws::connection::Connection;
use tagmint_e2e::TagmintProcess;

pub type Error = Box<dyn std::error::Error + Send + Sync>;
pub type TestResult<T = ()> = Result<T, Error>;

pub const OTHER: &str = "0x00000000000000000000000000000000000000b2";
pub const WALLET: &str = "0x7a6ed1c0ffee5eed00000000000000000000d00d";
pub const TAG: &str = "agentkeys_user_wallet";
pub const ROLE: &str = "agentkeys-data-role-test";
pub const ROLE_ARN: &str = "arn:aws:iam::000000000000:role/agentkeys-data-role-test";
pub const BUCKET: &str = "agentkeys-mail-test";

/// What AWS holds.
pub struct SetUp {
    /// The audience that the trust policy wants.
    pub audience: &'static str,
    /// Whether the trust policy demands the tag.
    pub demand_tag: bool,
    /// The subjects that the trust policy wants.
    pub subject: &'static str,
    /// A policy of the role's own.
    pub role_policy: Option<Value>,
    /// A further statement of the bucket policy.
    pub bucket_statement: Option<Value>,
    /// Whether the bucket policy lets sessions write.
    pub write: bool,
    /// Whether the bucket keeps versions.
    pub versioning: bool,
}

impl Default for SetUp {
    fn default() -> Self {
        Self {
            audience: "sts.amazonaws.com",
            demand_tag: true,
            subject: "*",
            role_policy: None,
            bucket_statement: None,
            write: true,
            versioning: false,
        }
    }
}

impl SetUp {
    fn seed(&self, issuer: &str) -> Value {
        let provider = issuer.trim_start_matches("https://");
        let bucket = format!("arn:aws:s3:::{BUCKET}");
        let tag = format!("${{aws:PrincipalTag/{TAG}}}");
        let mut conditions = json!({"StringEquals": {format!("{provider}:aud"): self.audience}});
        conditions["StringLike"] = json!({format!("{provider}:sub"): self.subject});
        if self.demand_tag {
            conditions["Null"] = json!({format!("aws:RequestTag/{TAG}"): "false"});
        }
        let actions = if self.write { json!(["s3:GetObject", "s3:PutObject"]) } else { json!("s3:GetObject") };
        let mut statements = vec![
            json!({
                "Effect": "Allow", "Principal": {"AWS": ROLE_ARN}, "Action": "s3:ListBucket", "Resource": bucket,
                "Condition": {"StringLike": {"s3:prefix": format!("{tag}/*")}},
            }),
            json!({
                "Effect": "Allow", "Principal": {"AWS": ROLE_ARN}, "Action": actions, "Resource": format!("{bucket}/{tag}/*"),
            }),
        ];
        statements.extend(self.bucket_statement.clone());
        let policies = self.role_policy.as_ref().map_or_else(|| json!({}), |policy| json!({"of-the-role": policy}));
        json!({
            "providers": [{"url": issuer, "client_ids": ["sts.amazonaws.com"]}],
            "roles": [{
                "name": ROLE,
                "trust_policy": {
                    "Version": "2012-10-17",
                    "Statement": [{
                        "Effect": "Allow",
                        "Principal": {"Federated": format!("arn:aws:iam::000000000000:oidc-provider/{provider}")},
                        "Action": ["sts:AssumeRoleWithWebIdentity", "sts:TagSession", "sts:SetSourceIdentity"],
                        "Condition": conditions,
                    }],
                },
                "policies": policies,
            }],
            "buckets": [{
                "name": BUCKET, "versioning": self.versioning,
                "policy": {"Version": "2012-10-17", "Statement": statements},
            }],
        })
    }
}

/// How a command ended.
#[derive(Debug)]
pub struct Outcome {
    pub code: i32,
    /// Its JSON; null where there is none.
    pub report: Value,
    pub stderr: String,
}

/// A local issuer on its own.
pub struct Issuer {
    process: TagmintProcess,
    dir: tempfile::TempDir,
}

impl Issuer {
    /// An issuer, and a token that it minted an hour ago. Ceph wants RS256.
    pub async fn with_past(algorithm: &str) -> TestResult<(Self, String)> {
        let past = Self::start(tempfile::tempdir()?, algorithm, Some("-1h"))?;
        let expired = past.mint("session", None).await?;
        let Self { process, dir } = past;
        process.stop()?;
        Ok((Self::start(dir, algorithm, None)?, expired))
    }

    /// An issuer that nobody knows.
    pub fn alone() -> TestResult<Self> {
        Self::start(tempfile::tempdir()?, "ES256", None)
    }

    fn start(dir: tempfile::TempDir, algorithm: &str, clock: Option<&str>) -> TestResult<Self> {
        let folder = dir.path().join("issuer");
        let mut command = TagmintProcess::command(["dev", "--format", "json", "--algorithm", algorithm, "--dir"])?;
        command.arg(&folder);
        if let Some(offset) = clock {
            // The loader fills in `$LIB`.
            command.env("LD_PRELOAD", "/usr/$LIB/faketime/libfaketime.so.1");
            command.env("FAKETIME", offset).env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        }
        Ok(Self { process: TagmintProcess::start_command(command)?, dir })
    }

    pub fn field(&self, name: &str) -> TestResult<&str> {
        Ok(self.process.field(name)?)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A file with this content.
    pub fn file(&self, name: &str, content: &str) -> TestResult<PathBuf> {
        let path = self.path(name);
        std::fs::write(&path, content)?;
        Ok(path)
    }

    /// `prove` with this issuer's session, and nothing of the machine's own AWS settings.
    pub fn prove(&self, role: &str, more: &[&str]) -> TestResult<Command> {
        let (issuer, ca_file) = (self.field("issuer")?, self.field("ca_file")?);
        let mut command = TagmintProcess::command(["prove", "--role", role, "--bucket", BUCKET])?;
        command.args(["--issuer", issuer, "--ca-file", ca_file]).args(more);
        isolate(&mut command, self.dir.path());
        command.env("TAGMINT_CREDENTIAL", self.field("session")?);
        Ok(command)
    }

    /// Adds what the four checks of tokens need that `prove` cannot make itself.
    pub async fn all_tokens(&self, command: &mut Command, expired: &str, stranger: &Self) -> TestResult {
        command.args(["--require-all", "--other-audience", "tagmint-dev"]);
        command.arg("--untagged-credential-file").arg(self.file("bearer", self.field("bearer")?)?);
        command.arg("--other-environment-token").arg(self.file("stranger", &stranger.mint("session", None).await?)?);
        command.arg("--expired-token").arg(self.file("expired", expired)?);
        Ok(())
    }

    /// A token for a credential that the ready line names.
    pub async fn mint(&self, credential: &str, audience: Option<&str>) -> TestResult<String> {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let ca = reqwest::Certificate::from_pem(&std::fs::read(self.field("ca_file")?)?)?;
        let client = reqwest::Client::builder().tls_certs_only([ca]).timeout(Duration::from_secs(20)).build()?;
        let request = client.post(format!("{}/v1/tokens", self.field("issuer")?)).bearer_auth(self.field(credential)?);
        let answer: Value = request.json(&json!({"audience": audience})).send().await?.json().await?;
        Ok(answer["token"].as_str().ok_or_else(|| format!("no token in {answer}"))?.to_owned())
    }
}

/// An issuer and the stand-in for AWS, which trusts the issuer's CA.
pub struct Stage {
    aws: TagmintProcess,
    pub issuer: Issuer,
    /// A token of the issuer, an hour old.
    pub expired: Option<String>,
}

impl Stage {
    /// Starts both, with an object of each wallet.
    pub async fn new(set_up: SetUp) -> TestResult<Self> {
        Self::start(Issuer::alone()?, None, set_up).await
    }

    /// The same with an issuer that minted a token an hour ago.
    pub async fn with_past(set_up: SetUp) -> TestResult<Self> {
        let (issuer, expired) = Issuer::with_past("ES256").await?;
        Self::start(issuer, Some(expired), set_up).await
    }

    async fn start(issuer: Issuer, expired: Option<String>, set_up: SetUp) -> TestResult<Self> {
        let seed = issuer.dir.path().join("seed.json");
        std::fs::write(&seed, set_up.seed(issuer.field("issuer")?).to_string())?;
        let ca_file = issuer.field("ca_file")?.to_owned();
        let mut command =
            TagmintProcess::command(["localaws", "--explain", "--format", "json", "--ca-file", &ca_file])?;
        command.arg("--seed").arg(&seed);
        let stage = Self { aws: TagmintProcess::start_command(command)?, issuer, expired };
        for wallet in [WALLET, OTHER] {
            let body = ByteStream::from(format!("mail of {wallet}").into_bytes());
            stage.s3()?.put_object().bucket(BUCKET).key(format!("{wallet}/mail.txt")).body(body).send().await?;
        }
        Ok(stage)
    }

    pub async fn mint(&self, credential: &str, audience: Option<&str>) -> TestResult<String> {
        self.issuer.mint(credential, audience).await
    }

    pub fn file(&self, name: &str, content: &str) -> TestResult<PathBuf> {
        self.issuer.file(name, content)
    }

    /// A command as the administrator of the stand-in, with nothing of the machine's own AWS settings.
    pub fn command(&self, arguments: &[&str]) -> TestResult<Command> {
        let mut command = TagmintProcess::command(arguments.iter().copied())?;
        isolate(&mut command, self.issuer.dir.path());
        self.administer(&mut command)?;
        Ok(command)
    }

    fn administer(&self, command: &mut Command) -> TestResult {
        command
            .env("AWS_ENDPOINT_URL", self.aws.field("endpoint")?)
            .env("AWS_ACCESS_KEY_ID", self.aws.field("access_key_id")?)
            .env("AWS_SECRET_ACCESS_KEY", self.aws.field("secret_access_key")?);
        Ok(())
    }

    /// `prove` with the issuer's session.
    pub fn prove(&self, more: &[&str]) -> TestResult<Command> {
        let mut command = self.prove_as_text(&["--format", "json"])?;
        command.args(more);
        Ok(command)
    }

    pub fn prove_as_text(&self, more: &[&str]) -> TestResult<Command> {
        let mut command = self.issuer.prove(ROLE_ARN, more)?;
        self.administer(&mut command)?;
        Ok(command)
    }

    /// `prove` with tokens from elsewhere.
    pub fn prove_with(&self, more: &[&str]) -> TestResult<Command> {
        let mut command = self.command(&["prove", "--format", "json", "--role", ROLE_ARN, "--bucket", BUCKET])?;
        command.args(more);
        Ok(command)
    }

    /// The stand-in's endpoint.
    pub fn endpoint(&self) -> TestResult<&str> {
        Ok(self.aws.field("endpoint")?)
    }

    /// The administrator's way to the stand-in.
    pub fn connection(&self) -> TestResult<Connection> {
        let field = |name| self.aws.field(name);
        Ok(Connection::to_endpoint(
            field("endpoint")?,
            "us-east-1",
            field("access_key_id")?,
            field("secret_access_key")?,
        )?)
    }

    /// The bucket's keys.
    pub async fn keys(&self) -> TestResult<Vec<String>> {
        let listed = self.s3()?.list_objects_v2().bucket(BUCKET).send().await?;
        Ok(listed.contents().iter().filter_map(|object| object.key().map(str::to_owned)).collect())
    }

    /// The keys of the bucket's versions and delete markers.
    pub async fn versions(&self) -> TestResult<(Vec<String>, usize)> {
        let listed = self.s3()?.list_object_versions().bucket(BUCKET).send().await?;
        let keys = listed.versions().iter().filter_map(|version| version.key().map(str::to_owned)).collect();
        Ok((keys, listed.delete_markers().len()))
    }

    /// A session's keys, as AWS's variables.
    pub async fn session_keys(&self, token: &str) -> TestResult<[(&'static str, String); 3]> {
        let config = aws_sdk_sts::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .endpoint_url(self.aws.field("endpoint")?)
            .region(Region::new("us-east-1"));
        let call = aws_sdk_sts::Client::from_conf(config.build()).assume_role_with_web_identity();
        let answer = call.role_arn(ROLE_ARN).role_session_name("e2e").web_identity_token(token).send().await?;
        let keys = answer.credentials().ok_or("no credentials")?;
        Ok([
            ("AWS_ACCESS_KEY_ID", keys.access_key_id().to_owned()),
            ("AWS_SECRET_ACCESS_KEY", keys.secret_access_key().to_owned()),
            ("AWS_SESSION_TOKEN", keys.session_token().to_owned()),
        ])
    }

    fn s3(&self) -> TestResult<aws_sdk_s3::Client> {
        let (id, secret) = (self.aws.field("access_key_id")?, self.aws.field("secret_access_key")?);
        let config = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .endpoint_url(self.aws.field("endpoint")?)
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new(id, secret, None, None, "admin"))
            .force_path_style(true);
        Ok(aws_sdk_s3::Client::from_conf(config.build()))
    }
}

/// Takes the machine's own AWS settings away.
fn isolate(command: &mut Command, dir: &Path) {
    for variable in ["AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN", "AWS_REGION"] {
        command.env_remove(variable);
    }
    command
        .env("AWS_CONFIG_FILE", dir.join("no-config"))
        .env("AWS_SHARED_CREDENTIALS_FILE", dir.join("no-credentials"))
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env_remove("TAGMINT_CREDENTIAL");
}

/// Runs a command to its end.
pub fn outcome(mut command: Command) -> TestResult<Outcome> {
    let output = command.stdin(Stdio::null()).output()?;
    let stdout = String::from_utf8(output.stdout)?;
    Ok(Outcome {
        code: output.status.code().ok_or("ended by a signal")?,
        report: serde_json::from_str(&stdout).unwrap_or_default(),
        stderr: String::from_utf8(output.stderr)?,
    })
}

/// The same command without AWS credentials.
pub fn as_nobody(mut command: Command) -> Command {
    command.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY");
    command
}
