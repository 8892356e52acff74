//! The finish of S3's answers: every one has a request id, every refusal a message. s3s leaves both out.

use axum::{body::Body, response::Response};
use http::{HeaderName, HeaderValue};
use http_body_util::BodyExt;

use crate::xml::Xml;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-amz-request-id");

/// Messages of refusals that s3s makes by itself (API reference of S3, "Error responses").
const MESSAGES: [(&str, &str); 8] = [
    (
        "SignatureDoesNotMatch",
        "The request signature we calculated does not match the signature you provided. Check your key and signing method.",
    ),
    ("RequestTimeTooSkewed", "The difference between the request time and the current time is too large."),
    ("InvalidBucketName", "The specified bucket is not valid."),
    ("InvalidURI", "Couldn't parse the specified URI."),
    ("KeyTooLongError", "Your key is too long"),
    ("XAmzContentSHA256Mismatch", "The provided 'x-amz-content-sha256' header does not match what was computed."),
    ("IncompleteBody", "You did not provide the number of bytes specified by the Content-Length HTTP header"),
    ("MissingContentLength", "You must provide the Content-Length HTTP header."),
];

/// Adds what is missing.
pub async fn told(response: Response, request_id: &str) -> Response {
    let (mut parts, body) = response.into_parts();
    if let Ok(id) = HeaderValue::from_str(request_id) {
        parts.headers.insert(REQUEST_ID, id);
    }
    if parts.status.as_u16() < 400 {
        return Response::from_parts(parts, body);
    }
    // Refusals are short documents in memory.
    let document = match body.collect().await {
        Ok(body) => String::from_utf8_lossy(&body.to_bytes()).into_owned(),
        Err(_) => String::new(),
    };
    parts.headers.remove(http::header::CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(completed(document, request_id)))
}

fn completed(document: String, request_id: &str) -> String {
    let Some(start) = document.strip_suffix("</Error>") else { return document };
    let code = start.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>")).map_or("", |(code, _)| code);
    let known = MESSAGES.iter().find(|(known, _)| *known == code).map_or(code, |(_, message)| message);
    let mut added = Xml::new();
    if !start.contains("<Message>") {
        added = added.text("Message", known);
    }
    format!("{start}{}</Error>", added.text("RequestId", request_id).into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_and_request_id_are_there() {
        let told = completed("<Error><Code>KeyTooLongError</Code></Error>".to_owned(), "R");
        assert_eq!(
            told,
            "<Error><Code>KeyTooLongError</Code><Message>Your key is too long</Message><RequestId>R</RequestId></Error>"
        );
        let told = completed("<Error><Code>X</Code><Message>m</Message></Error>".to_owned(), "R");
        assert_eq!(told, "<Error><Code>X</Code><Message>m</Message><RequestId>R</RequestId></Error>");
        assert_eq!(completed("no xml".to_owned(), "R"), "no xml");
    }
}
