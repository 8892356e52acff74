//! A prefix of a pull request goes early when GitHub says clearly that it is closed, and long enough; each other answer keeps it.

use std::fs;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tagmint_core::clock::{Clock, SystemClock};

use super::{
    answers::{Answer, Api},
    stage::{BUCKET, Stage, TestResult, lines, pairs},
};

const REPOSITORY: &str = "/repos/litentry/agentkeys";
const TOKEN: &str = "github_pat_very_secret";
const DAY: SignedDuration = SignedDuration::from_hours(24);

/// Two prefixes that were used three days ago; the second's pull request is clearly closed.
struct Scene {
    stage: Stage,
    api: Api,
    /// Of `tagmint sweep`.
    now: Timestamp,
}

impl Scene {
    async fn new() -> TestResult<Self> {
        let stage = Stage::new().await?;
        for key in ["pr-1/run-11/x", "pr-2/run-22/x"] {
            stage.put(BUCKET, key, "x").await?;
        }
        stage.travel("+3d")?;
        fs::write(stage.dir.path().join("token"), TOKEN)?;
        let scene = Self { stage, api: Api::start()?, now: SystemClock.now() + DAY * 3 };
        scene.api.set(REPOSITORY, Answer::json(200, &json!({"id": 456_789, "full_name": "litentry/agentkeys"})));
        for run in [11, 22] {
            let body = json!({"id": run, "event": "pull_request", "pull_requests": [], "repository": {"id": 456_789}});
            scene.api.set(&format!("{REPOSITORY}/actions/runs/{run}"), Answer::json(200, &body));
        }
        scene.api.set(&format!("{REPOSITORY}/pulls/2"), scene.closed(2, DAY * 2));
        Ok(scene)
    }

    fn pull(number: u64, state: &str, closed_at: &Value) -> Answer {
        let merged_at = if state == "closed" { closed_at.clone() } else { Value::Null };
        let body = json!({"id": 1, "number": number, "state": state, "title": "…", "closed_at": closed_at, "merged_at": merged_at});
        Answer::json(200, &body)
    }

    fn closed(&self, number: u64, ago: SignedDuration) -> Answer {
        Self::pull(number, "closed", &json!((self.now - ago).to_string()))
    }

    /// The report of a run that is not to change anything, and what is said beside it.
    fn look(&self, more: &[&str]) -> TestResult<(Value, String)> {
        let token = self.stage.dir.path().join("token").to_string_lossy().into_owned();
        let asked = ["--github-repository", "litentry/agentkeys", "--github-api", &self.api.url()];
        let mut arguments = [&["--without-ledger", "--github-token-file", &token], asked.as_slice()].concat();
        arguments.extend(more);
        let output = self.stage.run(self.stage.command(&arguments)?)?;
        let told = String::from_utf8(output.stderr)?;
        let shown = String::from_utf8(output.stdout)?;
        assert!(!told.contains(TOKEN) && !shown.contains(TOKEN), "{told}{shown}");
        assert_eq!(output.status.code(), Some(0), "{told}{shown}");
        Ok((serde_json::from_str(&shown)?, told))
    }
}

