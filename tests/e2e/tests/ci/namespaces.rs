//! The namespaces of the shipped test issuer: runs that hold tokens at the same time reach their own prefix each, and nothing of one another.

use std::{path::PathBuf, process::Command, thread};

use aws_sdk_s3::{
    config::{BehaviorVersion, Credentials, Region},
    primitives::ByteStream,
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use tagmint_e2e::TagmintProcess;
use tagmint_testkit::ci_claims::{self, ClaimSet, with};

use super::{
    TestResult,
    job::{Job, repository},
    stage::{Stage, TEST_BUCKET, WALLET},
};

/// A run with its token.
struct Run {
    /// The value of its session tag.
    prefix: String,
    token: PathBuf,
    /// The session tag's key.
    tag: &'static str,
}

/// A run of a pull request.
fn pull_request(number: u32, run: &str) -> ClaimSet {
    let changes = json!({"ref": format!("refs/pull/{number}/merge"), "run_id": run});
    with(ci_claims::github_pull_request(), changes)
}

/// Everybody who shares the bucket: of each two, one's prefix begins as the other's, or they have nothing in common.
fn everybody(stage: &Stage) -> TestResult<Vec<Run>> {
    let mut runs = vec![];
    let dashed = json!({"run_id": "1", "ref": "refs/heads/feature-login",
        "sub": "repo:octo-org/octo-repo:ref:refs/heads/feature-login"});
    let dashed = with(ci_claims::github_feature_branch(), dashed);
    for (prefix, claims) in [
        ("pr-1/run-1", pull_request(1, "1")),
        ("pr-1/run-10", pull_request(1, "10")),
        ("pr-12/run-1", pull_request(12, "1")),
        ("branch-main/run-1", with(ci_claims::github_push(), json!({"run_id": "1"}))),
        // Two branches, `feature/login` and `feature-login`: a slug tells them apart.
        (
            "branch-feature-login-df7c7aeb3560d333/run-1",
            with(ci_claims::github_feature_branch(), json!({"run_id": "1"})),
        ),
        ("branch-feature-login/run-1", dashed),
    ] {
        stage.github.set_job(claims);
        runs.push(run(stage, Job::github(stage)?, prefix, "prefix")?);
    }
    for (prefix, claims) in [
        ("mr-feature-branch-1/run-1", with(ci_claims::gitlab_merge_request(), json!({"pipeline_id": "1"}))),
        ("ref-main/run-1", with(ci_claims::gitlab_branch(), json!({"pipeline_id": "1"}))),
    ] {
        stage.gitlab.set_job(claims);
        runs.push(run(stage, Job::gitlab(stage)?, prefix, "prefix")?);
    }
    let mut wallet = Job::gitlab(stage)?;
    wallet.unset("TAGMINT_ID_TOKEN");
    wallet.set("TAGMINT_CREDENTIAL", stage.wallet_session()?);
    runs.push(run(stage, wallet, WALLET, "agentkeys_user_wallet")?);
    Ok(runs)
}

/// Mints a token in a job, whose session tag has to be this prefix.
fn run(stage: &Stage, mut job: Job, prefix: &str, tag: &'static str) -> TestResult<Run> {
    let token = stage.path(&format!("token-{}", prefix.replace('/', "-")));
    job.set("TAGMINT_CA_FILE", stage.path("all.pem").to_string_lossy());
    let program = TagmintProcess::command([""; 0])?.get_program().to_string_lossy().into_owned();
    job.run(&program, ["token", "--role", &Stage::test_role(), "--out", &token.to_string_lossy()])?.succeeded();
    let claims = std::fs::read_to_string(&token)?;
    let claims = BASE64_URL_SAFE_NO_PAD.decode(claims.split('.').nth(1).ok_or("no claims")?)?;
    let claims: Value = serde_json::from_slice(&claims)?;
    assert_eq!(claims["https://aws.amazon.com/tags"]["principal_tags"][tag], json!([prefix]));
    Ok(Run { prefix: prefix.to_owned(), token, tag })
}

/// `tagmint prove` for one of them, with the prefixes that must be closed to it. It has the operator's credentials, so that there is an object
/// below each of them.
fn prove(stage: &Stage, run: &Run, neighbours: &[&str]) -> TestResult<(Option<i32>, Value)> {
    let role = Stage::test_role();
    let mut command: Command = TagmintProcess::command(["prove", "--format", "json", "--role", &role])?;
    command.args(["--bucket", TEST_BUCKET, "--tag", run.tag, "--token"]).arg(&run.token);
    if run.prefix == WALLET {
        command.arg("--read-only");
    }
    for neighbour in neighbours {
        command.args(["--neighbour", neighbour]);
    }
    let output = stage.as_operator(command)?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    Ok((output.status.code(), serde_json::from_slice(&output.stdout).map_err(|error| format!("{error}: {said}"))?))
}

fn failed(report: &Value) -> Vec<&str> {
    let rows = report["rows"].as_array().map(Vec::as_slice).unwrap_or_default();
    rows.iter().filter(|row| row["passed"] != true).filter_map(|row| row["name"].as_str()).collect()
}

#[test]
fn runs_side_by_side_reach_their_own_prefix_alone() -> TestResult {
    let stage = Stage::of_the_test_issuer()?;
    let mail = stage.path("mail");
    std::fs::write(&mail, "mail")?;
    let mail = mail.to_string_lossy();
    let key = format!("{WALLET}/mail");
    stage.aws_command(&["s3api", "put-object", "--bucket", TEST_BUCKET, "--key", &key, "--body", &mail])?;
    let runs = everybody(&stage)?;
    let proofs: Vec<_> = thread::scope(|scope| {
        let proofs: Vec<_> = runs
            .iter()
            .map(|own| {
                // Beside the others' prefixes, what lies above the own one.
                let above = own.prefix.split_once('/').map(|(above, _)| above);
                let others =
                    runs.iter().map(|run| run.prefix.as_str()).filter(|prefix| *prefix != own.prefix).chain(above);
                let others: Vec<&str> = others.collect();
                let stage = &stage;
                scope.spawn(move || (own, others.len(), prove(stage, own, &others)))
            })
            .collect();
        proofs.into_iter().map(thread::ScopedJoinHandle::join).collect()
    });
    for proof in proofs {
        let (run, others, proof) = proof.map_err(|_| "a proof panicked")?;
        let (code, report) = proof?;
        let (prefix, wallet) = (&run.prefix, run.prefix == WALLET);
        assert_eq!((code, failed(&report)), (Some(0), vec![]), "{prefix}: {report:#}");
        let names: Vec<_> = report["rows"].as_array().ok_or("rows")?.iter().map(|row| &row["name"]).collect();
        let own =
            if wallet { ["own-list", "own-write-refused", "own-read"] } else { ["own-list", "own-write", "own-read"] };
        assert!(own.iter().all(|name| names.contains(&&json!(name))), "{prefix}: {names:?}");
        let foreign = names.iter().filter(|name| name.as_str().is_some_and(|name| name.starts_with("neighbour")));
        assert_eq!(foreign.count(), others * 4, "{prefix}: list, get, put and delete of each");
        assert_eq!(report["left"], json!([]), "{prefix}");
    }
    let left =
        stage.aws_command(&["s3api", "list-objects-v2", "--bucket", TEST_BUCKET, "--query", "Contents[].Key"])?;
    assert_eq!(serde_json::from_str::<Value>(&left)?, json!([key]), "what the proofs wrote is gone");
    Ok(())
}

#[test]
fn a_wall_with_a_hole_is_found_from_both_sides() -> TestResult {
    let stage = Stage::of_the_test_issuer()?;
    stage.open_the_wall("pr-1/*")?;
    let runs = everybody(&stage)?;
    let (one, ten) = (&runs[0], &runs[1]);
    for (own, other) in [(one, ten), (ten, one)] {
        let (code, report) = prove(&stage, own, &[&other.prefix, "pr-12/run-1"])?;
        assert_eq!((code, failed(&report)), (Some(1), vec!["neighbour-get"]), "{report:#}");
    }
    Ok(())
}

#[test]
fn the_same_key_written_at_the_same_time_is_one_for_each_run() -> TestResult {
    const ROUNDS: usize = 20;
    let stage = Stage::of_the_test_issuer()?;
    let runs = everybody(&stage)?;
    let writers: Vec<&Run> = runs.iter().filter(|run| run.prefix != WALLET).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let mut tasks = tokio::task::JoinSet::new();
        for run in &writers {
            let token = std::fs::read_to_string(&run.token)?;
            tasks.spawn(write_and_read(stage.endpoint()?.to_owned(), run.prefix.clone(), token, ROUNDS));
        }
        tasks.join_all().await.into_iter().collect::<TestResult>()
    })?;
    let mut expected: Vec<_> = writers.iter().map(|run| format!("{}/result.txt", run.prefix)).collect();
    expected.sort();
    assert_eq!(stage.keys(TEST_BUCKET)?, expected);
    Ok(())
}

