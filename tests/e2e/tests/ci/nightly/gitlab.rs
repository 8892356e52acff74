//! `deploy/ci/gitlab/tagmint-jobs.gitlab-ci.yml`: its jobs run as a GitLab runner does, where their rules say so.

use std::{collections::BTreeMap, fs};

use serde_json::{Value, json};
use tagmint_testkit::ci_claims::{self, ClaimSet, with};

use super::{
    super::{
        job::{Job, Outcome, repository},
        pipeline::check_out,
        stage::TRUSTED,
        yaml::{read, texts},
    },
    Night, PACKAGE, Shelf, Stage, TEST_BUCKET, TestResult, WALLET, guides,
};

/// A bucket that is there and that nobody in CI may reach, as prod's is.
const OTHER_BUCKET: &str = "agentkeys-mail-000000000000";

/// A pipeline: what it is, as GitLab says it to rules and in tokens, and what somebody changed who started it.
#[derive(Clone)]
struct Pipeline {
    claims: ClaimSet,
    variables: BTreeMap<String, String>,
    /// Jobs that wait for a click, and get one.
    clicked: Vec<&'static str>,
    /// What stands in the file, and what whoever copied it put there instead.
    filled_in: Vec<(String, String)>,
}

impl Pipeline {
    fn new(source: &str, claims: ClaimSet, variables: &[(&str, &str)]) -> Self {
        let predefined = [("CI_PIPELINE_SOURCE", source), ("CI_DEFAULT_BRANCH", "main"), ("CI_PROJECT_ID", "20")];
        let all = predefined.iter().chain(variables);
        Self {
            claims: with(claims, json!({"pipeline_source": source})),
            variables: all.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            clicked: vec![],
            filled_in: vec![],
        }
    }

    fn schedule(which: &str) -> Self {
        let variables = [("CI_COMMIT_BRANCH", "main"), ("TAGMINT_SCHEDULE", which)];
        Self::new("schedule", ci_claims::gitlab_branch(), &variables)
    }

    fn by_hand(variables: &[(&str, &str)], clicked: &[&'static str]) -> Self {
        let variables = [&[("CI_COMMIT_BRANCH", "main")], variables].concat();
        Self { clicked: clicked.to_vec(), ..Self::new("web", ci_claims::gitlab_branch(), &variables) }
    }

    fn merge_request(source_project: &str) -> Self {
        let projects = [("CI_MERGE_REQUEST_PROJECT_ID", "20"), ("CI_MERGE_REQUEST_SOURCE_PROJECT_ID", source_project)];
        Self::new("merge_request_event", ci_claims::gitlab_merge_request(), &projects)
    }

    fn with(mut self, old: &str, new: &str) -> Self {
        self.filled_in.push((old.to_owned(), new.to_owned()));
        self
    }
}

/// Lays `over` over a mapping, as `extends` does.
fn merge(under: &Value, over: &Value) -> Value {
    let (Value::Object(under), Value::Object(over)) = (under, over) else { return over.clone() };
    let mut merged = under.clone();
    for (name, value) in over {
        let value = merged.get(name).map_or_else(|| value.clone(), |under| merge(under, value));
        merged.insert(name.clone(), value);
    }
    merged.into()
}

/// A job with all that it extends, the later ones above the earlier.
fn extended(file: &Value, job: &Value) -> TestResult<Value> {
    let parents = match &job["extends"] {
        Value::Null => vec![],
        Value::Array(names) => names.clone(),
        name => vec![name.clone()],
    };
    let mut whole = json!({});
    for name in parents {
        let name = name.as_str().ok_or("a parent without a name")?;
        let parent = file.get(name).ok_or_else(|| format!("there is no `{name}`"))?;
        whole = merge(&whole, &extended(file, parent)?);
    }
    Ok(merge(&whole, job))
}

/// As much of GitLab's conditions as our file has: `==` between variables and texts, `&&`. A variable that is not there is equal to none.
fn holds(condition: &str, variables: &BTreeMap<String, String>) -> TestResult<bool> {
    let value = |term: &str| -> TestResult<Option<String>> {
        let text = term.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).filter(|text| !text.contains('"'));
        let name =
            term.strip_prefix('$').filter(|name| name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_'));
        match (text, name) {
            (Some(text), _) => Ok(Some(text.to_owned())),
            (_, Some(name)) => Ok(variables.get(name).cloned()),
            _ => Err(format!("`{term}` in `{condition}`").into()),
        }
    };
    for part in condition.split("&&") {
        let (left, right) = part.split_once("==").ok_or_else(|| format!("`{part}` in `{condition}`"))?;
        let (left, right) = (value(left.trim())?, value(right.trim())?);
        if left.is_none() || left != right {
            return Ok(false);
        }
    }
    Ok(true)
}

impl Night {
    /// With the roles of docs/gitlab.md: trusted as its `branch.json` says, with the policies of docs/github.md.
    fn on_gitlab(stage: Stage) -> TestResult<Self> {
        let night = Self::falls(stage)?;
        let url = night.stage.gitlab.issuer();
        night.provider("gitlab.md", url)?;
        let trust =
            guides::policy("gitlab.md", "branch.json")?.replace("gitlab.com", url.trim_start_matches("https://"));
        night.make_the_roles(&trust)?;
        Ok(night)
    }

