//! What to do about the token itself: issuer, times, audience, roles.

use jiff::{SignedDuration, Timestamp};

use super::{
    Advice, Question,
    claims::Claims,
    diff::{Comparison, likeness},
    provider::advice_on_issuer,
    trust,
};
use crate::{
    provider::{FACEBOOK, OidcProvider},
    web_identity::LEEWAY_SECONDS,
};

/// Advice on a failed check of the token; none where the check's own is as good.
pub(super) fn advice(check: &str, question: &Question<'_>, provider: &OidcProvider, claims: &Claims) -> Option<Advice> {
    match check {
        "claim-issuer" => Some(advice_on_issuer(provider, claims)),
        "claim-exp" => {
            let fix = format!(
                "the token expired {}; STS takes a token until {} minutes after its end. Get a fresh one, and look at the clocks if it is fresh",
                when(claims.seconds("exp")?, question.now),
                LEEWAY_SECONDS / 60
            );
            Some(Advice { fix, comparison: None })
        }
        "claim-nbf" | "claim-iat" => {
            let name = check.trim_start_matches("claim-");
            let fix = format!(
                "the token is from the future: its `{name}` is {}; STS puts up with {} minutes. Set the issuer's clock right",
                when(claims.seconds(name)?, question.now),
                LEEWAY_SECONDS / 60
            );
            Some(Advice { fix, comparison: None })
        }
        "claim-audience" => Some(audience(provider, claims)),
        "claim-roles" => roles(question, claims),
        "token-form" if provider.has_access_tokens() => Some(access_token(provider)),
        _ => None,
    }
}

fn audience(provider: &OidcProvider, claims: &Claims) -> Advice {
    let Some(audience) = claims.audience() else {
        let several = claims.audiences();
        let fix = format!(
            "the token is for {} audiences ({}) and has no `azp`; STS takes one: ask the issuer for a token with a single audience, or have it name \
             the client in `azp`",
            several.len(),
            several.join(", ")
        );
        return Advice { fix, comparison: None };
    };
    let nearest = provider.client_ids().iter().max_by_key(|id| likeness(id, audience));
    let comparison = nearest.map(|id| Comparison::new("audience", ("provider", id), ("token", Some(audience))));
    let hint = match nearest {
        Some(id) if id.eq_ignore_ascii_case(audience) => "letters' case counts: ",
        Some(id) if id.trim_end_matches('/') == audience.trim_end_matches('/') => "the slash at the end counts: ",
        _ => "",
    };
    let source = if claims.has("azp") { " (from `azp`, which decides where it is there)" } else { "" };
    let other = nearest.map_or_else(String::new, |id| format!(", or ask the issuer for a token for {id:?}"));
    let registered: Vec<&str> =
        claims.audiences().into_iter().filter(|one| provider.client_ids().iter().any(|id| id == one)).collect();
    if let (true, Some(both)) = (claims.has("azp") && !registered.is_empty(), trust::azp_conditions(provider, claims)) {
        let fix = format!(
            "the provider has the token's `aud` ({}) among its client ids, but the token has `azp` ({audience:?}), and then STS compares `azp` \
             alone: register it, too (aws iam add-client-id-to-open-id-connect-provider --open-id-connect-provider-arn {} --client-id \
             {audience}), and bind both in the trust policy: {both}",
            registered.join(", "),
            provider.arn()
        );
        return Advice { fix, comparison };
    }
    let fix = format!(
        "{hint}the audience {audience:?}{source} is no client id of the provider. Register it (aws iam \
         add-client-id-to-open-id-connect-provider --open-id-connect-provider-arn {} --client-id {audience}){other}",
        provider.arn()
    );
    Advice { fix, comparison }
}

/// Tokens that STS has the provider check.
fn access_token(provider: &OidcProvider) -> Advice {
    let url = provider.url();
    let user = if url == FACEBOOK { "id" } else { "user_id" };
    let fix = format!(
        "a token of {url} is an OAuth 2.0 access token, which nobody but the provider can check: call STS with --provider-id {url}; the trust \
         policy then sees {url}:app_id and {url}:{user}"
    );
    Advice { fix, comparison: None }
}

fn roles(question: &Question<'_>, claims: &Claims) -> Option<Advice> {
    let wanted = question.role_arn?;
    let pinned = claims.roles()?;
    let nearest = pinned.iter().max_by_key(|role| likeness(role, wanted))?;
    let hint = if nearest.eq_ignore_ascii_case(wanted) { "letters' case counts: " } else { "" };
    let fix = format!(
        "{hint}the token is pinned to {} by its claim https://aws.amazon.com/roles, before the trust policy is asked. Assume that role, or \
         have the issuer put {wanted} into the claim",
        pinned.join(", ")
    );
    Some(Advice { fix, comparison: Some(Comparison::new("role", ("role", wanted), ("token", Some(nearest)))) })
}

/// A moment, and how far it is from now.
fn when(seconds: i64, now: Timestamp) -> String {
    let Ok(moment) = Timestamp::from_second(seconds) else { return format!("at {seconds}") };
    let distance = now.duration_since(moment);
    if distance.is_negative() {
        format!("{moment}, {} ahead", in_words(distance.abs()))
    } else {
        format!("at {moment}, {} ago", in_words(distance))
    }
}

fn in_words(duration: SignedDuration) -> String {
    let seconds = duration.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) => format!("{minutes} min {} s", seconds % 60),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}
