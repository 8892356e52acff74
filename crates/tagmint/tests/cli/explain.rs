//! `tagmint explain`: real tokens of a local issuer, tokens made by hand, and the examples of docs/explain.md.

use std::{fs, io::Write, path::Path, process::Stdio};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use tempfile::tempdir;

use crate::process::{Running, failure, run, tagmint};

const PAGE: &str = include_str!("../../../../docs/explain.md");
const ROLE_ACTIONS: [&str; 3] = ["sts:AssumeRoleWithWebIdentity", "sts:TagSession", "sts:SetSourceIdentity"];

/// A token whose signature nobody checks.
fn unsigned(claims: &Value) -> String {
    let encode = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.{}", encode(&json!({"alg": "RS256", "kid": "k"})), encode(claims), "c2ln")
}

fn write(folder: &Path, name: &str, text: &str) -> String {
    let file = folder.join(name);
    fs::write(&file, text).expect("a file");
    file.to_str().expect("UTF-8").to_owned()
}

/// Runs `explain --format json`, and returns the exit code, the answer and stderr. The token is nowhere to be seen.
fn explain(token: &str, args: &[&str]) -> (Option<i32>, Value, String) {
    let mut command = tagmint(["explain", "--token", "-", "--format", "json"]);
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the binary starts");
    child.stdin.take().expect("stdin is piped").write_all(token.as_bytes()).expect("stdin is read");
    let output = child.wait_with_output().expect("it ends");
    let (stdout, stderr) =
        (String::from_utf8(output.stdout).expect("UTF-8"), String::from_utf8(output.stderr).expect("UTF-8"));
    for part in token.split('.') {
        assert!(!stdout.contains(part) && !stderr.contains(part), "the token is shown");
    }
    (output.status.code(), serde_json::from_str(&stdout).unwrap_or_default(), stderr)
}

fn failed(answer: &Value) -> &Value {
    answer["checks"].as_array().expect("checks").iter().find(|check| check["passed"] == false).expect("a failed check")
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_of_a_local_issuer() {
    let folder = tempdir().unwrap();
    let dir = folder.path().join("dev");
    let dev = Running::start(["dev", "--dir", dir.to_str().unwrap()], folder.path());
    let minted: Value = dev.post("/v1/tokens", dev.field("session"), json!({})).await.json().await.unwrap();
    let token = minted["token"].as_str().unwrap();
    let host = dev.field("issuer").strip_prefix("https://").unwrap();
    let policy = json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Action": ROLE_ACTIONS,
        "Principal": {"Federated": format!("arn:aws:iam::111122223333:oidc-provider/{host}")},
        "Condition": {"StringLike": {format!("{host}:sub"): "wallet:*"}},
    }]});
    let policy = write(folder.path(), "trust.json", &policy.to_string());
    let keys = dev.client().get(format!("{}/.well-known/jwks.json", dev.field("issuer")));
    let keys = write(folder.path(), "jwks.json", &keys.send().await.unwrap().text().await.unwrap());
    let (audience, ca) = ("sts.amazonaws.com", dev.field("ca_file"));
    let common = ["--trust-policy", &policy, "--client-id", audience];

    let with = |more: &[&str]| explain(token, &[&common[..], more].concat());
    let (code, answer, _) = with(&[]);
    assert_eq!(
        (code, &answer["error"]["code"]),
        (Some(1), &json!("InvalidIdentityToken")),
        "AWS takes no port: {answer}"
    );
    assert_eq!(failed(&answer)["check"], "provider-url");

    for proof in [&["--jwks", &keys][..], &["--fetch", "--ca-file", ca]] {
        let (code, answer, stderr) = with(&[&["--localaws"], proof].concat());
        assert_eq!((code, &answer["accepted"]), (Some(0), &json!(true)), "{answer}{stderr}");
        let checks = answer["checks"].as_array().unwrap();
        assert!(checks.iter().any(|check| check["check"] == "token-signature" && check["passed"] == true), "{answer}");
        let ids: Vec<&Value> = answer["warnings"].as_array().unwrap().iter().map(|warning| &warning["id"]).collect();
        assert!(!ids.contains(&&json!("signature-not-checked")), "{answer}");
    }
    let (code, answer, _) = with(&["--localaws", "--fetch"]);
    assert_eq!((code, &failed(&answer)["check"]), (Some(1), &json!("discovery")), "the CA is not trusted: {answer}");

    let (code, answer, _) =
        with(&["--localaws", "--jwks", &keys, "--role-arn", "arn:aws:iam::111122223333:role/other"]);
    assert_eq!((code, &failed(&answer)["check"]), (Some(1), &json!("claim-roles")), "{answer}");
    let (head, tail) = token.rsplit_once('.').unwrap();
    let first = if tail.starts_with('A') { 'B' } else { 'A' };
    let forged = format!("{head}.{first}{}", &tail[1..]);
    let (code, answer, _) = explain(&forged, &[&common[..], &["--localaws", "--jwks", &keys]].concat());
    assert_eq!((code, &failed(&answer)["check"]), (Some(1), &json!("token-signature")), "{answer}");
}

