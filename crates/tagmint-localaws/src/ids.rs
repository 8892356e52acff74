//! Ids and secrets in the forms that AWS gives them.

use std::sync::Arc;

use base64::{Engine, prelude::BASE64_STANDARD};
use tagmint_core::random::{Random, RandomUnavailable};

/// The letters of AWS's unique ids (base32).
const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// Makes ids and secrets.
#[derive(Debug, Clone)]
pub struct Ids(Arc<dyn Random>);

impl Ids {
    /// Takes the source of randomness.
    pub fn new(random: Arc<dyn Random>) -> Self {
        Self(random)
    }

    /// An id such as `AROAQ3EGP6XCMJ7UE4T2A`: a prefix of four letters and 17 more (IAM user guide, "IAM identifiers").
    pub fn unique(&self, prefix: &str) -> Result<String, RandomUnavailable> {
        Ok(format!("{prefix}{}", self.letters::<17>()?))
    }

    /// The id of an access key: `AKIA…` for a user's, `ASIA…` for a session's; 20 letters in all.
    pub fn access_key(&self, prefix: &str) -> Result<String, RandomUnavailable> {
        Ok(format!("{prefix}{}", self.letters::<16>()?))
    }

    /// The secret of an access key: 40 characters, 240 random bits.
    pub fn secret(&self) -> Result<String, RandomUnavailable> {
        Ok(BASE64_STANDARD.encode(self.bytes::<30>()?))
    }

    /// A session token: long and opaque, as STS makes them.
    pub fn session_token(&self) -> Result<String, RandomUnavailable> {
        Ok(format!("IQoJb3JpZ2luX2Vj{}", BASE64_STANDARD.encode(self.bytes::<192>()?)))
    }

    /// The id of a request, an object's version or an upload: 32 letters.
    pub fn opaque(&self) -> Result<String, RandomUnavailable> {
        self.letters::<32>()
    }

    fn letters<const N: usize>(&self) -> Result<String, RandomUnavailable> {
        Ok(self.bytes::<N>()?.iter().map(|byte| char::from(LETTERS[usize::from(byte % 32)])).collect())
    }

    fn bytes<const N: usize>(&self) -> Result<[u8; N], RandomUnavailable> {
        let mut bytes = [0; N];
        self.0.fill(&mut bytes)?;
        Ok(bytes)
    }
}
