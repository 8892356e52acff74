//! AWS on loopback: STS, the part of IAM around it and S3, on one endpoint. It grants and refuses as `tagmint-iam` says that AWS does.
//!
//! For trials and tests; nothing that production runs. Tokens are really verified against the issuer's documents, credentials are real and
//! end, every request is checked for its signature, and every decision comes from the engine.
//!
//! | module | holds |
//! |---|---|
//! | [`aws`] | the whole: settings, state, how requests see and change it |
//! | [`front`] | the router: which service a request is for |
//! | [`seed`] | the set-up that is there from the start |
//! | [`account`] | providers, roles, policies |
//! | `sts`, `iam`, `s3` | the services |
//! | `sigv4`, `query`, `xml` | the protocol of STS and IAM |
//! | [`scope`] | the account, region and partition that it plays |
//! | [`operations`] | the operations that AWS has, and which one a request is |
//! | `stored`, `principals` | which policies are stored, and whom they mean |
//! | `authorize` | the question to the engine, and AWS's words for a refusal |

pub mod account;
mod authorize;
pub mod aws;
mod fetch;
pub mod front;
mod iam;
mod ids;
mod managed;
pub mod operations;
mod principals;
pub mod query;
mod s3;
pub mod scope;
pub mod seed;
mod sessions;
mod sigv4;
mod stored;
mod sts;
mod xml;
