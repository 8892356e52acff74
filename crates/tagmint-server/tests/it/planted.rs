//! Credentials and control characters in the wrong fields: they reach no answer, no log and no row.

use std::{
    fmt::{self, Write},
    path::Path,
    sync::{Arc, Mutex},
};

use axum::{
    body::Body,
    http::{HeaderName, HeaderValue, Method, Request},
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use tagmint_core::sanitize::first_invisible;
use tagmint_store::LedgerQuery;
use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    span,
};

use crate::issuer::{Answer, Setup, TestIssuer};

/// Everything that is logged on this thread, in any level.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<String>>);

struct Fields<'a>(&'a mut String);

impl Visit for Fields<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        let _ = write!(self.0, " {field}={value}");
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let _ = write!(self.0, " {field}={value:?}");
    }
}

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("tagmint")
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        event.record(&mut Fields(&mut self.0.lock().unwrap()));
    }
}

struct Stage {
    issuer: TestIssuer,
    session: String,
    log: Log,
    _guard: tracing::subscriber::DefaultGuard,
}

const OPEN_TAGS: &str = r#"
[[rule]]
name = "open-tags"
from = "session"
subject = "any:${sub}"
role = "arn:aws:iam::123456789012:role/agentkeys-data-role-test"
tags = { run = { open = true }, project = { open = true } }

[[rule]]
name = "open-tags-of-bearers"
from = "bearer"
subject = "any:${sub}"
role = "arn:aws:iam::123456789012:role/agentkeys-data-role-test"
tags = { run = { open = true }, project = { open = true } }
"#;

impl Stage {
    async fn new() -> Self {
        let log = Log::default();
        let guard = tracing::subscriber::set_default(log.clone());
        let issuer = TestIssuer::start_with(Setup { rules: OPEN_TAGS, ..Setup::default() }).await;
        let session = issuer.open_session().await;
        Self { issuer, session, log, _guard: guard }
    }

    /// Sends a text in every field of every route.
    async fn plant(&self, planted: &str) -> Vec<(String, Answer)> {
        let mut answers = Vec::new();
        let mut note = |what: &str, answer: Answer| answers.push((what.to_owned(), answer));
        for body in [
            json!({"audience": planted}),
            json!({"role": planted}),
            json!({"role": format!("arn:aws:iam::123456789012:role {planted}")}),
            json!({"rule": planted}),
            json!({"tags": {"run": planted}}),
            json!({"tags": {planted: "x"}}),
            json!({"tags": {"run": [planted]}}),
            json!({"lifetime_seconds": planted}),
            json!({planted: "x"}),
            json!({"audience": [planted]}),
        ] {
            note(&body.to_string(), self.issuer.mint(&self.session, body.clone()).await);
        }
        let twice = format!("{{{0}: 1, {0}: 2}}", json!(planted));
        note("twice", self.issuer.call(Method::POST, "/v1/tokens", &self.session, twice).await);
        let opened = json!({"auth_token": "x", planted: "y"}).to_string();
        note("sessions", self.issuer.send(Request::post("/v1/sessions").body(opened.into()).unwrap()).await);
        let encoded: String = form_urlencoded::byte_serialize(planted.as_bytes()).collect();
        for path in [
            format!("/v1/id-token?audience={encoded}"),
            format!("/v1/id-token?{encoded}=x"),
            format!("/v1/id-token?{encoded}=x&{encoded}=y"),
            format!("/v1/aws/credentials?role={encoded}"),
            format!("/v1/aws/credentials?role=x&session_name={encoded}"),
            format!("/v1/aws/credentials?role=x&duration_seconds={encoded}"),
            format!("/v1/aws/credentials?{encoded}=x"),
            format!("/{encoded}"),
            format!("/v1/sessions/{encoded}"),
            format!("/.well-known/jwks.json?{encoded}"),
            format!("/oauth2/authorize?state={encoded}"),
        ] {
            note(&path, self.issuer.call(Method::GET, &path, &self.session, "").await);
        }
        let exchange = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange";
        for (path, form) in [
            ("/oauth2/token", format!("grant_type={encoded}")),
            ("/oauth2/token", format!("{exchange}&subject_token_type={encoded}")),
            ("/oauth2/token", format!("{exchange}&subject_token_type={encoded}&subject_token_type=x")),
            ("/oauth2/token", format!("{encoded}=x&{encoded}=y")),
            (
                "/oauth2/token",
                format!("grant_type=client_credentials&client_secret={}&audience={encoded}", self.session),
            ),
            (
                "/oauth2/token",
                format!("grant_type=client_credentials&client_secret={}&audience={encoded}&audience=b", self.session),
            ),
            (
                "/oauth2/token",
                format!("grant_type=client_credentials&client_secret={}&resource={encoded}", self.session),
            ),
            (
                "/oauth2/token",
                format!(
                    "grant_type=client_credentials&client_secret={}&scope={encoded}&client_id={encoded}",
                    self.session
                ),
            ),
            (
                "/oauth2/token",
                format!("grant_type=client_credentials&client_secret={}&requested_token_type={encoded}", self.session),
            ),
            ("/oauth2/introspect", format!("token=x&client_secret={}&token_type_hint={encoded}", self.session)),
            ("/oauth2/revoke", format!("token=x&token_type_hint={encoded}")),
        ] {
            note(&form, self.issuer.send(Request::post(path).body(form.clone().into()).unwrap()).await);
        }
        for header in [
            "user-agent",
            "host",
            "x-forwarded-host",
            "forwarded",
            "x-forwarded-for",
            "x-request-id",
            "content-type",
            "content-encoding",
            "origin",
            "if-none-match",
        ] {
            // What no header can hold is not sent in one.
            let Ok(value) = HeaderValue::from_bytes(planted.as_bytes()) else { continue };
            for (method, path) in [(Method::GET, "/.well-known/jwks.json"), (Method::POST, "/oauth2/token")] {
                let request =
                    Request::builder().method(method).uri(path).header(HeaderName::from_static(header), &value);
                note(header, self.issuer.send(request.body(Body::from("<x/>")).unwrap()).await);
            }
        }
        for token in unsigned(planted) {
            note("ci token", self.issuer.mint(&token, json!({})).await);
        }
        answers
    }

