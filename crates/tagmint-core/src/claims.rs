//! The claims of a minted token: types that cannot hold what AWS refuses.

use std::fmt;

use jiff::Timestamp;
use serde::{Serialize, Serializer};

use crate::{id::MintId, issuer::IssuerUrl, sanitize::first_invisible, tags::SessionTags};

/// Longest token that `AssumeRoleWithWebIdentity` takes, in characters (its service model, `WebIdentityToken`).
pub const MAX_TOKEN_LEN: usize = 20_000;
/// Shortest lifetime, in seconds.
pub const MIN_LIFETIME_SECONDS: u32 = 60;
/// Longest lifetime, in seconds. A token can be replayed until it expires, so it is kept short.
pub const MAX_LIFETIME_SECONDS: u32 = 900;
/// How long past `exp` STS still accepts a token, in seconds (observed, and documented as five minutes).
pub const STS_LEEWAY_SECONDS: u32 = 300;

/// Why a claim would be refused. Every message names the claim and the limit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidClaim {
    /// A text claim outside its length limits.
    #[error("{claim} has {len} characters; the limits are {min} to {max}")]
    Length {
        /// The claim, for example `sub`.
        claim: &'static str,
        /// The length found, in characters.
        len: usize,
        /// The least.
        min: usize,
        /// The most.
        max: usize,
    },
    /// A text claim with a control or invisible character, or white space at an end.
    #[error("{claim} holds U+{:04X}, which no log or policy shows plainly", u32::from(*character))]
    Character {
        /// The claim.
        claim: &'static str,
        /// The first such character.
        character: char,
    },
    /// Not the ARN of an IAM role.
    #[error(
        "`{0}` is not a role ARN of the form `arn:aws:iam::123456789012:role/NAME`, with a name of at most 64 characters"
    )]
    RoleArn(String),
    /// A lifetime outside the limits.
    #[error("a token lifetime of {0} s; the limits are {MIN_LIFETIME_SECONDS} to {MAX_LIFETIME_SECONDS} s")]
    Lifetime(i64),
    /// The whole token would be over [`MAX_TOKEN_LEN`].
    #[error(
        "the token would have {0} characters; AWS takes at most {MAX_TOKEN_LEN}: use fewer or shorter tags and roles"
    )]
    TokenTooLong(usize),
}

fn check_text(claim: &'static str, text: &str, min: usize, max: usize) -> Result<(), InvalidClaim> {
    let len = text.chars().count();
    if !(min..=max).contains(&len) {
        return Err(InvalidClaim::Length { claim, len, min, max });
    }
    if let Some(character) = first_invisible(text) {
        return Err(InvalidClaim::Character { claim, character });
    }
    if let Some(character) =
        [text.chars().next(), text.chars().next_back()].into_iter().flatten().find(|c| c.is_whitespace())
    {
        return Err(InvalidClaim::Character { claim, character });
    }
    Ok(())
}

