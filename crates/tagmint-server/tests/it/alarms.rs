//! Alarms of an issuer: what it sees, what it tells, and to whom.

use std::{
    ffi::OsString,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::future::BoxFuture;
use jiff::SignedDuration;
use serde_json::{Value, json};
use tagmint_core::{
    alarm::{AlarmKind, book::NoticePolicy, conditions::StoredCertificate},
    outbound::Outbound,
};
use tagmint_server::{
    alarms::{
        AlarmParts, Alarms, CertificateSource, StoredView,
        sinks::{AlarmSink, CommandSink, SinkError, WebhookSink},
    },
    backend::BackendError,
};

use crate::issuer::{Setup, TestIssuer};

/// Keeps what it is told, or refuses it.
#[derive(Debug, Clone, Default)]
struct Ear {
    heard: Arc<Mutex<Vec<Value>>>,
    deaf: Arc<Mutex<bool>>,
}

impl Ear {
    /// The alarms and events that were told, without those about the clock: the tests move one clock of two.
    fn events(&self) -> Vec<String> {
        let heard = self.heard.lock().unwrap();
        let told = heard.iter().filter(|body| body["alarm"] != "clock-stepped");
        told.map(|body| format!("{} {}", body["alarm"].as_str().unwrap(), body["event"].as_str().unwrap())).collect()
    }
}

impl AlarmSink for Ear {
    fn name(&self) -> &'static str {
        "ear"
    }

    fn deliver<'a>(&'a self, body: &'a Value) -> BoxFuture<'a, Result<(), SinkError>> {
        Box::pin(async {
            if *self.deaf.lock().unwrap() {
                return Err(SinkError::Refused("it is deaf".to_owned()));
            }
            self.heard.lock().unwrap().push(body.clone());
            Ok(())
        })
    }
}

#[derive(Debug, Default)]
struct Stored(Mutex<Option<StoredCertificate>>);

impl CertificateSource for Stored {
    fn look(&self) -> BoxFuture<'_, StoredView> {
        let stored = self.0.lock().unwrap().clone().unwrap_or(StoredCertificate::Served);
        Box::pin(async { StoredView { stored, renewal: None } })
    }
}

fn watch(issuer: &TestIssuer, ear: &Ear) -> Alarms {
    let sinks: Vec<Arc<dyn AlarmSink>> = vec![Arc::new(ear.clone())];
    let folder = issuer.dir.path().to_owned();
    let parts = AlarmParts { policy: NoticePolicy::default(), sinks, certificate: None, folder };
    Alarms::new(Arc::clone(&issuer.app), parts)
}

/// Lets so many minutes pass, with a look in each.
async fn minutes(issuer: &TestIssuer, alarms: &mut Alarms, count: u32) {
    for _ in 0..count {
        issuer.clock.advance(SignedDuration::from_mins(1));
        // The keys are read all the time, as they are in a running issuer.
        issuer.app.tend_keys().await.ok();
        alarms.look().await;
        alarms.deliver().await;
    }
}

fn down(issuer: &TestIssuer) {
    issuer.backend.say(Err(BackendError::Outage("no connection".to_owned())));
}

fn up(issuer: &TestIssuer) {
    issuer.backend.say(Err(BackendError::Refused));
}

const BEGAN: &str = "session-backend-down began";
const ENDED: &str = "session-backend-down ended";

#[tokio::test]
async fn an_outage_is_told_once_seen_by_people_and_programs_and_told_when_it_is_over() {
    let (issuer, ear) = (TestIssuer::start().await, Ear::default());
    let mut alarms = watch(&issuer, &ear);
    minutes(&issuer, &mut alarms, 2).await;
    assert_eq!(ear.events(), Vec::<String>::new());
    down(&issuer);
    minutes(&issuer, &mut alarms, 20).await;
    assert_eq!(ear.events(), [BEGAN]);
    let ready = issuer.get("/readyz").await;
    let body = ready.json();
    assert_eq!((ready.status.as_u16(), body["status"].as_str()), (200, Some("degraded")), "{body}");
    let shown = body["checks"].as_array().unwrap().iter().any(|check| {
        check["name"] == "alarm" && check["ok"] == true && check["detail"] == "critical: session-backend-down"
    });
    assert!(shown && !body.to_string().contains("no connection"), "{body}");
    let figures = String::from_utf8(issuer.send_admin("/metrics").await.body).unwrap();
    for line in [
        r#"tagmint_alarms_firing{alarm="session-backend-down",severity="critical"} 1"#,
        r#"tagmint_alarms_firing{alarm="disk-nearly-full",severity="critical"} 0"#,
        r#"tagmint_alarm_notices_total{sink="ear",result="delivered"}"#,
        "tagmint_session_backend_up 0",
        "tagmint_disk_size_bytes ",
    ] {
        assert!(figures.contains(line), "{line} is not in\n{figures}");
    }
    up(&issuer);
    minutes(&issuer, &mut alarms, 10).await;
    assert_eq!(ear.events(), [BEGAN, ENDED]);
    let heard = ear.heard.lock().unwrap();
    let body = heard.iter().find(|body| body["event"] == "ended" && body["alarm"] == "session-backend-down").unwrap();
    assert_eq!((body["state"].as_str(), body["environment"].as_str()), (Some("ok"), Some("test")));
    assert!(body["text"].as_str().unwrap().starts_with("[over] https://broker.example (test): session-backend-down"));
}