    /// Everything that is left of it: the answers, the log, and the texts of the ledger.
    async fn kept(&self, answers: &[(String, Answer)]) -> Vec<(String, String)> {
        let mut kept = Vec::new();
        for (what, answer) in answers {
            kept.push((what.clone(), String::from_utf8_lossy(&answer.body).into_owned()));
            kept.push((what.clone(), format!("{:?}", answer.headers)));
        }
        kept.push(("log".to_owned(), self.log.0.lock().unwrap().clone()));
        for row in self.issuer.store.ledger().page(&LedgerQuery::default(), 1000).await.unwrap() {
            kept.push(("ledger".to_owned(), row.body));
        }
        kept
    }
}

/// Tokens of nobody, with a text in their header and claims.
fn unsigned(planted: &str) -> Vec<String> {
    let encode = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let parts = [
        (json!({"alg": planted, "kid": "k"}), json!({"iss": "https://a.example"})),
        (json!({"alg": "RS256", "kid": planted}), json!({"iss": "https://a.example"})),
        (json!({"alg": "RS256", "kid": "k"}), json!({"iss": planted})),
        (
            json!({"alg": "RS256", "kid": "k", planted: 1}),
            json!({"iss": "https://a.example", planted: 1, "aud": planted}),
        ),
    ];
    parts.map(|(header, claims)| format!("{}.{}.AAAA", encode(&header), encode(&claims))).to_vec()
}

fn files(folder: &Path) -> Vec<u8> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        all.extend(std::fs::read(entry.unwrap().path()).unwrap());
    }
    all
}

fn holds(haystack: &[u8], needle: &str) -> bool {
    let found = |needle: &[u8]| haystack.windows(needle.len()).any(|window| window == needle);
    found(needle.as_bytes()) || found(needle.to_lowercase().as_bytes())
}

