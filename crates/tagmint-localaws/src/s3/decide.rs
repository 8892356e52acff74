//! Which operation a request is, and what of it is not done here. Decided before s3s sees the request, so that nothing is done in place of
//! what was asked for.

use http::{HeaderMap, HeaderName, Method, Uri, header};

use super::{actions, failure::S3Failure};
use crate::operations::{self, NoOperation, On, Operation};

/// The operation that a request is.
#[derive(Debug, Clone, Copy)]
pub struct Decided(pub &'static Operation);

/// Headers that change what an operation does, in a way that is not done here. A name that ends with `-` stands for all that begin with it.
const NOT_IMPLEMENTED: [&str; 14] = [
    "x-amz-rename-source",
    "x-amz-rename-source-",
    "x-amz-if-match-",
    "x-amz-write-offset-bytes",
    "x-amz-website-redirect-location",
    "x-amz-bucket-namespace",
    "x-amz-copy-source-server-side-encryption-customer-",
    "x-amz-server-side-encryption-customer-",
    "x-amz-checksum-md5",
    "x-amz-checksum-sha512",
    "x-amz-checksum-xxhash64",
    "x-amz-checksum-xxhash3",
    "x-amz-checksum-xxhash128",
    "x-amz-create-session-mode",
];

/// The header that gives an object its own retention, which no bucket here has.
const OBJECT_LOCK: &str = "x-amz-object-lock-";

/// Decides. Refuses a request that is not an operation of S3, or not one that is done here.
pub fn decide(method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<Decided, S3Failure> {
    let query: Vec<(String, String)> =
        form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
    let service = signed_for(headers, &query);
    if let Some(service) = service.filter(|service| service != "s3") {
        return Err(S3Failure::not_implemented(&format!("S3's service {service}")));
    }
    let found = operations::of_request(method, On::of(uri.path()), &query, headers).map_err(refusal)?;
    if !actions::is_implemented(found.name) {
        return Err(S3Failure::not_implemented(&format!("s3:{}", found.name)));
    }
    for name in headers.keys().map(HeaderName::as_str) {
        if NOT_IMPLEMENTED.iter().any(|listed| is_listed(listed, name)) {
            return Err(S3Failure::not_implemented(&format!("the header {name} of s3:{}", found.name)));
        }
        if name.starts_with(OBJECT_LOCK) {
            return Err(S3Failure::new(400, "InvalidRequest", "Bucket is missing Object Lock Configuration"));
        }
    }
    if found.name.starts_with("Put") || matches!(found.name, "CopyObject" | "CompleteMultipartUpload") {
        conditions(headers)?;
    }
    Ok(Decided(found))
}

fn is_listed(listed: &str, name: &str) -> bool {
    listed == name || (listed.ends_with('-') && name.starts_with(listed))
}

/// Conditions of writes: S3 takes only `*` in `If-None-Match`, and an entity tag in `If-Match` (API reference of S3, `PutObject`).
fn conditions(headers: &HeaderMap) -> Result<(), S3Failure> {
    let value = |name: HeaderName| headers.get(name).map(|value| value.as_bytes() == b"*");
    if value(header::IF_NONE_MATCH) == Some(false) || value(header::IF_MATCH) == Some(true) {
        let message = "A header you provided implies functionality that is not implemented";
        return Err(S3Failure::new(501, "NotImplemented", message));
    }
    Ok(())
}

/// The service in the scope of the signature: directory buckets and object lambdas are services of their own.
fn signed_for(headers: &HeaderMap, query: &[(String, String)]) -> Option<String> {
    let in_query = query.iter().find(|(name, _)| name == "X-Amz-Credential").map(|(_, value)| value.as_str());
    let in_header = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let in_header = in_header.and_then(|value| value.split_once("Credential=")).map(|(_, rest)| rest);
    let scope = in_query.or(in_header)?.split(',').next()?;
    // KEY/DATE/REGION/SERVICE/aws4_request
    scope.split('/').nth(3).map(str::to_owned)
}

fn refusal(found: NoOperation) -> S3Failure {
    match found {
        NoOperation::Unknown(what) => S3Failure::not_implemented(&what),
        NoOperation::Conflict(names) => {
            S3Failure::argument(format!("Conflicting query string parameters: {}", names.join(", ")))
        }
        NoOperation::Repeated(name) => {
            S3Failure::argument(format!("The query string parameter {name} stands there more than once"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decided(method: &Method, path: &str, headers: &[(&'static str, &'static str)]) -> Result<&'static str, u16> {
        let headers = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), http::HeaderValue::from_static(value)))
            .collect();
        decide(method, &path.parse().unwrap(), &headers)
            .map(|decided| decided.0.name)
            .map_err(|failure| failure.status())
    }

    #[test]
    fn headers_that_change_an_operation_are_not_passed_over() {
        let put = |name: &'static str, value: &'static str| decided(&Method::PUT, "/b/k", &[(name, value)]);
        for name in [
            "x-amz-rename-source",
            "x-amz-rename-source-if-match",
            "x-amz-if-match-size",
            "x-amz-write-offset-bytes",
            "x-amz-server-side-encryption-customer-algorithm",
            "x-amz-checksum-sha512",
        ] {
            assert_eq!(put(name, "1"), Err(501), "{name}");
        }
        assert_eq!(put("x-amz-object-lock-mode", "GOVERNANCE"), Err(400));
        assert_eq!(put("x-amz-meta-rename-source", "1"), Ok("PutObject"));
        assert_eq!(put("x-amz-checksum-sha256", "1"), Ok("PutObject"));
        assert_eq!((put("if-none-match", "*"), put("if-none-match", "\"a\"")), (Ok("PutObject"), Err(501)));
        assert_eq!((put("if-match", "\"a\""), put("if-match", "*")), (Ok("PutObject"), Err(501)));
        assert_eq!(decided(&Method::GET, "/b/k", &[("if-none-match", "\"a\"")]), Ok("GetObject"));
        assert_eq!(decided(&Method::DELETE, "/b/k", &[("if-match", "*")]), Ok("DeleteObject"));
    }

    #[test]
    fn the_services_beside_s3_are_not_s3() {
        let scope = |service: &str| {
            let header =
                format!("AWS4-HMAC-SHA256 Credential=A/1/r/{service}/aws4_request, SignedHeaders=host, Signature=s");
            let headers: HeaderMap = [(header::AUTHORIZATION, header.parse().unwrap())].into_iter().collect();
            decide(&Method::GET, &"/".parse().unwrap(), &headers).is_ok()
        };
        assert!(scope("s3"));
        assert!(!scope("s3express") && !scope("s3-object-lambda"));
        let url =
            |service: &str| format!("/b/k?X-Amz-Signature=s&X-Amz-Credential=A%2F1%2Fr%2F{service}%2Faws4_request");
        assert_eq!(decided(&Method::GET, &url("s3"), &[]), Ok("GetObject"));
        assert_eq!(decided(&Method::GET, &url("s3express"), &[]), Err(501));
    }
}
