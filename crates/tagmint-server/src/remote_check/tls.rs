//! TLS as STS speaks it: the chain, the name, the days that are left, the versions.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    SupportedProtocolVersion,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::CryptoProvider,
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject},
};
use tagmint_core::alarm::conditions::{CertificateLife, Lifetime, about};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::rows::Row;
use crate::tls::CertificateFacts;

/// What to do where neither version is spoken.
const NO_TLS: &str = "see whether the issuer has a certificate: without one it speaks no TLS, and the first takes a moment (on its host: `tagmint certificates list`)";

/// Connects whatever the certificate, and notes what was wrong with it.
#[derive(Debug, Clone)]
pub(super) struct Client {
    recorder: Arc<Recorder>,
}

/// What a handshake found.
pub(super) struct Looked {
    /// The rows about it.
    pub rows: Vec<Row>,
    /// Whether requests can be sent.
    pub speaks: bool,
    /// The server's certificate, in DER.
    pub leaf: Option<Vec<u8>>,
}

/// What the server presented, and what the verifier says to it.
#[derive(Debug, Clone)]
struct Presented {
    leaf: Vec<u8>,
    verdict: Result<(), Error>,
}

impl Client {
    pub(super) fn new(ca_pem: Option<&[u8]>) -> Result<Self, String> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let inner: Arc<dyn ServerCertVerifier> = match ca_pem {
            None => Arc::new(
                rustls_platform_verifier::Verifier::new(Arc::clone(&provider)).map_err(|error| error.to_string())?,
            ),
            Some(pem) => {
                let mut roots = RootCertStore::empty();
                for certificate in CertificateDer::pem_slice_iter(pem) {
                    let certificate = certificate.map_err(|error| error.to_string())?;
                    roots.add(certificate).map_err(|error| error.to_string())?;
                }
                let built = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build();
                built.map_err(|error| error.to_string())?
            }
        };
        Ok(Self { recorder: Arc::new(Recorder { inner, provider, presented: Mutex::new(None) }) })
    }

    /// A configuration that takes any certificate, and notes what was wrong with it.
    pub(super) fn config(&self, versions: &[&'static SupportedProtocolVersion]) -> Result<ClientConfig, Error> {
        Ok(ClientConfig::builder_with_provider(Arc::clone(&self.recorder.provider))
            .with_protocol_versions(versions)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::clone(&self.recorder) as Arc<dyn ServerCertVerifier>)
            .with_no_client_auth())
    }

    /// Shakes hands with either version of TLS, and judges the certificate.
    pub(super) async fn look(&self, host: &str, address: SocketAddr, patience: Duration, now: Timestamp) -> Looked {
        let tls12 = self.shake_hands(&rustls::version::TLS12, host, address, patience).await;
        let tls13 = self.shake_hands(&rustls::version::TLS13, host, address, patience).await;
        let presented = self.recorder.presented.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut rows = Vec::new();
        match &presented {
            Some(presented) => rows.extend(certificate(presented, host, now)),
            None => rows.push(Row::skipped("certificate_chain", "no certificate was presented")),
        }
        let expected = "TLS 1.2 beside 1.3";
        // As from an issuer that is still ordering its first certificate.
        let (fix12, fix13) = if tls12.is_err() && tls13.is_err() {
            (NO_TLS, NO_TLS)
        } else {
            ("switch TLS 1.2 on: where 1.3 alone is offered, AWS falls back to thumbprints", "switch TLS 1.3 on")
        };
        rows.push(match &tls12 {
            Ok(()) => Row::good("tls_1_2", "spoken", expected),
            Err(error) => Row::failure("tls_1_2", format!("not spoken: {error}"), expected, fix12),
        });
        rows.push(match &tls13 {
            Ok(()) => Row::good("tls_1_3", "spoken", expected),
            Err(error) => Row::warning("tls_1_3", format!("not spoken: {error}"), expected, fix13),
        });
        Looked { rows, speaks: tls12.is_ok() || tls13.is_ok(), leaf: presented.map(|presented| presented.leaf) }
    }

    async fn shake_hands(
        &self,
        version: &'static SupportedProtocolVersion,
        host: &str,
        address: SocketAddr,
        patience: Duration,
    ) -> Result<(), String> {
        let config = self.config(&[version]).map_err(|error| error.to_string())?;
        let name = ServerName::try_from(host.to_owned()).map_err(|error| error.to_string())?;
        let exchange = async {
            let stream = TcpStream::connect(address).await?;
            TlsConnector::from(Arc::new(config)).connect(name, stream).await.map(|_| ())
        };
        match tokio::time::timeout(patience, exchange).await {
            Ok(shaken) => shaken.map_err(|error| error.to_string()),
            Err(_) => Err("no answer in time".to_owned()),
        }
    }
}

