//! What S3 refuses of a signed request by its look, before the signature is checked. s3s lets all of it pass.

use axum::{body::Body, response::Response};
use http::{HeaderMap, HeaderValue, StatusCode, Uri, header};

use super::failure::S3Failure;
use crate::{query::Params, sigv4, xml::Xml};

/// The longest life of a presigned URL, in seconds (API reference of S3, "Authenticating Requests: Using Query Parameters").
const MAX_EXPIRES: u64 = 604_800;
const CONTENT_SHA256: &str = "x-amz-content-sha256";

/// A short body that is not the one that was signed. It is refused once the caller is known and allowed.
#[derive(Debug, Clone, Copy)]
pub struct BodyMismatch;

impl BodyMismatch {
    /// Whether the hash that the request tells is another than its body's. Anything but a hash says nothing about the body.
    pub fn of(headers: &HeaderMap, body: &[u8]) -> Option<Self> {
        let told = headers.get(CONTENT_SHA256)?.as_bytes();
        let is_hash = told.len() == 64 && told.iter().all(u8::is_ascii_hexdigit);
        (is_hash && !told.eq_ignore_ascii_case(sigv4::hex_sha256(body).as_bytes())).then_some(Self)
    }

    /// The refusal; its words are added with the rest of the answer.
    pub(super) fn refusal() -> S3Failure {
        let message = "The provided 'x-amz-content-sha256' header does not match what was computed.";
        S3Failure::new(400, "XAmzContentSHA256Mismatch", message)
    }
}

/// A refusal, with the headers that the signature had to be over.
#[derive(Debug, PartialEq, Eq)]
pub struct Refusal {
    failure: S3Failure,
    not_signed: Vec<String>,
}

impl From<S3Failure> for Refusal {
    fn from(failure: S3Failure) -> Self {
        Self { failure, not_signed: Vec::new() }
    }
}

impl Refusal {
    /// The answer, without a request id.
    pub fn answer(&self) -> Response {
        let mut told = Xml::new().text("Code", self.failure.code()).text("Message", self.failure.message());
        if !self.not_signed.is_empty() {
            told = told.text("HeadersNotSigned", self.not_signed.join(", "));
        }
        let error = Xml::new().within("Error", told).into_inner();
        let mut response = Response::new(Body::from(format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{error}")));
        *response.status_mut() =
            StatusCode::from_u16(self.failure.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/xml"));
        response
    }
}

/// Looks at a request before s3s does. What cannot be read is left to s3s, which refuses it.
pub fn check(uri: &Uri, headers: &HeaderMap) -> Result<(), Refusal> {
    let query = Params::parse(uri.query().unwrap_or_default().as_bytes());
    let authorization = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    // Signature Version 2, which s3s knows: S3 takes it for buckets from before June 2020 alone (user guide of S3, "AWS Signature Version 2").
    if query.get("AWSAccessKeyId").is_some() || authorization.is_some_and(|value| value.starts_with("AWS ")) {
        let message = "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.";
        return Err(S3Failure::new(400, "InvalidRequest", message).into());
    }
    let signed = if query.get("X-Amz-Signature").is_some() {
        expires(query.get("X-Amz-Expires").unwrap_or_default())?;
        query.get("X-Amz-SignedHeaders")
    } else {
        authorization.and_then(|value| value.split(',').find_map(|part| part.trim().strip_prefix("SignedHeaders=")))
    };
    let Some(signed) = signed else { return Ok(()) };
    let mut not_signed: Vec<String> = headers
        .keys()
        .map(|name| name.as_str().to_owned())
        .filter(|name| name.starts_with("x-amz-") && !signed.split(';').any(|signed| signed == name))
        .collect();
    if not_signed.is_empty() {
        return Ok(());
    }
    not_signed.sort();
    let failure = S3Failure::denied("There were headers present in the request which were not signed");
    Err(Refusal { failure, not_signed })
}

fn expires(text: &str) -> Result<(), S3Failure> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    // Digits that are no number are too many of them.
    if digits && text.parse::<u64>().map_or(true, |seconds| seconds > MAX_EXPIRES) {
        let message = "X-Amz-Expires must be less than a week (in seconds) that is 604800";
        return Err(S3Failure::new(400, "AuthorizationQueryParametersError", message));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(query: &str, headers: &[(&'static str, &'static str)]) -> Result<(), (u16, &'static str, Vec<String>)> {
        let headers = headers
            .iter()
            .map(|(name, value)| (http::HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect();
        check(&format!("/b/k?{query}").parse().unwrap(), &headers)
            .map_err(|refusal| (refusal.failure.status(), refusal.failure.code(), refusal.not_signed))
    }

    #[test]
    fn amz_headers_have_to_be_signed() {
        let url = "X-Amz-Signature=s&X-Amz-Expires=604800&X-Amz-SignedHeaders=host%3Bx-amz-acl";
        assert_eq!(checked(url, &[("x-amz-acl", "private"), ("range", "bytes=0-1"), ("x-amzn-trace-id", "t")]), Ok(()));
        let found = checked(url, &[("x-amz-tagging", "a=b"), ("x-amz-acl", "private"), ("x-amz-copy-source", "/b/x")]);
        let names = vec!["x-amz-copy-source".to_owned(), "x-amz-tagging".to_owned()];
        assert_eq!(found, Err((403, "AccessDenied", names.clone())));
        let header = "AWS4-HMAC-SHA256 Credential=A/1/r/s3/aws4_request, SignedHeaders=host;x-amz-date, Signature=s";
        let dated = [("authorization", header), ("x-amz-date", "1")];
        assert_eq!(checked("", &dated), Ok(()));
        assert_eq!(
            checked("", &[dated[0], ("x-amz-dat", "1")]),
            Err((403, "AccessDenied", vec!["x-amz-dat".to_owned()]))
        );
        // Nobody signed anything.
        assert_eq!(checked("", &[("x-amz-acl", "private")]), Ok(()));
        let refusal = Refusal { failure: S3Failure::denied("no"), not_signed: names };
        assert_eq!(refusal.answer().status(), 403);
    }

    #[test]
    fn urls_live_a_week_at_most() {
        let of = |expires: &str| {
            checked(&format!("X-Amz-Signature=s&X-Amz-SignedHeaders=host&X-Amz-Expires={expires}"), &[])
        };
        assert_eq!(of("604800"), Ok(()));
        for long in ["604801", "99999999999999999999999"] {
            assert_eq!(of(long), Err((400, "AuthorizationQueryParametersError", Vec::new())), "{long}");
        }
    }

    #[test]
    fn old_signatures_are_refused() {
        let refused = Err((400, "InvalidRequest", Vec::new()));
        assert_eq!(checked("AWSAccessKeyId=A&Signature=s&Expires=1", &[]), refused);
        assert_eq!(checked("", &[("authorization", "AWS A:s")]), refused);
    }

    #[test]
    fn a_hash_has_to_be_the_bodys() {
        let of = |told: &str, body: &[u8]| {
            let headers =
                [(http::HeaderName::from_static(CONTENT_SHA256), told.parse().unwrap())].into_iter().collect();
            BodyMismatch::of(&headers, body).is_some()
        };
        let hash = sigv4::hex_sha256(b"body");
        assert!(!of(&hash, b"body"));
        assert!(of(&hash, b"other"));
        assert!(!of("UNSIGNED-PAYLOAD", b"other"));
    }
}
