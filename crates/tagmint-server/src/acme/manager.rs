//! Looks after the certificate: takes up what is stored, orders what is due, notes what fails.

use std::{
    convert::Infallible,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use tagmint_core::{
    clock::Clock,
    id::CertificateId,
    outbound::Outbound,
    random::{Random, RandomUnavailable},
    renewal::{Failed, next_lookup, retry_at},
    sealing::MasterKey,
};
use tagmint_store::{AcmeFailure, CertificateRecord, Store, StoreError};

use super::{
    CertificateHealth, ExternalAccount, FailureKind,
    error::AcmeError,
    http::AcmeHttp,
    jose::Directory,
    order::{Progress, ari_identifier, usable},
    renewal_info,
    schedule::{Current, Plan, current, plan, renewal_failure, to_serve},
};
use crate::tls::ServedCertificate;

/// How long one node may be at an order without a sign of life: so long a killed one keeps the others waiting.
const LEASE: SignedDuration = SignedDuration::from_secs(30);
/// How often it gives one.
const SIGN_OF_LIFE: Duration = Duration::from_secs(8);
/// When renewal information is looked up again that could not be read.
const LOOKUP_FAILED: SignedDuration = SignedDuration::from_hours(1);
/// How many moments of failed validations are kept.
const VALIDATIONS_KEPT: usize = 16;

/// How certificates are ordered.
#[derive(Debug)]
pub struct AcmeSettings {
    /// The directory URL of the ACME server.
    pub directory: String,
    /// `mailto:` addresses.
    pub contact: Vec<String>,
    /// The DNS names of the certificate, the issuer's host first.
    pub names: Vec<String>,
    /// The profile, where the server offers several.
    pub profile: Option<String>,
    /// PEM certificates to trust at the server beside the system's.
    pub ca_pem: Option<Vec<u8>>,
    /// The proxy that the server is asked through.
    pub outbound: Outbound,
    /// What ties the account to a customer.
    pub external_account: Option<ExternalAccount>,
    /// How often the store is looked at for what other nodes and operators have written there.
    pub refresh: Duration,
    /// How long one step waits for the server to validate and to issue.
    pub patience: Duration,
    /// The pauses within a step.
    pub pace: Pace,
}

/// The pauses within a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Before a request is repeated that could not be sent or was answered with 5xx.
    pub repeat: [Duration; 2],
    /// Before the first look at an order that is under way, and the least between two.
    pub poll: Duration,
}

impl Default for Pace {
    /// A second and three; half a second.
    fn default() -> Self {
        Self { repeat: [Duration::from_secs(1), Duration::from_secs(3)], poll: Duration::from_millis(500) }
    }
}

/// Orders, renews and serves the issuer's certificate.
pub struct CertificateManager {
    pub(super) settings: AcmeSettings,
    pub(super) store: Store,
    pub(super) master_key: Arc<MasterKey>,
    pub(super) served: Arc<ServedCertificate>,
    pub(super) http: AcmeHttp,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) random: Arc<dyn Random>,
    /// Whose lease it is: random, for each process.
    holder: String,
    seen: Mutex<Seen>,
}

/// What the last step has found.
#[derive(Debug, Default)]
struct Seen {
    /// The certificate that is served.
    taken_up: Option<CertificateId>,
    health: CertificateHealth,
    /// The last complaint about the store, so that it stands in the log once.
    complaint: Option<String>,
}

