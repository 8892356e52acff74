//! The routes that mint, each in the form that its callers speak. All go through the one flow.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Extension, Json,
    extract::{RawQuery, State},
    http::header,
    response::{IntoResponse, Response},
};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use tagmint_core::rules::{MintRequest, SessionTerms};
use utoipa::ToSchema;

use super::{
    bearer::{BearerCredential, NoCredential},
    body::{self, OptionalJson},
    context::RequestContext,
    misplaced,
    problem::{Problem, ProblemDocument},
    subject_token::oddity,
};
use crate::{
    app::App,
    flows::{
        identify::Accepts,
        mint::{self, MintCommand, MintError, Minted},
    },
};

/// Asks for a token. Every member is optional: the rule's own values stand for what is left out.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenRequest {
    /// The token's `aud`.
    audience: Option<String>,
    /// The one role that the token is for.
    role: Option<String>,
    /// The token's lifetime, in seconds: 60 to 900.
    lifetime_seconds: Option<i64>,
    /// The rule to use, where several would do.
    rule: Option<String>,
    /// Values for tags that the rule leaves open.
    #[serde(default)]
    tags: BTreeMap<String, String>,
}

/// A minted token.
#[derive(Serialize, ToSchema)]
pub struct TokenAnswer {
    /// The JWT.
    token: String,
    /// Its `jti`, and its row in the ledger.
    mint_id: String,
    /// Its `sub`.
    subject: String,
    /// Its `aud`.
    audience: String,
    /// Its session tags.
    tags: BTreeMap<String, String>,
    /// Its `exp` (RFC 3339).
    expires_at: String,
    /// What its rule says of the role session that it opens: pass it to STS.
    #[serde(skip_serializing_if = "RoleSession::is_empty")]
    session: RoleSession,
}

/// What a rule says of a role session.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct RoleSession {
    /// The session policy, as JSON: `Policy` of STS.
    #[serde(skip_serializing_if = "Option::is_none")]
    policy: Option<String>,
    /// ARNs of managed session policies: `PolicyArns` of STS.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    policy_arns: Vec<String>,
    /// The ARN of a role to assume at once with the session; the policies are for that.
    #[serde(skip_serializing_if = "Option::is_none")]
    assume_then: Option<String>,
}

impl RoleSession {
    /// Whether it says nothing.
    pub const fn is_empty(&self) -> bool {
        self.policy.is_none() && self.policy_arns.is_empty() && self.assume_then.is_none()
    }
}

impl From<SessionTerms> for RoleSession {
    fn from(terms: SessionTerms) -> Self {
        let SessionTerms { policy, policy_arns, assume_then } = terms;
        Self { policy, policy_arns, assume_then }
    }
}

/// A token in the form of the GitHub Actions protocol.
#[derive(Serialize, ToSchema)]
pub struct IdToken {
    /// The JWT.
    value: String,
}

/// A token in the form of the earlier broker.
#[derive(Serialize, ToSchema)]
pub struct OidcJwt {
    /// The JWT.
    jwt: String,
    /// The session's subject.
    wallet: String,
    /// Its `exp`, in seconds since the epoch.
    expiration: i64,
}

/// Mints a token. A test issuer that mints anonymously takes requests without a credential, too.
#[utoipa::path(post, path = "/v1/tokens", tag = "tokens", security((), ("bearer" = [])), request_body = TokenRequest, responses(
    (status = 200, body = TokenAnswer),
    (status = 400, description = "the body is malformed", body = ProblemDocument, content_type = "application/problem+json"),
    (status = 401, description = "the credential is not valid", body = ProblemDocument, content_type = "application/problem+json"),
    (status = 403, description = "the rules do not allow this; `rule` names the one that decided", body = ProblemDocument, content_type = "application/problem+json"),
    (status = 503, description = "the ledger cannot be written, or no key may sign yet: nothing was released", body = ProblemDocument, content_type = "application/problem+json"),
))]
pub async fn create(
    State(app): State<Arc<App>>,
    Extension(context): Extension<RequestContext>,
    BearerCredential(credential): BearerCredential,
    NoCredential(none): NoCredential,
    OptionalJson(body): OptionalJson<TokenRequest>,
) -> Result<Response, Problem> {
    let TokenRequest { audience, role, lifetime_seconds, rule, tags } = body;
    let request = MintRequest { audience, role, lifetime_seconds, rule, tags };
    let accepts = if none { Accepts::AnyOrNone } else { Accepts::Any };
    let minted = run(&app, context, "POST /v1/tokens", credential, accepts, request).await?;
    let answer = TokenAnswer {
        token: minted.token.expose().to_owned(),
        mint_id: minted.mint_id.to_string(),
        subject: minted.subject,
        audience: minted.audience,
        tags: minted.tags.iter().map(|(key, value)| (key.as_str().to_owned(), value.as_str().to_owned())).collect(),
        expires_at: minted.expires_at.to_string(),
        session: minted.session.into(),
    };
    Ok(private(answer))
}

