//! What `init` asks, and which answers it takes. A refusal says why, and gives an example.

use std::net::IpAddr;

use tagmint_aws::render::ACCOUNT_VARIABLE;
use tagmint_core::{
    environment::Environment,
    issuer::IssuerUrl,
    trusted_issuer::{IssuerKind, TrustedIssuerUrl},
};
use tagmint_iam::arn::is_account;

use crate::config::{is_bucket_name, of_another_world};

/// Accounts of AWS's documentation.
pub(crate) const EXAMPLE_ACCOUNTS: [&str; 3] = ["111122223333", "123456789012", "444455556666"];

/// Where to find the account.
const OWN_ACCOUNT: &str = "`aws sts get-caller-identity --query Account` prints yours";

/// What a configuration is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answers {
    /// Which environment the issuer belongs to.
    pub environment: Environment,
    /// The issuer's host name.
    pub host: String,
    /// Whose tokens it accepts.
    pub kind: IssuerKind,
    /// The repository or what else runs jobs, by its name.
    pub repository: String,
    /// Its id, where the kind has ids.
    pub repository_id: Option<String>,
    /// The id of what it belongs to, where the kind has ids.
    pub owner_id: Option<String>,
    /// The URL of the trusted issuer, where it is not the kind's own.
    pub issuer: Option<String>,
    /// The AWS account.
    pub account: String,
    /// The region of the bucket.
    pub region: String,
    /// The bucket.
    pub bucket: String,
}

impl Answers {
    /// The issuer's URL.
    pub fn url(&self) -> String {
        format!("https://{}", self.host)
    }

    /// The repository's id.
    pub(super) fn id(&self) -> &str {
        self.repository_id.as_deref().unwrap_or_default()
    }

    /// The owner's id.
    pub(super) fn owner(&self) -> &str {
        self.owner_id.as_deref().unwrap_or_default()
    }
}

/// `prod` or `test`.
pub fn environment(text: &str) -> Result<Environment, String> {
    text.parse().map_err(|_| format!("`{text}` is not an environment. Give `prod` or `test`"))
}

/// A public host name.
pub fn host(text: &str) -> Result<String, String> {
    let refused = |why: &str| Err(format!("`{text}` {why}. Give a public host name such as `broker.example.org`"));
    if text.contains("://") {
        return refused("is a URL");
    }
    if text.contains('/') || text.contains(':') {
        return refused("has a path or port, which the issuer does without");
    }
    if text.parse::<IpAddr>().is_ok() {
        return refused("is an address, for which no certificate authority issues a certificate");
    }
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return refused("has capital letters: AWS compares the issuer's URL byte for byte");
    }
    match IssuerUrl::parse(&format!("https://{text}")) {
        Ok(url) if url.is_loopback() => {
            refused("is this machine, which AWS cannot reach; for that there is `tagmint dev`")
        }
        Ok(_) if text.contains('.') => Ok(text.to_owned()),
        _ => refused("is not a host name that AWS can resolve"),
    }
}

/// The name of a kind.
pub fn kind(text: &str) -> Result<IssuerKind, String> {
    text.parse::<IssuerKind>().map_err(|error| error.to_string())
}

/// An AWS account.
pub fn account(text: &str) -> Result<String, String> {
    if !is_account(text) {
        return Err(format!("`{text}` is not an account id, which has twelve digits. {OWN_ACCOUNT}"));
    }
    if EXAMPLE_ACCOUNTS.contains(&text) {
        return Err(format!("`{text}` is an account of AWS's documentation. {OWN_ACCOUNT}"));
    }
    Ok(text.to_owned())
}

/// A region.
pub fn region(text: &str) -> Result<String, String> {
    let parts: Vec<&str> = text.split('-').collect();
    let plain = |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let numbered = parts.last().is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()));
    if parts.len() >= 3 && parts.iter().all(plain) && numbered && text.len() <= 64 {
        Ok(text.to_owned())
    } else {
        Err(format!("`{text}` is not a region. Give one such as `eu-central-1`"))
    }
}

/// A name that a bucket of the environment could have.
pub const fn example_bucket(environment: Environment) -> &'static str {
    match environment {
        Environment::Prod => "example-ci-${aws.account}",
        Environment::Test => "example-ci-test-${aws.account}",
    }
}

/// A bucket's name, in which `${aws.account}` may stand for the account.
pub fn bucket(text: &str) -> Result<String, String> {
    let filled = text.replace(ACCOUNT_VARIABLE, EXAMPLE_ACCOUNTS[0]);
    if is_bucket_name(&filled) {
        return Ok(text.to_owned());
    }
    Err(format!(
        "`{text}` is not the name of a bucket: 3 to 63 lower-case letters, digits, `.` and `-`, with a letter or digit at both ends. \
         Give one such as `{}`",
        example_bucket(Environment::Prod)
    ))
}

/// A bucket's name that fits the environment.
pub fn bucket_of(environment: Environment, text: &str) -> Result<String, String> {
    let name = bucket(text)?;
    if of_another_world(&name, environment).is_none() {
        return Ok(name);
    }
    let why = match environment {
        Environment::Test => {
            "does not have the word `test` in it, which keeps the buckets of test and prod issuers apart"
        }
        Environment::Prod => "has the word `test` in it, and this is a prod issuer",
    };
    Err(format!("`{text}` {why}. Give one such as `{}`", example_bucket(environment)))
}

/// The URL of a trusted issuer.
pub fn issuer(text: &str) -> Result<String, String> {
    let url = TrustedIssuerUrl::parse(text).map_err(|error| {
        format!("`{text}`: {error}. Give the `iss` of its tokens, such as `https://ci.example.org/oidc`")
    })?;
    if url.is_plain_http() {
        return Err(format!(
            "`{text}` is not `https://`. Give the `iss` of its tokens, such as `https://ci.example.org/oidc`"
        ));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_taken_or_refused_with_an_example() {
        assert_eq!(host("broker.example.org").as_deref(), Ok("broker.example.org"));
        for bad in [
            "https://broker.example.org",
            "broker",
            "localhost",
            "10.0.0.1",
            "Broker.example.org",
            "a.b/c",
            "a.b:443",
            "",
            "a..b",
        ] {
            assert!(host(bad).unwrap_err().contains("such as `broker.example.org`"), "{bad}");
        }
        assert_eq!(account("210987654321").as_deref(), Ok("210987654321"));
        assert!(account("111122223333").unwrap_err().contains("documentation"));
        assert!(account("12").unwrap_err().contains("twelve digits"));
        for good in ["eu-central-1", "us-gov-west-1", "ap-southeast-4"] {
            assert_eq!(region(good).as_deref(), Ok(good));
        }
        for bad in ["", "eu", "EU-central-1", "eu-central-1a", "-eu-1"] {
            assert!(region(bad).unwrap_err().contains("eu-central-1"), "{bad}");
        }
        assert!(bucket_of(Environment::Test, "ci-test-${aws.account}").is_ok());
        assert!(bucket_of(Environment::Prod, "ci-${aws.account}").is_ok());
        assert!(bucket_of(Environment::Test, "example-ci").unwrap_err().contains("`test`"));
        assert!(bucket_of(Environment::Prod, "ci-test").unwrap_err().contains("prod"));
        assert!(bucket("Mail").unwrap_err().contains("lower-case"));
        assert!(issuer("http://ci.example.org").is_err() && issuer("ci").is_err());
        assert!(kind("github-actions").unwrap_err().contains("`github`"));
        assert!(environment("staging").unwrap_err().contains("`prod` or `test`"));
    }
}
