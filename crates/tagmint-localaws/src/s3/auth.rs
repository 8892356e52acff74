//! Secrets for s3s's check of the signature.

use std::sync::Arc;

use s3s::{
    S3Result,
    auth::{S3Auth, SecretKey},
};

use super::S3Failure;
use crate::aws::Aws;

/// Looks access keys up.
pub struct Auth(pub Arc<Aws>);

#[async_trait::async_trait]
impl S3Auth for Auth {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        let administrator = self.0.account().administrator.clone();
        if access_key == administrator.id {
            return Ok(administrator.secret.into());
        }
        let Some(session) = self.0.sessions.get(access_key) else {
            let message = "The AWS Access Key Id you provided does not exist in our records.";
            return Err(S3Failure::new(403, "InvalidAccessKeyId", message).into());
        };
        if session.expires_at <= self.0.clock.now() {
            return Err(S3Failure::new(400, "ExpiredToken", "The provided token has expired.").into());
        }
        Ok(session.secret.into())
    }
}
