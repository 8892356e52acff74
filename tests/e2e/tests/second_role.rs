//! Rules that say what the role session is to be: a second role that it assumes at once, and session policies. `tagmint localaws` is AWS.

use std::{fs, process::Command};

use serde_json::{Value, json};
use tagmint_e2e::{TagmintProcess, python};

type Error = Box<dyn std::error::Error + Send + Sync>;
type TestResult<T = ()> = Result<T, Error>;

const HUB: &str = "arn:aws:iam::000000000000:role/agentkeys-data-role-test";
const SPOKE: &str = "arn:aws:iam::000000000000:role/spoke-test";
const BUCKET: &str = "spoke-data-test";
/// Beside the rules that `dev` writes.
const RULES: &str = r#"
[[rule]]
name = "hub"
from = "bearer"
subject = "hub:${sub}"
role = "arn:aws:iam::000000000000:role/agentkeys-data-role-test"
assume_then = "arn:aws:iam::000000000000:role/spoke-test"
transitive = ["prefix"]
tags = { prefix = "${sub}", note = "stays behind" }

[[rule]]
name = "hub-reads"
from = "bearer"
subject = "hub:${sub}"
role = "arn:aws:iam::000000000000:role/agentkeys-data-role-test"
assume_then = "arn:aws:iam::000000000000:role/spoke-test"
session_policy = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["s3:GetObject", "s3:ListBucket"], "Resource": "*"}]}'
transitive = ["prefix"]
tags = { prefix = "${sub}" }

[[rule]]
name = "closed"
from = "bearer"
subject = "hub:${sub}"
role = "arn:aws:iam::000000000000:role/agentkeys-data-role-test"
assume_then = "arn:aws:iam::000000000000:role/nobodys-test"
transitive = ["prefix"]
tags = { prefix = "${sub}" }
"#;

struct Stage {
    issuer: TagmintProcess,
    aws: TagmintProcess,
    dir: tempfile::TempDir,
}

impl Stage {
    fn new() -> TestResult<Self> {
        let dir = tempfile::tempdir()?;
        let folder = dir.path().join("issuer").to_string_lossy().into_owned();
        let dev = ["dev", "--dir", &folder, "--format", "json"];
        let first = TagmintProcess::start(dev)?;
        let config = first.field("config")?.to_owned();
        first.stop()?;
        // `dev` keeps the rules that it finds.
        fs::write(&config, fs::read_to_string(&config)? + RULES)?;
        let issuer = TagmintProcess::start(dev)?;
        let seed = dir.path().join("seed.json");
        fs::write(&seed, set_up(issuer.field("issuer")?).to_string())?;
        let mut command =
            TagmintProcess::command(["localaws", "--format", "json", "--ca-file", issuer.field("ca_file")?])?;
        command.arg("--seed").arg(&seed);
        Ok(Self { aws: TagmintProcess::start_command(command)?, issuer, dir })
    }

    /// A command of the binary, or below `exec`, with the issuer's bearer and nothing of the machine's own AWS settings.
    fn run(&self, args: &[&str]) -> TestResult<(bool, String)> {
        let mut command: Command = TagmintProcess::command(args)?;
        command
            .env("TAGMINT_URL", self.issuer.field("issuer")?)
            .env("TAGMINT_CA_FILE", self.issuer.field("ca_file")?)
            .env("TAGMINT_CREDENTIAL", self.issuer.field("bearer")?)
            .env("AWS_ENDPOINT_URL", self.aws.field("endpoint")?)
            .env("AWS_REGION", "us-east-1")
            .env("AWS_DEFAULT_REGION", "us-east-1")
            .env("AWS_CONFIG_FILE", self.dir.path().join("no-config"))
            .env("AWS_SHARED_CREDENTIALS_FILE", self.dir.path().join("no-credentials"))
            .env("AWS_EC2_METADATA_DISABLED", "true");
        let output = command.output()?;
        let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
        Ok((output.status.success(), said))
    }

    /// The `aws` command with the credentials that a rule gives.
    fn aws(&self, rule: &str, args: &[&str]) -> TestResult<(bool, String)> {
        let aws = python()?.with_file_name("aws").to_string_lossy().into_owned();
        self.run(&[&["exec", "--rule", rule, "--", &aws], args].concat())
    }
}