#[test]
fn wrong_input_names_itself_and_never_the_token() {
    let folder = tempdir().unwrap();
    let token = unsigned(&json!({"iss": "https://id.example.com", "marker": "planted"}));
    let policy = write(folder.path(), "bad.json", r#"{"Statement": [{"Effect": "Permit"}]}"#);
    let (code, _, stderr) = explain(&token, &["--trust-policy", &policy]);
    assert_eq!(code, Some(1));
    assert!(stderr.contains("$.Statement[0].Effect") && stderr.contains("bad.json"), "{stderr}");
    for args in [
        vec!["explain", "--trust-policy", &policy, "--token", &token],
        vec!["explain", "--trust-policy", &policy, "--token", "-", &token],
    ] {
        let error = failure(&args, 2);
        assert!(!error.to_string().contains(&token[..20]), "{error}");
        let text = run(&args);
        assert!(!String::from_utf8_lossy(&text.stderr).contains(&token[..20]));
    }
    let lonely = ["explain", "--token", "-", "--trust-policy", &policy, "--action", "s3:GetObject"];
    assert_eq!(failure(lonely, 2)["code"], "usage");
    let (code, answer, _) = explain("not a token", &["--trust-policy", &write(folder.path(), "good.json", GOOD)]);
    assert_eq!((code, &failed(&answer)["check"]), (Some(1), &json!("token-form")), "{answer}");
}

/// AWS sends `s3:prefix` with lists only: an answer for a request that has it would be for no request at all.
#[test]
fn a_key_that_the_action_never_has_is_refused() {
    let folder = tempdir().unwrap();
    let policy = write(folder.path(), "good.json", GOOD);
    let role = r#"{"Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}}"#;
    let role = write(folder.path(), "role.json", role);
    let asked = |action, key: &str| {
        let mut args = vec!["--trust-policy", &policy, "--context", key];
        if let Some(action) = action {
            args.extend(["--action", action, "--resource", "arn:aws:s3:::data/blue/x", "--role-policy", &role]);
        }
        explain("not a token", &args)
    };
    for (action, key, part) in [
        (
            Some("s3:GetObject"),
            "s3:prefix=blue/",
            "requests of s3:GetObject never have s3:prefix (s3:ListBucket, s3:ListBucketVersions",
        ),
        (Some("s3:PutObject"), "s3:ExistingObjectTag/a=b", "s3:RequestObjectTag/a"),
        (
            Some("s3:HeadObject"),
            "aws:SourceIp=192.0.2.1",
            "--action: there is no action `s3:HeadObject`: the operation needs s3:GetObject",
        ),
        (None, "s3:prefix=blue/", "requests of sts:AssumeRoleWithWebIdentity never have s3:prefix"),
        (None, "aws:PrincipalTag/team=blue", "aws:RequestTag/team"),
        (None, "aws:SourceIpp=192.0.2.1", "there is no such condition key"),
    ] {
        let (code, answer, stderr) = asked(action, key);
        assert_eq!((code, &answer), (Some(2), &Value::Null), "{key}");
        assert!(stderr.contains(part), "{key}: {stderr}");
    }
    let (code, answer, _) = asked(None, "aws:SourceIp=192.0.2.1");
    assert_eq!((code, &failed(&answer)["check"]), (Some(1), &json!("token-form")), "{answer}");
}

const GOOD: &str = r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "sts:AssumeRoleWithWebIdentity",
    "Principal": {"Federated": "arn:aws:iam::111122223333:oidc-provider/id.example.com"}}}"#;

#[test]
fn the_examples_of_the_page_say_what_the_page_says() {
    let examples: Vec<&str> = PAGE.split("\n## Example: ").skip(1).collect();
    assert_eq!(examples.len(), 4);
    for example in examples {
        let folder = tempdir().unwrap();
        for (end, title) in example.match_indices("`:\n\n```json\n") {
            let name = example[..end].rsplit('`').next().unwrap();
            let text = example[end + title.len()..].split("```").next().unwrap();
            if name == "token.jwt" {
                write(folder.path(), name, &unsigned(&serde_json::from_str(text).unwrap()));
            } else {
                write(folder.path(), name, text);
            }
        }
        let block = |fence: &str| example.split(fence).nth(1).unwrap().split("```").next().unwrap();
        let command = block("```sh\n").replace("\\\n", " ");
        let args = command.strip_prefix("tagmint ").unwrap().split_whitespace();
        let output = tagmint(args).current_dir(folder.path()).output().unwrap();
        let (shown, stderr) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8_lossy(&output.stderr));
        assert_eq!(shown, block("```text\n"), "{stderr}");
        assert_eq!(output.status.code(), Some(i32::from(!shown.starts_with('✓'))));
    }
}

