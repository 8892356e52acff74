//! What Tagmint does with the AWS SDK: the end-to-end proof against STS and S3, assuming roles, and reading what AWS holds.
//!
//! | module | holds |
//! |---|---|
//! | [`assume`] | a token for credentials of a role session |
//! | `client` | signed calls of S3 and IAM |
//! | [`connection`] | endpoints, region, roots, credentials: the clients |
//! | [`failure`] | why a call did not do what was asked: refused, or not reached |
//! | [`junit`] | reports as CI systems read them |
//! | [`policies`] | a role's trust policy and policies, its OIDC provider, a bucket's policy |
//! | [`diff`] | what stands in an account, compared with what the configuration says |
//! | [`documents`] | an issuer's discovery document and key set, fetched as STS does |
//! | [`token`] | what a token says, unverified |
//! | [`prove`] | the proof: plan, run, report |
//! | [`reach`] | who can read or write a prefix, from the rules and the rendered policies |
//! | [`render`] | the AWS side of an issuer from its configuration: as CloudFormation, Terraform, a script |
//! | [`sns`] | publishing to a topic |
//! | [`sweep`] | removing what runs of CI left in a test bucket |

pub mod assume;
mod client;
pub mod connection;
pub mod diff;
pub mod documents;
pub mod failure;
pub mod junit;
mod outbound;
pub mod policies;
pub mod prove;
pub mod reach;
pub mod render;
pub mod sns;
pub mod sweep;
pub mod token;