/// The commands of docs/prove.md, as two jobs run them at the same time: each has the other's prefix.
#[test]
fn the_commands_of_the_guide_prove_it() -> TestResult {
    let stage = Stage::of_the_test_issuer()?;
    let guide = std::fs::read_to_string(repository().join("docs/prove.md"))?;
    let section =
        guide.split("\n## ").find(|section| section.starts_with("Two runs side by side")).ok_or("no section")?;
    let script = section.split("```sh\n").nth(1).and_then(|rest| rest.split("```").next()).ok_or("no commands")?;
    let mut jobs = vec![];
    for (number, run, other) in [(1, "1", "pr-1/run-10"), (1, "10", "pr-1/run-1")] {
        let mut job = Job::github(&stage)?;
        job.dir = stage.path(&format!("run-{run}"));
        std::fs::create_dir_all(job.path("project"))?;
        // A job's ID token in a variable is the job's, whatever the platform's next one is.
        stage.github.set_job(pull_request(number, run));
        job.set("TAGMINT_ID_TOKEN", stage.github.job_token(stage.url()?));
        let program = TagmintProcess::command([""; 0])?.get_program().to_owned();
        let program = std::path::Path::new(&program).parent().ok_or("no folder")?.to_string_lossy().into_owned();
        job.set("PATH", format!("{program}:{}", job.variables["PATH"]));
        job.set("AWS_REGION", "us-east-1");
        for (name, value) in [("ROLE", Stage::test_role().as_str()), ("BUCKET", TEST_BUCKET), ("OTHER", other)] {
            job.set(name, value);
        }
        jobs.push(job);
    }
    let script = format!("set -e\n{script}");
    let outcomes: Vec<_> = thread::scope(|scope| {
        let running: Vec<_> = jobs.iter().map(|job| scope.spawn(|| job.run("bash", ["-c", &script]))).collect();
        running.into_iter().map(thread::ScopedJoinHandle::join).collect()
    });
    for outcome in outcomes {
        let said = outcome.map_err(|_| "a job panicked")??.succeeded().stdout;
        assert!(said.contains("✓ own-write ") && said.contains("✓ neighbour-put "), "{said}");
    }
    Ok(())
}

