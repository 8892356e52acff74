//! Minting: authenticate, decide, build and check the claims, sign, record, release.
//!
//! The order is the product's promise. No token leaves without its row in the ledger. A refusal leaves a row too, or is counted where
//! unidentified callers have used up theirs (see the module `refusals`). A row may exist for a token that no client received (the process ended in
//! between); never the other way round.

use std::net::IpAddr;

use jiff::Timestamp;
use secrecy::SecretString;
use tagmint_core::{
    claims::Claims,
    id::{MintId, RequestId},
    identity::{CredentialId, IdentitySource, VerifiedIdentity},
    jws::{self, SignError, Token},
    ledger::{FORMAT, LedgerEntry, Minted as MintedEntry, Outcome, Run},
    random::RandomUnavailable,
    rules::{Decision, Denial, Grant, MintRequest, SessionTerms},
    sanitize,
    tags::SessionTags,
};
use tagmint_store::{LedgerError, StoreError};

use super::authenticate::AuthenticateError;
use super::identify::{Accepts, CiTokenUse, ClaimError, Claimed, Identified, IdentifyError, Spent, identify};
use super::refusals::{self, Caller, Refusal, Unrecorded};
use crate::{app::App, key_cache::NoSigner, limits::TooMany};

/// A request for a token, by whatever route it came.
#[derive(Debug, Clone)]
pub struct MintCommand {
    /// The HTTP request.
    pub request_id: RequestId,
    /// Method and path by which it came.
    pub route: &'static str,
    /// The caller's address.
    pub remote: IpAddr,
    /// The presented credential.
    pub credential: Option<SecretString>,
    /// What the route takes as proof.
    pub accepts: Accepts,
    /// What is asked for.
    pub request: MintRequest,
}

/// A token, recorded in the ledger and ready to hand out.
#[derive(Debug)]
pub struct Minted {
    /// The signed token.
    pub token: Token,
    /// Its `jti`.
    pub mint_id: MintId,
    /// Its `sub`.
    pub subject: String,
    /// Its `aud`.
    pub audience: String,
    /// Its tags.
    pub tags: SessionTags,
    /// Its lifetime, in seconds.
    pub lifetime_seconds: u32,
    /// Its `exp`.
    pub expires_at: Timestamp,
    /// The identity that asked.
    pub identity: String,
    /// The credential that the caller presented, by its id.
    pub credential: Option<String>,
    /// How the caller proved itself.
    pub source: IdentitySource,
    /// The rule that decided.
    pub rule: String,
    /// What the role session is to be that it opens.
    pub session: SessionTerms,
}

/// Why no token came out.
#[derive(Debug, thiserror::Error)]
pub enum MintError {
    /// The caller is not who it would have to be.
    #[error(transparent)]
    Unauthenticated(IdentifyError),
    /// The platform's keys are not at hand, so that its token can't be judged.
    #[error(transparent)]
    Upstream(IdentifyError),
    /// Too many requests of this credential, too many from this address whose credential proves nothing, or too many without one. Not
    /// recorded: the ledger must not be filled by strangers.
    #[error("too many requests by {}", .0.bucket)]
    TooMany(TooMany),
    /// The rules say no; and, where the operator lets callers know, which condition of the nearest rule missed.
    #[error("{}", denial(.0))]
    Denied(Denial, Option<String>),
    /// The rule gave more than fits into a token.
    #[error("rule `{rule}`: {error}")]
    Unsignable {
        /// The rule.
        rule: String,
        /// What AWS would refuse.
        error: SignError,
    },
    /// No key may sign now.
    #[error("{0}")]
    NoSigningKey(NoSigner),
    /// The keys could not be read from the database for so long that another process may have rotated them.
    #[error("the signing keys have not been read from the database for {0} s")]
    StaleKeys(i64),
    /// The key failed.
    #[error(transparent)]
    Signing(SignError),
    /// The ledger cannot be written: nothing is released.
    #[error("the ledger cannot be written: {0}")]
    Ledger(#[from] LedgerError),
    /// The database did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No id could be made.
    #[error(transparent)]
    Random(#[from] RandomUnavailable),
}

fn denial(denial: &Denial) -> String {
    match &denial.rule {
        Some(rule) => format!("rule `{rule}`: {}", denial.reason),
        None => denial.reason.to_string(),
    }
}

impl MintError {
    /// The stable code for the ledger, metrics and problems.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unauthenticated(error) | Self::Upstream(error) => error.code(),
            Self::TooMany(_) => "too_many_requests",
            Self::Denied(denial, _) => denial.reason.code(),
            Self::Unsignable { .. } => "token_not_acceptable_to_aws",
            Self::NoSigningKey(_) => "no_signing_key",
            Self::StaleKeys(_) => "stale_keys",
            Self::Signing(_) => "signing",
            Self::Ledger(_) => "ledger",
            Self::Store(_) => "database",
            Self::Random(_) => "randomness",
        }
    }

