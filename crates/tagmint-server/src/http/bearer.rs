//! The `Authorization` header.

use std::convert::Infallible;

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, header::AUTHORIZATION, request::Parts},
};
use secrecy::SecretString;

/// The credential after `Bearer` (RFC 6750 §2.1), if there is exactly one well-formed header. It is checked by the flow, so that a refusal
/// is recorded whatever is wrong with it.
#[derive(Debug)]
pub struct BearerCredential(pub Option<SecretString>);

impl<S: Send + Sync> FromRequestParts<S> for BearerCredential {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        Ok(Self(bearer(&parts.headers)))
    }
}

/// Whether there is no `Authorization` header at all. One that holds no credential is a wrong credential, not none.
#[derive(Debug)]
pub struct NoCredential(pub bool);

impl<S: Send + Sync> FromRequestParts<S> for NoCredential {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        Ok(Self(!parts.headers.contains_key(AUTHORIZATION)))
    }
}

/// The credential after `Bearer`.
pub(super) fn bearer(headers: &HeaderMap) -> Option<SecretString> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let (scheme, credential) = value.to_str().ok()?.split_once(' ')?;
    // The GitHub protocol's clients write `Bearer` and `bearer` (RFC 9110 §11.1: case-insensitive).
    scheme.eq_ignore_ascii_case("bearer").then(|| SecretString::from(credential.trim()))
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn one_bearer_header_is_read_and_nothing_else() {
        let read = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(AUTHORIZATION, value.parse().unwrap());
            }
            bearer(&headers).map(|secret| secret.expose_secret().to_owned())
        };
        assert_eq!(read(&["Bearer abc"]), Some("abc".to_owned()));
        assert_eq!(read(&["bearer  abc "]), Some("abc".to_owned()));
        for none in [&[][..], &["Basic abc"], &["abc"], &["Bearer"], &["Bearer a", "Bearer b"]] {
            assert_eq!(read(none), None, "{none:?}");
        }
    }
}
