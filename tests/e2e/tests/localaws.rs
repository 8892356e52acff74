//! `tagmint localaws` as its clients see it: boto3, the `aws` command, the AWS SDK for Rust, Terraform. `tagmint dev` is the issuer.

use std::{path::PathBuf, process::Command, time::Duration};

use aws_sdk_s3::{
    config::{BehaviorVersion, Credentials, Region},
    error::{ProvideErrorMetadata, SdkError},
    primitives::ByteStream,
};
use serde_json::{Value, json};
use tagmint_e2e::{TagmintProcess, Terraform, python, terraform};

type Error = Box<dyn std::error::Error + Send + Sync>;
type TestResult<T = ()> = Result<T, Error>;

const OTHER: &str = "0x00000000000000000000000000000000000000b2";
const WALLET: &str = "0x7a6ed1c0ffee5eed00000000000000000000d00d";
const ROLE: &str = "agentkeys-data-role-test";
const ROLE_ARN: &str = "arn:aws:iam::000000000000:role/agentkeys-data-role-test";
const BUCKET: &str = "agentkeys-mail-test";

/// An issuer and the stand-in for AWS, which trusts the issuer's CA.
struct Stage {
    issuer: TagmintProcess,
    aws: TagmintProcess,
    dir: tempfile::TempDir,
}

impl Stage {
    /// Starts both. `seeded`: with the provider, the role, the bucket and an object of each wallet.
    async fn new(seeded: bool) -> TestResult<Self> {
        let dir = tempfile::tempdir()?;
        let folder = dir.path().join("issuer").to_string_lossy().into_owned();
        let issuer = TagmintProcess::start(["dev", "--dir", &folder, "--format", "json"])?;
        let ca_file = issuer.field("ca_file")?.to_owned();
        let seed = dir.path().join("seed.json");
        std::fs::write(&seed, set_up(issuer.field("issuer")?).to_string())?;
        let mut command =
            TagmintProcess::command(["localaws", "--explain", "--format", "json", "--ca-file", &ca_file])?;
        if seeded {
            command.arg("--seed").arg(&seed);
        }
        let stage = Self { aws: TagmintProcess::start_command(command)?, issuer, dir };
        if seeded {
            let s3 = stage.s3(stage.admin()?)?;
            for wallet in [WALLET, OTHER] {
                let body = ByteStream::from(format!("mail of {wallet}").into_bytes());
                s3.put_object().bucket(BUCKET).key(format!("{wallet}/mail.txt")).body(body).send().await?;
            }
        }
        Ok(stage)
    }

    /// A token by the wallet's session, or by the bearer: without the wallet's tag.
    async fn mint(&self, credential: &str) -> TestResult<String> {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let ca = reqwest::Certificate::from_pem(&std::fs::read(self.issuer.field("ca_file")?)?)?;
        let client = reqwest::Client::builder().tls_certs_only([ca]).timeout(Duration::from_secs(20)).build()?;
        let url = format!("{}/v1/tokens", self.issuer.field("issuer")?);
        let request = client.post(url).bearer_auth(self.issuer.field(credential)?).json(&json!({}));
        let answer: Value = request.send().await?.json().await?;
        Ok(answer["token"].as_str().ok_or_else(|| format!("no token in {answer}"))?.to_owned())
    }

    fn provider(&self) -> TestResult<String> {
        Ok(self.issuer.field("issuer")?.trim_start_matches("https://").to_owned())
    }

    fn admin(&self) -> TestResult<Credentials> {
        Ok(Credentials::new(
            self.aws.field("access_key_id")?,
            self.aws.field("secret_access_key")?,
            None,
            None,
            "admin",
        ))
    }

    fn s3(&self, credentials: Credentials) -> TestResult<aws_sdk_s3::Client> {
        let config = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .endpoint_url(self.aws.field("endpoint")?)
            .region(Region::new("us-east-1"))
            .credentials_provider(credentials)
            .force_path_style(true);
        Ok(aws_sdk_s3::Client::from_conf(config.build()))
    }