    /// Whether this is a verdict about the caller, to be recorded, and not a failure of ours.
    pub(crate) const fn is_refusal(&self) -> bool {
        matches!(self, Self::Unauthenticated(_) | Self::Denied(..) | Self::Unsignable { .. })
    }
}

/// What is known of the caller by the time a row is written.
#[derive(Debug)]
struct Known {
    caller: Caller,
    /// Whether the caller may be anybody: it was not identified, or presented nothing, or a CI platform vouches for it.
    anybody: bool,
    /// Whether a CI platform vouches for the caller.
    from_platform: bool,
    /// What the log says of a job.
    about: Option<String>,
}

impl Default for Known {
    fn default() -> Self {
        Self { caller: Caller::default(), anybody: true, from_platform: false, about: None }
    }
}

impl From<Unrecorded> for MintError {
    fn from(error: Unrecorded) -> Self {
        match error {
            Unrecorded::Ledger(error) => error.into(),
            Unrecorded::Random(error) => error.into(),
        }
    }
}

/// A request that the rules grant, of somebody who has proved who they are. Nothing is signed or recorded yet.
#[derive(Debug)]
pub(crate) struct Authorized {
    command: MintCommand,
    now: Timestamp,
    known: Known,
    identity: VerifiedIdentity,
    ci_token: Option<CiTokenUse>,
    grant: Grant,
}

impl From<ClaimError> for MintError {
    fn from(error: ClaimError) -> Self {
        match error {
            ClaimError::Spent(spent) => Self::Unauthenticated(spent.into()),
            ClaimError::TooOften(too_many) => Self::TooMany(too_many),
            ClaimError::Store(error) => Self::Store(error),
        }
    }
}

/// Mints a token, or refuses; either way the ledger knows before the caller does.
pub async fn mint(app: &App, command: MintCommand) -> Result<Minted, MintError> {
    let (minted, _) = authorize(app, command).await?.mint(app).await?;
    Ok(minted)
}

/// Finds out who asks, and asks the rules. A refusal is recorded.
pub(crate) async fn authorize(app: &App, command: MintCommand) -> Result<Authorized, MintError> {
    let now = app.clock.now();
    let mut known = Known::default();
    match decide(app, &command, now, &mut known).await {
        Ok((Identified { identity, ci_token }, grant)) => {
            Ok(Authorized { command, now, known, identity, ci_token, grant })
        }
        Err(error) => Err(refuse(app, &command, now, known, error).await),
    }
}

impl Authorized {
    /// What the rules give.
    pub(crate) const fn grant(&self) -> &Grant {
        &self.grant
    }

    /// Whether the proof is good for one token alone.
    pub(crate) const fn is_single_use(&self) -> bool {
        self.ci_token.is_some()
    }

