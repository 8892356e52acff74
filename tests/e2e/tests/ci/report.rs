//! `report.sh`: what a program says is shown, and is nothing else than shown.

use std::{fs, process::Command};

use tagmint_e2e::search_path;

use super::{
    TestResult,
    job::{Outcome, repository},
};

/// What becomes of a script in `report.sh`, and the summary; of a GitHub job, or of another one.
fn report(script: &str, github: bool) -> TestResult<(Outcome, String)> {
    let dir = tempfile::tempdir()?;
    let summary = dir.path().join("summary");
    let mut command = Command::new("bash");
    command.arg(repository().join("deploy/ci/report.sh")).args(["A title: of it", "bash", "-c", script]);
    command.env_clear().env("PATH", search_path()?).env("TMPDIR", dir.path());
    if github {
        command.env("GITHUB_ACTIONS", "true").env("GITHUB_STEP_SUMMARY", &summary);
    }
    let output = command.output()?;
    assert_eq!(fs::read_dir(dir.path())?.count(), usize::from(github && summary.exists()), "nothing else is left");
    let outcome = Outcome {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout)?,
        stderr: String::from_utf8(output.stderr)?,
    };
    Ok((outcome, fs::read_to_string(summary).unwrap_or_default()))
}

#[test]
fn a_report_is_shown_and_no_command_of_the_runner() -> TestResult {
    let script = r"printf '%s\n' '::add-mask::a' '</pre><img src=x>&amp;' '✗ one: 7% is wrong' '  ? two'; printf '\033[31mred\033[0m\r\n' >&2; exit 7";
    let (outcome, summary) = report(script, true)?;
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(7), ""));
    let word =
        outcome.stdout.lines().next().and_then(|line| line.strip_prefix("::stop-commands::")).ok_or("no stop")?;
    let (inside, after) = outcome.stdout.split_once(&format!("\n::{word}::\n")).ok_or("no end")?;
    let expected = "::add-mask::a\n</pre><img src=x>&amp;\n✗ one: 7% is wrong\n  ? two\n[31mred[0m\n";
    assert_eq!(inside.split_once('\n').map(|(_, said)| said), Some(expected));
    assert_eq!(after, "::error title=A title  of it::✗ one: 7%25 is wrong%0A  ? two\n");
    let escaped = "::add-mask::a\n&lt;/pre&gt;&lt;img src=x&gt;&amp;amp;\n✗ one: 7% is wrong\n  ? two\n[31mred[0m\n";
    assert_eq!(summary, format!("### A title: of it: failed (exit code 7)\n\n<pre>\n{escaped}</pre>\n\n"));
    // What dies in the middle of a line leaves the commands of the runner on.
    let (cut, _) = report("printf '✗ cut'; exit 7", true)?;
    assert!(
        cut.stdout.ends_with("::\n::error title=A title  of it::✗ cut\n") && cut.stdout.contains("✗ cut\n::"),
        "{cut:?}"
    );
    // Each time another word.
    let (again, _) = report("true", true)?;
    assert!(again.code == Some(0) && !again.stdout.contains(word) && !again.stdout.contains("::error"), "{again:?}");
    Ok(())
}

#[test]
fn what_has_no_marks_is_told_by_its_end_and_much_is_cut() -> TestResult {
    let (outcome, summary) = report("seq 1 3000; echo error: it was too much; exit 3", true)?;
    assert_eq!(outcome.code, Some(3));
    assert!(outcome.stdout.ends_with("\n::error title=A title  of it::error: it was too much\n"), "{}", outcome.stdout);
    assert!(summary.ends_with("\n1000\n</pre>\n\nThe rest is in the log.\n\n"), "{summary}");
    // A warning is one whatever the exit code; a table's line is none.
    let (outcome, _) = report("echo '!  dns   x'; echo '✗  connect  y'; echo '! dns: x'", true)?;
    assert!(
        outcome.code == Some(0) && outcome.stdout.ends_with("::\n::warning title=A title  of it::! dns: x\n"),
        "{outcome:?}"
    );
    // A program that says nothing, one that is not there, and a job elsewhere.
    let (outcome, _) = report("exit 4", true)?;
    assert!(outcome.code == Some(4) && outcome.stdout.ends_with("::exit code 4\n"), "{outcome:?}");
    assert_eq!(report("no-such-program", true)?.0.code, Some(127));
    let (outcome, summary) = report("echo ::x::; exit 1", false)?;
    assert_eq!((outcome.code, outcome.stdout.as_str(), summary.as_str()), (Some(1), "::x::\n", ""));
    Ok(())
}
