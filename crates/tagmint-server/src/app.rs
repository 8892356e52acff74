//! What an issuer is made of, composed once at start.

mod clock;

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use axum::http::HeaderValue;
use jiff::Timestamp;
use metrics_exporter_prometheus::BuildError;
use tagmint_core::{
    alarm::{Alarm, conditions::CertificateLife},
    clock::Clock,
    environment::Environment,
    key_schedule::{KeyPhase, KeyRing},
    random::Random,
    rules::RuleSet,
    sealing::MasterKey,
    trusted_issuer::Reuse,
};
use tagmint_store::{LedgerWriter, Store};
use tokio::time::Instant;

use crate::{
    acme::{CertificateHealth, CertificateManager},
    backend::SessionBackend,
    certificate_files::CertificateFileFigures,
    clock_watch::ClockWatch,
    credential_cache::CredentialCache,
    flows::{
        client::ClientError,
        keys::{KeyContext, KeysError},
        mint::MintError,
        refusals,
    },
    http::{health::Check, problem::Problem},
    key_cache::{KeyCache, KeyView},
    limits::{RateLimits, RefusalRows, TooMany},
    metrics::{Figures, Metrics, RuleReload},
    reuse::ReuseWatch,
    settings::Settings,
    sts::WebIdentitySts,
    tls::ServedCertificate,
    upstream::Upstreams,
    witness::{Recorder, Watch},
};

/// How long an answer of the health checks stands, so that probing costs the database little.
const HEALTH_TTL: Duration = Duration::from_secs(1);

/// How often refusals that have no row are summed up in one.
const SUMMARY_EVERY: Duration = Duration::from_mins(10);
/// How often ended sessions are looked for.
const SESSION_SWEEP: Duration = Duration::from_hours(1);

/// What the binary brings along.
#[derive(Debug)]
pub struct Parts {
    /// The checked settings.
    pub settings: Settings,
    /// The issuer's database.
    pub store: Store,
    /// The writer of its ledger.
    pub ledger: LedgerWriter,
    /// Opens and seals private keys.
    pub master_key: Arc<MasterKey>,
    /// The compiled rules.
    pub rules: RuleSet,
    /// Who vouches for sessions; none where bearers alone are used.
    pub backend: Option<Arc<dyn SessionBackend>>,
    /// The CI platforms whose tokens are taken.
    pub upstreams: Arc<Upstreams>,
    /// Assumes roles on callers' behalf; none where the issuer is not set up for it.
    pub sts: Option<Arc<dyn WebIdentitySts>>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Ids, secrets, nonces.
    pub random: Arc<dyn Random>,
}

