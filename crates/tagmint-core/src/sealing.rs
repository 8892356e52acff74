//! How Tagmint keeps its own secrets: everything under one key file.
//!
//! Four keys are derived from the file (HKDF-SHA-256, RFC 5869), so that no key has two uses: one encrypts private signing keys at rest
//! (AES-256-GCM), one the keys of certificates and ACME accounts, one seals the head of the ledger and one its archives (HMAC-SHA-256).

use std::fmt;

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    hkdf::{HKDF_SHA256, Salt},
    hmac,
};
use base64::{Engine, prelude::BASE64_STANDARD};
use zeroize::{Zeroize, Zeroizing};

use crate::{
    environment::Stamp,
    random::{Random, RandomUnavailable},
    signing_key::KeyId,
};

/// The first byte of a sealed private key: the format. What is sealed is bound to issuer and environment.
const FORMAT: u8 = 2;
/// The format whose seals are bound to the issuer alone. It is opened still, and not made any more.
const WITHOUT_ENVIRONMENT: u8 = 1;

/// What seals of signing keys, and of the keys of certificates and ACME accounts, begin their associated data with.
const SIGNING_KEY: &str = "tagmint-signing-key";
const TLS_KEY: &str = "tagmint-tls-key";

/// Why the key file or a sealed key is of no use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealingError {
    /// The key file's text is not 32 bytes in base64.
    #[error("a key file holds 32 random bytes in base64 on one line; make one with `openssl rand -base64 32`")]
    KeyFile,
    /// Authentication failed: another key file, issuer or kid, or altered bytes.
    #[error(
        "the sealed key does not open: it was sealed under another key file or for another issuer or environment, or it was altered"
    )]
    Unsealing,
    /// The crypto library refused.
    #[error("the key could not be sealed")]
    Sealing,
    /// No nonce could be drawn.
    #[error(transparent)]
    Random(#[from] RandomUnavailable),
}

/// The key that a key file holds. It does not print, and is wiped from memory when dropped.
pub struct MasterKey {
    private_keys: Zeroizing<[u8; 32]>,
    tls_keys: Zeroizing<[u8; 32]>,
    ledger_head: hmac::Key,
    ledger_archive: hmac::Key,
    fingerprint: [u8; 32],
}

impl MasterKey {
    /// Reads a key file's text: 32 bytes in base64, white space around them ignored.
    pub fn parse(text: &str) -> Result<Self, SealingError> {
        let decoded = Zeroizing::new(BASE64_STANDARD.decode(text.trim()).map_err(|_| SealingError::KeyFile)?);
        let bytes: Zeroizing<[u8; 32]> =
            Zeroizing::new(decoded.as_slice().try_into().map_err(|_| SealingError::KeyFile)?);
        Ok(Self::from_bytes(&bytes))
    }

    /// The text of a new key file.
    pub fn generate_file(random: &dyn Random) -> Result<Zeroizing<String>, RandomUnavailable> {
        let mut bytes = Zeroizing::new([0; 32]);
        random.fill(bytes.as_mut_slice())?;
        Ok(Zeroizing::new(format!("{}\n", BASE64_STANDARD.encode(bytes.as_slice()))))
    }

    fn from_bytes(bytes: &[u8; 32]) -> Self {
        let private_keys = derive(bytes, b"tagmint private signing keys v1");
        let tls_keys = derive(bytes, b"tagmint private TLS and ACME keys v1");
        let seals = |purpose: &[u8]| {
            let mut key = derive(bytes, purpose);
            let seals = hmac::Key::new(hmac::HMAC_SHA256, key.as_slice());
            key.zeroize();
            seals
        };
        let ledger_head = seals(b"tagmint ledger head v1");
        let ledger_archive = seals(b"tagmint ledger archive v1");
        let fingerprint = *derive(bytes, b"tagmint key file fingerprint v1");
        Self { private_keys, tls_keys, ledger_head, ledger_archive, fingerprint }
    }

    /// What tells key files apart, in hex. It says nothing about the key, and opens nothing.
    pub fn fingerprint(&self) -> String {
        crate::ledger::hex(&self.fingerprint)
    }

