//! AWS STS behind the issuer's seam.

use futures::future::BoxFuture;
use tagmint_aws::{
    assume::{Question, assume},
    connection::Connection,
    failure::Failure,
};
use tagmint_server::sts::{AssumeRole, SessionCredentials, StsError, WebIdentitySts};

/// Codes that say nothing about the request: STS wants it again later.
const BUSY: [&str; 5] =
    ["Throttling", "ThrottlingException", "RequestLimitExceeded", "ServiceUnavailable", "InternalFailure"];

/// STS, by the AWS SDK.
#[derive(Debug)]
pub struct AwsSts(Connection);

impl AwsSts {
    /// STS at the end of this connection.
    pub const fn new(connection: Connection) -> Self {
        Self(connection)
    }

    async fn ask(&self, request: &AssumeRole) -> Result<SessionCredentials, StsError> {
        let question = Question {
            role: &request.role,
            session_name: request.session_name.as_str(),
            duration_seconds: request.duration_seconds,
            token: &request.token,
            terms: &request.terms,
        };
        let keys = assume(&self.0, &question).await.map_err(|failure| error(&failure))?;
        Ok(SessionCredentials {
            access_key_id: keys.access_key_id,
            secret_access_key: keys.secret_access_key,
            session_token: keys.session_token,
            expires_at: keys.expires_at,
            sts_request_id: keys.request_id,
        })
    }
}

impl WebIdentitySts for AwsSts {
    fn assume_role<'a>(&'a self, request: &'a AssumeRole) -> BoxFuture<'a, Result<SessionCredentials, StsError>> {
        Box::pin(self.ask(request))
    }
}

/// What a failed call is to the caller: a refusal, or an outage after which the same call may go well.
pub(crate) fn error(failure: &Failure) -> StsError {
    match failure {
        Failure::Refused { status: 400..=499, code, message } if !BUSY.contains(&code.as_str()) => {
            StsError::refused(code, message)
        }
        other => StsError::outage(&other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_verdict_is_an_outage() {
        let refused =
            |status, code: &str| error(&Failure::Refused { status, code: code.to_owned(), message: "x".to_owned() });
        assert_eq!(refused(403, "AccessDenied"), StsError::refused("AccessDenied", "x"));
        assert_eq!(refused(400, "ValidationError"), StsError::refused("ValidationError", "x"));
        for (status, code) in [(400, "Throttling"), (503, "ServiceUnavailable"), (500, "InternalFailure"), (200, "x")] {
            assert!(matches!(refused(status, code), StsError::Outage(_)), "{status} {code}");
        }
        let unreachable = Failure::Unreachable { service: "STS".to_owned(), cause: "x".to_owned() };
        assert!(matches!(error(&unreachable), StsError::Outage(_)));
    }
}
