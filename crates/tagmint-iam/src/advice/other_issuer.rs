//! A token from another issuer than the one that the trust policy names.

use super::{Warning, claims::Claims};
use crate::{pattern, provider::OidcProvider};

/// Issuers (host and path, `*` for any text) whose URL holds an id, with what the id stands for and when it changes.
const WITH_ID: [(&str, &str, &str); 12] = [
    (
        "oidc.eks.*/id/*",
        "EKS cluster",
        "an EKS cluster that is created again has a new issuer id, even under the same name",
    ),
    (
        "oidc-eks.*/id/*",
        "EKS cluster",
        "an EKS cluster that is created again has a new issuer id, even under the same name",
    ),
    (
        "container.googleapis.com/v1/projects/*",
        "GKE cluster",
        "a GKE cluster's issuer holds its project, location and name",
    ),
    ("*.oic.prod-aks.azure.com/*", "AKS cluster", "an AKS cluster that is created again has a new issuer id"),
    ("oidc.circleci.com/org/*", "CircleCI organization", "each organization has an issuer of its own"),
    ("cognito-idp.*.amazonaws.com/*", "Cognito user pool", "a user pool that is created again has a new id"),
    ("api.bitbucket.org/2.0/workspaces/*", "Bitbucket workspace", "each workspace has an issuer of its own"),
    ("vstoken.dev.azure.com/*", "Azure DevOps organization", "each organization has an issuer of its own"),
    ("login.microsoftonline.com/*", "Entra tenant", "each tenant has issuers of its own"),
    ("sts.windows.net/*", "Entra tenant", "each tenant has issuers of its own"),
    ("oidc.vercel.com/*", "Vercel team", "each team has an issuer of its own"),
    ("rh-oidc.s3.*", "OpenShift cluster", "a cluster that is created again has a new issuer id"),
];
/// GitHub's issuer; a slug behind it is an enterprise's.
const GITHUB: &str = "token.actions.githubusercontent.com";

/// Advises how to proceed. `read`: the provider's URL was given or read from the account, not taken from the trust policy.
pub(super) fn advice(read: bool, provider: &OidcProvider, issuer: &str) -> String {
    let registered = provider.issuer();
    let arn = provider.arn();
    let Some(url) = issuer.strip_prefix("https://") else {
        return format!(
            "the token's issuer {issuer:?} is no https URL, and AWS registers no other: get a token from {registered}, the issuer of {arn}"
        );
    };
    let own = arn.replace(&format!(":oidc-provider/{}", provider.url()), &format!(":oidc-provider/{url}"));
    let why = cause(provider.url(), url);
    let named = if read {
        format!("the provider is that of {registered}")
    } else {
        format!("the trust policy's principal is {arn}")
    };
    let unread = if read {
        String::new()
    } else {
        format!(
            ". The account was not read (--role ARN reads it): if it has a provider for {issuer:?} already, STS says `Not authorized to perform \
             sts:AssumeRoleWithWebIdentity` instead, because the principal is another"
        )
    };
    format!(
        "{named}, and the token is from {issuer}{why}. If that is the right issuer, register {issuer:?} in IAM unless the account has it, and \
         change the trust policy: the principal to {own}, and the condition keys from {}:… to {url}:…. Otherwise get a token from \
         {registered}{unread}",
        provider.url()
    )
}

/// Why two issuers of the same kind may differ.
fn cause(registered: &str, issuer: &str) -> String {
    let with_id = WITH_ID.iter().find(|(form, ..)| {
        pattern::matches_ignoring_case(form, registered) && pattern::matches_ignoring_case(form, issuer)
    });
    if let Some((_, what, when)) = with_id {
        return format!(" (another {what}: {when})");
    }
    let entra = |url: &str| url.starts_with("login.microsoftonline.com/") || url.starts_with("sts.windows.net/");
    if entra(registered) && entra(issuer) {
        return " (Entra has two issuers for a tenant: sts.windows.net for tokens of version 1, login.microsoftonline.com/TENANT/v2.0 for those of \
                version 2; the application's `requestedAccessTokenVersion` decides)"
            .to_owned();
    }
    let slug = |url: &str| url.strip_prefix(GITHUB).is_some_and(|path| path.starts_with('/'));
    if slug(issuer) && registered.starts_with(GITHUB) || slug(registered) && issuer.starts_with(GITHUB) {
        return " (GitHub: an enterprise that sets include_enterprise_slug has an issuer of its own, with its slug behind the host)".to_owned();
    }
    String::new()
}

/// That the account was not looked at, where the trust policy names another issuer than the token's.
pub(super) fn warning(provider: Option<&OidcProvider>, claims: &Claims) -> Option<Warning> {
    let provider = provider?;
    let issuer = claims.text("iss").filter(|issuer| *issuer != provider.issuer())?;
    let text = format!(
        "the account was not read: that it has no provider for {issuer:?} is concluded from the trust policy, which names {}",
        provider.arn()
    );
    Some(Warning { id: "provider-not-checked", text })
}