    /// Runs the jobs of a pipeline whose rules hold. A job that waits for a click and gets none is not in it.
    fn play(&self, pipeline: &Pipeline) -> TestResult<BTreeMap<String, Outcome>> {
        let folder = repository().join("deploy/ci/gitlab");
        let mut text = fs::read_to_string(folder.join("tagmint-jobs.gitlab-ci.yml"))?;
        let package = format!("TAGMINT_PACKAGE_URL: '{}{PACKAGE}'", self.shelf.url);
        let sha256 = format!("TAGMINT_PACKAGE_SHA256: '{}'", self.sha256);
        let here = [
            ("111122223333", "000000000000"),
            ("https://test-broker.litentry.org", self.stage.url()?),
            ("eu-central-1", "us-east-1"),
            ("TAGMINT_PACKAGE_URL: ''", &package),
            ("TAGMINT_PACKAGE_SHA256: ''", &sha256),
        ];
        let own = pipeline.filled_in.iter().map(|(old, new)| (old.as_str(), new.as_str()));
        // First what a test wants otherwise.
        for (old, new) in own.chain(here) {
            text = text.replace(old, new);
        }
        let filled = self.stage.path("jobs.yml");
        fs::write(&filled, text)?;
        let file = merge(&read(&folder.join("tagmint.gitlab-ci.yml"))?, &read(&filled)?);
        let mut ran = BTreeMap::new();
        for (name, job) in file.as_object().ok_or("no jobs")? {
            if name.starts_with('.') || name == "include" {
                continue;
            }
            let job = extended(&file, job)?;
            let condition =
                |rule: &Value| holds(rule["if"].as_str().ok_or("a rule without `if`")?, &pipeline.variables);
            let mut rule = None;
            for one in job["rules"].as_array().ok_or("no rules")? {
                if rule.is_none() && condition(one)? {
                    rule = Some(one);
                }
            }
            let Some(rule) = rule else { continue };
            if rule["when"] == "manual" && !pipeline.clicked.contains(&name.as_str()) {
                assert_eq!(rule["allow_failure"], true, "{name}: the pipeline does not wait for the click");
                continue;
            }
            ran.insert(name.clone(), self.run_job(&job, rule, pipeline)?);
        }
        Ok(ran)
    }

