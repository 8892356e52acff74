#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tagmint_fuzz::targets::issuer_url::run(data));
