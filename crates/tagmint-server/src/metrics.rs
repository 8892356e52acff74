//! Figures for Prometheus. Handles are made once, so that a request pays for an atomic addition and no look-up.
//!
//! Counters and histograms exist from the first scrape on, with every label that can be told beforehand, because a rate over a series that
//! begins with its first event misses that event. Gauges of a moment or an age are absent until they are known.

mod known;
mod process;
mod rules;
mod text;

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use jiff::SignedDuration;
use metrics::{Counter, Gauge, Histogram, Key, Label, Level, Metadata, Recorder, Unit};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use tagmint_core::{key_schedule::KeyPhase, trusted_issuer::TrustedIssuerName};

use crate::{
    acme::CertificateHealth,
    certificate_files::CertificateFileFigures,
    connections::ConnectionFigures,
    limits::Omission,
    upstream::{KeyHealth, ProviderHealth},
};

pub use self::rules::RuleReload;

/// The name, kind and meaning of every metric. The reference page is made from this table.
pub const CATALOGUE: &[(&str, &str, &str)] = &[
    ("tagmint_mints_total", "counter", "Tokens signed, by route."),
    (
        "tagmint_anonymous_mints_total",
        "counter",
        "Tokens signed for callers who showed no credential (`[anonymous_minting]`, test issuers alone). They count in `tagmint_mints_total` too.",
    ),
    (
        "tagmint_rule_set_info",
        "gauge",
        "1 for the rules in force, by their hash; 0 for rules that were replaced since the start.",
    ),
    (
        "tagmint_rule_reloads_total",
        "counter",
        "Reloads of the rules (SIGHUP), by result: `replaced`, `unchanged`, `failed` (the old rules stay in force).",
    ),
    (
        "tagmint_shadow_decisions_total",
        "counter",
        "Requests that matched a shadow rule, by rule and decision: `granted`, `refused`.",
    ),
    ("tagmint_refusals_total", "counter", "Requests for a token that were refused, by the reason's code."),
    ("tagmint_mint_failures_total", "counter", "Requests for a token that failed on our side (503), by what failed."),
    (
        "tagmint_refusals_unrecorded_total",
        "counter",
        "Refusals of unidentified callers that were counted and not recorded in the ledger, by limit: `failed_per_address`, \
         `failed_per_network`, `refusal_rows_per_network`, `refusal_rows` (see `[limits]`), `disk_nearly_full`.",
    ),
    ("tagmint_sessions_opened_total", "counter", "Sessions opened."),
    (
        "tagmint_session_refusals_total",
        "counter",
        "Requests for a session that were refused, by reason: `auth_token_refused`, `sessions_per_subject`.",
    ),
    (
        "tagmint_role_credentials_total",
        "counter",
        "Requests for credentials of a role session, by result: `assumed` by STS, `cached`, `busy`; calls to STS that came to nothing: \
         `refused`, `unavailable`.",
    ),
    ("tagmint_http_requests_total", "counter", "HTTP requests, by route and status."),
    ("tagmint_http_request_duration_seconds", "histogram", "Time from a request's headers to its answer, by route."),
    ("tagmint_rate_limited_total", "counter", "Requests refused by a rate limit, by bucket."),
    ("tagmint_connections", "gauge", "Connections that are open."),
    ("tagmint_connections_refused_total", "counter", "Connections refused because too many were open."),
    (
        "tagmint_connections_evicted_total",
        "counter",
        "Connections closed while they waited (for a handshake, for a request's rest, for the next request), to make room for new ones.",
    ),
    ("tagmint_handshake_failures_total", "counter", "TLS handshakes that failed, took too long or made room."),
    (
        "tagmint_accept_failures_total",
        "counter",
        "Times that a connection could not be accepted, as without a free file.",
    ),
    (
        "tagmint_certificate_files_total",
        "counter",
        "Changed certificate files that were read, by result: `taken_up`, or `unusable` and the old certificate stays.",
    ),
    ("tagmint_ledger_queue_length", "gauge", "Ledger entries that wait to be written."),
    ("tagmint_ledger_batch_size", "gauge", "Ledger entries in the last commit."),
    ("tagmint_ledger_failures_total", "counter", "Ledger writes that failed. While this grows nothing is minted."),
    ("tagmint_signing_keys", "gauge", "Signing keys, by phase."),
    ("tagmint_signing_key_age_seconds", "gauge", "How long the signing key has been active."),
    (
        "tagmint_signing_keys_waiting",
        "gauge",
        "Next keys that wait to be fetched by STS before they sign (`keys.wait_for_witness`).",
    ),
    (
        "tagmint_signing_keys_unseen",
        "gauge",
        "Active keys that sign because their deadline came, and that STS was not seen to fetch since.",
    ),
    (
        "tagmint_sts_fetch_age_seconds",
        "gauge",
        "How long ago STS was last seen to fetch the key set, on any node. Absent until it was.",
    ),
    (
        "tagmint_document_fetches_total",
        "counter",
        "Fetches of discovery and the key set, by class (`sts`, `other`: see `[witness]`) and document (`discovery`, `jwks`).",
    ),
    (
        "tagmint_document_fetches_dropped_total",
        "counter",
        "Fetches that were answered and not recorded, because too many came at once.",
    ),
    (
        "tagmint_document_fetches_write_failures_total",
        "counter",
        "Times that recorded fetches could not be written to the database. They are kept and written later.",
    ),
    (
        "tagmint_signing_key_reload_failures_total",
        "counter",
        "Times that the keys could not be read from the database.",
    ),
    (
        "tagmint_upstream_key_fetches_total",
        "counter",
        "Fetches of a provider's keys, by provider and result (`good`, `failed`).",
    ),
    (
        "tagmint_ci_token_networks_total",
        "counter",
        "Times that a CI token that may be reused until it expires came from a further network, by provider and result (`allowed`, \
         `refused`; `reuse_from`).",
    ),
    ("tagmint_upstream_keys", "gauge", "A provider's keys that can be used, by provider. 0: its tokens are refused."),
    ("tagmint_upstream_key_age_seconds", "gauge", "How long ago a provider's keys were fetched, by provider."),
    (
        "tagmint_certificate_not_after_seconds",
        "gauge",
        "When the certificate that is served ends, in seconds since the epoch. Absent where TLS ends at a proxy.",
    ),
    (
        "tagmint_certificate_next_renewal_seconds",
        "gauge",
        "When the next certificate is ordered, in seconds since the epoch; with `tls.mode = \"acme\"`.",
    ),
    (
        "tagmint_certificate_attempts_total",
        "counter",
        "Attempts of this process to get a certificate, those that failed included; with `tls.mode = \"acme\"`.",
    ),
    (
        "tagmint_certificate_attempt_failures_total",
        "counter",
        "Attempts of this process of which no certificate came; with `tls.mode = \"acme\"`.",
    ),
    (
        "tagmint_certificate_failures_in_a_row",
        "gauge",
        "Attempts of all nodes that failed since the last certificate; with `tls.mode = \"acme\"`.",
    ),
    ("tagmint_certificate_not_before_seconds", "gauge", "From when the served certificate is valid."),
    (
        "tagmint_build_info",
        "gauge",
        "1, with the program's `version` and the issuer's `environment`: tells Tagmint's targets from others.",
    ),
    ("process_cpu_seconds_total", "counter", "CPU time of the process, in user and system mode."),
    ("process_resident_memory_bytes", "gauge", "Memory of the process that is resident."),
    ("process_virtual_memory_bytes", "gauge", "Virtual memory of the process."),
    ("process_open_fds", "gauge", "File descriptors that are open."),
    ("process_max_fds", "gauge", "The most file descriptors that may be open."),
    ("process_threads", "gauge", "Threads of the process."),
    ("process_start_time_seconds", "gauge", "When the process was started, in seconds since the epoch."),
    ("tagmint_disk_free_bytes", "gauge", "What the issuer may still write on the database's disk."),
    ("tagmint_disk_size_bytes", "gauge", "The size of the database's disk."),
    ("tagmint_session_backend_up", "gauge", "Whether the session backend answered the last time it was asked: 1 or 0."),
    ("tagmint_alarms_firing", "gauge", "Alarms that stand, by id (docs/alarms.md) and severity."),
    (
        "tagmint_alarms_looked_at_seconds",
        "gauge",
        "When the issuer last looked for alarms. It does so every minute: what is older has stopped.",
    ),
    (
        "tagmint_alarm_notices_total",
        "counter",
        "Notices of alarms, by sink and result: `delivered`; `failed`, to be tried again; `given_up` after a day.",
    ),
];

