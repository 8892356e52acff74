//! From a text that claims to be a platform's token to a token that has been verified.

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use jiff::Timestamp;
use serde_json::{Map, Value};

use super::{
    IssuerKind, KeySet, TokenAlgorithm, TokenError, TrustedIssuer, TrustedIssuerName, issuer::TrustedIssuerUrl, key_set,
};
use crate::{
    identity::{CredentialId, IdentitySource, VerifiedIdentity},
    jws::compact::{Compact, seconds},
    rules::TagScope,
    sanitize::first_invisible,
};

/// A token that nobody has verified. It says which issuer and which key it claims to be of, and nothing else: no decision can be made
/// from its other claims, because they cannot be read.
pub struct UnverifiedToken {
    issuer: String,
    kid: Option<String>,
    algorithm: TokenAlgorithm,
    message: String,
    signature: Vec<u8>,
    claims: Map<String, Value>,
}

impl fmt::Debug for UnverifiedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UnverifiedToken({} of {:?}, redacted)", self.algorithm, self.issuer)
    }
}

/// The longest `sub`, in bytes: as much as rules look at.
const MAX_SUBJECT_LEN: usize = crate::rules::limits::MAX_IDENTITY_SUBJECT;
/// The longest `jti`, in bytes.
const MAX_JTI_LEN: usize = 1024;

impl UnverifiedToken {
    /// Reads a token's form. What is refused here needs no key to be refused: nothing was fetched for it.
    pub fn parse(token: &str) -> Result<Self, TokenError> {
        let compact = Compact::read(token)?;
        let alg = compact.header_text("alg");
        plain("alg", alg)?;
        let algorithm = alg.parse().map_err(|_| TokenError::Algorithm(alg.chars().take(20).collect()))?;
        plain("kid", compact.header_text("kid"))?;
        // Optional (RFC 7515 §4.1.4): a token without it may be of any of the issuer's keys.
        let kid = match compact.header.get("kid") {
            None | Some(Value::Null) => None,
            Some(Value::String(kid)) if kid.is_empty() => None,
            Some(Value::String(kid)) if key_set::is_kid(kid) => Some(kid.clone()),
            Some(_) => {
                let most = KeySet::MAX_KID_LEN;
                let why = format!("its header's `kid` is not a string of 1 to {most} bytes without control characters");
                return Err(TokenError::Malformed(why));
            }
        };
        let signature = compact.signature()?;
        let claims = compact.payload()?;
        let issuer = claims.get("iss").and_then(Value::as_str).unwrap_or_default();
        if issuer.is_empty() || issuer.len() > TrustedIssuerUrl::MAX_LEN {
            return Err(TokenError::Malformed("its `iss` is missing, empty or too long".to_owned()));
        }
        plain("iss", issuer)?;
        Ok(Self { issuer: issuer.to_owned(), kid, algorithm, message: compact.message.to_owned(), signature, claims })
    }

    /// The issuer that it claims to be of.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The key that it claims to be signed with, where it names one.
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// The algorithm that it claims to be signed with.
    pub const fn algorithm(&self) -> TokenAlgorithm {
        self.algorithm
    }

    /// Verifies it as a token of `provider`: issuer, algorithm, signature, audience, times, and that its claims agree with each other.
    ///
    /// Where several providers have one issuer, their audiences tell them apart: [`TokenError::Audience`] means that the token is
    /// genuine, and not for this one.
    pub fn verify(&self, provider: &TrustedIssuer, keys: &KeySet, now: Timestamp) -> Result<VerifiedToken, TokenError> {
        if self.issuer != provider.issuer.as_str() {
            return Err(TokenError::Issuer(provider.name.clone()));
        }
        let algorithm = self.algorithm;
        if !provider.algorithms.contains(&algorithm) {
            return Err(TokenError::AlgorithmNotAllowed { provider: provider.name.clone(), algorithm });
        }
        self.check_signature(keys)?;
        let audience = self.audience(provider)?;
        let expires_at = self.expires_at(provider, now)?;
        let remember_until = expires_at
            .checked_add(TrustedIssuer::MAX_LEEWAY)
            .map_err(|_| TokenError::claim("exp", "lies too far in the future"))?;
        let subject = subject(&self.claims)?.to_owned();
        let use_id = self.use_id(provider)?;
        let attributes = provider.kind.attributes(&self.claims, &subject, provider.claims.as_deref())?;
        let kind = provider.kind;
        Ok(VerifiedToken { kind, use_id, subject, audience, expires_at, remember_until, attributes })
    }