    /// Runs a client with the endpoint in its environment, and nothing of the machine's own AWS settings.
    fn run(&self, mut command: Command) -> TestResult<std::process::Output> {
        command
            .env("AWS_ENDPOINT_URL", self.aws.field("endpoint")?)
            .env("AWS_REGION", "us-east-1")
            .env("AWS_DEFAULT_REGION", "us-east-1")
            .env("AWS_CONFIG_FILE", self.dir.path().join("no-config"))
            .env("AWS_SHARED_CREDENTIALS_FILE", self.dir.path().join("no-credentials"))
            .env("AWS_EC2_METADATA_DISABLED", "true");
        Ok(command.output()?)
    }

    fn succeed(&self, command: Command) -> TestResult<String> {
        let output = self.run(command)?;
        if output.status.success() {
            return Ok(String::from_utf8(output.stdout)?);
        }
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        Err(format!("{}\n{out}\n{err}\nlocalaws says:\n{}", output.status, self.aws.stderr()).into())
    }
}

/// What `tagmint aws render` will make for the issuer: provider, role, bucket with its policy.
fn set_up(issuer: &str) -> Value {
    let provider = issuer.trim_start_matches("https://");
    let bucket = format!("arn:aws:s3:::{BUCKET}");
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
                    "Condition": {
                        "StringEquals": {format!("{provider}:aud"): "sts.amazonaws.com"},
                        "Null": {"aws:RequestTag/agentkeys_user_wallet": "false"},
                    },
                }],
            },
        }],
        "buckets": [{
            "name": BUCKET,
            "policy": {
                "Version": "2012-10-17",
                "Statement": [
                    {
                        "Effect": "Allow", "Principal": {"AWS": ROLE_ARN}, "Action": "s3:ListBucket", "Resource": bucket,
                        "Condition": {"StringLike": {"s3:prefix": "${aws:PrincipalTag/agentkeys_user_wallet}/*"}},
                    },
                    {
                        "Effect": "Allow", "Principal": {"AWS": ROLE_ARN}, "Action": ["s3:GetObject", "s3:PutObject"],
                        "Resource": format!("{bucket}/${{aws:PrincipalTag/agentkeys_user_wallet}}/*"),
                    },
                ],
            },
        }],
    })
}

#[tokio::test]
async fn boto3_sets_up_and_is_refused_where_aws_would() -> TestResult {
    let stage = Stage::new(false).await?;
    let mut command = Command::new(python()?);
    command
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/localaws/clients.py"))
        .args([stage.aws.field("endpoint")?, "us-east-1", &stage.provider()?, WALLET, OTHER])
        .env("ADMIN_KEY", stage.aws.field("access_key_id")?)
        .env("ADMIN_SECRET", stage.aws.field("secret_access_key")?)
        .env("TOKEN", stage.mint("session").await?)
        .env("UNTAGGED", stage.mint("bearer").await?);
    let seen: Value = serde_json::from_str(&stage.succeed(command)?)?;
    let expected: Value = serde_json::from_str(include_str!("localaws/expected.json"))?;
    let expected = expected.as_object().ok_or("expected.json is an object")?;
    for (name, value) in expected {
        assert_eq!(&seen[name], value, "{name} ({})", seen[format!("{name} (message)")]);
    }
    let looked_at = |name: &String| expected.contains_key(name) || name.ends_with("(message)");
    let names = seen.as_object().ok_or("the script writes an object")?.keys();
    let rest: Vec<_> = names.filter(|name| !looked_at(name) && name.as_str() != "provider").collect();
    assert!(rest.is_empty(), "seen but not expected: {rest:?}");
    assert_eq!(
        seen["read foreign (message)"],
        format!(
            "User: arn:aws:sts::000000000000:assumed-role/{ROLE}/e2e is not authorized to perform: s3:GetObject on resource: \
             \"arn:aws:s3:::{BUCKET}/{OTHER}/mail.txt\" because no identity-based policy allows the s3:GetObject action"
        )
    );
    let log = stage.aws.stderr();
    assert!(log.contains("token-signature") && log.contains("StringLike s3:prefix"), "refusals are explained:\n{log}");
    Ok(())
}

