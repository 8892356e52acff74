//! `tagmint explain`.

mod args;
mod aws;
mod text;

use std::path::Path;

use tagmint_aws::documents;
use tagmint_core::clock::{Clock, SystemClock};
use tagmint_iam::{
    advice::{AccessQuestion, ContextError, Question, check_context},
    policy::{Kind, Policy},
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
    check_context(args.action.as_deref(), &args.context).map_err(|error| match error {
        ContextError::Action { .. } => CliError::Usage(format!("--action: {error}")),
        _ => CliError::Usage(format!("--context {error}")),
    })?;
    let token = input::token("--token", &args.token)?;
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
        role_arn: args.role.as_deref().or(args.role_arn.as_deref()),
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
        Some(file) => Some(input::file("the key set", file)?),
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

fn read_policy(kind: Kind, what: &'static str, file: &Path) -> Result<Policy, CliError> {
    let failed = |error: String| CliError::Refused(format!("{what} {}: {error}", file.display()));
    let text = String::from_utf8(input::file(what, file)?).map_err(|_| failed("not UTF-8".to_owned()))?;
    Policy::parse_as(kind, &text).map_err(|error| failed(error.to_string()))
}

#[cfg(test)]
mod tests;
