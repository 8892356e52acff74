//! Request bodies, read strictly.

use axum::{
    body::Bytes,
    extract::{FromRequest, Request, rejection::BytesRejection},
    http::StatusCode,
};
use serde::de::DeserializeOwned;
use tagmint_core::json;
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

/// A form body (`application/x-www-form-urlencoded`) without repeated parameters (RFC 6749 §3.2).
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
        let body = read(request, state).await?;
        let parameters = parameters(&body).map_err(|message| Problem::new(&MALFORMED_BODY).detail(message))?;
        Ok(Self(parameters))
    }
}

/// Query parameters, none of them twice.
pub fn query(raw: Option<&str>) -> Result<Vec<(String, String)>, Problem> {
    parameters(raw.unwrap_or_default().as_bytes()).map_err(|message| Problem::new(&MALFORMED_REQUEST).detail(message))
}

fn parameters(encoded: &[u8]) -> Result<Vec<(String, String)>, String> {
    let mut parameters: Vec<(String, String)> = Vec::new();
    for (name, value) in form_urlencoded::parse(encoded) {
        // Decoding replaces broken UTF-8; what has been replaced was not what the caller meant.
        if name.contains('\u{fffd}') || value.contains('\u{fffd}') {
            return Err("A parameter is not valid UTF-8.".to_owned());
        }
        if parameters.iter().any(|(known, _)| *known == name) {
            let name: String = name.chars().take(40).collect();
            return Err(format!("The parameter `{name}` stands twice."));
        }
        parameters.push((name.into_owned(), value.into_owned()));
    }
    Ok(parameters)
}

async fn read<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, Problem> {
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
    json::parse_as(body)
        .map_err(|error| Problem::new(&MALFORMED_BODY).detail(format!("The body is not acceptable: {error}.")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded_and_stand_once() {
        let decoded = parameters(b"a=1&b=x%20y&c=%C3%A9&d").unwrap();
        let decoded: Vec<(&str, &str)> = decoded.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        assert_eq!(decoded, [("a", "1"), ("b", "x y"), ("c", "é"), ("d", "")]);
        assert!(parameters(b"a=1&a=1").unwrap_err().contains("`a` stands twice"));
        assert!(parameters(b"a=1&%61=2").is_err());
        assert!(parameters(b"a=%ff").is_err());
    }
}