#[tokio::test]
async fn the_sdk_for_rust_sees_its_own_prefix_alone() -> TestResult {
    let stage = Stage::new(true).await?;
    let config = aws_sdk_sts::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(stage.aws.field("endpoint")?)
        .region(Region::new("us-east-1"));
    let sts = aws_sdk_sts::Client::from_conf(config.build());
    let assume = |token: String| {
        sts.assume_role_with_web_identity().role_arn(ROLE_ARN).role_session_name("sdk").web_identity_token(token).send()
    };
    let refused = assume(stage.mint("bearer").await?).await.expect_err("a token without the tag");
    assert_eq!(refused.code(), Some("AccessDenied"));
    assert_eq!(refused.message(), Some("Not authorized to perform sts:AssumeRoleWithWebIdentity"));

    let session = assume(stage.mint("session").await?).await?;
    let keys = session.credentials().ok_or("no credentials")?;
    let token = Some(keys.session_token().to_owned());
    let s3 = stage.s3(Credentials::new(keys.access_key_id(), keys.secret_access_key(), token, None, "sts"))?;
    let list = |prefix: String| s3.list_objects_v2().bucket(BUCKET).prefix(prefix).send();
    let listed = list(format!("{WALLET}/")).await?;
    let listed: Vec<_> = listed.contents().iter().filter_map(|object| object.key()).collect();
    assert_eq!(listed, [format!("{WALLET}/mail.txt")]);
    let get = |key: String| s3.get_object().bucket(BUCKET).key(key).send();
    let own = get(format!("{WALLET}/mail.txt")).await?.body.collect().await?.to_vec();
    assert_eq!(String::from_utf8(own)?, format!("mail of {WALLET}"));
    // The SDK's defaults: a checksum behind the body, and back.
    let body = ByteStream::from_static(b"written by the SDK");
    s3.put_object().bucket(BUCKET).key(format!("{WALLET}/new.txt")).body(body).send().await?;
    let written = get(format!("{WALLET}/new.txt")).await?;
    assert!(written.checksum_crc32().is_some());
    assert_eq!(written.body.collect().await?.to_vec(), b"written by the SDK");

    assert_eq!(refusal(get(format!("{OTHER}/mail.txt")).await), "AccessDenied");
    assert_eq!(refusal(list(format!("{OTHER}/")).await), "AccessDenied");
    assert_eq!(refusal(list(String::new()).await), "AccessDenied");
    let put = s3.put_object().bucket(BUCKET).key(format!("{OTHER}/new.txt")).body(ByteStream::from_static(b"x"));
    assert_eq!(refusal(put.send().await), "AccessDenied");
    let delete = s3.delete_object().bucket(BUCKET).key(format!("{OTHER}/mail.txt"));
    assert_eq!(refusal(delete.send().await), "AccessDenied");
    Ok(())
}

fn refusal<T, E: ProvideErrorMetadata>(
    result: Result<T, SdkError<E, aws_sdk_s3::config::http::HttpResponse>>,
) -> String {
    match result {
        Ok(_) => "accepted".to_owned(),
        Err(error) => error.code().unwrap_or("no code").to_owned(),
    }
}

#[tokio::test]
async fn the_aws_command_works_with_the_token_file() -> TestResult {
    let stage = Stage::new(true).await?;
    let token = stage.dir.path().join("token");
    std::fs::write(&token, stage.mint("session").await?)?;
    let program = python()?.with_file_name("aws");
    let aws = |arguments: &[&str]| {
        let mut command = Command::new(&program);
        command.args(arguments).current_dir(stage.dir.path());
        command
            .env("AWS_WEB_IDENTITY_TOKEN_FILE", &token)
            .env("AWS_ROLE_ARN", ROLE_ARN)
            .env("AWS_ROLE_SESSION_NAME", "cli");
        command.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY").env_remove("AWS_PROFILE");
        command
    };
    let identity: Value =
        serde_json::from_str(&stage.succeed(aws(&["sts", "get-caller-identity", "--output", "json"]))?)?;
    assert_eq!(identity["Arn"], format!("arn:aws:sts::000000000000:assumed-role/{ROLE}/cli"));
    std::fs::write(stage.dir.path().join("big"), vec![b'x'; 9 << 20])?;
    let own = format!("s3://{BUCKET}/{WALLET}/");
    stage.succeed(aws(&["s3", "cp", "big", &own]))?;
    stage.succeed(aws(&["s3", "cp", &format!("{own}big"), "back"]))?;
    assert_eq!(std::fs::read(stage.dir.path().join("back"))?, std::fs::read(stage.dir.path().join("big"))?);
    assert!(stage.succeed(aws(&["s3", "ls", &own]))?.contains("mail.txt"));
    let refused = stage.run(aws(&["s3", "cp", &format!("s3://{BUCKET}/{OTHER}/mail.txt"), "-"]))?;
    assert!(!refused.status.success());
    let refused = stage.run(aws(&["s3", "ls", &format!("s3://{BUCKET}/{OTHER}/")]))?;
    assert!(String::from_utf8_lossy(&refused.stderr).contains("AccessDenied"));
    Ok(())
}

