//! `tagmint prove` and `tagmint explain --role` against `tagmint localaws` and Ceph. `tagmint dev` and `tagmint serve` are the issuers.

#[path = "prove/ceph.rs"]
mod ceph;
#[path = "prove/stage.rs"]
mod stage;

use std::ops::ControlFlow;

use serde_json::{Value, json};
use stage::{
    BUCKET, Issuer, OTHER, Outcome, ROLE, ROLE_ARN, SetUp, Stage, TAG, TestResult, WALLET, as_nobody, outcome,
};
use tagmint_aws::{
    prove::{self, Access, Neighbour, Offered, Outcome as Checked, Plan, Prefix, ProveError, Tokens},
    token::Token,
};
use tagmint_core::{clock::SystemClock, random::SystemRandom, rules::SessionTerms};

/// The rows of a report by name: whether each passed, and what was seen.
fn rows(report: &Value) -> Vec<(&str, bool, &str)> {
    let rows = report["rows"].as_array().map(Vec::as_slice).unwrap_or_default();
    rows.iter()
        .map(|row| {
            let text = |member: &str| row[member].as_str().unwrap_or_default();
            (text("name"), row["passed"] == true, text("observed"))
        })
        .collect()
}

fn failed(report: &Value) -> Vec<&str> {
    rows(report).into_iter().filter(|(_, passed, _)| !passed).map(|(name, ..)| name).collect()
}

/// A row; null where there is none.
fn row<'a>(report: &'a Value, name: &str) -> &'a Value {
    let rows = report["rows"].as_array().map(Vec::as_slice).unwrap_or_default();
    rows.iter().find(|row| row["name"] == name).unwrap_or(&Value::Null)
}

/// Why a check was not made; empty where it was.
fn not_checked<'a>(report: &'a Value, name: &str) -> &'a str {
    let rows = report["not_checked"].as_array().map(Vec::as_slice).unwrap_or_default();
    let row = rows.iter().find(|row| row["name"] == name).unwrap_or(&Value::Null);
    row["why"].as_str().unwrap_or_default()
}

#[tokio::test]
async fn everything_is_proved_and_nothing_is_left() -> TestResult {
    let stage = Stage::with_past(SetUp::default()).await?;
    let before = stage.keys().await?;
    let mut command = stage.prove(&[])?;
    let junit = stage.issuer.path("junit.xml");
    let expired = stage.expired.as_deref().ok_or("no expired token")?;
    stage.issuer.all_tokens(&mut command, expired, &Issuer::alone()?).await?;
    command.arg("--junit").arg(&junit);
    let Outcome { code, report, stderr } = outcome(command)?;
    assert_eq!((code, &report["passed"]), (0, &json!(true)), "{report:#}\n{stderr}");
    assert_eq!(report["not_checked"], json!([]));
    assert_eq!(report["left"], json!([]));
    let seen = rows(&report);
    assert_eq!(seen.len(), 22);
    for (name, observed) in [
        ("own-list", "200, 1 key"),
        ("own-read", "200, as it was written"),
        ("own-list-without-slash", "403 AccessDenied"),
        ("sibling-get", "403 AccessDenied"),
        ("bucket-delete", "403 AccessDenied"),
        ("token-altered", "400 InvalidIdentityToken"),
        ("token-untagged", "403 AccessDenied"),
        ("token-other-audience", "400 InvalidIdentityToken"),
        ("token-other-environment", "400 InvalidIdentityToken"),
        ("token-expired", "400 ExpiredTokenException"),
    ] {
        assert_eq!(row(&report, name)["observed"], observed, "{name}");
    }
    assert_eq!(stage.keys().await?, before, "the bucket is as it was");
    let xml = std::fs::read_to_string(junit)?;
    assert!(xml.contains(r#"tests="22" failures="0" skipped="0""#), "{xml}");

    // For people: a table and a conclusion, without JSON and without colours in a pipe.
    let mut command = stage.prove_as_text(&[])?;
    let output = command.output()?;
    let text = String::from_utf8(output.stdout)?;
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("✓ own-list ") && text.contains("– token-expired "), "{text}");
    assert!(text.contains("✓ Proved: all 18 checks that were made hold."), "{text}");
    Ok(())
}

#[tokio::test]
async fn a_role_policy_that_masks_the_bucket_policy_is_found() -> TestResult {
    let broad = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]});
    let stage = Stage::new(SetUp { role_policy: Some(broad), ..SetUp::default() }).await?;
    let before = stage.keys().await?;
    let Outcome { code, report, .. } = outcome(stage.prove(&[])?)?;
    assert_eq!((code, &report["passed"]), (1, &json!(false)));
    let foreign = |place: &str| ["list", "get", "put", "delete"].map(|operation| format!("{place}-{operation}"));
    let expected: Vec<String> = [String::from("own-list-without-slash")]
        .into_iter()
        .chain(["sibling", "stranger", "bucket"].into_iter().flat_map(foreign))
        .collect();
    assert_eq!(failed(&report), expected);
    let explanation = row(&report, "sibling-get")["explanation"].as_str().ok_or("no explanation")?;
    assert!(
        explanation.starts_with(&format!(
            "statement 1 of the role's own policy `of-the-role` allows s3:GetObject on arn:aws:s3:::{BUCKET}/{WALLET}x/"
        )),
        "{explanation}"
    );
    assert!(explanation.contains("it masks the bucket policy, which cannot take it back"), "{explanation}");
    assert_eq!(stage.keys().await?, before, "what was written to foreign prefixes is gone");
    Ok(())
}

