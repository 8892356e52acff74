//! Tokens of another kind than STS takes: access tokens, a pod's default token, a runner's request token.
//!
//! Sources: RFC 9068 (`at+jwt`); the pages of Cognito ("Understanding the access token"), Microsoft Entra ("Access token claims reference"),
//! Okta ("Access token claims"), Keycloak (`typ` in the payload), Kubernetes ("Managing service accounts", "Bound service account tokens")
//! and GitHub (`ACTIONS_ID_TOKEN_REQUEST_TOKEN`).

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Map, Value};

use super::claims::Claims;
use crate::provider::OidcProvider;

/// Where EKS puts the token that is meant for AWS.
const EKS_TOKEN: &str = "/var/run/secrets/eks.amazonaws.com/serviceaccount/token";
/// Beginnings of tokens that are no JWTs, with whose they are.
const OPAQUE: [(&str, &str); 12] = [
    ("ya29.", "an access token of Google"),
    ("ghs_", "a GITHUB_TOKEN"),
    ("ghp_", "a personal access token of GitHub"),
    ("gho_", "an OAuth token of GitHub"),
    ("ghu_", "a user token of a GitHub App"),
    ("github_pat_", "a personal access token of GitHub"),
    ("glpat-", "a personal access token of GitLab"),
    ("glcbt-", "a job token of GitLab"),
    ("ATCTT", "an access token of Bitbucket"),
    ("tmb_", "a bearer token of Tagmint"),
    ("tms_", "a session of Tagmint"),
    ("FwoG", "a session token of AWS"),
];

/// That a token is of another kind, and how to get the right one; none where nothing speaks for it.
pub(super) fn advice(token: &str, claims: &Claims) -> Option<String> {
    let header = header(token);
    service_account(claims)
        .or_else(|| of_runner(claims))
        .or_else(|| access_token(&header, claims))
        .or_else(|| job_token(claims))
}

/// The same where the issuer is another, with the advice about the issuer.
pub(super) fn or_issuer(token: &str, claims: &Claims, provider: &OidcProvider, issuer: String) -> String {
    // The issuer of such a token must not be registered.
    if let Some(kind) = service_account(claims).or_else(|| of_runner(claims)) {
        return format!("{kind}. The role trusts {}", provider.arn());
    }
    match access_token(&header(token), claims) {
        Some(kind) => format!("{kind}. Besides, {issuer}"),
        None => issuer,
    }
}

/// The same where the audience is wrong, with the advice about the audience, which holds for an access token, too: some are taken by STS.
pub(super) fn or_audience(token: &str, claims: &Claims, audience: String) -> String {
    // The audience of a cluster's API server or of GitHub's own service must not be registered.
    if let Some(kind) = service_account(claims).or_else(|| of_runner(claims)) {
        return kind;
    }
    match access_token(&header(token), claims) {
        Some(kind) => format!("{audience}. Besides, {kind}"),
        None => audience,
    }
}

/// That a text is no JWT but something known.
pub(super) fn not_a_jwt(token: &str) -> Option<String> {
    let token = token.trim();
    if let Some((_, what)) = OPAQUE.iter().find(|(start, _)| token.starts_with(start)) {
        return Some(format!("this is {what}, not an ID token: send the ID token, a JWT that begins with `eyJ`"));
    }
    let encrypted = token.split('.').count() == 5 && header(token).contains_key("enc");
    encrypted.then(|| {
        "the token is encrypted (a JWE of five parts), as Auth0's access tokens without an audience are: send the ID token, a signed JWT of three \
         parts"
            .to_owned()
    })
}

fn header(token: &str) -> Map<String, Value> {
    let first = token.trim().split('.').next().and_then(|part| BASE64_URL_SAFE_NO_PAD.decode(part).ok());
    first.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
}

/// A pod's default token: for the cluster's API server, or of a Secret.
fn service_account(claims: &Claims) -> Option<String> {
    let issuer = claims.text("iss").unwrap_or_default();
    let subject = claims.text("sub").unwrap_or_default();
    if !subject.starts_with("system:serviceaccount:") {
        return None;
    }
    let of_secret = issuer == "kubernetes/serviceaccount";
    let audiences = claims.audiences();
    let in_cluster = |text: &str| {
        let host = text.trim_start_matches("https://").split('/').next().unwrap_or_default();
        host == "kubernetes.default" || host.starts_with("kubernetes.default.svc") || host.starts_with("kubernetes.svc")
    };
    let for_api = audiences.iter().any(|audience| {
        in_cluster(audience) || ["k3s", "rke2", "api", "kubernetes"].contains(audience) || *audience == issuer
    });
    if !of_secret && !for_api && !in_cluster(issuer) {
        return None;
    }
    let what = if of_secret {
        "a service account token of a Secret (iss `kubernetes/serviceaccount`), which has neither an audience nor an end".to_owned()
    } else if audiences.is_empty() {
        "the pod's default service account token, which is for the cluster's API server".to_owned()
    } else {
        format!(
            "the pod's default service account token, which is for the cluster's API server (audience {})",
            audiences.join(", ")
        )
    };
    let reachable = if in_cluster(issuer) || of_secret {
        format!(
            ". AWS cannot reach the issuer {issuer:?} either: give the cluster a public one (--service-account-issuer; EKS, GKE and AKS have one)"
        )
    } else {
        String::new()
    };
    Some(format!(
        "this is {what}, not the projected one that is meant for AWS: mount a serviceAccountToken volume with `audience: sts.amazonaws.com` and \
         send that file. On EKS annotate the service account with eks.amazonaws.com/role-arn and restart the pod: the token is then {EKS_TOKEN}, \
         named by AWS_WEB_IDENTITY_TOKEN_FILE{reachable}"
    ))
}