    /// Encrypts a private key for one issuer in its environment and one kid. It opens under these alone.
    pub fn seal(&self, pkcs8: &[u8], stamp: &Stamp, kid: &KeyId, random: &dyn Random) -> Result<Vec<u8>, SealingError> {
        encrypt(&self.private_keys, pkcs8, associated_data(SIGNING_KEY, FORMAT, stamp, kid.as_str()), random)
    }

    /// Decrypts what [`seal`](Self::seal) made, for the same issuer, environment and kid.
    pub fn open(&self, sealed: &[u8], stamp: &Stamp, kid: &KeyId) -> Result<Zeroizing<Vec<u8>>, SealingError> {
        decrypt(&self.private_keys, sealed, |format| associated_data(SIGNING_KEY, format, stamp, kid.as_str()))
    }

    /// Encrypts the private key of a certificate or an ACME account for one issuer in its environment and one owner (`account https://…`,
    /// `order ord_…`). It opens under these alone.
    pub fn seal_tls_key(
        &self,
        pkcs8: &[u8],
        stamp: &Stamp,
        owner: &str,
        random: &dyn Random,
    ) -> Result<Vec<u8>, SealingError> {
        encrypt(&self.tls_keys, pkcs8, associated_data(TLS_KEY, FORMAT, stamp, owner), random)
    }

    /// Decrypts what [`seal_tls_key`](Self::seal_tls_key) made, for the same issuer and owner.
    pub fn open_tls_key(&self, sealed: &[u8], stamp: &Stamp, owner: &str) -> Result<Zeroizing<Vec<u8>>, SealingError> {
        decrypt(&self.tls_keys, sealed, |format| associated_data(TLS_KEY, format, stamp, owner))
    }

    /// The seal over the ledger's head: who has no key file cannot make one, so a rewritten chain is noticed.
    pub fn seal_ledger_head(&self, sequence: i64, hash: &str) -> String {
        crate::ledger::hex(hmac::sign(&self.ledger_head, head_message(sequence, hash).as_bytes()).as_ref())
    }

    /// Whether `seal` is the seal of this head; compared in constant time.
    pub fn ledger_head_is_genuine(&self, sequence: i64, hash: &str, seal: &str) -> bool {
        crate::ledger::unhex(seal)
            .is_some_and(|seal| hmac::verify(&self.ledger_head, head_message(sequence, hash).as_bytes(), &seal).is_ok())
    }

    /// The seal over what is said of an archive of the ledger.
    pub(crate) fn seal_ledger_archive(&self, message: &str) -> String {
        crate::ledger::hex(hmac::sign(&self.ledger_archive, message.as_bytes()).as_ref())
    }

    /// Whether `seal` is the seal of this message about an archive; compared in constant time.
    pub(crate) fn ledger_archive_is_genuine(&self, message: &str, seal: &str) -> bool {
        crate::ledger::unhex(seal)
            .is_some_and(|seal| hmac::verify(&self.ledger_archive, message.as_bytes(), &seal).is_ok())
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey([redacted])")
    }
}

fn encrypt(key: &[u8; 32], plain: &[u8], owner: Aad<Vec<u8>>, random: &dyn Random) -> Result<Vec<u8>, SealingError> {
    let mut nonce = [0; NONCE_LEN];
    random.fill(&mut nonce)?;
    let mut buffer = Zeroizing::new(plain.to_vec());
    let tag = cipher(key)?
        .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), owner, &mut buffer)
        .map_err(|_| SealingError::Sealing)?;
    Ok([&[FORMAT], nonce.as_slice(), buffer.as_slice(), tag.as_ref()].concat())
}

fn decrypt(
    key: &[u8; 32],
    sealed: &[u8],
    owner: impl Fn(u8) -> Aad<Vec<u8>>,
) -> Result<Zeroizing<Vec<u8>>, SealingError> {
    let (format, rest) = sealed.split_first().ok_or(SealingError::Unsealing)?;
    let (nonce, ciphertext) = rest.split_at_checked(NONCE_LEN).ok_or(SealingError::Unsealing)?;
    if ![FORMAT, WITHOUT_ENVIRONMENT].contains(format) {
        return Err(SealingError::Unsealing);
    }
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| SealingError::Unsealing)?;
    let mut buffer = Zeroizing::new(ciphertext.to_vec());
    let plain =
        cipher(key)?.open_in_place(nonce, owner(*format), &mut buffer).map_err(|_| SealingError::Unsealing)?.len();
    buffer.truncate(plain);
    Ok(buffer)
}