    fn run_job(&self, described: &Value, rule: &Value, pipeline: &Pipeline) -> TestResult<Outcome> {
        self.stage.gitlab.set_job(pipeline.claims.clone());
        let mut job = Job::gitlab(&self.stage)?;
        for name in ["TAGMINT_URL", "TAGMINT_CA_FILE", "TAGMINT_ID_TOKEN"] {
            job.unset(name);
        }
        let trusted = self.stage.path(TRUSTED).to_string_lossy().into_owned();
        job.set("CURL_CA_BUNDLE", &trusted);
        job.set("SSL_CERT_FILE", &trusted);
        // What somebody gave to the pipeline is above what stands in the file.
        let variables = texts(&described["variables"]).into_iter().chain(texts(&rule["variables"]));
        for (name, value) in variables.chain(pipeline.variables.clone()) {
            job.set(&name, value);
        }
        for (name, token) in described["id_tokens"].as_object().into_iter().flatten() {
            let audience = token["aud"].as_str().ok_or("no audience")?;
            let audience = audience.strip_prefix('$').map_or(audience, |name| &job.variables[name]).to_owned();
            job.set(name, self.stage.gitlab_token(&audience));
        }
        let project = job.path("project");
        check_out(&project)?;
        let copies = project.join("ci");
        if !copies.exists() {
            fs::rename(project.join("deploy/ci"), copies)?;
        }
        let config = project.join("deploy/test/tagmint.toml");
        fs::create_dir_all(config.parent().ok_or("no folder")?)?;
        fs::copy(self.stage.path("tagmint.toml"), config)?;
        let lines = ["before_script", "script"].into_iter().filter_map(|part| described[part].as_array()).flatten();
        let lines: Vec<&str> = ["set -eo pipefail"].into_iter().chain(lines.filter_map(Value::as_str)).collect();
        job.run("bash", ["-c", &lines.join("\n")])
    }

