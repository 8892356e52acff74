//! Session and bearer secrets: a made one reads back, a changed one never does, and a secret belongs to one environment.

use std::sync::atomic::{AtomicUsize, Ordering};

use tagmint_core::{
    environment::Environment,
    issued_secret::{IssuedSecret, SecretKind},
    random::{Random, RandomUnavailable},
};

/// The input as randomness; the counter makes it end.
#[derive(Debug)]
struct Input(Vec<u8>, AtomicUsize);

impl Random for Input {
    fn fill(&self, out: &mut [u8]) -> Result<(), RandomUnavailable> {
        for byte in out {
            let at = self.1.fetch_add(1, Ordering::Relaxed);
            let drawn = if self.0.is_empty() { 0 } else { self.0[at % self.0.len()] };
            *byte = drawn.wrapping_add(u8::try_from(at / 64 % 256).unwrap_or_default());
        }
        Ok(())
    }
}

/// Runs one input.
pub fn run(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        read(text);
    }
    let Some((&[flags, at, byte], rest)) = data.split_first_chunk() else { return };
    let environment = if flags & 1 == 0 { Environment::Test } else { Environment::Prod };
    let kind = if flags & 2 == 0 { SecretKind::Session } else { SecretKind::Bearer };
    let random = Input(rest.to_vec(), AtomicUsize::new(0));
    let secret = IssuedSecret::generate(kind, environment, &random).expect("there is randomness");
    let parsed = IssuedSecret::parse(secret.expose(), environment).expect("a made secret reads back");
    assert_eq!((parsed.kind(), parsed.hash()), (kind, secret.hash()));
    read(secret.expose());

    let mut changed = secret.expose().as_bytes().to_vec();
    let at = usize::from(at) % changed.len();
    changed[at] = byte;
    if let Ok(changed) = std::str::from_utf8(&changed)
        && changed != secret.expose()
    {
        assert!(IssuedSecret::parse(changed, environment).is_err(), "one changed character was not noticed");
    }
}

/// Reads a text in both environments.
fn read(text: &str) {
    let both = [Environment::Test, Environment::Prod].map(|environment| IssuedSecret::parse(text, environment));
    assert!(both.iter().any(Result::is_err), "a secret of two environments");
    for found in both {
        match found {
            Ok(secret) => {
                assert_eq!(secret.expose(), text);
                assert!(!format!("{secret:?}").contains(&text[9..]), "a secret prints itself");
            }
            // The words are constants: nothing of the text can be in them.
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
}
