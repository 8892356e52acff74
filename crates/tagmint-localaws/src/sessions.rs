//! Who calls: the administrator, or the holder of credentials that STS gave.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use jiff::Timestamp;
use tagmint_iam::{context::Context, evaluate::Caller, policy::Policy};

use crate::scope::Scope;

/// The administrator's unique id.
pub const ADMINISTRATOR_ID: &str = "AIDATAGMINTLOCALAWS00";

/// A session of a role, with its credentials.
#[derive(Clone)]
pub struct Session {
    /// `ASIA…`
    pub access_key: String,
    /// The secret of the access key.
    pub secret: String,
    /// What every request has to bring along.
    pub token: String,
    /// The role's ARN.
    pub role_arn: String,
    /// The role's id at the time: a role that was made anew is another one.
    pub role_id: String,
    /// The session's ARN.
    pub arn: String,
    /// The session's name.
    pub name: String,
    /// When it ends.
    pub expires_at: Timestamp,
    /// The keys that its requests have.
    pub context: Context,
    /// The session policies; none where it was made without.
    pub policies: Option<Vec<Policy>>,
    /// The session tags that go on into the next role.
    pub transitive: Vec<(String, String)>,
    /// The source identity, which no later role can change.
    pub source_identity: Option<String>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("arn", &self.arn).field("access_key", &self.access_key).finish_non_exhaustive()
    }
}

/// Who makes a request.
#[derive(Debug, Clone)]
pub enum Principal {
    /// The administrator of the account, who may do everything that no policy denies.
    Administrator(Arc<Scope>),
    /// A session of a role.
    Session(Box<Session>),
    /// Nobody: an unsigned request.
    Anonymous,
}

impl Principal {
    /// The ARN that refusals name.
    pub fn arn(&self) -> String {
        match self {
            Self::Administrator(scope) => scope.iam("user/administrator"),
            Self::Session(session) => session.arn.clone(),
            Self::Anonymous => "anonymous".to_owned(),
        }
    }

    /// `UserId` of `GetCallerIdentity`.
    pub fn user_id(&self) -> String {
        match self {
            Self::Administrator(_) => ADMINISTRATOR_ID.to_owned(),
            Self::Session(session) => format!("{}:{}", session.role_id, session.name),
            Self::Anonymous => "anonymous".to_owned(),
        }
    }

    /// The caller as the engine sees it.
    pub fn caller(&self) -> Caller {
        match self {
            Self::Administrator(_) => Caller::User { arn: self.arn() },
            Self::Session(session) => {
                Caller::RoleSession { role_arn: session.role_arn.clone(), session_arn: session.arn.clone() }
            }
            Self::Anonymous => Caller::Anonymous,
        }
    }

    /// The keys that every request of the caller has (IAM user guide, "AWS global condition context keys").
    pub fn context(&self) -> Context {
        match self {
            Self::Administrator(scope) => Context::new()
                .with("aws:PrincipalType", "User")
                .with("aws:PrincipalArn", self.arn())
                .with("aws:PrincipalAccount", &scope.account)
                .with("aws:userid", self.user_id())
                .with("aws:username", "administrator"),
            Self::Session(session) => session.context.clone(),
            Self::Anonymous => Context::new().with("aws:PrincipalType", "Anonymous"),
        }
    }
}

/// The sessions that STS opened since the start.
#[derive(Debug, Default)]
pub struct Sessions(Mutex<HashMap<String, Session>>);

impl Sessions {
    /// Keeps a session. Ended ones are kept for a while, because AWS tells an expired key from an unknown one.
    pub fn insert(&self, session: Session, now: Timestamp) {
        let mut sessions = self.lock();
        let day_ago = now - jiff::SignedDuration::from_hours(24);
        sessions.retain(|_, session| session.expires_at > day_ago);
        sessions.insert(session.access_key.clone(), session);
    }

    /// The session of an access key.
    pub fn get(&self, access_key: &str) -> Option<Session> {
        self.lock().get(access_key).cloned()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Session>> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
