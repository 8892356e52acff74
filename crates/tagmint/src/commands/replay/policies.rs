//! Policies that replays compare.

use std::path::Path;

use tagmint_aws::render::{Names, SetUp, Settings};
use tagmint_iam::{
    document::Found,
    evaluate::{Decision, Outcome},
    policy::{Kind, Policy},
};

use crate::{
    commands::{aws, explain},
    config::Config,
    error::CliError,
    output::Output,
};

/// What the configuration renders, with what it is rendered from.
pub(super) struct Rendered {
    pub(super) settings: Settings,
    pub(super) set_up: SetUp,
}

/// The AWS side as `tagmint aws render` writes it.
pub(super) fn rendered(config: &Config, output: Output) -> Result<Rendered, CliError> {
    let settings = aws::settings(config)?;
    let set_up = aws::plan(config, &settings, Names::Literal, output)?;
    Ok(Rendered { settings, set_up })
}

/// A policy in a file. What is wrong with it is wrong usage: exit code 1 says that something changes.
pub(super) fn read(kind: Kind, what: &'static str, file: &Path, role: Option<&str>) -> Result<Found, CliError> {
    explain::read_policy(kind, what, file, role).map_err(|error| match error {
        CliError::Refused(message) => CliError::Usage(message),
        other => other,
    })
}

/// A policy as it was rendered.
pub(super) fn parse(kind: Kind, policy: &serde_json::Value) -> Result<Policy, CliError> {
    Policy::parse_as(kind, &policy.to_string())
        .map_err(|error| CliError::Check(format!("the policy that the configuration renders: {error}")))
}

/// What decided, in words. Statements are named by their `Sid`: their places are not those of the whole policy.
pub(super) fn in_words(decision: &Decision, whose: &str) -> String {
    let Some(first) = decision.decisive.first() else { return format!("no statement of {whose} allows it") };
    let verb = if decision.outcome == Outcome::Allowed { "allows" } else { "denies" };
    let at =
        first.sid.as_ref().map_or_else(|| "a statement without `Sid`".to_owned(), |sid| format!("statement `{sid}`"));
    format!("{at} {verb} it")
}
