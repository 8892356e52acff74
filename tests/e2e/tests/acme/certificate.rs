//! A client's view of a certificate.

use std::sync::Arc;

use rustls::{
    RootCertStore,
    client::{WebPkiServerVerifier, danger::ServerCertVerifier},
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject},
};

use super::TestResult;

/// Whether a chain in PEM leads from a certificate for `name`, valid now, to this root and no other.
pub fn verify(chain: &str, root: &str, name: &str) -> TestResult {
    let chain: Vec<CertificateDer<'_>> =
        CertificateDer::pem_slice_iter(chain.as_bytes()).collect::<Result<_, _>>().map_err(|e| format!("{e:?}"))?;
    let (leaf, intermediates) = chain.split_first().ok_or("no certificate")?;
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(root.as_bytes()).map_err(|e| format!("{e:?}"))?)?;
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build()?;
    verifier.verify_server_cert(leaf, intermediates, &ServerName::try_from(name)?, &[], UnixTime::now())?;
    Ok(())
}
