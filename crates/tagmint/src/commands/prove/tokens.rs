//! Where the tokens come from: files, or the issuer.

use std::path::{Path, PathBuf};

use reqwest::{Client, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize as _;
use serde_json::{Map, Value};
use tagmint_aws::{
    documents,
    failure::causes,
    prove::{Offered, Tokens},
    token::Token,
};
use tagmint_core::rules::SessionTerms;

use super::ProveArgs;
use crate::{commands::input, error::CliError, surroundings};

/// Reads and mints all that the arguments name; and what the issuer's rule says of the role session.
pub(super) async fn all(args: &ProveArgs, roots: Option<&[u8]>) -> Result<(Tokens, SessionTerms), CliError> {
    only_one_from_stdin(args)?;
    let issuer = match &args.issuer {
        Some(url) => Some(Issuer::new(url, roots, credential(args)?)?),
        None => None,
    };
    let (good, terms) = match (&args.token, &issuer) {
        (Some(file), _) => (from_file("--token", file)?, SessionTerms::default()),
        (None, Some(issuer)) => {
            let wish = Wish { rule: args.rule.as_deref(), ..Wish::default() };
            issuer
                .mint(&wish)
                .await?
                .map_err(|refusal| CliError::Refused(format!("no token to prove with: {refusal}")))?
        }
        (None, None) => return Err(CliError::Usage("give --issuer or --token".to_owned())),
    };
    let tokens = Tokens {
        untagged: untagged(args, issuer.as_ref()).await?,
        other_audience: other_audience(args, issuer.as_ref()).await?,
        other_environment: given(
            "--other-environment-token",
            args.other_environment_token.as_deref(),
            "a token of another environment's issuer is missing: give --other-environment-token",
        )?,
        expired: given(
            "--expired-token",
            args.expired_token.as_deref(),
            "an expired token is missing: keep a token of an earlier run, and give it with --expired-token",
        )?,
        good,
    };
    Ok((tokens, terms))
}

async fn untagged(args: &ProveArgs, issuer: Option<&Issuer>) -> Result<Offered, CliError> {
    let missing =
        "a token without the tag is missing: give --untagged-rule, --untagged-credential-file or --untagged-token";
    let wanted = args.untagged_rule.is_some() || args.untagged_credential_file.is_some();
    let Some(issuer) = issuer.filter(|_| wanted) else {
        return given("--untagged-token", args.untagged_token.as_deref(), missing);
    };
    let credential = match &args.untagged_credential_file {
        Some(file) => Some(read_credential("--untagged-credential-file", file)?),
        None => None,
    };
    let wish = Wish { rule: args.untagged_rule.as_deref(), credential: credential.as_ref(), audience: None };
    Ok(offered(issuer.mint(&wish).await?))
}

async fn other_audience(args: &ProveArgs, issuer: Option<&Issuer>) -> Result<Offered, CliError> {
    let missing = "a token for another audience is missing: give --other-audience or --other-audience-token";
    let (Some(audience), Some(issuer)) = (&args.other_audience, issuer) else {
        return given("--other-audience-token", args.other_audience_token.as_deref(), missing);
    };
    let wish = Wish { rule: args.rule.as_deref(), audience: Some(audience), credential: None };
    Ok(offered(issuer.mint(&wish).await?))
}

/// What the issuer does not mint cannot be tried at AWS.
fn offered(minted: Result<(Token, SessionTerms), String>) -> Offered {
    minted.map_or_else(Offered::Missing, |(token, _)| Offered::Token(token))
}

fn given(flag: &'static str, file: Option<&Path>, missing: &str) -> Result<Offered, CliError> {
    file.map_or_else(|| Ok(Offered::Missing(missing.to_owned())), |file| from_file(flag, file).map(Offered::Token))
}

fn from_file(flag: &'static str, file: &Path) -> Result<Token, CliError> {
    let text = input::token(flag, file)?;
    Token::parse(&text).map_err(|error| CliError::Refused(format!("{flag}: {error}")))
}

/// Stdin can be read once.
fn only_one_from_stdin(args: &ProveArgs) -> Result<(), CliError> {
    let files = [
        &args.token,
        &args.credential_file,
        &args.untagged_credential_file,
        &args.untagged_token,
        &args.other_audience_token,
        &args.other_environment_token,
        &args.expired_token,
    ];
    let stdin = |file: &&&Option<PathBuf>| file.as_deref() == Some(Path::new("-"));
    if files.iter().filter(stdin).count() > 1 {
        return Err(CliError::Usage("one option alone can take stdin (-)".to_owned()));
    }
    Ok(())
}

/// The credential; none where the good token is given, and other credentials alone are used.
fn credential(args: &ProveArgs) -> Result<Option<SecretString>, CliError> {
    let found = match &args.credential_file {
        Some(file) => Some(read_credential("--credential-file", file)?),
        None => surroundings::credential(),
    };
    if found.is_none() && args.token.is_none() {
        let message =
            "the issuer mints for a session or bearer: give --credential-file FILE, or set TAGMINT_CREDENTIAL";
        return Err(CliError::Usage(message.to_owned()));
    }
    Ok(found)
}

fn read_credential(flag: &'static str, file: &Path) -> Result<SecretString, CliError> {
    let text = input::secret_text(flag, file)?;
    Ok(SecretString::from(text.as_str()))
}

/// A token that is asked for.
#[derive(Debug, Default)]
struct Wish<'a> {
    rule: Option<&'a str>,
    audience: Option<&'a str>,
    /// Instead of the issuer's own one.
    credential: Option<&'a SecretString>,
}

