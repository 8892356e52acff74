//! What every request goes through: an id, the caller's address, the rate limits, the log, the figures, the rendering of problems.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use axum::{
    extract::{ConnectInfo, MatchedPath, Request, State},
    http::{
        HeaderValue, Method,
        header::{ALLOW, AUTHORIZATION},
    },
    middleware::Next,
    response::{IntoResponse, Response},
};
use tagmint_core::id::RequestId;
use tokio::time::Instant;

use super::problem::{self, Problem};
use crate::{app::App, client_address::client_address};

/// Header that carries the request's id in every answer.
pub const REQUEST_ID_HEADER: &str = "x-request-id";

/// What a handler knows about its request beside its content.
#[derive(Debug, Clone, Copy)]
pub struct RequestContext {
    /// The request's id, in the answer, the log and the ledger.
    pub id: RequestId,
    /// The caller's address.
    pub remote: IpAddr,
}

/// The outermost layer.
pub async fn observe(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let _under_way = app.request_under_way();
    let peer =
        request.extensions().get::<ConnectInfo<SocketAddr>>().map_or(Ipv4Addr::LOCALHOST.into(), |info| info.0.ip());
    let remote = client_address(peer, request.headers(), &app.settings.trusted_proxies);
    let Ok(id) = RequestId::generate(app.clock.now(), &*app.random) else {
        return Problem::new(&problem::INTERNAL).into_response();
    };
    request.extensions_mut().insert(RequestContext { id, remote });
    let method = request.method().clone();
    let path = request.extensions().get::<MatchedPath>().cloned();
    let route = path.as_ref().map_or("(none)", MatchedPath::as_str);

    let mut response = match limited(&app, &request, remote) {
        Some(problem) => problem.into_response(),
        None => match tokio::time::timeout(app.settings.limits.request_timeout, next.run(request)).await {
            Ok(response) => response,
            Err(_) => Problem::new(&problem::TIMEOUT).into_response(),
        },
    };
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        let allow = response.headers_mut().remove(ALLOW);
        problem.log(id);
        response = problem.allow(allow).render(id);
    }
    if let Ok(value) = HeaderValue::from_str(&id.to_string()) {
        response.headers_mut().insert(REQUEST_ID_HEADER, value);
    }
    let status = response.status().as_u16();
    let took = started.elapsed();
    app.figures.request(route, status, took);
    log(&method, route, status, took, id, remote);
    response
}

/// Fetches of keys and probes are for everybody and cost nothing: they are never limited, so that AWS always gets its keys.
fn limited(app: &App, request: &Request, remote: IpAddr) -> Option<Problem> {
    let path = request.uri().path();
    let free = request.method() == Method::GET
        && (path.contains("/.well-known/") || matches!(path, "/livez" | "/readyz" | "/healthz" | "/metrics"));
    if free {
        return None;
    }
    let credential = request.headers().get(AUTHORIZATION).map(HeaderValue::as_bytes);
    app.limits.check(remote, credential).err().map(|too_many| {
        app.figures.rate_limited(too_many.bucket);
        Problem::new(&problem::TOO_MANY_REQUESTS)
            .detail(format!("The limit for this {} is reached; try again later.", too_many.bucket))
            .retry_after(too_many.retry_after)
    })
}

fn log(method: &Method, route: &str, status: u16, took: Duration, id: RequestId, remote: IpAddr) {
    let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    if status >= 500 {
        tracing::warn!(%method, route, status, took_us, request_id = %id, %remote, "request");
    } else {
        tracing::debug!(%method, route, status, took_us, request_id = %id, %remote, "request");
    }
}