fn set_up(issuer: &str) -> Value {
    let provider = issuer.trim_start_matches("https://");
    let allow = |principal: Value, actions: &[&str]| json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": principal, "Action": actions}]});
    let federated = json!({"Federated": format!("arn:aws:iam::000000000000:oidc-provider/{provider}")});
    let web = ["sts:AssumeRoleWithWebIdentity", "sts:TagSession", "sts:SetSourceIdentity"];
    let next = ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"];
    let bucket = format!("arn:aws:s3:::{BUCKET}");
    json!({
        "providers": [{"url": issuer, "client_ids": ["sts.amazonaws.com"]}],
        "roles": [
            {"name": "agentkeys-data-role-test", "trust_policy": allow(federated.clone(), &web)},
            {"name": "spoke-test", "trust_policy": allow(json!({"AWS": HUB}), &next)},
            {"name": "nobodys-test", "trust_policy": allow(federated, &next)},
        ],
        "buckets": [{"name": BUCKET, "policy": {"Version": "2012-10-17", "Statement": [
            {
                "Effect": "Allow", "Principal": {"AWS": SPOKE}, "Action": "s3:ListBucket", "Resource": bucket,
                "Condition": {"StringLike": {"s3:prefix": "${aws:PrincipalTag/prefix}/*"}},
            },
            {
                "Effect": "Allow", "Principal": {"AWS": SPOKE}, "Action": ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"],
                "Resource": format!("{bucket}/${{aws:PrincipalTag/prefix}}/*"),
            },
        ]}}],
    })
}

#[test]
fn callers_get_the_second_roles_session_with_the_transitive_tags() -> TestResult {
    let stage = Stage::new()?;
    let (good, who) = stage.aws("hub", &["sts", "get-caller-identity", "--output", "json"])?;
    assert!(good && who.contains(":assumed-role/spoke-test/mnt_"), "{who}");
    let (good, said) = stage.aws("hub", &["s3api", "put-object", "--bucket", BUCKET, "--key", "dev/a"])?;
    assert!(good, "its own prefix: {said}");
    let (good, said) = stage.aws("hub", &["s3api", "put-object", "--bucket", BUCKET, "--key", "other/a"])?;
    assert!(!good && said.contains("AccessDenied"), "another's prefix: {said}");
    // A session policy takes away what the role has.
    let (good, said) = stage.aws("hub-reads", &["s3api", "head-object", "--bucket", BUCKET, "--key", "dev/a"])?;
    assert!(good, "{said}");
    let (good, said) = stage.aws("hub-reads", &["s3api", "put-object", "--bucket", BUCKET, "--key", "dev/b"])?;
    assert!(!good && said.contains("no session policy allows"), "{said}");
    // The second role's refusal is told by AWS's words, which name it.
    let (good, said) = stage.run(&["credentials", "--rule", "closed"])?;
    assert!(!good && said.contains("role/nobodys-test") && !said.contains("eyJ"), "{said}");
    Ok(())
}

#[test]
fn the_second_session_is_proved() -> TestResult {
    let stage = Stage::new()?;
    let credential = stage.dir.path().join("credential");
    fs::write(&credential, stage.issuer.field("bearer")?)?;
    let credential = credential.to_string_lossy();
    let prove = |rule: &str| {
        stage.run(&[
            "prove",
            "--issuer",
            stage.issuer.field("issuer")?,
            "--ca-file",
            stage.issuer.field("ca_file")?,
            "--credential-file",
            &credential,
            "--rule",
            rule,
            "--role",
            HUB,
            "--bucket",
            BUCKET,
            "--tag",
            "prefix",
            "--neighbour",
            "other",
            "--format",
            "json",
        ])
    };
    let (good, said) = prove("hub")?;
    assert!(good && said.contains(":assumed-role/spoke-test/"), "{said}");
    // Under a session policy that reads alone the proof of writing fails.
    let (good, said) = prove("hub-reads")?;
    let written = "\"expected\":\"200\",\"observed\":\"403 AccessDenied\",\"passed\":false";
    assert!(!good && said.contains("1 of 18 checks failed") && said.contains(written), "{said}");
    let (good, said) = prove("closed")?;
    assert!(!good && said.contains("nobodys-test"), "{said}");
    Ok(())
}
