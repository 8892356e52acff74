//! What stands in an account, compared with a [`SetUp`]: what differs, in words.
//!
//! Policies are compared by what they mean: order, single values and lists of one, letters of actions and names of statements don't matter.
//!
//! | module | holds |
//! |---|---|
//! | `account` | provider, role, attached policies |
//! | `bucket` | the bucket and what is set up for it |
//! | `policy`, `statement` | two policies, statement by statement |
//! | `words` | what a difference means |

mod account;
mod bucket;
mod policy;
mod statement;
mod words;

use serde::Serialize;

pub use self::policy::{PolicyKind, compare as compare_policies};
use crate::{
    connection::{Connection, Service},
    failure::Failure,
    policies::{Problem, Unread},
    render::{Part, SetUp},
};

/// What came of a comparison.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// What differs.
    pub drifts: Vec<Drift>,
    /// What could not be looked at. It may differ.
    pub unread: Vec<Unseen>,
}

/// A difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Drift {
    /// Its kind, stable, as `trust-audience`.
    pub id: &'static str,
    /// Where, as `role agentkeys-data-role`.
    pub at: String,
    /// What differs, and what that means.
    pub text: String,
}

/// Something that could not be looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unseen {
    /// What.
    pub what: String,
    /// The permission that it takes, as `iam:GetRole`.
    pub permission: &'static str,
    /// Why, and what to do.
    pub text: String,
}

/// Why nothing was compared.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DiffError {
    /// AWS did not answer, or there is nobody to ask as.
    #[error("{0}")]
    Failure(#[from] Failure),
    /// Credentials of another account.
    #[error("these are credentials of the account {found}, and the set-up is for {wanted} (aws.account, --account)")]
    Account {
        /// Whose they are.
        found: String,
        /// Whose they should be.
        wanted: String,
    },
}

impl Report {
    /// Whether everything was looked at, and nothing differs.
    pub fn is_same(&self) -> bool {
        self.drifts.is_empty() && self.unread.is_empty()
    }

    fn drift(&mut self, id: &'static str, at: &str, text: impl Into<String>) {
        self.drifts.push(Drift { id, at: at.to_owned(), text: text.into() });
    }

    /// Notes what could not be read. An answer that never came ends the comparison.
    fn unseen(&mut self, unread: Unread) -> Result<(), DiffError> {
        if let Problem::Failure(failure @ (Failure::Unreachable { .. } | Failure::NoCredentials { .. })) =
            unread.problem
        {
            return Err(failure.into());
        }
        self.unread.push(Unseen { text: unread.to_string(), what: unread.what, permission: unread.permission });
        Ok(())
    }
}

/// Compares an account with a set-up.
pub async fn compare(
    connection: &Connection,
    account: &str,
    set_up: &SetUp,
    parts: &[Part],
) -> Result<Report, DiffError> {
    let mut report = Report::default();
    check_account(connection, account).await?;
    if parts.contains(&Part::Provider) {
        account::provider(connection, &set_up.provider, &mut report).await?;
    }
    // What the bucket grants is needed to say what a role's further policies do.
    let bucket_policy = match set_up.bucket.as_ref().filter(|_| parts.contains(&Part::Bucket)) {
        Some(plan) => bucket::compare(connection, plan, &mut report).await?,
        None => None,
    };
    if parts.contains(&Part::Role) {
        for role in &set_up.roles {
            account::role(connection, role, set_up.bucket.as_ref(), bucket_policy.as_ref(), &mut report).await?;
        }
    }
    Ok(report)
}

/// Another account has other roles of the same names, and none of the differences would mean anything.
async fn check_account(connection: &Connection, wanted: &str) -> Result<(), DiffError> {
    let answer = connection.sts().get_caller_identity().send().await;
    let answer = answer.map_err(|error| Failure::of(&connection.named(Service::Sts), &error))?;
    let found = answer.account().unwrap_or_default();
    if found == wanted {
        return Ok(());
    }
    Err(DiffError::Account { found: found.to_owned(), wanted: wanted.to_owned() })
}

/// Whether the answer was that there is no such thing.
fn is_missing(unread: &Unread, code: &str) -> bool {
    matches!(&unread.problem, Problem::Failure(failure) if failure.code() == Some(code))
}
