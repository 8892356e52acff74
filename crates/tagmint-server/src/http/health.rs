//! Health, for load balancers and people; figures, on the admin listener alone.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;

/// The probes' routes: they answer by whatever name and as often as they are asked.
pub const PROBES: [&str; 3] = ["/livez", "/readyz", "/healthz"];

/// The state of one part.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Check {
    /// The part: `database`, `ledger`, `signing_key`, `certificate` (where TLS ends here), `shutdown`; for people, and always `ok`:
    /// `alarm` (each that stands: severity and id, docs/alarms.md), `provider` (each CI platform).
    pub name: &'static str,
    /// Whether it works.
    pub ok: bool,
    /// What is wrong, or how it is, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// All parts.
#[derive(Debug, Serialize, ToSchema)]
pub struct Health {
    /// `ok`; `degraded`, when it serves and alarms stand; `unavailable`.
    status: &'static str,
    /// Each part.
    checks: Vec<Check>,
    /// The hash of the rules in force, as `tagmint check` gives it.
    rules: String,
}

/// The process runs.
#[utoipa::path(get, path = "/livez", tag = "health", responses((status = 200, body = String)))]
pub async fn livez() -> &'static str {
    "ok\n"
}

/// The issuer can mint: every part that a mint needs works. 503 names each that does not; 200 with `degraded` names alarms that stand.
#[utoipa::path(get, path = "/readyz", tag = "health", responses((status = 200, body = Health), (status = 503, body = Health)))]
pub async fn readyz(State(app): State<Arc<App>>) -> Response {
    let checks = app.health().await;
    let ok = checks.iter().all(|check| check.ok);
    let degraded = checks.iter().any(|check| check.name == "alarm");
    let (code, status) = match (ok, degraded) {
        (true, false) => (StatusCode::OK, "ok"),
        (true, true) => (StatusCode::OK, "degraded"),
        (false, _) => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
    };
    (code, [(header::CACHE_CONTROL, "no-store")], Json(Health { status, checks, rules: app.rules().hash().to_owned() }))
        .into_response()
}

/// The same as `/readyz`, under the name that people try first.
#[utoipa::path(get, path = "/healthz", tag = "health", responses((status = 200, body = Health), (status = 503, body = Health)))]
pub async fn healthz(state: State<Arc<App>>) -> Response {
    readyz(state).await
}

/// Prometheus text.
pub async fn metrics(State(app): State<Arc<App>>) -> Response {
    app.refresh_gauges();
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], app.figures.metrics.render()).into_response()
}