/// Gauges that are absent until what they show is known, or where there is nothing to show.
pub const ABSENT_UNTIL_KNOWN: &[&str] = &[
    "tagmint_shadow_decisions_total",
    "tagmint_ci_token_networks_total",
    "tagmint_sts_fetch_age_seconds",
    "tagmint_upstream_key_fetches_total",
    "tagmint_upstream_keys",
    "tagmint_upstream_key_age_seconds",
    "tagmint_certificate_not_after_seconds",
    "tagmint_certificate_next_renewal_seconds",
    "tagmint_certificate_attempts_total",
    "tagmint_certificate_attempt_failures_total",
    "tagmint_certificate_failures_in_a_row",
    "tagmint_certificate_not_before_seconds",
    "tagmint_disk_free_bytes",
    "tagmint_disk_size_bytes",
    "tagmint_session_backend_up",
    "tagmint_alarms_looked_at_seconds",
    "tagmint_alarm_notices_total",
];

const METADATA: Metadata<'static> = Metadata::new(module_path!(), Level::INFO, Some(module_path!()));
const LATENCY_BUCKETS: &[f64] =
    &[0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// The issuer's own recorder: several issuers in one process (tests, `demo`) don't share figures.
pub struct Metrics {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Metrics")
    }
}

impl Metrics {
    /// A recorder with the catalogue described.
    pub fn new() -> Result<Self, BuildError> {
        let recorder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("duration_seconds".to_owned()), LATENCY_BUCKETS)?
            .build_recorder();
        for (name, kind, meaning) in CATALOGUE.iter().copied() {
            match kind {
                "counter" => recorder.describe_counter(name.into(), None::<Unit>, meaning.into()),
                "histogram" => recorder.describe_histogram(name.into(), None::<Unit>, meaning.into()),
                _ => recorder.describe_gauge(name.into(), None::<Unit>, meaning.into()),
            }
        }
        let handle = recorder.handle();
        Ok(Self { recorder, handle })
    }

    /// A counter.
    pub fn counter(&self, name: &'static str, labels: &[(&'static str, &'static str)]) -> Counter {
        self.recorder.register_counter(&key(name, labels), &METADATA)
    }

    /// A gauge.
    pub fn gauge(&self, name: &'static str, labels: &[(&'static str, &'static str)]) -> Gauge {
        self.recorder.register_gauge(&key(name, labels), &METADATA)
    }

    /// A histogram.
    pub fn histogram(&self, name: &'static str, labels: &[(&'static str, &'static str)]) -> Histogram {
        self.recorder.register_histogram(&key(name, labels), &METADATA)
    }

    /// All figures as Prometheus text, those of the process included, in the order of their names and labels.
    pub fn render(&self) -> String {
        let mut families = self.handle.render();
        families.push_str(&process::render());
        text::sorted(&families)
    }

    /// Moves recorded samples into buckets; call it now and then, or an unread histogram grows.
    pub fn upkeep(&self) {
        self.handle.run_upkeep();
    }
}