#[tokio::test]
async fn only_a_clear_answer_that_it_is_closed_lets_a_prefix_go() -> TestResult {
    let scene = Scene::new().await?;
    let first = format!("{REPOSITORY}/pulls/1");
    let both = [("pr-1/run-11/", "would_go"), ("pr-2/run-22/", "would_go")];
    let second = &both[1..];
    let hour = SignedDuration::from_hours(1);
    let clear = [
        ("closed for two days", scene.closed(1, DAY * 2), both.as_slice(), json!([2, 0, 0])),
        ("closed an hour ago", scene.closed(1, hour), second, json!([2, 0, 0])),
        ("closed tomorrow, by a wrong clock", scene.closed(1, -DAY), second, json!([2, 0, 0])),
        ("open", Scene::pull(1, "open", &Value::Null), second, json!([1, 1, 0])),
        ("opened again", Scene::pull(1, "open", &json!("2020-01-01T00:00:00Z")), second, json!([1, 0, 1])),
        ("closed without a time", Scene::pull(1, "closed", &Value::Null), second, json!([1, 0, 1])),
        ("of another state", Scene::pull(1, "locked", &json!("2020-01-01T00:00:00Z")), second, json!([1, 0, 1])),
        ("another pull request", Scene::pull(3, "closed", &json!("2020-01-01T00:00:00Z")), second, json!([1, 0, 1])),
        ("not there", Answer::json(404, &json!({"message": "Not Found", "status": "404"})), second, json!([1, 0, 1])),
    ];
    for (name, answer, expected, counts) in clear {
        scene.api.set(&first, answer);
        let (report, told) = scene.look(&[])?;
        assert_eq!(lines(&report), pairs(expected), "{name}: {report}{told}");
        let pulls = &report["pulls"];
        assert_eq!(json!([pulls["closed"], pulls["open"], pulls["unclear"]]), counts, "{name}: {report}");
        assert!(pulls["problem"].is_null() && pulls["unasked"] == json!(0), "{name}: {report}");
    }
    // The token went to this host, with each request, and nothing else was asked.
    let seen = scene.api.seen();
    assert!(seen.iter().all(|(_, token)| token.as_deref() == Some(&format!("Bearer {TOKEN}"))), "{seen:?}");
    assert_eq!(seen.len(), 9 * 5, "{seen:?}");
    Ok(())
}

