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

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::{
        acme::{FailureKind, RenewalFailure},
        tls::CertificateFacts,
    };

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn facts(serial: &str, not_after: i64) -> CertificateFacts {
        CertificateFacts {
            names: vec!["issuer.example".to_owned()],
            not_before: at(0),
            not_after: at(not_after),
            serial: serial.to_owned(),
            issuer: "CN=test".to_owned(),
        }
    }

    #[test]
    fn the_stored_certificate_is_told_from_the_served_one() {
        let mut health = CertificateHealth { served: Some(facts("1", 100)), ..CertificateHealth::default() };
        assert_eq!(StoredView::from(&health), StoredView { stored: StoredCertificate::Unknown, renewal: None });
        health.stored = health.served.clone();
        assert_eq!(StoredView::from(&health).stored, StoredCertificate::Served);
        health.stored = Some(facts("2", 200));
        assert_eq!(StoredView::from(&health).stored, StoredCertificate::Other { not_after: at(200) });
        health.served = None;
        assert_eq!(StoredView::from(&health).stored, StoredCertificate::Other { not_after: at(200) });
    }

    #[test]
    fn renewals_are_seen_where_they_are_made() {
        let failure =
            RenewalFailure { at: at(5), kind: FailureKind::Validation, problem: "port 80".to_owned(), consecutive: 4 };
        let mut health = CertificateHealth {
            ordered_here: true,
            next_renewal_at: Some(at(9)),
            last_failure: Some(failure),
            ..CertificateHealth::default()
        };
        let failing = RenewalView { failures: 4, last_error: Some("port 80".to_owned()), next_at: Some(at(9)) };
        assert_eq!(StoredView::from(&health).renewal, Some(failing));
        health.last_failure = None;
        let well = RenewalView { failures: 0, last_error: None, next_at: Some(at(9)) };
        assert_eq!(StoredView::from(&health).renewal, Some(well));
        health.ordered_here = false;
        assert_eq!(StoredView::from(&health).renewal, None);
    }
}
