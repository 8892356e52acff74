//! `tagmint explain`.

mod args;
mod aws;
mod error;
mod text;

use std::path::Path;

use tagmint_aws::documents;
use tagmint_core::clock::{Clock, SystemClock};
use tagmint_iam::{
    advice::{AccessQuestion, ContextError, Question, check_context},
    document::{self, Found},
    policy::Kind,
    web_identity::Fetched,
};

pub use self::args::ExplainArgs;
use self::aws::Known;
use super::input;
use crate::{error::CliError, output::Output};

/// Explains a token. The exit code is the verdict.
pub async fn run(args: ExplainArgs, output: Output) -> Result<(), CliError> {
    if !args.stray.is_empty() {
        return Err(CliError::Usage(
            "`explain` takes options alone; pass the token by --token FILE, or - for stdin".to_owned(),
        ));
    }
    if let Some(text) = &args.error {
        return error::run(text, output);
    }
    check_context(args.action.as_deref(), &args.context).map_err(|error| match error {
        ContextError::Action { .. } => CliError::Usage(format!("--action: {error}")),
        _ => CliError::Usage(format!("--context {error}")),
    })?;
    let Some(file) = &args.token else { return Err(CliError::Usage("give --token FILE".to_owned())) };
    let token = input::token_as_saved("--token", file)?;
    let mut known = Known::from_files(&args)?;
    if let Some(role) = &args.role {
        known.complete(&args, role, &token, output).await?;
    }
    let Some(trust_policy) = &known.trust_policy else {
        return Err(CliError::Usage("give --trust-policy FILE, or --role ARN to read it from AWS".to_owned()));
    };
    let access = args.action.as_deref().zip(args.resource.as_deref()).map(|(action, resource)| AccessQuestion {
        action,
        resource,
        role_policies: &known.role_policies,
        bucket_policy: known.bucket_policy.as_ref(),
        context: &known.context,
    });
    let mut question = Question {
        token: &token,
        trust_policy,
        role_arn: args.role.as_deref().or(args.role_arn.as_deref()).or(known.role_arn.as_deref()),
        provider_url: known.provider_url.as_deref(),
        local: args.localaws || known.local,
        provider_missing: known.provider_missing,
        client_ids: &known.client_ids,
        context: &known.call,
        discovery: Fetched::Unchecked,
        jwks: Fetched::Unchecked,
        now: args.now.unwrap_or_else(|| SystemClock.now()),
        access,
    };
    let jwks = match &args.jwks {
        Some(file) => Some(read_text("the key set", file)?.into_bytes()),
        None => None,
    };
    let documents = match question.issuer().filter(|_| args.fetch) {
        Some(issuer) => {
            let roots = match &args.ca_file {
                Some(file) => Some(input::file("the CA file", file)?),
                None => None,
            };
            let fetched = documents::fetch(&issuer, roots.as_deref()).await;
            Some(fetched.map_err(|error| CliError::Refused(error.to_string()))?)
        }
        None => None,
    };
    if let Some(jwks) = &jwks {
        question.jwks = Fetched::Document(jwks);
    }
    if let Some(documents) = &documents {
        question.discovery = documents.discovery();
        question.jwks = documents.jwks();
    }
    let explanation = question.explain();
    output.data(&explanation, || text::render(&explanation))?;
    match &explanation.error {
        None => Ok(()),
        Some(error) => Err(CliError::Refused(format!("refused: {}", error.code))),
    }
}

/// A policy, and what stood around it. `role` is the ARN of the role whose policy is wanted.
pub(super) fn read_policy(kind: Kind, what: &'static str, file: &Path, role: Option<&str>) -> Result<Found, CliError> {
    let found = document::policy(kind, &input::file(what, file)?, role);
    found.map_err(|error| CliError::Refused(format!("{what} {}: {error}", file.display())))
}

fn read_provider(file: &Path) -> Result<document::Provider, CliError> {
    let what = "the provider";
    let found = document::provider(&input::file(what, file)?);
    found.map_err(|error| CliError::Refused(format!("{what} {}: {error}", file.display())))
}

/// A text in whatever encoding it was saved in.
fn read_text(what: &'static str, file: &Path) -> Result<String, CliError> {
    let text = document::text(&input::file(what, file)?);
    text.map_err(|error| CliError::Refused(format!("{what} {}: {error}", file.display())))
}

#[cfg(test)]
mod tests;
