//! Whole workflows of one's own steps, as far as they came: the files of `deploy/ci/github` that are to be copied.

use std::{collections::BTreeMap, fs, path::Path};

use serde_json::{Value, json};

use super::{
    TestResult,
    expression::{expand, holds},
    job::{Job, Outcome, repository},
    runner::shell,
    yaml::{read, texts},
};

/// A job of a workflow, as far as it came.
#[derive(Debug)]
pub struct Ran {
    /// The steps by their names: none for one that was skipped.
    pub steps: Vec<(String, Option<Outcome>)>,
    /// What stands in the job's summary.
    pub summary: String,
    /// The job as a later step would see it.
    pub job: Job,
}

impl Ran {
    /// Whether no step failed.
    pub fn passed(&self) -> bool {
        self.steps.iter().flat_map(|(_, outcome)| outcome).all(|outcome| outcome.code == Some(0))
    }

    /// The names of the steps that failed.
    pub fn failed(&self) -> Vec<&str> {
        let failed = |outcome: &Option<Outcome>| outcome.as_ref().is_some_and(|outcome| outcome.code != Some(0));
        self.steps.iter().filter(|(_, outcome)| failed(outcome)).map(|(name, _)| name.as_str()).collect()
    }

    /// All that people see of it.
    pub fn log(&self) -> String {
        self.steps.iter().filter_map(|(_, outcome)| outcome.as_ref()).map(Outcome::log).collect::<Vec<_>>().join("\n")
    }
}

/// Runs those jobs of a workflow whose conditions hold; `env` stands for what whoever copies the file fills in.
pub fn workflow(file: &str, job: &Job, github: &Value, env: &[(&str, &str)]) -> TestResult<BTreeMap<String, Ran>> {
    let workflow = read(&repository().join("deploy/ci/github").join(file))?;
    let mut contexts = json!({"github": github, "env": {}, "inputs": inputs(&workflow, github)});
    let mut job = job.clone();
    for (name, value) in texts(&workflow["env"]) {
        let own = env.iter().find(|(own, _)| *own == name).map(|(_, value)| (*value).to_owned());
        let value = own.map_or_else(|| expand(&value, &contexts), Ok)?;
        contexts["env"][&name] = value.clone().into();
        job.set(&name, value);
    }
    if let Some((name, _)) = env.iter().find(|(name, _)| workflow["env"].get(name).is_none()) {
        return Err(format!("{file} has no `{name}` in its env").into());
    }
    let mut ran = BTreeMap::new();
    for (name, described) in workflow["jobs"].as_object().ok_or("no jobs")? {
        if holds(described["if"].as_str().unwrap_or("'always'"), &contexts)? {
            ran.insert(name.clone(), run(described, &workflow["permissions"], job.clone(), &contexts)?);
        }
    }
    Ok(ran)
}

/// What somebody chose who started the workflow by hand, or the defaults; without somebody none of them is there.
fn inputs(workflow: &Value, github: &Value) -> Value {
    // YAML takes the key `on` for a boolean.
    let declared = workflow["true"]["workflow_dispatch"]["inputs"].as_object();
    let by_hand = github["event_name"] == "workflow_dispatch";
    let chosen = |name: &String, input: &Value| match github["event"]["inputs"].get(name) {
        _ if !by_hand => Value::Null,
        Some(chosen) => chosen.clone(),
        None => input["default"].clone(),
    };
    declared.into_iter().flatten().map(|(name, input)| (name.clone(), chosen(name, input))).collect()
}

fn run(described: &Value, permissions: &Value, mut job: Job, contexts: &Value) -> TestResult<Ran> {
    let own = described.get("permissions").unwrap_or(permissions);
    if own["id-token"] != "write" {
        job.unset("ACTIONS_ID_TOKEN_REQUEST_URL");
        job.unset("ACTIONS_ID_TOKEN_REQUEST_TOKEN");
    }
    let summary = job.path("summary");
    for file in [&summary, &job.path("github_env"), &job.path("github_path")] {
        fs::write(file, "")?;
    }
    job.set("GITHUB_STEP_SUMMARY", summary.to_string_lossy());
    let (mut steps, mut failed) = (vec![], false);
    for step in described["steps"].as_array().ok_or("no steps")? {
        if let Some(uses) = step["uses"].as_str() {
            let checkout = uses.starts_with("actions/checkout@") && own["contents"] == "read";
            if !checkout {
                return Err(format!("{uses}: the only action is the checkout, and it may read the contents").into());
            }
            check_out(&job.path("project"))?;
            continue;
        }
        let name = step["name"].as_str().ok_or("a step without a name")?.to_owned();
        let condition = step["if"].as_str();
        let due = match condition {
            Some(condition) => holds(condition, contexts)? && (!failed || condition.contains("cancelled()")),
            None => !failed,
        };
        if !due {
            steps.push((name, None));
            continue;
        }
        let mut here = job.clone();
        for (name, value) in texts(&step["env"]) {
            here.set(&name, expand(&value, contexts)?);
        }
        let outcome = shell(&mut here, step, contexts)?;
        failed |= outcome.code != Some(0);
        steps.push((name, Some(outcome)));
        job = job.next_step()?;
    }
    Ok(Ran { steps, summary: fs::read_to_string(summary)?, job })
}

/// What a checkout brings: the scripts where they are in this repository.
pub fn check_out(project: &Path) -> TestResult {
    let folder = project.join("deploy/ci");
    fs::create_dir_all(&folder)?;
    for entry in fs::read_dir(repository().join("deploy/ci"))? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            fs::copy(entry.path(), folder.join(entry.file_name()))?;
        }
    }
    Ok(())
}
