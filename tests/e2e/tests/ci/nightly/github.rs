//! `deploy/ci/github/sweep.yml` and `check.yml`.

use std::{collections::BTreeMap, fs, process::Command};

use serde_json::{Value, json};
use tagmint_testkit::ci_claims::{self, ClaimSet, with};

use super::{
    super::{
        job::{Job, repository},
        pipeline::{Ran, workflow},
        stage::{TRUSTED, role},
    },
    NOTE, NOTE_SHA256, Night, OBJECTS, PACKAGE, Shelf, Stage, TEST_BUCKET, TestResult, guides,
};

const SWEEP_ROLE: &str = "tagmint-sweep-test";
const CHECK_ROLE: &str = "tagmint-check-test";

impl Night {
    /// With the roles of docs/github.md. Of another issuer than GitHub AWS knows no more than audience and subject: what the trust policy asks
    /// for besides, `guides.rs` judges.
    fn on_github(stage: Stage) -> TestResult<Self> {
        let night = Self::falls(stage)?;
        let url = night.stage.github.issuer();
        night.provider("github.md", url)?;
        let trust = guides::policy("github.md", "nightly-trust.json")?;
        let trust = trust.replace("token.actions.githubusercontent.com", url.trim_start_matches("https://"));
        let mut trust: Value = serde_json::from_str(&trust)?;
        let wanted = trust["Statement"][0]["Condition"]["StringEquals"].as_object_mut().ok_or("no conditions")?;
        wanted.retain(|name, _| [":aud", ":sub"].iter().any(|known| name.ends_with(known)));
        assert_eq!(wanted.len(), 2);
        night.make_the_roles(&trust.to_string())?;
        Ok(night)
    }

    /// Runs a workflow of the default branch: by the clock, or by hand with these inputs.
    fn run(&self, file: &str, inputs: Option<Value>, env: &[(&str, &str)]) -> TestResult<BTreeMap<String, Ran>> {
        let event = if inputs.is_some() { "workflow_dispatch" } else { "schedule" };
        let from = format!("octo-org/octo-repo/.github/workflows/{file}@refs/heads/main");
        let changes = json!({"event_name": event, "workflow_ref": from, "job_workflow_ref": from});
        let github = json!({"event_name": event, "ref": "refs/heads/main", "token": "ghs_of_the_job", "event": {"inputs": inputs}});
        self.run_as(file, with(ci_claims::github_push(), changes), &github, env)
    }

    fn run_as(
        &self,
        file: &str,
        claims: ClaimSet,
        github: &Value,
        env: &[(&str, &str)],
    ) -> TestResult<BTreeMap<String, Ran>> {
        self.stage.github.set_job(claims);
        let mut job = Job::github(&self.stage)?;
        for name in ["TAGMINT_URL", "TAGMINT_CA_FILE"] {
            job.unset(name);
        }
        let authorities = self.stage.path(TRUSTED).to_string_lossy().into_owned();
        job.set("CURL_CA_BUNDLE", &authorities);
        job.set("SSL_CERT_FILE", &authorities);
        job.set("GITHUB_API_URL", &self.shelf.url);
        job.set("GITHUB_REPOSITORY", "octo-org/octo-repo");
        let config = job.path("project/deploy/test/tagmint.toml");
        fs::create_dir_all(config.parent().ok_or("no folder")?)?;
        fs::copy(self.stage.path("tagmint.toml"), config)?;
        let package = format!("{}{PACKAGE}", self.shelf.url);
        let role = role(if file == "sweep.yml" { SWEEP_ROLE } else { CHECK_ROLE });
        let mut all = BTreeMap::from([
            ("ROLE", role.as_str()),
            ("AWS_REGION", "us-east-1"),
            ("TAGMINT_PACKAGE_URL", &package),
            ("TAGMINT_PACKAGE_SHA256", &self.sha256),
        ]);
        all.extend(env.iter().copied());
        workflow(file, &job, github, &all.into_iter().collect::<Vec<_>>())
    }

    fn sweep(&self, inputs: Option<Value>, env: &[(&str, &str)]) -> TestResult<Ran> {
        Ok(self.run("sweep.yml", inputs, env)?.remove("sweep").ok_or("no sweep")?)
    }

    fn check(&self, issuer: Option<&Shelf>) -> TestResult<(Ran, Ran)> {
        let url = issuer.map_or_else(|| self.stage.url(), |issuer| Ok(&issuer.url))?;
        let mut jobs = self.run("check.yml", None, &[("ISSUER", url)])?;
        Ok((jobs.remove("issuer").ok_or("no issuer")?, jobs.remove("drift").ok_or("no drift")?))
    }
}

/// That nothing came after this step.
fn ended_at(ran: &Ran, name: &str) {
    let began: Vec<_> =
        ran.steps.iter().filter(|(_, outcome)| outcome.is_some()).map(|(name, _)| name.as_str()).collect();
    assert_eq!((began.last(), ran.failed()), (Some(&name), vec![name]), "{}", ran.log());
}

