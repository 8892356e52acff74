//! What an upstream may do that it should not.

use std::{
    convert::Infallible,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use axum::{
    Json,
    body::Body,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Redirect, Response},
};
use bytes::Bytes;
use futures::stream;
use serde_json::json;

use super::{Shared, lock};

/// How much an endless body holds, in bytes: 1 GiB.
pub const HUGE: usize = 1 << 30;
/// Bytes of a large body that are made at once.
const PIECE: usize = 64 * 1024;

/// A document of the platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Document {
    /// `/.well-known/openid-configuration`.
    Discovery,
    /// `/.well-known/jwks`.
    Keys,
}

/// How it is answered instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Misbehaviour {
    /// 302 to another path, where the good document is.
    Redirect,
    /// The good document, one byte every 100 ms.
    Drip,
    /// [`HUGE`] bytes, chunked, without saying so before.
    Huge,
    /// [`HUGE`] bytes, announced by `Content-Length`.
    HugeAnnounced,
    /// `Content-Encoding: gzip`: some 500 KB that unpack to 80 MiB.
    GzipBomb,
    /// This status, with the good document.
    Status(u16),
    /// Nothing, ever.
    Hang,
    /// 200 with these bytes.
    Body(Vec<u8>),
    /// 403 to a client that does not send this as a bearer token, as a Kubernetes API server answers `system:anonymous`.
    WantsToken(String),
    /// A discovery document that names another issuer.
    OtherIssuer,
    /// A discovery document whose `jwks_uri` is this.
    KeysAt(String),
}

#[derive(Debug, Default)]
pub(super) struct Misbehaviours {
    discovery: Option<Misbehaviour>,
    keys: Option<Misbehaviour>,
}

impl Misbehaviours {
    pub(super) fn set(&mut self, document: Document, how: Misbehaviour) {
        *match document {
            Document::Discovery => &mut self.discovery,
            Document::Keys => &mut self.keys,
        } = Some(how);
    }
}

/// The answer to a request for `document`.
pub(super) async fn answer(shared: &Arc<Shared>, document: Document, headers: &HeaderMap) -> Response {
    let how = {
        let misbehaviours = lock(&shared.misbehaviours);
        match document {
            Document::Discovery => misbehaviours.discovery.clone(),
            Document::Keys => misbehaviours.keys.clone(),
        }
    };
    let Some(how) = how else { return good(shared, document) };
    match how {
        Misbehaviour::Redirect => Redirect::to(match document {
            Document::Discovery => "/elsewhere/discovery",
            Document::Keys => "/elsewhere/jwks",
        })
        .into_response(),
        Misbehaviour::Drip => drip(good_bytes(shared, document)),
        Misbehaviour::Huge => huge(shared).into_response(),
        Misbehaviour::HugeAnnounced => ([(header::CONTENT_LENGTH, HUGE)], huge(shared)).into_response(),
        Misbehaviour::GzipBomb => ([(header::CONTENT_ENCODING, "gzip")], gzip_bomb()).into_response(),
        Misbehaviour::Status(status) => {
            (StatusCode::from_u16(status).expect("a status"), good(shared, document)).into_response()
        }
        Misbehaviour::WantsToken(token) => {
            let shown = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
            if shown == Some(format!("Bearer {token}").as_str()) {
                good(shared, document)
            } else {
                StatusCode::FORBIDDEN.into_response()
            }
        }
        Misbehaviour::Hang => std::future::pending().await,
        Misbehaviour::Body(bytes) => bytes.into_response(),
        Misbehaviour::OtherIssuer => {
            let mut discovery = shared.discovery();
            discovery["issuer"] = json!("https://somebody-else.example");
            Json(discovery).into_response()
        }
        Misbehaviour::KeysAt(url) => {
            let mut discovery = shared.discovery();
            discovery["jwks_uri"] = json!(url);
            Json(discovery).into_response()
        }
    }
}

/// The document as it should be.
pub(super) fn good(shared: &Shared, document: Document) -> Response {
    ([(header::CONTENT_TYPE, "application/json; charset=utf-8")], good_bytes(shared, document)).into_response()
}

fn good_bytes(shared: &Shared, document: Document) -> Vec<u8> {
    match document {
        Document::Discovery => serde_json::to_vec(&shared.discovery()),
        Document::Keys => serde_json::to_vec(&shared.jwks()),
    }
    .expect("the documents are JSON")
}

fn drip(bytes: Vec<u8>) -> Response {
    let drops = stream::unfold(bytes.into_iter(), |mut left| async move {
        tokio::time::sleep(Duration::from_millis(100)).await;
        left.next().map(|byte| (Ok::<_, Infallible>(Bytes::copy_from_slice(&[byte])), left))
    });
    Body::from_stream(drops).into_response()
}

/// White space, which could still become JSON. Counts what is taken.
fn huge(shared: &Arc<Shared>) -> Body {
    let piece = Bytes::from(vec![b' '; PIECE]);
    Body::from_stream(stream::unfold((0, piece, Arc::clone(shared)), |(sent, piece, shared)| async move {
        shared.counters.streamed.fetch_add(piece.len(), Ordering::Relaxed);
        (sent < HUGE).then(|| (Ok::<_, Infallible>(piece.clone()), (sent + piece.len(), piece, shared)))
    }))
}

/// A gzip stream (RFC 1952) of one endless fixed-Huffman block (RFC 1951 §3.2.6): a zero, and "the last byte 258 times more" 320,000 times.
fn gzip_bomb() -> Vec<u8> {
    let mut bytes = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
    let (mut pending, mut width) = (0_u32, 0);
    let mut push = |value: u32, bits: u32| {
        pending |= value << width;
        width += bits;
        while width >= 8 {
            bytes.push(pending.to_le_bytes()[0]);
            pending >>= 8;
            width -= 8;
        }
    };
    // Codes go most significant bit first, hence mirrored.
    push(0b011, 3); // the last block, fixed codes
    push(0b0000_1100, 8); // literal 0: 00110000
    for _ in 0..320_000 {
        push(0b1010_0011, 8); // length 258: 11000101
        push(0, 5); // distance 1
    }
    push(0, 7); // end of the block
    push(0, 7); // to the next byte
    let length = 1 + 258 * 320_000_u32;
    bytes.extend([0; 4]); // no CRC: nobody should get so far
    bytes.extend(length.to_le_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_bomb_is_below_the_usual_limit_until_it_is_unpacked() {
        let bomb = super::gzip_bomb();
        assert!(bomb.len() < 525_000, "{}", bomb.len());
        assert_eq!(bomb[bomb.len() - 4..], 82_560_001_u32.to_le_bytes());
    }
}