#[tokio::test]
async fn a_bucket_policy_that_is_too_wide_is_found() -> TestResult {
    let statement = json!({
        "Sid": "Wide", "Effect": "Allow", "Principal": {"AWS": ROLE_ARN}, "Action": "s3:GetObject",
        "Resource": format!("arn:aws:s3:::{BUCKET}/${{aws:PrincipalTag/{TAG}}}*"),
    });
    let stage = Stage::new(SetUp { bucket_statement: Some(statement), ..SetUp::default() }).await?;
    // The prefix that begins as the own one does is read, others are not.
    let Outcome { code, report, .. } = outcome(stage.prove(&[])?)?;
    assert_eq!((code, failed(&report)), (1, vec!["sibling-get"]));
    let explanation = row(&report, "sibling-get")["explanation"].as_str().ok_or("no explanation")?;
    assert!(
        explanation.starts_with("statement 3 (\"Wide\") of the bucket policy allows s3:GetObject"),
        "{explanation}"
    );
    // Nobody can put an object there, and the words of the refusal alone tell.
    let Outcome { code, report, .. } = outcome(as_nobody(stage.prove(&[])?))?;
    assert_eq!((code, failed(&report)), (1, vec!["sibling-get"]));
    assert_eq!(
        row(&report, "sibling-get")["observed"],
        "403 for s3:ListBucket: reading is allowed, and no object is there"
    );
    Ok(())
}

#[tokio::test]
async fn a_trust_policy_that_refuses_is_explained() -> TestResult {
    let stage = Stage::new(SetUp { audience: "another-audience", ..SetUp::default() }).await?;
    let Outcome { code, report, .. } = outcome(stage.prove(&[])?)?;
    assert_eq!((code, failed(&report)), (1, vec!["assume"]));
    let explanation = row(&report, "assume")["explanation"].as_str().ok_or("no explanation")?;
    assert!(explanation.contains(":aud") && explanation.contains("another-audience"), "{explanation}");
    assert!(explanation.contains("Fix: "), "{explanation}");
    assert_eq!(not_checked(&report, "own-list"), "no session was opened");
    assert!(not_checked(&report, "token-altered").contains("would prove nothing"));
    // Whoever may read nothing is told what to do.
    let Outcome { report, .. } = outcome(as_nobody(stage.prove(&[])?))?;
    let explanation = row(&report, "assume")["explanation"].as_str().ok_or("no explanation")?;
    assert!(
        explanation.contains("there are no AWS credentials") && explanation.contains("--trust-policy"),
        "{explanation}"
    );
    Ok(())
}