/// Mints a token for clients of the GitHub Actions protocol (`ACTIONS_ID_TOKEN_REQUEST_URL`).
#[utoipa::path(get, path = "/v1/id-token", tag = "tokens", security(("bearer" = [])),
    params(("audience" = Option<String>, Query, description = "the token's `aud`")),
    responses(
        (status = 200, body = IdToken),
        (status = "4XX", description = "as for `POST /v1/tokens`", body = ProblemDocument, content_type = "application/problem+json"),
        (status = "5XX", description = "as for `POST /v1/tokens`", body = ProblemDocument, content_type = "application/problem+json"),
    ))]
pub async fn id_token(
    State(app): State<Arc<App>>,
    Extension(context): Extension<RequestContext>,
    BearerCredential(credential): BearerCredential,
    RawQuery(raw): RawQuery,
) -> Result<Response, Problem> {
    let mut request = MintRequest::default();
    for (name, value) in body::query(raw.as_deref())? {
        // The protocol's clients bring parameters of their own (`v`, `api-version`).
        if name == "audience" {
            request.audience = Some(value);
        }
    }
    let minted = run(&app, context, "GET /v1/id-token", credential, Accepts::Any, request).await?;
    Ok(private(IdToken { value: minted.token.expose().to_owned() }))
}

/// Mints a token for clients of the earlier broker; takes sessions alone.
#[utoipa::path(post, path = "/v1/mint-oidc-jwt", tag = "tokens", security(("bearer" = [])), responses(
    (status = 200, body = OidcJwt),
    (status = "4XX", description = "as for `POST /v1/tokens`", body = ProblemDocument, content_type = "application/problem+json"),
    (status = "5XX", description = "as for `POST /v1/tokens`", body = ProblemDocument, content_type = "application/problem+json"),
))]
pub async fn mint_oidc_jwt(
    State(app): State<Arc<App>>,
    Extension(context): Extension<RequestContext>,
    BearerCredential(credential): BearerCredential,
) -> Result<Response, Problem> {
    let minted =
        run(&app, context, "POST /v1/mint-oidc-jwt", credential, Accepts::Session, MintRequest::default()).await?;
    Ok(private(OidcJwt {
        jwt: minted.token.expose().to_owned(),
        wallet: minted.identity,
        expiration: minted.expires_at.as_second(),
    }))
}

pub(super) async fn run(
    app: &App,
    context: RequestContext,
    route: &'static str,
    credential: Option<secrecy::SecretString>,
    accepts: Accepts,
    request: MintRequest,
) -> Result<Minted, Problem> {
    misplaced::check(&request)?;
    let odd = credential.as_ref().and_then(|credential| oddity(credential.expose_secret()));
    let command = MintCommand { request_id: context.id, route, remote: context.remote, credential, accepts, request };
    mint::mint(app, command).await.map_err(|error| {
        let refused = matches!(error, MintError::Unauthenticated(_));
        let problem = problem(app, error);
        match odd {
            Some(odd) if refused => problem.also(&format!("The credential {odd}.")),
            _ => problem,
        }
    })
}

/// What a caller who gets no token is told; who has to wait and what failed on our side is counted.
pub(super) fn problem(app: &App, error: MintError) -> Problem {
    match error {
        MintError::TooMany(too_many) => return app.too_many(too_many),
        ref failed if !failed.is_refusal() => app.figures.mint_failed(failed.code()),
        _ => {}
    }
    (error, app.clock.now()).into()
}

/// A JSON answer that no cache may keep: it holds a token.
pub(super) fn private(answer: impl Serialize) -> Response {
    ([(header::CACHE_CONTROL, "no-store")], Json(answer)).into_response()
}
