//! Making the checks.

use std::ops::ControlFlow;

use tagmint_core::{
    clock::Clock,
    random::{Random, RandomUnavailable},
};

use super::{
    bad_token::{BadToken, unfit},
    chain,
    explain::{Attempt, Explainer},
    litter::Litter,
    plan::{Access, Check, Kind, Offered, Operation, Plan},
    prefix::{Prefix, random_name},
    report::{Left, Outcome, Report, Row},
    store::Store,
};
use crate::{
    assume::policy_arns,
    connection::{Connection, Service, SessionKeys},
    failure::Failure,
    token::Token,
};

/// How long the proof's session lives, in seconds: the least that STS gives.
const SESSION_SECONDS: i32 = 900;
/// What the proof writes.
const BODY: &str = "written by `tagmint prove`, which removes it\n";
/// The beginning of the names that the proof makes.
const NAME: &str = ".tagmint-prove-";

/// Why the proof could not be ended.
#[derive(Debug, thiserror::Error)]
pub enum ProveError {
    /// A service did not answer, or nothing could be sent to it.
    #[error("{failure}{}", told(left))]
    Stopped {
        /// What happened.
        failure: Failure,
        /// What was written before and is still there.
        left: Vec<Left>,
    },
    /// The one who is told the rows wanted no more.
    #[error("interrupted: what is above was checked, the rest was not{}", told(left))]
    Interrupted {
        /// What was written before and is still there.
        left: Vec<Left>,
    },
    /// No names could be made.
    #[error(transparent)]
    Random(#[from] RandomUnavailable),
}

fn told(left: &[Left]) -> String {
    let keys: Vec<&str> = left.iter().map(|left| left.key.as_str()).collect();
    if keys.is_empty() { String::new() } else { format!("; what was written is still there: {}", keys.join(", ")) }
}

/// Makes all checks of the plan in order. Each row is told when it is known; whoever is told may end it there. What was written is removed,
/// however it ends.
pub async fn run(
    plan: &Plan,
    connection: &Connection,
    clock: &dyn Clock,
    random: &dyn Random,
    mut on_row: impl FnMut(&Row) -> ControlFlow<()>,
) -> Result<Report, ProveError> {
    let mut run = Run {
        plan,
        connection,
        clock,
        random,
        explainer: Explainer::new(plan, connection),
        litter: Litter::default(),
        session: None,
        listed: None,
        written: None,
    };
    let mut rows = Vec::new();
    let mut stopped = None;
    for check in plan.checks() {
        let kind = check.kind;
        match run.check(kind).await {
            Ok(seen) => {
                let row = row(check, seen, plan.require_all);
                let go_on = on_row(&row);
                rows.push(row);
                if go_on.is_break() {
                    stopped = Some(Stop::Interrupted);
                    break;
                }
            }
            Err(stop) => {
                stopped = Some(stop);
                break;
            }
        }
        // At once, but for the own object, which is read next.
        if kind != Kind::OwnWrite {
            run.litter.clear(run.session.as_ref(), connection, &plan.bucket).await;
        }
    }
    run.litter.clear(run.session.as_ref(), connection, &plan.bucket).await;
    let left = run.litter.into_left();
    match stopped {
        None => Ok(Report { rows, left }),
        Some(Stop::Failure(failure)) => Err(ProveError::Stopped { failure, left }),
        Some(Stop::Random(error)) => Err(error.into()),
        Some(Stop::Interrupted) => Err(ProveError::Interrupted { left }),
    }
}

/// What ends the proof at once.
enum Stop {
    Failure(Failure),
    Random(RandomUnavailable),
    Interrupted,
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

impl From<RandomUnavailable> for Stop {
    fn from(error: RandomUnavailable) -> Self {
        Self::Random(error)
    }
}

/// What came of a check.
struct Seen {
    outcome: Outcome,
    observed: String,
    explanation: Option<String>,
}

/// Why a check that needs the session was not made.
pub const NO_SESSION: &str = "no session was opened";
/// Why a check of a bad token was not made.
pub const NO_COMPARISON: &str = "the good token is refused, too: this refusal would prove nothing";

impl Seen {
    fn passed(observed: impl Into<String>) -> Self {
        Self { outcome: Outcome::Passed, observed: observed.into(), explanation: None }
    }

    fn failed(observed: impl Into<String>, explanation: String) -> Self {
        Self { outcome: Outcome::Failed, observed: observed.into(), explanation: Some(explanation) }
    }

