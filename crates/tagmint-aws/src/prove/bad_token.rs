//! Tokens that must be refused.

use jiff::{SignedDuration, Timestamp};
use tagmint_iam::web_identity::LEEWAY_SECONDS;

use super::plan::Plan;
use crate::token::Token;

/// A token that must be refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BadToken {
    /// Other claims under the good token's signature.
    Altered,
    /// Without the tag.
    Untagged,
    /// For another audience.
    OtherAudience,
    /// Of the issuer of another environment.
    OtherEnvironment,
    /// Expired.
    Expired,
}

impl BadToken {
    pub(super) const ALL: [Self; 5] =
        [Self::Altered, Self::Untagged, Self::OtherAudience, Self::OtherEnvironment, Self::Expired];

    /// Its check's name, what that proves, and what has to be seen.
    pub(super) const fn described(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Altered => (
                "token-altered",
                "a token whose claims were changed under its signature opens no session",
                "InvalidIdentityToken",
            ),
            Self::Untagged => ("token-untagged", "a token without the tag opens no session", "AccessDenied"),
            Self::OtherAudience => (
                "token-other-audience",
                "a token for another audience opens no session",
                "InvalidIdentityToken or AccessDenied",
            ),
            Self::OtherEnvironment => (
                "token-other-environment",
                "a token of another environment's issuer opens no session",
                "InvalidIdentityToken or AccessDenied",
            ),
            Self::Expired => ("token-expired", "an expired token opens no session", "ExpiredTokenException"),
        }
    }

    /// The codes of STS that say that the token was refused for the reason in question.
    pub(super) const fn codes(self) -> &'static [&'static str] {
        match self {
            Self::Altered => &["InvalidIdentityToken"],
            Self::Untagged => &["AccessDenied"],
            Self::OtherAudience | Self::OtherEnvironment => &["InvalidIdentityToken", "AccessDenied"],
            Self::Expired => &["ExpiredTokenException", "ExpiredToken"],
        }
    }
}

/// Why a token is not what its check needs: refusing it would prove nothing.
pub(super) fn unfit(plan: &Plan, which: BadToken, token: &Token, now: Timestamp) -> Option<String> {
    let good = &plan.tokens.good;
    let lapsed = token.expires_at().map(|at| at + SignedDuration::from_secs(LEEWAY_SECONDS));
    if which == BadToken::Expired {
        let at = lapsed?;
        return (at > now)
            .then(|| format!("the token has not expired: STS, with its five minutes of leeway, takes it until {at}"));
    }
    if which != BadToken::Altered && lapsed.is_some_and(|at| at <= now) {
        return Some("the token has expired: it would be refused for that".to_owned());
    }
    let same_issuer = token.issuer() == good.issuer();
    match which {
        BadToken::Untagged | BadToken::OtherAudience if !same_issuer => {
            Some("the token is of another issuer than the good one: it would be refused for that".to_owned())
        }
        BadToken::Untagged => match &plan.tag {
            Some(key) if token.tag(key).is_some() => Some(format!("the token has the tag {key}")),
            None if !token.tags().is_empty() => Some("the token has tags".to_owned()),
            _ => None,
        },
        BadToken::OtherAudience if token.audience() == good.audience() => {
            Some("the token is for the same audience as the good one".to_owned())
        }
        BadToken::OtherEnvironment if same_issuer => Some("the token is of the same issuer as the good one".to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
    use serde_json::{Value, json};

    use super::*;
    use crate::prove::{Access, plan::tests::plan};

    const NOW: i64 = 1_790_000_000;

    fn token(claims: &Value) -> Token {
        Token::parse(&format!("e30.{}.c2ln", BASE64_URL_SAFE_NO_PAD.encode(claims.to_string()))).unwrap()
    }

    fn verdict(which: BadToken, claims: &Value) -> Option<String> {
        let mut plan = plan(Access::ReadWrite);
        plan.tokens.good = token(&json!({"iss": "https://i", "aud": "a", "exp": NOW + 300}));
        unfit(&plan, which, &token(claims), Timestamp::from_second(NOW).unwrap())
    }

    #[test]
    fn a_token_that_is_not_what_it_is_given_for_proves_nothing() {
        let tags = |key: &str| json!({"principal_tags": {key: ["x"]}});
        let cases = [
            (BadToken::Untagged, json!({"iss": "https://i", "exp": NOW}), None),
            (
                BadToken::Untagged,
                json!({"iss": "https://i", "exp": NOW, "https://aws.amazon.com/tags": tags("run")}),
                None,
            ),
            (
                BadToken::Untagged,
                json!({"iss": "https://i", "exp": NOW, "https://aws.amazon.com/tags": tags("Team")}),
                Some("has the tag team"),
            ),
            (BadToken::Untagged, json!({"iss": "https://j", "exp": NOW}), Some("another issuer")),
            (BadToken::Untagged, json!({"iss": "https://i", "exp": NOW - 300}), Some("has expired")),
            (BadToken::OtherAudience, json!({"iss": "https://i", "aud": "b", "exp": NOW}), None),
            (BadToken::OtherAudience, json!({"iss": "https://i", "aud": "a", "exp": NOW}), Some("same audience")),
            (BadToken::OtherEnvironment, json!({"iss": "https://j", "aud": "a", "exp": NOW}), None),
            (BadToken::OtherEnvironment, json!({"iss": "https://i", "aud": "b", "exp": NOW}), Some("same issuer")),
            (BadToken::Expired, json!({"iss": "https://i", "exp": NOW - 300}), None),
            (BadToken::Expired, json!({"iss": "https://i", "exp": NOW - 299}), Some("has not expired")),
            (BadToken::Altered, json!({"iss": "https://i", "exp": NOW - 9_999}), None),
        ];
        for (which, claims, expected) in cases {
            let why = verdict(which, &claims);
            match expected {
                None => assert_eq!(why, None, "{which:?} {claims}"),
                Some(part) => {
                    assert!(why.as_deref().is_some_and(|why| why.contains(part)), "{which:?} {claims}: {why:?}");
                }
            }
        }
    }
}
