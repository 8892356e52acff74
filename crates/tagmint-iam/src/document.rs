//! Documents as people have them: policies within the output of the AWS CLI, of CloudFormation and Terraform, in other encodings, in quotes.
//!
//! [`Policy::parse`] is strict, as IAM is. These readers are for explanations: what is meant is taken, and what cannot be taken is named.

mod encoding;
mod find;
mod intrinsics;
mod not_json;
mod other;
mod token;

use serde_json::Value;

pub use self::{encoding::text, token::token};
use crate::policy::{InvalidPolicy, Kind, Policy};

/// How many layers of quoting and URL encoding are taken off.
const LAYERS: usize = 5;

/// A policy, and what stood around it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The policy.
    pub policy: Policy,
    /// The ARN of the role that it was found in.
    pub role_arn: Option<String>,
    /// The role's tags, where its description has them.
    pub role_tags: Vec<(String, String)>,
}

/// An OIDC provider's description.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provider {
    /// Its URL, with the scheme.
    pub url: String,
    /// Its client ids.
    pub client_ids: Vec<String>,
}

/// Why a document cannot be used: what it is, and what to give instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// There is nothing in it.
    #[error("it is empty")]
    Empty,
    /// Its bytes are no text.
    #[error("its text is neither UTF-8 nor UTF-16: save it as UTF-8")]
    Encoding,
    /// It is no JSON.
    #[error("{0}")]
    NotJson(String),
    /// It is JSON of another kind.
    #[error("{0}")]
    Other(String),
    /// It has several documents of the kind.
    #[error("it has {} of them, of {}: {hint}", names.len(), names.join(", "))]
    Several {
        /// The names of their owners.
        names: Vec<String>,
        /// The advice.
        hint: String,
    },
    /// A value that a template's deployment fills in.
    #[error(
        "{path} is {function}, which has a value only where the template is deployed: give the output of `aws iam get-role` instead"
    )]
    Undeployed {
        /// The place in the document.
        path: String,
        /// The template's function.
        function: String,
    },
    /// The policy itself is wrong.
    #[error(transparent)]
    Policy(#[from] InvalidPolicy),
}

/// Reads a policy for its place. `role` is the ARN of the role whose policy is wanted, where the document has those of several.
pub fn policy(kind: Kind, bytes: &[u8], role: Option<&str>) -> Result<Found, DocumentError> {
    let text = text(bytes)?;
    let value = json(&text)?;
    if find::is_policy(&value) {
        let policy = parse(kind, value)?;
        return Ok(Found { policy, role_arn: None, role_tags: Vec::new() });
    }
    if let Some(what) = other::named(&value, kind) {
        return Err(DocumentError::Other(what));
    }
    let candidates = find::policies(&value);
    if candidates.is_empty() {
        // The strict reader's error names the first wrong member.
        return Err(match Policy::parse_as(kind, &value.to_string()) {
            Err(error) => DocumentError::Policy(error),
            Ok(_) => DocumentError::Other("it has no policy".to_owned()),
        });
    }
    let candidate = find::choose(candidates, kind, role)?;
    let policy = parse(kind, candidate.policy)?;
    let role = candidate.role.unwrap_or_default();
    Ok(Found { policy, role_arn: role.arn, role_tags: role.tags })
}

/// Reads the description of an OIDC provider, as `aws iam get-open-id-connect-provider` prints it.
pub fn provider(bytes: &[u8]) -> Result<Provider, DocumentError> {
    let value = json(&text(bytes)?)?;
    let mut providers = find::providers(&value);
    match (providers.pop(), providers.is_empty()) {
        (Some(provider), true) => Ok(provider),
        (Some(last), false) => {
            let names = providers.iter().chain([&last]).map(|provider| provider.url.clone()).collect();
            Err(DocumentError::Several { names, hint: "give the one that the token's issuer has".to_owned() })
        }
        (None, _) => Err(DocumentError::Other(
            "it has no URL and no client ids: give the output of `aws iam get-open-id-connect-provider \
             --open-id-connect-provider-arn ARN`"
                .to_owned(),
        )),
    }
}

fn parse(kind: Kind, value: Value) -> Result<Policy, DocumentError> {
    let value = intrinsics::resolved(value)?;
    Ok(Policy::parse_as(kind, &value.to_string())?)
}

/// Reads JSON from whatever is wrapped around it: quotes, a string in a string, URL encoding, a Markdown fence.
fn json(text: &str) -> Result<Value, DocumentError> {
    let mut text = encoding::bare(text).to_owned();
    if text.is_empty() {
        return Err(DocumentError::Empty);
    }
    for _ in 0..LAYERS {
        if let Some(decoded) = encoding::url_decoded(&text) {
            encoding::bare(&decoded).clone_into(&mut text);
            continue;
        }
        match tagmint_core::json::parse(text.as_bytes()) {
            Ok(Value::String(inner)) => encoding::bare(&inner).clone_into(&mut text),
            Ok(value) => return Ok(value),
            Err(error) => match encoding::unescaped(&text) {
                Some(inner) => encoding::bare(&inner).clone_into(&mut text),
                None => return Err(DocumentError::NotJson(not_json::why(&text, &error.to_string()))),
            },
        }
        if text.is_empty() {
            return Err(DocumentError::Empty);
        }
    }
    Err(DocumentError::NotJson(format!("it is quoted or encoded more than {LAYERS} times over")))
}

#[cfg(test)]
mod tests;