macro_rules! text_claim {
    ($(#[$doc:meta])* $name:ident, $claim:literal, $min:literal, $max:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Checks length and characters.
            pub fn parse(text: &str) -> Result<Self, InvalidClaim> {
                check_text($claim, text, $min, $max)?;
                Ok(Self(text.to_owned()))
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }
    };
}

text_claim!(
    /// `sub`: 6 to 255 characters (`SubjectFromWebIdentityToken` in the service model).
    Subject, "sub", 6, 255
);
text_claim!(
    /// `aud`: one of the provider's registered client ids, 1 to 255 characters.
    Audience, "aud", 1, 255
);

/// The exact ARN of an IAM role. STS matches the roles claim without wildcards.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct RoleArn(String);

impl RoleArn {
    /// Longest role name and longest path, both its outer slashes counted (service model of IAM, `roleNameType` and `pathType`).
    const MAX_NAME_AND_PATH: (usize, usize) = (64, 512);
    /// AWS's partitions (`partitions.json` of botocore).
    const PARTITIONS: [&str; 8] =
        ["aws", "aws-cn", "aws-us-gov", "aws-eusc", "aws-iso", "aws-iso-b", "aws-iso-e", "aws-iso-f"];

    /// Checks `arn:PARTITION:iam::ACCOUNT:role/[PATH/]NAME`.
    pub fn parse(text: &str) -> Result<Self, InvalidClaim> {
        let invalid = || InvalidClaim::RoleArn(text.chars().take(200).collect());
        let mut parts = text.splitn(6, ':');
        let mut next = || parts.next().unwrap_or_default();
        let (arn, partition, service, region, account, resource) = (next(), next(), next(), next(), next(), next());
        let name_character = |b: u8| b.is_ascii_alphanumeric() || b"_+=,.@-".contains(&b);
        let segments_fit = resource.strip_prefix("role/").is_some_and(|path_and_name| {
            let (path, name) = path_and_name.rsplit_once('/').unwrap_or(("", path_and_name));
            let (max_name, max_path) = Self::MAX_NAME_AND_PATH;
            name.len() <= max_name
                && path.len() + 2 <= max_path
                && path_and_name.split('/').all(|part| !part.is_empty() && part.bytes().all(name_character))
        });
        let fits = arn == "arn"
            && Self::PARTITIONS.contains(&partition)
            && service == "iam"
            && region.is_empty()
            && account.len() == 12
            && account.bytes().all(|b| b.is_ascii_digit())
            && segments_fit
            && text.len() <= 2048;
        if fits { Ok(Self(text.to_owned())) } else { Err(invalid()) }
    }

    /// The ARN's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RoleArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RoleArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// A token's lifetime: 60 to 900 seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lifetime(u32);

impl Lifetime {
    /// The longest lifetime any token has. Key retirement counts on it.
    pub const MAX: Self = Self(MAX_LIFETIME_SECONDS);
    /// Five minutes.
    pub const DEFAULT: Self = Self(300);

    /// Checks a number of seconds.
    pub fn from_seconds(seconds: i64) -> Result<Self, InvalidClaim> {
        u32::try_from(seconds)
            .ok()
            .filter(|s| (MIN_LIFETIME_SECONDS..=MAX_LIFETIME_SECONDS).contains(s))
            .map(Self)
            .ok_or(InvalidClaim::Lifetime(seconds))
    }

    /// The lifetime in seconds.
    pub const fn seconds(self) -> u32 {
        self.0
    }
}

/// Which of AWS's optional claims an issuer puts into its tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OptionalClaims {
    /// `https://aws.amazon.com/source_identity` = the mint id: joins CloudTrail to the ledger. The role must allow `sts:SetSourceIdentity`.
    pub source_identity: bool,
    /// `https://aws.amazon.com/roles`: pins the token to the rule's roles.
    pub roles: bool,
}

impl Default for OptionalClaims {
    fn default() -> Self {
        Self { source_identity: true, roles: true }
    }
}

/// All claims of one token, complete and checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// `iss`.
    pub issuer: IssuerUrl,
    /// `sub`.
    pub subject: Subject,
    /// `aud`, as one string.
    pub audience: Audience,
    /// `jti`, and the source identity.
    pub mint_id: MintId,
    /// `iat` and `nbf`: whole seconds.
    pub issued_at: Timestamp,
    /// `exp` = `iat` + lifetime.
    pub lifetime: Lifetime,
    /// `https://aws.amazon.com/tags`; left out when empty.
    pub tags: SessionTags,
    /// `https://aws.amazon.com/roles`; left out when empty.
    pub roles: Vec<RoleArn>,
    /// Which of the optional claims are written.
    pub optional: OptionalClaims,
}

impl Claims {
    /// `exp`, in seconds since the epoch.
    pub fn expires_at(&self) -> i64 {
        self.issued_at.as_second() + i64::from(self.lifetime.seconds())
    }

    /// The claims as compact JSON: each member once, in a fixed order, times as integers.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("claims are strings, integers and maps with string keys")
    }
}

impl Serialize for Claims {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap;

