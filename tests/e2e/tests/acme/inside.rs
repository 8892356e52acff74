//! The part of the issuer that looks after the certificate, in this process, with a clock that tests move. The server, the database and the
//! validations are real.

use std::{
    net::Ipv4Addr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, Uri},
};
use jiff::{SignedDuration, Timestamp};
use tagmint_core::{
    clock::{Clock as _, SystemClock},
    environment::{Environment, Stamp},
    issuer::IssuerUrl,
    random::SystemRandom,
    sealing::MasterKey,
};
use tagmint_e2e::{AcmeStep, Moment, Pebble, PebbleOptions, free_port};
use tagmint_server::{
    acme::{AcmeSettings, CertificateManager, ExternalAccount, Pace},
    tls::{self, CertificateFacts, ServedCertificate},
};
use tagmint_store::{DatabaseUrl, Store, StoreOptions};
use tagmint_testkit::clock::MockClock;

use super::{HOST, MASTER_KEY, TestResult};

/// A day.
pub const DAY: SignedDuration = SignedDuration::from_hours(24);

/// A stage for nodes: Pebble, a folder for the database, and a clock.
pub struct Stage {
    pub pebble: Pebble,
    pub clock: MockClock,
    dir: tempfile::TempDir,
    /// Who answers on port 80; nobody of ours at first.
    port80: Port80,
}

/// What answers on port 80: a node of ours, after a pause.
#[derive(Default)]
struct Answers {
    node: Option<Arc<CertificateManager>>,
    pause: Duration,
}

type Port80 = Arc<Mutex<Answers>>;

/// What differs between nodes.
#[derive(Default)]
pub struct NodeOptions {
    /// How long a step waits for the server; half a minute where it is not said.
    pub patience: Option<Duration>,
    pub profile: Option<&'static str>,
    pub external_account: Option<ExternalAccount>,
}

/// One process's part.
pub struct Node {
    pub manager: Arc<CertificateManager>,
    pub store: Store,
    pub served: Arc<ServedCertificate>,
}

impl Stage {
    /// Pebble as it usually is.
    pub async fn new() -> TestResult<Self> {
        Self::with(PebbleOptions::new(free_port()?)).await
    }

