//! Request bodies, read strictly.

use axum::{
    body::Bytes,
    extract::{FromRequest, Request, rejection::BytesRejection},
    http::{
        StatusCode,
        header::{CONTENT_ENCODING, CONTENT_TYPE},
    },
};
use serde::de::DeserializeOwned;
use tagmint_core::{json, sanitize};
use tokio::time::timeout_at;

use super::{
    context::RequestContext,
    problem::{BODY_TIMEOUT, BODY_TOO_LARGE, MALFORMED_BODY, MALFORMED_REQUEST, Problem},
};

/// A JSON body without repeated members. The `Content-Type` is not looked at: there is no other form to confuse it with.
#[derive(Debug)]
pub struct StrictJson<T>(pub T);

/// Like [`StrictJson`], where an empty body means the default.
#[derive(Debug)]
pub struct OptionalJson<T>(pub T);

/// A form body (`application/x-www-form-urlencoded`). A parameter without a value counts as left out, and none stands twice (RFC 6749 §3.2) but those
/// that RFC 8693 §2.1 lets repeat.
#[derive(Debug)]
pub struct StrictForm(pub Vec<(String, String)>);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for StrictJson<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        parse(&read(request, state).await?).map(Self)
    }
}

impl<T: DeserializeOwned + Default, S: Send + Sync> FromRequest<S> for OptionalJson<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let body = read(request, state).await?;
        if body.is_empty() { Ok(Self(T::default())) } else { parse(&body).map(Self) }
    }
}

impl<S: Send + Sync> FromRequest<S> for StrictForm {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let malformed = |message| Problem::new(&MALFORMED_BODY).detail(message);
        let in_query = misplaced_parameter(request.uri().query());
        let content_type = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let body = read(request, state).await?;
        if let Some(name) = in_query {
            return Err(malformed(format!(
                "The parameter `{name}` stands in the query. Send all parameters in the body: a query ends in the logs of proxies."
            )));
        }
        if let Some(what) = other_form(content_type.as_deref(), &body) {
            return Err(malformed(format!(
                "The body is {what}. Send the parameters as form data, with `Content-Type: application/x-www-form-urlencoded` (RFC 6749 §3.2)."
            )));
        }
        let mut parameters = parameters(&body, &REPEATABLE).map_err(malformed)?;
        // A request about an empty token gets the answer for a token that is not good.
        parameters.retain(|(name, value)| !value.is_empty() || name == "token");
        Ok(Self(parameters))
    }
}

/// Parameters that may stand several times (RFC 8693 §2.1).
const REPEATABLE: [&str; 2] = ["audience", "resource"];
/// Parameters that belong into the body.
const IN_BODY: [&str; 14] = [
    "grant_type",
    "subject_token",
    "subject_token_type",
    "requested_token_type",
    "actor_token",
    "actor_token_type",
    "audience",
    "resource",
    "scope",
    "client_secret",
    "client_assertion",
    "assertion",
    "token",
    "token_type_hint",
];

/// A parameter of the query that belongs into the body.
fn misplaced_parameter(query: Option<&str>) -> Option<&'static str> {
    let names = form_urlencoded::parse(query.unwrap_or_default().as_bytes()).map(|(name, _)| name);
    names.into_iter().find_map(|name| IN_BODY.into_iter().find(|known| *known == name))
}

/// Describes a body that is not form data.
fn other_form(content_type: Option<&str>, body: &[u8]) -> Option<String> {
    let body = body.trim_ascii_start();
    if body.is_empty() || is_form(body) {
        return None;
    }
    let media_type =
        content_type.and_then(|value| value.split(';').next()).unwrap_or_default().trim().to_ascii_lowercase();
    let json = media_type == "application/json"
        || media_type.ends_with("+json")
        || body.starts_with(b"{")
        || body.starts_with(b"[");
    let xml = media_type.ends_with("xml") || body.starts_with(b"<");
    if json {
        Some("JSON".to_owned())
    } else if media_type.starts_with("multipart/") || body.starts_with(b"--") {
        Some("multipart form data".to_owned())
    } else if xml {
        Some("XML".to_owned())
    } else if matches!(media_type.as_str(), "" | "application/x-www-form-urlencoded") {
        None
    } else {
        Some(format!("of the type `{media_type}`"))
    }
}

/// Whether it begins with `NAME=`.
fn is_form(body: &[u8]) -> bool {
    let name = body.iter().take_while(|byte| byte.is_ascii_alphanumeric() || b"_-.%+".contains(byte)).count();
    name > 0 && body.get(name) == Some(&b'=')
}

/// Query parameters, none of them twice.
pub fn query(raw: Option<&str>) -> Result<Vec<(String, String)>, Problem> {
    let malformed = |message| Problem::new(&MALFORMED_REQUEST).detail(message);
    parameters(raw.unwrap_or_default().as_bytes(), &[]).map_err(malformed)
}

