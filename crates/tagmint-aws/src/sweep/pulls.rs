//! Whether a pull request is closed, by GitHub. Whatever is not clearly closed counts as unknown, and stays.
//!
//! A prefix names a number and a run, and no repository: other repositories have pull requests of the same number. So it must be known first
//! that the run is this repository's: by the tag `repository` that the ledger minted, else by asking GitHub for the run.
//!
//! Source: GitHub's REST API, "Get a repository", "Get a pull request", "Get a workflow run".

use std::{collections::HashMap, time::Duration};

use jiff::Timestamp;
use reqwest::{
    Client, StatusCode, Url,
    header::{self, HeaderMap},
    redirect::Policy,
};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tagmint_core::sweep::{Found, Pull, RunPrefix};

use super::Minted;
use crate::failure::causes;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// The largest answer, in bytes.
const LARGEST: usize = 1_048_576;
/// The version of the API that is asked.
const API_VERSION: &str = "2022-11-28";

/// A repository of GitHub, and who asks for its pull requests.
#[derive(Debug)]
pub struct GitHub {
    client: Client,
    api: String,
    repository: String,
    token: Option<SecretString>,
}

/// Why GitHub cannot be asked, or no longer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GitHubError {
    /// Not `OWNER/NAME`.
    #[error("`{0}` is no repository of GitHub: give OWNER/NAME")]
    Repository(String),
    /// Not a URL to send a token to.
    #[error(
        "`{0}` is no URL of GitHub's API: it begins with https:// (http:// for a loopback host), as https://api.github.com"
    )]
    Api(String),
    /// No client.
    #[error("the TLS client for GitHub cannot be made: {0}")]
    Client(String),
    /// No answer, or one that is neither yes nor no.
    #[error("GitHub at {api}: {problem}")]
    Answer {
        /// Where.
        api: String,
        /// What went wrong.
        problem: String,
    },
}

/// What GitHub said of the pull requests of prefixes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Asked {
    /// Prefixes of pull requests that are closed.
    pub closed: u64,
    /// Of open ones.
    pub open: u64,
    /// Of those that it knows nothing of, or not clearly: another repository's run, no such pull request.
    pub unclear: u64,
    /// Those that were not asked for any more, after the problem.
    pub unasked: u64,
    /// Why it was not asked any further.
    pub problem: Option<String>,
}

#[derive(Deserialize)]
struct Repository {
    id: u64,
}

#[derive(Deserialize)]
struct Run {
    id: u64,
    repository: Repository,
}

#[derive(Deserialize)]
struct PullRequest {
    number: u64,
    state: String,
    closed_at: Option<Timestamp>,
}

impl GitHub {
    /// A repository as `OWNER/NAME`, at the API of this URL.
    ///
    /// # Errors
    ///
    /// When one of them has not the form.
    pub fn new(api: &str, repository: &str, token: Option<SecretString>) -> Result<Self, GitHubError> {
        let part = |text: &str| {
            !text.is_empty()
                && !text.bytes().all(|byte| byte == b'.')
                && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
        };
        if !repository.split_once('/').is_some_and(|(owner, name)| part(owner) && part(name)) {
            return Err(GitHubError::Repository(repository.to_owned()));
        }
        let url = Url::parse(api).ok().filter(is_safe).ok_or_else(|| GitHubError::Api(api.to_owned()))?;
        let mut client = Client::builder().redirect(Policy::none()).timeout(PATIENCE).user_agent("tagmint-sweep");
        if url.scheme() == "http" {
            // A proxy would see the token.
            client = client.no_proxy();
        }
        Ok(Self {
            client: client.build().map_err(|error| GitHubError::Client(causes(&error)))?,
            api: url.as_str().trim_end_matches('/').to_owned(),
            repository: repository.to_owned(),
            token,
        })
    }

    /// Notes what is known of the pull requests of these prefixes. Those of which nothing becomes known stay unknown, and after an answer that
    /// is none (wrong token, no such repository, its rate limit) the rest is not asked for.
    pub async fn ask(&self, found: &mut [Found], minted: &Minted, wanted: impl Fn(&Found) -> bool) -> Asked {
        let mut asked = Asked::default();
        let mut known: HashMap<u64, Pull> = HashMap::new();
        let mut id = None;
        for one in found.iter_mut().filter(|one| wanted(one)) {
            let Some((number, run)) = one.prefix.pull_request() else { continue };
            if asked.problem.is_some() {
                asked.unasked += 1;
                continue;
            }
            match self.know(&one.prefix, number, run, minted, &mut id, &mut known).await {
                Ok(pull) => one.pull = pull,
                Err(error) => {
                    asked.problem = Some(error.to_string());
                    asked.unasked += 1;
                    continue;
                }
            }
            match one.pull {
                Pull::Closed { .. } => asked.closed += 1,
                Pull::Open => asked.open += 1,
                Pull::Unknown => asked.unclear += 1,
            }
        }
        asked
    }

