//! S3: the protocol by s3s, the decisions by the engine, the storage our own.
//!
//! Why not s3s-fs: it takes object keys for paths, so that `own/../other/x` passes a policy for `own/*` and reads `other/x`; it can hold
//! `a` or `a/b` but not both; it knows no versions and no tags.

mod access;
mod actions;
mod auth;
#[allow(clippy::wildcard_imports, reason = "a type of the protocol for every operation")]
mod backend;
#[allow(clippy::wildcard_imports, reason = "a type of the protocol for every operation")]
mod buckets;
mod context;
mod copying;
mod decide;
mod failure;
#[allow(clippy::wildcard_imports, reason = "a type of the protocol for every operation")]
mod lifecycle;
mod listing;
mod multipart;
#[allow(clippy::wildcard_imports, reason = "a type of the protocol for every operation")]
mod objects;
mod policy;
mod receive;
mod signing;
mod store;
mod told;

use std::{net::IpAddr, sync::Arc};

use s3s::service::{S3Service, S3ServiceBuilder};

pub use self::{
    decide::decide,
    failure::S3Failure,
    policy::put_policy,
    signing::{BodyMismatch, check as check_signing},
    store::{Storage, Versioning},
    told::told,
};
use crate::aws::Aws;

/// The address that a request came from.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub IpAddr);

/// The service.
pub fn service(aws: Arc<Aws>) -> S3Service {
    let mut builder = S3ServiceBuilder::new(backend::Backend::new(Arc::clone(&aws)));
    builder.set_auth(auth::Auth(Arc::clone(&aws)));
    builder.set_access(access::Access(aws));
    builder.build()
}
