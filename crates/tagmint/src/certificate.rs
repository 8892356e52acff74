//! Where the certificate comes from, as alarms see it.

use std::{path::PathBuf, sync::Arc};

use futures::future::BoxFuture;
use tagmint_core::alarm::conditions::StoredCertificate;
use tagmint_server::{
    alarms::{CertificateSource, StoredView},
    app::App,
    tls::ServedCertificate,
};

use crate::config::files;

/// Files that somebody else renews.
#[derive(Debug)]
pub struct StoredFiles {
    /// The one that is served.
    pub served: Arc<ServedCertificate>,
    /// The chain.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

impl StoredFiles {
    async fn stored(&self) -> StoredCertificate {
        let (certificate, key) = (self.certificate.clone(), self.key.clone());
        let Ok(read) = tokio::task::spawn_blocking(move || files::tls(&certificate, &key)).await else {
            return StoredCertificate::Unknown;
        };
        match (read, self.served.current()) {
            (Err(error), _) => StoredCertificate::Unusable(error.to_string()),
            (Ok(stored), Some(served)) if stored.leaf() == served.leaf() => StoredCertificate::Served,
            (Ok(stored), _) => StoredCertificate::Other { not_after: stored.facts().not_after },
        }
    }
}

impl CertificateSource for StoredFiles {
    fn look(&self) -> BoxFuture<'_, StoredView> {
        Box::pin(async { StoredView { stored: self.stored().await, renewal: None } })
    }
}

/// Certificates that the issuer orders itself.
#[derive(Debug)]
pub struct OrderedHere(pub Arc<App>);

impl CertificateSource for OrderedHere {
    fn look(&self) -> BoxFuture<'_, StoredView> {
        Box::pin(async { StoredView::from(&self.0.certificate_health()) })
    }
}