    /// Claims the CI token's use, signs and records. The claim comes back with the token, for a caller who may have to release it.
    pub(crate) async fn mint(self, app: &App) -> Result<(Minted, Option<Claimed>), MintError> {
        let Self { command, now, known, identity, ci_token, grant } = self;
        let (minted, entry, claimed) = match issue(app, &identity, ci_token, grant, command.remote, now).await {
            Ok(issued) => issued,
            Err(error) => return Err(refuse(app, &command, now, known, error).await),
        };
        let (rule, roles) = (known.caller.rule.clone(), entry.roles.join(" "));
        let row = row(&command, now, known.caller, entry);
        if let Err(error) = app.ledger.append(row, app.ledger_deadline()).await {
            app.figures.ledger_failed();
            release(app, claimed).await;
            return Err(error.into());
        }
        tracing::debug!(
            mint_id = %minted.mint_id, route = command.route, subject = %minted.subject, audience = %minted.audience,
            rule = rule.as_deref().unwrap_or_default(), roles, expires_at = %minted.expires_at, "token minted"
        );
        app.figures.minted(command.route);
        if identity.source == IdentitySource::Anonymous {
            app.figures.minted_anonymously();
        }
        Ok((minted, claimed))
    }

    /// Refuses after all, because the CI token turned out to be spent, and records that.
    pub(crate) async fn refuse_spent(self, app: &App, spent: Spent) -> MintError {
        let error = MintError::Unauthenticated(spent.into());
        refuse(app, &self.command, self.now, self.known, error).await
    }
}

/// Records a refusal; any other error is returned as it is.
async fn refuse(app: &App, command: &MintCommand, now: Timestamp, known: Known, error: MintError) -> MintError {
    if !error.is_refusal() {
        return error;
    }
    // Anybody can have jobs, and good tokens of them without end: what they are refused must not fill the ledger. Where nobody was
    // identified the address has paid already.
    if known.from_platform
        && let Err(too_many) = refusals::check_failed(app, command.remote, now)
    {
        return MintError::TooMany(too_many);
    }
    let refusal = Refusal {
        what: "mint",
        request_id: command.request_id,
        route: command.route,
        remote: command.remote,
        at: now,
        caller: known.caller,
        anybody: known.anybody,
        about: known.about,
        code: error.code(),
        detail: error.to_string(),
    };
    if let Err(unrecorded) = refusals::record(app, refusal).await {
        return unrecorded.into();
    }
    app.figures.refused(error.code());
    error
}

async fn decide(
    app: &App,
    command: &MintCommand,
    now: Timestamp,
    known: &mut Known,
) -> Result<(Identified, Grant), MintError> {
    let credential = command.credential.as_ref();
    if let Some(credential) = credential {
        app.limits.check_credential(credential).map_err(MintError::TooMany)?;
    } else if command.accepts.is_anonymous(app, credential) {
        app.limits.check_anonymous(command.remote).map_err(MintError::TooMany)?;
    }
    let identified = match identify(app, command.accepts, now, credential).await {
        Ok(identified) => identified,
        Err(IdentifyError::Credential(AuthenticateError::Store(error))) => return Err(MintError::Store(error)),
        Err(error) if !error.is_refusal() => return Err(MintError::Upstream(error)),
        Err(error) => {
            refusals::check_failed(app, command.remote, now).map_err(MintError::TooMany)?;
            return Err(MintError::Unauthenticated(error));
        }
    };
    let identity = &identified.identity;
    known.caller.credential = presented(identity);
    known.caller.source = Some(identity.source.as_str().to_owned());
    known.caller.identity = Some(identity.subject.clone());
    known.from_platform = identity.trusted_issuer.is_some();
    known.anybody = known.from_platform || identity.source == IdentitySource::Anonymous;
    known.about = about(identity);
    command.accepts.check(identity).map_err(MintError::Unauthenticated)?;
    let rules = app.rules();
    let Decision { result, shadows } = rules.decide(identity, &command.request);
    for shadow in &shadows {
        app.figures.shadowed(shadow.rule.as_str(), shadow.result.is_ok());
    }
    let run = Run::of(identity, &command.request, command.remote, rules.hash()).with_shadows(&shadows);
    known.caller.run = Some(Box::new(run));
    let grant = result.map_err(|denial| {
        known.caller.rule = denial.rule.as_ref().map(ToString::to_string);
        let hint = app.settings.explain_refusals.then(|| rules.hint(identity, &command.request)).flatten();
        MintError::Denied(denial, hint)
    })?;
    known.caller.rule = Some(grant.rule.to_string());
    Ok((identified, grant))
}