#[tokio::test]
async fn a_restart_repeats_nothing_and_two_nodes_tell_once() {
    let (issuer, ear) = (TestIssuer::start().await, Ear::default());
    down(&issuer);
    let mut alarms = watch(&issuer, &ear);
    minutes(&issuer, &mut alarms, 5).await;
    assert_eq!(ear.events(), [BEGAN]);
    drop(alarms);
    issuer.clock.advance(SignedDuration::from_mins(10));
    let mut alarms = watch(&issuer, &ear);
    minutes(&issuer, &mut alarms, 5).await;
    assert_eq!(ear.events(), [BEGAN]);
    let beside = TestIssuer::start_in(Setup::default(), Arc::clone(&issuer.dir), issuer.clock.clone()).await.unwrap();
    // The other node reaches the backend: that one does not is an alarm still.
    let mut others = watch(&beside, &ear);
    for _ in 0..10 {
        minutes(&issuer, &mut alarms, 1).await;
        beside.app.tend_keys().await.unwrap();
        others.look().await;
        others.deliver().await;
    }
    assert_eq!(ear.events(), [BEGAN]);
    up(&issuer);
    for _ in 0..10 {
        minutes(&issuer, &mut alarms, 1).await;
        beside.app.tend_keys().await.unwrap();
        others.look().await;
        others.deliver().await;
    }
    assert_eq!(ear.events(), [BEGAN, ENDED]);
}

#[tokio::test]
async fn what_a_sink_does_not_take_arrives_later_and_in_order() {
    let (issuer, ear) = (TestIssuer::start().await, Ear::default());
    *ear.deaf.lock().unwrap() = true;
    let mut alarms = watch(&issuer, &ear);
    down(&issuer);
    minutes(&issuer, &mut alarms, 5).await;
    up(&issuer);
    minutes(&issuer, &mut alarms, 10).await;
    assert_eq!(ear.events(), Vec::<String>::new());
    drop(alarms);
    *ear.deaf.lock().unwrap() = false;
    let mut alarms = watch(&issuer, &ear);
    minutes(&issuer, &mut alarms, 60).await;
    assert_eq!(ear.events(), [BEGAN, ENDED]);
}

#[tokio::test]
async fn what_a_sink_does_not_take_for_a_day_is_given_up() {
    let (issuer, ear) = (TestIssuer::start().await, Ear::default());
    *ear.deaf.lock().unwrap() = true;
    let mut alarms = watch(&issuer, &ear);
    down(&issuer);
    minutes(&issuer, &mut alarms, 5).await;
    up(&issuer);
    minutes(&issuer, &mut alarms, 5).await;
    *ear.deaf.lock().unwrap() = false;
    issuer.clock.advance(SignedDuration::from_hours(25));
    minutes(&issuer, &mut alarms, 2).await;
    assert_eq!(ear.events(), Vec::<String>::new());
    assert_eq!(issuer.store.alarms().waiting("ear").await.unwrap(), 0);
}

#[tokio::test]
async fn without_its_database_the_node_tells_by_itself_and_catches_up_later() {
    let (issuer, ear) = (TestIssuer::start().await, Ear::default());
    let mut alarms = watch(&issuer, &ear);
    minutes(&issuer, &mut alarms, 1).await;
    let (file, aside) = (issuer.dir.path().join("tagmint.db"), issuer.dir.path().join("aside.db"));
    std::fs::rename(&file, &aside).unwrap();
    minutes(&issuer, &mut alarms, 5).await;
    let told = ear.events();
    assert!(told.contains(&"database-unwritable began".to_owned()), "{told:?}");
    std::fs::rename(&aside, &file).unwrap();
    minutes(&issuer, &mut alarms, 10).await;
    let told = ear.events();
    let of = |event: &str| told.iter().filter(|told| *told == event).count();
    assert_eq!((of("database-unwritable began"), of("database-unwritable ended")), (1, 1), "{told:?}");
    let known = issuer.store.alarms().list().await.unwrap();
    assert!(known.iter().any(|record| record.alarm.kind == AlarmKind::DatabaseUnwritable), "{known:?}");
}

#[tokio::test]
async fn the_certificate_on_disk_is_looked_at() {
    let issuer = TestIssuer::start().await;
    let source = Arc::new(Stored::default());
    *source.0.lock().unwrap() = Some(StoredCertificate::Unusable("it is empty".to_owned()));
    let parts = AlarmParts {
        policy: NoticePolicy::default(),
        sinks: vec![],
        certificate: Some(source),
        folder: issuer.dir.path().to_owned(),
    };
    let seen = Alarms::new(Arc::clone(&issuer.app), parts).look().await;
    let kinds: Vec<AlarmKind> = seen.iter().map(|alarm| alarm.kind).collect();
    assert!(kinds.contains(&AlarmKind::CertificateUnusable), "{kinds:?}");
    assert!(kinds.contains(&AlarmKind::CertificateUnservable), "nothing is served: {kinds:?}");
}

