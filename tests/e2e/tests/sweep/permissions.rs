//! The role that docs/sweep.md describes: it is enough, beside the policy that the test issuer's bucket has, and each permission of it is needed.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use serde_json::{Value, json};

use tagmint_core::sweep::NAMESPACES;

use super::{
    answers::{Answer, Api},
    stage::{ACCOUNT, BUCKET, Stage, TestResult, lines, pairs},
};

const ROLE: &str = "tagmint-sweep-test";

/// The policies in a page.
fn policies(page: &str) -> TestResult<Vec<Value>> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(page))?;
    let blocks = text.split("```json\n").skip(1).filter_map(|rest| rest.split("```").next());
    Ok(blocks.map(|block| serde_json::from_str(&block.replace("111122223333", ACCOUNT))).collect::<Result<_, _>>()?)
}

fn documented() -> TestResult<Value> {
    Ok(policies("sweep.md")?.into_iter().next().ok_or("docs/sweep.md has no policy")?)
}

impl Stage {
    fn aws(&self, arguments: &[&str]) -> TestResult<Value> {
        let mut command = Command::new("aws");
        command.args(arguments).args(["--output", "json"]);
        let output = self.run(command)?;
        if !output.status.success() {
            return Err(format!("aws {arguments:?}: {}", String::from_utf8_lossy(&output.stderr)).into());
        }
        Ok(serde_json::from_slice(&output.stdout).unwrap_or_default())
    }

    /// Gives the role this policy and nothing else.
    fn permit(&self, policy: &Value) -> TestResult {
        let policy = policy.to_string();
        let put =
            ["iam", "put-role-policy", "--role-name", ROLE, "--policy-name", "sweep", "--policy-document", &policy];
        self.aws(&put).map(drop)
    }

    /// Credentials of a session of the role.
    fn session(&self) -> TestResult<Value> {
        let arn = format!("arn:aws:iam::{ACCOUNT}:role/{ROLE}");
        let mut session = self.aws(&["sts", "assume-role", "--role-arn", &arn, "--role-session-name", "nightly"])?;
        Ok(session["Credentials"].take())
    }

    /// `tagmint sweep --apply` in a session of the role: exit code, report where there is one, and what it says.
    fn sweep_as_role(&self, more: &[&str]) -> TestResult<(i32, Value, String)> {
        let session = self.session()?;
        let mut command = self.command(&[&["--apply", "--without-ledger"], more].concat())?;
        for (variable, field) in [
            ("ACCESS_KEY_ID", "AccessKeyId"),
            ("SECRET_ACCESS_KEY", "SecretAccessKey"),
            ("SESSION_TOKEN", "SessionToken"),
        ] {
            command.env(format!("AWS_{variable}"), session[field].as_str().unwrap_or_default());
        }
        Ok(said(&command.output()?))
    }

    /// The same on an instance of EC2 that has the role: nothing in the environment, and a metadata service as version 2 of it is (user guide of
    /// EC2, "Retrieve security credentials from instance metadata").
    fn sweep_on_an_instance(&self) -> TestResult<(i32, Value, String)> {
        let session = self.session()?;
        let metadata = Api::start()?;
        let ttl = vec![("x-aws-ec2-metadata-token-ttl-seconds", "21600".to_owned())];
        metadata.set("/latest/api/token", Answer::Say(200, ttl, "a-token-of-the-service".to_owned()));
        let path = "/latest/meta-data/iam/security-credentials/";
        metadata.set(path, Answer::Say(200, Vec::new(), ROLE.to_owned()));
        let keys = json!({
            "Code": "Success", "Type": "AWS-HMAC", "AccessKeyId": session["AccessKeyId"], "Token": session["SessionToken"],
            "SecretAccessKey": session["SecretAccessKey"], "Expiration": session["Expiration"], "LastUpdated": "2026-01-01T00:00:00Z",
        });
        metadata.set(&format!("{path}{ROLE}"), Answer::json(200, &keys));
        let mut command = self.command(&["--apply", "--without-ledger"])?;
        for variable in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_EC2_METADATA_DISABLED"]
        {
            command.env_remove(variable);
        }
        let output = command.env("AWS_EC2_METADATA_SERVICE_ENDPOINT", metadata.url()).output()?;
        let asked: Vec<String> = metadata.seen().into_iter().map(|(path, _)| path).collect();
        assert_eq!(asked.first().map(String::as_str), Some("/latest/api/token"), "{asked:?}");
        Ok(said(&output))
    }
}

fn said(output: &Output) -> (i32, Value, String) {
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code().unwrap_or(-1), serde_json::from_slice(&output.stdout).unwrap_or_default(), told)
}

