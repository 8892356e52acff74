//! The kinds of problems. The reference page is made from [`CATALOGUE`].

/// A kind of problem, with its stable code. The reference page is made from [`CATALOGUE`].
#[derive(Debug, PartialEq, Eq)]
pub struct ProblemKind {
    /// The end of `type`: `urn:tagmint:problem:CODE`.
    pub code: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// The `title`.
    pub title: &'static str,
    /// What it means and what to do; the `detail` where nothing more precise is known.
    pub meaning: &'static str,
    /// The OAuth error of the same meaning.
    pub oauth: &'static str,
}

macro_rules! problems {
    ($($name:ident = $code:literal, $status:literal, $oauth:literal, $title:literal, $meaning:literal;)*) => {
        $(
            #[doc = $meaning]
            pub const $name: ProblemKind = ProblemKind { code: $code, status: $status, title: $title, meaning: $meaning, oauth: $oauth };
        )*
        /// Every kind of problem that the issuer answers with.
        pub const CATALOGUE: &[ProblemKind] = &[$($name),*];
    };
}

problems! {
    MALFORMED_BODY = "malformed-body", 400, "invalid_request", "The body is not what this route takes",
        "The request body is not valid JSON (or form data), has an unknown or repeated member, or a value of the wrong type. The detail names it.";
    MALFORMED_REQUEST = "malformed-request", 400, "invalid_request", "The request is malformed",
        "A header or query parameter is malformed, missing or repeated. The detail names it.";
    MISPLACED_SECRET = "misplaced-secret", 400, "invalid_request", "A credential is in the wrong field",
        "A field that is logged, recorded or signed into a token holds what looks like a credential. Send it in the `Authorization` header, and revoke it if others may have seen it.";
    CREDENTIAL_MISSING = "credential-missing", 401, "invalid_client", "A credential is needed",
        "Send `Authorization: Bearer <session or bearer>`.";
    CREDENTIAL_INVALID = "credential-invalid", 401, "invalid_client", "The credential is not valid",
        "The session or bearer is malformed, unknown, expired, revoked, or belongs to another environment. Open a new session or ask the operator for a new bearer.";
    CI_TOKEN_INVALID = "ci-token-invalid", 401, "invalid_request", "The CI token is not accepted",
        "The ID token of the CI job is malformed, of an unknown issuer, expired, or its signature does not hold. The detail says which; ask the platform for a new one.";
    CI_TOKEN_AUDIENCE = "ci-token-audience", 401, "invalid_request", "The CI token is for somebody else",
        "The job asked its platform for a token with another audience than those of this issuer's provider. Ask for one of them: `audience` at GitHub, `aud` of `id_tokens` at GitLab.";
    CI_TOKEN_SPENT = "ci-token-spent", 401, "invalid_request", "The CI token was used already",
        "The ID token was exchanged as often as its provider's settings allow, by default once. The detail says what was used up; ask the platform for another token. The ledger has each exchange under the token's id.";
    CI_TOKEN_NOT_TAKEN = "ci-token-not-taken", 403, "invalid_client", "This takes a session or a bearer",
        "The ID token of a CI job is not taken here. Exchange it: `POST /oauth2/token` with `grant_type=urn:ietf:params:oauth:grant-type:token-exchange` and the token as `subject_token`.";
    CI_TOKEN_WANTED = "ci-token-wanted", 403, "invalid_request", "This takes the token of a CI job",
        "A token exchange takes the ID token that a CI platform gave its job. For a session or bearer use `POST /v1/tokens`, or `client_credentials` here.";
    AUTH_TOKEN_REFUSED = "auth-token-refused", 401, "invalid_grant", "The session backend refused the auth token",
        "The session backend does not accept this auth token. Get a new one from it.";
    SESSION_REQUIRED = "session-required", 403, "invalid_client", "This needs a session",
        "The route works for sessions alone, and a bearer was presented. Open a session with `POST /v1/sessions`.";
    NOT_ALLOWED = "not-allowed", 403, "invalid_request", "The rules do not allow this",
        "No rule lets this identity have such a token, or the rule that applies does not allow a field of the request. `rule` names it, the detail says what it does not allow.";
    TOKEN_NOT_ACCEPTABLE = "token-not-acceptable", 403, "invalid_request", "AWS would refuse this token",
        "The rule gave claims that make a token that AWS refuses, so it was not signed. The detail names the claim and the limit.";
    NOT_FOUND = "not-found", 404, "invalid_request", "There is nothing here",
        "The path is not one of this issuer's; `/openapi.json` lists them.";
    NO_SESSION_BACKEND = "no-session-backend", 404, "invalid_request", "This issuer opens no sessions",
        "The issuer is set up without a session backend. Use a bearer.";
    NO_SIGN_IN = "no-sign-in", 404, "invalid_request", "This issuer has no sign-in",
        "Nobody signs in at this issuer with a browser. Get a token with a session, a bearer token or the ID token of a CI job: `/openapi.json` lists the routes.";
    METHOD_NOT_ALLOWED = "method-not-allowed", 405, "invalid_request", "The method is not allowed here",
        "The path exists, but not for this method; see the `Allow` header.";
    MISDIRECTED = "misdirected", 421, "invalid_request", "The request is for another host",
        "The host that the request names is none of this issuer's: a client or a proxy sends it to the wrong place. More names of its own are `listen.names` in the configuration.";
    BODY_TOO_LARGE = "body-too-large", 413, "invalid_request", "The body is too large",
        "The request body is larger than the issuer takes.";
    UNSUPPORTED_GRANT_TYPE = "unsupported-grant-type", 400, "unsupported_grant_type", "The grant type is not supported",
        "The token endpoint takes the grant types that the discovery document lists.";
    UNSUPPORTED_TOKEN_TYPE = "unsupported-token-type", 400, "unsupported_token_type", "A minted token cannot be revoked",
        "AWS asks nobody before it accepts a minted token, so it is good until it expires. What can be revoked is the session or bearer that it was minted for.";
    TOO_MANY_REQUESTS = "too-many-requests", 429, "temporarily_unavailable", "Too many requests",
        "The caller's address or credential has used up its rate, too many credentials that prove nothing came from the address or its network, or the subject has, or opens, too many sessions. Wait as long as `Retry-After` says.";
    INTERNAL = "internal", 500, "server_error", "Something went wrong on our side",
        "An error that should not happen. The log has it under the request id.";
    BACKEND_UNAVAILABLE = "backend-unavailable", 503, "temporarily_unavailable", "The session backend is out of order",
        "The session backend cannot be reached or does not answer as agreed. No session was opened. Try again later.";
    PROVIDER_UNAVAILABLE = "provider-unavailable", 503, "temporarily_unavailable", "The CI platform's keys are not at hand",
        "The keys of the platform that issued the token could not be fetched, so that the token can't be verified. Try again; the log says why.";
    LEDGER_UNAVAILABLE = "ledger-unavailable", 503, "temporarily_unavailable", "The ledger cannot be written",
        "No token leaves without its row in the ledger, so none was released. The log says why the ledger cannot be written (disk full, read-only, locked, or the database was restored under the running issuer).";
    DATABASE_UNAVAILABLE = "database-unavailable", 503, "temporarily_unavailable", "The database does not answer",
        "The issuer's database cannot be read or written now. The log says why.";
    NO_SIGNING_KEY = "no-signing-key", 503, "temporarily_unavailable", "No key may sign now",
        "Either the signing key was withdrawn and its successor has to be published for the JWKS max-age first, or the key file does not open the key whose turn it is. The detail says which, and `Retry-After` when to try again.";
    AWS_NOT_SET_UP = "aws-not-set-up", 404, "invalid_request", "This issuer assumes no roles",
        "The issuer is set up without `[aws]`. Get a token from it and show that to STS yourself: `tagmint credentials` and `tagmint exec` do.";
    STS_INVALID_REQUEST = "sts-invalid-request", 400, "invalid_request", "STS does not take the request",
        "STS refused the session name, the duration (each role has its own maximum) or the size of the tags. The detail has its words.";
    STS_REFUSED = "sts-refused", 403, "access_denied", "STS refused the role",
        "The token was minted, and the role's trust policy does not take it, or there is no such role. The detail has STS's words; `tagmint explain` finds out why.";
    STS_TOKEN_REJECTED = "sts-token-rejected", 502, "server_error", "STS does not take this issuer's token",
        "STS knows no OIDC provider for this issuer, or not this audience, or could not get the issuer's keys. The detail has its words; `tagmint explain --fetch` looks at the issuer as STS does.";
    STS_UNAVAILABLE = "sts-unavailable", 503, "temporarily_unavailable", "STS does not answer",
        "AWS STS cannot be reached, is out of order or took too long, or too many calls to it are under way. Try again; the log says why.";
    STALE_KEYS = "stale-keys", 503, "temporarily_unavailable", "The signing keys are out of date",
        "The keys could not be read from the database for so long that another node may have rotated them. The log says why.";
    BODY_TIMEOUT = "body-timeout", 408, "invalid_request", "The body did not arrive in time",
        "The request body took longer to arrive than the issuer waits.";
    TIMEOUT = "timeout", 503, "temporarily_unavailable", "The request took too long",
        "The issuer gave up on the request. Try again.";
    SHUTTING_DOWN = "shutting-down", 503, "temporarily_unavailable", "The issuer is shutting down",
        "The issuer finishes what it has begun and takes nothing new. Try again.";
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;

    use super::*;

    #[test]
    fn codes_are_unique_and_statuses_are_http() {
        let mut codes: Vec<&str> = CATALOGUE.iter().map(|kind| kind.code).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), CATALOGUE.len());
        assert!(CATALOGUE.iter().all(|kind| StatusCode::from_u16(kind.status).is_ok() && kind.meaning.ends_with('.')));
    }
}