#[tokio::test]
async fn a_trust_policy_that_demands_no_tag_is_found() -> TestResult {
    let stage = Stage::new(SetUp { demand_tag: false, ..SetUp::default() }).await?;
    let bearer = stage.file("bearer", stage.issuer.field("bearer")?)?;
    let mut command = stage.prove(&["--untagged-credential-file"])?;
    command.arg(bearer);
    let Outcome { code, report, .. } = outcome(command)?;
    assert_eq!((code, failed(&report)), (1, vec!["token-untagged"]));
    let explanation = row(&report, "token-untagged")["explanation"].as_str().ok_or("no explanation")?;
    assert!(explanation.contains(&format!("\"Null\": {{\"aws:RequestTag/{TAG}\": \"false\"}}")), "{explanation}");

    // A token that is refused for its subject proves nothing about the tag.
    let stage = Stage::new(SetUp { demand_tag: false, subject: "wallet:*", ..SetUp::default() }).await?;
    let mut command = stage.prove(&["--untagged-credential-file"])?;
    command.arg(stage.file("bearer", stage.issuer.field("bearer")?)?);
    let Outcome { code, report, .. } = outcome(command)?;
    assert_eq!(code, 0, "{report:#}");
    let why = not_checked(&report, "token-untagged");
    assert!(why.contains("another reason") && why.contains("wallet:*"), "{why}");
    Ok(())
}

#[tokio::test]
async fn reading_alone_is_proved_and_what_stays_is_told() -> TestResult {
    let stage = Stage::new(SetUp { write: false, ..SetUp::default() }).await?;
    let Outcome { code, report, .. } = outcome(stage.prove(&["--read-only"])?)?;
    assert_eq!(code, 0, "{report:#}");
    assert_eq!(row(&report, "own-write-refused")["passed"], true);
    assert_eq!(row(&report, "own-read")["observed"], "200");
    let Outcome { code, report, .. } = outcome(stage.prove(&[])?)?;
    assert_eq!((code, failed(&report)), (1, vec!["own-write"]));
    let explanation = row(&report, "own-write")["explanation"].as_str().ok_or("no explanation")?;
    assert!(explanation.contains("no statement names s3:PutObject"), "{explanation}");

    // A session that writes and may not delete, and no operator: the object stays, and that is said.
    let stage = Stage::new(SetUp::default()).await?;
    let Outcome { code, report, .. } = outcome(as_nobody(stage.prove(&[])?))?;
    assert_eq!(code, 0, "{report:#}");
    let left = report["left"][0]["key"].as_str().ok_or("nothing is told to be left")?;
    assert_eq!(report["left"].as_array().map(Vec::len), Some(1));
    assert!(stage.keys().await?.contains(&left.to_owned()), "{left}");
    Ok(())
}

#[tokio::test]
async fn a_bucket_with_versions_is_left_as_it_was() -> TestResult {
    let stage = Stage::new(SetUp { versioning: true, ..SetUp::default() }).await?;
    let before = stage.versions().await?;
    let Outcome { code, report, .. } = outcome(stage.prove(&[])?)?;
    assert_eq!((code, &report["left"]), (0, &json!([])), "{report:#}");
    assert_eq!(stage.versions().await?, before);
    Ok(())
}

#[tokio::test]
async fn what_is_not_reached_is_named_with_exit_code_4() -> TestResult {
    let stage = Stage::new(SetUp::default()).await?;
    let closed = format!("http://127.0.0.1:{}", tagmint_e2e::free_port()?);
    for (variable, what) in [("AWS_ENDPOINT_URL_STS", "STS"), ("AWS_ENDPOINT_URL_S3", "S3")] {
        let mut command = stage.prove(&[])?;
        command.env(variable, &closed);
        let Outcome { code, stderr, .. } = outcome(command)?;
        assert_eq!(code, 4, "{stderr}");
        assert!(stderr.contains(&format!("{what} at {closed}")), "{stderr}");
        assert!(stderr.contains("refused"), "the cause is told: {stderr}");
    }
    let mut command = stage.prove_with(&["--issuer", &closed.replace("http:", "https:")])?;
    command.env("TAGMINT_CREDENTIAL", stage.issuer.field("session")?);
    let Outcome { code, stderr, .. } = outcome(command)?;
    assert_eq!(code, 4, "{stderr}");
    assert!(stderr.contains("the issuer at https://127.0.0.1:"), "{stderr}");
    Ok(())
}

