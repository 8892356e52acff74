//! The secrets that Tagmint hands out: sessions (`tms_…`) and bearers (`tmb_…`).
//!
//! `PREFIX_ENVIRONMENT_BODYCHECKSUM`: the prefix and the environment let a scanner recognise a leaked secret and let an issuer refuse another
//! world's before any look-up; the body carries 256 random bits; the checksum tells a real secret from a look-alike without a database.
//! Only the SHA-256 of the whole text is stored: the body is random, so a slow password hash would add cost and no safety.

use std::fmt;

use aws_lc_rs::digest;
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use crate::{
    environment::Environment,
    random::{Random, RandomUnavailable},
};

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// 43 characters of 62 hold 256.03 bits.
const BODY_LEN: usize = 43;
/// 6 characters of 62 hold the 32 bits of a CRC.
const CHECKSUM_LEN: usize = 6;

/// What a secret is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SecretKind {
    /// A session opened through the session backend.
    Session,
    /// A long-lived bearer for CI, made by the operator.
    Bearer,
}

impl SecretKind {
    /// The first part of the secret's text.
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Session => "tms",
            Self::Bearer => "tmb",
        }
    }
}

/// Why a text is no secret of this issuer. Nothing here repeats the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSecret {
    /// Neither prefix.
    #[error("not a Tagmint credential: those begin with `tms_` (session) or `tmb_` (bearer)")]
    Foreign,
    /// The environment part is neither `prod` nor `test`, or another length or alphabet.
    #[error("the credential is malformed: it may have been cut when it was copied")]
    Malformed,
    /// The checksum does not fit the rest.
    #[error("the credential's checksum is wrong: it may have been cut or mistyped")]
    Checksum,
    /// A secret of the other world.
    #[error("the credential belongs to the environment `{found}`; this issuer is `{expected}`")]
    OtherEnvironment {
        /// The issuer's environment.
        expected: Environment,
        /// The secret's.
        found: Environment,
    },
}

/// A session's or bearer's secret. It does not print, and it is wiped from memory when dropped.
#[derive(Clone)]
pub struct IssuedSecret {
    kind: SecretKind,
    environment: Environment,
    text: SecretString,
}

impl IssuedSecret {
    /// A new secret with 256 random bits.
    pub fn generate(
        kind: SecretKind,
        environment: Environment,
        random: &dyn Random,
    ) -> Result<Self, RandomUnavailable> {
        let mut text = Zeroizing::new(format!("{}_{environment}_", kind.prefix()));
        text.reserve(BODY_LEN + CHECKSUM_LEN);
        let mut drawn = 0;
        let mut buffer = Zeroizing::new([0_u8; 64]);
        while drawn < BODY_LEN {
            random.fill(buffer.as_mut_slice())?;
            // Six bits each; 62 and 63 are thrown away, so that every character is equally likely.
            let digits = buffer.iter().filter_map(|byte| ALPHABET.get(usize::from(byte & 63)));
            for digit in digits.take(BODY_LEN - drawn) {
                text.push(char::from(*digit));
                drawn += 1;
            }
        }
        let checksum = checksum(&text);
        text.push_str(&checksum);
        Ok(Self { kind, environment, text: SecretString::from(text.as_str()) })
    }

    /// Checks the form and the checksum of a presented secret, and that it belongs to `expected`. No look-up is needed for any of it.
    pub fn parse(text: &str, expected: Environment) -> Result<Self, InvalidSecret> {
        let (kind, rest) = [SecretKind::Session, SecretKind::Bearer]
            .into_iter()
            .find_map(|kind| Some((kind, text.strip_prefix(kind.prefix())?.strip_prefix('_')?)))
            .ok_or(InvalidSecret::Foreign)?;
        let (environment, tail) = rest.split_once('_').ok_or(InvalidSecret::Malformed)?;
        let environment: Environment = environment.parse().map_err(|_| InvalidSecret::Malformed)?;
        if tail.len() != BODY_LEN + CHECKSUM_LEN || !tail.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return Err(InvalidSecret::Malformed);
        }
        let (head, found) = text.split_at(text.len() - CHECKSUM_LEN);
        if checksum(head) != found {
            return Err(InvalidSecret::Checksum);
        }
        if environment != expected {
            return Err(InvalidSecret::OtherEnvironment { expected, found: environment });
        }
        Ok(Self { kind, environment, text: SecretString::from(text) })
    }

    /// What the secret is for.
    pub const fn kind(&self) -> SecretKind {
        self.kind
    }

    /// The world it belongs to.
    pub const fn environment(&self) -> Environment {
        self.environment
    }

    /// The text to hand to its owner, once.
    pub fn expose(&self) -> &str {
        self.text.expose_secret()
    }

    /// What the store keeps.
    pub fn hash(&self) -> SecretHash {
        let digest = digest::digest(&digest::SHA256, self.expose().as_bytes());
        let mut hash = [0; 32];
        hash.copy_from_slice(digest.as_ref());
        SecretHash(hash)
    }
}

