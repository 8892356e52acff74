//! The end-to-end proof: a token opens a session of a role, the session has its own prefix of a bucket and nothing else, and tokens that must
//! be refused are.
//!
//! [`Plan`] says which checks there are, [`run`] makes them and tells each [`Row`] as it comes, [`Report`] holds them all. A check that could
//! not be made is told as such: it is never taken as passed.

mod bad_token;
mod chain;
mod explain;
mod junit;
mod litter;
mod plan;
mod prefix;
mod report;
mod run;
mod store;

pub use self::{
    plan::{Access, Offered, Plan, Tokens},
    prefix::{Neighbour, Prefix, PrefixError},
    report::{Left, Outcome, Report, Row},
    run::{NO_COMPARISON, NO_SESSION, ProveError, run},
};