    fn unknown(why: impl Into<String>) -> Self {
        Self { outcome: Outcome::NotChecked, observed: why.into(), explanation: None }
    }
}

fn row(check: Check, seen: Seen, require_all: bool) -> Row {
    let Check { name, proves, expected, .. } = check;
    let Seen { mut outcome, observed, mut explanation } = seen;
    if outcome == Outcome::NotChecked && require_all {
        outcome = Outcome::Failed;
        explanation = Some("it could not be checked, and all checks are required".to_owned());
    }
    Row { name, proves, expected: expected.to_owned(), observed, outcome, explanation }
}

/// What STS gave.
struct Assumed {
    keys: SessionKeys,
    arn: String,
    provider: String,
}

/// The service's answer; an error where it gave none.
fn answered<T>(result: Result<T, Failure>) -> Result<Result<T, Failure>, Failure> {
    match result {
        Err(refusal @ Failure::Refused { .. }) => Ok(Err(refusal)),
        Err(silence) => Err(silence),
        Ok(done) => Ok(Ok(done)),
    }
}

struct Run<'a> {
    plan: &'a Plan,
    connection: &'a Connection,
    clock: &'a dyn Clock,
    random: &'a dyn Random,
    explainer: Explainer<'a>,
    litter: Litter,
    session: Option<Store>,
    /// The first object that the own prefix listed.
    listed: Option<String>,
    /// The object that was written below the own prefix.
    written: Option<String>,
}

impl Run<'_> {
    async fn check(&mut self, kind: Kind) -> Result<Seen, Stop> {
        match kind {
            Kind::Assume => Ok(self.assume_good().await?),
            Kind::Token(which) => Ok(self.refuse_token(which).await?),
            _ if self.session.is_none() => Ok(Seen::unknown(NO_SESSION)),
            Kind::OwnList => self.own_list().await,
            Kind::OwnWrite => self.own_write().await,
            Kind::OwnWriteRefused => {
                let key = self.plan.own.key(&self.name()?);
                self.put_refused(&key).await
            }
            Kind::OwnRead => self.own_read().await,
            Kind::OwnListBare => {
                let prefix = self.plan.own.as_str().to_owned();
                self.list_refused(Some(&prefix)).await
            }
            Kind::Foreign(place, operation) => self.foreign(place, operation).await,
        }
    }

    async fn assume_good(&mut self) -> Result<Seen, Failure> {
        match answered(self.assume(&self.plan.tokens.good).await)? {
            Ok(Assumed { keys, arn, .. }) if self.plan.terms.assume_then.is_some() => {
                match answered(chain::next(self.connection, self.plan, keys, SESSION_SECONDS.unsigned_abs()).await)? {
                    Ok((keys, next)) => {
                        self.session = Some(Store::new(self.connection.session_s3(&keys), &self.plan.bucket));
                        Ok(Seen::passed(format!("{arn}, then {next}")))
                    }
                    Err(refusal) => {
                        let second = self.plan.terms.assume_then.as_deref().unwrap_or_default();
                        let why = format!(
                            "the second role, {second}: its trust policy must allow the first one sts:AssumeRole, sts:TagSession and \
                             sts:SetSourceIdentity, and the first one's own policy too where it is in another account"
                        );
                        Ok(Seen::failed(format!("{arn}, and then {refusal}"), why))
                    }
                }
            }
            Ok(Assumed { keys, arn, provider }) => {
                let client = self.connection.session_s3(&keys);
                self.session = Some(Store::new(client, &self.plan.bucket));
                self.explainer.opened(&arn, &provider);
                Ok(Seen::passed(arn))
            }
            Err(refusal) => {
                let explanation = self.explainer.refused_token(&self.plan.tokens.good, self.clock.now()).await;
                Ok(Seen::failed(refusal.to_string(), explanation))
            }
        }
    }

    async fn assume(&self, token: &Token) -> Result<Assumed, Failure> {
        let call = self.connection.sts().assume_role_with_web_identity();
        let call = call.role_arn(&self.plan.role_arn).role_session_name(&self.plan.session_name);
        let call = match self.plan.terms.assume_then {
            // Session policies are for the second session.
            Some(_) => call,
            None => call.set_policy(self.plan.terms.policy.clone()).set_policy_arns(policy_arns(&self.plan.terms)),
        };
        let answer = call.web_identity_token(token.expose()).duration_seconds(SESSION_SECONDS).send().await;
        let answer = answer.map_err(|error| Failure::of(&self.connection.named(Service::Sts), &error))?;
        let keys = answer.credentials().ok_or_else(|| Failure::incomplete("credentials"))?;
        let arn = answer.assumed_role_user().map_or("", |user| user.arn());
        let provider = answer.provider().unwrap_or_default();
        Ok(Assumed { keys: SessionKeys::new(keys), arn: arn.to_owned(), provider: provider.to_owned() })
    }

