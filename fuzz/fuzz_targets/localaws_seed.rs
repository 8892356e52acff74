//! The seed of `tagmint localaws`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tagmint_localaws::seed::Seed;

fuzz_target!(|data: &[u8]| {
    match Seed::parse(data) {
        Ok(seed) => assert_eq!(Seed::parse(data).ok(), Some(seed), "the same file, another seed"),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
