//! Certificates that Tagmint makes itself: for `x5c`, and for a throw-away CA of a local issuer.

use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use tagmint_core::{issuer::IssuerUrl, signing_key::SigningKey};

/// A certificate could not be made.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// The private key could not be encoded or read.
    #[error("the certificate's key is unusable")]
    Key,
    /// The certificate library refused.
    #[error("the certificate could not be made: {0}")]
    Make(#[from] rcgen::Error),
}

/// How long an `x5c` certificate is good, in days. Nobody checks it against a CA; it must outlive its key.
const X5C_DAYS: i64 = 3650;

/// A self-signed certificate of a signing key (DER), for the key set's `x5c`.
pub fn self_signed(key: &SigningKey, issuer: &IssuerUrl, now: Timestamp) -> Result<Vec<u8>, CertificateError> {
    let pkcs8 = key.to_pkcs8().map_err(|_| CertificateError::Key)?;
    let pair = KeyPair::try_from(pkcs8.as_slice())?;
    let mut params = CertificateParams::default();
    params.distinguished_name = name(issuer.host());
    valid(&mut params, now, X5C_DAYS);
    Ok(params.self_signed(&pair)?.der().to_vec())
}

/// A throw-away CA and a server certificate under it, as PEM.
#[derive(Debug)]
pub struct LocalCertificates {
    /// The CA's certificate: what clients trust.
    pub ca_pem: String,
    /// The server's certificate.
    pub certificate_pem: String,
    /// The server's private key.
    pub key_pem: zeroize::Zeroizing<String>,
}

/// Makes a CA that signs one server certificate for `localhost` and `127.0.0.1`, and forgets the CA's key. Good for `days`.
pub fn local_certificates(now: Timestamp, days: i64) -> Result<LocalCertificates, CertificateError> {
    let ca_key = KeyPair::generate()?;
    let mut ca = CertificateParams::default();
    ca.distinguished_name = name("Tagmint throw-away CA");
    ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    valid(&mut ca, now, days);
    let ca_certificate = ca.self_signed(&ca_key)?;
    let issuer = Issuer::new(ca, ca_key);

    let server_key = KeyPair::generate()?;
    let mut server = CertificateParams::new(vec!["localhost".to_owned()])?;
    server.subject_alt_names.push(SanType::IpAddress(std::net::Ipv4Addr::LOCALHOST.into()));
    server.distinguished_name = name("localhost");
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    server.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    server.use_authority_key_identifier_extension = true;
    valid(&mut server, now, days);
    let certificate = server.signed_by(&server_key, &issuer)?;
    Ok(LocalCertificates {
        ca_pem: ca_certificate.pem(),
        certificate_pem: certificate.pem(),
        key_pem: zeroize::Zeroizing::new(server_key.serialize_pem()),
    })
}

fn name(common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    name
}

/// From an hour before `now`, so that a verifier whose clock is a little behind takes it too.
fn valid(params: &mut CertificateParams, now: Timestamp, days: i64) {
    let date = |second: i64| {
        let at = Timestamp::from_second(second).unwrap_or(now).to_zoned(jiff::tz::TimeZone::UTC);
        rcgen::date_time_ymd(i32::from(at.year()), at.month().unsigned_abs(), at.day().unsigned_abs())
    };
    params.not_before = date(now.as_second() - 3600);
    params.not_after = date(now.as_second() + (days + 1) * 86_400);
}