#[test]
fn the_page_names_every_warning() {
    let text = concat!(
        include_str!("../../../tagmint-iam/src/advice.rs"),
        include_str!("../../../tagmint-iam/src/advice/access.rs"),
        include_str!("../../../tagmint-iam/src/advice/keys.rs"),
        include_str!("../../../tagmint-iam/src/advice/version.rs"),
        include_str!("../../../tagmint-iam/src/advice/pins.rs"),
        include_str!("../../../tagmint-iam/src/advice/placeholder.rs"),
        include_str!("../../../tagmint-iam/src/advice/warnings.rs"),
    );
    let ids = text.split("id: \"").skip(1).filter_map(|rest| rest.split('"').next());
    let tuples = ["subject-unscoped", "subject-broad", "subject-any-ref"];
    let mut count = 0;
    for id in ids.chain(tuples) {
        assert!(PAGE.contains(&format!("| `{id}` |")), "docs/explain.md has no {id}");
        count += 1;
    }
    assert!(count >= 13, "{count}");
}

/// A role as `aws iam get-role` prints it, with the trust policy in several forms; as a file of PowerShell, and with its provider.
#[test]
fn documents_as_the_aws_cli_prints_them() {
    let folder = tempdir().unwrap();
    let now = jiff_now();
    let token = unsigned(&json!({
        "iss": "https://id.example.com", "aud": "sts.amazonaws.com", "sub": "x", "iat": now - 10, "exp": now + 600,
    }));
    let arn = "arn:aws:iam::111122223333:role/app";
    let good: Value = serde_json::from_str(GOOD).unwrap();
    let role = json!({"Role": {"RoleName": "app", "Arn": arn, "AssumeRolePolicyDocument": good}});
    let in_string = json!({"Role": {"RoleName": "app", "Arn": arn, "AssumeRolePolicyDocument": good.to_string()}});
    let utf16: Vec<u8> =
        std::iter::once(0xfeff).chain(role.to_string().encode_utf16()).flat_map(u16::to_le_bytes).collect();
    let provider = json!({"Url": "id.example.com", "ClientIDList": ["sts.amazonaws.com"], "ThumbprintList": []});
    let provider = write(folder.path(), "provider.json", &provider.to_string());
    let files = [
        role.to_string().into_bytes(),
        in_string.to_string().into_bytes(),
        utf16,
        format!("\u{feff}{GOOD}").into_bytes(),
        json!(GOOD).to_string().into_bytes(),
        serde_json::to_string_pretty(&role).unwrap().replace('\n', "\r\n").into_bytes(),
    ];
    for file in &files {
        fs::write(folder.path().join("role.json"), file).unwrap();
        let policy = folder.path().join("role.json");
        let policy = policy.to_str().unwrap();
        let (code, answer, stderr) = explain(&token, &["--trust-policy", policy, "--provider", &provider]);
        assert_eq!((code, &answer["accepted"]), (Some(0), &json!(true)), "{answer}{stderr}");
        let ids: Vec<&Value> = answer["warnings"].as_array().unwrap().iter().map(|warning| &warning["id"]).collect();
        assert!(!ids.contains(&&json!("audience-not-checked")), "the provider's client ids were read: {answer}");
    }
    let saved = format!("\"Bearer {token}\"\r\n");
    let policy = write(folder.path(), "good.json", GOOD);
    let (code, _, stderr) = explain(&saved, &["--trust-policy", &policy]);
    assert_eq!(code, Some(0), "{stderr}");
    let (code, _, stderr) = explain(&token, &["--trust-policy", &provider]);
    assert!(code == Some(1) && stderr.contains("--provider FILE"), "{stderr}");
}

fn jiff_now() -> i64 {
    i64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_secs()).unwrap()
}

/// What AWS printed, as an argument, as a file and on stdin.
#[test]
fn the_causes_of_an_error() {
    let folder = tempdir().unwrap();
    let log = "\u{1b}[31m2026-06-01T10:00:00.1234567Z ##[error]Could not assume role arn:aws:iam::111122223333:role/ci with OIDC: Not authorized to \
               perform sts:AssumeRoleWithWebIdentity\u{1b}[0m\n";
    let file = write(folder.path(), "job.log", log);
    for argument in [log, &file] {
        let output = run(&["explain", "--format", "json", "--error", argument]);
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
        let error = &answer["errors"][0];
        assert_eq!(
            (output.status.code(), &error["id"], &error["code"]),
            (Some(0), &json!("not-authorized"), &json!("AccessDenied"))
        );
        assert_eq!(
            error["next"][0],
            "tagmint explain --token TOKEN_FILE --role arn:aws:iam::111122223333:role/ci --fetch"
        );
        assert!(
            error["causes"].as_array().unwrap().len() > 3 && error["docs"] == "docs/troubleshooting.md#not-authorized"
        );
    }
    let mut command = tagmint(["explain", "--error", "-"]);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts");
    child.stdin.take().unwrap().write_all(b"Incorrect token audience\n").unwrap();
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.starts_with("InvalidIdentityToken: Incorrect token audience\n")
            && text.contains("\nNext\n  tagmint explain "),
        "{text}"
    );
    assert_eq!(failure(["explain", "--error", "all went well"], 1)["code"], "refused");
    assert_eq!(failure(["explain", "--error", "x", "--token", "-"], 2)["code"], "usage");
    assert_eq!(failure(["explain", "--trust-policy", "x"], 2)["code"], "usage");
}