#[tokio::test]
async fn a_credential_in_the_wrong_field_is_kept_nowhere() {
    let stage = Stage::new().await;
    let (_, bearer) = stage.issuer.make_bearer(None).await;
    let foreign = format!("tms_prod_{}", "aB3x".repeat(12));
    let jwt = "eyJhbGciOiJFUzI1NiIsImtpZCI6ImEifQ.eyJzdWIiOiJwbGFudGVkLXNlY3JldCJ9.c2lnbmF0dXJlLXNpZ25hdHVyZQ";
    for (planted, part) in [
        (bearer.as_str(), &bearer["tmb_test_".len()..][..20]),
        (foreign.as_str(), "aB3xaB3xaB3x"),
        (jwt, "eyJzdWIiOiJwbGFudGVk"),
        ("AKIAIOSFODNN7EXAMPLE", "IOSFODNN7EXAMPLE"),
        ("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "K7MDENG"),
        ("ghs_0123456789abcdefghijABCDEFGHIJ012345", "0123456789abcdefghij"),
    ] {
        let answers = stage.plant(planted).await;
        for (what, text) in stage.kept(&answers).await {
            assert!(!holds(text.as_bytes(), part), "{planted} as {}: {text}", what.replace(planted, "…"));
        }
        stage.issuer.app.write_fetches().await.unwrap();
        assert!(!holds(&files(stage.issuer.dir.path()), part), "{planted} is in the database");
        let minted = answers.iter().any(|(what, answer)| what.contains("tags") && answer.status == 200);
        assert!(!minted, "{planted} was signed into a token");
        let told = stage.issuer.mint(&stage.session, json!({"tags": {"run": planted}})).await;
        let detail = told.problem(400, "misplaced-secret")["detail"].as_str().unwrap().to_owned();
        assert!(detail.starts_with("`tags.run` holds what looks like a"), "{detail}");
    }
    let fine =
        stage.issuer.mint(&stage.session, json!({"tags": {"run": "da39a3ee5e6b4b0d3255bfef95601890afd80709"}})).await;
    assert_eq!(fine.status, 200, "{}", fine.json());
}

#[tokio::test]
async fn control_and_invisible_characters_reach_no_reader() {
    let stage = Stage::new().await;
    for planted in [
        "https://a.example\u{1b}[2J\u{1b}]0;x\u{7}",
        "https://a.example\nlevel=ERROR forged",
        "https://a.example\r\nforged",
        "https://a.example\u{9b}2J",
        "https://a.example\u{7f}\u{8}",
        "https://a.example\u{202e}gpj",
        "https://a.example\u{2028}forged",
        "https://a.example\u{200b}\u{e0041}",
    ] {
        let answers = stage.plant(planted).await;
        for (what, answer) in &answers {
            // What a reader of the JSON shows, not how JSON writes it.
            let Ok(answered) = serde_json::from_slice::<Value>(&answer.body) else { continue };
            let shown =
                ["detail", "error_description", "message"].map(|name| answered[name].as_str().unwrap_or_default());
            for text in shown {
                assert_eq!(first_invisible(text), None, "{what}: {text:?}");
            }
        }
        for row in stage.issuer.store.ledger().page(&LedgerQuery::default(), 1000).await.unwrap() {
            let detail =
                serde_json::from_str::<Value>(&row.body).unwrap()["detail"].as_str().unwrap_or_default().to_owned();
            assert_eq!(first_invisible(&detail), None, "{detail:?}");
        }
        let log = stage.log.0.lock().unwrap().clone();
        assert_eq!(first_invisible(&log), None, "{log:?}");
    }
    let encode = |value: Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    for (header, claims, said) in [
        (json!({"alg": "RS\n256", "kid": "k"}), json!({}), "its `alg` holds U+000A"),
        (json!({"alg": "RS256", "kid": "k\u{202e}"}), json!({}), "its `kid` holds U+202E"),
        (json!({"alg": "RS256", "kid": "k"}), json!({"iss": "https://a.example\u{1b}"}), "its `iss` holds U+001B"),
    ] {
        let answer = stage.issuer.mint(&format!("{}.{}.AAAA", encode(header), encode(claims)), json!({})).await;
        let detail = answer.problem(401, "ci-token-invalid")["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(said), "{detail}");
    }
}
