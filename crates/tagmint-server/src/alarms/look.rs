//! What the issuer sees of itself.

use std::{path::PathBuf, sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use tagmint_core::{
    alarm::conditions::{
        CertificateView, ClockStep, DiskView, KeysView, Observations, ProviderView, StoredCertificate,
    },
    environment::Environment,
};
use tokio::time::timeout;

use super::{StoredView, certificate::CertificateSource};
use crate::app::App;

/// How long the session backend may take to answer, and a look at files.
const PATIENCE: Duration = Duration::from_secs(10);

/// Looks at the issuer and at what it needs.
#[derive(Debug)]
pub(super) struct Lookout {
    app: Arc<App>,
    certificate: Option<Arc<dyn CertificateSource>>,
    folder: PathBuf,
    /// When the first look could be, by the monotonic clock.
    began: SignedDuration,
    /// The last look, by both clocks.
    last: Option<(Timestamp, SignedDuration)>,
    clock_step: Option<ClockStep>,
    ledger_failures: u64,
}

impl Lookout {
    pub(super) fn new(app: Arc<App>, certificate: Option<Arc<dyn CertificateSource>>, folder: PathBuf) -> Self {
        let ledger_failures = app.figures.ledger_failures();
        let began = app.clock.monotonic();
        Self { app, certificate, folder, began, last: None, clock_step: None, ledger_failures }
    }

    pub(super) async fn look(&mut self) -> Observations {
        let clock_step = self.clock_step().await;
        let now = self.app.clock.now();
        let (certificate, database, ledger_rolled_back, session_backend, disk) = tokio::join!(
            self.certificate(),
            self.database(now),
            self.app.ledger_rolled_back(),
            self.session_backend(),
            self.disk()
        );
        let failures = self.app.figures.ledger_failures();
        let ledger_failures = failures.saturating_sub(std::mem::replace(&mut self.ledger_failures, failures));
        Observations {
            now,
            running_for: self.app.clock.monotonic().saturating_sub(self.began),
            certificate,
            keys: self.keys(),
            ledger_failures,
            ledger_rolled_back,
            database,
            disk,
            session_backend,
            providers: self.providers(),
            reuse: self.app.reuse.view(),
            clock_step,
        }
    }

    async fn clock_step(&mut self) -> Option<ClockStep> {
        let (now, monotonic) = (self.app.clock.now(), self.app.clock.monotonic());
        if let Some((last, last_monotonic)) = self.last.replace((now, monotonic)) {
            let step = ClockStep::between(now, now.duration_since(last), monotonic.saturating_sub(last_monotonic));
            if step.is_some() {
                // The state of the keys must belong to the time that the clock shows. Its own alarm reports why they cannot be read.
                let _ = self.app.tend_keys().await;
            }
            self.clock_step = step.or(self.clock_step);
        }
        self.clock_step.or_else(|| self.app.clock_step())
    }

    async fn certificate(&self) -> Option<CertificateView> {
        let source = self.certificate.as_ref()?;
        let StoredView { stored, renewal } = timeout(PATIENCE, source.look())
            .await
            .unwrap_or(StoredView { stored: StoredCertificate::Unknown, renewal: None });
        Some(CertificateView { served: self.app.certificate_life(), stored, renewal })
    }

    async fn database(&self, now: Timestamp) -> Option<String> {
        self.app.store.check_writable(now).await.err().map(|error| error.to_string())
    }

    async fn session_backend(&self) -> Option<String> {
        let backend = self.app.backend.as_ref()?;
        let prod = self.app.settings.stamp.environment == Environment::Prod;
        let wrong = match timeout(PATIENCE, backend.is_mock()).await {
            Ok(Ok(true)) if prod => Some("the session backend is `tagmint mock-backend`".to_owned()),
            Ok(Ok(_)) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some("the session backend did not answer in time".to_owned()),
        };
        self.app.figures.set("tagmint_session_backend_up", f64::from(u8::from(wrong.is_none())));
        wrong
    }

    #[expect(clippy::cast_precision_loss, reason = "a gauge; the last bytes of a disk do not count")]
    async fn disk(&self) -> Option<DiskView> {
        let folder = self.folder.clone();
        // A network's file system may hang.
        let looked = tokio::task::spawn_blocking(move || rustix::fs::statvfs(&folder));
        let found = timeout(PATIENCE, looked).await.ok()?.ok()?.ok()?;
        let disk = DiskView {
            free: found.f_bavail.saturating_mul(found.f_frsize),
            size: found.f_blocks.saturating_mul(found.f_frsize),
        };
        self.app.refusal_rows.disk_is_low(disk.free < disk.low_below());
        self.app.figures.set("tagmint_disk_free_bytes", disk.free as f64);
        self.app.figures.set("tagmint_disk_size_bytes", disk.size as f64);
        Some(disk)
    }

    fn keys(&self) -> KeysView {
        let view = self.app.keys.current(&*self.app.clock);
        KeysView {
            states: self.app.keys.states(),
            policy: self.app.settings.rotation,
            read_ago: self.app.keys.age(&*self.app.clock),
            can_sign: view.signing.is_some(),
            signs_from: view.signs_from,
        }
    }

    fn providers(&self) -> Vec<ProviderView> {
        let view = |health: crate::upstream::ProviderHealth| ProviderView {
            name: health.provider.to_string(),
            usable: health.keys.keys,
            age: health.keys.age,
            stale_after: SignedDuration::try_from(health.keys.stale_after).unwrap_or(SignedDuration::MAX),
            failing: health.keys.last_error.is_some(),
            passed_over: health.keys.passed_over.iter().map(ToString::to_string).collect(),
        };
        self.app.upstreams.health().into_iter().map(view).collect()
    }
}
