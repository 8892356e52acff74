//! Who vouches for a certificate that is to be served.

use std::sync::Arc;

use jiff::Timestamp;
use rustls::{
    CertificateError, Error,
    client::danger::ServerCertVerifier,
    pki_types::{ServerName, UnixTime},
};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::Certificate;

impl Certificate {
    /// Whether the first certificate names itself as its issuer (self-issued, RFC 5280 §3.2): no authority vouches for it.
    pub fn is_self_signed(&self) -> bool {
        X509Certificate::from_der(self.leaf())
            .is_ok_and(|(_, parsed)| parsed.issuer().as_raw() == parsed.subject().as_raw())
    }

    /// Whether the chain leads to no certificate authority that this machine trusts. False where that cannot be found out, as on a machine
    /// without authorities; what else may be wrong with the certificate is not told.
    pub fn is_of_unknown_authority(&self, host: &str, now: Timestamp) -> bool {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let (Ok(verifier), Ok(name)) =
            (rustls_platform_verifier::Verifier::new(provider), ServerName::try_from(host.to_owned()))
        else {
            return false;
        };
        let Some((leaf, intermediates)) = self.key.cert.split_first() else { return false };
        let seconds = u64::try_from(now.as_second()).unwrap_or_default();
        let now = UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds));
        let verdict = verifier.verify_server_cert(leaf, intermediates, &name, &[], now);
        matches!(verdict, Err(Error::InvalidCertificate(CertificateError::UnknownIssuer)))
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};

    use super::*;
    use crate::x509::local_certificates;

    #[test]
    fn a_certificate_that_vouches_for_itself_is_told_from_one_of_an_authority() {
        let now = Timestamp::from_second(1_790_000_000).unwrap();
        let own = |common_name: Option<&str>| {
            let key = KeyPair::generate().unwrap();
            let mut params = CertificateParams::new(vec!["broker.example.org".to_owned()]).unwrap();
            params.distinguished_name = DistinguishedName::new();
            if let Some(name) = common_name {
                params.distinguished_name.push(DnType::CommonName, name);
            }
            let made = params.self_signed(&key).unwrap();
            Certificate::from_pem(made.pem().as_bytes(), key.serialize_pem().as_bytes()).unwrap()
        };
        for name in [None, Some("broker.example.org")] {
            let own = own(name);
            assert!(own.is_self_signed(), "{name:?}");
            assert!(own.is_of_unknown_authority("broker.example.org", now));
        }
        let made = local_certificates(now, 1).unwrap();
        let of_a_private_authority =
            Certificate::from_pem(made.certificate_pem.as_bytes(), made.key_pem.as_bytes()).unwrap();
        assert!(!of_a_private_authority.is_self_signed());
        assert!(of_a_private_authority.is_of_unknown_authority("localhost", now));
        assert!(!of_a_private_authority.is_of_unknown_authority("not a host", now), "nothing is claimed");
    }
}