#[tokio::test]
async fn certificate_authorities_and_proxies_of_the_environment_count() -> TestResult {
    let stage = Stage::new(SetUp::default()).await?;
    // The issuer answers over TLS, if not as STS does.
    let over_tls = |bundle: Option<&str>| -> TestResult<Outcome> {
        let mut command = stage.prove(&[])?;
        command.env("AWS_ENDPOINT_URL_STS", stage.issuer.field("issuer")?).env_remove("AWS_CA_BUNDLE");
        command.envs(bundle.map(|bundle| ("AWS_CA_BUNDLE", bundle)));
        outcome(command)
    };
    let Outcome { code, stderr, .. } = over_tls(None)?;
    assert_eq!(code, 4, "{stderr}");
    assert!(stderr.contains("certificate"), "{stderr}");
    let Outcome { code, report, stderr } = over_tls(Some(stage.issuer.field("ca_file")?))?;
    assert_eq!((code, row(&report, "assume")["passed"].as_bool()), (1, Some(false)), "{stderr}");

    // A name that only the proxy knows: the call comes through.
    let mut command = stage.prove(&[])?;
    let proxy = stage.endpoint()?;
    command.env("AWS_ENDPOINT_URL_STS", "http://sts.invalid").env("HTTP_PROXY", proxy).env("http_proxy", proxy);
    command.env("NO_PROXY", "127.0.0.1,localhost").env("no_proxy", "127.0.0.1,localhost");
    let Outcome { code, report, stderr } = outcome(command)?;
    assert_eq!((code, row(&report, "assume")["passed"].as_bool()), (0, Some(true)), "{report:#}\n{stderr}");
    Ok(())
}

#[tokio::test]
async fn secrets_are_neither_taken_as_arguments_nor_shown() -> TestResult {
    let stage = Stage::new(SetUp::default()).await?;
    let token = stage.mint("session", None).await?;
    for arguments in [&["--token", token.as_str()][..], &["--token", "-", token.as_str()]] {
        let Outcome { code, stderr, .. } = outcome(stage.prove_with(arguments)?)?;
        assert_eq!(code, 2, "{stderr}");
        assert!(!stderr.contains(&token[..40]), "{stderr}");
    }
    // A token that is given takes the issuer's place.
    let mut command = stage.prove_with(&["--token"])?;
    command.arg(stage.file("token", &token)?);
    let Outcome { code, report, .. } = outcome(command)?;
    assert_eq!(code, 0, "{report:#}");
    let all = report.to_string();
    assert!(token.split('.').all(|part| !all.contains(part)), "a part of the token is shown");
    Ok(())
}

#[tokio::test]
async fn explain_reads_the_role_from_aws() -> TestResult {
    let stage = Stage::new(SetUp::default()).await?;
    let token = stage.file("token", &stage.mint("session", None).await?)?;
    let other = stage.file("other", &stage.mint("session", Some("tagmint-dev")).await?)?;
    let explain = |token: &std::path::Path, more: &[&str]| -> TestResult<Outcome> {
        let mut command = stage.command(&["explain", "--format", "json", "--role", ROLE_ARN, "--token"])?;
        command.arg(token).args(more);
        outcome(command)
    };
    let Outcome { code, report, stderr } = explain(&token, &[])?;
    assert_eq!((code, &report["accepted"]), (0, &json!(true)), "{report:#}\n{stderr}");
    let ids: Vec<&Value> = report["warnings"].as_array().into_iter().flatten().map(|warning| &warning["id"]).collect();
    assert!(!ids.contains(&&json!("audience-not-checked")), "the provider's client ids are read: {ids:?}");

    let Outcome { code, report, .. } = explain(&other, &[])?;
    assert_eq!((code, &report["error"]["code"]), (1, &json!("InvalidIdentityToken")), "{report:#}");

    let resource = |prefix: &str| format!("arn:aws:s3:::{BUCKET}/{prefix}/mail.txt");
    let access = |prefix: &str| explain(&token, &["--action", "s3:GetObject", "--resource", &resource(prefix)]);
    assert_eq!(access(WALLET)?.code, 0);
    let Outcome { code, report, .. } = access(OTHER)?;
    assert_eq!((code, &report["error"]["code"]), (1, &json!("AccessDenied")), "{report:#}");

    // Without the permission, it is named, and so is the way without.
    let mut command = stage.command(&["explain", "--role", ROLE_ARN, "--token"])?;
    command.arg(&token);
    let session = stage.session_keys(&stage.mint("session", None).await?).await?;
    for (name, value) in session {
        command.env(name, value);
    }
    let Outcome { code, stderr, .. } = outcome(command)?;
    assert_eq!(code, 1, "{stderr}");
    assert!(stderr.contains("iam:GetRole") && stderr.contains("--trust-policy FILE"), "{stderr}");
    let missing = ROLE_ARN.replace(ROLE, "missing");
    let mut command = stage.command(&["explain", "--role", &missing, "--token"])?;
    command.arg(&token);
    assert!(outcome(command)?.stderr.contains("404 NoSuchEntity"));
    Ok(())
}

