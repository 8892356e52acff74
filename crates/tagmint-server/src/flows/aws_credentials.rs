//! Credentials of a role session on the caller's behalf: authenticate, decide, then a cached answer, or mint and ask STS.
//!
//! An answer from the cache needs the same proof and the same verdict of the rules as a mint, so that a revoked bearer or a rule that has
//! become narrower ends it at once; what AWS has given out lives until it expires. It is no mint, and leaves no row; what STS gives leaves one.
//!
//! A CI token is good for one set of credentials: whoever gets them takes them out of the cache. They are in it at all because an SDK gives
//! up after two seconds and asks again: the call to STS goes on without it, and the repetition of the same question, by the same
//! token while that has not expired, finds the answer. After that the token is spent, as everywhere.

use std::{net::IpAddr, sync::Arc};

use secrecy::{ExposeSecret, SecretString};
use tagmint_core::{
    id::{FetchId, RequestId},
    ledger::{FORMAT, Fetched, LedgerEntry, Outcome},
    rules::{Grant, MintRequest},
    trusted_issuer::Reuse,
};

use super::{
    identify::{Accepts, IdentifyError, Spent},
    mint::{Authorized, MintCommand, MintError, Minted, authorize},
};
use crate::{
    app::App,
    credential_cache::{CacheKey, Flight, Found, Landed},
    sts::{AssumeRole, SessionCredentials, SessionName, StsError, WebIdentitySts},
};

/// The route, in the ledger and the figures.
pub const ROUTE: &str = "GET /v1/aws/credentials";

/// How often a caller who waited for another's call looks again. More than the most uses that can be counted of a CI token, so that each of
/// them comes to its end.
const ROUNDS: usize = Reuse::MAX_USES as usize + 2;

/// A request for credentials.
#[derive(Debug, Clone)]
pub struct CredentialsCommand {
    /// The HTTP request.
    pub request_id: RequestId,
    /// The caller's address.
    pub remote: IpAddr,
    /// The presented credential.
    pub credential: Option<SecretString>,
    /// The role's ARN.
    pub role: String,
    /// The session's name. Default: the mint id.
    pub session_name: Option<SessionName>,
    /// How long the session is to last, in seconds. Default: what STS gives.
    pub duration_seconds: Option<u32>,
}

