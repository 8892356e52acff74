//! `tagmint aws render`: what it writes is taken by those it is written for, and does what the configuration says.

#[path = "aws_render/stage.rs"]
mod stage;

use std::{fs, path::Path, process::Command};

use aws_sdk_s3::primitives::ByteStream;
use serde_json::json;
use stage::{ACCOUNT, Stage, TestResult, repository};
use tagmint_e2e::{TagmintProcess, Terraform, python, terraform};

const WALLET: &str = "0x7a6ed1c0ffee5eed00000000000000000000d00d";

#[test]
fn the_committed_files_are_clean_for_their_linters() -> TestResult {
    let deploy = repository().join("deploy");
    for environment in ["prod", "test"] {
        let folder = deploy.join(environment);
        let mut template = Command::new(python()?.with_file_name("cfn-lint"));
        template.arg(folder.join("cloudformation.yaml"));
        let mut script = Command::new("shellcheck");
        script.arg(folder.join("setup.sh"));
        let mut module = Command::new(terraform()?.program);
        module.args(["fmt", "-check", "-diff", "-recursive"]).arg(folder.join("terraform"));
        for mut linter in [template, script, module] {
            let output = linter.output().map_err(|error| format!("{linter:?}: {error}"))?;
            let said = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success(), "{linter:?}: {said}{}", String::from_utf8_lossy(&output.stderr));
        }
    }
    Ok(())
}

/// A dry run changes nothing, the first run sets all up, and the second finds it so.
#[tokio::test]
async fn the_script_sets_an_account_up_and_can_be_run_again() -> TestResult {
    let stage = Stage::new(None)?;
    for environment in ["prod", "test"] {
        let config = stage.config(environment, &[])?;
        let script = stage.render(&config, "cli")?.join("setup.sh");
        let mut dry = Command::new(&script);
        dry.arg("--dry-run");
        let told = stage.succeed(dry)?;
        assert!(told.contains("+ make the role agentkeys-data-role"), "{told}");
        let (code, found) = stage.diff(&config)?;
        let ids: Vec<_> = found["drifts"].as_array().ok_or("drifts")?.iter().map(|drift| drift["id"].clone()).collect();
        assert_eq!((code, ids), (1, vec![json!("provider-missing"), json!("bucket-missing"), json!("role-missing")]));
        for _ in 0..2 {
            stage.succeed(Command::new(&script))?;
            assert_eq!(stage.diff(&config)?, (0, json!({"same": true, "drifts": [], "unread": []})), "{environment}");
        }
    }
    let elsewhere = stage.render(&stage.config("test", &[])?, "cli")?.join("setup.sh");
    let text = fs::read_to_string(&elsewhere)?;
    fs::write(&elsewhere, text.replace("ACCOUNT=\"${ACCOUNT:-000000000000}\"", "ACCOUNT=999999999999"))?;
    let refused = stage.run(Command::new(&elsewhere))?;
    assert!(!refused.status.success());
    let message = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(message.contains("credentials of the account 000000000000"), "{message}");
    Ok(())
}

/// The module is valid for the real provider, its own test passes, it applies, and a second plan has nothing to do.
#[tokio::test]
async fn the_terraform_module_of_prod_applies_and_a_second_plan_is_empty() -> TestResult {
    terraform_applies("prod")
}

#[tokio::test]
async fn the_terraform_module_of_test_applies_and_a_second_plan_is_empty() -> TestResult {
    terraform_applies("test")
}

/// Takes its time: the provider looks at a new lifecycle again and again for the better part of a minute.
fn terraform_applies(environment: &str) -> TestResult {
    let Terraform { program, plugins } = terraform()?;
    let stage = Stage::new(None)?;
    let config = stage.config(environment, &[])?;
    let module = stage.render(&config, "terraform")?;
    let root = stage.dir.path().join("root");
    fs::create_dir(&root)?;
    let main = include_str!("aws_render/root.tf").replace("ENDPOINT", stage.aws.field("endpoint")?);
    fs::write(root.join("main.tf"), main)?;
    let from = plugins.as_ref().map(|plugins| format!("-plugin-dir={}", plugins.display()));
    let run = |dir: &Path, arguments: &[&str], more: Option<&String>| {
        let mut command = Command::new(&program);
        command.args(arguments).arg("-no-color").args(more).current_dir(dir);
        command
    };
    stage.succeed(run(&module, &["init", "-input=false"], from.as_ref()))?;
    stage.succeed(run(&module, &["validate"], None))?;
    let tested = stage.succeed(run(&module, &["test"], None))?;
    assert!(tested.contains("2 passed, 0 failed"), "{tested}");
    stage.succeed(run(&root, &["init", "-input=false"], from.as_ref()))?;
    stage.succeed(run(&root, &["apply", "-auto-approve", "-input=false"], None))?;
    // Exit code 2 would be a plan with changes.
    stage.succeed(run(&root, &["plan", "-detailed-exitcode", "-input=false"], None))?;
    assert_eq!(stage.diff(&config)?, (0, json!({"same": true, "drifts": [], "unread": []})), "{environment}");
    Ok(())
}

/// An issuer's token opens its own prefix of an account that was set up from a configuration, and nothing else: proved.
#[tokio::test]
async fn a_session_of_a_rendered_account_reaches_its_own_prefix_alone() -> TestResult {
    let dir = tempfile::tempdir()?;
    let folder = dir.path().to_string_lossy().into_owned();
    let issuer = TagmintProcess::start(["dev", "--dir", &folder, "--format", "json"])?;
    let (url, ca_file) = (issuer.field("issuer")?.to_owned(), issuer.field("ca_file")?.to_owned());
    let stage = Stage::new(Some(&ca_file))?;
    let config = stage
        .config("test", &[("\nissuer = \"https://test-broker.litentry.org\"", &format!("\nissuer = \"{url}\""))])?;
    stage.set_up(&config)?;
    let bucket = format!("agentkeys-mail-test-{ACCOUNT}");
    let own = format!("{WALLET}/mail.txt");
    stage.s3()?.put_object().bucket(&bucket).key(&own).body(ByteStream::from_static(b"mail")).send().await?;
    let role = format!("arn:aws:iam::{ACCOUNT}:role/agentkeys-data-role-test");
    let prove = || -> TestResult<Command> {
        let mut command = TagmintProcess::command(["prove", "--read-only", "--own-object", &own, "--role", &role])?;
        command.args(["--bucket", &bucket, "--issuer", &url, "--ca-file", &ca_file]);
        command.env("TAGMINT_CREDENTIAL", issuer.field("session")?);
        Ok(command)
    };
    let table = stage.succeed(prove()?)?;
    assert!(table.contains("own-write-refused"), "{table}");
    // A broad policy that is attached to the role changes nothing …
    let iam = stage.iam()?;
    let full = "arn:aws:iam::aws:policy/AmazonS3FullAccess";
    iam.attach_role_policy().role_name("agentkeys-data-role-test").policy_arn(full).send().await?;
    stage.succeed(prove()?)?;
    // … until the denials are taken away: so the proof can fail, and it is they that hold.
    iam.delete_role_policy()
        .role_name("agentkeys-data-role-test")
        .policy_name("tagmint-own-prefix-alone")
        .send()
        .await?;
    stage.s3()?.delete_bucket_policy().bucket(&bucket).send().await?;
    let failed = stage.run(prove()?)?;
    assert_eq!(failed.status.code(), Some(1), "{}", String::from_utf8_lossy(&failed.stdout));
    Ok(())
}
