//! `tagmint aws diff`.

use serde_json::json;
use tagmint_aws::{
    connection::{Connection, Options},
    diff::{DiffError, Report, compare},
    failure::Failure,
    render::{Names, Part},
};

use super::{DiffArgs, plan, settings};
use crate::{config::Config, error::CliError, output::Output, surroundings};

/// Compares. The exit code is the verdict.
pub(super) async fn run(args: &DiffArgs, config: &Config, output: Output) -> Result<(), CliError> {
    let settings = settings(config)?;
    let set_up = plan(config, &settings, Names::Literal, output)?;
    let options = Options {
        endpoint_url: args.endpoint_url.clone(),
        region: None,
        fallback_region: Some(settings.region.clone()),
        ca_bundle: surroundings::aws_ca_bundle(),
    };
    let connection = Connection::from_environment(&options).await?;
    let parts: Vec<Part> = args.parts.iter().map(|part| Part::from(*part)).collect();
    let report = compare(&connection, &settings.account, &set_up, &parts).await.map_err(failed)?;
    let data = json!({"same": report.is_same(), "drifts": report.drifts, "unread": report.unread});
    output.data(&data, || text(&report))?;
    let count = |number: usize, one: &str, several: &str| match number {
        1 => format!("one {one}"),
        number => format!("{number} {several}"),
    };
    match (report.drifts.len(), report.unread.len()) {
        (0, 0) => Ok(()),
        (0, unread) => Err(CliError::Refused(format!(
            "{} could not be looked at, and may differ",
            count(unread, "thing", "things")
        ))),
        (drifts, _) => Err(CliError::Refused(format!(
            "{} from {}",
            count(drifts, "difference", "differences"),
            config.file.display()
        ))),
    }
}

fn failed(error: DiffError) -> CliError {
    match error {
        DiffError::Failure(Failure::Refused { .. }) | DiffError::Account { .. } => CliError::Refused(error.to_string()),
        DiffError::Failure(_) => CliError::Unreachable(error.to_string()),
    }
}

fn text(report: &Report) -> String {
    if report.is_same() {
        return "the account is as the configuration says".to_owned();
    }
    let mut lines = Vec::new();
    let mut last = "";
    for drift in &report.drifts {
        if drift.at != last {
            lines.push(drift.at.clone());
            last = &drift.at;
        }
        lines.push(format!("  ✗ {}", drift.text));
    }
    if !report.unread.is_empty() {
        lines.push("could not look".to_owned());
        lines.extend(report.unread.iter().map(|unseen| format!("  ? {}", unseen.text)));
    }
    lines.join("\n")
}