/// Why an issuer does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A prod issuer was pointed at the mock.
    #[error("the session backend is `tagmint mock-backend`: a prod issuer does not start against it")]
    MockBackend,
    /// A prod issuer was to give tokens without proof.
    #[error("`anonymous_minting` is for test issuers: a prod issuer does not start with it")]
    AnonymousMinting,
    /// The signing keys cannot be read or made.
    #[error("the signing keys: {0}")]
    Keys(#[from] KeysError),
    /// The metrics registry cannot be made.
    #[error("the metrics: {0}")]
    Metrics(#[from] BuildError),
}

/// A running issuer's state, shared by all requests.
#[derive(Debug)]
pub struct App {
    pub(crate) settings: Settings,
    pub(crate) store: Store,
    pub(crate) ledger: LedgerWriter,
    rules: ArcSwap<RuleSet>,
    pub(crate) backend: Option<Arc<dyn SessionBackend>>,
    pub(crate) upstreams: Arc<Upstreams>,
    pub(crate) sts: Option<Arc<dyn WebIdentitySts>>,
    pub(crate) credentials: Arc<CredentialCache>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn Random>,
    pub(crate) keys: KeyCache,
    pub(crate) limits: RateLimits,
    pub(crate) refusal_rows: RefusalRows,
    pub(crate) figures: Figures,
    pub(crate) reuse: ReuseWatch,
    pub(crate) recorder: Recorder,
    watch: Watch,
    pub(crate) clock_watch: ClockWatch,
    pub(crate) jwks_cache_control: HeaderValue,
    /// The alarms that stood at the last look.
    pub(crate) alarms: ArcSwap<Vec<Alarm>>,
    key_context: KeyContext,
    health: Mutex<Option<(Instant, Vec<Check>)>>,
    /// What new connections are shown, where TLS ends here, and who orders it.
    certificate: OnceLock<(Arc<ServedCertificate>, Option<Arc<CertificateManager>>)>,
    shutting_down: AtomicBool,
}

impl App {
    /// Checks the backend, makes the first signing key if there is none, and reads the keys.
    pub async fn start(parts: Parts) -> Result<Arc<Self>, StartError> {
        let Parts { settings, store, ledger, master_key, rules, backend, upstreams, sts, clock, random } = parts;
        if let Some(backend) = &backend
            && settings.stamp.environment == Environment::Prod
        {
            match backend.is_mock().await {
                Ok(true) => return Err(StartError::MockBackend),
                Ok(false) => {}
                Err(error) => tracing::warn!(%error, "could not ask the session backend whether it is the mock"),
            }
        }
        if settings.anonymous_minting.is_some() && settings.stamp.environment == Environment::Prod {
            return Err(StartError::AnonymousMinting);
        }
        if rules.is_empty() {
            tracing::warn!("there are no rules: nothing will be minted");
        }
        let key_context = KeyContext {
            store: store.clone(),
            master_key,
            settings: settings.clone(),
            clock: Arc::clone(&clock),
            random: Arc::clone(&random),
        };
        let clock_watch = ClockWatch::new(&*clock);
        let at = clock::follow_clock_at_start(&key_context, &clock_watch).await;
        key_context.follow_schedule().await?;
        let keys = KeyCache::new(key_context.load(&HashMap::new()).await?, at);
        let max_age = settings.rotation.jwks_max_age.as_secs();
        let jwks_cache_control = HeaderValue::from_str(&format!("public, max-age={max_age}"))
            .unwrap_or(HeaderValue::from_static("no-cache"));
        let figures = Figures::new(Metrics::new()?, settings.stamp.environment.as_str());
        for provider in upstreams.providers().filter(|provider| matches!(provider.reuse, Reuse::UntilExpiry { .. })) {
            figures.expect_token_elsewhere(&provider.name);
        }
        figures.rules_started(rules.hash());
        let recorder = Recorder::new(settings.witness.recognition.clone(), &figures.metrics);
        let limits = RateLimits::new(&settings.limits, settings.anonymous_minting);
        let refusal_rows = RefusalRows::new(&settings.limits);
        let credentials = CredentialCache::new(settings.sts);
        Ok(Arc::new(Self {
            settings,
            store,
            ledger,
            rules: ArcSwap::from_pointee(rules),
            backend,
            upstreams,
            sts,
            credentials,
            clock,
            random,
            keys,
            limits,
            refusal_rows,
            figures,
            reuse: ReuseWatch::default(),
            recorder,
            watch: Watch::default(),
            clock_watch,
            jwks_cache_control,
            alarms: ArcSwap::default(),
            key_context,
            health: Mutex::new(None),
            certificate: OnceLock::new(),
            shutting_down: AtomicBool::new(false),
        }))
    }

    /// The rules in force.
    pub fn rules(&self) -> Arc<RuleSet> {
        self.rules.load_full()
    }

    /// Puts other rules in force, and tells whether they differ. Requests that are being decided keep the old ones.
    pub fn replace_rules(&self, rules: RuleSet) -> bool {
        let hash = rules.hash().to_owned();
        let old = self.rules.swap(Arc::new(rules));
        let differ = old.hash() != hash;
        if differ {
            self.figures.rules_replaced(old.hash(), &hash);
        }
        self.figures.rules_read(if differ { RuleReload::Replaced } else { RuleReload::Unchanged });
        differ
    }

    /// The rules were read anew, and cannot be used: the old ones stay in force.
    pub fn keep_rules(&self) {
        self.figures.rules_read(RuleReload::Failed);
    }

    /// The settings it runs with.
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// What is counted about the certificate's files.
    pub const fn certificate_file_figures(&self) -> &CertificateFileFigures {
        &self.figures.certificate_files
    }

    /// Tells which certificate the public listener shows, and who orders it where it is ordered here. Once, before serving.
    pub fn show_certificate(&self, served: Arc<ServedCertificate>, manager: Option<Arc<CertificateManager>>) {
        // A second call would be about the same listener.
        let _ = self.certificate.set((served, manager));
    }

    /// How the certificate on the public listener is doing; empty where TLS ends at a proxy.
    pub fn certificate_health(&self) -> CertificateHealth {
        match self.certificate.get() {
            Some((_, Some(manager))) => manager.health(),
            Some((served, None)) => CertificateHealth {
                served: served.current().map(|current| current.facts().clone()),
                ..CertificateHealth::default()
            },
            None => CertificateHealth::default(),
        }
    }

    /// Counts a caller who has to wait.
    pub(crate) fn too_many(&self, too_many: TooMany) -> Problem {
        self.figures.rate_limited(too_many.bucket);
        too_many.into()
    }

    /// What a client that is not served is told; who has to wait is counted.
    pub(crate) fn client_problem(&self, error: ClientError) -> Problem {
        match error {
            ClientError::TooMany(too_many) => self.too_many(too_many),
            unauthenticated @ ClientError::Unauthenticated(_) => unauthenticated.into(),
        }
    }

    /// Moves the schedule with a clock that was set, does what it wants, and reads the keys.
    pub async fn tend_keys(&self) -> Result<(), KeysError> {
        let known = self.keys.read_at();
        let followed = self.key_context.follow_clock(known.steps.map(|_| known)).await?;
        if let Some(jump) = &followed.jump {
            self.clock_watch.jumped(jump, &*self.clock);
            // Their age is a matter of the clock.
            tokio::spawn(Arc::clone(&self.upstreams).refresh());
        }
        self.key_context.follow_schedule().await?;
        let keys = self.key_context.load(&self.keys.signers()).await?;
        self.keys.replace(keys, followed.at);
        self.watch.update(self.key_context.witnesses().await?, &self.keys.states(), self.clock.now());
        if let Err(error) = self.key_context.note_clock(&followed).await {
            tracing::warn!(%error, "could not note the moment; a start after this one knows less about the clock");
        }
        Ok(())
    }

    /// Writes down the fetches of discovery and the key set until now. The running issuer does it every few seconds.
    pub async fn write_fetches(&self) -> Result<(), KeysError> {
        Ok(self.recorder.write(&self.store).await?)
    }

    /// Records the fetches of discovery and the key set, until the process ends.
    pub(crate) async fn keep_fetches(self: Arc<Self>) {
        self.recorder.keep(&self.store).await;
    }

    /// Looks after the keys until the process ends: every `key_refresh`, and when a key changes its phase.
    pub(crate) async fn keep_keys(self: Arc<Self>) {
        loop {
            let now = self.keys.time(&*self.clock);
            let change = KeyRing(&self.keys.states()).next_change(now).map(|at| at.duration_since(now));
            let until_change = change.and_then(|wait| Duration::try_from(wait).ok()).unwrap_or(Duration::MAX);
            tokio::time::sleep(self.settings.key_refresh.min(until_change.saturating_add(Duration::from_millis(1))))
                .await;
            if let Err(error) = self.tend_keys().await {
                self.figures.key_reload_failures.increment(1);
                tracing::error!(%error, "could not look after the signing keys; those in memory go on being published");
            }
            self.figures.metrics.upkeep();
        }
    }

    /// Deletes sessions that ended long ago and used tokens that have expired, until the process ends. The ledger keeps what they did.
    pub(crate) async fn keep_sessions(self: Arc<Self>) {
        loop {
            self.forget_expired().await;
            tokio::time::sleep(SESSION_SWEEP).await;
        }
    }

    /// Writes to the ledger how many refusals were counted and not recorded since this was done last. The running issuer does it every ten
    /// minutes and at its end.
    pub async fn write_refusal_summary(&self) {
        refusals::write_summary(self).await;
    }

    /// Writes the count of refusals without a row now and then, until the process ends.
    pub(crate) async fn keep_refusal_summaries(self: Arc<Self>) {
        loop {
            tokio::time::sleep(SUMMARY_EVERY).await;
            self.write_refusal_summary().await;
        }
    }

    /// The keys for signing. If they were read too long ago to know of a rotation elsewhere they are read now; if that fails nothing is signed.
    pub(crate) async fn fresh_keys(&self) -> Result<Arc<KeyView>, MintError> {
        if self.keys_are_stale() {
            self.tend_keys().await.map_err(|error| {
                tracing::error!(%error, "could not read the signing keys");
                MintError::StaleKeys(self.keys.age(&*self.clock).as_secs())
            })?;
        }
        Ok(self.keys.current(&*self.clock))
    }

    /// Whether the keys were read so long ago that another process may have changed them since.
    fn keys_are_stale(&self) -> bool {
        self.keys.age(&*self.clock) > self.settings.rotation.propagation
    }

    /// How long a mint waits for its row.
    pub(crate) fn ledger_deadline(&self) -> Duration {
        self.settings.limits.request_timeout / 2
    }

    /// Says on `readyz` that no new requests should come.
    pub(crate) fn begin_shutdown(&self) {
        self.shutting_down.store(true, Ordering::Relaxed);
    }

    /// The state of every part that a mint needs.
    pub(crate) async fn health(&self) -> Vec<Check> {
        let cached = self.health.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut checks = match cached {
            Some((at, checks)) if at.elapsed() < HEALTH_TTL => checks,
            _ => {
                let checks = self.ask_database().await;
                *self.health.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), checks.clone()));
                checks
            }
        };
        let now = self.clock.now();
        let view = self.keys.current(&*self.clock);
        let no_key = match &view.signing {
            Some(_) if self.keys_are_stale() => {
                Some("the signing keys could not be read from the database for too long; the log says why".to_owned())
            }
            Some(_) => None,
            None => Some(view.no_signer().to_string()),
        };
        checks.push(check("signing_key", no_key));
        checks.extend(certificate_check(&self.certificate_health(), now));
        // What callers do not notice yet takes no issuer out of rotation: another one would not be better off. Ids alone: the page is public.
        for alarm in self.alarms.load().iter() {
            let of = alarm.subject.as_ref().map(|subject| format!(" ({subject})")).unwrap_or_default();
            checks.push(Check {
                name: "alarm",
                ok: true,
                detail: Some(format!("{}: {}{of}", alarm.severity, alarm.kind)),
            });
        }
        // A platform that is down concerns its own jobs: it takes no issuer out of rotation, but people shall see it.
        for health in self.upstreams.health() {
            checks.push(Check { name: "provider", ok: true, detail: Some(health.to_string()) });
        }
        let ending = self.shutting_down.load(Ordering::Relaxed).then(|| "the issuer is shutting down".to_owned());
        checks.push(check("shutdown", ending));
        checks
    }

    /// The life of the certificate that new connections are shown.
    pub(crate) fn certificate_life(&self) -> Option<CertificateLife> {
        Some(self.certificate.get()?.0.current()?.life())
    }

    async fn ask_database(&self) -> Vec<Check> {
        let (read, write, rolled_back) = tokio::join!(
            self.store.check_readable(),
            self.store.check_writable(self.clock.now()),
            self.ledger_rolled_back()
        );
        if let Some(error) = &rolled_back {
            tracing::error!(part = "ledger", %error, "health check failed");
        }
        for (part, error) in [("database", read.as_ref().err()), ("ledger", write.as_ref().err())] {
            if let Some(error) = error {
                tracing::error!(part, %error, "health check failed");
            }
        }
        // Files and errors of the system are for the log; this page is public.
        vec![
            check("database", read.err().map(|_| "the database cannot be read; the log says why".to_owned())),
            check(
                "ledger",
                match (write, rolled_back) {
                    (Err(_), _) => Some("the database cannot be written; the log says why".to_owned()),
                    (Ok(()), Some(_)) => Some(
                        "the database was restored to an earlier state under the running issuer; the log says more"
                            .to_owned(),
                    ),
                    (Ok(()), None) => None,
                },
            ),
        ]
    }

    /// Brings the gauges up to date.
    pub(crate) fn refresh_gauges(&self) {
        let now = self.keys.time(&*self.clock);
        let states = self.keys.states();
        let phases = [KeyPhase::Next, KeyPhase::Active, KeyPhase::Retiring]
            .map(|phase| (phase, states.iter().filter(|key| key.schedule.phase(now) == phase).count()));
        let age = KeyRing(&states).signing(now).map_or(0, |key| now.duration_since(key.schedule.active_at).as_secs());
        self.figures.keys(phases, age);
        self.figures.witness(self.watch.age(now), self.watch.unseen(&states, now));
        self.figures.certificate(&self.certificate_health());
        let ledger = self.ledger.stats();
        self.figures.ledger(ledger.queued, ledger.last_batch);
        for health in self.upstreams.health() {
            self.figures.upstream(&health);
        }
    }
}

/// Where TLS ends here: whether there is a certificate to show. A node that nobody can connect to is no use in rotation; one whose certificate
/// is due for renewal is as good as any.
fn certificate_check(health: &CertificateHealth, now: Timestamp) -> Option<Check> {
    let failure = health.last_failure.as_ref();
    let why =
        failure.map(|failure| format!("; {} ({}), {} times in a row", failure.kind, failure.at, failure.consecutive));
    let why = why.unwrap_or_default();
    let wrong = match &health.served {
        None => format!("there is no certificate yet{why}; the log and `tagmint certificates list` say more"),
        Some(facts) if facts.not_after <= now => {
            format!(
                "the certificate ended at {}{why}; the log and `tagmint certificates list` say more",
                facts.not_after
            )
        }
        Some(facts) if facts.not_before > now => format!("the certificate is not valid before {}", facts.not_before),
        Some(facts) => {
            let detail = Some(format!("good until {}{why}", facts.not_after));
            return Some(Check { name: "certificate", ok: true, detail });
        }
    };
    (health.ordered_here || health.served.is_some()).then(|| check("certificate", Some(wrong)))
}

fn check(name: &'static str, wrong: Option<String>) -> Check {
    Check { name, ok: wrong.is_none(), detail: wrong }
}
