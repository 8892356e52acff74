//! The issuer, as its clients see it.

use std::time::Duration;

use jiff::SignedDuration;
use reqwest::{Client, RequestBuilder, StatusCode, Url};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize as _;
use serde_json::{Map, Value, json};
use tagmint_aws::{documents, failure::causes, token::Token};
use tagmint_core::{
    clock::{Clock as _, SystemClock},
    rules::SessionTerms,
};

use super::{
    args::{IssuerArgs, Wish, given},
    proof::{Proof, Source, nothing_to_show},
};
use crate::{commands::input, durations, error::CliError};

/// How long an answer may take. The issuer itself gives up after 15 s.
const PATIENCE: Duration = Duration::from_secs(20);
/// The largest answer, in bytes.
const LARGEST: usize = 262_144;
/// Token exchange (RFC 8693).
const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
/// What CI platforms give out.
const ID_TOKEN: &str = "urn:ietf:params:oauth:token-type:id_token";

/// An issuer, and what proves to it who asks.
#[derive(Debug)]
pub(super) struct Issuer {
    client: Client,
    url: String,
    source: Source,
}

/// An answer, read to its end.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    /// Null where it is no JSON.
    pub(super) body: Value,
    /// `Retry-After`.
    retry_after: Option<String>,
}

impl Answer {
    /// Whether it is what was asked for.
    pub(super) fn is_good(&self) -> bool {
        self.status == StatusCode::OK
    }
}

impl Issuer {
    /// By the arguments and the environment.
    pub(super) fn new(args: &IssuerArgs) -> Result<Self, CliError> {
        let url = given(args.url.as_ref())
            .ok_or_else(|| CliError::Usage("which issuer? Give --url, or set TAGMINT_URL".to_owned()))?;
        let good = Url::parse(url).is_ok_and(|url| url.scheme() == "https" && url.query().is_none());
        if !good {
            return Err(CliError::Usage(format!("--url {url} is not the https:// URL of an issuer")));
        }
        let url = url.trim_end_matches('/').to_owned();
        let ca_file = args.ca_file.as_ref().filter(|file| !file.as_os_str().is_empty());
        let roots = ca_file.map(|file| input::file("the CA file", file)).transpose()?;
        let client = documents::client(roots.as_deref()).map_err(|error| CliError::Refused(error.to_string()))?;
        Ok(Self { source: Source::find(args, &url)?, client, url })
    }

    /// Its URL, without a slash at the end.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Whether a second token can be had.
    pub(super) const fn is_single_use(&self) -> bool {
        self.source.is_single_use()
    }