    fn check_signature(&self, keys: &KeySet) -> Result<(), TokenError> {
        let algorithm = self.algorithm;
        let kid = self.kid.as_deref();
        let candidates = keys.find(kid, algorithm);
        if candidates.iter().any(|key| key.verify(self.message.as_bytes(), &self.signature).is_ok()) {
            return Ok(());
        }
        let Some(kid) = kid else { return Err(TokenError::NoKeyOf { algorithm, tried: candidates.len() }) };
        let shown: String = kid.chars().take(64).collect();
        Err(match (keys.contains(kid), candidates.is_empty()) {
            (true, false) => TokenError::Signature,
            (true, true) => TokenError::KeyAlgorithm { kid: shown, algorithm },
            (false, _) => match keys.passed_over().iter().find(|entry| entry.kid.as_deref() == Some(kid)) {
                Some(entry) => TokenError::KeyPassedOver { kid: shown, reason: entry.reason.clone() },
                None => TokenError::UnknownKey(shown),
            },
        })
    }

    /// The one audience, which must mean us.
    fn audience(&self, provider: &TrustedIssuer) -> Result<String, TokenError> {
        let audience = match self.claims.get("aud") {
            Some(Value::String(audience)) => audience,
            Some(Value::Array(audiences)) => match audiences.as_slice() {
                [Value::String(audience)] if provider.audience_list => audience,
                _ => return Err(TokenError::AudienceList(audiences.len())),
            },
            _ => return Err(TokenError::claim("aud", "is missing or not a text")),
        };
        if provider.audiences.contains(audience) {
            Ok(audience.clone())
        } else {
            Err(TokenError::Audience(provider.name.clone()))
        }
    }

    /// Checks `exp`, `iat`, `nbf` and the age, and gives `exp`. GitHub and GitLab always write all three; other issuers may leave `nbf` out.
    fn expires_at(&self, provider: &TrustedIssuer, now: Timestamp) -> Result<Timestamp, TokenError> {
        let time = |name: &'static str| {
            seconds(&self.claims, name)
                .ok_or_else(|| TokenError::claim(name, "is missing or not a whole number of seconds"))
        };
        let now = now.as_second();
        let leeway = provider.leeway.min(TrustedIssuer::MAX_LEEWAY).as_secs().max(0);
        let (expires, issued) = (time("exp")?, time("iat")?);
        if expires.saturating_add(leeway) <= now {
            return Err(TokenError::Expired(expires));
        }
        let begins =
            if !provider.kind.table().has_nbf && !self.claims.contains_key("nbf") { issued } else { time("nbf")? };
        for (claim, at) in [("iat", issued), ("nbf", begins)] {
            if at > now.saturating_add(leeway) {
                return Err(TokenError::Future { claim, at });
            }
        }
        if let Some(max_age) = provider.max_age
            && issued.saturating_add(max_age.as_secs()).saturating_add(leeway) <= now
        {
            return Err(TokenError::TooOld(issued));
        }
        Timestamp::from_second(expires).map_err(|_| TokenError::claim("exp", "lies too far in the future"))
    }

    /// What tells this token from all others of its provider: `jti`, or where there is none what was signed. Not the signature: an ECDSA
    /// signature can be changed into another valid one by anybody, and the token would count as new.
    fn use_id(&self, provider: &TrustedIssuer) -> Result<TokenUseId, TokenError> {
        let number = self.claims.get("jti").filter(|jti| jti.is_u64()).map(ToString::to_string);
        let named = match &number {
            Some(number) => number,
            None if self.claims.contains_key("jti") => self.text("jti", MAX_JTI_LEN)?,
            None => &self.message,
        };
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, named.as_bytes()).as_ref());
        Ok(TokenUseId { provider: provider.name.clone(), hash })
    }

    fn text(&self, name: &'static str, most: usize) -> Result<&str, TokenError> {
        text(&self.claims, name, most)
    }
}

