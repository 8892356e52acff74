//! Keys that cost time to make, made once per test binary.

use std::sync::{Arc, LazyLock};

use tagmint_core::{
    sealing::MasterKey,
    signing_key::{Algorithm, SigningKey},
};

use crate::random::CountingRandom;

fn make(algorithm: Algorithm) -> Arc<SigningKey> {
    Arc::new(SigningKey::generate(algorithm).expect("the crypto library makes keys"))
}

static RSA: LazyLock<Arc<SigningKey>> = LazyLock::new(|| make(Algorithm::Rs256));
static EC: LazyLock<Arc<SigningKey>> = LazyLock::new(|| make(Algorithm::Es256));

/// The signing key of this test binary for `algorithm`: the same at every call.
pub fn signing_key(algorithm: Algorithm) -> Arc<SigningKey> {
    Arc::clone(match algorithm {
        Algorithm::Rs256 => &RSA,
        Algorithm::Es256 => &EC,
    })
}

/// A P-256 key of its own at every call.
pub fn fresh_signing_key() -> Arc<SigningKey> {
    make(Algorithm::Es256)
}

/// The key file's key with this number: the same for the same number, in every run.
pub fn master_key(number: u32) -> Arc<MasterKey> {
    let random = CountingRandom::starting_at(u64::from(number) << 32);
    let text = MasterKey::generate_file(&random).expect("the counter does not fail");
    Arc::new(MasterKey::parse(&text).expect("a generated key file is a key file"))
}

#[cfg(test)]
mod tests {
    use tagmint_core::signing_key::Signer;

    use super::*;

    #[test]
    fn keys_stay_the_same_and_differ_by_number() {
        for algorithm in [Algorithm::Es256, Algorithm::Rs256] {
            assert_eq!(signing_key(algorithm).kid(), signing_key(algorithm).kid());
            assert_eq!(signing_key(algorithm).algorithm(), algorithm);
        }
        assert_ne!(fresh_signing_key().kid(), fresh_signing_key().kid());
        let seal = master_key(1).seal_ledger_head(1, "ab");
        assert!(master_key(1).ledger_head_is_genuine(1, "ab", &seal));
        assert!(!master_key(2).ledger_head_is_genuine(1, "ab", &seal));
    }
}