#[tokio::test]
async fn an_answer_that_is_none_keeps_everything_and_is_told() -> TestResult {
    let scene = Scene::new().await?;
    let elsewhere = Api::start()?;
    let moved = |status: u16, to: String| {
        let body =
            json!({"message": "Moved Permanently", "url": to, "documentation_url": "https://docs.github.com/rest"});
        Answer::Say(status, vec![("location", to)], body.to_string())
    };
    let limit = |status: u16, headers: Vec<(&'static str, String)>| {
        Answer::Say(status, headers, json!({"message": "API rate limit exceeded"}).to_string())
    };
    let used_up = || vec![("x-ratelimit-remaining", "0".to_owned()), ("x-ratelimit-reset", "1795276800".to_owned())];
    let say = |status: u16, body: &str| Answer::Say(status, Vec::new(), body.to_owned());
    let closed = r#"{"number": 1, "state": "closed", "closed_at": "2020-01-01T00:00:00Z""#;
    let cases = [
        ("moved", moved(301, format!("{}/repositories/456789/pulls/1", elsewhere.url())), "was renamed or moved (301)"),
        ("moved here", moved(301, format!("{}{REPOSITORY}/pulls/2", scene.api.url())), "was renamed or moved (301)"),
        ("moved for now", moved(307, format!("{}/x", elsewhere.url())), "was renamed or moved (307)"),
        ("no token", say(401, r#"{"message": "Bad credentials"}"#), "does not take the token (401)"),
        (
            "forbidden",
            say(403, r#"{"message": "Resource not accessible by personal access token"}"#),
            "it refuses (403)",
        ),
        ("rate limit", limit(403, used_up()), "its rate limit is used up (403)"),
        ("secondary limit", limit(429, vec![("retry-after", "60".to_owned())]), "its rate limit is used up (429)"),
        ("blocked", say(451, "{}"), "it answers 451"),
        ("broken", say(500, "oops"), "it answers 500"),
        ("a gateway", say(502, "<html>Bad Gateway</html>"), "it answers 502"),
        ("away", say(503, ""), "it answers 503"),
        ("nothing new", say(304, ""), "(304)"),
        ("empty", say(200, ""), "cannot be read"),
        ("a page", say(200, "<html>please log in</html>"), "cannot be read"),
        ("cut off", say(200, closed), "cannot be read"),
        ("a list", say(200, &format!("[{closed}}}]")), "cannot be read"),
        (
            "a time of another form",
            say(200, r#"{"number": 1, "state": "closed", "closed_at": "yesterday"}"#),
            "cannot be read",
        ),
        ("twice", say(200, &format!("{closed}, \"state\": \"open\"}}")), "cannot be read"),
        ("endless", Answer::Endless, "larger than 1048576 bytes"),
        ("hung up", Answer::HangUp, "127.0.0.1"),
        ("silent", Answer::Silence, "timed out"),
    ];
    for (name, answer, problem) in cases {
        scene.api.set(&format!("{REPOSITORY}/pulls/1"), answer);
        let (report, told) = scene.look(&["--apply"])?;
        assert_eq!((lines(&report), &report["kept"]), (Vec::new(), &json!({"young": 2})), "{name}: {report}{told}");
        let said = report["pulls"]["problem"].as_str().unwrap_or_default();
        assert!(said.contains(problem) && told.contains(said), "{name}: {report}{told}");
        assert_eq!(report["pulls"]["unasked"], json!(2), "{name}: {report}");
        let asked: Vec<String> = scene.api.seen().into_iter().map(|(path, _)| path).collect();
        assert_eq!(asked.last(), Some(&format!("{REPOSITORY}/pulls/1")), "{name}: {asked:?}");
    }
    assert_eq!(elsewhere.seen(), [], "nobody else is asked, least of all with the token");
    assert_eq!(scene.stage.kept(BUCKET)?.len(), 2);
    Ok(())
}

#[tokio::test]
async fn a_run_of_another_repository_is_not_this_ones_and_a_proxy_sees_no_token() -> TestResult {
    let scene = Scene::new().await?;
    let proxy = Api::start()?;
    scene.api.set(&format!("{REPOSITORY}/pulls/1"), scene.closed(1, DAY * 2));
    // A fork's run has the same number of a pull request; a run that GitHub does not know any more is nobody's.
    let foreign = json!({"id": 11, "repository": {"id": 1}});
    scene.api.set(&format!("{REPOSITORY}/actions/runs/11"), Answer::json(200, &foreign));
    scene.api.set(&format!("{REPOSITORY}/actions/runs/22"), Answer::json(404, &json!({"message": "Not Found"})));
    let (report, _) = scene.look(&[])?;
    assert_eq!((lines(&report), &report["pulls"]["unclear"]), (Vec::new(), &json!(2)), "{report}");
    // Nothing of a repository that is not there.
    scene.api.set(REPOSITORY, Answer::json(404, &json!({"message": "Not Found"})));
    let (report, _) = scene.look(&[])?;
    let said = report["pulls"]["problem"].as_str().unwrap_or_default();
    assert!(said.contains("there is no repository litentry/agentkeys"), "{report}");

    scene.api.set(REPOSITORY, Answer::json(200, &json!({"id": 456_789})));
    let own = json!({"id": 11, "repository": {"id": 456_789}});
    scene.api.set(&format!("{REPOSITORY}/actions/runs/11"), Answer::json(200, &own));
    // S3 is named as a host that is asked directly, GitHub is not.
    let url = scene.api.url().replace("127.0.0.1", "localhost");
    let token = scene.stage.dir.path().join("token").to_string_lossy().into_owned();
    let asked = ["--github-token-file", &token, "--github-repository", "litentry/agentkeys", "--github-api", &url];
    let mut command = scene.stage.command(&[&["--without-ledger"], asked.as_slice()].concat())?;
    for (name, value) in [("http_proxy", proxy.url()), ("no_proxy", "127.0.0.1".to_owned())] {
        command.env(name.to_uppercase(), &value).env(name, value);
    }
    let output = command.output()?;
    let report: Value = serde_json::from_slice(&output.stdout)?;
    assert_eq!(lines(&report), pairs(&[("pr-1/run-11/", "would_go")]), "{report}");
    assert_eq!(proxy.seen(), [], "a proxy would read the token");
    Ok(())
}
