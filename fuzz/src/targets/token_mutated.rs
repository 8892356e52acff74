//! A good token, changed by a list of edits: it is accepted as it was made, or not at all.

use crate::world;
use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE, BASE64_URL_SAFE_NO_PAD},
};

/// Runs one input.
pub fn run(data: &[u8]) {
    let tokens: Vec<&str> = world::TOKENS.lines().collect();
    let (&[first], edits) = data.split_at(data.len().min(1)) else { return };
    let mut token: Vec<u8> = tokens[usize::from(first) % tokens.len()].into();
    for edit in edits.chunks_exact(4).take(64) {
        apply(edit, &mut token, &tokens);
    }
    let Ok(token) = String::from_utf8(token) else { return };
    let good = tokens.contains(&token.as_str());
    assert_eq!(world::verify(&token, &world::KEYS).is_ok(), good, "{token}");
    let report = world::verdict(&world::request(&token, world::ROLE_ARN), world::JWKS, None);
    assert_eq!(world::passed(&report, "token-signature"), good, "{token}");
}

/// One edit in four bytes: what to do, where (two bytes), and with which byte.
fn apply(edit: &[u8], token: &mut Vec<u8>, tokens: &[&str]) {
    let &[what, high, low, byte] = edit else { return };
    let at = usize::from(u16::from_be_bytes([high, low])) % (token.len() + 1);
    match what % 8 {
        0 if at < token.len() => token[at] = byte,
        1 => token.insert(at, byte),
        2 if at < token.len() => {
            token.remove(at);
        }
        3 => token.truncate(at),
        // A part of another token.
        4 => {
            let other: Vec<&[u8]> = tokens[usize::from(byte) % tokens.len()].as_bytes().split(|b| *b == b'.').collect();
            on_part(token, at, |_| other[at % 3].to_vec());
        }
        // One bit of what a part encodes.
        5 => on_part(token, at, |part| {
            let Ok(mut bytes) = BASE64_URL_SAFE_NO_PAD.decode(part) else { return part.to_vec() };
            let place = usize::from(low) % bytes.len().max(1);
            if let Some(found) = bytes.get_mut(place) {
                *found ^= 1 << (byte % 8);
            }
            BASE64_URL_SAFE_NO_PAD.encode(bytes).into_bytes()
        }),
        // Another spelling of the same bytes.
        6 => on_part(token, at, |part| {
            let Ok(bytes) = BASE64_URL_SAFE_NO_PAD.decode(part) else { return part.to_vec() };
            if byte % 2 == 0 { BASE64_STANDARD.encode(bytes) } else { BASE64_URL_SAFE.encode(bytes) }.into_bytes()
        }),
        // Text inside of a JSON part.
        7 => on_part(token, at, |part| {
            let Ok(mut bytes) = BASE64_URL_SAFE_NO_PAD.decode(part) else { return part.to_vec() };
            bytes.insert(usize::from(low) % (bytes.len() + 1), byte);
            BASE64_URL_SAFE_NO_PAD.encode(bytes).into_bytes()
        }),
        _ => {}
    }
}

/// Changes one of the parts between dots.
fn on_part(token: &mut Vec<u8>, which: usize, change: impl FnOnce(&[u8]) -> Vec<u8>) {
    let mut parts: Vec<Vec<u8>> = token.split(|b| *b == b'.').map(<[u8]>::to_vec).collect();
    let which = which % parts.len();
    parts[which] = change(&parts[which]);
    *token = parts.join(&b'.');
}
