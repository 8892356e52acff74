use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SigningSettings, sign},
    sign::v4,
};

use super::*;

const KEY: &str = "AKIDEXAMPLE";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const BODY: &str = "Action=GetCallerIdentity&Version=2011-06-15";

fn now() -> Timestamp {
    Timestamp::constant(1_790_000_000, 0)
}

/// The headers of a request that the SDK's own signer signed at `now`.
fn signed_by_the_sdk(query: &str) -> HeaderMap {
    let identity = Credentials::new(KEY, SECRET, Some("token".to_owned()), None, "test").into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region("us-east-1")
        .name("sts")
        .time(SystemTime::from(now()))
        .settings(SigningSettings::default())
        .build()
        .unwrap();
    let uri = format!("http://127.0.0.1:4566/?{query}");
    let mut request =
        http::Request::post(&uri).header("host", "127.0.0.1:4566").header("x-padded", "  a   b ").body(BODY).unwrap();
    let headers = [("host", "127.0.0.1:4566"), ("x-padded", "  a   b ")];
    let signable =
        SignableRequest::new("POST", &uri, headers.into_iter(), SignableBody::Bytes(BODY.as_bytes())).unwrap();
    let (instructions, _) = sign(signable, &params.into()).unwrap().into_parts();
    instructions.apply_to_request_http1x(&mut request);
    request.headers().clone()
}

fn verify(headers: &HeaderMap, query: &str, body: &str, secret: &str, now: Timestamp) -> Result<(), QueryError> {
    let request = Signed { method: &Method::POST, path: "/", query, headers, body: body.as_bytes() };
    Authorization::of(headers)?.verify(request, Service::Sts, secret, now)
}

#[test]
fn takes_what_the_sdk_signs() {
    for query in ["", "b=2&a=%2Fx%20y&a=1"] {
        let headers = signed_by_the_sdk(query);
        assert_eq!(verify(&headers, query, BODY, SECRET, now()), Ok(()), "{query}");
        assert_eq!(Authorization::of(&headers).unwrap().access_key, KEY);
    }
}

#[test]
fn any_change_is_noticed() {
    let headers = signed_by_the_sdk("a=1");
    let code = |result: Result<(), QueryError>| result.unwrap_err().code;
    assert_eq!(code(verify(&headers, "a=2", BODY, SECRET, now())), "SignatureDoesNotMatch");
    assert_eq!(code(verify(&headers, "a=1", "Action=Other", SECRET, now())), "SignatureDoesNotMatch");
    assert_eq!(code(verify(&headers, "a=1", BODY, "other", now())), "SignatureDoesNotMatch");
    let mut other_token = headers.clone();
    other_token.insert("x-amz-security-token", "another".parse().unwrap());
    assert_eq!(code(verify(&other_token, "a=1", BODY, SECRET, now())), "SignatureDoesNotMatch");
}

#[test]
fn fifteen_minutes_of_leeway() {
    let headers = signed_by_the_sdk("");
    let at = |seconds: i64| verify(&headers, "", BODY, SECRET, now() + SignedDuration::from_secs(seconds));
    assert_eq!((at(900), at(-900)), (Ok(()), Ok(())));
    assert!(
        at(901)
            .unwrap_err()
            .message
            .starts_with("Signature expired: 20260921T141320Z is now earlier than 20260921T141321Z")
    );
    assert!(at(-901).unwrap_err().message.starts_with("Signature not yet current"));
}

#[test]
fn incomplete_headers_are_named() {
    assert_eq!(Authorization::of(&HeaderMap::new()).unwrap_err().code, "MissingAuthenticationToken");
    for header in [
        "AWS4-HMAC-SHA256 Credential=x",
        "Basic x",
        "AWS4-HMAC-SHA256 Credential=k/d/r/s/aws4_request, SignedHeaders=x-amz-date, Signature=0",
    ] {
        let headers = HeaderMap::from_iter([(http::header::AUTHORIZATION, header.parse().unwrap())]);
        assert_eq!(Authorization::of(&headers).unwrap_err().code, "IncompleteSignature", "{header}");
    }
}
