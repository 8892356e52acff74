//! The series that can be told before anything happens: they begin at 0.

use tagmint_core::alarm::{AlarmKind, Severity};

use super::Metrics;
use crate::limits::{BUCKETS, Omission};

/// The routes that mint, as they stand in the ledger.
pub(super) const MINT_ROUTES: &[&str] = &[
    "POST /v1/tokens",
    "GET /v1/id-token",
    "POST /v1/mint-oidc-jwt",
    "POST /oauth2/token",
    crate::flows::aws_credentials::ROUTE,
];

/// Why a mint is refused: the codes of [`AuthenticateError`](crate::flows::authenticate::AuthenticateError),
/// [`IdentifyError`](crate::flows::identify::IdentifyError), [`DenialReason`](tagmint_core::rules::DenialReason), and of claims that AWS
/// would refuse.
pub(super) const REFUSALS: &[&str] = &[
    "credential_missing",
    "credential_of_other_environment",
    "credential_malformed",
    "credential_unknown",
    "credential_expired",
    "credential_revoked",
    "session_required",
    "ci_token_not_taken",
    "ci_token_wanted",
    "ci_token_unknown_issuer",
    "ci_token_expired",
    "ci_token_audience",
    "ci_token_invalid",
    "ci_token_spent",
    "no_rule",
    "unknown_rule",
    "identity_too_large",
    "condition_error",
    "template_error",
    "invalid_claim",
    "invalid_tag",
    "audience_not_allowed",
    "role_not_allowed",
    "lifetime_not_allowed",
    "tag_not_allowed",
    "tag_value_not_allowed",
    "tag_required",
    "out_of_scope",
    "token_not_acceptable_to_aws",
];

/// Why a mint fails on our side.
pub(super) const MINT_FAILURES: &[&str] =
    &["provider_keys", "no_signing_key", "stale_keys", "signing", "ledger", "database", "randomness"];

/// Why a session is refused.
pub(super) const SESSION_REFUSALS: &[&str] = &["auth_token_refused", "sessions_per_subject"];

/// The outcomes of a request for credentials of a role session.
pub(super) const ROLE_CREDENTIALS: &[&str] = &["assumed", "cached", "busy", "refused", "unavailable"];

/// A label that is missing above would begin with its first event; a test that meets it fails.
pub(super) fn check(known: &[&str], label: &str) {
    debug_assert!(known.contains(&label), "`{label}` is missing in metrics/known.rs");
}

/// Begins the series at 0.
pub(super) fn register(metrics: &Metrics) {
    let labelled: [(&'static str, &'static str, &[&'static str]); 6] = [
        ("tagmint_mints_total", "route", MINT_ROUTES),
        ("tagmint_refusals_total", "reason", REFUSALS),
        ("tagmint_mint_failures_total", "reason", MINT_FAILURES),
        ("tagmint_session_refusals_total", "reason", SESSION_REFUSALS),
        ("tagmint_role_credentials_total", "result", ROLE_CREDENTIALS),
        ("tagmint_rate_limited_total", "bucket", &BUCKETS),
    ];
    for (name, label, values) in labelled {
        for value in values {
            metrics.counter(name, &[(label, value)]).increment(0);
        }
    }
    for why in Omission::ALL {
        metrics.counter("tagmint_refusals_unrecorded_total", &[("limit", why.as_str())]).increment(0);
    }
    metrics.counter("tagmint_anonymous_mints_total", &[]).increment(0);
    for alarm in AlarmKind::ALL {
        for severity in [Severity::Warning, Severity::Critical] {
            let labels = [("alarm", alarm.as_str()), ("severity", severity.as_str())];
            metrics.gauge("tagmint_alarms_firing", &labels).set(0.0);
        }
    }
}