#[tokio::test]
async fn ceph_is_proved_as_aws_is() -> TestResult {
    let (issuer, expired) = Issuer::with_past("RS256").await?;
    let ceph = ceph::start(&issuer).await?;
    let role = format!("arn:aws:iam:::role/{ROLE}");
    let mut command = issuer.prove(&role, &["--format", "json"])?;
    issuer.all_tokens(&mut command, &expired, &Issuer::alone()?).await?;
    let Outcome { code, report, stderr } = outcome({
        command.envs(ceph.aws_env());
        command
    })?;
    assert_eq!((code, &report["passed"]), (0, &json!(true)), "{report:#}\n{stderr}\n{}", ceph.log());
    assert_eq!(rows(&report).len(), 22);
    assert_eq!((&report["not_checked"], &report["left"]), (&json!([]), &json!([])));

    // Ceph does not say what it refused: without an object that is there, a refused read proves nothing.
    let mut command = issuer.prove(&role, &["--format", "json", "--neighbour", OTHER])?;
    command.envs(ceph.aws_env());
    let Outcome { code, report, .. } = outcome(as_nobody(command))?;
    assert_eq!(code, 0, "{report:#}");
    assert!(not_checked(&report, "neighbour-get").contains("--neighbour-object"));
    let object = format!("{OTHER}/mail.txt");
    let mut command =
        issuer.prove(&role, &["--format", "json", "--neighbour", OTHER, "--neighbour-object", &object])?;
    command.envs(ceph.aws_env());
    let Outcome { code, report, .. } = outcome(as_nobody(command))?;
    assert_eq!((code, &row(&report, "neighbour-get")["passed"]), (0, &json!(true)), "{report:#}");
    Ok(())
}

/// What a signal does: the command breaks off at the next row.
#[tokio::test]
async fn a_proof_that_is_broken_off_takes_away_what_it_wrote() -> TestResult {
    let stage = Stage::new(SetUp::default()).await?;
    let before = stage.keys().await?;
    let own = Prefix::parse(WALLET)?;
    let missing = || Offered::Missing("not wanted".to_owned());
    let plan = Plan {
        terms: SessionTerms::default(),
        role_arn: ROLE_ARN.to_owned(),
        session_name: "broken-off".to_owned(),
        bucket: BUCKET.to_owned(),
        neighbours: Neighbour::made_up(&own, &SystemRandom)?,
        own,
        tag: Some(TAG.to_owned()),
        neighbour_object: None,
        access: Access::ReadWrite,
        tokens: Tokens {
            good: Token::parse(&stage.mint("session", None).await?)?,
            untagged: missing(),
            other_audience: missing(),
            other_environment: missing(),
            expired: missing(),
        },
        issuer_roots: None,
        require_all: false,
    };
    let mut last = None;
    let on_row = |row: &prove::Row| {
        last = Some((row.name.clone(), row.outcome));
        if row.name == "own-write" { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let ended = prove::run(&plan, &stage.connection()?, &SystemClock, &SystemRandom, on_row).await;
    assert_eq!(last, Some(("own-write".to_owned(), Checked::Passed)), "an object was written");
    assert!(matches!(&ended, Err(ProveError::Interrupted { left }) if left.is_empty()), "{ended:?}");
    assert_eq!(stage.keys().await?, before, "the bucket is as it was");
    Ok(())
}