    async fn refuse_token(&mut self, which: BadToken) -> Result<Seen, Failure> {
        let token = match self.plan.token(which) {
            Offered::Token(token) => token,
            Offered::Missing(why) => return Ok(Seen::unknown(why)),
        };
        if self.session.is_none() {
            return Ok(Seen::unknown(NO_COMPARISON));
        }
        let now = self.clock.now();
        if let Some(why) = unfit(self.plan, which, &token, now) {
            return Ok(Seen::unknown(why));
        }
        let refusal = match answered(self.assume(&token).await)? {
            Ok(Assumed { arn, .. }) => {
                let explanation = self.explainer.accepted_token(which, &token, now).await;
                return Ok(Seen::failed(format!("a session: {arn}"), explanation));
            }
            Err(refusal) => refusal,
        };
        let code = refusal.code().unwrap_or_default();
        // Stores that are not AWS don't say why.
        if which.codes().contains(&code) || (!self.connection.is_aws() && refusal.is_access_denied()) {
            // STS says the same of a subject that does not fit.
            if which == BadToken::Untagged
                && let Some(reason) = self.explainer.refused_for_another_reason(&token, now).await
            {
                return Ok(Seen::unknown(format!("it is refused for another reason, which proves nothing: {reason}")));
            }
            return Ok(Seen::passed(refusal.short()));
        }
        Ok(Seen::unknown(format!("it is refused for another reason, which proves nothing: {refusal}")))
    }

    async fn own_list(&mut self) -> Result<Seen, Stop> {
        let prefix = self.plan.own.listed();
        match answered(self.store()?.list(Some(&prefix)).await)? {
            Ok(keys) => {
                self.listed = keys.iter().find(|key| !key.ends_with('/')).cloned();
                Ok(Seen::passed(format!("200, {}", counted(keys.len()))))
            }
            Err(refusal) => Ok(self.broken(Attempt::list(Some(&prefix)), &refusal).await),
        }
    }

    async fn own_write(&mut self) -> Result<Seen, Stop> {
        let key = self.plan.own.key(&self.name()?);
        match answered(self.put(&key).await)? {
            Ok(()) => {
                self.written = Some(key);
                Ok(Seen::passed("200"))
            }
            Err(refusal) => Ok(self.broken(Attempt::on(Operation::Put, &key), &refusal).await),
        }
    }

    async fn own_read(&mut self) -> Result<Seen, Stop> {
        if let Some(key) = self.written.take() {
            return match answered(self.store()?.read(&key).await)? {
                Ok(content) if content == BODY.as_bytes() => Ok(Seen::passed("200, as it was written")),
                Ok(_) => Ok(Seen::failed(
                    "200, other content than was written",
                    "another writer, or a broken store".to_owned(),
                )),
                Err(refusal) => Ok(self.broken(Attempt::on(Operation::Get, &key), &refusal).await),
            };
        }
        let named = match &self.plan.access {
            Access::ReadOnly { own_object } => own_object.clone(),
            Access::ReadWrite => None,
        };
        let key = match named.or_else(|| self.listed.clone()) {
            Some(key) => key,
            None => match self.plant(self.plan.own.key(&self.name()?)).await {
                Ok(key) => key,
                Err(why) => {
                    let why = format!(
                        "no object to read: none is listed below the own prefix, none is named (--own-object), and {why}"
                    );
                    return Ok(Seen::unknown(why));
                }
            },
        };
        match answered(self.store()?.open(&key).await)? {
            Ok(_) => Ok(Seen::passed("200")),
            Err(refusal) => Ok(self.broken(Attempt::on(Operation::Get, &key), &refusal).await),
        }
    }

    async fn foreign(&mut self, place: Option<usize>, operation: Operation) -> Result<Seen, Stop> {
        let plan = self.plan;
        let prefix = place.and_then(|index| plan.neighbours.get(index)).map(|neighbour| &neighbour.prefix);
        let name = self.name()?;
        let key = prefix.map_or_else(|| name.clone(), |prefix| prefix.key(&name));
        match operation {
            Operation::List => self.list_refused(prefix.map(Prefix::listed).as_deref()).await,
            Operation::Put => self.put_refused(&key).await,
            Operation::Delete => match answered(self.store()?.delete(&key, None).await)? {
                Ok(marker) => {
                    if let Some(marker) = marker {
                        self.litter.marked(&key, marker);
                    }
                    Ok(self.open(Attempt::on(Operation::Delete, &key), "200, deleting is allowed").await)
                }
                Err(refusal) => Ok(self.refused(Attempt::on(Operation::Delete, &key), &refusal).await),
            },
            Operation::Get => {
                let named = plan.neighbour_object.as_ref();
                match named.filter(|object| prefix.is_some_and(|prefix| prefix.holds(object))) {
                    Some(object) => self.get_refused(object, Ok(())).await,
                    None => match self.plant(key.clone()).await {
                        Ok(_) => self.get_refused(&key, Ok(())).await,
                        Err(why) => self.get_refused(&key, Err(why)).await,
                    },
                }
            }
        }
    }