fn parameters(encoded: &[u8], repeatable: &[&str]) -> Result<Vec<(String, String)>, String> {
    let mut parameters: Vec<(String, String)> = Vec::new();
    for (name, value) in form_urlencoded::parse(encoded) {
        // Decoding replaces broken UTF-8; what has been replaced was not what the caller meant.
        if name.contains('\u{fffd}') || value.contains('\u{fffd}') {
            return Err("A parameter is not valid UTF-8.".to_owned());
        }
        if !repeatable.contains(&&*name) && parameters.iter().any(|(known, _)| *known == name) {
            return Err(format!("The parameter `{}` stands twice.", sanitize::shortened(&name, 40)));
        }
        parameters.push((name.into_owned(), value.into_owned()));
    }
    Ok(parameters)
}

async fn read<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, Problem> {
    if let Some(coding) = request.headers().get(CONTENT_ENCODING).filter(|coding| *coding != "identity") {
        let coding = sanitize::shortened(&String::from_utf8_lossy(coding.as_bytes()), 40);
        let detail = format!("The body is compressed (`Content-Encoding: {coding}`). Send it as it is.");
        return Err(Problem::new(&MALFORMED_BODY).detail(detail));
    }
    let deadline = request.extensions().get::<RequestContext>().map(|context| context.body_deadline);
    let whole = Bytes::from_request(request, state);
    let body = match deadline {
        Some(deadline) => timeout_at(deadline, whole).await.map_err(|_| Problem::new(&BODY_TIMEOUT))?,
        None => whole.await,
    };
    body.map_err(|rejection: BytesRejection| {
        if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
            Problem::new(&BODY_TOO_LARGE)
        } else {
            Problem::new(&MALFORMED_BODY).detail("The body could not be read to its end.")
        }
    })
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    json::parse_as(body).map_err(|error| {
        let detail = if is_form(body) {
            "The body is form data. Send JSON to this route.".to_owned()
        } else if body.starts_with(b"\xef\xbb\xbf") {
            "The body begins with a byte order mark (BOM). Send it without.".to_owned()
        } else {
            format!("The body is not acceptable: {error}.")
        };
        Problem::new(&MALFORMED_BODY).detail(detail)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded_and_stand_once() {
        let parameters = |encoded: &[u8]| parameters(encoded, &REPEATABLE);
        let decoded = parameters(b"a=1&b=x%20y&c=%C3%A9&d").unwrap();
        let decoded: Vec<(&str, &str)> = decoded.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        assert_eq!(decoded, [("a", "1"), ("b", "x y"), ("c", "é"), ("d", "")]);
        assert!(parameters(b"a=1&a=1").unwrap_err().contains("`a` stands twice"));
        assert!(parameters(b"a=1&%61=2").is_err());
        assert!(parameters(b"a=%ff").is_err());
        assert_eq!(parameters(b"audience=a&audience=b&resource=c&resource=c").unwrap().len(), 4);
        assert!(query(Some("audience=a&audience=b")).is_err());
        let secret = format!("tmb_test_{}", "a1".repeat(24));
        let told = parameters(format!("{secret}=1&{secret}=2").as_bytes()).unwrap_err();
        assert_eq!(told, "The parameter `tmb_[redacted]` stands twice.");
    }

    #[test]
    fn a_body_of_another_form_is_named() {
        for (content_type, body, expected) in [
            (None, "grant_type=x", None),
            (Some("application/json"), "grant_type=x&a={}", None),
            (Some("application/x-www-form-urlencoded"), "", None),
            (Some("application/json"), "", None),
            (Some("application/json; charset=utf-8"), "{\"grant_type\": \"x\"}", Some("JSON")),
            (Some("application/x-www-form-urlencoded"), " {\"grant_type\": \"x\"}", Some("JSON")),
            (Some("application/vnd.api+json"), "\"x\"", Some("JSON")),
            (None, "[1]", Some("JSON")),
            (
                Some("multipart/form-data; boundary=x"),
                "--x\r\nContent-Disposition: form-data",
                Some("multipart form data"),
            ),
            (None, "--x\r\nContent-Disposition: form-data", Some("multipart form data")),
            (Some("text/xml"), "<a/>", Some("XML")),
            (Some("text/plain"), "eyJ", Some("of the type `text/plain`")),
        ] {
            assert_eq!(other_form(content_type, body.as_bytes()).as_deref(), expected, "{content_type:?} {body}");
        }
    }

    #[test]
    fn parameters_of_the_body_do_not_stand_in_the_query() {
        assert_eq!(misplaced_parameter(Some("v=1&grant%5Ftype=x")), Some("grant_type"));
        assert_eq!(misplaced_parameter(Some("v=1&api-version=2")), None);
        assert_eq!(misplaced_parameter(None), None);
    }
}