/// A manager could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ManagerError {
    /// No HTTP client: this machine has no root certificates, or `tls.acme.ca_file` is none.
    #[error("no client for the ACME server can be made: {0}; install `ca-certificates`, or set `tls.acme.ca_file`")]
    Client(#[from] reqwest::Error),
    /// No randomness.
    #[error(transparent)]
    Random(#[from] RandomUnavailable),
}

impl CertificateManager {
    /// A manager of a store's certificates; `served` is what the listener shows. The server is not asked yet: it may be down.
    ///
    /// # Errors
    ///
    /// When no HTTP client can be made.
    pub fn new(
        settings: AcmeSettings,
        store: Store,
        master_key: Arc<MasterKey>,
        served: Arc<ServedCertificate>,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Result<Arc<Self>, ManagerError> {
        let https_only = settings.directory.starts_with("https://");
        let (ca_pem, pauses) = (settings.ca_pem.as_deref(), settings.pace.repeat);
        let http = AcmeHttp::new(ca_pem, https_only, &settings.outbound, pauses, Arc::clone(&clock))?;
        let mut bytes = [0; 8];
        random.fill(&mut bytes)?;
        let holder = format!("{:016x}", u64::from_be_bytes(bytes));
        let health = CertificateHealth { ordered_here: true, ..CertificateHealth::default() };
        let seen = Mutex::new(Seen { health, ..Seen::default() });
        Ok(Arc::new(Self { settings, store, master_key, served, http, clock, random, holder, seen }))
    }

    /// How the certificate is doing, as of the last step.
    pub fn health(&self) -> CertificateHealth {
        let health = self.seen().health.clone();
        CertificateHealth { served: self.served.current().map(|current| current.facts().clone()), ..health }
    }

    /// The answer to an HTTP-01 challenge, whichever node ordered.
    pub async fn challenge(&self, token: &str) -> Result<Option<String>, StoreError> {
        self.store.acme().challenge(token).await
    }

    /// Looks after the certificate until it is dropped.
    pub async fn keep_certificate(self: Arc<Self>) {
        loop {
            let next = self.step().await;
            let wait = Duration::try_from(next.duration_since(self.clock.now())).unwrap_or_default();
            // Never without a pause, whatever the clock does.
            tokio::time::sleep(wait.clamp(Duration::from_millis(200), self.settings.refresh)).await;
        }
    }

    /// Does what is due now, and tells when it is to be called again: when the next thing is due, or when the store is to be looked at
    /// for what others have written.
    ///
    /// Nothing that fails is lost: it stands in the log, in [`health`](Self::health) and in the store.
    pub async fn step(&self) -> Timestamp {
        match self.try_step().await {
            Ok(next) => {
                self.seen().complaint = None;
                next
            }
            Err(error) => {
                let complaint = error.to_string();
                let mut seen = self.seen();
                if seen.complaint.as_ref() != Some(&complaint) {
                    tracing::error!(%error, "could not look after the certificate; the one that is served stays");
                    seen.complaint = Some(complaint);
                }
                self.refresh_at()
            }
        }
    }

    async fn try_step(&self) -> Result<Timestamp, AcmeError> {
        let plan = self.look().await?;
        let now = self.clock.now();
        if !plan.is_due(now) {
            return Ok(plan.next().min(self.refresh_at()));
        }
        let acme = self.store.acme();
        if !acme.take_lease(&self.holder, now, now + LEASE).await? {
            // Another node is at it; what comes of it is taken up from the store.
            return Ok(self.refresh_at());
        }
        let done = tokio::select! {
            done = self.work() => done,
            never = self.keep_lease() => match never {},
        };
        if !matches!(done, Ok(Some(_))) {
            acme.release_lease(&self.holder).await?;
        }
        let waiting = done?;
        let plan = self.look().await?;
        Ok(waiting.unwrap_or_else(|| plan.next()).min(self.refresh_at()))
    }

    /// What is due, done under the lease: what another node did meanwhile is not done again. Returns when an order that is under way is
    /// to be looked at again.
    async fn work(&self) -> Result<Option<Timestamp>, AcmeError> {
        let acme = self.store.acme();
        let (mut plan, mut replaces) = self.look_closely().await?;
        if plan.lookup_at.is_some_and(|at| at <= self.clock.now()) {
            self.look_up_renewal().await?;
            (plan, replaces) = self.look_closely().await?;
        }
        let mut waiting = None;
        if plan.order_at <= self.clock.now() {
            self.seen().health.attempts += 1;
            match self.obtain(replaces.as_deref()).await {
                Ok(Progress::Stored) => {
                    self.look().await?;
                    // The new one's renewal information.
                    self.look_up_renewal().await?;
                }
                Ok(Progress::Waiting(at)) => waiting = Some(at),
                Err(error) => self.failed(&error).await?,
            }
        }
        if plan.rollover {
            // Asked for once, tried once: it must not stand in the way of renewals.
            acme.end_rollover_request().await?;
            if let Err(error) = self.roll_account_key().await {
                tracing::error!(%error, "the ACME account key was not changed; ask again: `tagmint certificates rotate-account-key`");
            }
        }
        Ok(waiting)
    }

    /// Reads the store, takes up the newest certificate, and says what is due.
    async fn look(&self) -> Result<Plan, AcmeError> {
        self.look_closely().await.map(|(plan, _)| plan)
    }

    /// The same, and the leaf of the certificate that the next one replaces.
    async fn look_closely(&self) -> Result<(Plan, Option<Vec<u8>>), AcmeError> {
        let acme = self.store.acme();
        let (records, state) = (acme.certificates().await?, acme.state().await?);
        self.take_up(&records).await?;
        let current = self.current(&records);
        let plan = plan(current.as_ref(), &state, self.clock.now());
        let mut seen = self.seen();
        seen.health.stored = current.as_ref().map(|current| current.facts.clone());
        seen.health.next_renewal_at = Some(plan.order_at);
        seen.health.last_failure = state.failure.as_ref().map(renewal_failure);
        Ok((plan, current.map(|current| current.leaf.to_vec())))
    }

    fn current<'a>(&self, records: &'a [CertificateRecord]) -> Option<Current<'a>> {
        current(records, &self.settings.directory, &self.settings.names)
    }

    /// Serves the newest certificate that can be used: the wanted one, or while there is none another one for the issuer's host.
    async fn take_up(&self, records: &[CertificateRecord]) -> Result<(), AcmeError> {
        let Some(chosen) = to_serve(records, &self.settings.directory, &self.settings.names) else { return Ok(()) };
        if self.seen().taken_up == Some(chosen.id) {
            return Ok(());
        }
        let key = self.store.acme().certificate_key(chosen.id, &self.master_key).await?;
        let Some(key) = key else { return Ok(()) };
        let certificate = usable(&chosen.chain, &key)?;
        let facts = certificate.facts();
        tracing::info!(id = %chosen.id, serial = facts.serial, not_after = %facts.not_after, "the certificate is served");
        self.served.put(certificate);
        self.seen().taken_up = Some(chosen.id);
        Ok(())
    }

    /// Asks the server when the current certificate should be renewed (RFC 9773). That it does not say is no failure.
    async fn look_up_renewal(&self) -> Result<(), AcmeError> {
        let acme = self.store.acme();
        let records = acme.certificates().await?;
        let Some(current) = self.current(&records) else { return Ok(()) };
        let record = current.record;
        let now = self.clock.now();
        let (window, explanation, next) = match self.ask_renewal_info(&current.leaf).await {
            Ok(Some(info)) => {
                if let Some(page) = &info.explanation_url {
                    tracing::warn!(page, id = %record.id, "the ACME server explains when this certificate should be renewed");
                }
                (info.window, info.explanation_url, next_lookup(now, info.retry_after))
            }
            Ok(None) => (None, None, next_lookup(now, None)),
            Err(error) => {
                tracing::warn!(%error, "renewal information could not be read; what was known of it holds");
                let wait = error.retry_after().map_or(LOOKUP_FAILED, |wait| wait.max(LOOKUP_FAILED));
                (record.window, record.explanation_url.clone(), next_lookup(now, Some(wait)))
            }
        };
        Ok(acme.put_renewal_info(record.id, window, explanation.as_deref(), next).await?)
    }

    async fn ask_renewal_info(&self, leaf: &[u8]) -> Result<Option<renewal_info::RenewalInfo>, AcmeError> {
        let directory = Directory::fetch(&self.http, &self.settings.directory).await?;
        let (Some(url), Some(certificate)) = (directory.renewal_info, ari_identifier(leaf)) else { return Ok(None) };
        let url = format!("{}/{certificate}", url.trim_end_matches('/'));
        let answer = self.http.get(&url).await?;
        renewal_info::read(&url, &answer.body, answer.retry_after).map(Some)
    }

    /// Notes a failure, and when the next attempt is made.
    async fn failed(&self, error: &AcmeError) -> Result<(), AcmeError> {
        let acme = self.store.acme();
        let (state, now) = (acme.state().await?, self.clock.now());
        if error.is_unknown_account() {
            acme.account_registered(&self.settings.directory, None, &[]).await?;
        }
        if error.ends_order() {
            acme.drop_order().await?;
        }
        let mut validations = state.failed_validations;
        if matches!(error, AcmeError::Validation { .. }) {
            validations.push(now);
            let superfluous = validations.len().saturating_sub(VALIDATIONS_KEPT);
            validations.drain(..superfluous);
        }
        let mut draw = [0; 8];
        self.random.fill(&mut draw)?;
        let consecutive = state.failure.map_or(0, |failure| failure.consecutive).saturating_add(1);
        let kind = error.kind();
        let served = self.served.current().map(|certificate| certificate.facts().not_after);
        let next = retry_at(&Failed {
            at: now,
            consecutive,
            not_after: served,
            rate_limited: kind == FailureKind::RateLimited,
            retry_after: error.retry_after(),
            validations: &validations,
            draw: u64::from_be_bytes(draw),
        });
        tracing::error!(%error, consecutive, next_attempt = %next, "no certificate came of this attempt; the one that is served stays");
        self.seen().health.failures += 1;
        let failure = AcmeFailure { at: now, kind: kind.as_str().to_owned(), problem: error.to_string(), consecutive };
        Ok(acme.failed(&failure, next, &validations).await?)
    }

    /// Shows the other nodes that this one is still at it.
    async fn keep_lease(&self) -> Infallible {
        loop {
            tokio::time::sleep(SIGN_OF_LIFE).await;
            let now = self.clock.now();
            // Two nodes at one order are a waste, and harmless: what is stored is the same order.
            if let Err(error) = self.store.acme().take_lease(&self.holder, now, now + LEASE).await {
                tracing::warn!(%error, "the lease for ordering certificates could not be extended");
            }
        }
    }

    /// Lets another node go on at once, at an orderly end. Call it when no step is under way any more.
    pub async fn hand_over(&self) {
        if let Err(error) = self.store.acme().release_lease(&self.holder).await {
            tracing::warn!(%error, "the lease for ordering certificates could not be given back");
        }
    }

    fn refresh_at(&self) -> Timestamp {
        self.clock.now() + SignedDuration::try_from(self.settings.refresh).unwrap_or(SignedDuration::from_secs(10))
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for CertificateManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CertificateManager").field("settings", &self.settings).finish_non_exhaustive()
    }
}
