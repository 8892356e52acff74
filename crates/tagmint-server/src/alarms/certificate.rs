//! What is known of the certificate beside that it is served.

use std::fmt;

use futures::future::BoxFuture;
use tagmint_core::alarm::conditions::{RenewalView, StoredCertificate};

use crate::acme::CertificateHealth;

/// What a source of certificates says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredView {
    /// The certificate on disk or in the store.
    pub stored: StoredCertificate,
    /// How renewals go; none where somebody else renews.
    pub renewal: Option<RenewalView>,
}

impl From<&CertificateHealth> for StoredView {
    /// Where the issuer orders its certificates itself.
    fn from(health: &CertificateHealth) -> Self {
        let stored = match (&health.stored, &health.served) {
            (Some(stored), Some(served)) if stored == served => StoredCertificate::Served,
            (Some(stored), _) => StoredCertificate::Other { not_after: stored.not_after },
            (None, _) => StoredCertificate::Unknown,
        };
        let failure = health.last_failure.as_ref();
        let renewal = health.ordered_here.then(|| RenewalView {
            failures: failure.map_or(0, |failure| failure.consecutive),
            last_error: failure.map(|failure| failure.problem.clone()),
            next_at: health.next_renewal_at,
        });
        Self { stored, renewal }
    }
}

/// Where the served certificate comes from: files, or ACME. A seam: looking at it is I/O.
pub trait CertificateSource: Send + Sync + fmt::Debug {
    /// Looks at it now.
    fn look(&self) -> BoxFuture<'_, StoredView>;
}