/// The issuer as its clients see it.
struct Issuer {
    client: Client,
    url: String,
    credential: Option<SecretString>,
}

impl Issuer {
    fn new(url: &str, roots: Option<&[u8]>, credential: Option<SecretString>) -> Result<Self, CliError> {
        if !url.starts_with("https://") {
            return Err(CliError::Usage(format!("--issuer {url} is not an https:// URL")));
        }
        let client = documents::client(roots).map_err(|error| CliError::Refused(error.to_string()))?;
        Ok(Self { client, url: url.trim_end_matches('/').to_owned(), credential })
    }

    /// Mints. The inner error is the issuer's refusal.
    async fn mint(&self, wish: &Wish<'_>) -> Result<Result<(Token, SessionTerms), String>, CliError> {
        let Some(credential) = wish.credential.or(self.credential.as_ref()) else {
            return Ok(Err("there is no credential for the issuer: give --credential-file".to_owned()));
        };
        let members = [("rule", wish.rule), ("audience", wish.audience)];
        let body: Map<String, Value> =
            members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.into()))).collect();
        let url = format!("{}/v1/tokens", self.url);
        let unreachable = |error: reqwest::Error| {
            CliError::Unreachable(format!("the issuer at {url}: {}", causes(&error.without_url())))
        };
        let request = self.client.post(&url).bearer_auth(credential.expose_secret()).json(&body);
        let answer = request.send().await.map_err(unreachable)?;
        let status = answer.status();
        let body = answer.bytes().await.map_err(unreachable)?;
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        if status.is_server_error() {
            return Err(CliError::Unreachable(format!(
                "the issuer at {url} answered {}: {}",
                status.as_u16(),
                detail(&body)
            )));
        }
        let token = body["token"].as_str().filter(|_| status == StatusCode::OK).map(Token::parse);
        Ok(match token {
            Some(token) => {
                let terms = body.get("session").map(SessionTerms::deserialize).transpose();
                terms
                    .map_err(|_| "it says of the role session what this version does not know".to_owned())
                    .and_then(|terms| Ok((token.map_err(|error| error.to_string())?, terms.unwrap_or_default())))
            }
            None => Err(format!("the issuer answered {}: {}", status.as_u16(), detail(&body))),
        })
    }
}

fn detail(body: &Value) -> &str {
    body["detail"].as_str().or(body["title"].as_str()).unwrap_or("without a reason")
}