        let issued_at = self.issued_at.as_second();
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("iss", &self.issuer)?;
        map.serialize_entry("sub", &self.subject)?;
        map.serialize_entry("aud", &self.audience)?;
        map.serialize_entry("iat", &issued_at)?;
        map.serialize_entry("nbf", &issued_at)?;
        map.serialize_entry("exp", &self.expires_at())?;
        map.serialize_entry("jti", &self.mint_id)?;
        if !self.tags.is_empty() {
            map.serialize_entry("https://aws.amazon.com/tags", &self.tags)?;
        }
        if self.optional.source_identity {
            map.serialize_entry("https://aws.amazon.com/source_identity", &self.mint_id)?;
        }
        if self.optional.roles && !self.roles.is_empty() {
            map.serialize_entry("https://aws.amazon.com/roles", &self.roles)?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_claims_have_their_limits() {
        assert!(Subject::parse("sixsix").is_ok());
        assert!(matches!(Subject::parse("short"), Err(InvalidClaim::Length { claim: "sub", len: 5, .. })));
        assert!(Subject::parse(&"x".repeat(255)).is_ok());
        assert!(Subject::parse(&"x".repeat(256)).is_err());
        assert!(Audience::parse("").is_err());
        for odd in ["abc\ndef", "abcdef\0", " abcdef", "abcdef ", "abc\u{200b}def", "abc\u{202e}def", "abc\u{a0}def"] {
            assert!(matches!(Subject::parse(odd), Err(InvalidClaim::Character { .. })), "{odd:?}");
        }
        for invisible in
            ['\u{ad}', '\u{34f}', '\u{115f}', '\u{1160}', '\u{3164}', '\u{ffa0}', '\u{fe0f}', '\u{2800}', '\u{e0100}']
        {
            let (subject, audience) = (format!("abc{invisible}def"), format!("sts{invisible}"));
            let expected = |claim| InvalidClaim::Character { claim, character: invisible };
            assert_eq!(Subject::parse(&subject), Err(expected("sub")));
            assert_eq!(Audience::parse(&audience), Err(expected("aud")));
        }
        let told = Subject::parse("abc\u{3164}def").unwrap_err().to_string();
        assert_eq!(told, "sub holds U+3164, which no log or policy shows plainly");
    }

    #[test]
    fn role_arns_are_exact() {
        for good in [
            "arn:aws:iam::123456789012:role/agentkeys-data-role",
            "arn:aws-us-gov:iam::123456789012:role/a/b/c",
            "arn:aws-cn:iam::123456789012:role/x",
            "arn:aws-iso-b:iam::123456789012:role/x",
        ] {
            assert!(RoleArn::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "arn:aws:iam::123456789012:role/",
            "arn:aws:iam::123456789012:role/*",
            "arn:aws:iam::123456789012:user/x",
            "arn:aws:iam::12345678901:role/x",
            "arn:aws:iam:us-east-1:123456789012:role/x",
            "arn:aws:sts::123456789012:role/x",
            "arn:aws-mars:iam::123456789012:role/x",
            "arn:aws:iam::123456789012:role/x;arn:aws:iam::123456789012:role/y",
            "arn:aws:iam::123456789012:role//x",
        ] {
            assert!(matches!(RoleArn::parse(bad), Err(InvalidClaim::RoleArn(_))), "{bad}");
        }
    }

    #[test]
    fn role_names_and_paths_are_no_longer_than_iams() {
        let arn = |path: usize, name: usize| {
            let path = if path == 0 { String::new() } else { format!("{}/", "p".repeat(path)) };
            RoleArn::parse(&format!("arn:aws:iam::123456789012:role/{path}{}", "n".repeat(name)))
        };
        assert!(arn(0, 64).is_ok() && arn(510, 64).is_ok());
        assert!(arn(0, 65).is_err() && arn(511, 64).is_err());
    }

    #[test]
    fn lifetimes_are_a_minute_to_a_quarter_of_an_hour() {
        for (seconds, fits) in [(59, false), (60, true), (900, true), (901, false), (-1, false), (i64::MAX, false)] {
            assert_eq!(Lifetime::from_seconds(seconds).is_ok(), fits, "{seconds}");
        }
    }

    fn claims(optional: OptionalClaims) -> Claims {
        Claims {
            issuer: IssuerUrl::parse("https://broker.example").unwrap(),
            subject: Subject::parse("wallet:0xa").unwrap(),
            audience: Audience::parse("sts.amazonaws.com").unwrap(),
            mint_id: "mnt_01K00000000000000000000000".parse().unwrap(),
            issued_at: Timestamp::from_millisecond(1_790_000_000_900).unwrap(),
            lifetime: Lifetime::DEFAULT,
            tags: SessionTags::new([("wallet", "0xa")], ["wallet"]).unwrap(),
            roles: vec![RoleArn::parse("arn:aws:iam::123456789012:role/r").unwrap()],
            optional,
        }
    }

    #[test]
    fn the_payload_is_what_sts_reads() {
        let json: serde_json::Value = serde_json::from_str(&claims(OptionalClaims::default()).to_json()).unwrap();
        assert_eq!(
            json,
            serde_json::json!({
                "iss": "https://broker.example",
                "sub": "wallet:0xa",
                "aud": "sts.amazonaws.com",
                "iat": 1_790_000_000,
                "nbf": 1_790_000_000,
                "exp": 1_790_000_300,
                "jti": "mnt_01K00000000000000000000000",
                "https://aws.amazon.com/tags": {"principal_tags": {"wallet": ["0xa"]}, "transitive_tag_keys": ["wallet"]},
                "https://aws.amazon.com/source_identity": "mnt_01K00000000000000000000000",
                "https://aws.amazon.com/roles": ["arn:aws:iam::123456789012:role/r"],
            })
        );
    }

    #[test]
    fn optional_claims_can_be_left_out() {
        let json = claims(OptionalClaims { source_identity: false, roles: false }).to_json();
        assert!(!json.contains("source_identity") && !json.contains("/roles"), "{json}");
    }
}