impl fmt::Debug for IssuedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}_[redacted]", self.kind.prefix(), self.environment)
    }
}

/// SHA-256 of a secret's text: what is stored and looked up.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SecretHash([u8; 32]);

impl SecretHash {
    /// Lower-case hexadecimal, 64 characters.
    pub fn to_hex(self) -> String {
        crate::ledger::hex(&self.0)
    }
}

impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretHash(…)")
    }
}

fn checksum(head: &str) -> String {
    let mut rest = crc32fast::hash(head.as_bytes());
    let mut digits = [b'0'; CHECKSUM_LEN];
    for digit in digits.iter_mut().rev() {
        *digit = ALPHABET[(rest % 62) as usize];
        rest /= 62;
    }
    digits.iter().map(|b| char::from(*b)).collect()
}

#[cfg(test)]
mod scanning;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::random::SystemRandom;

    fn fresh(kind: SecretKind, environment: Environment) -> IssuedSecret {
        IssuedSecret::generate(kind, environment, &SystemRandom).unwrap()
    }

    #[test]
    fn a_secret_round_trips_and_tells_its_world() {
        for (kind, environment, prefix) in [
            (SecretKind::Session, Environment::Test, "tms_test_"),
            (SecretKind::Bearer, Environment::Prod, "tmb_prod_"),
        ] {
            let secret = fresh(kind, environment);
            assert!(secret.expose().starts_with(prefix));
            assert_eq!(secret.expose().len(), prefix.len() + 49);
            let parsed = IssuedSecret::parse(secret.expose(), environment).unwrap();
            assert_eq!((parsed.kind(), parsed.environment(), parsed.hash()), (kind, environment, secret.hash()));
        }
    }

    #[test]
    fn another_worlds_secret_is_named_as_such() {
        let secret = fresh(SecretKind::Session, Environment::Test);
        let refused = IssuedSecret::parse(secret.expose(), Environment::Prod).unwrap_err();
        assert_eq!(refused, InvalidSecret::OtherEnvironment { expected: Environment::Prod, found: Environment::Test });
        let disguised = secret.expose().replacen("_test_", "_prod_", 1);
        assert_eq!(IssuedSecret::parse(&disguised, Environment::Prod).unwrap_err(), InvalidSecret::Checksum);
    }

    #[test]
    fn malformed_secrets_are_refused() {
        let good = fresh(SecretKind::Session, Environment::Test).expose().to_owned();
        let cut = &good[..good.len() - 1];
        for (text, expected) in [
            ("", InvalidSecret::Foreign),
            ("ghp_abc", InvalidSecret::Foreign),
            ("tms", InvalidSecret::Foreign),
            ("tms_", InvalidSecret::Malformed),
            ("tms_dev_x", InvalidSecret::Malformed),
            (cut, InvalidSecret::Malformed),
            (&format!("{good}x"), InvalidSecret::Malformed),
            (&format!("{cut}é"), InvalidSecret::Malformed),
        ] {
            assert_eq!(IssuedSecret::parse(text, Environment::Test).unwrap_err(), expected, "{text}");
        }
    }

    #[test]
    fn a_secret_does_not_print() {
        let secret = fresh(SecretKind::Bearer, Environment::Test);
        assert_eq!(format!("{secret:?}"), "tmb_test_[redacted]");
        assert!(!format!("{:?}", secret.hash()).contains(&secret.hash().to_hex()));
    }

    proptest! {
        #[test]
        fn one_changed_character_is_noticed(position in 9_usize..58, replacement in "[0-9A-Za-z]") {
            let good = fresh(SecretKind::Session, Environment::Test);
            let mut text = good.expose().to_owned();
            text.replace_range(position..=position, &replacement);
            prop_assume!(text != good.expose());
            prop_assert_eq!(IssuedSecret::parse(&text, Environment::Test).unwrap_err(), InvalidSecret::Checksum);
        }

        #[test]
        fn no_text_panics(text in "\\PC*") {
            let _ = IssuedSecret::parse(&text, Environment::Test);
        }
    }
}