/// The account as the test issuer's set-up makes it, with the role beside it, and something to sweep.
async fn set_up() -> TestResult<Stage> {
    let stage = Stage::new().await?;
    let made = stage.dir.path().join("aws");
    let mut render = tagmint_e2e::TagmintProcess::command(["aws", "render", "--format", "cli", "--account", ACCOUNT])?;
    render.arg("--config").arg(stage.config("test")).arg("--out").arg(&made);
    let output = stage.run(render)?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let output = stage.run(Command::new(made.join("setup.sh")))?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let trust = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": format!("arn:aws:iam::{ACCOUNT}:root")}, "Action": "sts:AssumeRole"}]});
    stage.aws(&["iam", "create-role", "--role-name", ROLE, "--assume-role-policy-document", &trust.to_string()])?;
    for key in [
        "pr-1/run-1/x",
        "branch-main/run-2/y",
        "bearer-jenkins/z",
        "fixtures/x",
        "0x90f8bf6a479f320ead074411a4b0e7944ea8c9c1/x",
    ] {
        stage.put(BUCKET, key, "x").await?;
    }
    stage.s3.create_multipart_upload().bucket(BUCKET).key("mr-x/run-3/part").send().await?;
    stage.travel("+10d")?;
    Ok(stage)
}

/// The actions of a statement, or its resources.
fn listed(statement: &Value, field: &str) -> Vec<Value> {
    statement[field].as_array().cloned().unwrap_or_else(|| vec![statement[field].clone()])
}

#[test]
fn the_documented_policy_reaches_what_ci_writes_and_nothing_else() -> TestResult {
    let policy = documented()?;
    let (mut actions, mut resources) = (Vec::new(), Vec::new());
    for statement in policy["Statement"].as_array().ok_or("no statements")? {
        actions.extend(listed(statement, "Action"));
        resources.extend(listed(statement, "Resource"));
    }
    let expected = [
        "ListBucketVersions",
        "ListBucketMultipartUploads",
        "DeleteObject",
        "DeleteObjectVersion",
        "AbortMultipartUpload",
    ];
    assert_eq!(actions, expected.map(|action| json!(format!("s3:{action}"))));
    let arn = format!("arn:aws:s3:::{BUCKET}");
    let below = |space: &str| if space == "bearer-" { "bearer-*/*".to_owned() } else { format!("{space}*/run-*/*") };
    let spaces = NAMESPACES.map(|space| json!(format!("{arn}/{}", below(space))));
    for resource in &resources {
        assert!(*resource == json!(arn) || spaces.contains(resource), "{resource}");
    }
    assert!(spaces.iter().all(|space| resources.contains(space)), "{resources:?}");
    assert_eq!(
        listed(&policy["Statement"][0]["Condition"]["StringLike"], "s3:prefix"),
        NAMESPACES.map(|space| json!(format!("{space}*")))
    );
    assert!(policies("github.md")?.contains(&policy), "docs/github.md has another one");
    Ok(())
}

#[tokio::test]
async fn each_permission_that_is_missing_is_named_and_all_of_them_are_enough() -> TestResult {
    let stage = set_up().await?;
    let whole = documented()?;
    let objects = ["pr-1/run-1/", "branch-main/run-2/", "bearer-jenkins/"];
    let upload = "mr-x/run-3/";
    let keep_objects = ["--keep", objects[0], "--keep", objects[1], "--keep", objects[2]];
    // `s3:DeleteObject` is in it because AWS's reference asks for it with every removal; versions that are named take the other one.
    for (permission, keep) in [
        ("s3:ListBucketVersions", None),
        ("s3:ListBucketMultipartUploads", None),
        ("s3:DeleteObjectVersion", Some(["--keep", upload].as_slice())),
        ("s3:AbortMultipartUpload", Some(keep_objects.as_slice())),
    ] {
        let mut policy = whole.clone();
        for statement in policy["Statement"].as_array_mut().ok_or("no statements")? {
            let left: Vec<Value> =
                listed(statement, "Action").into_iter().filter(|action| action != permission).collect();
            // An empty list of actions is no policy.
            statement["Action"] = if left.is_empty() { json!("s3:GetBucketLocation") } else { json!(left) };
        }
        stage.permit(&policy)?;
        let before = stage.files(BUCKET)?;
        let (code, report, told) = stage.sweep_as_role(keep.unwrap_or_default())?;
        assert_eq!(code, 1, "{permission}: {told}{report}");
        if keep.is_some() {
            let failures = report["failures"].as_array().map(Vec::as_slice).unwrap_or_default();
            let named = |failure: &Value| failure["message"].as_str().is_some_and(|text| text.contains(permission));
            assert!(!failures.is_empty() && failures.iter().all(named), "{permission}: {report}");
            assert_eq!(report["failed"], json!(failures.len()), "{permission}: {report}");
        } else {
            assert!(told.contains("403 AccessDenied") && told.contains(permission), "{permission}: {told}");
            assert!(told.contains("nothing was removed") && told.contains("docs/sweep.md"), "{permission}: {told}");
        }
        assert_eq!(stage.files(BUCKET)?, before, "{permission}");
    }
    stage.permit(&whole)?;
    let (code, report, told) = stage.sweep_on_an_instance()?;
    let gone = [objects[0], objects[1], objects[2], upload].map(|prefix| (prefix, "gone"));
    assert_eq!((code, lines(&report)), (0, pairs(&gone)), "{report}{told}");
    let kept: Vec<String> = stage.kept(BUCKET)?.into_keys().collect();
    assert_eq!(kept, ["0x90f8bf6a479f320ead074411a4b0e7944ea8c9c1/x", "fixtures/x"]);
    Ok(())
}