/// The routes by which requests are counted; anything else is `(none)`.
pub const ROUTES: &[&str] = &[
    "/.well-known/openid-configuration",
    "/.well-known/jwks.json",
    "/v1/sessions/current",
    "/v1/sessions",
    "/v1/tokens",
    "/v1/id-token",
    "/v1/mint-oidc-jwt",
    "/v1/aws/credentials",
    "/oauth2/token",
    "/oauth2/introspect",
    "/oauth2/revoke",
    "/livez",
    "/readyz",
    "/healthz",
    "/openapi.json",
    "/metrics",
    "(none)",
];
const STATUS_CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// The issuer's figures, each with its handle ready.
#[derive(Debug)]
pub struct Figures {
    /// Where they are kept.
    pub metrics: Metrics,
    ledger_failures: Counter,
    /// The same count, to be read.
    ledger_failed: AtomicU64,
    /// Sessions opened.
    pub sessions_opened: Counter,
    /// About connections.
    pub connections: ConnectionFigures,
    /// About the certificate's files.
    pub certificate_files: CertificateFileFigures,
    /// Times that the keys could not be read.
    pub key_reload_failures: Counter,
    routes: Vec<RouteFigures>,
}

struct RouteFigures {
    route: &'static str,
    by_status: [Counter; 5],
    duration: Histogram,
}