#[tokio::test]
async fn a_clock_that_was_set_is_noticed() {
    let (issuer, ear) = (TestIssuer::start().await, Ear::default());
    let mut alarms = watch(&issuer, &ear);
    let stepped = |seen: Vec<tagmint_core::alarm::Alarm>| {
        seen.into_iter().find(|alarm| alarm.kind == AlarmKind::ClockStepped).map(|alarm| alarm.text)
    };
    assert_eq!(stepped(alarms.look().await), None);
    assert_eq!(stepped(alarms.look().await), None);
    issuer.clock.advance(SignedDuration::from_mins(-5));
    let told = stepped(alarms.look().await).unwrap();
    assert!(told.starts_with("the clock was set back by 5 minutes"), "{told}");
}

/// A webhook that answers so, and what it was sent.
async fn webhook(status: u16, delay: Duration) -> (String, Arc<Mutex<Vec<Value>>>) {
    use axum::{Json, Router, http::StatusCode, response::Redirect, routing::post};
    let received = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&received);
    let answer = move |Json(body): Json<Value>| async move {
        tokio::time::sleep(delay).await;
        kept.lock().unwrap().push(body);
        (StatusCode::from_u16(status).unwrap(), "invalid_token\nsecond line")
    };
    let routes = Router::new()
        .route("/hook/secret-part", post(answer))
        .route("/moved", post(|| async { Redirect::temporary("/hook/secret-part") }));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, routes).await });
    (url, received)
}

fn hook(url: &str) -> WebhookSink {
    tagmint_server::tls::install_provider();
    WebhookSink::new("slack".to_owned(), url.to_owned().into(), Duration::from_millis(500), None, &Outbound::direct())
        .unwrap()
}

#[tokio::test]
async fn a_webhook_takes_json_and_its_url_is_not_told() {
    let (url, received) = webhook(200, Duration::ZERO).await;
    let body = json!({"text": "x", "alarm": "y"});
    hook(&format!("{url}/hook/secret-part")).deliver(&body).await.unwrap();
    assert_eq!(*received.lock().unwrap(), std::slice::from_ref(&body));
    let (refusing, _) = webhook(403, Duration::ZERO).await;
    let (slow, _) = webhook(200, Duration::from_secs(5)).await;
    let failures = [
        (format!("{refusing}/hook/secret-part"), "it answered 403 Forbidden invalid_token second line"),
        (format!("{url}/moved"), "redirects are not followed"),
        (format!("{slow}/hook/secret-part"), "longer than 0.5 s"),
        ("http://127.0.0.1:1/hook/secret-part".to_owned(), "it cannot be reached"),
    ];
    for (url, expected) in failures {
        let sink = hook(&url);
        let error = sink.deliver(&body).await.unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        assert!(!error.contains("secret-part") && !format!("{sink:?}").contains("secret-part"), "{error}");
    }
    assert_eq!(received.lock().unwrap().len(), 1, "the redirect was not followed");
}

fn command(script: &str, timeout: u64) -> CommandSink {
    let environment = [("PATH", "/usr/bin:/bin"), ("AWS_SECRET_ACCESS_KEY", "very-secret")];
    let environment = environment.map(|(key, value)| (OsString::from(key), OsString::from(value)));
    let arguments = vec!["-c".into(), script.into()];
    CommandSink::new("page".to_owned(), "/bin/sh".into(), arguments, Duration::from_millis(timeout), environment)
}

#[tokio::test]
async fn a_command_gets_one_line_and_no_secrets_and_is_ended_in_time() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("notice");
    let script = format!("cat > {0}; env >> {0}", file.display());
    command(&script, 5_000).deliver(&json!({"text": "x", "alarm": "y"})).await.unwrap();
    let written = std::fs::read_to_string(&file).unwrap();
    assert_eq!(written.lines().next(), Some(r#"{"text":"x","alarm":"y"}"#));
    assert!(!written.contains("very-secret"), "{written}");
    let large = json!({"text": "x".repeat(300_000)});
    command("exit 0", 5_000).deliver(&large).await.unwrap();
    let error = command("echo no pager >&2; exit 3", 5_000).deliver(&large).await.unwrap_err();
    assert!(error.to_string().ends_with("exit status: 3: no pager"), "{error}");
    let error = command("exec sleep 60", 200).deliver(&json!({})).await.unwrap_err();
    assert_eq!(error, SinkError::Late(Duration::from_millis(200)));
    let missing = CommandSink::new(
        "page".to_owned(),
        "/no/such/program".into(),
        vec![],
        Duration::from_secs(1),
        std::iter::empty(),
    );
    assert!(matches!(missing.deliver(&json!({})).await, Err(SinkError::Unreachable(_))));
}
