//! RSA keys that can be factored because a widespread library of smart cards and TPMs made their primes from powers of 65537 (CVE-2017-15361,
//! "ROCA"; Nemec et al., "The Return of Coppersmith's Attack", ACM CCS 2017, §2).

/// The small odd primes by which such a modulus is recognized.
const PRIMES: [u32; 38] = [
    3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103, 107, 109,
    113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
];
const GENERATOR: u32 = 65_537;

/// Whether a modulus (big-endian) is a power of 65537 modulo each of the primes, as one of these keys always is. Another is so by accident
/// once in 240 million times.
pub(crate) fn is_weak(modulus: &[u8]) -> bool {
    PRIMES.iter().all(|prime| {
        let remainder = modulus.iter().fold(0, |remainder, byte| (remainder * 256 + u32::from(*byte)) % prime);
        let mut power = 1;
        // The powers repeat after fewer than `prime` steps.
        (0..*prime).any(|_| {
            let found = power == remainder;
            power = power * (GENERATOR % prime) % prime;
            found
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        jwk::PublicKey,
        signing_key::{Algorithm, SigningKey},
    };

    #[test]
    fn powers_of_the_generator_are_weak_and_other_numbers_are_not() {
        // 65537 squared.
        assert!(is_weak(&[1, 0, 2, 0, 1]));
        assert!(is_weak(&[1]) && is_weak(&[1, 0, 1]));
        for good in [&[3][..], &[1, 0, 2, 0, 3], &[0xff; 256]] {
            assert!(!is_weak(good), "{good:?}");
        }
        let key = SigningKey::generate(Algorithm::Rs256).unwrap();
        let PublicKey::Rsa { n, .. } = key.public() else { panic!("{key:?}") };
        assert!(!is_weak(n));
    }
}
