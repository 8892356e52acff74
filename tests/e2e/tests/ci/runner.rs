//! A GitHub runner, as far as our actions need one: composite actions, Node actions with a step at the job's end, workflows of one job.

use std::{fs, path::Path};

use serde_json::{Map, Value, json};

use super::{
    TestResult,
    expression::{expand, holds},
    job::{Job, Outcome, repository},
    yaml::{read, texts},
};

/// What became of a composite action.
#[derive(Debug)]
pub struct Composite {
    /// Its steps, as far as it came: none for a step that was skipped.
    pub steps: Vec<Option<Outcome>>,
    /// Its outputs.
    pub outputs: Map<String, Value>,
    /// The job as later steps see it.
    pub job: Job,
}

impl Composite {
    /// The outcome of its last step that ran.
    pub fn last(&self) -> TestResult<&Outcome> {
        self.steps.iter().flatten().last().ok_or_else(|| "no step ran".into())
    }
}

/// Runs a composite action (a folder of the repository) in a job.
pub fn composite(folder: &str, job: &Job, github: &Value, given: &[(&str, &str)]) -> TestResult<Composite> {
    let dir = repository().join(folder);
    let action = read(&dir.join("action.yml"))?;
    if action["runs"]["using"] != "composite" {
        return Err(format!("{folder} is no composite action").into());
    }
    let mut contexts = json!({"inputs": inputs(&action, github, given)?, "github": github, "steps": {}});
    let mut run = Composite { steps: vec![], outputs: Map::new(), job: job.clone() };
    for step in action["runs"]["steps"].as_array().ok_or("no steps")? {
        if let Some(condition) = step["if"].as_str()
            && !holds(condition, &contexts)?
        {
            run.steps.push(None);
            continue;
        }
        let mut here = run.job.clone();
        here.set("GITHUB_ACTION_PATH", dir.to_string_lossy());
        for (name, value) in texts(&step["env"]) {
            here.set(&name, expand(&value, &contexts)?);
        }
        let outcome = shell(&mut here, step, &contexts)?;
        let failed = outcome.code != Some(0);
        if let Some(id) = step["id"].as_str() {
            contexts["steps"][id] = json!({"outputs": variables(&here.path("step_output"))?});
        }
        run.steps.push(Some(outcome));
        run.job = run.job.next_step()?;
        if failed {
            return Ok(run);
        }
    }
    for (name, output) in action["outputs"].as_object().into_iter().flatten() {
        let value = expand(output["value"].as_str().ok_or("an output without a value")?, &contexts)?;
        run.outputs.insert(name.clone(), value.into());
    }
    Ok(run)
}

/// An action's inputs: what is given, or the default.
fn inputs(action: &Value, github: &Value, given: &[(&str, &str)]) -> TestResult<Value> {
    let mut inputs = Map::new();
    let known = action["inputs"].as_object().ok_or("no inputs")?;
    for (name, input) in known {
        let value = match given.iter().find(|(given, _)| given == name) {
            Some((_, value)) => (*value).to_owned(),
            None if input["required"] == true => return Err(format!("the input `{name}` is required").into()),
            None => expand(input["default"].as_str().unwrap_or_default(), &json!({"github": github}))?,
        };
        inputs.insert(name.clone(), value.into());
    }
    match given.iter().find(|(name, _)| !known.contains_key(*name)) {
        Some((name, _)) => Err(format!("there is no input `{name}`").into()),
        None => Ok(inputs.into()),
    }
}

/// Runs a step's script as the runner does for `shell: bash`.
pub fn shell(job: &mut Job, step: &Value, contexts: &Value) -> TestResult<Outcome> {
    let (script, output) = (job.path("step.sh"), job.path("step_output"));
    fs::write(&script, expand(step["run"].as_str().ok_or("a step without a script")?, contexts)?)?;
    fs::write(&output, "")?;
    job.set("GITHUB_OUTPUT", output.to_string_lossy());
    let file = script.to_string_lossy().into_owned();
    job.run("bash", ["--noprofile", "--norc", "-eo", "pipefail", &file])
}