    /// What to say of tokens of this kind, where there is something to say.
    pub(super) const fn remark(&self) -> Option<&'static str> {
        if self.source.is_nowhere() {
            Some("no credential was shown: the issuer gives this token to anybody, to read alone")
        } else {
            None
        }
    }

    /// Gets a token, and what its rule says of the role session that it opens.
    pub(super) async fn mint(&self, wish: &Wish, role: Option<&str>) -> Result<(Token, SessionTerms), CliError> {
        let (request, member) = match self.source.proof(&self.client).await? {
            // An exchange has no words for these.
            Proof::IdToken(token) if !wish.is_special() => (self.exchange(&token, wish, role), "access_token"),
            Proof::Credential(secret) | Proof::IdToken(secret) => {
                (self.tokens(wish, role).bearer_auth(secret.expose_secret()), "token")
            }
            Proof::Nothing => (self.tokens(wish, role), "token"),
        };
        let answer = answer_of(request, &format!("the issuer at {}", self.url)).await?;
        if answer.status == StatusCode::UNAUTHORIZED && self.source.is_nowhere() {
            // Another status has another reason: the rules, or too many requests.
            let url = &self.url;
            return Err(CliError::Usage(format!(
                "{} (the issuer at {url} gives no token without one)",
                nothing_to_show()
            )));
        }
        if !answer.is_good() {
            return Err(self.refusal(&answer));
        }
        let token = answer.body[member].as_str().and_then(|token| Token::parse(token).ok());
        let token = token
            .ok_or_else(|| CliError::Refused(format!("what answers at {} is no issuer: it gave no token", self.url)))?;
        let terms = match answer.body.get("session") {
            None | Some(Value::Null) => SessionTerms::default(),
            // What cannot be read cannot be passed on, and the session would be wider than the rule says.
            Some(session) => SessionTerms::deserialize(session).map_err(|_| {
                CliError::Refused(format!(
                    "the issuer at {} says of the role session what this version does not know",
                    self.url
                ))
            })?,
        };
        Ok((token, terms))
    }

    fn exchange(&self, token: &SecretString, wish: &Wish, role: Option<&str>) -> RequestBuilder {
        let mut form = vec![
            ("grant_type", TOKEN_EXCHANGE),
            ("subject_token_type", ID_TOKEN),
            ("subject_token", token.expose_secret()),
        ];
        form.extend(wish.audience.as_deref().map(|audience| ("audience", audience)));
        form.extend(role.map(|role| ("resource", role)));
        self.client.post(format!("{}/oauth2/token", self.url)).form(&form)
    }

    fn tokens(&self, wish: &Wish, role: Option<&str>) -> RequestBuilder {
        let lifetime = wish.lifetime.map(|lifetime| json!(lifetime.as_secs()));
        let tags: Map<String, Value> = wish.tags.iter().map(|(key, value)| (key.clone(), json!(value))).collect();
        let members = [
            ("audience", wish.audience.as_ref().map(|audience| json!(audience))),
            ("role", role.map(|role| json!(role))),
            ("rule", wish.rule.as_ref().map(|rule| json!(rule))),
            ("lifetime_seconds", lifetime),
            ("tags", (!tags.is_empty()).then(|| Value::Object(tags))),
        ];
        let body: Map<String, Value> =
            members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect();
        self.client.post(format!("{}/v1/tokens", self.url)).json(&body)
    }

    fn refusal(&self, answer: &Answer) -> CliError {
        let Answer { status, body, .. } = answer;
        let said = ["detail", "error_description", "title"].into_iter().find_map(|member| body[member].as_str());
        let rule = body["rule"].as_str().map(|rule| format!(" (rule `{rule}`)")).unwrap_or_default();
        let kind = body["type"].as_str().and_then(|kind| kind.strip_prefix("urn:tagmint:problem:"));
        let told = format!(
            "the issuer at {} answered {}{}{rule}: {}",
            self.url,
            status.as_u16(),
            kind.map(|kind| format!(" {kind}")).unwrap_or_default(),
            said.unwrap_or("without a reason")
        );
        let again = answer.retry_after.as_deref().map(retry).unwrap_or_default();
        let code = kind.or_else(|| body["error"].as_str()).unwrap_or("refused").to_owned();
        CliError::Problem { code, outage: status.is_server_error(), message: format!("{told}{again}") }
    }
}

/// When to try again: `Retry-After` in seconds, or as a date (RFC 9110 §10.2.3).
fn retry(value: &str) -> String {
    let at =
        value.parse().ok().and_then(|seconds| SystemClock.now().checked_add(SignedDuration::from_secs(seconds)).ok());
    match at {
        Some(at) => format!("; try again in {value} s, at {}", durations::rfc3339(at)),
        None => format!("; try again at {value}"),
    }
}

/// Advice where a connection fails for this cause.
pub(crate) fn hint(cause: &str) -> &'static str {
    if cause.contains("UnknownIssuer") || cause.contains("CaUsedAsEndEntity") || cause.contains("self-signed") {
        "; if the issuer has a private certificate authority, name its certificate with --ca-file FILE (or TAGMINT_CA_FILE)"
    } else {
        ""
    }
}

impl Wish {
    /// Whether it wishes for what `POST /v1/tokens` alone can say.
    fn is_special(&self) -> bool {
        !self.tags.is_empty() || self.lifetime.is_some() || self.rule.is_some()
    }
}

/// Sends a request. `who` is asked, in messages; the URL is not repeated, it may hold more than an address.
pub(super) async fn answer_of(request: RequestBuilder, who: &str) -> Result<Answer, CliError> {
    let unreachable = |error: reqwest::Error| {
        let cause = causes(&error.without_url());
        CliError::Unreachable(format!("{who} cannot be reached: {cause}{}", hint(&cause)))
    };
    let mut answer = request.timeout(PATIENCE).send().await.map_err(unreachable)?;
    let status = answer.status();
    let retry_after = answer.headers().get("retry-after").and_then(|value| value.to_str().ok()).map(str::to_owned);
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(unreachable)? {
        body.extend_from_slice(&chunk);
        if body.len() > LARGEST {
            return Err(CliError::Refused(format!("the answer of {who} is larger than {LARGEST} bytes")));
        }
    }
    Ok(Answer { status, retry_after, body: serde_json::from_slice(&body).unwrap_or_default() })
}
