//! The public key of a certificate: as much DER (X.690) and X.509 (RFC 5280 §4.1) as it takes to find it. Nothing is verified here.

use super::keys::{PublicKey, stripped};

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OBJECT_IDENTIFIER: u8 = 0x06;
/// `[0]`: a certificate's explicit version.
const VERSION: u8 = 0xa0;

/// rsaEncryption (RFC 8017), id-ecPublicKey (RFC 5480).
const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
const EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const CURVES: [(&[u8], &str); 3] = [
    (&[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07], "P-256"),
    (&[0x2b, 0x81, 0x04, 0x00, 0x22], "P-384"),
    (&[0x2b, 0x81, 0x04, 0x00, 0x23], "P-521"),
];

/// Reads the subject's public key out of a DER certificate.
pub(super) fn public_key(certificate: &[u8]) -> Option<PublicKey> {
    let mut certificate = Der(Der(certificate).read(SEQUENCE)?);
    let mut body = Der(certificate.read(SEQUENCE)?);
    if body.0.first() == Some(&VERSION) {
        body.read(VERSION)?;
    }
    body.read(INTEGER)?;
    for _ in ["signature", "issuer", "validity", "subject"] {
        body.read(SEQUENCE)?;
    }
    let mut info = Der(body.read(SEQUENCE)?);
    let mut algorithm = Der(info.read(SEQUENCE)?);
    // A bit string's first byte counts the unused bits of its last one.
    let (0, key) = info.read(BIT_STRING)?.split_first().map(|(unused, key)| (*unused, key))? else { return None };
    match algorithm.read(OBJECT_IDENTIFIER)? {
        RSA => {
            let mut numbers = Der(Der(key).read(SEQUENCE)?);
            let n = stripped(numbers.read(INTEGER)?.to_vec());
            Some(PublicKey::Rsa { n, e: stripped(numbers.read(INTEGER)?.to_vec()) })
        }
        EC => {
            let curve = algorithm.read(OBJECT_IDENTIFIER)?;
            let (_, curve) = CURVES.into_iter().find(|(identifier, _)| *identifier == curve)?;
            Some(PublicKey::Ec { curve, point: key.to_vec() })
        }
        _ => None,
    }
}

/// Bytes of which values are read one after the other.
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    /// The content of the next value, which must have this tag.
    fn read(&mut self, tag: u8) -> Option<&'a [u8]> {
        let (first, rest) = self.0.split_first()?;
        let (length, rest) = rest.split_first()?;
        let (length, rest) = if *length < 0x80 {
            (usize::from(*length), rest)
        } else {
            let (bytes, rest) = rest.split_at_checked(usize::from(*length & 0x7f))?;
            // Four bytes are more than any certificate has.
            if bytes.len() > 4 {
                return None;
            }
            (bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        (*first == tag).then_some(content)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_certificate_gives_its_key() {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let certificate = rcgen::CertificateParams::new(["h".to_owned()]).unwrap().self_signed(&key).unwrap();
        let point = rcgen::PublicKeyData::der_bytes(&key).to_vec();
        assert_eq!(public_key(certificate.der()), Some(PublicKey::Ec { curve: "P-256", point }));
        for len in 0..certificate.der().len() / 2 {
            assert_eq!(public_key(&certificate.der()[..len]), None);
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(mut bytes in proptest::collection::vec(prop_oneof![Just(0x30_u8), Just(0x82), any::<u8>()], 0..60)) {
            let _ = public_key(&bytes);
            bytes.splice(0..0, [0x30, 0x80]);
            let _ = public_key(&bytes);
        }
    }
}