    async fn know(
        &self,
        prefix: &RunPrefix,
        number: u64,
        run: u64,
        minted: &Minted,
        id: &mut Option<u64>,
        known: &mut HashMap<u64, Pull>,
    ) -> Result<Pull, GitHubError> {
        let id = match *id {
            Some(id) => id,
            None => *id.insert(self.id().await?),
        };
        if !self.is_own(prefix, run, id, minted).await? {
            return Ok(Pull::Unknown);
        }
        if let Some(pull) = known.get(&number) {
            return Ok(*pull);
        }
        let pull = self.pull(number).await?;
        known.insert(number, pull);
        Ok(pull)
    }

    async fn id(&self) -> Result<u64, GitHubError> {
        let repository: Option<Repository> = self.get("").await?;
        let missing =
            || self.problem(format!("there is no repository {}, or the token may not see it", self.repository));
        Ok(repository.ok_or_else(missing)?.id)
    }

    async fn is_own(&self, prefix: &RunPrefix, run: u64, id: u64, minted: &Minted) -> Result<bool, GitHubError> {
        if let Some(repository) = minted.of(prefix).and_then(|mint| mint.repository.as_ref()) {
            return Ok(*repository == id.to_string());
        }
        let found: Option<Run> = self.get(&format!("/actions/runs/{run}")).await?;
        Ok(found.is_some_and(|found| found.id == run && found.repository.id == id))
    }

    async fn pull(&self, number: u64) -> Result<Pull, GitHubError> {
        let Some(pull) = self.get::<PullRequest>(&format!("/pulls/{number}")).await? else { return Ok(Pull::Unknown) };
        Ok(match (pull.state.as_str(), pull.closed_at) {
            _ if pull.number != number => Pull::Unknown,
            ("closed", Some(at)) => Pull::Closed { at },
            ("open", None) => Pull::Open,
            _ => Pull::Unknown,
        })
    }

    /// An answer; none where there is no such thing.
    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>, GitHubError> {
        let failed = |error: reqwest::Error| self.problem(causes(&error.without_url()));
        let url = format!("{}/repos/{}{path}", self.api, self.repository);
        let mut request = self
            .client
            .get(url)
            .header(header::ACCEPT, "application/vnd.github+json")
            .header("x-github-api-version", API_VERSION);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token.expose_secret());
        }
        let mut answer = request.send().await.map_err(failed)?;
        match answer.status() {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND => return Ok(None),
            status => return Err(self.problem(self.refusal(status, answer.headers(), path))),
        }
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(failed)? {
            body.extend_from_slice(&chunk);
            if body.len() > LARGEST {
                return Err(self.problem(format!("its answer is larger than {LARGEST} bytes")));
            }
        }
        let parsed = serde_json::from_slice(&body);
        parsed.map(Some).map_err(|error| self.problem(format!("its answer for {path} cannot be read: {error}")))
    }

    /// What an answer other than yes or no says.
    fn refusal(&self, status: StatusCode, headers: &HeaderMap, path: &str) -> String {
        let code = status.as_u16();
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        match status {
            StatusCode::UNAUTHORIZED => "it does not take the token (401)".to_owned(),
            status if status.is_redirection() => format!(
                "the repository {} was renamed or moved ({code}): give --github-repository as it is now",
                self.repository
            ),
            StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS
                if header("x-ratelimit-remaining") == Some("0") || header("retry-after").is_some() =>
            {
                let advice = if self.token.is_none() { "; with --github-token-file there is more of it" } else { "" };
                format!("its rate limit is used up ({code}){advice}")
            }
            StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS => {
                format!(
                    "it refuses ({code}): the token may not read the repository's pull requests and actions, or there is none"
                )
            }
            _ => format!("it answers {code} for /repos/{}{path}", self.repository),
        }
    }

    fn problem(&self, problem: String) -> GitHubError {
        GitHubError::Answer { api: self.api.clone(), problem }
    }
}

/// A token goes over TLS alone, and to no URL with credentials or more than a path.
fn is_safe(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    let is_loopback = host == "localhost" || address.is_ok_and(|address| address.is_loopback());
    let is_private = url.scheme() == "https" || (url.scheme() == "http" && is_loopback);
    is_private
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repositories_and_urls_are_checked() {
        crate::sweep::tests::install_tls();
        let new = |api: &str, repository: &str| GitHub::new(api, repository, None).map(|_| ());
        assert_eq!(new("https://api.github.com", "litentry/agentkeys"), Ok(()));
        assert_eq!(new("https://github.example.org/api/v3/", "a/b.c_d"), Ok(()));
        assert_eq!(new("http://127.0.0.1:1", "a/b"), Ok(()));
        for repository in ["", "a", "a/", "/b", "a/b/c", "a/..", "a/b?x", "a b/c"] {
            assert_eq!(new("https://api.github.com", repository), Err(GitHubError::Repository(repository.to_owned())));
        }
        for api in [
            "",
            "http://127.0.0.1.attacker.example",
            "api.github.com",
            "http://api.github.com",
            "ftp://x",
            "https://u:p@x",
            "https://x/?a",
        ] {
            assert_eq!(new(api, "a/b"), Err(GitHubError::Api(api.to_owned())), "{api}");
        }
    }
}