/// Writes `result.txt` again and again, and reads each time what it wrote.
async fn write_and_read(endpoint: String, prefix: String, token: String, rounds: usize) -> TestResult {
    let region = Region::new("us-east-1");
    let sts = aws_sdk_sts::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(&endpoint)
        .region(region.clone());
    let call = aws_sdk_sts::Client::from_conf(sts.build()).assume_role_with_web_identity();
    let call = call.role_arn(Stage::test_role()).role_session_name("writer").web_identity_token(token.trim());
    let answer = call.send().await?;
    let keys = answer.credentials().ok_or("no credentials")?;
    let (id, secret, session) = (keys.access_key_id(), keys.secret_access_key(), keys.session_token());
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(&endpoint)
        .region(region)
        .credentials_provider(Credentials::new(id, secret, Some(session.to_owned()), None, "writer"))
        .force_path_style(true);
    let s3 = aws_sdk_s3::Client::from_conf(config.build());
    let key = format!("{prefix}/result.txt");
    for round in 0..rounds {
        let text = format!("{prefix} {round}");
        let body = ByteStream::from(text.clone().into_bytes());
        s3.put_object().bucket(TEST_BUCKET).key(&key).body(body).send().await?;
        let object = s3.get_object().bucket(TEST_BUCKET).key(&key).send().await?;
        assert_eq!(object.body.collect().await?.into_bytes(), text.as_bytes());
    }
    Ok(())
}