fn presented(identity: &VerifiedIdentity) -> Option<String> {
    (identity.credential != CredentialId::Absent).then(|| identity.credential.to_string())
}

/// What of a job's attributes the rules mostly look at: for the log, where nothing but the ids says why no rule took it.
fn about(identity: &VerifiedIdentity) -> Option<String> {
    const TELLING: [&str; 8] = [
        "repository_id",
        "project_id",
        "ref",
        "event_name",
        "pipeline_source",
        "environment",
        "ref_protected",
        "workflow_ref",
    ];
    let provider = identity.trusted_issuer.as_ref()?;
    let told = TELLING.iter().filter_map(|name| Some(format!(" {name}={}", identity.attributes.get(*name)?)));
    let about: String = std::iter::once(format!("trusted_issuer={provider}")).chain(told).collect();
    Some(sanitize::text(&about).into_owned())
}

/// Claims the CI token and signs.
async fn issue(
    app: &App,
    identity: &VerifiedIdentity,
    ci_token: Option<CiTokenUse>,
    grant: Grant,
    remote: IpAddr,
    now: Timestamp,
) -> Result<(Minted, MintedEntry, Option<Claimed>), MintError> {
    // Between the decision and the signature: a refused request leaves the CI token unused, and no token is signed for a used one.
    let claimed = match ci_token {
        Some(token) => Some(token.claim(app, &grant, remote, now).await?),
        None => None,
    };
    match sign(app, identity, grant, now).await {
        Ok((minted, entry)) => Ok((minted, entry, claimed)),
        Err(error) => {
            release(app, claimed).await;
            Err(error)
        }
    }
}

async fn release(app: &App, claimed: Option<Claimed>) {
    if let Some(claimed) = claimed {
        claimed.release(app).await;
    }
}

async fn sign(
    app: &App,
    identity: &VerifiedIdentity,
    grant: Grant,
    now: Timestamp,
) -> Result<(Minted, MintedEntry), MintError> {
    let view = app.fresh_keys().await?;
    let signer = view.signing.as_deref().ok_or_else(|| MintError::NoSigningKey(view.no_signer()))?;
    let claims = Claims {
        issuer: app.settings.stamp.issuer.clone(),
        subject: grant.subject,
        audience: grant.audience,
        mint_id: MintId::generate(now, &*app.random)?,
        issued_at: now,
        lifetime: grant.lifetime,
        tags: grant.tags,
        roles: grant.roles,
        optional: app.settings.optional_claims,
    };
    let token = jws::sign(&claims, signer).map_err(|error| match error {
        SignError::Claim(_) => MintError::Unsignable { rule: grant.rule.to_string(), error },
        SignError::Signing(_) => MintError::Signing(error),
    })?;
    let entry = MintedEntry {
        mint_id: claims.mint_id,
        kid: signer.kid().to_string(),
        subject: claims.subject.to_string(),
        audience: claims.audience.to_string(),
        tags: serde_json::to_value(&claims.tags).unwrap_or_default(),
        roles: claims.roles.iter().map(ToString::to_string).collect(),
        issued_at: now.as_second(),
        expires_at: claims.expires_at(),
    };
    let minted = Minted {
        token,
        mint_id: claims.mint_id,
        subject: entry.subject.clone(),
        audience: entry.audience.clone(),
        lifetime_seconds: claims.lifetime.seconds(),
        expires_at: Timestamp::from_second(claims.expires_at()).unwrap_or(now),
        tags: claims.tags,
        identity: identity.subject.clone(),
        credential: presented(identity),
        source: identity.source,
        rule: grant.rule.to_string(),
        session: grant.session,
    };
    Ok((minted, entry))
}

fn row(command: &MintCommand, now: Timestamp, caller: Caller, minted: MintedEntry) -> LedgerEntry {
    let Caller { credential, source, identity, rule, run } = caller;
    LedgerEntry {
        format: FORMAT,
        at_ms: now.as_millisecond(),
        request_id: command.request_id,
        route: command.route.to_owned(),
        remote: Some(command.remote.to_string()),
        credential,
        source,
        identity,
        rule,
        run,
        outcome: Outcome::Minted(minted),
    }
}
