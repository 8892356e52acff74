//! `replay_report.sh` and `comment.sh`: what a change would have done, as a comment on a pull request.

use std::{
    fs,
    io::Write,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Stdio},
};

use serde_json::{Value, json};
use tagmint_e2e::search_path;

use super::{
    TestResult,
    job::{Outcome, repository},
};

/// Runs a script with programs that stand in for others, by name and text.
fn run(
    dir: &Path,
    script: &str,
    args: &[&str],
    programs: &[(&str, &str)],
    env: &[(&str, &str)],
    stdin: &str,
) -> TestResult<Outcome> {
    let bin = dir.join("bin");
    fs::create_dir_all(&bin)?;
    for (name, text) in programs {
        let file = bin.join(name);
        fs::write(&file, format!("#!/usr/bin/env bash\n{text}"))?;
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755))?;
    }
    let path = std::env::join_paths([bin].into_iter().chain(std::env::split_paths(&search_path()?)))?;
    let mut command = Command::new("bash");
    command.arg(repository().join("deploy/ci").join(script)).args(args).current_dir(dir);
    command.env_clear().env("PATH", path).env("DIR", dir).envs(env.iter().copied());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    child.stdin.take().ok_or("no stdin")?.write_all(stdin.as_bytes())?;
    let output = child.wait_with_output()?;
    Ok(Outcome {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout)?,
        stderr: String::from_utf8(output.stderr)?,
    })
}

fn report(answer: &Value, code: u8) -> TestResult<Outcome> {
    let dir = tempfile::tempdir()?;
    fs::write(dir.path().join("answer"), answer.to_string())?;
    let program = format!("printf '%s\\n' \"$@\" >\"$DIR/args\"\ncat \"$DIR/answer\"\nexit {code}\n");
    let outcome = run(
        dir.path(),
        "replay_report.sh",
        &["new.toml", "base.toml", "ledger.jsonl", "30d"],
        &[("tagmint", &program)],
        &[],
        "",
    )?;
    let args = fs::read_to_string(dir.path().join("args"))?;
    assert_eq!(
        args.lines().collect::<Vec<_>>(),
        [
            "replay",
            "--config",
            "new.toml",
            "--base",
            "base.toml",
            "--ledger",
            "ledger.jsonl",
            "--since",
            "30d",
            "--format",
            "json"
        ]
    );
    Ok(outcome)
}

fn answer(groups: Value) -> Value {
    json!({
        "same": groups == json!([]), "rows": 9, "mints": 7, "refusals": 2, "unchanged": 5, "newly_refused": 3, "newly_allowed": 1, "changed": 0,
        "undecided": 1, "groups": groups, "undecided_rows": {"format_1": {"rows": 1, "first": {"reason": "it is old"}}},
        "notes": ["a note"],
    })
}

#[test]
fn a_report_says_what_changes_and_nothing_of_it_is_markdown() -> TestResult {
    let first = json!({"id": "mnt_1", "at": "2026-09-01T00:00:00Z", "reason": "`ci`: <b>no</b> | @octocat #7 [x](https://evil.example)\n* y"});
    let group =
        json!({"change": "newly_refused", "rule": "ci", "repository": "octo/app (1)", "rows": 3, "first": first});
    let outcome = report(&answer(json!([group])), 1)?;
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""));
    let text = outcome.stdout;
    assert!(
        text.contains("**3 requests** would have been **refused**") && text.contains("**1 request** **allowed**"),
        "{text}"
    );
    assert!(text.contains("| 3 | ci | octo/app &#40;1&#41; | mnt&#95;1 "), "{text}");
    let row = text.lines().find(|line| line.starts_with("| 3 |")).ok_or("no row")?;
    assert_eq!(row.matches('|').count(), 6, "{row}");
    for bad in ['<', '`', '@', '[', '*', ':', '.'] {
        assert!(!row.contains(bad), "{bad}: {row}");
    }
    assert!(text.contains("\n- 1 request: it is old\n") && text.ends_with("> a note\n"), "{text}");
    Ok(())
}

#[test]
fn a_report_of_no_change_is_short_and_a_failure_is_none() -> TestResult {
    let outcome = report(&answer(json!([])), 0)?;
    assert!(outcome.stdout.contains("No request of this time would have been decided otherwise."), "{outcome:?}");
    let outcome = report(&answer(json!([])), 3)?;
    assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(3), ""));
    let dir = tempfile::tempdir()?;
    assert_eq!(run(dir.path(), "replay_report.sh", &["x"], &[], &[], "")?.code, Some(2));
    Ok(())
}

/// A `curl` that answers with the comments in a file, and writes down what it was asked for.
const CURL: &str = r#"
method=GET data='' out='' url=''
while [ $# -gt 0 ]; do
  case $1 in
    --request) method=$2; shift ;;
    --data) data=${2#@}; shift ;;
    --output) out=$2; shift ;;
    --config) cp "$2" "$DIR/config"; shift ;;
    https://*) url=$1 ;;
  esac
  shift
done
printf '%s %s\n' "$method" "$url" >>"$DIR/calls"
[ -z "$data" ] || cp "$data" "$DIR/sent"
if [ "$method" = GET ]; then cp "$DIR/comments" "$out"; else printf '{"html_url": "https://github.example/c/5"}' >"$out"; fi
printf '%s' "$STATUS"
"#;

fn comment(comments: &Value, status: &str) -> TestResult<(Outcome, String, Value)> {
    let dir = tempfile::tempdir()?;
    fs::write(dir.path().join("comments"), comments.to_string())?;
    let env = [
        ("GH_TOKEN", "ghs_secret"),
        ("GITHUB_REPOSITORY", "octo-org/octo-repo"),
        ("PULL_REQUEST", "42"),
        ("STATUS", status),
    ];
    let outcome = run(dir.path(), "comment.sh", &["replay"], &[("curl", CURL)], &env, "the report\n")?;
    let calls = fs::read_to_string(dir.path().join("calls"))?;
    assert!(
        !outcome.stdout.contains("ghs_") && !outcome.stderr.contains("ghs_") && !calls.contains("ghs_"),
        "{outcome:?}"
    );
    assert!(fs::read_to_string(dir.path().join("config"))?.contains("Bearer ghs_secret"));
    let sent = fs::read(dir.path().join("sent")).ok().and_then(|sent| serde_json::from_slice(&sent).ok());
    Ok((outcome, calls, sent.unwrap_or_default()))
}

#[test]
fn a_comment_is_written_once_and_replaced_afterwards() -> TestResult {
    const COMMENTS: &str = "https://api.github.com/repos/octo-org/octo-repo/issues/42/comments";
    let (outcome, calls, sent) = comment(&json!([]), "200")?;
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert_eq!(calls, format!("GET {COMMENTS}?per_page=100&page=1\nPOST {COMMENTS}\n"));
    assert_eq!(sent["body"], "<!-- tagmint:replay -->\nthe report\n");
    // Somebody else's comment with our mark stays.
    let begin = "<!-- tagmint:replay -->\nold";
    let by = |id: u64, login: &str, body: &str| json!({"id": id, "user": {"login": login}, "body": body});
    let found =
        json!([by(1, "mallory", begin), by(2, "github-actions[bot]", "other"), by(3, "github-actions[bot]", begin)]);
    let (_, calls, _) = comment(&found, "200")?;
    assert!(calls.ends_with("\nPATCH https://api.github.com/repos/octo-org/octo-repo/issues/comments/3\n"), "{calls}");
    for (status, code) in [("403", 1), ("502", 4)] {
        assert_eq!(comment(&json!({"message": "no"}), status)?.0.code, Some(code));
    }
    Ok(())
}
