//! What every request goes through: an id, the caller's address, the rate limits, the log, the figures, the rendering of problems.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
    time::Duration,
};

use axum::{
    extract::{MatchedPath, Request, State},
    http::{
        HeaderValue, Method,
        header::{ALLOW, CONTENT_LENGTH, DATE},
    },
    middleware::Next,
    response::{IntoResponse, Response},
};
use jiff::{Timestamp, fmt::rfc2822::DateTimePrinter};
use tagmint_core::id::RequestId;
use tokio::time::Instant;

use super::{
    aws_credentials::CREDENTIALS_PATH,
    health::PROBES,
    problem::{self, Problem},
};
use crate::{
    app::App,
    client_address::{Peer, client_address},
};

/// Header that carries the request's id in every answer.
pub const REQUEST_ID_HEADER: &str = "x-request-id";

/// Routes that are never limited, in addition to the documents and the probes.
const FREE_ROUTES: [&str; 1] = ["/metrics"];

/// What a handler knows about its request beside its content.
#[derive(Debug, Clone, Copy)]
pub struct RequestContext {
    /// The request's id, in the answer, the log and the ledger.
    pub id: RequestId,
    /// The caller's address.
    pub remote: IpAddr,
    /// When its headers were there.
    pub started: Instant,
    /// When the body must have arrived.
    pub body_deadline: Instant,
}

/// The outermost layer.
pub async fn observe(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let peer = request.extensions().get::<Peer>().copied();
    let peer = peer.unwrap_or(Peer::Tcp((Ipv4Addr::LOCALHOST, 0).into()));
    let remote = client_address(peer, request.headers(), &app.settings.trusted_proxies);
    let Ok(id) = RequestId::generate(app.clock.now(), &*app.random) else {
        return Problem::new(&problem::INTERNAL).into_response();
    };
    let body_deadline = started + app.settings.limits.header_timeout;
    request.extensions_mut().insert(RequestContext { id, remote, started, body_deadline });
    let method = request.method().clone();
    let path = request.extensions().get::<MatchedPath>().cloned();
    let route = path.as_ref().map_or("(none)", MatchedPath::as_str);

    let mut response = match refused(&app, &request, route, remote) {
        Some(problem) => problem.into_response(),
        None => match tokio::time::timeout(app.settings.limits.request_timeout, next.run(request)).await {
            Ok(response) => response,
            Err(_) => Problem::new(&problem::TIMEOUT).into_response(),
        },
    };
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        let allow = response.headers_mut().remove(ALLOW);
        problem.log(id);
        // Here and not in its handler, so that the SDKs can read what is refused or given up before that too.
        let problem = if route.ends_with(CREDENTIALS_PATH) { problem.container() } else { problem };
        response = problem.allow(allow).render(id);
    }
    if let Ok(value) = HeaderValue::from_str(&id.to_string()) {
        response.headers_mut().insert(REQUEST_ID_HEADER, value);
    }
    // The one that hyper would add stays at the latest moment that its thread has seen, however far the clock is set back.
    if let Some(date) = http_date(app.clock.now()) {
        response.headers_mut().insert(DATE, date);
    }
    let status = response.status().as_u16();
    let took = started.elapsed();
    app.figures.request(route, status, took);
    log(&method, route, status, took, id, remote);
    response
}

/// A moment as HTTP headers have it (RFC 9110 §5.6.7).
fn http_date(now: Timestamp) -> Option<HeaderValue> {
    let text = DateTimePrinter::new().timestamp_to_rfc9110_string(&now).ok()?;
    HeaderValue::from_str(&text).ok()
}

/// What is refused before a handler sees it: too many requests of an address, a body that says itself that it is too large.
///
/// Fetches of keys and probes are for everybody and cost nothing: they are never limited, so that AWS always gets its keys.
fn refused(app: &App, request: &Request, route: &str, remote: IpAddr) -> Option<Problem> {
    let reads = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    let document = route.contains("/.well-known/");
    let free = reads && (document || FREE_ROUTES.iter().chain(&PROBES).any(|free| route.ends_with(free)));
    if !free && let Err(too_many) = app.limits.check_address(remote) {
        return Some(app.too_many(too_many));
    }
    let declared = request.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    let too_large = declared.is_some_and(|length| length > app.settings.limits.body_bytes as u64);
    too_large.then(|| Problem::new(&problem::BODY_TOO_LARGE))
}

fn log(method: &Method, route: &str, status: u16, took: Duration, id: RequestId, remote: IpAddr) {
    let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    if status >= 500 {
        tracing::warn!(%method, route, status, took_us, request_id = %id, %remote, "request");
    } else {
        tracing::debug!(%method, route, status, took_us, request_id = %id, %remote, "request");
    }
}
