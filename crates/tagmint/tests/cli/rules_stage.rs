//! An issuer's configuration with rules for GitHub jobs, and ledgers as it would have written them.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr},
    path::{Path, PathBuf},
};

use serde_json::{Map, Value, json};
use tagmint::config::Config;
use tagmint_core::{
    identity::{CredentialId, IdentitySource, VerifiedIdentity},
    ledger::{FORMAT, LedgerEntry, LedgerHead, Minted, Outcome, Refused, Run},
    rules::{MintRequest, TagScope},
    trusted_issuer::{IssuerKind, TrustedIssuerName},
};
use tempfile::TempDir;

/// When the first row was recorded.
pub(crate) const BEGIN: &str = "2026-09-21T00:00:00Z";
const BEGIN_SECONDS: i64 = 1_789_948_800;
const REMOTE: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 7));

/// The configuration.
pub(crate) const CONFIG: &str = r#"
environment = "test"
issuer = "https://test-broker.example.org"

[listen]
public = "127.0.0.1:8443"
admin = "127.0.0.1:9443"

[tls]
mode = "proxy"

[database]
path = "tagmint.db"

[keys]
key_file = "key"

[aws]
region = "eu-central-1"
account = "999900001111"

[aws.bucket]
name = "data-test"

[[aws.role]]
name = "ci-test"
access = [{ tag = "prefix", mode = "read-write" }]

[[aws.role]]
name = "release-test"
access = [{ tag = "prefix", mode = "read" }]

[[trusted_issuer]]
name = "github"
kind = "github"
audiences = ["https://test-broker.example.org"]

[[rule]]
name = "pull-requests"
from = "github"
match = { repository_id = "34", repository_owner_id = "12", event_name = "pull_request" }
subject = "github:${repository_id}:pull-request"
role = "ci-test"
tags = { prefix = "pr-${pull_request}/run-${run_id}" }

[[rule]]
name = "release"
from = "github"
match = { repository_id = "34", repository_owner_id = "12", event_name = "push", branch = "main" }
subject = "github:${repository_id}:release"
role = "release-test"
max_lifetime = "15m"
tags = { prefix = "branch-main/run-${run_id}" }
"#;

/// A folder with the configuration.
pub(crate) struct Stage {
    folder: TempDir,
}

impl Stage {
    pub(crate) fn new() -> Self {
        let stage = Self { folder: tempfile::tempdir().expect("a folder") };
        stage.write("tagmint.toml", CONFIG);
        stage
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file, and returns its path.
    pub(crate) fn write(&self, name: &str, text: &str) -> String {
        let file = self.path().join(name);
        fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
        fs::write(&file, text).expect("a file");
        file.to_str().expect("UTF-8").to_owned()
    }

    pub(crate) fn config(&self) -> String {
        self.path().join("tagmint.toml").to_str().expect("UTF-8").to_owned()
    }

    /// The configuration with one text replaced by another, in another file.
    pub(crate) fn changed(&self, from: &str, to: &str) -> String {
        assert!(CONFIG.contains(from), "{from}");
        self.write("changed.toml", &CONFIG.replace(from, to))
    }

    /// A ledger's export: what the issuer recorded of these jobs, one a second. `edit` changes rows.
    pub(crate) fn export(&self, jobs: &[VerifiedIdentity], edit: impl Fn(&mut LedgerEntry)) -> String {
        let config = Config::load(&PathBuf::from(self.config())).expect("the configuration");
        let mut head = LedgerHead::genesis(&config.settings.stamp);
        let mut lines = String::new();
        for (number, job) in (0..).zip(jobs) {
            let mut entry = entry(number, job, &config);
            edit(&mut entry);
            let row = head.append(&entry);
            lines.push_str(&serde_json::to_string(&row).expect("JSON"));
            lines.push('\n');
        }
        self.write("ledger.jsonl", &lines)
    }
}

fn entry(number: i64, job: &VerifiedIdentity, config: &Config) -> LedgerEntry {
    let request = MintRequest::default();
    let issued_at = BEGIN_SECONDS + number;
    let (rule, outcome) = match config.rules.decide(job, &request).result {
        Ok(grant) => {
            let minted = Minted {
                mint_id: format!("mnt_{number:026}").parse().expect("an id"),
                kid: "k".into(),
                subject: grant.subject.to_string(),
                audience: grant.audience.to_string(),
                tags: serde_json::to_value(&grant.tags).expect("JSON"),
                roles: grant.roles.iter().map(ToString::to_string).collect(),
                issued_at,
                expires_at: issued_at + i64::from(grant.lifetime.seconds()),
            };
            (Some(grant.rule.to_string()), Outcome::Minted(minted))
        }
        Err(denial) => {
            let refused = Refused {
                refusal_id: format!("rfs_{number:026}").parse().expect("an id"),
                code: denial.code().into(),
                detail: denial.to_string(),
                omitted: None,
            };
            (denial.rule.map(|rule| rule.to_string()), Outcome::Refused(refused))
        }
    };
    LedgerEntry {
        format: FORMAT,
        at_ms: issued_at * 1000,
        request_id: format!("req_{number:026}").parse().expect("an id"),
        route: "POST /oauth2/token".into(),
        remote: Some(REMOTE.to_string()),
        credential: None,
        source: Some(job.source.as_str().to_owned()),
        identity: Some(job.subject.clone()),
        rule,
        run: Some(Box::new(Run::of(job, &request, REMOTE, config.rules.hash()))),
        outcome,
    }
}

/// A job with these attributes, of the repository with this id.
fn job(repository: &str, attributes: Value) -> VerifiedIdentity {
    let mut all = Map::new();
    for (name, value) in [("repository_id", repository), ("repository_owner_id", "12"), ("repository", "octo-org/app")]
    {
        all.insert(name.to_owned(), json!(value));
    }
    all.extend(attributes.as_object().cloned().unwrap_or_default());
    VerifiedIdentity {
        source: IdentitySource::TrustedIssuer(IssuerKind::GITHUB),
        trusted_issuer: Some(TrustedIssuerName::parse("github").expect("a name")),
        subject: "repo:octo-org/app:x".to_owned(),
        attributes: all,
        credential: CredentialId::Absent,
        only_rule: None,
        scope: TagScope::default(),
    }
}

/// A job of pull request 5.
pub(crate) fn pull_request(repository: &str) -> VerifiedIdentity {
    job(repository, json!({"event_name": "pull_request", "pull_request": 5, "run_id": "7"}))
}

/// A job on `main`.
pub(crate) fn push(repository: &str) -> VerifiedIdentity {
    job(repository, json!({"event_name": "push", "branch": "main", "run_id": "8"}))
}

/// The claims that GitHub writes into the token of a job on `main`.
pub(crate) fn claims(repository: &str) -> Value {
    json!({
        "iss": "https://token.actions.githubusercontent.com", "aud": "https://test-broker.example.org",
        "sub": "repo:octo-org/app:ref:refs/heads/main", "repository": "octo-org/app", "repository_owner": "octo-org",
        "repository_id": repository, "repository_owner_id": "12", "event_name": "push", "ref": "refs/heads/main", "run_id": "8",
        "iat": BEGIN_SECONDS, "nbf": BEGIN_SECONDS, "exp": BEGIN_SECONDS + 300,
    })
}
