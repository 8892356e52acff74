//! What a token says, unverified: the proof plans with it, and leaves the verdict to STS.

use std::fmt;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use zeroize::Zeroizing;

/// Where AWS looks for session tags.
const TAGS: &str = "https://aws.amazon.com/tags";
/// Where AWS looks for the roles that a token is for.
const ROLES: &str = "https://aws.amazon.com/roles";
/// Where AWS looks for the source identity.
const SOURCE_IDENTITY: &str = "https://aws.amazon.com/source_identity";

/// A JWT whose claims could be read. It does not print.
#[derive(Clone)]
pub struct Token {
    text: Zeroizing<String>,
    claims: Value,
}

/// A text is no JWT. It is not repeated: a damaged secret is still one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is no JWT: three parts with dots between, of which the second is JSON in base64url")]
pub struct NoToken;

impl Token {
    /// Reads a JWT's claims.
    pub fn parse(text: &str) -> Result<Self, NoToken> {
        let text = text.trim();
        let mut parts = text.split('.');
        let (Some(_), Some(payload), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
            return Err(NoToken);
        };
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(payload).map_err(|_| NoToken)?;
        let claims: Value = serde_json::from_slice(&bytes).map_err(|_| NoToken)?;
        if !claims.is_object() {
            return Err(NoToken);
        }
        Ok(Self { text: Zeroizing::new(text.to_owned()), claims })
    }

    /// The token itself.
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// All claims, an object.
    pub const fn claims(&self) -> &Value {
        &self.claims
    }

    /// `iss`.
    pub fn issuer(&self) -> Option<&str> {
        self.claims["iss"].as_str()
    }

    /// `sub`.
    pub fn subject(&self) -> Option<&str> {
        self.claims["sub"].as_str()
    }

    /// `aud`, where it is one text.
    pub fn audience(&self) -> Option<&str> {
        self.claims["aud"].as_str()
    }

    /// `exp`.
    pub fn expires_at(&self) -> Option<Timestamp> {
        Timestamp::from_second(self.claims["exp"].as_i64()?).ok()
    }

    /// How long it is good: from `iat` to `exp`.
    pub fn lifetime(&self) -> Option<SignedDuration> {
        let issued_at = Timestamp::from_second(self.claims["iat"].as_i64()?).ok()?;
        Some(self.expires_at()?.duration_since(issued_at))
    }

    /// `jti`.
    pub fn id(&self) -> Option<&str> {
        self.claims["jti"].as_str()
    }

    /// The source identity.
    pub fn source_identity(&self) -> Option<&str> {
        self.claims[SOURCE_IDENTITY].as_str()
    }

    /// The roles that the token is for: the claim `https://aws.amazon.com/roles`, a string, several separated by `;`, or an array.
    pub fn roles(&self) -> Vec<&str> {
        let claim = &self.claims[ROLES];
        let listed = claim.as_array().into_iter().flatten().filter_map(Value::as_str);
        let named = claim.as_str().into_iter().flat_map(|roles| roles.split(';'));
        named.chain(listed).map(str::trim).filter(|role| !role.is_empty()).collect()
    }

    /// The session tags, each with its one value.
    pub fn tags(&self) -> Vec<(&str, &str)> {
        let tags = self.claims[TAGS]["principal_tags"].as_object();
        tags.into_iter()
            .flatten()
            .filter_map(|(key, value)| Some((key.as_str(), value.as_str().or_else(|| value.get(0)?.as_str())?)))
            .collect()
    }

    /// The value of a tag. AWS takes keys that differ in case alone for the same.
    pub fn tag(&self, key: &str) -> Option<&str> {
        self.tags().into_iter().find(|(name, _)| name.eq_ignore_ascii_case(key)).map(|(_, value)| value)
    }

    /// The same header and signature over other claims: each session tag's value, or else the subject, becomes `value`. No verifier may take it.
    #[must_use]
    pub fn altered(&self, value: &str) -> Self {
        let mut claims = self.claims.clone();
        let keys: Vec<String> = self.tags().into_iter().map(|(key, _)| key.to_owned()).collect();
        for key in &keys {
            claims[TAGS]["principal_tags"][key] = serde_json::json!([value]);
        }
        if keys.is_empty() {
            claims["sub"] = Value::String(value.to_owned());
        }
        let payload = BASE64_URL_SAFE_NO_PAD.encode(claims.to_string());
        let mut parts = self.text.split('.');
        let (header, signature) = (parts.next().unwrap_or_default(), parts.nth(1).unwrap_or_default());
        Self { text: Zeroizing::new(format!("{header}.{payload}.{signature}")), claims }
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Token").field("subject", &self.subject()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn token(claims: &Value) -> Token {
        Token::parse(&format!("e30.{}.c2ln", BASE64_URL_SAFE_NO_PAD.encode(claims.to_string()))).unwrap()
    }

    #[test]
    fn claims_are_read() {
        let tags = json!({"principal_tags": {"Team": ["blue"], "plain": "text", "strange": 1}});
        let token = token(
            &json!({"iss": "https://i", "aud": "a", "sub": "s", "iat": 1_789_999_700, "exp": 1_790_000_000, "jti": "j", TAGS: tags}),
        );
        assert_eq!((token.issuer(), token.audience(), token.subject()), (Some("https://i"), Some("a"), Some("s")));
        assert_eq!(token.tags(), [("Team", "blue"), ("plain", "text")]);
        assert_eq!(token.tag("team"), Some("blue"));
        assert_eq!(token.expires_at().map(Timestamp::as_second), Some(1_790_000_000));
        assert_eq!((token.lifetime(), token.id()), (Some(SignedDuration::from_mins(5)), Some("j")));
        assert!(!format!("{token:?}").contains("e30"));
    }

    #[test]
    fn roles_are_read_in_every_form() {
        for (claim, roles) in [
            (json!("arn:a"), &["arn:a"][..]),
            (json!("arn:a; arn:b;"), &["arn:a", "arn:b"]),
            (json!(["arn:a", "arn:b"]), &["arn:a", "arn:b"]),
            (json!([]), &[]),
            (json!(1), &[]),
            (json!(null), &[]),
        ] {
            assert_eq!(token(&json!({ROLES: claim})).roles(), roles, "{claim}");
        }
    }

    #[test]
    fn what_is_no_token_is_refused() {
        for text in ["", "a.b", "a.b.c", "a.b.c.d", "e30.W10.x", "tms_test_x"] {
            assert_eq!(Token::parse(text).err(), Some(NoToken), "{text}");
        }
    }

    #[test]
    fn an_altered_token_has_other_claims_under_the_old_signature() {
        let tagged = token(&json!({"sub": "s", TAGS: {"principal_tags": {"team": ["blue"]}}}));
        let altered = tagged.altered("red");
        assert_eq!((altered.tag("team"), altered.subject()), (Some("red"), Some("s")));
        assert_eq!(Token::parse(altered.expose()).unwrap().tag("team"), Some("red"));
        let parts: Vec<&str> = altered.expose().split('.').collect();
        assert_eq!((parts[0], parts[2]), ("e30", "c2ln"));
        assert_eq!(token(&json!({"sub": "s"})).altered("red").subject(), Some("red"));
    }
}
