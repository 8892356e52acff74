//! What a session, a bearer or a minted token is worth now (RFC 7662).
//!
//! Everybody may ask about the credential that they present. About others' credentials a bearer with the attribute `introspect = "true"` may
//! ask; to anybody else these are as good as unknown. A minted token is for everybody with a credential to ask about: whoever has it and the
//! published keys knows the answer.

use std::net::IpAddr;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};
use tagmint_core::{
    issued_secret::{IssuedSecret, SecretKind},
    json,
    jwk::VerificationKeys,
    jws::{self, Expected},
};
use tagmint_store::{BearerRecord, CredentialLookup, SessionRecord};

use super::{
    authenticate::{AuthenticateError, Authenticated},
    client::{ClientError, authenticate_client},
};
use crate::app::App;

/// The attribute of a bearer that may ask about others' credentials.
pub const INTROSPECT_ATTRIBUTE: &str = "introspect";
/// How far the clocks of an issuer's nodes may differ, in seconds: a token that another has just minted is not of the future.
const LEEWAY_SECONDS: i64 = 5;

/// A question about a token.
#[derive(Debug)]
pub struct IntrospectCommand {
    /// The caller's address.
    pub remote: IpAddr,
    /// The caller's credential.
    pub caller: Option<SecretString>,
    /// What is asked about.
    pub token: SecretString,
}

/// The answer.
#[derive(Debug)]
pub enum Introspection {
    /// Unknown, expired, revoked, another issuer's, or not for this caller to know.
    Inactive,
    /// A session that is good.
    Session(SessionRecord),
    /// A bearer that is good.
    Bearer(BearerRecord),
    /// A minted token that is good: its claims.
    Token(Map<String, Value>),
}

/// Answers.
pub async fn introspect(app: &App, command: IntrospectCommand) -> Result<Introspection, ClientError> {
    let now = app.clock.now();
    let caller = authenticate_client(app, command.remote, now, command.caller.as_ref()).await?;
    let environment = app.settings.stamp.environment;
    let Ok(secret) = IssuedSecret::parse(command.token.expose_secret(), environment) else {
        return Ok(
            own_token(app, command.token.expose_secret(), now).map_or(Introspection::Inactive, Introspection::Token)
        );
    };
    let presented = command.caller.as_ref().map(|caller| IssuedSecret::parse(caller.expose_secret(), environment));
    if matches!(presented, Some(Ok(presented)) if presented.hash() == secret.hash()) {
        return Ok(match caller {
            Authenticated::Session(session) => Introspection::Session(session),
            Authenticated::Bearer(bearer) => Introspection::Bearer(bearer),
        });
    }
    if !may_ask_about_others(&caller) {
        return Ok(Introspection::Inactive);
    }
    let unanswered = |error| ClientError::Unauthenticated(AuthenticateError::Store(error));
    Ok(match secret.kind() {
        SecretKind::Session => {
            match app.store.sessions().find_by_secret(secret.hash(), now).await.map_err(unanswered)? {
                CredentialLookup::Valid(session) => Introspection::Session(session),
                _ => Introspection::Inactive,
            }
        }
        SecretKind::Bearer => {
            match app.store.bearers().state_of_secret(secret.hash(), now).await.map_err(unanswered)? {
                CredentialLookup::Valid(bearer) => Introspection::Bearer(bearer),
                _ => Introspection::Inactive,
            }
        }
    })
}

/// A session's attributes are its backend's to say, so they never count here.
fn may_ask_about_others(caller: &Authenticated) -> bool {
    match caller {
        Authenticated::Bearer(bearer) => bearer.attributes.get(INTROSPECT_ATTRIBUTE).is_some_and(|it| it == "true"),
        Authenticated::Session(_) => false,
    }
}

/// The claims of a token of this issuer, whatever its audience, if a published key signed it and its time is now.
fn own_token(app: &App, token: &str, now: Timestamp) -> Option<Map<String, Value>> {
    let keys = VerificationKeys::parse(&app.keys.current(&*app.clock).jwks).ok()?;
    let audience = claimed_audience(token)?;
    let issuer = app.settings.stamp.issuer.as_str();
    let expected = Expected { issuer, audience: &audience, now, leeway_seconds: LEEWAY_SECONDS };
    let claims = jws::verify(token, &keys, &expected).ok()?.claims;
    // The leeway is for the beginning alone: what has expired is not active.
    claims.get("exp").and_then(Value::as_i64).filter(|end| *end > now.as_second())?;
    Some(claims)
}

fn claimed_audience(token: &str) -> Option<String> {
    if token.len() > tagmint_core::claims::MAX_TOKEN_LEN {
        return None;
    }
    let payload = BASE64_URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    Some(json::parse(&payload).ok()?.get("aud")?.as_str()?.to_owned())
}
