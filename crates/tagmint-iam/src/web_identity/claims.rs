//! Registered claims: presence, issuer, times, audience, subject.

use jiff::Timestamp;
use serde_json::Value;

use super::{
    LEEWAY_SECONDS, StsCode, StsError,
    checks::{Checks, shown},
    token::{ClaimText, Token},
};
use crate::provider::OidcProvider;

/// Claims that a token has to have (recorded for `iss`, `sub`, `aud` and `exp`; `iat` by AWS's requirements of an ID token).
const REQUIRED: [&str; 5] = ["iss", "sub", "aud", "exp", "iat"];

/// Required claims that are texts: an empty one is refused by its name (recorded for an empty array as `aud`).
const NOT_EMPTY: [&str; 3] = ["iss", "sub", "aud"];

/// Presence: `null` is present, an empty text or list is not enough.
pub(super) fn check_present(token: &Token<'_>, checks: &mut Checks) -> Result<(), StsError> {
    for name in REQUIRED {
        if !token.claims.contains_key(name) {
            let fix = format!("put `{name}` into the token");
            return Err(checks.fail(
                "claim-presence",
                REQUIRED.join(", "),
                format!("no `{name}`"),
                fix,
                StsError::missing_claim(name),
            ));
        }
    }
    let says_nothing = |value: &Value| match value {
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        _ => false,
    };
    if let Some(name) = NOT_EMPTY.into_iter().find(|name| token.claims.get(*name).is_some_and(says_nothing)) {
        let fix = format!("have the issuer write a value into `{name}`");
        let actual = format!("`{name}` is empty");
        return Err(checks.fail("claim-presence", REQUIRED.join(", "), actual, fix, StsError::empty_claim(name)));
    }
    checks.pass("claim-presence", REQUIRED.join(", "), "all present");
    Ok(())
}

/// `iss` is the registered URL with `https://` before it, byte for byte.
pub(super) fn check_issuer<'a>(
    token: &Token<'_>,
    provider: Option<&'a OidcProvider>,
    checks: &mut Checks,
) -> Result<&'a OidcProvider, StsError> {
    let issuer = text("iss", token, checks)?;
    match provider {
        Some(provider) if provider.takes(&issuer) => {
            checks.pass("claim-issuer", provider.issuer(), issuer);
            Ok(provider)
        }
        _ => {
            let expected = provider.map_or_else(|| "a registered issuer".to_owned(), OidcProvider::issuer);
            let fix = "register the issuer in the role's account, byte for byte as `iss` has it";
            let error = StsCode::InvalidIdentityToken
                .with(format!("No OpenIDConnect provider found in your account for {issuer}"));
            Err(checks.fail("claim-issuer", expected, shown(&issuer), fix, error))
        }
    }
}

/// `exp`, `nbf` and `iat` with five minutes of leeway. The words name the time that was compared: five minutes off (recorded).
pub(super) fn check_times(token: &Token<'_>, now: Timestamp, checks: &mut Checks) -> Result<(), StsError> {
    let (exp, nbf, iat) = (time("exp", token, checks)?, time("nbf", token, checks)?, time("iat", token, checks)?);
    let earliest = now.as_second() - LEEWAY_SECONDS;
    let latest = now.as_second() + LEEWAY_SECONDS;
    if let Some(exp) = exp {
        let expected = format!("after {earliest} (now less {LEEWAY_SECONDS} s)");
        if earliest >= exp {
            let error = StsCode::ExpiredToken.with(format!(
                "Token expired: current date/time {earliest} must be before the expiration date/time {exp}"
            ));
            return Err(checks.fail("claim-exp", expected, exp.to_string(), "get a fresh token", error));
        }
        checks.pass("claim-exp", expected, exp.to_string());
    }
    if let Some(nbf) = nbf {
        let expected = format!("at most {latest} (now and {LEEWAY_SECONDS} s)");
        if latest < nbf {
            let error = StsCode::InvalidIdentityToken.with(format!(
                "Token not yet valid: current date/time {latest} must be after or equal to the not-before date/time {nbf}"
            ));
            return Err(checks.fail("claim-nbf", expected, nbf.to_string(), "set the issuer's clock right", error));
        }
        checks.pass("claim-nbf", expected, nbf.to_string());
    }
    if let Some(iat) = iat {
        let expected = format!("at most {latest} (now and {LEEWAY_SECONDS} s)");
        if latest < iat {
            let error = StsCode::InvalidIdentityToken.with(format!("Token issued in the future: {iat}"));
            return Err(checks.fail("claim-iat", expected, iat.to_string(), "set the issuer's clock right", error));
        }
        checks.pass("claim-iat", expected, iat.to_string());
    }
    Ok(())
}