/// Why there are no credentials.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// The issuer is set up without AWS.
    #[error("there is no [aws] in the configuration")]
    NotSetUp,
    /// No token was minted.
    #[error(transparent)]
    Mint(#[from] MintError),
    /// STS gave none.
    #[error(transparent)]
    Sts(#[from] StsError),
    /// Too many calls to STS are under way.
    #[error("too many calls to STS are under way")]
    Busy,
    /// The task that asks STS ended without a word.
    #[error("the call to STS broke off")]
    Lost,
}

/// Finds or gets credentials.
pub async fn credentials(
    app: &Arc<App>,
    command: CredentialsCommand,
) -> Result<Arc<SessionCredentials>, CredentialsError> {
    let sts = app.sts.clone().ok_or(CredentialsError::NotSetUp)?;
    let mut asked = false;
    for _ in 0..ROUNDS {
        // Each time anew: the credential may have been revoked while STS was asked.
        let authorized = authorize(app, command.mint_command()).await?;
        let key = command.cache_key(authorized.grant());
        match app.credentials.find(key, authorized.is_single_use(), app.clock.now()) {
            Found::Ready(credentials) => {
                app.figures.role_credentials(if asked { "assumed" } else { "cached" });
                return Ok(credentials);
            }
            Found::UnderWay(mut landing) => {
                asked = true;
                // An error means that the sender is gone, with or without a last word.
                let _ = landing.wait_for(Option::is_some).await;
                let landed = landing.borrow().clone();
                match landed {
                    Some(Landed::Sts(error)) => return Err(error.into()),
                    Some(Landed::Spent(spent)) => return Err(authorized.refuse_spent(app, spent).await.into()),
                    Some(Landed::Good | Landed::NotMinted) | None => {}
                }
            }
            Found::Yours(flight) => {
                asked = true;
                let call = Call { sts: Arc::clone(&sts), flight, authorized };
                // A task of its own: it goes on when the caller leaves.
                let task = tokio::spawn(call.run(Arc::clone(app), command.clone()));
                task.await.map_err(|_| CredentialsError::Lost)??;
            }
            Found::Full => break,
        }
    }
    app.figures.role_credentials("busy");
    Err(CredentialsError::Busy)
}

impl CredentialsCommand {
    fn mint_command(&self) -> MintCommand {
        MintCommand {
            request_id: self.request_id,
            route: ROUTE,
            remote: self.remote,
            credential: self.credential.clone(),
            accepts: Accepts::Any,
            request: MintRequest { role: Some(self.role.clone()), ..MintRequest::default() },
        }
    }

    /// Everything that an answer depends on.
    fn cache_key(&self, grant: &Grant) -> CacheKey {
        let credential = self.credential.as_ref().map_or("", |credential| credential.expose_secret());
        let session_name = self.session_name.as_ref().map_or("", SessionName::as_str);
        let duration = self.duration_seconds.unwrap_or(0).to_be_bytes();
        let lifetime = grant.lifetime.seconds().to_be_bytes();
        let tags = serde_json::to_vec(&grant.tags).unwrap_or_default();
        let terms = serde_json::to_vec(&grant.session).unwrap_or_default();
        let mut parts: Vec<&[u8]> =
            vec![credential.as_bytes(), self.role.as_bytes(), session_name.as_bytes(), &duration];
        parts.extend([grant.rule.as_str(), grant.subject.as_str(), grant.audience.as_str()].map(str::as_bytes));
        parts.extend([&lifetime, tags.as_slice(), terms.as_slice()]);
        parts.extend(grant.roles.iter().map(|role| role.as_str().as_bytes()));
        CacheKey::of(&parts)
    }
}

/// One call to STS, for all who want the same.
struct Call {
    sts: Arc<dyn WebIdentitySts>,
    flight: Flight,
    authorized: Authorized,
}

impl Call {
    async fn run(self, app: Arc<App>, command: CredentialsCommand) -> Result<(), CredentialsError> {
        let Self { sts, flight, authorized } = self;
        let (minted, claimed) = match authorized.mint(&app).await {
            Ok(minted) => minted,
            Err(error) => {
                flight.bad(spent(&error).map_or(Landed::NotMinted, Landed::Spent));
                return Err(error.into());
            }
        };
        let named_by_mint = || SessionName::parse(&minted.mint_id.to_string());
        let request = AssumeRole {
            role: command.role,
            session_name: command.session_name.map_or_else(named_by_mint, Ok).map_err(|_| CredentialsError::Lost)?,
            duration_seconds: command.duration_seconds,
            token: SecretString::from(minted.token.expose()),
            terms: minted.session.clone(),
        };
        let limit = app.settings.sts.call;
        let answer = match tokio::time::timeout(limit, sts.assume_role(&request)).await {
            Ok(answer) => answer,
            Err(_) => Err(StsError::outage(&format!("it took longer than {} s", limit.as_secs()))),
        };
        let error = match answer {
            Ok(credentials) => {
                // Nothing is handed out that the ledger does not know.
                if let Err(error) =
                    record(&app, &request, &minted, &credentials, command.request_id, command.remote).await
                {
                    flight.bad(Landed::NotMinted);
                    if let Some(claimed) = claimed {
                        claimed.release(&app).await;
                    }
                    return Err(error.into());
                }
                match flight.good(credentials, app.clock.now()) {
                    Ok(()) => return Ok(()),
                    Err(error) => error,
                }
            }
            Err(error) => {
                flight.bad(Landed::Sts(error.clone()));
                error
            }
        };
        app.figures.role_credentials(if error.fault().is_some() { "refused" } else { "unavailable" });
        if let Some(claimed) = claimed {
            // Nothing was given out for the CI token: it can be shown again.
            claimed.release(&app).await;
        }
        Err(error.into())
    }
}

/// Writes which credentials came of a token.
async fn record(
    app: &App,
    request: &AssumeRole,
    minted: &Minted,
    credentials: &SessionCredentials,
    request_id: RequestId,
    remote: IpAddr,
) -> Result<(), MintError> {
    let now = app.clock.now();
    let fetched = Fetched {
        fetch_id: FetchId::generate(now, &*app.random)?,
        mint_id: minted.mint_id,
        role: request.role.clone(),
        assume_then: request.terms.assume_then.clone(),
        sts_request_id: credentials.sts_request_id.clone(),
        access_key_id: credentials.access_key_id.clone(),
        expires_at: credentials.expires_at.as_second(),
    };
    let entry = LedgerEntry {
        format: FORMAT,
        at_ms: now.as_millisecond(),
        request_id,
        route: ROUTE.to_owned(),
        remote: Some(remote.to_string()),
        credential: minted.credential.clone(),
        source: Some(minted.source.as_str().to_owned()),
        identity: Some(minted.identity.clone()),
        rule: Some(minted.rule.clone()),
        run: None,
        outcome: Outcome::Fetched(fetched),
    };
    app.ledger.append(entry, app.ledger_deadline()).await.inspect_err(|_| app.figures.ledger_failed())?;
    Ok(())
}

fn spent(error: &MintError) -> Option<Spent> {
    match error {
        MintError::Unauthenticated(IdentifyError::Spent(spent)) => Some(spent.clone()),
        _ => None,
    }
}