#[test]
fn the_sweep_takes_what_is_old_and_by_hand_it_shows_it() -> TestResult {
    let night = Night::on_github(Stage::of_the_test_issuer_with_a_clock()?)?;
    night.furnish()?;
    let all = night.stage.keys(TEST_BUCKET)?;
    assert_eq!(all.len(), OBJECTS.len() + 1);

    // Without the package, or with another one, nothing begins.
    let ran = night.sweep(None, &[("TAGMINT_PACKAGE_URL", "")])?;
    ended_at(&ran, "The program");
    assert!(ran.log().contains("::error title=get_tagmint::TAGMINT_PACKAGE_URL is not set"), "{}", ran.log());
    let ran = night.sweep(None, &[("TAGMINT_PACKAGE_SHA256", &"0".repeat(64))])?;
    ended_at(&ran, "The program");
    assert!(ran.log().contains("is not the package that was asked for"), "{}", ran.log());
    assert!(ran.log().contains(&format!("SHA-256 found     {}", night.sha256)), "{}", ran.log());
    assert_eq!(fs::read_dir(ran.job.path("tmp"))?.count(), 0, "nothing of it is left");
    let (note, nothing) = (format!("{}{NOTE}", night.shelf.url), format!("{}/nothing", night.shelf.url));
    for (url, sha256, code, said) in [
        (note.as_str(), NOTE_SHA256, 1, "has the right SHA-256, and is no Debian package"),
        (&nothing, NOTE_SHA256, 4, "the package could not be downloaded from https://localhost:"),
        (&note, &NOTE_SHA256[1..], 2, "A SHA-256 has 64 hex digits."),
        (&note, "", 2, "TAGMINT_PACKAGE_SHA256 is not set"),
        (&note.replace("https", "http"), NOTE_SHA256, 2, "It begins with https://"),
    ] {
        let ran = night.sweep(None, &[("TAGMINT_PACKAGE_URL", url), ("TAGMINT_PACKAGE_SHA256", sha256)])?;
        ended_at(&ran, "The program");
        let program = ran.steps.iter().find_map(|(_, outcome)| outcome.as_ref()).ok_or("no step")?;
        program.failed(code, &[said]);
    }

    // By hand it shows what would go. What is not the program's own word is not the runner's either.
    let ran = night.sweep(Some(json!({})), &[])?;
    let log = ran.log();
    assert!(ran.passed(), "{log}");
    assert!(ran.summary.starts_with("### Sweep, for show\n\n<pre>\n"), "{}", ran.summary);
    for prefix in ["pr-1/run-1/", "branch-main/run-3/", "pr-42/run-420/"] {
        assert!(ran.summary.contains(prefix), "{prefix} is not in {}", ran.summary);
    }
    assert!(ran.summary.contains("&lt;b&gt;") && !ran.summary.contains("<b>"), "{}", ran.summary);
    let (word, rest) =
        log.split_once("::stop-commands::").and_then(|(_, rest)| rest.split_once('\n')).ok_or("no stop")?;
    let (said, _) = rest.split_once(&format!("::{word}::")).ok_or("no end")?;
    assert!(word.len() == 32 && said.contains("pr-1/<b>::warning::notes"), "{log}");
    assert_eq!(night.stage.keys(TEST_BUCKET)?, all, "nothing is gone");
    let ran = night.sweep(Some(json!({"apply": false})), &[])?;
    assert!(ran.passed() && night.stage.keys(TEST_BUCKET)? == all, "{}", ran.log());

    // From a branch that nobody reviewed AWS opens no session, whatever was ticked.
    let github = json!({"event_name": "workflow_dispatch", "ref": "refs/heads/feature/login", "token": "ghs_of_the_job",
        "event": {"inputs": {"apply": true}}});
    let jobs = night.run_as("sweep.yml", ci_claims::github_feature_branch(), &github, &[])?;
    ended_at(&jobs["sweep"], "The role, by GitHub's own token");
    assert_eq!(night.stage.keys(TEST_BUCKET)?, all);

    // By the clock what is old goes, and what a closed pull request left.
    let ran = night.sweep(None, &[])?;
    assert!(ran.passed() && ran.summary.starts_with("### Sweep\n"), "{}", ran.log());
    assert!(!ran.log().contains("ghs_of_the_job"));
    assert_eq!(night.stage.keys(TEST_BUCKET)?, Night::expected(&["pr-42/run-420/result"]));
    // And by hand, where it is ticked.
    night.stage.put_days_ago(8, "mr-x/run-5/result")?;
    let ran = night.sweep(Some(json!({"apply": true})), &[])?;
    assert!(ran.passed(), "{}", ran.log());
    assert_eq!(night.stage.keys(TEST_BUCKET)?, Night::expected(&["pr-42/run-420/result"]));
    Ok(())
}

