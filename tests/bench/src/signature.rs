//! The bare signature of the crypto library: what no issuer can be cheaper than.

use std::{
    hint::black_box,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use aws_lc_rs::{
    error::Unspecified,
    rand::SystemRandom,
    rsa::KeySize,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, RSA_PKCS1_SHA256, RsaKeyPair},
};
use tagmint_core::signing_key::Algorithm;

use crate::{cpu, error::BenchError, numbers::per};

/// Signatures between two looks at the clock, about a millisecond of work.
const AT_ONCE: u64 = 16;

/// A prepared key, and the bytes it signs: those of a real token.
pub(crate) struct BareKey {
    pair: Pair,
    random: SystemRandom,
    message: Vec<u8>,
}

enum Pair {
    Rsa(Box<RsaKeyPair>),
    P256(Box<EcdsaKeyPair>),
}

/// Signatures (or other work), and the CPU time of the thread that did it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Slice {
    pub(crate) count: u64,
    pub(crate) cpu: Duration,
}

/// What signatures cost at one moment.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Bare {
    /// On one core while the others idle.
    pub(crate) alone: Slice,
    /// On one core while the others sign too.
    pub(crate) loaded: Slice,
}

impl BareKey {
    /// A new key that signs this message.
    pub(crate) fn generate(algorithm: Algorithm, message: Vec<u8>) -> Result<Self, BenchError> {
        let pair = match algorithm {
            Algorithm::Rs256 => RsaKeyPair::generate(KeySize::Rsa2048).map(Box::new).map(Pair::Rsa),
            Algorithm::Es256 => EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map(Box::new).map(Pair::P256),
        };
        let pair = pair.map_err(|_| BenchError::wrong(format!("the crypto library made no {algorithm} key")))?;
        Ok(Self { pair, random: SystemRandom::new(), message })
    }

    /// Signs for about `span` alone, then for as long with every other core signing too.
    pub(crate) fn measure(&self, span: Duration) -> Result<Bare, BenchError> {
        let failed = |_| BenchError::wrong("the crypto library made no signature");
        let alone = self.sign_for(span).map_err(failed)?;
        let others = thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get) - 1;
        let done = AtomicBool::new(false);
        let loaded = thread::scope(|scope| {
            for _ in 0..others {
                scope.spawn(|| {
                    while !done.load(Ordering::Relaxed) && self.sign().is_ok() {
                        std::hint::spin_loop();
                    }
                });
            }
            let slice = self.sign_for(span);
            done.store(true, Ordering::Relaxed);
            slice
        });
        Ok(Bare { alone, loaded: loaded.map_err(failed)? })
    }

    /// Once at least: a thread that waits for a core may have used the time up before it begins.
    fn sign_for(&self, span: Duration) -> Result<Slice, Unspecified> {
        let (start, cpu) = (Instant::now(), cpu::of_this_thread());
        let mut count = 0;
        loop {
            for _ in 0..AT_ONCE {
                self.sign()?;
            }
            count += AT_ONCE;
            if start.elapsed() >= span {
                return Ok(Slice { count, cpu: cpu::of_this_thread().saturating_sub(cpu) });
            }
        }
    }

    fn sign(&self) -> Result<(), Unspecified> {
        let message = black_box(self.message.as_slice());
        match &self.pair {
            Pair::Rsa(pair) => {
                let mut signature = [0; 256];
                pair.sign(&RSA_PKCS1_SHA256, &self.random, message, &mut signature)?;
                black_box(signature);
            }
            Pair::P256(pair) => {
                black_box(pair.sign(&self.random, message)?);
            }
        }
        Ok(())
    }
}

impl Slice {
    /// CPU microseconds of one.
    pub(crate) fn micros(self) -> f64 {
        per(self.cpu, self.count)
    }
}

impl std::ops::AddAssign for Slice {
    fn add_assign(&mut self, more: Self) {
        self.count += more.count;
        self.cpu += more.cpu;
    }
}

impl std::ops::AddAssign for Bare {
    fn add_assign(&mut self, more: Self) {
        self.alone += more.alone;
        self.loaded += more.loaded;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_algorithms_sign_and_cost_something() {
        for algorithm in [Algorithm::Rs256, Algorithm::Es256] {
            let bare =
                BareKey::generate(algorithm, vec![b'x'; 900]).unwrap().measure(Duration::from_millis(20)).unwrap();
            for slice in [bare.alone, bare.loaded] {
                assert!(slice.count >= AT_ONCE && slice.micros() > 1.0, "{algorithm}: {slice:?}");
            }
        }
    }
}
