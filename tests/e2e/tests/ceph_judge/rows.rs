//! The tables: what is asked, what AWS answers, and where Ceph answers otherwise.

use std::collections::BTreeMap;

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};

use super::{ACCOUNT, TestResult};

/// Why Ceph answers otherwise, by id.
pub type Reasons = BTreeMap<String, Reason>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reason {
    /// What Ceph does.
    pub ceph: String,
    /// What AWS does, and where that is written or was observed.
    pub aws: String,
}

/// Ceph's answer where it isn't AWS's.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Differs {
    /// Its answer.
    pub says: String,
    /// The reason's id.
    pub reason: String,
}

/// A token at a role's door.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrustRow {
    /// What the row is about.
    pub about: String,
    /// The conditions of the usual statement; see [`TrustRow::policy`].
    #[serde(default, rename = "if")]
    pub conditions: Option<Value>,
    /// The statements, where they aren't the usual one.
    #[serde(default)]
    pub policy: Option<Value>,
    /// The policy language's version; an empty one leaves it out.
    #[serde(default = "current")]
    pub version: String,
    #[serde(default)]
    pub token: TokenRow,
    /// `accepted`, `malformed` (IAM doesn't store the policy) or the code of STS's refusal.
    pub aws: String,
    #[serde(default, rename = "ceph differs")]
    pub differs: Option<Differs>,
}

/// What a token has besides the usual: subject `wallet:red`, the provider's audience, ten minutes to live, no tags.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct TokenRow {
    pub tags: BTreeMap<String, String>,
    pub transitive: Vec<String>,
    pub claims: Map<String, Value>,
    pub header: Map<String, Value>,
    pub signed: Signed,
}

/// How a token is signed.
#[derive(Deserialize, Default, Clone, Copy)]
#[serde(rename_all = "kebab-case")]
pub enum Signed {
    /// With the published key.
    #[default]
    Well,
    /// With a key that isn't published, under the published one's name.
    ByAnotherKey,
    /// With the published key; then a bit of the signature was turned.
    ThenAltered,
    /// With the published key; then the subject was replaced.
    ThenRewritten,
    /// Not at all: `alg` is `none`.
    Not,
    /// By HMAC with the published certificate as the secret.
    HmacOfThePublicKey,
}

/// A role with its policy, a bucket with its policy, and what a session of the role does there.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Setup {
    /// What the rows below have in common.
    pub about: String,
    /// The session's tags.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// The statements of the role's policy; none for a role without.
    #[serde(default)]
    pub role: Option<Value>,
    /// The statements of the bucket's policy; none for a bucket without.
    #[serde(default)]
    pub bucket: Option<Value>,
    /// The statements of the session policy; none for a session without.
    #[serde(default)]
    pub session: Option<Value>,
    /// The policy language's version; an empty one leaves it out.
    #[serde(default = "current")]
    pub version: String,
    pub rows: Vec<AccessRow>,
}

/// A request to S3.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccessRow {
    /// What the row is about.
    pub about: String,
    #[serde(flatten)]
    pub ask: Ask,
    /// `allowed`, `denied` or `malformed` (a policy isn't stored).
    pub aws: String,
    #[serde(default, rename = "ceph differs")]
    pub differs: Option<Differs>,
}

/// What is asked of S3.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ask {
    /// `ListObjectsV2` with these parameters.
    ListWith {
        #[serde(default)]
        prefix: Option<String>,
        #[serde(default)]
        delimiter: Option<String>,
        #[serde(default)]
        max_keys: Option<i32>,
    },
    /// `ListObjectsV2` with this prefix.
    List(String),
    /// `GetObject` of this key, which is there.
    Get(String),
    /// `PutObject`.
    Put(String),
    /// `DeleteObject` of this key, which is there.
    Delete(String),
}

fn current() -> String {
    "2012-10-17".to_owned()
}

/// An entry of a table, with a role and a bucket of its own: nothing that Ceph keeps of another entry can matter.
pub struct Entry<T> {
    pub role: String,
    pub bucket: String,
    pub row: T,
}

/// The three files.
pub struct Tables {
    pub reasons: Reasons,
    pub trust: Vec<Entry<TrustRow>>,
    pub access: Vec<Entry<Setup>>,
}

/// Reads them. `host` is the issuer's, without scheme.
pub fn read(host: &str) -> TestResult<Tables> {
    let reasons =
        serde_json::from_str(include_str!("reasons.json")).map_err(|error| format!("reasons.json: {error}"))?;
    let trust = table("trust", include_str!("trust.json"), host)?;
    let access = table("access", include_str!("access.json"), host)?;
    Ok(Tables { reasons, trust, access })
}

/// Fills in what is known at run time alone: `PROVIDER`, `HOST`, `ACCOUNT`, `ROLE`, `BUCKET`.
fn table<T: DeserializeOwned>(name: &str, text: &str, host: &str) -> TestResult<Vec<Entry<T>>> {
    let rows: Vec<Value> = serde_json::from_str(text).map_err(|error| format!("{name}.json: {error}"))?;
    let entry = |(index, row): (usize, &Value)| {
        let (role, bucket) = (format!("{name}-{index}"), format!("bucket-{index}"));
        let text = row.to_string().replace("PROVIDER", "arn:aws:iam::ACCOUNT:oidc-provider/HOST");
        let text = text.replace("HOST", host).replace("ACCOUNT", ACCOUNT).replace("ROLE", &role);
        let row = serde_json::from_str(&text.replace("BUCKET", &bucket))
            .map_err(|error| format!("{name}.json, {}: {error}", row["about"]))?;
        Ok(Entry { role, bucket, row })
    };
    rows.iter().enumerate().map(entry).collect()
}

/// A document of these statements.
pub fn document(version: &str, statements: &Value) -> Value {
    if version.is_empty() {
        json!({"Statement": statements})
    } else {
        json!({"Version": version, "Statement": statements})
    }
}

impl TrustRow {
    /// The trust policy: the row's own, or the usual statement with the row's conditions.
    pub fn policy(&self, provider: &str) -> Value {
        let usual = || {
            let mut statement = open_statement(provider);
            if let Some(conditions) = &self.conditions {
                statement["Condition"] = conditions.clone();
            }
            json!([statement])
        };
        document(&self.version, &self.policy.clone().unwrap_or_else(usual))
    }
}

/// The usual statement of a trust policy: every token of the provider, tags too.
pub fn open_statement(provider: &str) -> Value {
    json!({
        "Effect": "Allow",
        "Principal": {"Federated": provider},
        "Action": ["sts:AssumeRoleWithWebIdentity", "sts:TagSession"],
    })
}

/// What a row's answer is compared by: Ceph has one code for all refusals of a token.
pub fn outcome(answer: &str) -> &str {
    match answer {
        "accepted" | "allowed" | "denied" | "malformed" => answer,
        _ => "refused",
    }
}
