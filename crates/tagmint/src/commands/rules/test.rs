//! `tagmint rules test`.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

use serde::Serialize;
use tagmint_aws::junit::{self, Case, Outcome};
use tagmint_core::{
    dry_run::{
        Difference,
        fixture::{Fixture, FixtureFile},
    },
    rules::RuleSet,
    trusted_issuer::TrustedIssuer,
};

use super::{TESTS_FOLDER, text};
use crate::{
    cli::RulesTestArgs,
    config::{self, Config},
    error::CliError,
    output::Output,
};

/// The largest test file, in bytes.
const LARGEST: u64 = 4 * 1_048_576;

/// All results.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    ok: bool,
    pub(super) tests: usize,
    pub(super) failed: usize,
    pub(super) results: Vec<TestOutcome>,
    /// Rules that no test is about.
    pub(super) untested_rules: Vec<String>,
}

/// One result.
#[derive(Debug, Serialize)]
pub(super) struct TestOutcome {
    pub(super) file: String,
    pub(super) name: String,
    pub(super) ok: bool,
    /// Why the test could not be run.
    pub(super) error: Option<String>,
    pub(super) differences: Vec<Difference>,
    /// Why the rules refused.
    pub(super) reason: Option<String>,
}

/// Runs the tests. The exit code is the result.
pub(super) fn run(args: &RulesTestArgs, config: &Config, output: Output) -> Result<(), CliError> {
    let files = if args.files.is_empty() { default_files(config)? } else { args.files.clone() };
    let issuers = config.trusted_issuers();
    let mut results = Vec::new();
    let mut covered = BTreeSet::new();
    for file in &files {
        for fixture in read(file)?.test {
            let (outcome, rule) = outcome(&fixture, file, &config.rules, &issuers);
            results.push(outcome);
            covered.extend(rule);
        }
    }
    if results.is_empty() {
        let names: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
        return Err(CliError::Check(format!(
            "no test in {}: write a `[[test]]`, or record one with `tagmint rules record`",
            names.join(", ")
        )));
    }
    let untested = config.rules.names().map(ToString::to_string).filter(|name| !covered.contains(name));
    let failed = results.iter().filter(|result| !result.ok).count();
    let report = Report { ok: failed == 0, tests: results.len(), failed, untested_rules: untested.collect(), results };
    output.data(&report, || text::report(&report))?;
    if let Some(file) = &args.junit {
        let cases: Vec<Case> = report.results.iter().map(case).collect();
        let xml = junit::render("tagmint rules test", &cases);
        fs::write(file, xml).map_err(|source| CliError::file("write", file, source))?;
    }
    if !report.untested_rules.is_empty() {
        output.talk(&text::untested(&report.untested_rules));
    }
    if failed == 0 { Ok(()) } else { Err(CliError::Tests { failed, tests: report.tests }) }
}

/// The files beside the configuration, by name.
fn default_files(config: &Config) -> Result<Vec<PathBuf>, CliError> {
    let folder = config.file.parent().unwrap_or(Path::new("")).join(TESTS_FOLDER);
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(CliError::Check(format!(
                "there are no tests: {} does not exist. Write tests there, or name the files",
                folder.display()
            )));
        }
        Err(source) => return Err(CliError::file("read", &folder, source)),
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(|source| CliError::file("read", &folder, source))?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            files.push(path);
        }
    }
    if files.is_empty() {
        return Err(CliError::Check(format!("there are no tests: no file in {} ends in .toml", folder.display())));
    }
    files.sort();
    Ok(files)
}

/// A test file.
pub(super) fn read(file: &Path) -> Result<FixtureFile, CliError> {
    let failed = |source| CliError::file("read", file, source);
    if fs::metadata(file).map_err(failed)?.len() > LARGEST {
        return Err(CliError::Check(format!("{} is larger than {LARGEST} bytes", file.display())));
    }
    let text = fs::read_to_string(file).map_err(failed)?;
    Ok(config::parse_toml(&text, file)?)
}

/// The result, and the rule that the test is about.
fn outcome(
    fixture: &Fixture,
    file: &Path,
    rules: &RuleSet,
    issuers: &[&TrustedIssuer],
) -> (TestOutcome, Option<String>) {
    let mut outcome = TestOutcome {
        file: file.display().to_string(),
        name: fixture.name.clone(),
        ok: false,
        error: None,
        differences: Vec::new(),
        reason: None,
    };
    match fixture.run(rules, issuers) {
        Ok(result) => {
            outcome.ok = result.differences.is_empty();
            outcome.differences = result.differences;
            outcome.reason = result.reason;
            (outcome, result.covers)
        }
        Err(error) => {
            outcome.error = Some(error.to_string());
            (outcome, None)
        }
    }
}

fn case(result: &TestOutcome) -> Case {
    let outcome = if result.ok {
        Outcome::Passed
    } else {
        let lines = text::failure(result);
        Outcome::Failed { message: lines.first().cloned().unwrap_or_default(), text: lines.join("\n") }
    };
    Case { class: result.file.clone(), name: result.name.clone(), outcome, output: None }
}
