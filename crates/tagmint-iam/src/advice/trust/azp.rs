//! Tokens with an authorized party (`azp`): what `aud` and `oaud` are then.
//!
//! Source: IAM user guide, "Available keys for AWS OIDC federation": with `azp`, the key `aud` is `azp` and the key `oaud` is the token's `aud`;
//! without it, both are the token's `aud`. Keycloak sets `azp` in every token, Entra ID in those of version 2.0, Google in those of service
//! accounts and of hybrid applications.

use crate::{advice::claims::Claims, condition::ConditionTrace, provider::OidcProvider};

/// The fix of a condition on an audience, where the token has `azp`.
pub(super) fn fix(condition: &ConditionTrace, provider: &OidcProvider, claims: &Claims) -> Option<String> {
    let azp = claims.text("azp")?;
    let url = provider.url();
    let is = |claim: &str| condition.key.eq_ignore_ascii_case(&format!("{url}:{claim}"));
    let audiences = claims.audiences();
    let wants = |value: &str| condition.expected.iter().any(|expected| expected == value);
    let both = conditions(provider, claims)?;
    if is("aud") && audiences.iter().any(|audience| wants(audience)) {
        return Some(format!(
            "the token has `azp` ({azp:?}), and then {url}:aud is `azp`, and {url}:oaud is the token's `aud` ({:?}): write {both} in the policy",
            audiences.join(", ")
        ));
    }
    if is("oaud") && wants(azp) {
        return Some(format!(
            "{url}:oaud is the token's `aud` ({:?}), and its `azp` ({azp:?}) is {url}:aud: write {both} in the policy",
            audiences.join(", ")
        ));
    }
    None
}

/// Conditions that bind the authorized party and the audience of a token.
pub(in crate::advice) fn conditions(provider: &OidcProvider, claims: &Claims) -> Option<String> {
    let (azp, audiences, url) = (claims.text("azp")?, claims.audiences(), provider.url());
    Some(match audiences.as_slice() {
        [] => format!("\"StringEquals\": {{\"{url}:aud\": {azp:?}}}"),
        [only] if !claims.has_several_audiences() => {
            format!("\"StringEquals\": {{\"{url}:aud\": {azp:?}, \"{url}:oaud\": {only:?}}}")
        }
        several => format!(
            "\"StringEquals\": {{\"{url}:aud\": {azp:?}}}, \"ForAnyValue:StringEquals\": {{\"{url}:oaud\": {several:?}}}"
        ),
    })
}
