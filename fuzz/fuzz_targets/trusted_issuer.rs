#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tagmint_fuzz::targets::trusted_issuer::run(data));