fn cipher(key: &[u8; 32]) -> Result<LessSafeKey, SealingError> {
    UnboundKey::new(&AES_256_GCM, key).map(LessSafeKey::new).map_err(|_| SealingError::Sealing)
}

fn derive(bytes: &[u8; 32], purpose: &[u8]) -> Zeroizing<[u8; 32]> {
    let mut out = Zeroizing::new([0; 32]);
    Salt::new(HKDF_SHA256, b"tagmint")
        .extract(bytes)
        .expand(&[purpose], HKDF_SHA256)
        .and_then(|okm| okm.fill(out.as_mut_slice()))
        .expect("32 bytes are one block of HKDF-SHA-256");
    out
}

/// What a seal is bound to: what kind of key it is, whose, and which one.
fn associated_data(kind: &str, format: u8, stamp: &Stamp, owner: &str) -> Aad<Vec<u8>> {
    let Stamp { issuer, environment } = stamp;
    let text = match format {
        WITHOUT_ENVIRONMENT => format!("{kind}\n{issuer}\n{owner}"),
        _ => format!("{kind}\n{issuer}\n{environment}\n{owner}"),
    };
    Aad::from(text.into_bytes())
}

fn head_message(sequence: i64, hash: &str) -> String {
    format!("{sequence} {hash}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        environment::Environment,
        issuer::IssuerUrl,
        random::SystemRandom,
        signing_key::{Algorithm, Signer, SigningKey},
    };

    fn master() -> MasterKey {
        MasterKey::parse(&MasterKey::generate_file(&SystemRandom).unwrap()).unwrap()
    }

    fn stamp(issuer: &str, environment: Environment) -> Stamp {
        Stamp { issuer: IssuerUrl::parse(issuer).unwrap(), environment }
    }

    /// What an issuer sealed before seals named the environment.
    #[test]
    fn a_seal_of_the_first_format_opens_still() {
        let master = master();
        let (issuer, elsewhere) =
            (stamp("https://a.example", Environment::Prod), stamp("https://b.example", Environment::Prod));
        let aad = Aad::from(b"tagmint-tls-key\nhttps://a.example\norder one".to_vec());
        let mut sealed = encrypt(&master.tls_keys, b"private", aad, &SystemRandom).unwrap();
        assert_eq!(master.open_tls_key(&sealed, &issuer, "order one").unwrap_err(), SealingError::Unsealing);
        sealed[0] = 1;
        assert_eq!(master.open_tls_key(&sealed, &issuer, "order one").unwrap().as_slice(), b"private");
        assert_eq!(master.open_tls_key(&sealed, &elsewhere, "order one").unwrap_err(), SealingError::Unsealing);
        // A new seal does not pass for an old one.
        let mut disguised = master.seal_tls_key(b"private", &issuer, "order one", &SystemRandom).unwrap();
        disguised[0] = 1;
        assert_eq!(master.open_tls_key(&disguised, &issuer, "order one").unwrap_err(), SealingError::Unsealing);
    }

    #[test]
    fn a_key_opens_only_for_its_issuer_kid_and_key_file() {
        let (master, other) = (master(), master());
        let (issuer, elsewhere) =
            (stamp("https://a.example", Environment::Prod), stamp("https://b.example", Environment::Prod));
        let other_world = stamp("https://a.example", Environment::Test);
        let key = SigningKey::generate(Algorithm::Es256).unwrap();
        let other_key = SigningKey::generate(Algorithm::Es256).unwrap();
        let pkcs8 = key.to_pkcs8().unwrap();
        let sealed = master.seal(&pkcs8, &issuer, key.kid(), &SystemRandom).unwrap();
        assert_eq!(*master.open(&sealed, &issuer, key.kid()).unwrap(), *pkcs8);
        assert!(
            !sealed.windows(16).any(|window| pkcs8.windows(16).any(|plain| plain == window)),
            "nothing in plain text"
        );
        for refused in [
            master.open(&sealed, &elsewhere, key.kid()),
            master.open(&sealed, &other_world, key.kid()),
            master.open(&sealed, &issuer, other_key.kid()),
            other.open(&sealed, &issuer, key.kid()),
        ] {
            assert_eq!(refused.unwrap_err(), SealingError::Unsealing);
        }
        for position in [0, 1, 14, sealed.len() - 1] {
            let mut altered = sealed.clone();
            altered[position] ^= 1;
            assert_eq!(master.open(&altered, &issuer, key.kid()).unwrap_err(), SealingError::Unsealing);
        }
        assert_eq!(master.open(&[], &issuer, key.kid()).unwrap_err(), SealingError::Unsealing);
        assert_eq!(master.open(&sealed[..5], &issuer, key.kid()).unwrap_err(), SealingError::Unsealing);
    }

    #[test]
    fn a_tls_key_opens_only_for_its_issuer_owner_and_key_file_and_is_no_signing_key() {
        let (master, other) = (master(), master());
        let (issuer, elsewhere) =
            (stamp("https://a.example", Environment::Prod), stamp("https://b.example", Environment::Prod));
        let other_world = stamp("https://a.example", Environment::Test);
        let sealed = master.seal_tls_key(b"private", &issuer, "order one", &SystemRandom).unwrap();
        assert_eq!(master.open_tls_key(&sealed, &issuer, "order one").unwrap().as_slice(), b"private");
        for refused in [
            master.open_tls_key(&sealed, &elsewhere, "order one"),
            master.open_tls_key(&sealed, &other_world, "order one"),
            master.open_tls_key(&sealed, &issuer, "order two"),
            other.open_tls_key(&sealed, &issuer, "order one"),
        ] {
            assert_eq!(refused.unwrap_err(), SealingError::Unsealing);
        }
        let kid = SigningKey::generate(Algorithm::Es256).unwrap().kid().clone();
        let signing = master.seal(b"private", &issuer, &kid, &SystemRandom).unwrap();
        assert_eq!(master.open_tls_key(&signing, &issuer, kid.as_str()).unwrap_err(), SealingError::Unsealing);
    }

    #[test]
    fn a_key_file_is_32_bytes_of_base64() {
        for bad in ["", "short", "AAAA", &BASE64_STANDARD.encode([0; 31]), &BASE64_STANDARD.encode([0; 33])] {
            assert_eq!(MasterKey::parse(bad).unwrap_err(), SealingError::KeyFile);
        }
        assert!(MasterKey::parse(&format!("\n{}\r\n", BASE64_STANDARD.encode([7; 32]))).is_ok());
    }

    #[test]
    fn a_fingerprint_tells_key_files_apart_and_gives_no_key_away() {
        let (text, other) = (MasterKey::generate_file(&SystemRandom).unwrap(), master());
        let key = MasterKey::parse(&text).unwrap();
        assert_eq!(key.fingerprint(), MasterKey::parse(&format!(" {}", *text)).unwrap().fingerprint());
        assert_ne!(key.fingerprint(), other.fingerprint());
        let raw = BASE64_STANDARD.decode(text.trim()).unwrap();
        let derived = [raw.as_slice(), key.private_keys.as_slice(), key.tls_keys.as_slice()];
        assert!(derived.iter().all(|secret| crate::ledger::hex(secret) != key.fingerprint()));
    }

    #[test]
    fn the_ledger_seal_depends_on_key_sequence_and_hash() {
        let (master, other) = (master(), master());
        let seal = master.seal_ledger_head(3, "ab");
        assert!(master.ledger_head_is_genuine(3, "ab", &seal));
        assert!(!master.ledger_head_is_genuine(4, "ab", &seal));
        assert!(!master.ledger_head_is_genuine(3, "ac", &seal));
        assert!(!other.ledger_head_is_genuine(3, "ab", &seal));
        assert!(!master.ledger_head_is_genuine(3, "ab", "zz"));
    }
}