    fn keys(&self) -> TestResult<Vec<String>> {
        self.stage.keys(TEST_BUCKET)
    }
}

#[test]
fn conditions_are_gitlabs() -> TestResult {
    let variables = BTreeMap::from([("A".to_owned(), "x".to_owned()), ("B_C".to_owned(), "x".to_owned())]);
    for (condition, result) in [
        ("$A == \"x\"", true),
        ("$A == $B_C && $A == \"x\"", true),
        ("$A == \"y\"", false),
        ("$A == \"x\" && $B_C == \"y\"", false),
        ("$NONE == $A", false),
        ("$NONE == $ALSO_NONE", false),
    ] {
        assert_eq!(holds(condition, &variables)?, result, "{condition}");
    }
    for condition in ["$A", "$A != \"x\"", "$A == \"x\" || $A == \"y\"", "$A =~ /x/"] {
        assert!(holds(condition, &variables).is_err(), "{condition}");
    }
    Ok(())
}

#[test]
fn a_merge_request_is_proved() -> TestResult {
    let night = Night::on_gitlab(Stage::of_the_test_issuer()?)?;
    night.stage.aws_command(&["s3api", "create-bucket", "--bucket", OTHER_BUCKET])?;
    let mut ran = night.play(&Pipeline::merge_request("20"))?;
    assert_eq!(ran.keys().collect::<Vec<_>>(), ["tagmint-proof"]);
    let said = ran.remove("tagmint-proof").ok_or("no proof")?.succeeded().log();
    let own = format!("s3://{TEST_BUCKET}/mr-feature-branch-1/run-574/");
    assert!(said.contains(&format!("prove_bucket_access: all 25 checks hold for {own}")), "{said}");
    assert!(said.contains("prove_untagged_refused: STS refused it"), "{said}");
    assert!(night.keys()?.is_empty(), "nothing is left");
    // A fork's has no job at all, and what was merged is proved again.
    assert!(night.play(&Pipeline::merge_request("21"))?.is_empty());
    let merged = Pipeline::new("push", ci_claims::gitlab_branch(), &[("CI_COMMIT_BRANCH", "main")]);
    let merged = night.play(&merged)?.remove("tagmint-proof").ok_or("no proof")?.succeeded().log();
    assert!(merged.contains("all 25 checks hold"), "{merged}");
    // A role that also takes GitLab's own tokens.
    night.stage.trust_gitlab()?;
    let ran = night.play(&Pipeline::merge_request("20"))?;
    ran["tagmint-proof"].failed(1, &["a token without tags was not refused by STS"]);
    Ok(())
}

#[test]
fn the_schedules_sweep_and_check() -> TestResult {
    let night = Night::on_gitlab(Stage::of_the_test_issuer_with_a_clock()?)?;
    night.furnish()?;
    let all = night.keys()?;

    // Another package than the one that was asked for.
    let other = Pipeline::schedule("sweep")
        .with("TAGMINT_PACKAGE_SHA256: ''", &format!("TAGMINT_PACKAGE_SHA256: '{}'", "0".repeat(64)));
    let ran = night.play(&other)?;
    assert_eq!(ran.keys().collect::<Vec<_>>(), ["tagmint-sweep"]);
    ran["tagmint-sweep"].failed(1, &["is not the package that was asked for"]);
    // By hand it waits for a click, and shows what would go.
    assert!(night.play(&Pipeline::by_hand(&[], &[]))?.is_empty());
    let ran = night.play(&Pipeline::by_hand(&[], &["tagmint-sweep"]))?;
    let log = ran["tagmint-sweep"].log();
    assert!(ran["tagmint-sweep"].code == Some(0) && log.contains("pr-1/run-1/") && night.keys()? == all, "{log}");
    // Not on a branch, and not with another one's token.
    let branch = [("CI_COMMIT_BRANCH", "feature-branch-1"), ("TAGMINT_SCHEDULE", "sweep")];
    let branch = Pipeline::new("schedule", ci_claims::gitlab_unprotected_branch(), &branch);
    assert!(night.play(&branch)?.is_empty());
    let claimed = Pipeline { claims: branch.claims, ..Pipeline::schedule("sweep") };
    night.play(&claimed)?["tagmint-sweep"].failed(1, &["AWS STS refused the token of the CI platform"]);
    assert_eq!(night.keys()?, all);
    // By the clock what is old goes; where it was asked for, also by hand.
    let ran = night.play(&Pipeline::schedule("sweep"))?;
    assert_eq!(
        (ran["tagmint-sweep"].code, night.keys()?),
        (Some(0), Night::expected(&[])),
        "{}",
        ran["tagmint-sweep"].log()
    );
    night.stage.put_days_ago(9, "mr-x/run-5/result")?;
    let ran = night.play(&Pipeline::by_hand(&[("TAGMINT_APPLY", "true")], &["tagmint-sweep"]))?;
    assert_eq!(
        (ran["tagmint-sweep"].code, night.keys()?),
        (Some(0), Night::expected(&[])),
        "{}",
        ran["tagmint-sweep"].log()
    );
    assert!(night.keys()?.contains(&format!("{WALLET}/inbox")));

    // The checks.
    let check = |issuer: Option<&Shelf>| -> TestResult<(Outcome, Outcome)> {
        let pipeline = Pipeline::schedule("check");
        let pipeline = match issuer {
            Some(issuer) => pipeline.with("https://test-broker.litentry.org", &issuer.url),
            None => pipeline,
        };
        let mut ran = night.play(&pipeline)?;
        assert_eq!(ran.keys().collect::<Vec<_>>(), ["tagmint-check-drift", "tagmint-check-issuer"]);
        let mut take = |name: &str| ran.remove(name).ok_or("no check");
        Ok((take("tagmint-check-issuer")?, take("tagmint-check-drift")?))
    };
    let (issuer, drift) = check(None)?;
    assert!(issuer.succeeded().stdout.contains("✓  certificate_days"));
    assert!(drift.succeeded().stdout.contains("the account is as the configuration says"));
    for (days, key_set, line) in [((-85, 5), true, "✗ certificate_days: until "), ((-1, 89), false, "✗ jwks: ")] {
        let (issuer, drift) = check(Some(&night.issuer(days, key_set)?))?;
        drift.succeeded();
        assert!(issuer.code == Some(1) && issuer.stdout.contains(line), "{}", issuer.log());
    }
    night.drift()?;
    let (issuer, drift) = check(None)?;
    issuer.succeeded();
    let said = "✗ a further policy of its own, `broad`, gives s3:*";
    assert!(drift.code == Some(1) && drift.stdout.contains(said), "{}", drift.log());
    Ok(())
}
