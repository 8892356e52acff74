//! The provider that an explanation takes as registered, and what may be wrong with its URL.

use super::{
    Advice, Asker, Question,
    claims::Claims,
    diff::{Comparison, likeness},
    other_issuer,
};
use crate::{
    provider::{IamError, OidcProvider, Registration},
    web_identity::Check,
};

/// What the account has registered, as far as it is known.
pub(super) struct Registered {
    url: String,
    pub(super) provider: Result<OidcProvider, IamError>,
}

impl Registered {
    /// The provider with the URL that was told; else the trust policy's that is most like the token's issuer; else the token's issuer itself.
    pub(super) fn find(
        question: &Question<'_>,
        principals: &[&str],
        (partition, account): (&str, &str),
        claims: &Claims,
    ) -> Self {
        let issuer = claims.text("iss").unwrap_or_default();
        if let Some(provider) = Self::built_in(question, principals, issuer) {
            return Self { url: provider.issuer(), provider: Ok(provider) };
        }
        let of_policy = principals
            .iter()
            .filter_map(|principal| principal.split_once(":oidc-provider/"))
            .map(|(_, url)| format!("https://{url}"))
            .max_by_key(|url| (url == issuer, likeness(url, issuer)));
        let url = question.provider_url.map(str::to_owned).or(of_policy).unwrap_or_else(|| issuer.to_owned());
        let client_ids = if question.client_ids.is_empty() {
            claims.audience().map(str::to_owned).into_iter().collect()
        } else {
            question.client_ids.to_vec()
        };
        let registration = Registration { url: url.clone(), client_ids, ..Registration::default() };
        let register = if question.local { OidcProvider::register_local } else { OidcProvider::register };
        Self { provider: register(account, registration).map(|provider| provider.in_partition(partition)), url }
    }

    /// The provider that AWS knows without a registration: the trust policy names it by its host, and nothing says that it is registered.
    fn built_in(question: &Question<'_>, principals: &[&str], issuer: &str) -> Option<OidcProvider> {
        let registered = |principal: &&str| {
            principal.split_once(":oidc-provider/").is_some_and(|(_, url)| issuer == format!("https://{url}"))
        };
        if question.provider_url.is_some() || principals.iter().any(registered) {
            return None;
        }
        let named = principals.iter().filter_map(|principal| OidcProvider::built_in(principal));
        // Only the provider can identify the owner of an access token.
        let mut named =
            named.filter(|provider| provider.takes(issuer) || issuer.is_empty() && provider.has_access_tokens());
        named.next()
    }

    /// The check that IAM refused.
    pub(super) fn refused(&self, error: &IamError) -> Check {
        Check {
            check: "provider-url",
            passed: false,
            expected: "https, a host without port, perhaps a path; no query; at most 255 characters".to_owned(),
            actual: format!("{}; IAM says {}: {}", self.url, error.code.as_str(), error.message),
            fix: None,
        }
    }

    /// What to do about a URL that IAM doesn't register.
    pub(super) fn advice_on_url(&self, claims: &Claims, asker: Asker) -> Advice {
        let authority = self.url.split("://").nth(1).unwrap_or(&self.url).split('/').next().unwrap_or_default();
        let fix = if !self.url.starts_with("https://") {
            "IAM registers issuers on https alone: serve the issuer on https, and register that URL".to_owned()
        } else if authority.contains(':') {
            let local = match asker {
                Asker::Explain => {
                    ". (`tagmint localaws` takes issuers with a port: --localaws explains what it would say)"
                }
                Asker::Maker => "",
            };
            format!(
                "IAM registers no issuer on another port than 443: serve the issuer on 443, with a URL and an `iss` without port{local}"
            )
        } else if self.url.contains(['?', '#']) {
            "a provider's URL has no query and no fragment: register the bare issuer".to_owned()
        } else {
            "register the issuer's URL as `iss` has it: https, host, perhaps a path".to_owned()
        };
        let comparison = claims
            .text("iss")
            .filter(|issuer| *issuer != self.url)
            .map(|issuer| Comparison::new("issuer", ("provider", &self.url), ("token", Some(issuer))));
        Advice { fix, comparison }
    }
}

/// What to do about a provider that the role's account does not have.
pub(super) fn advice_on_missing(provider: &OidcProvider) -> Advice {
    let fix = format!(
        "the role's account has no provider {}: create it in IAM with the URL {:?} and the token's audience as client id",
        provider.arn(),
        provider.issuer()
    );
    Advice { fix, comparison: None }
}

/// What to do about an `iss` that isn't the registered URL.
pub(super) fn advice_on_issuer(question: &Question<'_>, provider: &OidcProvider, claims: &Claims) -> Advice {
    let registered = provider.issuer();
    let issuer = claims.text("iss").unwrap_or_default();
    let fix = if issuer.trim_end_matches('/') == registered.trim_end_matches('/') {
        format!(
            "the two differ in a slash at the end, which makes another provider: delete the provider and create it with exactly {issuer:?}, \
             and name it so in the trust policy and its condition keys"
        )
    } else if issuer.eq_ignore_ascii_case(&registered) {
        format!("letters' case counts: create the provider with exactly {issuer:?}, or correct the issuer's own URL")
    } else if without_port(issuer) == without_port(&registered) {
        "the two differ in a port, which AWS's providers don't have: the issuer has to write `iss` without it"
            .to_owned()
    } else if issuer.starts_with("http://") {
        "the issuer calls itself http; AWS takes https alone: correct the issuer's own URL".to_owned()
    } else {
        other_issuer::advice(question.provider_url.is_some(), provider, issuer)
    };
    let side = if question.provider_url.is_some() { "provider" } else { "policy" };
    let comparison = Some(Comparison::new("issuer (`iss`)", (side, &registered), ("token", Some(issuer))));
    Advice { fix, comparison }
}

/// A URL without its port and final slash.
fn without_port(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = authority.split(':').next().unwrap_or_default();
    Some(format!("{scheme}://{host}{}", path.trim_end_matches('/')).to_lowercase())
}
