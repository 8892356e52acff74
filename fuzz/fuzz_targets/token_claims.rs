#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tagmint_fuzz::targets::token_claims::run(data));