/// Verifies as it should be done, notes the verdict, and goes on.
#[derive(Debug)]
struct Recorder {
    inner: Arc<dyn ServerCertVerifier>,
    provider: Arc<CryptoProvider>,
    presented: Mutex<Option<Presented>>,
}

impl ServerCertVerifier for Recorder {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verdict = self.inner.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        let presented = Presented { leaf: end_entity.to_vec(), verdict: verdict.map(|_| ()) };
        *self.presented.lock().unwrap_or_else(PoisonError::into_inner) = Some(presented);
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

fn certificate(presented: &Presented, host: &str, now: Timestamp) -> Vec<Row> {
    let facts = CertificateFacts::read(&CertificateDer::from(presented.leaf.as_slice()));
    let Ok(facts) = facts else {
        let fix = "put another certificate in place";
        return vec![Row::failure("certificate_chain", "the certificate cannot be read", "an X.509 certificate", fix)];
    };
    let life = CertificateLife { not_before: facts.not_before, not_after: facts.not_after };
    vec![chain(&presented.verdict, &facts), name(&facts, host), days(life, now)]
}

fn chain(verdict: &Result<(), Error>, facts: &CertificateFacts) -> Row {
    let expected = "a chain to a certificate authority that is trusted here, as AWS has its own list of";
    let issuer = &facts.issuer;
    let (why, fix) = match verdict {
        // The name has a row of its own.
        Ok(())
        | Err(Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        )) => return Row::good("certificate_chain", format!("issued by {issuer}"), expected),
        Err(Error::InvalidCertificate(CertificateError::UnknownIssuer)) => (
            "nobody here trusts".to_owned(),
            "serve the whole chain with its intermediates, of a public authority; name a private one with --ca-file",
        ),
        Err(error) => (format!("{error}:"), "renew the certificate, and serve the whole chain with its intermediates"),
    };
    Row::failure("certificate_chain", format!("{why} {issuer}"), expected, fix)
}

fn name(facts: &CertificateFacts, host: &str) -> Row {
    let expected = format!("a certificate for `{host}`");
    let names = facts.names.join(", ");
    if facts.names.iter().any(|name| covers(name, host)) {
        Row::good("certificate_name", names, &expected)
    } else {
        Row::failure(
            "certificate_name",
            format!("it is for {names}"),
            &expected,
            "get a certificate for the issuer's host",
        )
    }
}

/// Whether a name of a certificate stands for the host: the same, or with `*` for the first label (RFC 6125 §6.4.3).
fn covers(name: &str, host: &str) -> bool {
    name.eq_ignore_ascii_case(host)
        || name
            .strip_prefix("*.")
            .zip(host.split_once('.'))
            .is_some_and(|(parent, (first, rest))| !first.is_empty() && parent.eq_ignore_ascii_case(rest))
}

fn days(life: CertificateLife, now: Timestamp) -> Row {
    let left = life.not_after.duration_since(now);
    let (late, urgent) = (about(life.late_below()), about(life.urgent_below()));
    let expected = format!("{late} at least are left ({urgent} to pass): it lives {}", about(life.length()));
    let until = format!("until {:.0}", life.not_after);
    let seen = if left > SignedDuration::ZERO { format!("{until}, {} are left", about(left)) } else { until };
    let fix =
        "renew it now, and see why that was not done: `tagmint check --remote --config FILE` on the host, the log";
    match life.at(now) {
        Lifetime::Good => Row::good("certificate_days", seen, &expected),
        Lifetime::Late => Row::warning("certificate_days", seen, &expected, fix),
        Lifetime::Urgent => Row::failure("certificate_days", seen, &expected, fix),
        Lifetime::Expired => Row::failure("certificate_days", format!("expired: {seen}"), &expected, fix),
        Lifetime::NotYet => {
            let seen = format!("not valid before {:.0}", life.not_before);
            Row::failure("certificate_days", seen, &expected, "look at both clocks")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_one_label() {
        for (name, host, covered) in [
            ("a.example", "a.example", true),
            ("A.example", "a.example", true),
            ("*.example", "a.example", true),
            ("*.example", "b.a.example", false),
            ("*.example", "example", false),
            ("*.b.example", "a.example", false),
            ("b.example", "a.example", false),
        ] {
            assert_eq!(covers(name, host), covered, "{name} {host}");
        }
    }
}