/// A time in whole seconds, as a number or as a text of one. Fractions and `null` are refused (recorded).
fn time(name: &'static str, token: &Token<'_>, checks: &mut Checks) -> Result<Option<i64>, StsError> {
    let Some(value) = token.claims.get(name) else { return Ok(None) };
    let seconds = match value {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    };
    if seconds.is_none() {
        let error = StsCode::InvalidIdentityToken.with("Invalid timestamp in token claims.");
        let fix = format!("write `{name}` as an integer");
        return Err(checks.fail("claim-times", "whole seconds", shown(&format!("{name}: {value}")), fix, error));
    }
    Ok(seconds)
}

/// The audience: `azp` where the token has one, otherwise the single `aud`; it has to be one of the provider's client ids. A provider that AWS
/// knows without a registration has none: its trust policy decides.
///
/// "Incorrect token audience" is what public reports have from 2022 to June 2026, for an `aud` and for an `azp` that is not registered. The
/// recordings of September 2026 have "could not be validated" for two rows: an empty `azp`, and a payload whose second `aud` is not registered.
pub(super) fn check_audience(
    token: &Token<'_>,
    provider: &OidcProvider,
    checks: &mut Checks,
) -> Result<String, StsError> {
    let audience = match token.claims.get("azp") {
        Some(azp) if !azp.is_null() => ClaimText(azp).to_string(),
        _ => match token.claims.get("aud") {
            Some(Value::Array(list)) if list.len() > 1 => {
                let error = StsCode::InvalidIdentityToken
                    .with("Token audience contains more than one audience while authorized party is not present");
                let fix = "send one audience, or name the client in `azp`";
                let actual = format!("{} audiences and no azp", list.len());
                return Err(checks.fail("claim-audience", "one audience, or azp", actual, fix, error));
            }
            Some(Value::Array(list)) => list.first().map(|only| ClaimText(only).to_string()).unwrap_or_default(),
            _ => text("aud", token, checks)?,
        },
    };
    if provider.is_built_in() {
        checks.pass("claim-audience", "any: the trust policy decides", audience.clone());
        return Ok(audience);
    }
    let expected = format!("one of the provider's client ids: {}", provider.client_ids().join(", "));
    if provider.client_ids().contains(&audience) {
        checks.pass("claim-audience", expected, audience.clone());
        return Ok(audience);
    }
    let fix = "register the audience as a client id of the provider, or ask for a token with a registered one";
    let error =
        if audience.is_empty() || token.repeats { StsError::not_validated() } else { StsError::wrong_audience() };
    Err(checks.fail("claim-audience", expected, shown(&audience), fix, error))
}

/// The subject, of any length and type (recorded for one letter and for a number).
pub(super) fn check_subject(token: &Token<'_>, checks: &mut Checks) -> Result<String, StsError> {
    let subject = text("sub", token, checks)?;
    checks.pass("claim-subject", "a text", shown(&subject));
    Ok(subject)
}

/// A claim that is present, as text. STS stumbles over `null` (recorded for `sub`).
fn text(name: &str, token: &Token<'_>, checks: &mut Checks) -> Result<String, StsError> {
    match token.claims.get(name) {
        None => Err(StsError::missing_claim(name)),
        Some(Value::Null) => {
            let fix = format!("write `{name}` as a string");
            Err(checks.fail("claim-type", "a string", format!("`{name}` is null"), fix, StsError::stumbled()))
        }
        Some(value) => Ok(ClaimText(value).to_string()),
    }
}
