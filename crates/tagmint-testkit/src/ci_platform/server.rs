//! The platform's routes and its TLS listener.

use std::{
    collections::HashMap,
    sync::{Arc, atomic::Ordering},
};

use axum::{
    Json, Router,
    extract::{Query, Request, State},
    http::{HeaderMap, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{MethodRouter, get, post, put},
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use rustls::ServerConfig;
use serde_json::{Map, Value, json};
use tokio::{net::TcpListener, task::JoinSet};
use tokio_rustls::TlsAcceptor;

use super::{
    Shared, lock,
    misbehaviour::{self, Document},
    of_now,
};

/// Serves until the returned set is dropped, connections included.
pub(super) fn run(listener: TcpListener, config: Arc<ServerConfig>, path: &str, shared: Arc<Shared>) -> JoinSet<()> {
    let router = router(path, &shared);
    let acceptor = TlsAcceptor::from(config);
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        loop {
            let Ok((stream, _)) = listener.accept().await else { continue };
            shared.counters.connections.fetch_add(1, Ordering::Relaxed);
            let (acceptor, service) = (acceptor.clone(), TowerToHyperService::new(router.clone()));
            connections.spawn(async move {
                if let Ok(stream) = acceptor.accept(stream).await {
                    let _ =
                        auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
                }
            });
            while connections.try_join_next().is_some() {}
        }
    });
    tasks
}

fn router(path: &str, shared: &Arc<Shared>) -> Router {
    let routes = Router::new()
        .route("/.well-known/openid-configuration", answers(Document::Discovery))
        .route("/.well-known/jwks", answers(Document::Keys))
        .route("/runtime/idtoken", get(id_token))
        .route("/control/job", put(set_job))
        .route("/control/token", post(make_token));
    let routes = if path.is_empty() { routes } else { Router::new().nest(path, routes) };
    routes
        .route("/elsewhere/discovery", elsewhere(Document::Discovery))
        .route("/elsewhere/jwks", elsewhere(Document::Keys))
        .layer(middleware::from_fn_with_state(Arc::clone(shared), count))
        .with_state(Arc::clone(shared))
}

async fn count(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let counters = &shared.counters;
    let path = request.uri().path();
    let counter = if path.ends_with("/.well-known/openid-configuration") {
        &counters.discovery
    } else if path.ends_with("/.well-known/jwks") {
        &counters.keys
    } else {
        &counters.other
    };
    counter.fetch_add(1, Ordering::Relaxed);
    next.run(request).await
}

fn answers(document: Document) -> MethodRouter<Arc<Shared>> {
    get(async move |State(shared): State<Arc<Shared>>, headers: HeaderMap| {
        misbehaviour::answer(&shared, document, &headers).await
    })
}

/// Where a redirect leads: the good document.
fn elsewhere(document: Document) -> MethodRouter<Arc<Shared>> {
    get(async move |State(shared): State<Arc<Shared>>| misbehaviour::good(&shared, document))
}

/// The request does not bear the request token.
struct NoPermission;

impl IntoResponse for NoPermission {
    fn into_response(self) -> Response {
        (StatusCode::UNAUTHORIZED, Json(json!({"message": "the job has no `id-token: write`"}))).into_response()
    }
}

/// The GitHub runner's protocol: the job's token for an audience.
async fn id_token(
    State(shared): State<Arc<Shared>>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> Result<Json<Value>, NoPermission> {
    authorize(&shared, &headers)?;
    let token = shared.job_token(query.get("audience").filter(|audience| !audience.is_empty()).cloned());
    Ok(Json(json!({"count": token.len(), "value": token})))
}

/// Sets the job's claims.
async fn set_job(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    Json(claims): Json<Map<String, Value>>,
) -> Result<StatusCode, NoPermission> {
    authorize(&shared, &headers)?;
    *lock(&shared.job) = claims;
    Ok(StatusCode::NO_CONTENT)
}

/// A token with the given claims over the job's: what GitLab puts into a job's variables, or a token that no job gets.
async fn make_token(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    Json(claims): Json<Map<String, Value>>,
) -> Result<Json<Value>, NoPermission> {
    authorize(&shared, &headers)?;
    let mut full = of_now(lock(&shared.job).clone());
    full.extend(claims);
    Ok(Json(json!({"value": shared.token(&full)})))
}

fn authorize(shared: &Shared, headers: &HeaderMap) -> Result<(), NoPermission> {
    let shown = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let scheme_and_token = shown.and_then(|value| value.split_once(' '));
    if scheme_and_token
        .is_some_and(|(scheme, token)| scheme.eq_ignore_ascii_case("bearer") && token == shared.request_token)
    {
        return Ok(());
    }
    Err(NoPermission)
}