/// The token with which a GitHub runner asks for ID tokens, or talks to the service.
fn of_runner(claims: &Claims) -> Option<String> {
    let scopes = claims.text("scp").unwrap_or_default();
    let audiences = claims.audiences();
    let runner = scopes.contains("Actions.")
        || scopes.contains("generate_id_token")
        || audiences.iter().any(|audience| audience.starts_with("vso:"));
    runner.then(|| {
        "this is the runner's own token (ACTIONS_ID_TOKEN_REQUEST_TOKEN or ACTIONS_RUNTIME_TOKEN), not the job's ID token: fetch that from \
         \"$ACTIONS_ID_TOKEN_REQUEST_URL&audience=sts.amazonaws.com\" with it as the bearer token, and send `value` of the answer"
            .to_owned()
    })
}

/// An access token in place of an ID token.
fn access_token(header: &Map<String, Value>, claims: &Claims) -> Option<String> {
    let issuer = claims.text("iss").unwrap_or_default();
    let typ = header.get("typ").and_then(Value::as_str).unwrap_or_default().to_lowercase();
    let typ = typ.trim_start_matches("application/");
    let member = claims.text("typ").unwrap_or_default();
    let cognito = issuer.starts_with("https://cognito-idp.");
    let entra = issuer.starts_with("https://sts.windows.net/") || issuer.contains("login.microsoftonline.");
    let (sign, send) = if claims.text("token_use") == Some("access") {
        (
            "`token_use` is `access`".to_owned(),
            "Cognito's ID token (`IdToken`, `id_token`), whose `aud` is the app client's id",
        )
    } else if member.eq_ignore_ascii_case("Refresh") || member.eq_ignore_ascii_case("Offline") {
        (
            format!("its claim `typ` is `{member}`"),
            "the ID token (`id_token`), for which the client asks with the scope `openid`",
        )
    } else if ["at+jwt", "jwt+at"].contains(&typ) {
        (
            format!("its header has `typ` `{typ}` (RFC 9068)"),
            "the ID token (`id_token`), for which the client asks with the scope `openid`",
        )
    } else if member == "Bearer" {
        (
            "its claim `typ` is `Bearer`".to_owned(),
            "Keycloak's ID token (`id_token`), for which the client asks with the scope `openid`",
        )
    } else if entra && (claims.has("scp") || claims.has("appid") || claims.has("appidacr") || claims.has("azpacr")) {
        let sign = ["scp", "appid", "appidacr", "azpacr"].into_iter().find(|name| claims.has(name)).unwrap_or("scp");
        (
            format!("Entra puts `{sign}` into access tokens only"),
            "the ID token (`id_token`), or an access token for an application of your own (api://…) whose id is a client id of the provider",
        )
    } else if claims.has("cid") && claims.has("scp") {
        (
            "Okta puts `cid` and `scp` into access tokens only".to_owned(),
            "Okta's ID token (`id_token`), for which the client asks with the scope `openid`",
        )
    } else if claims.has("gty")
        || claims.has("scope") && claims.audiences().iter().any(|audience| audience.ends_with("/userinfo"))
    {
        (
            "Auth0 puts `scope` and the audience `/userinfo` into access tokens only".to_owned(),
            "Auth0's ID token (`id_token`), for which the client asks with the scope `openid`",
        )
    } else if cognito && claims.has("client_id") && !claims.has("aud") {
        (
            "it has `client_id` and no `aud`".to_owned(),
            "Cognito's ID token (`IdToken`, `id_token`), whose `aud` is the app client's id",
        )
    } else if !claims.has("aud") && (claims.has("client_id") || claims.has("scope") || claims.has("scp")) {
        (
            "it has a client or scopes and no `aud`".to_owned(),
            "the ID token (`id_token`), for which the client asks with the scope `openid`",
        )
    } else {
        return None;
    };
    let kind = if member.eq_ignore_ascii_case("Refresh") || member.eq_ignore_ascii_case("Offline") {
        "a refresh token"
    } else {
        "an access token"
    };
    Some(format!("this is {kind}, not an ID token: {sign}. Send {send}"))
}

/// A GitLab job's token of the days before `id_tokens`.
fn job_token(claims: &Claims) -> Option<String> {
    let job = claims.has("project_path") || claims.has("job_id") && claims.has("project_id");
    (job && !claims.has("aud")).then(|| {
        "this is CI_JOB_JWT or CI_JOB_TOKEN, which has no audience, not an ID token: declare one in the job, `id_tokens: {AWS_TOKEN: {aud: \
         sts.amazonaws.com}}`, and send that variable"
            .to_owned()
    })
}
