//! Which prefixes of a test bucket may be removed, and in which order: the decision of `tagmint sweep`, without a bucket.
//!
//! | part | holds |
//! |---|---|
//! | [`Ground`] | the only bucket that may be swept: a test issuer's own |
//! | [`RunPrefix`] | what may be removed as one: where a run of CI wrote |
//! | [`Policy`], [`plan`] | what is old enough, or of a closed pull request, as far as one run may go |

mod plan;
mod prefix;

pub use self::{
    plan::{Due, Found, Kept, MOST_SKEW, Plan, Policy, Pull, Why, plan},
    prefix::{NAMESPACES, RunPrefix},
};
use crate::environment::Environment;

/// A bucket that may be swept. There is no other way to have one than [`Ground::new`], and nothing is listed or removed without one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ground {
    bucket: String,
}

/// Why a bucket is not swept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotToBeSwept {
    /// The issuer's data is somebody's.
    #[error(
        "this is a configuration of the environment `{0}`: only a test issuer's bucket is ever swept. Name its configuration with --config"
    )]
    Environment(Environment),
    /// The bucket's name does not say that it is one to try things in.
    #[error(
        "the bucket `{0}` has no word `test` in its name: only a bucket that says so is ever swept. Check aws.bucket.name"
    )]
    Bucket(String),
}

impl Ground {
    /// The bucket of an issuer's configuration, with the account already in its name.
    pub fn new(environment: Environment, bucket: &str) -> Result<Self, NotToBeSwept> {
        if environment != Environment::Test {
            return Err(NotToBeSwept::Environment(environment));
        }
        if !bucket.split(|character: char| !character.is_ascii_alphanumeric()).any(|word| word == "test") {
            return Err(NotToBeSwept::Bucket(bucket.to_owned()));
        }
        Ok(Self { bucket: bucket.to_owned() })
    }

    /// The bucket's name.
    pub fn bucket(&self) -> &str {
        &self.bucket
    }
}

#[cfg(test)]
mod tests;
