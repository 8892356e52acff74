//! `tagmint explain`.

mod args;
mod fetch;
mod text;

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use tagmint_core::clock::{Clock, SystemClock};
use tagmint_iam::{
    advice::{AccessQuestion, Question},
    policy::{Kind, Policy},
    web_identity::Fetched,
};
use zeroize::Zeroizing;

pub use self::args::ExplainArgs;
use crate::{error::CliError, output::Output};

/// Largest file that is read, in bytes.
const LARGEST_FILE: u64 = 1_048_576;

/// Explains a token. The exit code is the verdict.
pub async fn run(args: ExplainArgs, output: Output) -> Result<(), CliError> {
    if !args.stray.is_empty() {
        return Err(CliError::Usage(
            "`explain` takes options alone; pass the token by --token FILE, or - for stdin".to_owned(),
        ));
    }
    let token = read_token(&args.token)?;
    let trust_policy = read_policy(Kind::Trust, "the trust policy", &args.trust_policy)?;
    let role_policies = args
        .role_policies
        .iter()
        .map(|file| read_policy(Kind::Identity, "the role policy", file))
        .collect::<Result<Vec<_>, _>>()?;
    let bucket_policy = match &args.bucket_policy {
        Some(file) => Some(read_policy(Kind::Resource, "the bucket policy", file)?),
        None => None,
    };
    let access = args.action.as_deref().zip(args.resource.as_deref()).map(|(action, resource)| AccessQuestion {
        action,
        resource,
        role_policies: &role_policies,
        bucket_policy: bucket_policy.as_ref(),
        context: &args.context,
    });
    let mut question = Question {
        token: &token,
        trust_policy: &trust_policy,
        role_arn: args.role_arn.as_deref(),
        provider_url: args.provider_url.as_deref(),
        local: args.localaws,
        client_ids: &args.client_ids,
        discovery: Fetched::Unchecked,
        jwks: Fetched::Unchecked,
        now: args.now.unwrap_or_else(|| SystemClock.now()),
        access,
    };
    let jwks = match &args.jwks {
        Some(file) => Some(read_file("the key set", file)?),
        None => None,
    };
    let documents = match question.issuer().filter(|_| args.fetch) {
        Some(issuer) => {
            let roots = match &args.ca_file {
                Some(file) => Some(read_file("the CA file", file)?),
                None => None,
            };
            Some(fetch::documents(&issuer, roots.as_deref()).await?)
        }
        None => None,
    };
    if let Some(jwks) = &jwks {
        question.jwks = Fetched::Document(jwks);
    }
    if let Some(documents) = &documents {
        question.discovery = fetched(&documents.discovery);
        question.jwks = fetched(&documents.jwks);
    }
    let explanation = question.explain();
    output.data(&explanation, || text::render(&explanation))?;
    match &explanation.error {
        None => Ok(()),
        Some(error) => Err(CliError::Refused(format!("refused: {}", error.code))),
    }
}

fn fetched(outcome: &Result<Vec<u8>, String>) -> Fetched<'_> {
    match outcome {
        Ok(document) => Fetched::Document(document),
        Err(why) => Fetched::Failed(why),
    }
}

/// The token. No error repeats the argument: it could be the token itself.
fn read_token(file: &Path) -> Result<Zeroizing<String>, CliError> {
    if file.to_string_lossy().starts_with("eyJ") {
        return Err(CliError::Usage(
            "--token takes a file with the token, or - for stdin, not the token itself".to_owned(),
        ));
    }
    let failed = |source| CliError::Io { what: "the token's file (--token)", source };
    let mut text = Zeroizing::new(String::new());
    if file == Path::new("-") {
        io::stdin().lock().take(LARGEST_FILE).read_to_string(&mut text).map_err(failed)?;
    } else {
        File::open(file).map_err(failed)?.take(LARGEST_FILE).read_to_string(&mut text).map_err(failed)?;
    }
    Ok(Zeroizing::new(text.trim().to_owned()))
}

fn read_file(what: &'static str, file: &Path) -> Result<Vec<u8>, CliError> {
    let failed = |error: String| CliError::Refused(format!("{what} {}: {error}", file.display()));
    let mut bytes = Vec::new();
    let opened = File::open(file).map_err(|error| failed(error.to_string()))?;
    opened.take(LARGEST_FILE + 1).read_to_end(&mut bytes).map_err(|error| failed(error.to_string()))?;
    if u64::try_from(bytes.len()).is_ok_and(|len| len > LARGEST_FILE) {
        return Err(failed(format!("is larger than {LARGEST_FILE} bytes")));
    }
    Ok(bytes)
}

fn read_policy(kind: Kind, what: &'static str, file: &Path) -> Result<Policy, CliError> {
    let failed = |error: String| CliError::Refused(format!("{what} {}: {error}", file.display()));
    let text = String::from_utf8(read_file(what, file)?).map_err(|_| failed("not UTF-8".to_owned()))?;
    Policy::parse_as(kind, &text).map_err(|error| failed(error.to_string()))
}

#[cfg(test)]
mod tests;
