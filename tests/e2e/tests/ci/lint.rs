//! What people run is clean for shellcheck, and what they read is what is there.

use std::{fs, path::PathBuf, process::Command};

use tagmint_e2e::search_path;

use super::{TestResult, job::repository, yaml};

/// The workflows that are to be copied as they are.
const WORKFLOWS: [&str; 4] = ["check.yml", "proof.yml", "rules.yml", "sweep.yml"];

const SCRIPTS: [&str; 8] = [
    "assume_ci_role.sh",
    "comment.sh",
    "get_tagmint.sh",
    "prove_bucket_access.sh",
    "prove_untagged_refused.sh",
    "replay_report.sh",
    "report.sh",
    "verify_bucket_access.sh",
];

#[test]
fn the_scripts_are_clean_for_shellcheck() -> TestResult {
    let scripts = SCRIPTS.map(|name| repository().join("deploy/ci").join(name));
    let mut command = Command::new("shellcheck");
    command.args(["--enable", "quote-safe-variables"]).args(&scripts);
    let output = command.output().map_err(|error| format!("shellcheck, of Debian's package shellcheck: {error}"))?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    for script in scripts {
        assert_eq!(super::job::mode(&script)? & 0o111, 0o111, "{} is executable", script.display());
    }
    Ok(())
}

#[test]
fn every_setting_of_the_script_is_in_its_head() -> TestResult {
    let text = fs::read_to_string(repository().join("deploy/ci/assume_ci_role.sh"))?;
    let (head, code) = text.split_once("\nset -euo pipefail\n").ok_or("the script has no beginning")?;
    let mut seen = 0;
    for word in code.split("${").skip(1) {
        let name: String = word.chars().take_while(|c| c.is_ascii_uppercase() || *c == '_').collect();
        if name.starts_with("TAGMINT_") || name.starts_with("ROLE_") {
            assert!(head.contains(&format!("\n#   {name} ")), "{name} is not described");
            seen += 1;
        }
    }
    assert!(seen > 10, "{seen} settings were found");
    Ok(())
}

fn workflow(name: &str) -> PathBuf {
    repository().join("deploy/ci/github").join(name)
}

/// Runs a linter of the Python environment over files.
fn lint(program: &str, options: &[&str], files: &[PathBuf]) -> TestResult {
    let output = Command::new(program).env("PATH", search_path()?).args(options).args(files).output();
    let output = output.map_err(|error| format!("{program}, of tests/e2e/requirements.txt: {error}"))?;
    let said = [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned());
    assert!(output.status.success(), "{}", said.concat());
    Ok(())
}

#[test]
fn the_files_are_what_the_platforms_take() -> TestResult {
    let workflows = ["check.yml", "proof.yml", "rules.yml", "sweep.yml", "workflow.yml"].map(workflow);
    lint("check-jsonschema", &["--builtin-schema", "vendor.github-workflows"], &workflows)?;
    let actions = ["action.yml", "cleanup/action.yml"].map(workflow);
    lint("check-jsonschema", &["--builtin-schema", "vendor.github-actions"], &actions)?;
    let mut pipelines = vec![];
    for file in fs::read_dir(repository().join("deploy/ci/gitlab"))? {
        pipelines.push(file?.path());
    }
    assert!(!pipelines.is_empty());
    lint("check-jsonschema", &["--builtin-schema", "vendor.gitlab-ci"], &pipelines)
}

#[test]
fn the_workflows_give_nobody_more_than_they_need() -> TestResult {
    // It takes files for workflows in this folder alone.
    let folder = tempfile::tempdir()?;
    let workflows = folder.path().join(".github/workflows");
    fs::create_dir_all(&workflows)?;
    for name in WORKFLOWS {
        fs::copy(workflow(name), workflows.join(name))?;
    }
    let zizmor = ["--offline", "--no-progress", "--quiet", "--strict-collection", "--no-config"];
    lint("zizmor", &zizmor, &[folder.path().to_owned(), workflow("action.yml")])?;
    // That it would say something.
    let broken = fs::read_to_string(workflow("check.yml"))?.replace("\"$ISSUER\"", "${{ github.head_ref }}");
    fs::write(workflows.join("check.yml"), broken)?;
    let mut command = Command::new("zizmor");
    let output = command.env("PATH", search_path()?).args(zizmor).arg(folder.path()).output()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(!output.status.success() && said.contains("template-injection"), "{said}");

    for name in WORKFLOWS {
        let workflow = yaml::read(&workflow(name))?;
        assert!(workflow["permissions"].as_object().is_some_and(serde_json::Map::is_empty), "{name}: no permissions");
        assert!(workflow["concurrency"]["group"].is_string(), "{name}: one run at a time");
        assert_eq!(workflow["defaults"]["run"]["shell"], "bash", "{name}: with pipefail");
        for (id, job) in workflow["jobs"].as_object().ok_or("no jobs")? {
            assert!(job["timeout-minutes"].is_u64(), "{name}, {id}: a limit of time");
            for step in job["steps"].as_array().ok_or("no steps")? {
                let text = step["run"].as_str().unwrap_or_default();
                assert!(!text.contains("${{"), "{name}, {id}: what is filled in goes through `env`: {text}");
                let uses = step["uses"].as_str().map(|uses| uses.rsplit('@').next().unwrap_or_default());
                let is_commit = |text: &str| text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
                assert!(uses.is_none_or(is_commit), "{name}, {id}: {uses:?} is no commit");
            }
        }
        assert!(!fs::read_to_string(self::workflow(name))?.contains("secrets."), "{name}: nothing is stored");
    }
    Ok(())
}

#[test]
fn every_pipeline_job_says_when_it_runs_and_how_long() -> TestResult {
    let file = repository().join("deploy/ci/gitlab/tagmint-jobs.gitlab-ci.yml");
    let jobs = yaml::read(&file)?;
    let jobs = jobs.as_object().ok_or("no jobs")?.iter().filter(|(name, _)| name.starts_with("tagmint-"));
    let mut seen = vec![];
    for (name, job) in jobs {
        assert!(job["rules"].is_array() && job["timeout"].is_string() && job["interruptible"].is_boolean(), "{name}");
        // A sweep is not broken off, and never runs twice at a time.
        let sweeps = name == "tagmint-sweep";
        assert_eq!((job["resource_group"].is_string(), job["interruptible"] == false), (sweeps, sweeps), "{name}");
        seen.push(name.as_str());
    }
    seen.sort_unstable();
    assert_eq!(seen, ["tagmint-check-drift", "tagmint-check-issuer", "tagmint-proof", "tagmint-sweep"]);
    Ok(())
}
