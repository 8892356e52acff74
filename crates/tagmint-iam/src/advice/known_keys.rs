//! Which condition keys a call of `AssumeRoleWithWebIdentity` can have at all.

use super::request;
use crate::web_identity::provider_keys;

/// Keys of the call that stand for themselves (IAM user guide, "AWS global condition context keys", "Available keys for AWS STS").
const PLAIN: [&str; 15] = [
    "aws:tagkeys",
    "aws:securetransport",
    "aws:currenttime",
    "aws:epochtime",
    "aws:principaltype",
    "aws:userid",
    "aws:principalaccount",
    "aws:viaawsservice",
    "aws:calledvia",
    "aws:calledviafirst",
    "aws:calledvialast",
    "sts:rolesessionname",
    "sts:sourceidentity",
    "sts:transitivetagkeys",
    "sts:roleauthorizedbyidp",
];
/// Keys with a tag's key in their name.
const TAGGED: [&str; 3] = ["aws:requesttag/", "aws:resourcetag/", "iam:resourcetag/"];

/// Whether a request with a token of this provider can have a key. `url` is the provider's, without scheme.
pub(super) fn exists(key: &str, url: &str) -> bool {
    let lower = key.to_lowercase();
    let of_the_call = PLAIN.contains(&lower.as_str()) || TAGGED.iter().any(|start| lower.starts_with(start));
    of_the_call || request::is_of_the_call(key) || claim(key, url).is_some_and(|claim| provider_keys::has(url, claim))
}

/// The claim in a key of this provider; none where the key is of another kind.
pub(super) fn claim<'k>(key: &'k str, url: &str) -> Option<&'k str> {
    let (provider, claim) = key.split_at_checked(url.len())?;
    claim.strip_prefix(':').filter(|_| provider.eq_ignore_ascii_case(url))
}

/// Why a key is never there, and what to do without it.
pub(super) fn reason(key: &str, url: &str) -> String {
    match claim(key, url) {
        Some("iss" | "ISS") => format!(
            "AWS has no condition key {key}. Take the condition out: the principal of the statement binds the issuer already"
        ),
        Some(claim) => format!(
            "AWS makes no condition key of the claim {claim:?} for this issuer. Take the condition out, and bind {url}:sub, or have the issuer put \
             it into a session tag"
        ),
        None => format!(
            "a request with a token of {url} never has the key {key}. Take the condition out, or correct the key's name"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_the_call_and_of_the_provider_exist() {
        let url = "token.actions.githubusercontent.com";
        let there = ["aws:RequestTag/team", "aws:TagKeys", "sts:SourceIdentity", "aws:SourceIp", "AWS:requesttag/x"];
        assert!(there.iter().all(|key| exists(key, url)));
        for claim in ["sub", "aud", "repository_id", "SUB"] {
            assert!(exists(&format!("{url}:{claim}"), url), "{claim}");
        }
        for key in ["aws:PrincipalTag/team", "s3:prefix", "gitlab.com:sub", "sts:ExternalId"] {
            assert!(!exists(key, url), "{key}");
        }
        for claim in ["iss", "repository_owner", "jti"] {
            assert!(!exists(&format!("{url}:{claim}"), url), "{claim}");
        }
    }
}