/// Subject and attributes of a token of `issuer` with these claims, if it were genuine. Nothing is verified, neither signature nor audience nor
/// times: for [`dry_run`](crate::dry_run) only, which never lets out a [`VerifiedIdentity`].
pub(crate) fn read_unproven(
    issuer: &TrustedIssuer,
    claims: &Map<String, Value>,
) -> Result<(String, Map<String, Value>), TokenError> {
    let subject = subject(claims)?.to_owned();
    let attributes = issuer.kind.attributes(claims, &subject, issuer.claims.as_deref())?;
    Ok((subject, attributes))
}

fn subject(claims: &Map<String, Value>) -> Result<&str, TokenError> {
    text(claims, "sub", MAX_SUBJECT_LEN)
}

fn text<'c>(claims: &'c Map<String, Value>, name: &'static str, most: usize) -> Result<&'c str, TokenError> {
    let text = claims.get(name).and_then(Value::as_str).unwrap_or_default();
    let good = (1..=most).contains(&text.len()) && !text.chars().any(char::is_control);
    if good { Ok(text) } else { Err(TokenError::claim(name, "is missing, empty, too long or not plain text")) }
}

/// Refuses a text of an unverified token that no log shows as it is: it would move a terminal's cursor, or forge a line.
fn plain(name: &str, text: &str) -> Result<(), TokenError> {
    let Some(character) = first_invisible(text) else { return Ok(()) };
    let code = u32::from(character);
    Err(TokenError::Malformed(format!("its `{name}` holds U+{code:04X}, a control or invisible character")))
}

/// What a token's uses are counted under: its provider, and SHA-256 of its `jti` (of what was signed, where it has none).
///
/// Displayed as `PROVIDER/HASH` with the first 16 hex digits of the hash, as the ledger keeps it: `printf %s JTI | sha256sum` finds it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct TokenUseId {
    provider: TrustedIssuerName,
    hash: [u8; 32],
}

impl TokenUseId {
    /// The provider.
    pub const fn provider(&self) -> &TrustedIssuerName {
        &self.provider
    }

    /// The whole hash.
    pub const fn hash(&self) -> &[u8; 32] {
        &self.hash
    }
}

impl fmt::Display for TokenUseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/", self.provider)?;
        self.hash[..8].iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for TokenUseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenUseId({self})")
    }
}

/// A token that has been verified. Only [`UnverifiedToken::verify`] makes one.
#[derive(Debug, Clone, PartialEq)]
pub struct VerifiedToken {
    kind: IssuerKind,
    use_id: TokenUseId,
    subject: String,
    audience: String,
    expires_at: Timestamp,
    remember_until: Timestamp,
    attributes: Map<String, Value>,
}

impl VerifiedToken {
    /// The provider that issued it.
    pub const fn provider(&self) -> &TrustedIssuerName {
        self.use_id.provider()
    }

    /// The kind of that provider.
    pub const fn kind(&self) -> IssuerKind {
        self.kind
    }

    /// What its uses are counted under.
    pub const fn use_id(&self) -> &TokenUseId {
        &self.use_id
    }

    /// Its `sub`, unchanged.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The one of the provider's audiences that it is for.
    pub fn audience(&self) -> &str {
        &self.audience
    }

    /// Its `exp`.
    pub const fn expires_at(&self) -> Timestamp {
        self.expires_at
    }

    /// Until when its use must be remembered: `exp` and the greatest leeway that can be configured, so that a greater leeway later does
    /// not bring a used token back.
    pub const fn remember_until(&self) -> Timestamp {
        self.remember_until
    }

    /// The claims that rules see.
    pub const fn attributes(&self) -> &Map<String, Value> {
        &self.attributes
    }

    /// The identity that it proves.
    pub fn into_identity(self) -> VerifiedIdentity {
        VerifiedIdentity {
            source: IdentitySource::TrustedIssuer(self.kind),
            trusted_issuer: Some(self.use_id.provider.clone()),
            subject: self.subject,
            attributes: self.attributes,
            credential: CredentialId::Token(self.use_id),
            only_rule: None,
            scope: TagScope::default(),
        }
    }
}