#[tokio::test]
async fn terraform_applies_finds_nothing_to_change_and_destroys() -> TestResult {
    let Terraform { program, plugins } = terraform()?;
    let stage = Stage::new(false).await?;
    let dir = stage.dir.path().join("terraform");
    std::fs::create_dir(&dir)?;
    std::fs::write(dir.join("main.tf"), include_str!("localaws/main.tf"))?;
    let (endpoint, issuer) = (stage.aws.field("endpoint")?.to_owned(), stage.issuer.field("issuer")?.to_owned());
    let (key, secret) =
        (stage.aws.field("access_key_id")?.to_owned(), stage.aws.field("secret_access_key")?.to_owned());
    let run = |arguments: &[&str], more: Option<String>| {
        let mut command = Command::new(&program);
        command.args(arguments).args(more).current_dir(&dir);
        command.env("TF_VAR_endpoint", &endpoint).env("TF_VAR_issuer", &issuer).env("TF_IN_AUTOMATION", "1");
        command.env("AWS_ACCESS_KEY_ID", &key).env("AWS_SECRET_ACCESS_KEY", &secret);
        command
    };
    let from: Option<PathBuf> = plugins;
    let from = from.map(|plugins| format!("-plugin-dir={}", plugins.display()));
    stage.succeed(run(&["init", "-input=false", "-no-color"], from))?;
    stage.succeed(run(&["apply", "-auto-approve", "-input=false", "-no-color"], None))?;
    // Exit code 2 would be a plan with changes.
    stage.succeed(run(&["plan", "-detailed-exitcode", "-input=false", "-no-color"], None))?;
    let config = aws_sdk_iam::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(&endpoint)
        .region(Region::new("us-east-1"))
        .credentials_provider(stage.admin()?);
    let iam = aws_sdk_iam::Client::from_conf(config.build());
    let role = iam.get_role().role_name("terraform-data").send().await?;
    assert_eq!(role.role().and_then(aws_sdk_iam::types::Role::max_session_duration), Some(7200));
    stage.succeed(run(&["destroy", "-auto-approve", "-input=false", "-no-color"], None))?;
    assert!(iam.list_roles().send().await?.roles().is_empty());
    assert!(iam.list_open_id_connect_providers().send().await?.open_id_connect_provider_list().is_empty());
    Ok(())
}

/// `localaws` fetches as STS does, so the issuer sees what it would see of STS.
#[tokio::test]
async fn the_issuer_tells_that_its_keys_were_fetched() -> TestResult {
    const PATIENCE: Duration = Duration::from_secs(30);
    let stage = Stage::new(true).await?;
    let config = aws_sdk_sts::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(stage.aws.field("endpoint")?)
        .region(Region::new("us-east-1"));
    let sts = aws_sdk_sts::Client::from_conf(config.build());
    let token = stage.mint("session").await?;
    sts.assume_role_with_web_identity()
        .role_arn(ROLE_ARN)
        .role_session_name("seen")
        .web_identity_token(token)
        .send()
        .await?;
    let keys = |what: &str| -> TestResult<Value> {
        let config = stage.issuer.field("config")?;
        let output = TagmintProcess::command(["keys", what, "--format", "json", "--config", config])?.output()?;
        Ok(serde_json::from_slice(&output.stdout)?)
    };
    let mut seen = Vec::new();
    let start = std::time::Instant::now();
    while seen.len() < 2 && start.elapsed() < PATIENCE {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let rows = keys("fetches")?;
        let ours = rows.as_array().into_iter().flatten().filter(|row| row["user_agent"] == "tagmint-localaws");
        seen = ours.map(|row| row["document"].as_str().unwrap_or_default().to_owned()).collect();
    }
    seen.sort();
    assert_eq!(seen, ["discovery", "jwks"]);
    let signing = &keys("list")?[0];
    assert_eq!(signing["fetched_by_others"]["last_network"], "127.0.0.0/24", "{signing}");
    assert!(signing["fetched_by_sts"].is_null(), "the configuration of `dev` tells STS from nobody: {signing}");
    Ok(())
}
