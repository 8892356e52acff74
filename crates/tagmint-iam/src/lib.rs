//! What AWS would say, as pure functions: no I/O, no async, and none of Tagmint's own rules.
//!
//! Everything follows AWS's documentation (the IAM user guide, the service models of IAM and STS) and recorded answers of the live
//! services; where the two differ, the recorded answer wins, and the place says so.
//!
//! | module | holds |
//! |---|---|
//! | [`policy`] | policy documents: model and parser |
//! | [`template`], [`pattern`] | policy variables and wildcards |
//! | [`context`] | the keys and values that a request brings |
//! | [`condition`] | one condition: every operator, with the reason for its outcome |
//! | [`evaluate`] | policies against a request: allowed or not, by which statement |
//! | [`aws_error`] | what AWS printed, its causes, and what to run next |
//! | [`document`] | policies within what other programs print |
//! | [`arn`] | Amazon Resource Names |
//! | [`partition`] | AWS's partitions: ARNs, hosts, STS's audiences |
//! | [`provider`] | IAM's OIDC providers: what can be registered, and how it is kept |
//! | [`service`] | S3's, STS's and IAM's actions with their resource types and condition keys |
//! | [`trust_policy`] | what IAM refuses to store as a role's trust policy |
//! | [`advice`] | why a token is refused or unsafe, and what to do about it |
//! | [`validate`] | what S3 and IAM refuse to store, and what they store in vain |
//! | [`web_identity`] | `AssumeRoleWithWebIdentity`: every check in order, and the answer |

pub mod advice;
pub mod arn;
pub mod aws_error;
pub mod condition;
pub mod context;
pub mod document;
pub mod evaluate;
pub mod partition;
pub mod pattern;
pub mod policy;
pub mod provider;
pub mod service;
mod subject;
pub mod template;
pub mod trust_policy;
pub mod validate;
pub mod web_identity;