/// The lines `name=value` of a file.
fn variables(file: &Path) -> TestResult<Map<String, Value>> {
    let text = fs::read_to_string(file)?;
    let pairs = text.lines().map(|line| line.split_once('=').ok_or_else(|| format!("`{line}` is no variable")));
    Ok(pairs.map(|pair| pair.map(|(name, value)| (name.to_owned(), value.into()))).collect::<Result<_, _>>()?)
}

/// Runs a Node action (a folder of the repository): its step, or what it does at the job's end.
pub fn node_action(folder: &str, phase: &str, job: &Job) -> TestResult<Outcome> {
    let dir = repository().join(folder);
    let action = read(&dir.join("action.yml"))?;
    let using = action["runs"]["using"].as_str().unwrap_or_default();
    if !using.starts_with("node") || action["runs"]["post-if"] != "always()" {
        return Err(format!("{folder} is no Node action that always ends").into());
    }
    let program = action["runs"][phase].as_str().ok_or_else(|| format!("{folder} has no {phase}"))?;
    let mut here = job.clone();
    if phase == "post" {
        for (name, value) in variables(&job.path("github_state"))? {
            here.set(&format!("STATE_{name}"), value.as_str().unwrap_or_default());
        }
    }
    here.run("node", [dir.join(program)])
}

/// A workflow's only job, run: the outcomes of its own scripts.
pub fn workflow(file: &Path, job: &Job, github: &Value, env: &[(&str, &str)]) -> TestResult<(Vec<Outcome>, Job)> {
    const OURS: &str = "litentry/tagmint/";
    let workflow = read(file)?;
    let mut contexts = json!({"github": github, "env": {}});
    let mut job = job.clone();
    for (name, value) in texts(&workflow["env"]) {
        let own = env.iter().find(|(own, _)| *own == name).map(|(_, value)| (*value).to_owned());
        let value = own.map_or_else(|| expand(&value, &contexts), Ok)?;
        contexts["env"][&name] = value.clone().into();
        job.set(&name, value);
    }
    let jobs = workflow["jobs"].as_object().ok_or("no jobs")?;
    let (_, only) = jobs.iter().next().filter(|_| jobs.len() == 1).ok_or("not one job")?;
    if workflow["permissions"]["id-token"] != "write" {
        job.unset("ACTIONS_ID_TOKEN_REQUEST_URL");
        job.unset("ACTIONS_ID_TOKEN_REQUEST_TOKEN");
    }
    let (mut outcomes, mut at_the_end) = (vec![], vec![]);
    if !holds(only["if"].as_str().unwrap_or("'always'"), &contexts)? {
        return Ok((outcomes, job));
    }
    for step in only["steps"].as_array().ok_or("no steps")? {
        let uses = step["uses"].as_str().and_then(|uses| uses.split('@').next());
        match uses {
            None => outcomes.push(shell(&mut job.clone(), step, &contexts)?.succeeded()),
            Some("actions/checkout") => {}
            Some(uses) => {
                let folder = uses.strip_prefix(OURS).ok_or_else(|| format!("{uses} is not ours"))?;
                if read(&repository().join(folder).join("action.yml"))?["runs"]["using"] == "composite" {
                    let with =
                        texts(&step["with"]).into_iter().map(|(name, value)| Ok((name, expand(&value, &contexts)?)));
                    let with = with.collect::<TestResult<Vec<_>>>()?;
                    let with: Vec<_> = with.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
                    let run = composite(folder, &job, github, &with)?;
                    outcomes.extend(run.steps.into_iter().flatten().map(Outcome::succeeded));
                } else {
                    node_action(folder, "main", &job)?.succeeded();
                    at_the_end.insert(0, folder.to_owned());
                }
            }
        }
        job = job.next_step()?;
    }
    for folder in at_the_end {
        outcomes.push(node_action(&folder, "post", &job)?.succeeded());
        job = job.next_step()?;
    }
    Ok((outcomes, job))
}