impl std::fmt::Debug for RouteFigures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.route)
    }
}

impl Figures {
    /// Registers what is counted all the time, and begins every series that can be told beforehand at 0.
    pub fn new(metrics: Metrics, environment: &'static str) -> Self {
        known::register(&metrics);
        let build = [("version", env!("CARGO_PKG_VERSION")), ("environment", environment)];
        metrics.gauge("tagmint_build_info", &build).set(1.0);
        let routes = ROUTES
            .iter()
            .map(|&route| RouteFigures {
                route,
                by_status: STATUS_CLASSES.map(|status| {
                    metrics.counter("tagmint_http_requests_total", &[("route", route), ("status", status)])
                }),
                duration: metrics.histogram("tagmint_http_request_duration_seconds", &[("route", route)]),
            })
            .collect();
        Self {
            ledger_failures: metrics.counter("tagmint_ledger_failures_total", &[]),
            ledger_failed: AtomicU64::new(0),
            sessions_opened: metrics.counter("tagmint_sessions_opened_total", &[]),
            connections: ConnectionFigures {
                open: metrics.gauge("tagmint_connections", &[]),
                refused: metrics.counter("tagmint_connections_refused_total", &[]),
                evicted: metrics.counter("tagmint_connections_evicted_total", &[]),
                failed_handshakes: metrics.counter("tagmint_handshake_failures_total", &[]),
                failed_accepts: metrics.counter("tagmint_accept_failures_total", &[]),
            },
            certificate_files: CertificateFileFigures {
                taken_up: metrics.counter("tagmint_certificate_files_total", &[("result", "taken_up")]),
                unusable: metrics.counter("tagmint_certificate_files_total", &[("result", "unusable")]),
            },
            key_reload_failures: metrics.counter("tagmint_signing_key_reload_failures_total", &[]),
            metrics,
            routes,
        }
    }

    /// A ledger write failed.
    pub fn ledger_failed(&self) {
        self.ledger_failures.increment(1);
        self.ledger_failed.fetch_add(1, Ordering::Relaxed);
    }

    /// Ledger writes that failed since the start.
    pub fn ledger_failures(&self) -> u64 {
        self.ledger_failed.load(Ordering::Relaxed)
    }

    /// A gauge without labels.
    pub fn set(&self, name: &'static str, value: f64) {
        self.metrics.gauge(name, &[]).set(value);
    }

    /// How many alarms of a kind and severity stand.
    pub fn alarms_firing(&self, alarm: &'static str, severity: &'static str, count: u32) {
        let labels = [("alarm", alarm), ("severity", severity)];
        self.metrics.gauge("tagmint_alarms_firing", &labels).set(f64::from(count));
    }

    /// Begins the counts of a sink's notices.
    pub fn alarm_sink(&self, sink: &str) {
        for result in ["delivered", "failed", "given_up"] {
            self.alarm_notice(sink, result, 0);
        }
    }

    /// What became of a notice: `delivered`, `failed`, `given_up`.
    pub fn alarm_notice(&self, sink: &str, result: &'static str, count: u64) {
        let labels = vec![Label::new("sink", sink.to_owned()), Label::from_static_parts("result", result)];
        let key = labelled("tagmint_alarm_notices_total", labels);
        self.metrics.recorder.register_counter(&key, &METADATA).increment(count);
    }