    async fn list_refused(&mut self, prefix: Option<&str>) -> Result<Seen, Stop> {
        match answered(self.store()?.list(prefix).await)? {
            Ok(keys) => Ok(self.open(Attempt::list(prefix), &format!("200, {}", counted(keys.len()))).await),
            Err(refusal) => Ok(self.refused(Attempt::list(prefix), &refusal).await),
        }
    }

    async fn put_refused(&mut self, key: &str) -> Result<Seen, Stop> {
        match answered(self.put(key).await)? {
            Ok(()) => Ok(self.open(Attempt::on(Operation::Put, key), "200, it was written").await),
            Err(refusal) => Ok(self.refused(Attempt::on(Operation::Put, key), &refusal).await),
        }
    }

    /// Reads what must not be read. `there`: the object is known to be there, or why it is not.
    ///
    /// To who may not list, S3 says `AccessDenied` of an object that is not there, even where reading is allowed (API reference of S3,
    /// `GetObject`, "Permissions"). AWS's words then name `s3:ListBucket`.
    async fn get_refused(&mut self, key: &str, there: Result<(), String>) -> Result<Seen, Stop> {
        let attempt = Attempt::on(Operation::Get, key);
        let Err(refusal) = answered(self.store()?.open(key).await)? else {
            return Ok(self.open(attempt, "200, the object was handed out").await);
        };
        let Failure::Refused { message, .. } = &refusal else { return Err(refusal.into()) };
        let names = |action: &str| message.contains(action);
        if refusal.is_access_denied() && names("s3:ListBucket") && !names("s3:GetObject") {
            let observed = "403 for s3:ListBucket: reading is allowed, and no object is there";
            return Ok(self.open(attempt, observed).await);
        }
        if refusal.code() == Some("NoSuchKey") {
            return Ok(self.open(attempt, "404 NoSuchKey: reading is allowed, and no object is there").await);
        }
        match there {
            Err(why) if refusal.is_access_denied() && !names("s3:GetObject") => Ok(Seen::unknown(format!(
                "{}, as for any object that is not there: name one that is (--neighbour-object), because {why}",
                refusal.short()
            ))),
            Ok(()) | Err(_) => Ok(self.refused(attempt, &refusal).await),
        }
    }

    /// The verdict on something that must be refused and was not done.
    async fn refused(&mut self, attempt: Attempt<'_>, refusal: &Failure) -> Seen {
        if refusal.is_access_denied() { Seen::passed(refusal.short()) } else { self.broken(attempt, refusal).await }
    }

    /// Something that must be done was refused, or another error than a refusal of access came.
    async fn broken(&mut self, attempt: Attempt<'_>, refusal: &Failure) -> Seen {
        Seen::failed(refusal.short(), self.explainer.refused(attempt, refusal).await)
    }

    /// Something that must be refused was done.
    async fn open(&mut self, attempt: Attempt<'_>, observed: &str) -> Seen {
        Seen::failed(observed, self.explainer.allowed(attempt).await)
    }

    /// Writes as the session.
    async fn put(&mut self, key: &str) -> Result<(), Failure> {
        let Some(session) = &self.session else { return Err(Failure::incomplete("session")) };
        self.litter.expect(key);
        let outcome = session.put(key, BODY).await;
        self.litter.settle(&outcome);
        outcome.map(|_| ())
    }

    /// Writes as the operator, so that there is something to be read or refused. Why it could not be is told.
    async fn plant(&mut self, key: String) -> Result<String, String> {
        let told = |failure: Failure| match failure {
            Failure::NoCredentials { .. } => "there are no AWS credentials to put one there".to_owned(),
            other => format!("the operator's credentials may not write one ({})", other.short()),
        };
        let client = self.connection.operator_s3().await.map_err(told)?;
        let store = Store::new(client, &self.plan.bucket);
        self.litter.expect(&key);
        let outcome = store.put(&key, BODY).await;
        self.litter.settle(&outcome);
        outcome.map(|_| key).map_err(told)
    }

    fn store(&self) -> Result<&Store, Failure> {
        self.session.as_ref().ok_or_else(|| Failure::incomplete("session"))
    }

    /// A name that nothing has.
    fn name(&self) -> Result<String, RandomUnavailable> {
        Ok(format!("{NAME}{}", random_name(self.random)?))
    }
}

fn counted(keys: usize) -> String {
    if keys == 1 { "1 key".to_owned() } else { format!("{keys} keys") }
}

#[cfg(test)]
mod tests;
