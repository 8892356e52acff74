//! Whether a certificate serves its purpose: for this host, at this time.

use jiff::Timestamp;
use rustls::{
    client::verify_server_name,
    pki_types::{CertificateDer, ServerName},
    server::ParsedCertificate,
};

use super::Certificate;

impl Certificate {
    /// The reasons why clients, STS among them, do not take this certificate for `host` at `now`; empty if they take it. The
    /// certificate's issuer is another question ([`Certificate::is_of_unknown_authority`]).
    pub fn faults(&self, host: &str, now: Timestamp) -> Vec<String> {
        let facts = self.facts();
        let mut faults = Vec::new();
        if now < facts.not_before {
            faults.push(format!(
                "the certificate is not valid before {}: check its dates and this machine's clock",
                facts.not_before
            ));
        }
        if now > facts.not_after {
            faults.push(format!("the certificate expired at {}: renew it", facts.not_after));
        }
        if facts.names.is_empty() {
            faults.push(format!(
                "the certificate has no subjectAltName, only a common name (CN), which clients ignore (RFC 9110 §4.3.4): request one with \
                 the DNS name {host}"
            ));
        } else if !self.is_for(host) {
            faults.push(format!("the certificate is for {}, not for the issuer's host {host}", facts.names.join(", ")));
        }
        faults
    }

    fn is_for(&self, host: &str) -> bool {
        let leaf = CertificateDer::from(self.leaf());
        let bare = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let (Ok(parsed), Ok(name)) = (ParsedCertificate::try_from(&leaf), ServerName::try_from(bare)) else {
            return false;
        };
        verify_server_name(&parsed, &name).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use rcgen::{CertificateParams, DnType, KeyPair};

    use super::*;

    const HOST: &str = "broker.example.org";

    fn now() -> Timestamp {
        Timestamp::constant(1_790_000_000, 0)
    }

    fn certificate(names: &[&str], from_days: i64, to_days: i64) -> Certificate {
        let key = KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name.push(DnType::CommonName, HOST);
        let day = |days: i64| (now() + SignedDuration::from_hours(days * 24)).as_second();
        let at = |days| rcgen::date_time_ymd(1970, 1, 1) + std::time::Duration::from_secs(day(days).unsigned_abs());
        (params.not_before, params.not_after) = (at(from_days), at(to_days));
        let made = params.self_signed(&key).unwrap();
        Certificate::from_pem(made.pem().as_bytes(), key.serialize_pem().as_bytes()).unwrap()
    }

    #[test]
    fn each_fault_is_named() {
        for (names, from, to, fault) in [
            (&[HOST][..], -1, 1, None),
            (&["*.example.org"], -1, 1, None),
            (&["other.example.org", HOST], -1, 1, None),
            (&[HOST], -2, -1, Some("expired at 2026-09-20T14:13:20Z")),
            (&[HOST], 1, 2, Some("not valid before 2026-09-22T14:13:20Z")),
            (
                &["other.example.org"],
                -1,
                1,
                Some("is for other.example.org, not for the issuer's host broker.example.org"),
            ),
            (&["*.org"], -1, 1, Some("is for *.org, not for")),
            (&[], -1, 1, Some("only a common name (CN)")),
        ] {
            let faults = certificate(names, from, to).faults(HOST, now());
            assert_eq!(faults.len(), usize::from(fault.is_some()), "{names:?}: {faults:?}");
            assert!(fault.is_none_or(|fault| faults[0].contains(fault)), "{names:?}: {faults:?}");
        }
        let both = certificate(&["192.0.2.1"], -2, -1).faults(HOST, now());
        assert_eq!(both.len(), 2, "{both:?}");
        assert_eq!(
            certificate(&["192.0.2.1", "2001:db8::1"], -1, 1).faults("[2001:db8::1]", now()),
            Vec::<String>::new()
        );
    }
}