    /// A token was signed and recorded.
    pub fn minted(&self, route: &'static str) {
        known::check(known::MINT_ROUTES, route);
        self.metrics.counter("tagmint_mints_total", &[("route", route)]).increment(1);
    }

    /// A token of these was for a caller without proof.
    pub fn minted_anonymously(&self) {
        self.metrics.counter("tagmint_anonymous_mints_total", &[]).increment(1);
    }

    /// A request for a token was refused and recorded.
    pub fn refused(&self, code: &'static str) {
        known::check(known::REFUSALS, code);
        self.metrics.counter("tagmint_refusals_total", &[("reason", code)]).increment(1);
    }

    /// A refusal was counted and not recorded.
    pub fn refusal_omitted(&self, why: Omission) {
        self.metrics.counter("tagmint_refusals_unrecorded_total", &[("limit", why.as_str())]).increment(1);
    }

    /// A request for a session was refused.
    pub fn session_refused(&self, code: &'static str) {
        known::check(known::SESSION_REFUSALS, code);
        self.metrics.counter("tagmint_session_refusals_total", &[("reason", code)]).increment(1);
    }

    /// A request for a token failed on our side.
    pub fn mint_failed(&self, code: &'static str) {
        known::check(known::MINT_FAILURES, code);
        self.metrics.counter("tagmint_mint_failures_total", &[("reason", code)]).increment(1);
    }

    /// A CI token that may be reused came from a further network.
    pub fn token_elsewhere(&self, provider: &TrustedIssuerName, result: &'static str) {
        self.networks(provider, result).increment(1);
    }

    /// Makes the count of a provider's tokens from further networks known, as 0.
    pub fn expect_token_elsewhere(&self, provider: &TrustedIssuerName) {
        for result in ["allowed", "refused"] {
            self.networks(provider, result).increment(0);
        }
    }

    fn networks(&self, provider: &TrustedIssuerName, result: &'static str) -> Counter {
        let labels = vec![Label::new("provider", provider.to_string()), Label::from_static_parts("result", result)];
        self.metrics.recorder.register_counter(&labelled("tagmint_ci_token_networks_total", labels), &METADATA)
    }

    /// Somebody asked for credentials of a role session.
    pub fn role_credentials(&self, result: &'static str) {
        known::check(known::ROLE_CREDENTIALS, result);
        self.metrics.counter("tagmint_role_credentials_total", &[("result", result)]).increment(1);
    }

    /// A request was over its rate.
    pub fn rate_limited(&self, bucket: &'static str) {
        known::check(&crate::limits::BUCKETS, bucket);
        self.metrics.counter("tagmint_rate_limited_total", &[("bucket", bucket)]).increment(1);
    }

    /// A request was answered. `route` may stand below the issuer's path.
    pub fn request(&self, route: &str, status: u16, took: Duration) {
        let known = self.routes.iter().find(|known| route.ends_with(known.route)).or(self.routes.last());
        if let Some(figures) = known {
            if let Some(counter) = figures.by_status.get(usize::from(status / 100).wrapping_sub(1)) {
                counter.increment(1);
            }
            figures.duration.record(took.as_secs_f64());
        }
    }

    /// The signing keys by phase, and the active one's age in seconds.
    #[expect(clippy::cast_precision_loss, reason = "counts and ages are far below 2^52")]
    pub fn keys(&self, phases: [(KeyPhase, usize); 3], age: i64) {
        for (phase, count) in phases {
            let phase = match phase {
                KeyPhase::Next => "next",
                KeyPhase::Active => "active",
                KeyPhase::Retiring => "retiring",
                KeyPhase::Withdrawn => "withdrawn",
            };
            self.metrics.gauge("tagmint_signing_keys", &[("phase", phase)]).set(count as f64);
        }
        self.metrics.gauge("tagmint_signing_key_age_seconds", &[]).set(age as f64);
    }

