//! What is shown to the issuer: a session, a bearer, or the ID token that a CI platform gives its job.

use std::path::PathBuf;

use reqwest::{Client, Url};
use secrecy::{ExposeSecret, SecretString};

use super::{
    args::{IssuerArgs, given},
    issuer::answer_of,
};
use crate::{commands::input, error::CliError, surroundings};

/// Where the proof comes from, each time that one is needed.
#[derive(Debug)]
pub(super) enum Source {
    /// A file, read anew each time.
    File(PathBuf),
    /// A session or bearer that does not change.
    Credential(SecretString),
    /// An ID token that does not change: it is good for one exchange.
    IdToken(SecretString),
    /// Nowhere: a test issuer may mint anonymously.
    Nowhere,
    /// GitHub's runtime, which gives a new ID token each time.
    Github {
        /// Where it is asked.
        url: Url,
        /// What it is shown.
        token: SecretString,
    },
}

/// A proof.
#[derive(Debug)]
pub(super) enum Proof {
    /// A session or bearer.
    Credential(SecretString),
    /// The ID token of a CI job.
    IdToken(SecretString),
    /// None.
    Nothing,
}

impl Source {
    /// By the arguments, else by the environment.
    pub(super) fn find(args: &IssuerArgs, issuer: &str) -> Result<Self, CliError> {
        if let Some(file) = &args.credential_file {
            if file.as_os_str() == "-" {
                let text = input::secret_text("--credential-file", file)?;
                return Ok(Self::Credential(SecretString::from(text.as_str())));
            }
            return Ok(Self::File(file.clone()));
        }
        if let Some(credential) = surroundings::credential() {
            return Ok(Self::Credential(credential));
        }
        if let Some(token) = surroundings::id_token() {
            return Ok(Self::IdToken(token));
        }
        let Some((url, token)) = surroundings::github_runtime() else {
            // A job whose secret is unset must not go on with less than it was given.
            if surroundings::is_ci_job() {
                return Err(CliError::Usage(nothing_to_show().to_owned()));
            }
            return Ok(Self::Nowhere);
        };
        let mut url = Url::parse(&url)
            .ok()
            .filter(|url| url.scheme() == "https")
            .ok_or_else(|| CliError::Usage("ACTIONS_ID_TOKEN_REQUEST_URL is not an https:// URL".to_owned()))?;
        url.query_pairs_mut().append_pair("audience", given(args.provider_audience.as_ref()).unwrap_or(issuer));
        Ok(Self::Github { url, token })
    }

    /// Whether a second token can be had for it.
    pub(super) const fn is_single_use(&self) -> bool {
        matches!(self, Self::IdToken(_))
    }

    /// Whether there is nothing to show.
    pub(super) const fn is_nowhere(&self) -> bool {
        matches!(self, Self::Nowhere)
    }

    /// The proof.
    pub(super) async fn proof(&self, client: &Client) -> Result<Proof, CliError> {
        match self {
            Self::File(file) => {
                let text = input::secret_text("--credential-file", file)?;
                Ok(Proof::of(SecretString::from(text.as_str())))
            }
            Self::Credential(credential) => Ok(Proof::of(credential.clone())),
            Self::Nowhere => Ok(Proof::Nothing),
            Self::IdToken(token) => Ok(Proof::IdToken(token.clone())),
            Self::Github { url, token } => github(client, url, token).await.map(Proof::IdToken),
        }
    }
}

impl Proof {
    /// Sessions and bearers have no dots; an ID token may be in the place of one.
    fn of(secret: SecretString) -> Self {
        if secret.expose_secret().contains('.') { Self::IdToken(secret) } else { Self::Credential(secret) }
    }
}

const fn wants_permission() -> &'static str {
    "this GitHub job has no ID token: give it `permissions: id-token: write`, or set TAGMINT_CREDENTIAL"
}

/// What can be shown.
pub(super) fn nothing_to_show() -> &'static str {
    if surroundings::is_github_job() {
        wants_permission()
    } else {
        "the issuer wants a proof: give --credential-file FILE with a session or bearer, or set TAGMINT_CREDENTIAL; in a GitLab job name \
         the ID token TAGMINT_ID_TOKEN in `id_tokens`"
    }
}

/// Asks GitHub's runtime, as `getIDToken` of `@actions/core` does.
async fn github(client: &Client, url: &Url, token: &SecretString) -> Result<SecretString, CliError> {
    let request = client.get(url.clone()).bearer_auth(token.expose_secret()).header("accept", "application/json");
    let answer = answer_of(request, "GitHub's runtime").await?;
    let value = answer.body["value"].as_str().filter(|value| answer.is_good() && !value.is_empty());
    value.map(SecretString::from).ok_or_else(|| {
        let status = answer.status.as_u16();
        CliError::Refused(format!("GitHub's runtime gave no ID token (it answered {status}): {}", wants_permission()))
    })
}