    /// Another Pebble.
    pub async fn with(options: PebbleOptions) -> TestResult<Self> {
        tls::install_provider();
        let pebble = Pebble::start(&options)?;
        // Pebble's certificates begin at the machine's time.
        let clock = MockClock::new(SystemClock.now());
        let port80 = Port80::default();
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, options.http_port)).await?;
        let routes = Router::new().fallback(challenge).with_state(Arc::clone(&port80));
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Ok(Self { pebble, clock, dir: tempfile::tempdir()?, port80 })
    }

    /// A node on the stage's database.
    pub async fn node(&self) -> TestResult<Node> {
        self.node_with(NodeOptions::default()).await
    }

    /// Another one.
    pub async fn node_with(&self, options: NodeOptions) -> TestResult<Node> {
        let issuer = IssuerUrl::parse(&format!("https://{HOST}"))?;
        let stamp = Stamp { environment: Environment::Test, issuer };
        let database = DatabaseUrl::Sqlite(self.dir.path().join("tagmint.db"));
        let store = Store::open(&StoreOptions::new(database, stamp)).await?;
        let settings = AcmeSettings {
            outbound: tagmint_core::outbound::Outbound::direct(),
            directory: self.pebble.proxy().directory_url(),
            contact: vec!["mailto:ops@acme.test".to_owned()],
            names: vec![HOST.to_owned()],
            profile: options.profile.map(str::to_owned),
            ca_pem: Some(std::fs::read(self.pebble.ca_file())?),
            external_account: options.external_account,
            refresh: Duration::from_secs(10),
            patience: options.patience.unwrap_or(Duration::from_secs(30)),
            pace: Pace::default(),
        };
        let served = ServedCertificate::none();
        let manager = CertificateManager::new(
            settings,
            store.clone(),
            Arc::new(MasterKey::parse(MASTER_KEY)?),
            Arc::clone(&served),
            Arc::new(self.clock.clone()),
            Arc::new(SystemRandom),
        )?;
        Ok(Node { manager, store, served })
    }

    /// Lets a node answer challenges, in the place of the one before.
    pub fn listen(&self, node: &Node) {
        self.port80.lock().unwrap_or_else(PoisonError::into_inner).node = Some(Arc::clone(&node.manager));
    }

    /// From now on challenges are answered so late.
    pub fn answer_late(&self, pause: Duration) {
        self.port80.lock().unwrap_or_else(PoisonError::into_inner).pause = pause;
    }

    /// A node that answers challenges and has a certificate.
    pub async fn served(&self) -> TestResult<Node> {
        let node = self.node().await?;
        self.listen(&node);
        node.manager.step().await;
        node.facts()?;
        Ok(node)
    }

    /// Lets a node do what is due, and drops its work at the next request of this kind: nothing of it runs on, as if the process were killed.
    pub async fn break_off(&self, node: Node, step: AcmeStep, moment: Moment) -> TestResult {
        let (kill, killed) = tokio::sync::oneshot::channel();
        self.pebble.proxy().interrupt(step, moment, move || {
            let _ = kill.send(());
        });
        tokio::select! {
            _ = node.manager.step() => Err(format!("it ended without {step:?}: {:?}", node.manager.health()).into()),
            killed = killed => Ok(killed?),
        }
    }

    /// Moves the time.
    pub fn pass(&self, time: SignedDuration) {
        self.clock.advance(time);
    }

    /// How many orders the server has taken.
    pub fn orders(&self) -> usize {
        self.pebble.proxy().accepted(AcmeStep::NewOrder).len()
    }

    /// Steps every minute for so long, and gives the moments at which requests of this kind were made, in minutes from now.
    pub async fn watch(&self, node: &Node, minutes: u32, step: AcmeStep) -> Vec<u32> {
        let count = || self.pebble.proxy().seen().iter().filter(|request| request.step == step).count();
        let mut moments = vec![];
        for minute in 0..=minutes {
            let before = count();
            node.manager.step().await;
            if count() > before {
                moments.push(minute);
            }
            self.pass(SignedDuration::from_mins(1));
        }
        moments
    }
}

async fn challenge(State(port80): State<Port80>, uri: Uri) -> Result<String, StatusCode> {
    let (node, pause) = {
        let answers = port80.lock().unwrap_or_else(PoisonError::into_inner);
        (answers.node.clone(), answers.pause)
    };
    tokio::time::sleep(pause).await;
    let Some(manager) = node else { return Ok("this is somebody else's web server".to_owned()) };
    let token = uri.path().strip_prefix("/.well-known/acme-challenge/").ok_or(StatusCode::NOT_FOUND)?;
    match manager.challenge(token).await {
        Ok(answer) => answer.ok_or(StatusCode::NOT_FOUND),
        Err(_) => Err(StatusCode::SERVICE_UNAVAILABLE),
    }
}

impl Node {
    /// What is served.
    pub fn facts(&self) -> TestResult<CertificateFacts> {
        let served = self.served.current().map(|certificate| certificate.facts().clone());
        Ok(served.ok_or_else(|| format!("no certificate is served: {:?}", self.manager.health()))?)
    }

    /// The serial number of what is served.
    pub fn serial(&self) -> TestResult<String> {
        Ok(self.facts()?.serial)
    }

    /// The certificate that is served, DER.
    pub fn leaf(&self) -> TestResult<Vec<u8>> {
        Ok(self.served.current().ok_or("no certificate is served")?.leaf().to_vec())
    }

    /// When it is renewed.
    pub fn renewal(&self) -> TestResult<Timestamp> {
        Ok(self.manager.health().next_renewal_at.ok_or("no renewal is planned")?)
    }
}