#[test]
fn the_check_tells_what_is_wrong_with_issuer_and_account() -> TestResult {
    const LOOK: &str = "Certificate, discovery and key set";
    let night = Night::on_github(Stage::of_the_test_issuer()?)?;
    let (issuer, drift) = night.check(None)?;
    assert!(issuer.passed() && drift.passed(), "{}\n{}", issuer.log(), drift.log());
    assert!(
        issuer.summary.contains("✓  certificate_days") && issuer.summary.contains("✓  jwks_keys"),
        "{}",
        issuer.summary
    );
    assert!(issuer.log().contains("::warning title=The issuer from outside::! dns: 127.0.0.1: "), "{}", issuer.log());
    assert!(drift.summary.contains("the account is as the configuration says"), "{}", drift.summary);
    assert!(!issuer.job.variables.contains_key("ACTIONS_ID_TOKEN_REQUEST_TOKEN"), "what needs no token has none");

    // A certificate that ends soon, one that has ended, a key set that is not there: the other job goes on.
    for (days, key_set, line) in [
        ((-85, 5), true, "✗ certificate_days: until "),
        ((-90, -1), true, "✗ certificate_days: expired: until "),
        ((-1, 89), false, "✗ jwks: "),
    ] {
        let (issuer, drift) = night.check(Some(&night.issuer(days, key_set)?))?;
        let log = issuer.log();
        assert_eq!((issuer.failed(), drift.passed()), (vec![LOOK], true), "{log}\n{}", drift.log());
        assert!(log.contains(line), "`{line}` is not in {log}");
        let mark = line.split(' ').take(2).collect::<Vec<_>>().join(" ");
        let annotation = log.lines().find(|said| said.starts_with("::error title=The issuer from outside::"));
        assert!(annotation.is_some_and(|said| said.contains(&mark)), "{log}");
        assert!(
            issuer.summary.starts_with("### The issuer from outside: failed (exit code 1)\n"),
            "{}",
            issuer.summary
        );
    }

    // What may not be looked at is not the same.
    let policy: Value = serde_json::from_str(&guides::policy("github.md", "nightly-check.json")?)?;
    let mut less = policy.clone();
    less["Statement"].as_array_mut().ok_or("no statements")?.retain(|statement| statement["Sid"] != "Bucket");
    night.stage.put_role_policy(CHECK_ROLE, "check", &night.here(&less.to_string())?)?;
    let (_, drift) = night.check(None)?;
    assert_eq!(drift.failed(), ["AWS's side"]);
    assert!(drift.log().contains("::error title=AWS and the configuration::  ? "), "{}", drift.log());
    assert!(drift.summary.contains("s3:GetBucketPolicy"), "{}", drift.summary);
    night.stage.put_role_policy(CHECK_ROLE, "check", &night.here(&policy.to_string())?)?;

    // Somebody attached a policy: it is named, and the other job is green.
    night.drift()?;
    let (issuer, drift) = night.check(None)?;
    assert_eq!((issuer.passed(), drift.failed()), (true, vec!["AWS's side"]), "{}\n{}", issuer.log(), drift.log());
    let said = "✗ a further policy of its own, `broad`, gives s3:*";
    assert!(drift.log().contains(said) && drift.summary.contains(said), "{}", drift.log());
    assert!(drift.log().contains("::error title=AWS and the configuration::  ✗ "), "{}", drift.log());
    Ok(())
}

#[test]
fn the_commands_of_the_guide_copy_what_the_workflows_run() -> TestResult {
    // What the guide says that they say.
    let guide = fs::read_to_string(repository().join("docs/github.md"))?;
    let said =
        guide.split(super::SECTION).nth(1).and_then(|text| text.split("| it says |").nth(1)).ok_or("no table")?;
    let rows = said.lines().skip(2).take_while(|line| line.starts_with('|'));
    let said: String = rows.filter_map(|row| row.split('|').nth(1)).collect();
    let scripts = ["get_tagmint.sh", "assume_ci_role.sh"].map(|name| repository().join("deploy/ci").join(name));
    let scripts = fs::read_to_string(&scripts[0])? + &fs::read_to_string(&scripts[1])?;
    for words in
        ["TAGMINT_PACKAGE_URL is not set", "is not the package that was asked for", "the token of the CI platform"]
    {
        assert!(said.contains(words) && scripts.contains(words), "{words}");
    }

    let dir = tempfile::tempdir()?;
    std::os::unix::fs::symlink(fs::canonicalize(repository())?, dir.path().join("tagmint"))?;
    let copy = guides::commands("github.md", super::SECTION)?.remove(0);
    let output = Command::new("bash").args(["-ec", &copy]).current_dir(dir.path()).output()?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for name in ["proof.yml", "sweep.yml", "check.yml"] {
        let text = fs::read_to_string(dir.path().join(".github/workflows").join(name))?;
        let scripts: Vec<_> = text.split("\"$SCRIPTS/").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        assert!(scripts.len() >= 3, "{name}: {scripts:?}");
        assert!(scripts.iter().all(|script| dir.path().join("deploy/ci").join(script).exists()), "{name}: {scripts:?}");
        assert!(text.contains("\n  SCRIPTS: deploy/ci\n"), "{name}");
        let config = text.contains("  CONFIG: deploy/test/tagmint.toml");
        assert!((config || name == "proof.yml") && dir.path().join("deploy/test/tagmint.toml").exists(), "{name}");
    }
    Ok(())
}