    /// How long ago STS fetched the key set; how many keys wait for it, and how many sign unseen.
    #[expect(clippy::cast_precision_loss, reason = "counts and ages are far below 2^52")]
    pub fn witness(&self, age: Option<SignedDuration>, (waiting, unseen): (usize, usize)) {
        self.metrics.gauge("tagmint_signing_keys_waiting", &[]).set(waiting as f64);
        self.metrics.gauge("tagmint_signing_keys_unseen", &[]).set(unseen as f64);
        if let Some(age) = age {
            self.metrics.gauge("tagmint_sts_fetch_age_seconds", &[]).set(age.as_secs() as f64);
        }
    }

    /// The keys of a provider of CI tokens.
    #[expect(clippy::cast_precision_loss, reason = "counts and ages are far below 2^52")]
    pub fn upstream(&self, health: &ProviderHealth) {
        let provider = Label::new("provider", health.provider.to_string());
        let KeyHealth { keys, age, fetched, failed, .. } = &health.keys;
        for (result, count) in [("good", *fetched), ("failed", *failed)] {
            let labels = vec![provider.clone(), Label::from_static_parts("result", result)];
            let key = labelled("tagmint_upstream_key_fetches_total", labels);
            self.metrics.recorder.register_counter(&key, &METADATA).absolute(count);
        }
        let set = |name, value| {
            let key = labelled(name, vec![provider.clone()]);
            self.metrics.recorder.register_gauge(&key, &METADATA).set(value);
        };
        set("tagmint_upstream_keys", *keys as f64);
        if let Some(age) = age {
            set("tagmint_upstream_key_age_seconds", age.as_secs() as f64);
        }
    }

    /// The certificate that is served, and how its renewal goes.
    #[expect(clippy::cast_precision_loss, reason = "seconds of our time and counts are far below 2^52")]
    pub fn certificate(&self, health: &CertificateHealth) {
        let set = |name, value: f64| self.metrics.gauge(name, &[]).set(value);
        if let Some(facts) = &health.served {
            set("tagmint_certificate_not_before_seconds", facts.not_before.as_second() as f64);
            set("tagmint_certificate_not_after_seconds", facts.not_after.as_second() as f64);
        }
        if !health.ordered_here {
            return;
        }
        if let Some(at) = health.next_renewal_at {
            set("tagmint_certificate_next_renewal_seconds", at.as_second() as f64);
        }
        let in_a_row = health.last_failure.as_ref().map_or(0, |failure| failure.consecutive);
        set("tagmint_certificate_failures_in_a_row", f64::from(in_a_row));
        self.metrics.counter("tagmint_certificate_attempts_total", &[]).absolute(health.attempts);
        self.metrics.counter("tagmint_certificate_attempt_failures_total", &[]).absolute(health.failures);
    }

    /// The ledger writer's state.
    #[expect(clippy::cast_precision_loss, reason = "queue lengths are far below 2^52")]
    pub fn ledger(&self, queue_length: usize, last_batch: u64) {
        self.metrics.gauge("tagmint_ledger_queue_length", &[]).set(queue_length as f64);
        self.metrics.gauge("tagmint_ledger_batch_size", &[]).set(last_batch as f64);
    }
}

fn key(name: &'static str, labels: &[(&'static str, &'static str)]) -> Key {
    labelled(name, labels.iter().map(|(name, value)| Label::from_static_parts(name, value)).collect())
}

fn labelled(name: &'static str, labels: Vec<Label>) -> Key {
    debug_assert!(CATALOGUE.iter().any(|(known, ..)| *known == name), "`{name}` is not in the catalogue");
    Key::from_parts(name, labels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_come_out_with_their_meaning() {
        let metrics = Metrics::new().unwrap();
        metrics.counter("tagmint_mints_total", &[("route", "POST /v1/tokens")]).increment(2);
        metrics.histogram("tagmint_http_request_duration_seconds", &[("route", "x")]).record(0.003);
        let text = metrics.render();
        assert!(text.contains("# HELP tagmint_mints_total Tokens signed, by route."), "{text}");
        assert!(text.contains(r#"tagmint_mints_total{route="POST /v1/tokens"} 2"#), "{text}");
        assert!(text.contains(r#"tagmint_http_request_duration_seconds_bucket{route="x",le="0.005"} 1"#), "{text}");
    }
}
