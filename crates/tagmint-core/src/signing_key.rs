//! Signing keys, prepared once and used many times.

use std::{fmt, str::FromStr, sync::Arc};

use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der},
    rand::SystemRandom,
    rsa::KeySize,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair},
};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::jwk::PublicKey;

/// The signature algorithms with which Tagmint signs (RFC 7518 §3.1). STS takes both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with a 2048-bit key and SHA-256.
    #[serde(rename = "RS256")]
    Rs256,
    /// ECDSA with P-256 and SHA-256.
    #[serde(rename = "ES256")]
    Es256,
}

impl Algorithm {
    /// The `alg` value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
        }
    }

    /// The length of a signature, in bytes.
    pub const fn signature_len(self) -> usize {
        match self {
            Self::Rs256 => 256,
            Self::Es256 => 64,
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names no algorithm that Tagmint signs with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a signing algorithm: use `ES256` or `RS256`")]
pub struct UnknownAlgorithm(pub String);

impl FromStr for Algorithm {
    type Err = UnknownAlgorithm;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "RS256" => Ok(Self::Rs256),
            "ES256" => Ok(Self::Es256),
            other => Err(UnknownAlgorithm(other.to_owned())),
        }
    }
}

/// A key id: the RFC 7638 SHA-256 thumbprint of the public key, base64url, 43 characters.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId(Arc<str>);

impl KeyId {
    pub(crate) fn from_thumbprint(thumbprint: String) -> Self {
        Self(thumbprint.into())
    }

    /// The id's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The text has not the form of a key id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a key id: those have 43 characters of base64url (`tagmint keys list` shows them)")]
pub struct InvalidKeyId;

impl FromStr for KeyId {
    type Err = InvalidKeyId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fits = text.len() == 43 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        if fits { Ok(Self(text.into())) } else { Err(InvalidKeyId) }
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The crypto library could not make, read or use a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SigningError {
    /// Key generation failed.
    #[error("could not generate a signing key")]
    Generate,
    /// The PKCS#8 bytes are no key of the wanted algorithm.
    #[error("the stored private key is not a usable {0} key")]
    Unusable(Algorithm),
    /// The private key could not be encoded.
    #[error("could not encode the private key")]
    Encode,
    /// Signing failed.
    #[error("the signature could not be made")]
    Sign,
}

/// Makes signatures under one key. A seam: the key may live elsewhere than in this process.
pub trait Signer: Send + Sync + fmt::Debug {
    /// The algorithm of the key.
    fn algorithm(&self) -> Algorithm;
    /// The key's id.
    fn kid(&self) -> &KeyId;
    /// Signs `message`: PKCS#1 v1.5 bytes for RS256, R‖S for ES256 (RFC 7518 §3.3, §3.4).
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningError>;
}

/// A private key in this process, parsed once. Parsing it for every signature costs more than signing.
pub struct SigningKey {
    kid: KeyId,
    public: PublicKey,
    pair: Pair,
}

enum Pair {
    Rsa(Box<RsaKeyPair>),
    P256(Box<EcdsaKeyPair>),
}

impl SigningKey {
    /// A new key. Takes some 100 ms for RSA.
    pub fn generate(algorithm: Algorithm) -> Result<Self, SigningError> {
        let pair = match algorithm {
            Algorithm::Rs256 => RsaKeyPair::generate(KeySize::Rsa2048).map(Box::new).map(Pair::Rsa),
            Algorithm::Es256 => EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map(Box::new).map(Pair::P256),
        };
        Self::from_pair(pair.map_err(|_| SigningError::Generate)?)
    }

    /// Reads a key that [`to_pkcs8`](Self::to_pkcs8) wrote.
    pub fn from_pkcs8(algorithm: Algorithm, pkcs8: &[u8]) -> Result<Self, SigningError> {
        let pair = match algorithm {
            Algorithm::Rs256 => RsaKeyPair::from_pkcs8(pkcs8).map(Box::new).map(Pair::Rsa),
            Algorithm::Es256 => {
                EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8).map(Box::new).map(Pair::P256)
            }
        };
        let key = Self::from_pair(pair.map_err(|_| SigningError::Unusable(algorithm))?)?;
        let signature_len = match &key.pair {
            Pair::Rsa(pair) => pair.public_modulus_len(),
            Pair::P256(_) => 64,
        };
        if signature_len == algorithm.signature_len() { Ok(key) } else { Err(SigningError::Unusable(algorithm)) }
    }

    fn from_pair(pair: Pair) -> Result<Self, SigningError> {
        let public = match &pair {
            Pair::Rsa(pair) => {
                let key = pair.public_key();
                PublicKey::Rsa {
                    n: key.modulus().big_endian_without_leading_zero().to_vec(),
                    e: key.exponent().big_endian_without_leading_zero().to_vec(),
                }
            }
            Pair::P256(pair) => {
                PublicKey::p256_from_uncompressed(pair.public_key().as_ref()).ok_or(SigningError::Generate)?
            }
        };
        Ok(Self { kid: public.thumbprint(), public, pair })
    }

    /// The private key as PKCS#8 DER, wiped from memory when dropped. Only ever stored sealed.
    pub fn to_pkcs8(&self) -> Result<Zeroizing<Vec<u8>>, SigningError> {
        match &self.pair {
            Pair::Rsa(pair) => {
                let der: Pkcs8V1Der<'_> = pair.as_der().map_err(|_| SigningError::Encode)?;
                Ok(Zeroizing::new(der.as_ref().to_vec()))
            }
            Pair::P256(pair) => {
                let document = pair.to_pkcs8v1().map_err(|_| SigningError::Encode)?;
                Ok(Zeroizing::new(document.as_ref().to_vec()))
            }
        }
    }

    /// The public half.
    pub const fn public(&self) -> &PublicKey {
        &self.public
    }
}

impl Signer for SigningKey {
    fn algorithm(&self) -> Algorithm {
        match self.pair {
            Pair::Rsa(_) => Algorithm::Rs256,
            Pair::P256(_) => Algorithm::Es256,
        }
    }

    fn kid(&self) -> &KeyId {
        &self.kid
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningError> {
        match &self.pair {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature)
                    .map_err(|_| SigningError::Sign)?;
                Ok(signature)
            }
            Pair::P256(pair) => {
                let signature = pair.sign(&SystemRandom::new(), message).map_err(|_| SigningError::Sign)?;
                Ok(signature.as_ref().to_vec())
            }
        }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({} {}, private part redacted)", self.algorithm(), self.kid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_survives_storage() {
        for algorithm in [Algorithm::Rs256, Algorithm::Es256] {
            let key = SigningKey::generate(algorithm).unwrap();
            let restored = SigningKey::from_pkcs8(algorithm, &key.to_pkcs8().unwrap()).unwrap();
            assert_eq!(restored.kid(), key.kid());
            assert_eq!(key.sign(b"x").unwrap().len(), algorithm.signature_len());
            assert!(key.kid().as_str().parse::<KeyId>().is_ok());
            assert!(!format!("{key:?}").contains(&format!("{:?}", key.public())));
        }
    }

    #[test]
    fn a_key_of_the_other_algorithm_or_garbage_is_refused() {
        let es = SigningKey::generate(Algorithm::Es256).unwrap();
        let refused = SigningKey::from_pkcs8(Algorithm::Rs256, &es.to_pkcs8().unwrap());
        assert_eq!(refused.unwrap_err(), SigningError::Unusable(Algorithm::Rs256));
        assert!(SigningKey::from_pkcs8(Algorithm::Es256, b"garbage").is_err());
    }
}
