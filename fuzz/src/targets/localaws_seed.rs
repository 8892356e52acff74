//! The seed of `tagmint localaws`.

use tagmint_localaws::seed::Seed;

/// Runs one input.
pub fn run(data: &[u8]) {
    match Seed::parse(data) {
        Ok(seed) => assert_eq!(Seed::parse(data).ok(), Some(seed), "the same file, another seed"),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}
