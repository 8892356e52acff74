//! Requests of the issuer's own that go through a proxy, and what the proxy means for the guard.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use axum::{Json, Router, routing::get};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use secrecy::SecretString;
use serde_json::json;
use tagmint_core::{
    outbound::{NoProxy, Outbound, ProxyUrl},
    trusted_issuer::TrustedIssuerUrl,
};
use tagmint_server::{
    alarms::sinks::{AlarmSink, WebhookSink},
    backend::{HttpSessionBackend, SessionBackend},
    mock_backend::{self, MockBackend},
    settings::UpstreamSettings,
    upstream::{
        client::{FetchLimits, GuardedClient},
        fetch::{HttpKeyFetcher, KeyFetcher},
    },
};
use tagmint_testkit::front::Front;

const ISSUER: &str = "https://keys.example";

/// What this machine's resolver says of every name; none: that there is no such name.
#[derive(Debug, Clone)]
struct Says(Option<IpAddr>);

impl Resolve for Says {
    fn resolve(&self, _: Name) -> Resolving {
        let address = self.0;
        Box::pin(async move {
            let address = address.ok_or("no such name")?;
            Ok(Box::new(std::iter::once(SocketAddr::new(address, 0))) as Addrs)
        })
    }
}

async fn listen(router: Router) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    address
}

fn platform() -> Router {
    let discovery = json!({"issuer": ISSUER, "jwks_uri": format!("{ISSUER}/jwks")});
    Router::new()
        .route("/.well-known/openid-configuration", get(async move || Json(discovery)))
        .route("/jwks", get(async || Json(json!({"keys": []}))))
        .route("/hook", axum::routing::post(async || "ok"))
}

fn through(front: &Front, direct: &[&str]) -> Outbound {
    let direct = NoProxy::parse(direct.iter().copied()).unwrap();
    Outbound::through(ProxyUrl::parse(&front.proxy()).unwrap(), direct)
}

async fn fetch(settings: &UpstreamSettings, says: Option<&str>) -> Result<usize, String> {
    let resolver = Arc::new(Says(says.map(|address| address.parse().unwrap())));
    let client = GuardedClient::with(settings, FetchLimits::default(), resolver).unwrap();
    let issuer = TrustedIssuerUrl::parse(ISSUER).unwrap();
    let keys = HttpKeyFetcher::new(client).fetch(&issuer).await;
    keys.map(|keys| keys.len()).map_err(|error| error.to_string())
}

#[tokio::test]
async fn keys_are_fetched_through_the_proxy_and_the_guard_holds() {
    tagmint_server::tls::install_provider();
    let front = Front::start(&["keys.example"]).await;
    front.lead("keys.example", listen(platform()).await);
    let settings = UpstreamSettings {
        ca_pem: Some(front.ca_pem().as_bytes().to_vec()),
        outbound: through(&front, &[]),
        ..UpstreamSettings::default()
    };
    // The proxy itself is on loopback, and that is no forbidden address: the operator chose it.
    assert_eq!(fetch(&settings, None).await, Ok(0), "a name that only the proxy knows");
    assert_eq!(fetch(&settings, Some("8.8.8.8")).await, Ok(0));
    for (address, says) in [("10.1.2.3", "10.1.2.3 is private"), ("169.254.169.254", "169.254.169.254 is link-local")] {
        let refused = fetch(&settings, Some(address)).await.unwrap_err();
        assert!(refused.contains(says), "a name that this machine knows as its own network's: {refused}");
    }
    let private = UpstreamSettings { allow_private_addresses: true, ..settings.clone() };
    assert_eq!(fetch(&private, Some("10.1.2.3")).await, Ok(0));
    assert!(fetch(&private, Some("169.254.169.254")).await.is_err());

    let direct = UpstreamSettings { outbound: through(&front, &["keys.example"]), ..settings.clone() };
    let refused = fetch(&direct, None).await.unwrap_err();
    assert!(refused.contains("no such name") && !refused.contains("proxy"), "asked directly: {refused}");
    let unknown = Front::start(&["keys.example"]).await;
    let refused = UpstreamSettings { outbound: through(&unknown, &[]), ..settings };
    let refused = fetch(&refused, None).await.unwrap_err();
    assert!(refused.contains(&format!("through the proxy {}", unknown.proxy())), "{refused}");
}

fn mock() -> MockBackend {
    let (auth_token, attributes) = (SecretString::from("token"), serde_json::Map::new());
    MockBackend { auth_token, wallet: "0xa".to_owned(), attributes, expires_in: 60 }
}

#[tokio::test]
async fn the_session_backend_and_webhooks_are_asked_through_the_proxy() {
    tagmint_server::tls::install_provider();
    let front = Front::start(&["backend.example", "hook.example"]).await;
    let ca = front.ca_pem().as_bytes();
    front.lead("backend.example", listen(mock_backend::router(mock())).await);
    front.lead("hook.example", listen(platform()).await);
    let outbound = through(&front, &[]);
    let wait = Duration::from_secs(20);
    let backend = HttpSessionBackend::new("https://backend.example", wait, Some(ca), false, &outbound).unwrap();
    assert_eq!(backend.is_mock().await, Ok(true));
    let hook = |outbound: &Outbound| {
        WebhookSink::new("h".to_owned(), "https://hook.example/hook".into(), wait, Some(ca), outbound).unwrap()
    };
    hook(&outbound).deliver(&json!({"alarm": "x"})).await.unwrap();
    assert!(hook(&through(&front, &["*"])).deliver(&json!({})).await.is_err(), "nobody knows the name but the proxy");
    // This machine is never asked through a proxy.
    let here = listen(mock_backend::router(mock())).await;
    let local = HttpSessionBackend::new(&format!("http://{here}"), wait, None, false, &outbound).unwrap();
    assert_eq!(local.is_mock().await, Ok(true));
}
